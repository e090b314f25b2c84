# sasl-gate hands its listening sockets to a new process, and takes them from systemd: no client is refused meanwhile.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use IO::Select ();
use IO::Socket::INET ();
use IO::Socket::UNIX ();
use POSIX ();
use Server::Beanstalkd ();
use Server::JobTalk qw(connect_to login logs_in all_heard job_works);
use Server::SaslGate ();
use Server::Trial qw(trial);
use Socket qw(SOCK_DGRAM);
use Time::HiRes qw(sleep time);

my $beanstalkd = Server::Beanstalkd->start;
my $backend = "127.0.0.1:$beanstalkd->{port}";
my @fred = (user => 'fred', pass => 'pencil');

# Waits until a condition holds.
sub becomes {
  my ($condition) = @_;
  for my $try (1 .. 200) { return 1 if $condition->(); sleep 0.05 }
  return;
}

# Replaces the gateway's newest process, and waits until the new one has taken over.
sub replace {
  my ($gate) = @_;
  my ($old) = reverse $gate->processes;
  my $text = 'replaced by a new process';
  my $before = () = $gate->log_text =~ /$text/g;
  kill USR2 => $old or die "kill: $!";
  becomes(sub { (() = $gate->log_text =~ /$text/g) > $before }) or die "not replaced\n" . $gate->log_text;
  my ($new) = reverse $gate->processes;
  return $new != $old;
}

trial 'logins during ten restarts' => sub {
  my $gate = Server::SaslGate->start(backend => $backend, supervised => 1, lines => "threads = 1\n", limits => "drain_seconds = 60\n");
  my $place = "127.0.0.1:$gate->{port}";
  my ($stays) = login(connect_to($place), @fred);
  my $count = 10_000;
  pipe my $reader, my $writer or die "pipe: $!";
  my $pid = fork // die "fork: $!";
  if (!$pid) {
    open STDOUT, '>&', $writer;
    open STDERR, '>&', $writer;
    exec $gate->load, 'logins', "address=$place", 'user=fred', 'password=pencil', "count=$count", 'threads=2' or POSIX::_exit(1);
  }
  close $writer;
  my ($restarts, $during) = (0, 0);
  for (1 .. 10) {
    $restarts++ if replace($gate);
    $during++ unless IO::Select->new($reader)->can_read(0);
    ok logs_in($gate->dir . '/socket', @fred), "restart $_: the Unix socket works";
  }
  is $restarts, 10, 'each restart has a new process';
  cmp_ok $during, '>=', 3, "... $during of them while clients log in";
  my $said = do { local $/; <$reader> };
  waitpid $pid, 0;
  like $said, qr/^logins=$count /, "all of $count logins succeed" or diag $gate->log_text;
  is job_works($stays), '', 'a client of the first process is still served';
  close $stays;
  ok becomes(sub { $gate->processes == 1 }), 'the old processes end when their clients are gone';
  ok logs_in($place, @fred), 'the last one serves on';
};

trial 'a client that stays' => sub {
  my $gate = Server::SaslGate->start(backend => $backend, supervised => 1, limits => "drain_seconds = 1\n");
  my ($stays) = login(connect_to("127.0.0.1:$gate->{port}"), @fred);
  replace($gate);
  is all_heard($stays, 8), '', 'is disconnected after drain_seconds';
  ok becomes(sub { $gate->processes == 1 }), 'the old process ends';
  ok logs_in($_, @fred), "$_ is served by the new one" for "127.0.0.1:$gate->{port}", $gate->dir . '/socket';
  is $gate->metric('logins_total'), 2, '... which counts its own';
};

