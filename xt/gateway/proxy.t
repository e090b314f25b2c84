# sasl-gate behind a proxy that sends the PROXY protocol: the client's own address counts, and only proxies may name one.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use IO::Socket::INET ();
use IO::Socket::SSL ();
use Server::Beanstalkd ();
use Server::Haproxy ();
use Server::JobTalk qw(connect_to login say_raw heard_line all_heard job_works);
use Server::SaslGate ();
use Server::Trial qw(trial);
use Time::HiRes qw(sleep time);

my $beanstalkd = Server::Beanstalkd->start;
my $low = Server::Beanstalkd->start;

# The proxies are at 127.0.0.1, and the clients at other addresses of this machine.
my $gate = Server::SaslGate->start(
  backend => "127.0.0.1:$beanstalkd->{port}",
  tls => 1,
  users => { fred => ['pencil'], anna => ['bell'] },
  lines => "proxies = ['127.0.0.1/32']\nplaintext = true\nverbose = true\n",
  limits => "failures_per_address = 6\nfailures_per_user = 3\nfailure_window = 4\nlogin_seconds = 3\nexempt = ['127.0.8.0/24']\n",
  tables => "[backends]\nlow = '127.0.0.1:$low->{port}'\n"
    . "[[access]]\nusers = ['*']\nnetworks = ['127.0.7.0/24']\nbackend = 'low'\n[[access]]\nusers = ['fred', 'anna']\n",
);
my %proxy = map { $_ => Server::Haproxy->start(backend => "127.0.0.1:$gate->{port}", send => $_) } qw(send-proxy send-proxy-v2);

sub from {
  my ($address, $port) = @_;
  return IO::Socket::INET->new(LocalAddr => $address, PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 10)
    || die "$address: $@";
}

sub fails { my ($socket, $user) = @_; my ($in, $auth) = login($socket, user => $user, pass => 'wrong'); return $auth->error }
sub enters { my ($socket, $user, $password) = @_; my ($in) = login($socket, user => $user, pass => $password); return $in }

for my $version (sort keys %proxy) {
  my $port = $proxy{$version}{port};
  trial "haproxy with $version" => sub {
    my $socket = from('127.0.0.2', $port);
    my $place = '127.0.0.2:' . $socket->sockport;
    my $in = enters($socket, 'fred', 'pencil');
    is job_works($in), '', 'a job works';
    ok $gate->logs("authenticated peer=\"$place\""), 'the log has the client\'s address and port' or diag $gate->log_text;
  };
  trial "... limits with $version" => sub {
    sleep 4.1;
    like fails(from('127.0.0.3', $port), $_), qr/UNAUTHORIZED/, "$_ fails" for ('fred') x 3, ('anna') x 3;
    is all_heard(from('127.0.0.3', $port)), '', 'an address that fails too often is refused';
    ok enters(from('127.0.0.4', $port), 'fred', 'pencil'), '... and another one behind the same proxy is not';
    sleep 4.1;
    ok enters(from('127.0.0.3', $port), 'fred', 'pencil'), 'nor is the first one after the window';
  };
}

trial 'TLS after the header' => sub {
  my $proxy = Server::Haproxy->start(backend => "127.0.0.1:$gate->{tls_port}", send => 'send-proxy-v2');
  my $socket = IO::Socket::SSL->new(PeerAddr => "127.0.0.1:$proxy->{port}", LocalAddr => '127.0.0.5',
    SSL_ca_file => $gate->dir . '/cert.pem', SSL_verifycn_name => 'localhost', SSL_verifycn_scheme => 'none')
    or return fail "TLS: $IO::Socket::SSL::SSL_ERROR";
  my ($in, $auth) = login($socket, user => 'fred', pass => 'pencil', options => { externalssf => 256, tls => $socket });
  ok $in, 'works' or diag $auth->error, $gate->log_text;
  is $auth->mechanism, 'SCRAM-SHA-256-PLUS', '... with channel binding, from end to end';
  ok $gate->logs('authenticated peer="127.0.0.5:'), 'the log has the client\'s address';
};

