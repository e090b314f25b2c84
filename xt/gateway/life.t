# sasl-gate from its start to its end: configuration, rules, TLS, reload and drain.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use IO::Socket::SSL ();
use Server::Beanstalkd ();
use Server::JobTalk qw(connect_to login logs_in say_raw heard heard_line all_heard job_works);
use Server::SaslGate ();
use Server::Trial qw(trial);
use Time::HiRes qw(sleep time);

my $first = Server::Beanstalkd->start;
my $second = Server::Beanstalkd->start;
my $gate = Server::SaslGate->start(
  backend => "127.0.0.1:$first->{port}",
  tls => 1,
  users => { fred => ['pencil'], 'worker-1' => ['stone'], stranger => ['glass'] },
  limits => "drain_seconds = 3\n",
  tables => "[backends]\nlow = '127.0.0.1:$second->{port}'\n"
    . "[[access]]\nusers = ['worker-*']\nbackend = 'low'\n[[access]]\nusers = ['fred', 'anna', 'chris']\n",
);
my $address = "127.0.0.1:$gate->{port}";

sub current_jobs {
  my ($beanstalkd) = @_;
  my $socket = connect_to("127.0.0.1:$beanstalkd->{port}");
  say_raw($socket, "stats\r\nquit\r\n");
  return all_heard($socket) =~ /^total-jobs: (\d+)/m ? $1 : undef;
}

trial 'rules' => sub {
  for my $case (['fred', 'pencil', 1, 0], ['worker-1', 'stone', 0, 1]) {
    my ($user, $pass, @more) = @$case;
    my @before = map { current_jobs($_) } $first, $second;
    my ($socket, $auth) = login(connect_to($address), user => $user, pass => $pass);
    is job_works($socket), '', "$user works";
    is_deeply [map { current_jobs($_) } $first, $second], [$before[0] + $more[0], $before[1] + $more[1]],
      '... at the right backend';
  }
  # A soft hyphen, which SASLprep removes: the same user in another spelling.
  my $spelled = connect_to($gate->dir . '/socket');
  my $message = "\0wor\xc2\xadker-1\0stone";
  my @before = map { current_jobs($_) } $first, $second;
  say_raw($spelled, 'auth-start PLAIN ' . length($message) . "\r\n$message\r\n");
  is heard_line($spelled), "OK\r\n", 'a name in another spelling can log in';
  is job_works($spelled), '', '... to work';
  is_deeply [map { current_jobs($_) } $first, $second], [$before[0], $before[1] + 1], '... where the name belongs';
  my ($socket, $auth) = login(connect_to($address), user => 'stranger', pass => 'glass');
  ok !$socket, 'a user that no rule matches is refused';
  like $auth->error, qr/UNAUTHORIZED/, '... with the same word as a wrong password';
};

trial 'TLS' => sub {
  my $open = sub {
    return IO::Socket::SSL->new(PeerAddr => "127.0.0.1:$gate->{tls_port}", SSL_ca_file => $gate->dir . '/cert.pem',
      SSL_verifycn_name => 'localhost', SSL_verifycn_scheme => 'none') || die "TLS: $IO::Socket::SSL::SSL_ERROR";
  };
  my $raw = $open->();
  print {$raw} "auth-list-mechanisms\r\n";
  is heard_tls($raw, 47), "OK 38\r\nSCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN\r\n", 'channel binding and PLAIN are offered';
  my ($plain, $refused) = login(connect_to($address), mechanism => 'PLAIN', user => 'fred', pass => 'pencil');
  ok !$plain, 'PLAIN is not, without TLS';
  like $refused->error, qr/the server offers SCRAM-SHA-256, and PLAIN is wanted/, '... as it is not offered';
  for my $mechanism ('PLAIN', 'SCRAM-SHA-256') {
    my ($socket, $auth) = login($open->(), mechanism => $mechanism, user => 'fred', pass => 'pencil',
      options => { externalssf => 256, channel_binding_policy => 'disable' });
    ok $socket, "$mechanism works" or diag $auth->error, $gate->log_text;
    print {$socket} "list-tube-used\r\n";
    is heard_tls($socket, 15), "USING default\r\n", 'and the backend answers';
  }
  my $tls = $open->();
  my ($bound, $auth) = login($tls, user => 'fred', pass => 'pencil', options => { externalssf => 256, tls => $tls });
  ok $bound, 'channel binding works' or diag $auth->error, $gate->log_text;
  is $auth->mechanism, 'SCRAM-SHA-256-PLUS', '... and is preferred';
  my $noise = connect_to("127.0.0.1:$gate->{tls_port}");
  say_raw($noise, "auth-list-mechanisms\r\n");
  unlike all_heard($noise), qr/OK/, 'nothing is said without TLS at its port';
};

