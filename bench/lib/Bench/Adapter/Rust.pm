package Bench::Adapter::Rust;
use strict;
use warnings;
use parent 'Bench::Adapter';

sub module { 'Authen::SASL::Rust' }
# The built tree as `make install` lays it out, in one directory: run makes it.
sub libs   { $ENV{BENCH_INSTALLED} }

# An EXTERNAL server trusts what the transport has proved.
sub server_options { $_[1] eq 'EXTERNAL' ? { external_id => $Bench::Adapter::USER } : () }

# Answers by return value, as in a program written for Authen::SASL::Cyrus: no continuation has to be made for each step.
sub server_callbacks {
  my ($self, $mech, $job) = @_;
  my ($user, $pass) = ($Bench::Adapter::USER, $Bench::Adapter::PASS);
  return { checkpass => sub { $_[1]{user} eq $user && $_[1]{pass} eq $pass } } if $mech eq 'PLAIN' || $mech eq 'LOGIN';
  my $secret = $mech =~ /^SCRAM-(.*)/ ? Bench::Peer::scram_verifier($1, $pass, Bench::Peer::salt(0), $job->{iters}) : $pass;
  return { getsecret => sub { $secret } };
}

sub server_start { $_[0]->server_start($_[1]) }
sub server_step  { $_[0]->server_step($_[1]) }

# One PBKDF2 and the two HMACs that turn it into a verifier, without a handshake
sub verifier {
  my ($self, $hash, $pass, $iters) = @_;
  Authen::SASL::Rust->scram_verifier(mechanism => "SCRAM-$hash", password => $pass, iterations => $iters);
}

1;
