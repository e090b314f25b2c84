# sasl-gate connect: the login to a gateway, for clients that do not support AUTH. Gateways that log in to other gateways.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use IO::Socket::INET ();
use Server::Beanstalkd ();
use Server::JobTalk qw(connect_to login say_raw heard_line all_heard job_works);
use Server::SaslConnect ();
use Server::SaslGate ();
use Server::Trial qw(trial);
use TLS::Authority ();
use Time::HiRes qw(sleep time);

my $beanstalkd = Server::Beanstalkd->start;
my $authority = TLS::Authority->new('Example');
my ($certificate, $key) = $authority->issue('/CN=anna');
my @server = $authority->issue('/CN=gateway', 'DNS:localhost');
my ($line, $token) = split /^/, Server::SaslGate->run(Server::SaslGate::binary(), 'token', 'fred');
($line, $token) = ($token, $line) if $line !~ /:/;
my $tokens = $authority->_write('tokens', $line);
chmod 0600, $tokens or die "$tokens: $!";

my $gate = Server::SaslGate->start(
  backend => "127.0.0.1:$beanstalkd->{port}",
  tls => \@server,
  tls_lines => "client_ca = '" . $authority->certificate . "'\n",
  lines => "tokens = '$tokens'\nunix_users = { $> = 'chris' }\n",
  limits => "failures_per_address = 1000\n",
);
my ($tcp, $tls, $unix) = ("127.0.0.1:$gate->{port}", "tls:localhost:$gate->{tls_port}", 'unix:' . $gate->dir . '/socket');
my @ca = ('--backend-ca', $authority->certificate);

sub secret { return $gate->write_secret(@_) }
my @fred = ('--user', 'fred', '--password-file', secret('fred', "pencil\n"));

sub sidecar { my ($backend, @options) = @_; return Server::SaslConnect->start(backend => $backend, options => \@options) }

# The outcome of a job through the sidecar: an empty string, or what is wrong.
sub works { my ($sidecar, $path) = @_; return job_works(connect_to($path || "127.0.0.1:$sidecar->{port}")) }

# What the gateway has logged about logins since the last call.
my $seen = 0;
sub logins {
  $gate->logs('authenticated');
  my $log = $gate->log_text;
  my $new = substr $log, $seen;
  $seen = length $log;
  return join ' ', $new =~ / authenticated .*?user="(\w+)" mechanism="([\w-]+)"/g;
}

for my $case (
  ['SCRAM', $tcp, \@fred, 'fred SCRAM-SHA-256'],
  ['SCRAM with channel binding', $tls, [@ca, @fred], 'fred SCRAM-SHA-256-PLUS'],
  ['channel binding that is required', $tls, [@ca, @fred, '--mechanisms', 'SCRAM-SHA-256-PLUS'], 'fred SCRAM-SHA-256-PLUS'],
  ['PLAIN under TLS, if it is named', $tls, [@ca, @fred, '--mechanisms', 'PLAIN'], 'fred PLAIN'],
  ['a token', $tls, [@ca, '--token-file', secret('token', $token)], 'fred OAUTHBEARER'],
  ['a token on a Unix socket', $unix, ['--token-file', secret('token', $token)], 'fred OAUTHBEARER'],
  ['a certificate', $tls, [@ca, '--certificate', $certificate, '--key', $key], 'anna EXTERNAL'],
  ['a certificate, by name', $tls, [@ca, '--certificate', $certificate, '--key', $key, '--user', 'anna'], 'anna EXTERNAL'],
  ['a certificate beside a password', $tls, [@ca, @fred, '--certificate', $certificate, '--key', $key], 'fred SCRAM-SHA-256-PLUS'],
  ['the Unix socket', $unix, ['--mechanisms', 'EXTERNAL'], 'chris EXTERNAL'],
) {
  my ($name, $backend, $options, $expected) = @$case;
  trial $name => sub {
    logins();
    my $sidecar = sidecar($backend, @$options);
    is works($sidecar), '', 'a job works' or diag $sidecar->log_text, $gate->log_text;
    is logins(), $expected, '... as this user by this mechanism';
    is works($sidecar, $sidecar->dir . '/socket'), '', 'through the Unix socket too';
    is $sidecar->metric('backend_login_errors_total') + $sidecar->metric('backend_errors_total'), 0, 'no error is counted';
    $sidecar->stop;
  };
}

