# Many clients at the same time: 5,000 connections with jobs, 200,000 jobs with and without the gateway, logins and jobs while
# it reloads, jobs while it ends.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use IO::Socket::INET ();
use IO::Socket::SSL ();
use Server::JobTalk qw(login);
use Server::Beanstalkd ();
use Server::SaslGate ();

my $beanstalkd = Server::Beanstalkd->start;
my $gate = Server::SaslGate->start(backend => "127.0.0.1:$beanstalkd->{port}",
  limits => "unauthenticated_per_address = 10000\n");
my @through = ("address=127.0.0.1:$gate->{port}", 'user=fred', 'password=pencil');
my @direct = ("address=127.0.0.1:$beanstalkd->{port}");

# Returns the figures that the program prints; it fails at any wrong reply or body.
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
ok $gate->metric_becomes(relaying_connections => 0), 'all of them end';

# The same under TLS, with fewer connections, because this process holds the other ends.
{
  my $tls = Server::SaslGate->start(backend => "127.0.0.1:$beanstalkd->{port}", tls => 1);
  my $enter = sub {
    my $socket = IO::Socket::SSL->new(PeerAddr => "127.0.0.1:$tls->{tls_port}", SSL_verify_mode => 0) or die $IO::Socket::SSL::SSL_ERROR;
    my ($in, $auth) = login($socket, mechanism => 'PLAIN', user => 'fred', pass => 'pencil', options => { externalssf => 256 });
    die $auth->error unless $in;
    return $in;
  };
  my @in = $enter->();
  my $resident = sub {
    open my $file, '<', '/proc/' . $tls->pid . '/status' or die "status: $!";
    return 1024 * (map { /^VmRSS:\s+(\d+)/ } <$file>)[0];
  };
  my $before = $resident->();
  push @in, map { $enter->() } 1 .. 300;
  my $each = ($resident->() - $before) / 300;
  print { $in[-1] } "list-tube-used\r\n";
  like $in[-1]->getline, qr/\AUSING/, '300 connections are in at once under TLS';
  diag sprintf 'TLS: %.0f bytes each', $each;
  cmp_ok $each, '<', 24 * 1024, 'each costs less than 24 KiB';
}

my $direct = load('jobs', @direct, 'count=200000', 'size=4096', 'threads=2', 'depth=16');
my $relayed = load('jobs', @through, 'count=200000', 'size=4096', 'threads=2', 'depth=16');
is $relayed->{jobs}, 200_000, '200,000 jobs go through, each as it was';
diag sprintf 'relayed to direct: %.2f', $relayed->{per_second} / $direct->{per_second};

# Logins continue while the configuration is reloaded repeatedly.
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
cmp_ok $gate->metric('reloads_total'), '>', 5, 'which it did';
is $gate->metric('login_failures_total'), 0, 'and none was refused';

# Runs a load of jobs in a separate process; its output comes through the handle.
sub load_beside {
  my @arguments = @_;
  my $pid = open my $output, '-|', $gate->load, @arguments or die "gate-load: $!";
  return $output;
}

# Jobs run while it reloads; then it is told to end while others run: these are completed.
for my $signal ('HUP', 'TERM') {
  alarm 200;
  my $before = $gate->metric('client_bytes_total');
  my $output = load_beside('jobs', @through, 'count=30000', 'size=4096', 'threads=2', 'depth=16');
  until ($gate->metric('client_bytes_total') > $before + 5_000_000) { select undef, undef, undef, 0.02 }
  for (1 .. ($signal eq 'HUP' ? 10 : 1)) { $gate->signal($signal); select undef, undef, undef, 0.02 }
  ok $gate->logs('draining'), 'it drains' if $signal eq 'TERM';
  ok !IO::Socket::INET->new(PeerAddr => "127.0.0.1:$gate->{port}"), 'no new client can connect' if $signal eq 'TERM';
  my $line = <$output>;
  ok close($output), "SIG$signal: no job is lost or changed";
  like $line, qr/\Ajobs=30000 /, '... of all';
  alarm 0;
}
ok $gate->logs('ending connections=0'), 'it ends when the last has ended';
unlike $gate->log_text, qr/panicked/, 'no panic';

done_testing;
