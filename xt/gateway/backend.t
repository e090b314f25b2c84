# A backend behind TLS, with haproxy in front of a beanstalkd: its identity is verified.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use IO::Socket::INET ();
use Server::Beanstalkd ();
use Server::Haproxy ();
use Server::JobTalk qw(connect_to login say_raw heard all_heard job_works);
use Server::SaslGate ();
use Server::Trial qw(trial);
use TLS::Authority ();
use Time::HiRes qw(time);

my $authority = TLS::Authority->new('Example');
my $other = TLS::Authority->new('Other');
my $beanstalkd = Server::Beanstalkd->start;

# haproxy reads certificate and key from one file.
sub behind {
  my ($issuer, @name) = @_;
  my $both = '';
  for my $path ($issuer->issue('/CN=backend', @name)) {
    open my $file, '<', $path or die "$path: $!";
    local $/;
    $both .= <$file>;
  }
  return Server::Haproxy->start(backend => "127.0.0.1:$beanstalkd->{port}",
    certificate => $issuer->_write('both.pem', $both));
}
my %behind = (
  address => behind($authority, 'IP:127.0.0.1'),
  name => behind($authority, 'DNS:queue.example.org'),
  stranger => behind($other, 'IP:127.0.0.1,DNS:queue.example.org'),
  plain => $beanstalkd,
);
my $silent = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die "no socket: $@";

my $gate = Server::SaslGate->start(
  backend => "tls:127.0.0.1:$behind{address}{port}",
  tables => "[backend_tls]\nca = '" . $authority->certificate . "'\n",
  limits => "backend_seconds = 1\n",
);
my $address = "127.0.0.1:$gate->{port}";
my $reloads = 0;

sub turn_to {
  my ($backend, $name) = @_;
  my $tables = "[backend_tls]\nca = '" . $authority->certificate . "'\n" . ($name ? "name = '$name'\n" : '');
  $gate->configure(backend => $backend, tables => $tables);
  $gate->signal('HUP');
  return $gate->metric_becomes(reloads_total => ++$reloads) || die "not reloaded\n";
}

sub enter { return login(connect_to($address), user => 'fred', pass => 'pencil') }

trial 'a backend with the right certificate' => sub {
  my ($socket, $auth) = enter();
  ok $socket, 'is reached' or return diag $auth->error, $gate->log_text;
  is job_works($socket), '', 'a job works';
  is job_works($socket, join '', map { chr $_ % 256 } 1 .. 65_000), '', 'a big one too';
  say_raw($socket, "list-tube-used\r\n");
  shutdown $socket, 1;
  is all_heard($socket), "USING default\r\n", 'the end of the client is passed on, the answer comes';
  is $gate->run($gate->load, 'jobs', "address=$address", 'user=fred', 'password=pencil', 'count=5000') =~ /^jobs=5000 /,
    1,
    '5,000 jobs come as they were';
};

trial 'by the name that is configured' => sub {
  turn_to("tls:127.0.0.1:$behind{name}{port}", 'queue.example.org');
  my ($socket, $auth) = enter();
  ok $socket && job_works($socket) eq '', 'it is reached' or diag $auth->error, $gate->log_text;
};

for my $case (
  ['another name', "tls:127.0.0.1:$behind{name}{port}", undef, qr/not valid for name|NotValidForName/],
  ['another authority', "tls:127.0.0.1:$behind{stranger}{port}", undef, qr/UnknownIssuer/],
  [
    'another authority and the right name', "tls:127.0.0.1:$behind{stranger}{port}", 'queue.example.org',
    qr/UnknownIssuer/
  ],
  ['no TLS', "tls:127.0.0.1:$behind{plain}{port}", undef, qr/InvalidContentType|corrupt|no answer in time/],
  ['silence', 'tls:127.0.0.1:' . $silent->sockport, undef, qr/no answer in time/],
  )
{
  my ($what, $backend, $name, $reason) = @$case;
  trial "a backend with $what" => sub {
    turn_to($backend, $name);
    my $begin = time;
    my $errors = $gate->metric('backend_errors_total');
    my $logged = length $gate->log_text;
    my ($socket, $auth) = enter();
    ok !$socket, 'is not used';
    like $auth->error, qr/is temporarily unavailable \(INTERNAL_ERROR\)/, 'the client may come again';
    cmp_ok time - $begin, '<', 4, 'in time';
    is $gate->metric('backend_errors_total'), $errors + 1, 'it is counted';
    like substr($gate->log_text, $logged), $reason, 'the log has the reason';
  };
}

trial 'a backend that dies under TLS' => sub {
  turn_to("tls:127.0.0.1:$behind{address}{port}");
  my ($socket) = enter();
  is job_works($socket), '', 'a job works';
  $behind{address}->stop;
  is all_heard($socket, 5), '', 'its end is passed on';
};
unlike $gate->log_text, qr/panicked|pencil/, 'no panic, no password in the log';

done_testing;
