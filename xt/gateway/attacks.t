# Misbehaviour of clients and backends towards sasl-gate, accidental or deliberate.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use Server::Beanstalkd ();
use Server::JobTalk qw(connect_to login logs_in say_raw heard heard_line all_heard job_works);
use Server::SaslGate ();
use Server::Trial qw(trial);
use Time::HiRes qw(sleep time);

my $LOGIN = "auth-start PLAIN 12\r\n\0fred\0pencil\r\n";
my $beanstalkd = Server::Beanstalkd->start;
my $gate = Server::SaslGate->start(
  backend => "127.0.0.1:$beanstalkd->{port}",
  lines => "plaintext = true\n",
  limits => "login_seconds = 2\nfailures_per_address = 1000\nunauthenticated_per_address = 40\nbackend_seconds = 1\n",
);
my $address = "127.0.0.1:$gate->{port}";

sub still_works {
  my ($socket, $auth) = login(connect_to($address), user => 'fred', pass => 'pencil');
  my $wrong = $socket ? job_works($socket) : $auth->error;
  return is $wrong, '', 'the gateway still works';
}

for my $case (
  ["auth-step 65537\r\n", "TOO_BIG\r\n"],
  ["auth-start PLAIN 999999999\r\n", "TOO_BIG\r\n"],
  ["auth-start PLAIN 9999999999\r\n", "BAD_FORMAT\r\n"],
  ["auth-start PLAIN -1\r\n", "BAD_FORMAT\r\n"],
  ["auth-start PLAIN 12\n", "BAD_FORMAT\r\n"],
  ["auth-start PLAIN 11\r\n\0fred\0pencil\r\n", "EXPECTED_CRLF\r\n"],
  ['x' x 100_000, "BAD_FORMAT\r\n"],
  ["\x16\x03\x01\x02\x00\x01" x 200 . "\n", "BAD_FORMAT\r\n"],
  ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "UNAUTHORIZED\r\n"],
  ["put 0 0 60 " . length($LOGIN) . "\r\n$LOGIN\r\n", "UNAUTHORIZED\r\n"],
  ["auth-start PLAIN 12\r\n\0fred\0crayon\r\nput 0 0 60 36\r\n$LOGIN\r\n", "UNAUTHORIZED\r\nUNAUTHORIZED\r\n"],
  ["quit\r\n", ''],
  ["auth-nonsense\r\nquit\r\n", "UNKNOWN_COMMAND\r\n"],
  [join('', map { "auth-start PLAIN 12\r\n\0fred\0crayo$_\r\n" } 0 .. 8), "UNAUTHORIZED\r\n" x 3],
) {
  my ($said, $expected) = @$case;
  (my $name = substr $said, 0, 50) =~ s/[^ -~]+/ /g;
  trial "$name" => sub {
    my $socket = connect_to($address);
    say_raw($socket, $said);
    is all_heard($socket), $expected, 'the reply, and the end';
  };
}
still_works();

