# Clients that could not log in any more lose their connections: after a reload of sasl-gate, and by limits.revocation_seconds.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use IO::Select ();
use IO::Socket::INET ();
use IO::Socket::SSL ();
use Server::Beanstalkd ();
use Server::JobTalk qw(connect_to login logs_in say_raw heard_line all_heard job_works);
use Server::SaslGate ();
use Server::Trial qw(trial);
use TLS::Authority ();
use Time::HiRes qw(sleep time);

my $beanstalkd = Server::Beanstalkd->start;
my $backend = "127.0.0.1:$beanstalkd->{port}";
my $authority = TLS::Authority->new('Example');
my %shows = map { $_ => [$authority->issue("/CN=$_")] } qw(stays goes);
my $stays_serial = $authority->{serial} - 1;

sub copy_of {
  my ($gate, $name, $path) = @_;
  open my $file, '<', $path or die "$path: $!";
  local $/;
  return $gate->write_file($name, scalar <$file>);
}

# A user's token: the line for the file, and the token.
sub new_token {
  my ($user, $expiry) = @_;
  my $printed = Server::SaslGate->run(Server::SaslGate::binary(), 'token', $user);
  my ($token) = $printed =~ /^([0-9a-f]{64})$/m or die $printed;
  my ($line) = $printed =~ /^(\Q$user\E:.*)$/m or die $printed;
  return ($line . ($expiry ? "\$$expiry" : ''), $token);
}

# Sends SIGHUP, and waits until it has been obeyed.
sub reload {
  my ($gate) = @_;
  my $count = $gate->metric('reloads_total') + 1;
  $gate->signal('HUP');
  return $gate->metric_becomes(reloads_total => $count) || die "not reloaded\n" . $gate->log_text;
}

sub ended { my ($gate, $reason) = @_; return $gate->metric("sessions_ended_total{reason=\"$reason\"}") }

trial 'the users\' file' => sub {
  my $gate = Server::SaslGate->start(backend => $backend, users => { map { $_ => ['pencil'] } qw(anna bob fred) }, lines => "plaintext = true\n");
  my $place = "127.0.0.1:$gate->{port}";
  my %in = map { my $who = $_; ($who => [map { (login(connect_to($place), user => $who, pass => 'pencil', mechanism => $_))[0] } qw(SCRAM-SHA-256 PLAIN)]) } qw(anna bob fred);
  is job_works($_), '', 'all work' for map { @$_ } values %in;
  my $begin = time;
  $gate->write_secret('users', join '', map { /^bob/ ? () : s/^anna:/anna:!/r } split /^/, do { local (@ARGV, $/) = $gate->dir . '/users'; <> });
  sleep 0.3;
  is job_works($in{$_}[0]), '', "before the reload nothing happens to $_" for qw(anna bob fred);
  reload($gate);
  is all_heard($_, 3), '', 'a user who is disabled is disconnected' for @{ $in{anna} };
  is all_heard($_, 3), '', 'one who is deleted too' for @{ $in{bob} };
  is job_works($_), '', 'the other one stays' for @{ $in{fred} };
  is ended($gate, 'no-user'), 4, 'they are counted';
  my @lines = grep { /reason="no-user"/ } split /^/, $gate->log_text;
  is scalar @lines, 4, 'the log has a line for each, with the reason' or diag $gate->log_text;
  $gate->write_users({ fred => ['crayon'] });
  reload($gate);
  is job_works($_), '', 'a new password ends nothing' for @{ $in{fred} };
  ok !logs_in($place, user => 'anna', pass => 'pencil'), 'who was disabled does not come back';
};

trial 'by itself' => sub {
  my $gate = Server::SaslGate->start(
    backend => $backend, users => { map { $_ => ['pencil'] } qw(anna fred) }, limits => "revocation_seconds = 1\n"
  );
  my $place = "127.0.0.1:$gate->{port}";
  my ($anna, $fred) = map { (login(connect_to($place), user => $_, pass => 'pencil'))[0] } qw(anna fred);
  my $good = do { local (@ARGV, $/) = $gate->dir . '/users'; <> };
  $gate->write_secret('users', "fred:hunter2\n");
  ok $gate->metric_becomes(reload_errors_total => 1), 'a file that cannot be read is seen';
  sleep 2.5;
  is $gate->metric('reload_errors_total'), 1, '... and reported once';
  is scalar(() = $gate->log_text =~ /nobody is disconnected/g), 1, '... in the log too';
  is job_works($_), '', '... and nobody is disconnected' for $anna, $fred;
  $gate->write_secret('users', $good);
  ok $gate->metric_becomes(reloads_total => 1), 'a good one is read again';
  is job_works($_), '', 'who is still there stays' for $anna, $fred;
  $gate->run($^X, (map { "-I$_" } @INC), 'bin/sasl-rust-passwd', 'disable', $gate->dir . '/users', 'anna');
  my $begin = time;
  is all_heard($anna, 5), '', 'a user is disabled by sasl-rust-passwd, and disconnected';
  cmp_ok time - $begin, '<', 4, '... in time';
  is job_works($fred), '', '... and the other one stays';
  ok !logs_in($place, user => 'anna', pass => 'pencil'), '... and cannot log in again';
  ok logs_in($place, user => 'fred', pass => 'pencil'), '... but the other one can';
  is ended($gate, 'no-user'), 1, 'it is counted';
};