trial 'a new configuration' => sub {
  my $gate = Server::SaslGate->start(backend => $backend, supervised => 1);
  my $port = $gate->free_port;
  $gate->{head} =~ s/listen = \[/listen = ['127.0.0.1:$port', /;
  $gate->configure(lines => "threads = 1\n");
  replace($gate);
  ok logs_in("127.0.0.1:$_", @fred), "port $_ works" for $gate->{port}, $port;
  $gate->configure(lines => "no_such_setting = 1\n");
  my ($old) = $gate->processes;
  kill USR2 => $old or die "kill: $!";
  ok $gate->logs('cannot start a new process; this one goes on'), 'with a wrong one';
  ok $gate->logs('no_such_setting'), '... the log has the reason';
  is_deeply [$gate->processes], [$old], '... the old process stays';
  ok logs_in("127.0.0.1:$gate->{port}", @fred), '... and works';
  $gate->configure(lines => "threads = 1\n");
  replace($gate);
  ok logs_in("127.0.0.1:$gate->{port}", @fred), 'with a good one again it is replaced';
};

trial '/healthz' => sub {
  my $gate = Server::SaslGate->start(backend => $backend, limits => "drain_seconds = 20\n");
  like $gate->http('/healthz'), qr{\AHTTP/1\.1 200 OK\r\n.*\r\n\r\nok\n\z}s, 'a gateway that accepts clients is healthy';
  like $gate->http('/other'), qr{\AHTTP/1\.1 404 }, 'there is nothing else';
  my ($stays) = login(connect_to("127.0.0.1:$gate->{port}"), @fred);
  my $pid = $gate->pid;
  $gate->signal('TERM');
  ok $gate->logs('draining'), 'while it drains';
  like $gate->http('/healthz'), qr{\AHTTP/1\.1 503 .*\r\n\r\ndraining\n\z}s, '... it is not';
  is $gate->metric('relaying_connections'), 1, '... and the metrics are still served';
  close $stays;
  ok becomes(sub { !-e "/proc/$pid" }), 'then it ends';
};

# What systemd is told.
trial 'notifications' => sub {
  my $heard = sub { my ($socket) = @_; return '' unless IO::Select->new($socket)->can_read(10); $socket->recv(my $text, 100); return $text };
  my $prefix = "/tmp/sasl-gate-notify-$$";
  my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $prefix) or die "$prefix: $!";
  my $gate = do {
    local $ENV{NOTIFY_SOCKET} = $prefix;
    Server::SaslGate->start(backend => $backend, supervised => 1);
  };
  is $heard->($socket), 'READY=1', 'ready';
  replace($gate);
  my ($new) = reverse $gate->processes;
  is $heard->($socket), "MAINPID=$new", 'replaced';
  kill TERM => $new;
  is $heard->($socket), 'STOPPING=1', 'stopping';
  unlink $prefix;
};

trial 'sockets of systemd' => sub {
  my $gate = Server::SaslGate->start(backend => $backend);
  my ($port, $path) = ($gate->free_port, $gate->dir . '/of-systemd');
  my $start = sub {
    my (@listen) = @_;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
      open STDERR, '>', $gate->dir . '/activated' or die;
      exec 'systemd-socket-activate', (map { ('-l', $_) } "127.0.0.1:$port", $path), $gate->binary, '--users', $gate->dir . '/users',
        '--backend', $backend, map { ('--listen', $_) } @listen or POSIX::_exit(1);
    }
    becomes(sub { -S $path }) or die 'no socket';
    return $pid;
  };
  my $said = sub { open my $file, '<', $gate->dir . '/activated' or die; local $/; return scalar <$file> };
  my $pid = $start->("127.0.0.1:$port", "unix:$path");
  ok logs_in("127.0.0.1:$port", @fred), 'the first connection starts the gateway, and is served';
  ok logs_in($path, @fred), 'the Unix socket too';
  kill TERM => $pid;
  waitpid $pid, 0;
  is $?, 0, 'it ends well';
  ok -S $path, '... and leaves the socket of systemd in place';
  unlink $path;
  $pid = $start->("127.0.0.1:$port");
  my $socket = connect_to("127.0.0.1:$port");
  waitpid $pid, 0;
  isnt $?, 0, 'a socket that no setting names';
  like $said->(), qr{systemd has handed over the socket unix:\Q$path\E, which no setting names}, '... is an error';
  unlink $path;
};

trial 'variables that are not for this process' => sub {
  local @ENV{qw(LISTEN_FDS LISTEN_PID)} = (1, $$);
  my $gate = Server::SaslGate->start(backend => $backend);
  ok logs_in("127.0.0.1:$gate->{port}", @fred), 'are ignored';
};

done_testing;
