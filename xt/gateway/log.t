# The output for the operator of sasl-gate: the log and the metrics.

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

my $beanstalkd = Server::Beanstalkd->start;
my $backend = "127.0.0.1:$beanstalkd->{port}";
my $gate = Server::SaslGate->start(backend => $backend, lines => "plaintext = true\n",
  limits => "failures_per_address = 100000\nfailures_per_connection = 100000\n");
my $address = "127.0.0.1:$gate->{port}";

sub plain {
  my ($user, $password) = @_;
  my $message = "\0$user\0$password";
  return 'auth-start PLAIN ' . length($message) . "\r\n$message\r\n";
}

# The lines of the log that contain all of these.
sub lines {
  my (@words) = @_;
  return grep { my $line = $_; !grep { index($line, $_) < 0 } @words } split /^/, $gate->log_text;
}

trial 'a login that fails' => sub {
  my $socket = connect_to($address);
  my $peer = $socket->sockhost . ':' . $socket->sockport;
  say_raw($socket, plain("eve\e[31m\n\" user=\"fred\xe2\x80\xae", 'crayon') . plain('fred', 'crayon') . "auth-start NONE\r\n");
  is heard($socket, 42), "UNAUTHORIZED\r\n" x 3, 'is refused';
  ok $gate->logs('NONE: not offered'), 'and logged';
  my ($line) = lines('not authenticated', "peer=\"$peer\"", 'mechanism="PLAIN"', 'user="fred"', 'wrong password or unknown user');
  ok $line, '... with peer, mechanism, user and reason' or diag $gate->log_text;
  is scalar(lines('eve')), 0, 'a name that SASLprep forbids does not get that far, or is escaped'
    or like +(lines('eve'))[0], qr/user="eve\\u\{1b\}\[31m\\n\\" user=\\"fred\\u\{202e\}"/, '... as a literal';
  unlike $gate->log_text, qr/\e|\xe2\x80\xae/, 'no control character reaches the log';
  my ($other) = lines('not authenticated', 'NONE: not offered');
  unlike $other, qr/user=/, 'no name is carried over to the next exchange';
};

trial 'the end of a session' => sub {
  my ($socket) = login(connect_to($address), user => 'fred', pass => 'pencil');
  my $peer = $socket->sockhost . ':' . $socket->sockport;
  say_raw($socket, "list-tube-used\r\n");
  is heard($socket, 15), "USING default\r\n", 'a session';
  sleep 1.1;
  say_raw($socket, "quit\r\n");
  all_heard($socket);
  close $socket;
  ok $gate->logs("bytes_in=22"), 'is logged with its bytes';
  my ($line) = lines('ended', 'bytes_in=22', 'bytes_out=15', "peer=\"$peer\"", 'user="fred"');
  like $line, qr/seconds=[1-9]/, '... its user, peer and duration' or diag $gate->log_text;
};

trial 'verbose' => sub {
  my $noise = sub { my $socket = connect_to($address); say_raw($socket, "GET / HTTP/1.1\r\n\r\n"); all_heard($socket) };
  for my $case ([1, 'true'], [2, 'false']) {
    my ($reloads, $verbose) = @$case;
    my $before = () = lines('a command before authentication');
    $gate->configure(lines => "plaintext = true\nverbose = $verbose\n");
    $gate->signal('HUP');
    ok $gate->metric_becomes(reloads_total => $reloads), "reloaded with $verbose";
    $noise->();
    login(connect_to($address), user => 'fred', pass => "crayon-$reloads");
    sleep 0.2;
    my $after = () = lines('a command before authentication');
    is $after - $before, $verbose eq 'true' ? 1 : 0, '... which counts at once';
  }
};

trial 'many that are turned away' => sub {
  my $small = Server::SaslGate->start(backend => $backend, limits => "unauthenticated = 2\n");
  my $place = "127.0.0.1:$small->{port}";
  my @held = map { connect_to($_) } $place, $small->dir . '/socket';
  ok $small->metric_becomes(unauthenticated_connections => 2), 'all places are taken';
  my ($before, $begin) = ($small->metric('turned_away_total'), time);
  all_heard(connect_to($place)) for 1 .. 50;
  is $small->metric('turned_away_total'), $before + 50, 'all are counted';
  my @line = grep { /turned away/ } split /^/, $small->log_text;
  cmp_ok scalar @line, '<=', 10 * (1 + (time - $begin) / 10), 'a few are logged';
  like $_, qr/turned away: .*peer="127\.0\.0\.1:\d+"/, '... with their peer' for $line[-1];
};

# This log is not read until the last part.
trial 'a log that is not read' => sub {
  my $stalled = Server::SaslGate->start(backend => $backend, shell => 'mkfifo "$0/pipe"; exec 2<>"$0/pipe"',
    limits => "failures_per_address = 100000\nfailures_per_connection = 100000\n");
  my $place = "127.0.0.1:$stalled->{port}";
  my $socket = connect_to($place);
  my $count = 4000;
  for (1 .. $count / 50) {
    say_raw($socket, "auth-step 0\r\n\r\n" x 50) or return fail 'the gateway takes no more';
    length heard($socket, 50 * 14) == 50 * 14 or return fail 'the gateway blocks';
  }
  my $lost = $stalled->metric('log_lines_dropped_total');
  cmp_ok $lost, '>', 1000, "of $count lines $lost are dropped and counted";
  ok logs_in($place, user => 'fred', pass => 'pencil'), 'clients can log in nevertheless';
  open my $pipe, '<', $stalled->dir . '/pipe' or die "pipe: $!";
  my $read = '';
  for (1 .. 200) {
    last if $read =~ /log lines were dropped/;
    sysread $pipe, $read, 4096, length $read;
    say_raw($socket, "auth-step 0\r\n\r\n");
  }
  like $read, qr/log lines were dropped.* lines=\d+/, 'the log reports it, once it is read';
  my ($begin, $pid) = (time, $stalled->pid);
  say_raw($socket, "auth-step 0\r\n\r\n" x 3000);
  close $socket;
  $stalled->signal('TERM');
  for (1 .. 100) { last unless -e "/proc/$pid"; sleep 0.1 }
  ok !-e "/proc/$pid", 'nor does it keep the gateway from ending';
};

trial 'scrapers that say nothing' => sub {
  my @silent = map { connect_to("127.0.0.1:$gate->{metrics}") } 1 .. 48;
  my $begin = time;
  like $gate->metric('logins_total'), qr/\A\d+\z/, 'one that does is answered';
  cmp_ok time - $begin, '<', 3, '... at once';
};

trial 'lines for machines' => sub {
  my $json = Server::SaslGate->start(backend => $backend, lines => "log = 'json'\n");
  login(connect_to("127.0.0.1:$json->{port}"), user => "j\x{f6}rg", pass => 'crayon');
  ok $json->logs('not authenticated'), 'a failure is logged';
  require JSON::PP;
  my ($line) = grep { /not authenticated/ } split /^/, $json->log_text;
  my $read = JSON::PP->new->utf8->decode($line);
  is $read->{fields}{user}, "\"j\x{f6}rg\"", '... as JSON, with the name';
};

unlike $gate->log_text, qr/panicked|pencil|crayon/, 'no panic, no password in the log';

done_testing;