trial 'tokens and passwords' => sub {
  my ($line, $token) = new_token('fred');
  my ($second_line, $second) = new_token('fred');
  my ($short_line, $short) = new_token('fred', 4 + int time);
  my $gate = Server::SaslGate->start(backend => $backend, limits => "revocation_seconds = 1\n");
  my $tokens = $gate->write_secret('tokens', "$line\n$second_line\n$short_line\n");
  my $passwords = $gate->write_secret('passwords', "fred:pencil\nanna:bell\n");
  $gate->configure(lines => "tokens = '$tokens'\npasswords = '$passwords'\nplaintext = true\nmechanisms = 'OAUTHBEARER CRAM-MD5 SCRAM-SHA-256'\n");
  reload($gate);
  my $place = "127.0.0.1:$gate->{port}";
  my ($first, $other, $expires) = map { (login(connect_to($place), user => 'fred', token => $_, mechanism => 'OAUTHBEARER'))[0] } $token, $second, $short;
  my ($fred, $anna) = map { (login(connect_to($place), user => $_->[0], pass => $_->[1], mechanism => 'CRAM-MD5'))[0] } ['fred', 'pencil'], ['anna', 'bell'];
  is job_works($_), '', 'all work' for $first, $other, $expires, $fred, $anna;
  is all_heard($expires, 8), '', 'a token that expires ends its connection';
  $gate->write_secret('tokens', "$second_line\n");
  is all_heard($first, 5), '', 'one that is deleted too';
  is job_works($_), '', 'but not that of another token of the same user' for $other, $fred;
  $gate->write_secret('passwords', "fred:pencil\n");
  is all_heard($anna, 5), '', 'a password that is deleted too';
  is job_works($_), '', 'but not that of another user' for $other, $fred;
  is ended($gate, 'token-invalid'), 2, 'tokens are counted';
  is ended($gate, 'no-user'), 1, '... and users';
};

trial 'certificates' => sub {
  my $list = $authority->path('empty.pem');
  my $gate = Server::SaslGate->start(backend => $backend, tls => 1, lines => "mechanisms = 'EXTERNAL SCRAM-SHA-256'\n");
  $authority->{serial} = 100;    # of no certificate
  my $path = copy_of($gate, 'crl', $authority->revoke_last);
  $gate->configure(tls_lines => "client_ca = '" . $authority->certificate . "'\nclient_revoked = '$path'\n");
  reload($gate);
  my $tls = sub {
    my ($who) = @_;
    my ($certificate, $key) = @{ $shows{$who} };
    return IO::Socket::SSL->new(
      PeerAddr => "127.0.0.1:$gate->{tls_port}", SSL_ca_file => $gate->dir . '/cert.pem', SSL_verifycn_name => 'localhost',
      SSL_verifycn_scheme => 'none', SSL_cert_file => $certificate, SSL_key_file => $key
    ) || die "no TLS: $IO::Socket::SSL::SSL_ERROR";
  };
  my %options = (options => { externalssf => 256, channel_binding_policy => 'disable' });
  my ($stays, $goes) = map { (login($tls->($_), mechanism => 'EXTERNAL', %options))[0] } qw(stays goes);
  my ($password) = login($tls->('goes'), mechanism => 'SCRAM-SHA-256', user => 'fred', pass => 'pencil', %options);
  my ($plain) = login(connect_to("127.0.0.1:$gate->{port}"), user => 'fred', pass => 'pencil');
  my $works = sub { my ($socket) = @_; print {$socket} "put 0 0 60 1\r\nx\r\n"; return scalar <$socket> };
  like $works->($_), qr/\AINSERTED/, 'all work' for $stays, $goes, $password, $plain;
  my ($serial) = $shows{goes}[0] =~ /(\d+)\.pem\z/;
  $authority->{serial} = $serial + 1;
  copy_of($gate, 'crl', $authority->revoke_last);
  reload($gate);
  for my $case ([$goes, 'a revoked certificate'], [$password, 'a password on a connection with that certificate']) {
    my ($socket, $what) = @$case;
    $socket->timeout(5);
    ok((IO::Select->new($socket)->can_read(5) and !defined scalar <$socket>), "$what loses its connection");
  }
  like $works->($_), qr/\AINSERTED/, 'the others stay' for $stays, $plain;
  is ended($gate, 'certificate-revoked'), 2, 'they are counted';
};

