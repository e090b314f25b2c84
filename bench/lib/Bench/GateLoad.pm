package Bench::GateLoad;
# The program that puts load on a gateway.
use strict;
use warnings;
use Server::SaslGate;

# The figures that it prints, or the error; it fails at the first wrong reply.
sub figures {
  my (@words) = @_;
  my $line = eval { Server::SaslGate->run(Server::SaslGate->load, @words) };
  return defined $line ? { $line =~ /(\w+)=([\d.]+)/g } : { error => $@ =~ s/\s+\z//r };
}

1;