trial 'bytes pass unchanged' => sub {
  my $sidecar = sidecar($tls, @ca, @fred);
  my $socket = connect_to("127.0.0.1:$sidecar->{port}");
  is job_works($socket, join '', map { chr $_ % 256 } 1 .. 65_000), '', 'a big job works';
  say_raw($socket, "list-tube-used\r\n");
  shutdown $socket, 1;
  is all_heard($socket), "USING default\r\n", 'the end of the client is passed on, the answer comes';
  is $sidecar->run($sidecar->load, 'jobs', "address=127.0.0.1:$sidecar->{port}", 'count=2000') =~ /^jobs=2000 /, 1,
    '2,000 jobs come as they were';
  ok $sidecar->logs('ended'), 'the end is logged';
  like +(grep { /ended/ } split /^/, $sidecar->log_text)[0], qr/bytes_in=\d+ bytes_out=\d+ seconds=\d+/, '... with its bytes';
};

# A backend that speaks first: its words must not be lost with the OK.
trial 'a server that speaks first' => sub {
  my $listener = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die "no socket: $@";
  my $greeting = Server::SaslGate->start(backend => '127.0.0.1:' . $listener->sockport);
  my $sidecar = sidecar("127.0.0.1:$greeting->{port}", @fred);
  my $client = connect_to("127.0.0.1:$sidecar->{port}");
  my $server = $listener->accept;
  say_raw($server, "220 welcome\r\n");
  is heard_line($client), "220 welcome\r\n", 'is heard';
};

# The gateway ends with the server's own words in the same segment as OK.
trial 'words that come together with OK' => sub {
  my $listener = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die "no socket: $@";
  my $sidecar = sidecar('127.0.0.1:' . $listener->sockport, '--mechanisms', 'ANONYMOUS');
  my $client = connect_to("127.0.0.1:$sidecar->{port}");
  my $server = $listener->accept;
  heard_line($server);
  say_raw($server, "OK 9\r\nANONYMOUS\r\n");
  heard_line($server);
  say_raw($server, "OK\r\n220 welcome\r\n");
  is heard_line($client), "220 welcome\r\n", 'are passed on';
};

trial 'files are read for each login' => sub {
  my $sidecar = sidecar($tls, @ca, '--token-file', secret('renewed', 'not a token'));
  isnt works($sidecar), '', 'a wrong token is refused';
  is $sidecar->metric('backend_login_errors_total'), 1, '... and counted';
  secret('renewed', $token);
  is works($sidecar), '', 'the right one is used without a reload';
  my $path = secret('renewed', 'empty');
  open my $empty, '>', $path or die "$path: $!";
  close $empty;
  isnt works($sidecar), '', 'an empty file is refused';
  ok $sidecar->logs('renewed: empty'), '... with that reason';
  secret('renewed', $token);
  chmod 0644, $path;
  isnt works($sidecar), '', 'a file that others can read is refused';
  ok $sidecar->logs('renewed: others can read or write it'), '... with that reason';
  unlink $path;
  isnt works($sidecar), '', 'a missing file is an error of this login only';
  ok $sidecar->logs('renewed: No such file'), '... with that reason';
  secret('renewed', $token);
  is works($sidecar), '', 'after that it works again';
  unlike $sidecar->log_text, qr/\Q$token\E|not a token/, 'the log shows no token';
};

