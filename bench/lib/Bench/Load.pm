package Bench::Load;
# A complete process, from exec to exit: one that ends after its first message, or any other.
use strict;
use warnings;
use Time::HiRes qw(sleep);

my $PROGRAM = 'my $p = Authen::SASL->new(mechanism => "%s", callback => { %s });'
  . 'my $c = $p->client_new("bench", "localhost"); exit !length $c->client_start';

sub command {
  my ($adapter, $mech, $lib) = @_;
  my $cb = $adapter->client_callbacks($mech);
  my $callback = join ', ', map { qq($_ => "$cb->{$_}") } sort keys %$cb;
  my @more = $mech =~ /^SCRAM/ ? map { "-M$_" } grep { /^Bench::/ } $adapter->needs : ();
  ($^X, (map { "-I$_" } $lib, $adapter->libs), '-MAuthen::SASL=' . $adapter->module, @more, '-e', sprintf $PROGRAM, $mech, $callback);
}

# Seconds of CPU time. A process that has ended but was not waited for still has its times in /proc, including global
# destruction.
sub once {
  my (@command) = @_;
  my $pid = open my $p, '-|', @command or return { error => "cannot start perl: $!" };
  my $end = time + 30;
  until (state($pid) eq 'Z') {
    if (time > $end) { kill 'KILL', $pid; return { error => 'no end in sight' } }
    sleep 0.0005;
  }
  open my $f, '<', "/proc/$pid/schedstat" or return { error => "no schedstat: $!" };
  my ($ns) = split ' ', <$f>;
  close $p or return { error => 'it did not do its work, exit ' . ($? >> 8) };
  { cost => $ns / 1e9 };
}

sub state {
  my ($pid) = @_;
  open my $f, '<', "/proc/$pid/stat" or return 'Z';
  my ($s) = <$f> =~ /^.*\) (\S)/s;
  $s;
}

1;