sub heard_tls {
  my ($socket, $size) = @_;
  my $all = '';
  while (length $all < $size) { $socket->sysread($all, $size - length $all, length $all) or last }
  return $all;
}

trial 'reload while clients are authenticated' => sub {
  my ($before) = login(connect_to($address), user => 'fred', pass => 'pencil');
  $gate->write_users({ fred => ['crayon'], anna => ['bell'] });
  $gate->signal('HUP');
  ok $gate->metric_becomes(reloads_total => 1), 'it has been loaded';
  is job_works($before), '', 'authenticated clients stay authenticated';
  ok !logs_in($address, user => 'fred', pass => 'pencil'), 'the old password is not taken any more';
  ok logs_in($address, user => 'fred', pass => 'crayon'), 'the new one is';
  ok logs_in($address, user => 'anna', pass => 'bell'), 'the new user is';
  $gate->write_secret('users', "fred:hunter2\n");
  $gate->signal('HUP');
  ok $gate->metric_becomes(reload_errors_total => 1), 'a wrong file is refused';
  ok $gate->logs('line 1: a verifier was expected after the name: SCRAM-<hash>$iterations:salt$StoredKey:ServerKey'), 'with its line';
  unlike $gate->log_text, qr/hunter2/, 'and without its secret';
  ok logs_in($address, user => 'anna', pass => 'bell'), 'the configuration from before stays';
};

my @check_users = ($gate->binary, '--config', $gate->dir . '/gate.toml', '--check');
trial '--check' => sub {
  my @check = ($gate->binary, '--config', $gate->dir . '/gate.toml', '--check');
  ok !eval { $gate->run(@check); 1 }, 'fails on a wrong file of users';
  like $@, qr{users: line 1}, '... and names the line';
  $gate->write_users({ fred => ['crayon'] });
  like $gate->run(@check), qr/OK: 1 users, mechanisms .*SCRAM-SHA-256/, 'succeeds on a good one';
  ok !eval { $gate->run(@check, '--backend', 'nowhere'); 1 }, 'and knows addresses';
  like $gate->run($gate->binary, '--help'), qr/--users.*--listen.*--backend.*--check.*SIGHUP.*^\[limits\]/ms, '--help has all';
};

# The state of a file while it is being renewed.
trial 'a certificate that is broken, or not of its key' => sub {
  my %good = map { $_ => $gate->run('cat', $gate->dir . "/$_") } 'cert.pem', 'key.pem';
  my $errors = $gate->metric('reload_errors_total');
  my ($half) = $good{'cert.pem'} =~ /\A(.{100})/s;
  my $other = $gate->run(qw(openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256));
  for my $case (['cert.pem', $half, 'half of it'], ['cert.pem', '', 'nothing'], ['key.pem', $other, 'another key']) {
    my ($name, $text, $what) = @$case;
    $gate->write_secret($name, $text);
    $gate->signal('HUP');
    ok $gate->metric_becomes(reload_errors_total => ++$errors), "$what: is refused";
    $gate->write_secret($name, $good{$name});
    my $tls = IO::Socket::SSL->new(PeerAddr => "127.0.0.1:$gate->{tls_port}", SSL_ca_file => $gate->dir . '/cert.pem',
      SSL_verifycn_name => 'localhost', SSL_verifycn_scheme => 'none');
    ok $tls, '... and what was there serves on' or diag $IO::Socket::SSL::SSL_ERROR;
  }
  ok $gate->logs('cert.pem: '), 'the log names the file';
};