trial 'rules and user IDs' => sub {
  my $other = Server::Beanstalkd->start;
  my $gate = Server::SaslGate->start(
    backend => $backend, users => { map { $_ => ['pencil'] } qw(anna bob fred) }, lines => "unix_users = { $> = 'fred' }\n",
    tables => "[backends]\nlow = '127.0.0.1:$other->{port}'\n[[access]]\nusers = ['*']\n"
  );
  my ($anna, $bob, $fred) = map { (login(connect_to("127.0.0.1:$gate->{port}"), user => $_, pass => 'pencil'))[0] } qw(anna bob fred);
  my $by_id = connect_to($gate->dir . '/socket');
  say_raw($by_id, "auth-start EXTERNAL 0\r\n\r\n");
  is heard_line($by_id), "OK\r\n", 'a user ID is in';
  $gate->configure(tables => "[backends]\nlow = '127.0.0.1:$other->{port}'\n[[access]]\nusers = ['anna']\ndeny = true\n"
    . "[[access]]\nusers = ['bob']\nbackend = 'low'\n[[access]]\nusers = ['*']\n");
  reload($gate);
  is all_heard($anna, 3), '', 'a user whom a rule denies is disconnected';
  is all_heard($bob, 3), '', 'one whose rule has another backend now too';
  is job_works($_), '', 'the others stay' for $fred, $by_id;
  ok !logs_in("127.0.0.1:$gate->{port}", user => 'anna', pass => 'pencil'), 'a rule that denies refuses a login';
  ok logs_in("127.0.0.1:$gate->{port}", user => 'bob', pass => 'pencil'), 'the other one can log in';
  is ended($gate, 'no-access'), 2, 'they are counted';
  $gate->configure(lines => "unix_users = { $> = 'anna' }\n");
  reload($gate);
  is all_heard($by_id, 3), '', 'a user ID that is another user now is disconnected';
  is job_works($fred), '', 'the same user with a password stays';
};

# The user is deleted while the login waits for the backend.
trial 'a reload during a login' => sub {
  my $silent = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die "no socket: $@";
  my $gate = Server::SaslGate->start(backend => '127.0.0.1:' . $silent->sockport, users => { anna => ['pencil'], fred => ['pencil'] }, limits => "backend_seconds = 30\n");
  my $password = $gate->write_secret('backend-password', "pencil\n");
  $gate->configure(lines => "unix_users = { $> = 'anna' }\n", tables => "[backend_login]\nuser = 'gate'\npassword_file = '$password'\n");
  reload($gate);
  my $socket = connect_to($gate->dir . '/socket');
  say_raw($socket, "auth-start EXTERNAL 0\r\n\r\n");
  my $at_backend = $silent->accept;
  $gate->configure(lines => "unix_users = { 4000000000 = 'anna' }\n");
  reload($gate);
  is all_heard($socket, 5), "INTERNAL_ERROR\r\n", 'ends it';
  is ended($gate, 'no-user'), 1, '... for this reason';
  is $gate->metric('login_failures_total'), 0, '... which is no failure of the client';
};

# A user who has as many connections as allowed.
trial 'connections_per_user' => sub {
  my $gate = Server::SaslGate->start(backend => $backend, users => { anna => ['pencil'], fred => ['pencil'] }, limits => "connections_per_user = 2\n");
  my $place = "127.0.0.1:$gate->{port}";
  my @in = map { (login(connect_to($place), user => 'fred', pass => 'pencil'))[0] } 1, 2;
  my ($third, $auth) = login(connect_to($place), user => 'fred', pass => 'pencil');
  ok !$third, 'no more are let in';
  like $auth->error, qr/INTERNAL_ERROR/, '... by a word that is no failure';
  ok !logs_in($place, user => 'fred', pass => 'crayon'), 'a wrong password is one, at the limit too';
  is $gate->metric('user_limit_total'), 1, 'it is counted';
  is $gate->metric('login_failures_total'), 1, '... and is no failed login';
  ok $gate->logs('limits.connections_per_user is reached'), 'the log has the limit';
  like $gate->log_text, qr/connections_per_user is reached.*user="fred"/, '... and the user';
  ok logs_in($place, user => 'anna', pass => 'pencil'), 'another user is let in';
  close shift @in;
  ok $gate->metric_becomes(relaying_connections => 1), 'one of them ends';
  ok logs_in($place, user => 'fred', pass => 'pencil'), '... and another one is let in';
};

done_testing;