# Health checks: haproxy connects for itself.
trial 'health checks' => sub {
  my $errors = $gate->metric('protocol_errors_total');
  my $proxy = Server::Haproxy->start(backend => "127.0.0.1:$gate->{port}", send => 'send-proxy-v2 check inter 200 check-send-proxy');
  sleep 1.5;
  ok enters(from('127.0.0.2', $proxy->{port}), 'fred', 'pencil'), 'find the gateway up';
  is $gate->metric('protocol_errors_total'), $errors, '... and are no protocol errors';
};

trial 'an IPv6 client' => sub {
  my $talk = sub {
    my ($source, $said) = @_;
    my $socket = from('127.0.0.1', $gate->{port});
    say_raw($socket, "PROXY TCP6 $source 2001:db8::1 4660 11301\r\n$said");
    return heard_line($socket);
  };
  my $wrong = sub { my ($user) = @_; my $text = "\0$user\0wrong"; return 'auth-start PLAIN ' . length($text) . "\r\n$text\r\n" };
  is $talk->("2001:db8:1:2::$_", $wrong->($_ % 2 ? 'fred' : 'anna')), "UNAUTHORIZED\r\n", "fails from ::$_" for 1 .. 6;
  is $talk->('2001:db8:1:2:ffff::7', "auth-nonsense\r\n"), '', 'its /64 is refused';
  is $talk->('2001:db8:1:3::7', "auth-nonsense\r\n"), "UNKNOWN_COMMAND\r\n", 'another /64 is not';
};

for my $case (
  ['v1 from a client', "PROXY TCP4 127.0.0.6 127.0.0.1 4660 11301\r\n", "UNAUTHORIZED\r\n"],
  ['v2 from a client', "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x06\x7f\0\0\x01\x12\x34\x2c\x25", "UNAUTHORIZED\r\n"],
) {
  my ($name, $header, $reply) = @$case;
  trial "a header of $name" => sub {
    my $socket = from('127.0.0.9', $gate->{port});
    say_raw($socket, $header . "auth-list-mechanisms\r\n");
    is all_heard($socket), $reply, 'is no header';
    unlike $gate->log_text, qr/peer="127\.0\.0\.6/, '... and no address to believe';
    ok enters(from('127.0.0.9', $gate->{port}), 'fred', 'pencil'), 'without one this client gets in';
  };
}

for my $case (
  ['no header', "auth-list-mechanisms\r\n", 'no header'],
  ['TLS at once', "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00", 'no header'],
  ['an address that is none', "PROXY TCP4 127.0.0.256 127.0.0.1 4660 11301\r\n", 'malformed header'],
  ['a header that is too long', 'PROXY TCP4 ' . '1' x 200, 'too long'],
  ['an announced megabyte', "\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", 'too long'],
  ['version 3', "\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0", 'malformed header'],
) {
  my ($name, $said, $reason) = @$case;
  trial "a proxy with $name" => sub {
    my $errors = $gate->metric('protocol_errors_total');
    my $logged = length $gate->log_text;
    my $socket = from('127.0.0.1', $gate->{port});
    say_raw($socket, $said);
    is all_heard($socket), '', 'gets no word';
    is $gate->metric('protocol_errors_total'), $errors + 1, 'it is counted';
    sleep 0.2;
    like substr($gate->log_text, $logged), qr/PROXY protocol: \Q$reason\E/, 'the log has the reason';
  };
}

trial 'a header that never ends' => sub {
  my ($late, $begin) = ($gate->metric('login_timeouts_total'), time);
  my @socket = map { from('127.0.0.1', $gate->{port}) } 1 .. 2;
  say_raw($socket[0], 'PROXY TCP4 127.0.0.6');
  is all_heard($_, 8), '', 'ends without a word' for @socket;
  cmp_ok time - $begin, '<', 6, '... in time';
  is $gate->metric('login_timeouts_total'), $late + 2, 'it is counted';
};

