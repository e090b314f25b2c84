# Many at once: 5,000 connections with jobs, 200,000 jobs through the gateway and without it, logins while it reloads.

use strict;
use warnings;
use Test::More;
use Server::Beanstalkd ();
use Server::SaslGate ();

my $beanstalkd = Server::Beanstalkd->start;
my $gate = Server::SaslGate->start(backend => "127.0.0.1:$beanstalkd->{port}",
  limits => "unauthenticated_per_address = 10000\n");
my @through = ("address=127.0.0.1:$gate->{port}", 'user=fred', 'password=pencil');
my @direct = ("address=127.0.0.1:$beanstalkd->{port}");

# The figures that the program prints; it fails at any wrong reply or body.
sub load {
  my @arguments = @_;
  alarm 200;
  my $line = $gate->run($gate->load, @arguments);
  alarm 0;
  diag join ' ', $arguments[0], grep({ !/password/ } @arguments[1 .. $#arguments]), '->', $line;
  return { $line =~ /(\w+)=([\d.]+)/g };
}

my $idle = load('idle', @through, 'count=5000', 'pid=' . $gate->pid);
is $idle->{connections}, 5000, '5,000 connections are in at once, and each relays jobs';
cmp_ok $idle->{bytes_each}, '<', 10 * 1024, 'each costs less than 10 KiB';
ok $gate->figure_becomes(relaying_connections => 0), 'all of them end';

my $direct = load('jobs', @direct, 'count=200000', 'size=4096', 'threads=2', 'depth=16');
my $relayed = load('jobs', @through, 'count=200000', 'size=4096', 'threads=2', 'depth=16');
is $relayed->{jobs}, 200_000, '200,000 jobs go through, each as it was';
diag sprintf 'relayed to direct: %.2f', $relayed->{per_second} / $direct->{per_second};

# Logins go on while the configuration is loaded again and again.
my $pid = fork;
die "fork: $!" unless defined $pid;
if (!$pid) {
  for (1 .. 20) { $gate->signal('HUP'); select undef, undef, undef, 0.05 }
  require POSIX;
  POSIX::_exit(0);
}
my $logins = load('logins', @through, 'count=5000', 'threads=4');
waitpid $pid, 0;
is $logins->{logins}, 5000, 'no login fails while the gateway reloads';
cmp_ok $gate->figure('reloads_total'), '>', 5, 'which it did';
is $gate->figure('login_failures_total'), 0, 'and none was refused';

done_testing;
