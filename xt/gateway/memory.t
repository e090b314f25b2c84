# No copy of a password or token remains in sasl-gate's memory once the connection has ended, neither on a stack nor in freed
# memory.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use Fcntl qw(SEEK_SET);
use Server::Beanstalkd ();
use Server::JobTalk qw(connect_to login say_raw);
use Server::SaslGate ();
use Server::Trial qw(trial);
use Time::HiRes qw(sleep);

my $PASSWORD = 'correct horse battery staple';
my $beanstalkd = Server::Beanstalkd->start;
my $first = Server::SaslGate->start(backend => "127.0.0.1:$beanstalkd->{port}");
my $printed = $first->run($first->binary, 'token', 'fred', '--tokens', $first->dir . '/tokens');
my ($token) = $printed =~ /^([0-9a-f]{64})$/m;
my $gate = Server::SaslGate->start(
  backend => "127.0.0.1:$beanstalkd->{port}",
  users => { fred => [$PASSWORD] },
  lines => "tokens = '" . $first->dir . "/tokens'\nplaintext = true\n"
    . "mechanisms = 'PLAIN LOGIN OAUTHBEARER XOAUTH2 SCRAM-SHA-256'\n",
  limits => "failures_per_address = 1000\n",
);

# Finds these secrets in the gateway's writable memory, with the names of the mappings. A part of a secret is enough: the rest of a
# copy may have been overwritten.
sub found {
  my (%secret) = @_;
  my %part;
  for my $what (keys %secret) {
    my @part = map { quotemeta substr $secret{$what}, $_, 10 } 0 .. length($secret{$what}) - 10;
    $part{$what} = do { my $any = join '|', @part; qr/$any/ };
  }
  my $pid = $gate->pid;
  open my $maps, '<', "/proc/$pid/maps" or die "maps: $!";
  open my $memory, '<:raw', "/proc/$pid/mem" or die "mem: $!";
  my @found;
  while (my $map = <$maps>) {
    my ($begin, $end, $name) = $map =~ /^([0-9a-f]+)-([0-9a-f]+) rw\S+ \S+ \S+ \S+\s*(.*)$/ or next;
    no warnings 'portable';
    my ($at, $size) = (hex $begin, hex($end) - hex $begin);
    for (my $offset = 0; $offset < $size; $offset += 1 << 20) {
      sysseek $memory, $at + $offset, SEEK_SET or last;

      # Pieces overlap, so that no secret is missed at a boundary.
      sysread $memory, my $piece, ($size - $offset < (1 << 20) + 256 ? $size - $offset : (1 << 20) + 256) or next;
      for my $what (sort keys %secret) {
        push @found, "$what in " . ($name || 'memory without a name') while $piece =~ /$part{$what}/g;
      }
    }
  }
  return @found;
}

trial 'the search itself' => sub {
  my $socket = connect_to($gate->dir . '/socket');
  say_raw($socket, "auth-start PLAIN 100\r\n\0fred\0$PASSWORD");
  ok $gate->metric_becomes(unauthenticated_connections => 1), 'a password on its way';
  sleep 0.5;
  ok scalar(found(password => $PASSWORD)), 'is found where it is kept';
  close $socket;
  ok $gate->metric_becomes(unauthenticated_connections => 0), 'its client is gone';
  is_deeply [found(password => $PASSWORD)], [], '... and so is the password';
};

for my $place ("127.0.0.1:$gate->{port}", $gate->dir . '/socket') {
  for my $mechanism (qw(PLAIN LOGIN OAUTHBEARER XOAUTH2)) {
    trial "$mechanism at $place" => sub {
      my $name = $mechanism =~ /OAUTH/ ? 'token' : 'pass';
      my $secret = $name eq 'token' ? $token : $PASSWORD;
      (my $wrong = $secret) =~ tr/a-e0-8/b-f1-9/;
      for my $case ([$secret, 1], [$wrong, '']) {
        for my $try (1, 2) {
          my ($socket) = login(connect_to($place), mechanism => $mechanism, user => 'fred', $name => $case->[0]);
          is $socket ? 1 : '', $case->[1], $case->[1] ? 'in' : 'refused' or last;
        }
      }
      ok $gate->metric_becomes(relaying_connections => 0), 'all have ended';
      ok $gate->metric_becomes(unauthenticated_connections => 0), '... and those that were refused';
      is_deeply [found(right => $secret, wrong => $wrong)], [], 'no secret is left';
    };
  }
}

done_testing;
