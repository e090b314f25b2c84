# Clients that hold connections of sasl-gate, and the cost: unauthenticated clients, and clients that have gone.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use IO::Select ();
use IO::Socket::INET ();
use Server::Beanstalkd ();
use Server::JobTalk qw(connect_to login logs_in say_raw heard heard_line all_heard job_works);
use Server::SaslGate ();
use Server::Trial qw(trial);
use Time::HiRes qw(sleep time);

my $beanstalkd = Server::Beanstalkd->start;
my $backend = "127.0.0.1:$beanstalkd->{port}";

# Connects from another address of this machine.
sub connect_from {
  my ($from, $port) = @_;
  return IO::Socket::INET->new(LocalAddr => $from, PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 10)
    || die "$from: $@";
}

# The connections that the gateway has not closed.
sub open_ones {
  my (@socket) = @_;
  sleep 0.5;
  my %ended = map { $_ => 1 } IO::Select->new(@socket)->can_read(0);
  return grep { !$ended{$_} } @socket;
}

trial 'strangers from a few addresses' => sub {
  my $gate = Server::SaslGate->start(backend => $backend, limits => "connections = 60\n");
  my ($place, $port) = ("127.0.0.1:$gate->{port}", $gate->{port});
  my @in = map { (login(connect_to($place), user => 'fred', pass => 'pencil'))[0] } 1 .. 3;
  my %held;
  for my $round (1 .. 30) {
    for my $from (2 .. 5) { push @{ $held{$from} }, connect_from("127.0.0.$from", $port) }
  }
  my @open = open_ones(map { @$_ } values %held);
  cmp_ok scalar @open, '<', 30, 'do not get all places that strangers have, ' . @open . ' of 30';
  is job_works($_), '', 'authenticated clients can work' for @in;
  my ($in, $auth) = login(connect_to($place), user => 'fred', pass => 'pencil');
  ok $in && job_works($in) eq '', '... and a client from another address can log in' or diag $auth->error;
};

trial 'strangers from many addresses' => sub {
  my $gate = Server::SaslGate->start(backend => $backend, limits => "connections = 20\nunauthenticated = 8\n");
  my ($place, $port) = ("127.0.0.1:$gate->{port}", $gate->{port});
  my @in = map { (login(connect_to($place), user => 'fred', pass => 'pencil'))[0] } 1 .. 4;
  my @held = map { connect_from("127.0.0.$_", $port) } 2 .. 30;
  is scalar(open_ones(@held)), 8, 'get those places and no more';
  is job_works($_), '', 'authenticated clients can work' for @in;
  ok $gate->logs('limits.unauthenticated is reached'), 'the log reports it';
  @held = ();
  ok $gate->metric_becomes(unauthenticated_connections => 0), 'places are given back';
  ok logs_in($place, user => 'fred', pass => 'pencil'), '... and given again';
};

trial 'tokens that are never complete' => sub {
  my $gate = Server::SaslGate->start(backend => $backend, lines => "plaintext = true\n");
  my $kib = sub {
    open my $status, '<', '/proc/' . $gate->pid . '/status' or die "no process: $!";
    my ($kib) = map { /^RssAnon:\s+(\d+)/ ? $1 : () } <$status>;
    return $kib;
  };
  my $hold = sub {
    my $socket = connect_from($_[0], $gate->{port});
    say_raw($socket, "auth-start PLAIN 12288\r\n" . 'x' x 12_287);
    return $socket;
  };
  my @first = map { $hold->("127.0.1.$_") } 1 .. 50;
  sleep 1;
  my ($before, $count) = ($kib->(), 1000);
  my @held = map { $hold->('127.0.2.' . (1 + $_ % 50)) } 1 .. $count;
  ok $gate->metric_becomes(unauthenticated_connections => $count + 50), 'are held';
  sleep 1;
  my $each = ($kib->() - $before) / $count;
  cmp_ok $each, '<', 16, sprintf '... at less than 16 KiB each, %.1f', $each;
  my $big = connect_to("127.0.0.1:$gate->{port}");
  say_raw($big, "auth-start PLAIN 12289\r\n");
  is all_heard($big), "TOO_BIG\r\n", 'longer ones must be configured';
};

# A backend that answers requests, and never closes.
trial 'a client that has gone, and a backend that keeps its side' => sub {
  my $listener = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die "no socket: $@";
  my $gate = Server::SaslGate->start(backend => '127.0.0.1:' . $listener->sockport,
    limits => "half_closed_seconds = 1\n");
  my $place = "127.0.0.1:$gate->{port}";
  my ($leaves) = login(connect_to($place), user => 'fred', pass => 'pencil');
  my ($listens) = login(connect_to($place), user => 'fred', pass => 'pencil');
  my ($stays) = login(connect_to($place), user => 'fred', pass => 'pencil');
  my @kept = map { scalar $listener->accept } 1 .. 3;
  close $leaves;
  shutdown $listens, 1;
  my $end = time + 3;
  while (time < $end) { say_raw($kept[1], 'x'); sleep 0.2 }
  ok $gate->metric_becomes(relaying_connections => 2), 'the pair ends';
  is all_heard($kept[0], 3), '', '... which the backend sees';
  like heard($listens, 10), qr/\Ax{10}\z/, 'a client that listens on is served as long as there is something to hear';
  ok $gate->metric_becomes(relaying_connections => 1), '... and no longer';
  say_raw($stays, "more\n");
  is heard_line($kept[2]), "more\n", 'whoever has not ended stays, silent or not';
};

done_testing;