trial 'one worker with a wrong password' => sub {
  sleep 4.1;
  my $port = $proxy{'send-proxy'}{port};
  my $away = $gate->metric('turned_away_total');
  for my $try (1 .. 12) { fails(from('127.0.1.1', $port), 'fred') }
  ok !enters(from('127.0.1.1', $port), 'fred', 'pencil'), 'is shut out for a while';
  ok $gate->logs('turned away: too many failures of this user'), '... which is logged';
  is $gate->metric('turned_away_total'), $away + 10, '... and counted';
  ok enters(from('127.0.1.1', $port), 'anna', 'bell'), 'its neighbour behind the same address is not';
  ok enters(from('127.0.1.2', $port), 'fred', 'pencil'), 'nor is the same user at another address';
  # A soft hyphen, which SASLprep removes.
  my $socket = from('127.0.1.1', $port);
  my $text = "\0fr\xc2\xaded\0pencil";
  say_raw($socket, 'auth-start PLAIN ' . length($text) . "\r\n$text\r\n");
  is all_heard($socket), '', 'another spelling of its name is no way around';
  sleep 4.1;
  ok enters(from('127.0.1.1', $port), 'fred', 'pencil'), 'after the window it gets in';
};

trial 'an exempt network' => sub {
  like fails(from('127.0.8.1', $proxy{'send-proxy'}{port}), 'fred'), qr/UNAUTHORIZED/, 'fails' for 1 .. 10;
  ok enters(from('127.0.8.1', $proxy{'send-proxy'}{port}), 'fred', 'pencil'), '... and still gets in';
};

trial 'rules by network' => sub {
  for my $case (['127.0.7.1', $low], ['127.0.0.2', $beanstalkd]) {
    my ($address, $backend) = @$case;
    my $before = jobs_of($backend);
    is job_works(enters(from($address, $proxy{'send-proxy-v2'}{port}), 'fred', 'pencil')), '', "$address: a job works";
    is jobs_of($backend), $before + 1, '... at the backend of its rule';
  }
};

sub jobs_of {
  my ($server) = @_;
  my $socket = connect_to("127.0.0.1:$server->{port}");
  say_raw($socket, "stats\r\nquit\r\n");
  return all_heard($socket) =~ /^total-jobs: (\d+)/m ? $1 : undef;
}

# The example of the manual, with other addresses, in front of two gateways.
trial 'the manual\'s haproxy' => sub {
  my $manual = do { open my $file, '<', 'docs/sasl-gate.pod' or die "docs/sasl-gate.pod: $!"; local $/; <$file> };
  my ($example) = $manual =~ /^(    listen gates\n(?:      .*\n)+)/m or return fail 'no example';
  my $other = Server::SaslGate->start(backend => "127.0.0.1:$beanstalkd->{port}", lines => "proxies = ['127.0.0.1']\n");
  my $proxy = Server::Haproxy->start(example => $example =~ s/192\.0\.2\.20:11302/127.0.0.1:$gate->{port}/r
      =~ s/192\.0\.2\.21:11302/127.0.0.1:$other->{port}/r =~ s/gt 100/gt 20/r);
  my $in = 0;
  for my $try (1 .. 40) { $in++ if eval { enters(from('127.0.2.1', $proxy->{port}), 'fred', 'pencil') } }
  cmp_ok $in, '<=', 20, "of 40 connections $in get through";
  cmp_ok $in, '>=', 15, '... as many as it allows';
  ok enters(from('127.0.2.2', $proxy->{port}), 'fred', 'pencil'), 'another address does';
  cmp_ok $other->metric('logins_total'), '>', 0, 'both gateways serve';
};

unlike $gate->log_text, qr/panicked|pencil|bell/, 'no panic, no password in the log';

done_testing;