my $silent = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die "no socket: $@";
my $closed = do { my $port = Server::Daemon->free_port; "127.0.0.1:$port" };
my $other = TLS::Authority->new('Other');
for my $case (
  ['a gateway that is down', $closed, \@fred, qr/Connection refused/, 'backend_errors_total'],
  ['a wrong password', $tcp, ['--user', 'fred', '--password-file', secret('wrong', "crayon\n")],
    qr/cannot log in: .*UNAUTHORIZED/, 'backend_login_errors_total'],
  ['an unknown user', $tcp, ['--user', 'nobody', '--password-file', secret('wrong', "crayon\n")],
    qr/cannot log in: .*UNAUTHORIZED/, 'backend_login_errors_total'],
  ['a gateway without TLS', "tls:127.0.0.1:$gate->{port}", [@ca, @fred], qr/InvalidContentType|corrupt|end of file|eof/i, 'backend_errors_total'],
  ['a certificate of another CA', $tls, ['--backend-ca', $other->certificate, @fred], qr/UnknownIssuer|invalid peer certificate/, 'backend_errors_total'],
  ['a certificate of another name', "tls:127.0.0.1:$gate->{tls_port}", [@ca, @fred], qr/NotValidForName|not valid for name/, 'backend_errors_total'],
  ['a server without AUTH', "127.0.0.1:$beanstalkd->{port}", \@fred, qr/does not support AUTH/, 'backend_login_errors_total'],
  ['PLAIN without TLS', $tcp, [@fred, '--mechanisms', 'PLAIN'], qr/no mechanism|PLAIN/, 'backend_login_errors_total'],
  ['a token without TLS', $tcp, ['--token-file', secret('token', $token)], qr/OAUTHBEARER/, 'backend_login_errors_total'],
  ['channel binding that is required, without TLS', $tcp, [@fred, '--mechanisms', 'SCRAM-SHA-256-PLUS'], qr/SCRAM-SHA-256-PLUS/,
    'backend_login_errors_total'],
) {
  my ($what, $backend, $options, $reason, $metric) = @$case;
  trial $what => sub {
    my $sidecar = sidecar($backend, @$options);
    my $jobs = total_jobs();
    my $socket = connect_to("127.0.0.1:$sidecar->{port}");
    say_raw($socket, "put 0 0 60 1\r\nx\r\n");
    my $heard = all_heard($socket);
    ok defined $heard && $heard eq '', 'the client sees the end, and nothing else';
    is $sidecar->metric($metric), 1, "$metric counts it";
    ok $sidecar->metric_becomes(unauthenticated_connections => 0), 'nothing is held';
    like $sidecar->log_text, $reason, 'the log has the reason';
    unlike $sidecar->log_text, qr/panicked|pencil|crayon|\Q$token\E/, '... and no secret';
    is total_jobs(), $jobs, 'no job has reached the queue';
  };
}

sub total_jobs {
  my $socket = connect_to("127.0.0.1:$beanstalkd->{port}");
  say_raw($socket, "stats\r\nquit\r\n");
  return all_heard($socket) =~ /^total-jobs: (\d+)/m ? $1 : undef;
}

trial 'a gateway that says nothing' => sub {
  my $config = $gate->write_file('slow.toml', "[limits]\nbackend_seconds = 1\n");
  my $sidecar = sidecar('127.0.0.1:' . $silent->sockport, @fred, '--config', $config);
  my $begin = time;
  is all_heard(connect_to("127.0.0.1:$sidecar->{port}")), '', 'the client sees the end';
  cmp_ok time - $begin, '<', 4, '... in time';
  ok $sidecar->logs('no answer in time'), 'the log has the reason';
};

trial 'what does not start' => sub {
  my @start = ($gate->binary, 'connect', '--check', '--listen', '127.0.0.1:1');
  my $open = secret('open', "pencil\n");
  chmod 0644, $open;
  like $gate->run(@start, '--backend', $tcp, @fred), qr/configuration OK: mechanisms SCRAM/, 'valid, for comparison';
  for my $case (
    [['--backend', $tcp, '--user', 'fred', '--password-file', $open], qr/open: others can read or write it/],
    [['--backend', $tcp, '--user', 'fred', '--password-file', $gate->dir . '/missing'], qr/missing: No such file/],
    [['--backend', $tcp, '--password-file', $open], qr/SCRAM-SHA-512-PLUS needs user/],
    [['--backend', $tcp, '--user', 'fred'], qr/no credentials/],
    [\@fred, qr/no backend: use --backend/],
    [['--backend', $tls, @fred], qr/needs backend_tls.ca \(--backend-ca\)/],
    [['--backend', $tls, @ca, '--certificate', $certificate], qr/certificate and backend_tls.key/],
    [['--backend', $tls, @ca, '--certificate', $certificate, '--key', $server[1]], qr/keys may not be consistent|inconsistent|KeyMismatch/i],
    [['--backend', $tcp, @fred, '--mechanisms', 'NTLM'], qr/NTLM is not supported/],
    [['--backend', $tcp, @fred, '--listen', '0.0.0.0:11300'], qr/0\.0\.0\.0:11300: .*expected a loopback address or a Unix socket/],
    [['--backend', $tcp, @fred, '--config', $gate->dir . '/gate.toml'], qr/users: sasl-gate connect does not authenticate/],
  ) {
    my ($options, $reason) = @$case;
    my $said = eval { $gate->run(@start, @$options) } || $@;
    like $said, $reason, "$reason";
    unlike $said, qr/pencil/, '... without the secret';
  }
};