trial 'passwords in the file' => sub {
  my @passwd = ('/bin/sh', '-c', 'p=$1; shift; echo "$p" | exec "$0" passwd --users "$@"', $gate->binary);
  my $users = $gate->dir . '/users';
  is $gate->run(@passwd, 'stone', $users, 'chris'), '', 'a new user says nothing';
  is $gate->run(@passwd, 'lead', $users, '--mechanism', 'SCRAM-SHA-1', 'chris'), '', 'nor does another password and hash';
  is + (stat $users)[2] & 0777, 0600, 'the file is for its owner alone';
  like $gate->run(@check_users), qr/OK: 2 users, mechanisms .*SCRAM-SHA-256.*SCRAM-SHA-1\b/, 'and good';
  $gate->signal('HUP');
  ok $gate->metric_becomes(reloads_total => 2), 'it is loaded';
  ok logs_in($address, mechanism => 'SCRAM-SHA-1', user => 'chris', pass => 'lead'), 'the second password is taken';
  ok !logs_in($address, mechanism => 'SCRAM-SHA-1', user => 'chris', pass => 'stone'), 'the first is not';
  ok !eval { $gate->run(@passwd, 'lead', $users, 'chr:is'); 1 }, 'a name that cannot be is refused';
  chmod 0644, $users;
  ok !eval { $gate->run(@check_users); 1 }, 'so is a file that others can read';
  like $@, qr/others can read or write it/, '... with that reason';
  chmod 0600, $users;
};

# gateway/src/manual.rs tests that it names every option and setting.
trial 'the manual' => sub {
  is $gate->run('podchecker', 'docs/sasl-gate.pod'), "docs/sasl-gate.pod pod syntax OK.\n", 'is well formed';
  my $page = $gate->run('pod2man', '--section=1', '--errors=die', 'docs/sasl-gate.pod');
  like $page, qr/^\.TH SASL-GATE 1 .*^\.SH "?NAME"?\nsasl\\-gate \\- .*^\.SH "?OPTIONS.*^\.SH "?SETTINGS/mis, 'and makes a man page';
};

trial 'several gateways share nothing' => sub {
  my $other = Server::SaslGate->start(backend => "127.0.0.1:$first->{port}");
  my $port = $other->{port};
  my @socket = map { (login(connect_to("127.0.0.1:$_->[0]"), user => 'fred', pass => $_->[1]))[0] }
    [$gate->{port}, 'crayon'], [$port, 'pencil'];
  say_raw($socket[0], "put 0 0 60 1\r\nx\r\n");
  like heard_line($socket[0]), qr/\AINSERTED/, 'a job put through one';
  say_raw($socket[1], "reserve-with-timeout 5\r\n");
  like heard_line($socket[1]), qr/\ARESERVED/, 'is reserved through the other';
};

# Authenticated clients finish their work, new ones cannot connect; a client that does not finish is disconnected.
trial 'drain' => sub {
  my ($working) = login(connect_to($address), user => 'fred', pass => 'crayon');
  my ($waiting) = login(connect_to($address), user => 'fred', pass => 'crayon');
  my $begin = time;
  $gate->signal('TERM');
  ok $gate->logs('draining'), 'it drains';
  ok !IO::Socket::INET->new(PeerAddr => $address, Timeout => 2), 'no new client can connect';
  is job_works($working), '', 'authenticated clients can still work';
  close $working;
  is all_heard($waiting, 8), '', 'a client that stays is disconnected';
  cmp_ok time - $begin, '>', 2.5, 'but not before the time is over';
  cmp_ok time - $begin, '<', 6, 'nor long after it';
};
unlike $gate->log_text, qr/panicked|pencil|crayon/, 'no panic, no password in the log';

done_testing;