trial 'each byte alone' => sub {
  my $socket = connect_to($address);
  for my $byte (split //, "auth-list-mechanisms\r\n$LOGIN" . "list-tube-used\r\n") { say_raw($socket, $byte); sleep 0.002 }
  is heard_line($socket) . heard_line($socket) . heard_line($socket) . heard_line($socket),
    "OK 19\r\nSCRAM-SHA-256 PLAIN\r\nOK\r\nUSING default\r\n", 'is enough';
};

# A client that sends nothing, or sends too slowly, is disconnected in time.
trial 'silence and slowness' => sub {
  my @socket = map { connect_to($address) } 1 .. 3;
  my $begin = time;
  say_raw($socket[1], 'auth-start PLAIN 12');
  while (time - $begin < 3) {
    last unless say_raw($socket[2], 'a');
    sleep 0.2;
  }
  for my $socket (@socket[0, 1]) { is all_heard($socket, 3), '', 'closed without a word' }
  cmp_ok time - $begin, '<', 10, 'in time';
  ok defined all_heard($socket[2], 3), 'the slow one too';
  ok $gate->metric('login_timeouts_total') >= 2, 'the metrics count them';
};

trial 'connections that are not authenticated are limited' => sub {
  my $away = $gate->metric('turned_away_total');
  my @socket = map { connect_to($address) } 1 .. 60;
  ok $gate->metric_becomes(turned_away_total => 20 + $away), 'the others are turned away';
  is $gate->metric('unauthenticated_connections'), 40, 'so many and no more stay';
  undef @socket;
  ok $gate->metric_becomes(unauthenticated_connections => 0), 'clients that leave free their places';
  still_works();
};

# Random bytes, the same in each run.
trial 'garbage' => sub {
  srand 20_001;
  for my $round (1 .. 60) {
    my $socket = connect_to($address);
    my $noise = join '', map { chr int rand 256 } 1 .. int rand 2000;
    say_raw($socket, ('', 'auth-start PLAIN ', "auth-start PLAIN 500\r\n", "auth-step 3\r\n")[$round % 4] . $noise);
    shutdown $socket, 1;
    my $heard = all_heard($socket, 5);
    return fail "round $round: " . (defined $heard ? $heard : 'no end')
      unless defined $heard && $heard =~ /\A(?:(?:UNAUTHORIZED|BAD_FORMAT|EXPECTED_CRLF|UNKNOWN_COMMAND|TOO_BIG)\r\n)*\z/;
  }
  pass 'gets refusals only';
  still_works();
};

trial 'a client that does not read' => sub {
  my ($socket) = login(connect_to($address), user => 'fred', pass => 'pencil');
  my $before = $gate->metric('backend_bytes_total');
  $socket->blocking(0);
  my $asked = 0;
  for (1 .. 20_000) { $asked += syswrite($socket, "stats\r\n") || 0 }
  ok $asked > 10_000, "... of which $asked bytes are asked for";
  sleep 0.5;
  cmp_ok $gate->metric('backend_bytes_total') - $before, '>', 100_000, 'much is answered';
  my ($kib) = do { open my $file, '<', '/proc/' . $gate->pid . '/status' or die; grep { /VmRSS/ } <$file> };
  cmp_ok $kib =~ /(\d+)/ ? $1 : 1e9, '<', 60_000, 'does not fill the gateway: ' . $kib;
  still_works();
};

trial 'a backend that dies in the middle' => sub {
  my ($socket) = login(connect_to($address), user => 'fred', pass => 'pencil');
  is job_works($socket), '', 'a job works';
  $beanstalkd->stop;
  is all_heard($socket, 5), '', 'its end is passed on';
  my ($in, $auth) = login(connect_to($address), user => 'fred', pass => 'pencil');
  ok !$in, 'while it is down no login succeeds';
  like $auth->error, qr/is temporarily unavailable \(INTERNAL_ERROR\)/, 'and the client gets the reason';
  my ($wrong, $refused) = login(connect_to($address), user => 'fred', pass => 'crayon');
  like $refused->error, qr/UNAUTHORIZED/, 'a wrong password has a different error';
  $beanstalkd = Server::Beanstalkd->start(port => $beanstalkd->{port});
  still_works();
};

# The client is in the middle of sending a job's body, or waits for a big one.
trial 'a backend that dies while bytes flow' => sub {
  my ($writer) = login(connect_to($address), user => 'fred', pass => 'pencil');
  my ($reader) = login(connect_to($address), user => 'fred', pass => 'pencil');
  my $body = 'x' x 60_000;
  say_raw($reader, "put 0 0 60 60000\r\n$body\r\n" . "peek-ready\r\n" x 200);
  say_raw($writer, "put 0 0 60 60000\r\n" . substr $body, 0, 30_000);
  heard($reader, 100_000);
  my $errors = $gate->metric('backend_errors_total');
  $beanstalkd->stop;
  my $heard = all_heard($reader, 5);
  ok defined $heard, 'the reader sees the end';
  like substr($heard, 0, 1000), qr/\A[x\r\nFOUND 0-9]*\z/, '... after what the backend had said';
  local $SIG{PIPE} = 'IGNORE';
  ok defined all_heard($writer, 5), 'the writer too';
  ok $gate->metric_becomes(relaying_connections => 0), 'and the gateway has let go of both';
  is $gate->metric('backend_errors_total'), $errors, 'which is no failure to connect';
  $beanstalkd = Server::Beanstalkd->start(port => $beanstalkd->{port});
  still_works();
};

trial 'limits.connections' => sub {
  my $small = Server::SaslGate->start(backend => "127.0.0.1:$beanstalkd->{port}", limits => "connections = 3\n");
  my $place = "127.0.0.1:$small->{port}";
  ok $small->metric_becomes(relaying_connections => 0), 'no client is authenticated';
  my $away = $small->metric('turned_away_total');
  my @in = map { (login(connect_to($place), user => 'fred', pass => 'pencil'))[0] } 1 .. 2;
  push @in, connect_to($small->dir . '/socket');
  say_raw($in[2], "auth-nonsense\r\n");
  is heard_line($in[2]), "UNKNOWN_COMMAND\r\n", 'one has a place before it is authenticated';
  is all_heard(connect_to($place)), '', 'one more is turned away';
  is all_heard(connect_to($small->dir . '/socket')), '', 'on the Unix socket too';
  is $small->metric('turned_away_total'), $away + 2, 'which is counted';
  ok $small->logs('limits.connections is reached'), '... and logged';
  is job_works($in[$_]), '', 'authenticated clients can work' for 0, 1;
  pop @in;
  my $again;
  for my $try (1 .. 40) { last if $again = logs_in($place, user => 'fred', pass => 'pencil'); sleep 0.05 }
  ok $again, 'a place that is given back is given again';
};

trial 'too many failures' => sub {
  $gate->configure(limits => "failures_per_address = 4\nfailures_per_user = 4\nfailure_window = 2\n");
  $gate->signal('HUP');
  ok $gate->metric_becomes(reloads_total => 1), 'limits are loaded again';
  for my $try (1 .. 4) { login(connect_to($address), user => 'fred', pass => 'crayon') }
  is all_heard(connect_to($address)), '', 'the address is shut out';
  ok logs_in($gate->dir . '/socket', user => 'fred', pass => 'pencil'), 'the Unix socket is not';
  sleep 2.1;
  still_works();
};

# Many connections that are all open before the first failure.
trial 'too many failures at once' => sub {
  my @socket = map { connect_to($address) } 1 .. 12;
  for my $socket (@socket) {
    say_raw($socket, "auth-nonsense\r\n");
    is heard_line($socket), "UNKNOWN_COMMAND\r\n", 'one is in the dialogue';
  }
  (my $wrong = $LOGIN) =~ s/pencil/crayon/;
  my $heard = '';
  for my $socket (@socket[0 .. 9]) { say_raw($socket, $wrong); $heard .= heard_line($socket) }
  is $heard, "UNAUTHORIZED\r\n" x 4, 'so many tries are answered and no more';
  say_raw($socket[10], $LOGIN);
  is all_heard($socket[10]), '', 'the right password comes too late as well';
  sleep 2.1;
  say_raw($socket[11], "$LOGIN" . "list-tube-used\r\n");
  is heard_line($socket[11]) . heard_line($socket[11]), "OK\r\nUSING default\r\n", 'but not after the window';
};

# All of them at the same time: those that wait for their key derivation are not checked after the last failure either.
trial 'failures side by side' => sub {
  sleep 2.1;
  my $failures = $gate->metric('login_failures_total');
  my @socket = map { connect_to($address) } 1 .. 30;
  (my $wrong = $LOGIN) =~ s/pencil/crayon/;
  say_raw($_, $wrong) for @socket;
  all_heard($_, 5) for @socket;
  my $tried = $gate->metric('login_failures_total') - $failures;
  cmp_ok $tried, '<=', 4 + 2 * (grep { /^processor/ } do { open my $cpus, '<', '/proc/cpuinfo' or die; <$cpus> }),
    "of thirty, $tried were tried: what was begun already and no more";
  sleep 2.1;
  still_works();
};

unlike $gate->log_text, qr/panicked|pencil/, 'no panic, no password in the log';

done_testing;