trial 'reload' => sub {
  my $config = $gate->write_file('connect.toml', "[backend_login]\nuser = 'fred'\npassword_file = '" . $gate->dir . "/wrong'\n");
  my $sidecar = sidecar($tcp, '--config', $config);
  isnt works($sidecar), '', 'a wrong password';
  $gate->write_file('connect.toml', "[backend_login]\nuser = 'fred'\npassword_file = '" . $gate->dir . "/fred'\n");
  $sidecar->signal('HUP');
  ok $sidecar->metric_becomes(reloads_total => 1), 'a reload';
  is works($sidecar), '', '... uses another file';
};

# A gateway, a sidecar as its backend, and the gateway behind it.
trial 'a chain' => sub {
  my $sidecar = sidecar($tls, @ca, @fred);
  my $front = Server::SaslGate->start(backend => 'unix:' . $sidecar->dir . '/socket', users => { zoe => ['stone'] });
  logins();
  my ($in, $auth) = login(connect_to("127.0.0.1:$front->{port}"), user => 'zoe', pass => 'stone');
  ok $in && job_works($in) eq '', 'works' or diag $auth->error, $front->log_text;
  is logins(), 'fred SCRAM-SHA-256-PLUS', 'the last gateway sees the user of the sidecar';
  my ($out) = login(connect_to("127.0.0.1:$front->{port}"), user => 'fred', pass => 'pencil');
  ok !$out, 'the first one has its own users';
};

trial 'a gateway as the backend of a gateway' => sub {
  my $front = Server::SaslGate->start(backend => $tls, users => { zoe => ['stone'] },
    tables => "[backend_tls]\nca = '" . $authority->certificate . "'\n[backend_login]\nuser = 'fred'\npassword_file = '" . $gate->dir . "/fred'\n");
  my ($in, $auth) = login(connect_to("127.0.0.1:$front->{port}"), user => 'zoe', pass => 'stone');
  ok $in && job_works($in) eq '', 'works' or diag $auth->error, $front->log_text;
  $front->configure(tables => $front->{tables} =~ s/fred'\n\z/wrong'\n/r);
  $front->signal('HUP');
  ok $front->metric_becomes(reloads_total => 1), 'with a wrong password';
  ($in, $auth) = login(connect_to("127.0.0.1:$front->{port}"), user => 'zoe', pass => 'stone');
  ok !$in, 'no client gets in';
  like $auth->error, qr/is temporarily unavailable \(INTERNAL_ERROR\)/, '... and sees that it is not its own password';
  is $front->metric('backend_login_errors_total'), 1, 'the login of the gateway is counted';
  is $front->metric('login_failures_total'), 0, '... and is no failure of the client';
};

trial 'drain' => sub {
  my $sidecar = sidecar($tcp, @fred);
  my $socket = connect_to("127.0.0.1:$sidecar->{port}");
  is job_works($socket), '', 'a client works';
  $sidecar->signal('TERM');
  ok $sidecar->logs('draining'), 'the sidecar drains';
  is job_works($socket), '', '... and the client still works';
};

unlike $gate->log_text, qr/panicked|pencil|crayon|\Q$token\E/, 'no panic, no secret in the log';

done_testing;
