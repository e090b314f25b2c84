# Authen::SASL::Rust::OAuth as the callback `token`: with our own server, with the stock Net::SMTP, and after a refusal.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use Authen::SASL::Rust::OAuth;
use IO::Socket::INET;
use Loopback ();
use MIME::Base64 qw(decode_base64 encode_base64);
use Net::SMTP;
use POSIX ();
use Provider;
use Scalar::Util qw(weaken);
use TwoSides qw(client server);

if (my $alone = Loopback::missing()) { plan skip_all => $alone }

# The first tokens are token1, token2, ...; `stuck` always gives the same.
my $provider = Provider->start(
  token => sub {
    my ($request, $state) = @_;
    my $number = ++$state->{number};
    return { access_token => "token$number", token_type => 'Bearer', expires_in => 3600, refresh_token => "r$number" };
  },
  broken => sub { [500, 'text/plain', ''] },
);

# An object that holds a token already, and how many requests it has sent so far.
sub oauth {
  my ($name, %token) = @_;
  my $oauth = Authen::SASL::Rust::OAuth->new(client_id => 'x', flow => 'code', token_endpoint => $provider->url($name));
  $oauth->{token} = { access_token => 'first', refresh_token => 'r', received => time, expires => time + 3600, %token };
  return $oauth;
}
sub requests { return scalar $provider->requests('token') }

# A server that accepts these tokens.
sub accepting {
  my ($mechanism, @tokens) = @_;
  return server($mechanism, checktoken => sub {
    my ($conn, $query) = @_;
    return (grep { $_ eq $query->{token} } @tokens) ? 'fred' : { status => 'invalid_token' };
  });
}

# Runs both sides as a protocol does: what the server sends before its verdict is a challenge. Returns both.
sub exchange {
  my ($client, $server) = @_;
  my $message = $server->server_start($client->client_start);
  $server->server_step($client->client_step($message)) if $server->need_step;
  return ($client, $server);
}

for my $mechanism (qw(OAUTHBEARER XOAUTH2)) {
  subtest $mechanism => sub {
    my $before = requests();
    my $oauth = oauth('token');
    for my $form ($oauth, [$oauth, 'own'], $oauth->callback) {
      my ($client, $server) = exchange(client($mechanism, user => 'fred', token => $form), accepting($mechanism, 'first'));
      ok($server->is_success, 'the object, an array of it, and its code are callbacks') or diag $client->error;
    }
    is(requests() - $before, 0, 'and its token is used while it lives');

    my $client = client($mechanism, user => 'fred', token => $oauth);
    my (undef, $server) = exchange($client, accepting($mechanism, 'no other'));
    is($client->code, -13, 'the server has refused it');
    is($server->property('user'), undef, 'nobody is in');
    is(requests() - $before, 0, 'which alone asks the provider nothing');
    (undef, $server) = exchange(client($mechanism, user => 'fred', token => $oauth), accepting($mechanism, 'token' . ($before + 1)));
    ok($server->is_success, 'the next login has a new token');
    is(requests() - $before, 1, 'by one request');
    exchange(client($mechanism, user => 'fred', token => $oauth), accepting($mechanism, 'no other')) for 1 .. 3;
    is(requests() - $before, 1, 'a server that refuses the new one too does not make it ask again');
  };
}

subtest 'a refusal of another token' => sub {
  my $before = requests();
  my $oauth = oauth('token');
  my @clients = map { client('OAUTHBEARER', user => 'fred', token => $oauth) } 1, 2;
  $_->client_start for @clients;
  $clients[0]->client_step('{"status":"invalid_token"}');
  my $token = $oauth->token;
  is($token, 'token' . ($before + 1), 'the token was renewed');
  $oauth->{token}{received} -= 600;    # old enough to be renewed once more
  $clients[1]->client_step('{"status":"invalid_token"}');
  is($oauth->token, $token, 'and is not renewed for a connection that had the old one');
  is(requests() - $before, 1, 'one request');
};

subtest 'other failures renew nothing' => sub {
  my $before = requests();
  my $oauth = oauth('token');
  my $client = client('OAUTHBEARER', user => 'fred', token => $oauth);
  $client->client_start;
  $client->abandon;
  $client = client('OAUTHBEARER', user => 'fred', token => $oauth, port => 'none');
  $client->client_start;
  ok($client->error, 'a client that fails by itself');
  $client = client('PLAIN OAUTHBEARER', user => 'fred', pass => 'x', token => $oauth);
  $client->client_start;
  is($oauth->token, 'first', 'the token stays');
  is(requests() - $before, 0, 'no request');
};

subtest 'it is freed' => sub {
  my ($freed, $gone);
  {
    my $oauth = $freed = oauth('token');
    my $conn = $gone = client('OAUTHBEARER', user => 'fred', token => $oauth);
    weaken($freed);
    weaken($gone);
    $conn->client_start;
  }
  is($gone, undef, 'the connection');
  is($freed, undef, 'the object');
};

subtest 'a renewal that fails' => sub {
  my $oauth = oauth('broken', expires => time - 1);
  my $client = client('OAUTHBEARER', user => 'fred', token => $oauth);
  ok(!eval { $client->client_start; 1 }, 'dies');
  isa_ok($@, 'Authen::SASL::Rust::OAuth::Error');
  is($@->step, 'refresh', 'with the step');
};

# An SMTP server whose behaviour depends on the name in EHLO: it sends an error object before its refusal, or it does not.
my $smtp = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die "listen: $@";
my $child = fork // die "fork: $!";
if (!$child) {
  alarm 120;
  $SIG{CHLD} = 'IGNORE';
  while (my $socket = $smtp->accept) {
    my $one = fork // die "fork: $!";
    next if $one;
    print $socket "220 localhost\r\n";
    my $name = '';
    while (my $line = <$socket>) {
      if ($line =~ /\AEHLO (\S+)/) { $name = $1; print $socket "250-localhost\r\n250 AUTH OAUTHBEARER\r\n" }
      elsif ($line =~ /\AAUTH OAUTHBEARER (\S+)/) {
        my ($token) = decode_base64($1) =~ /Bearer (\w+)/;
        if ($name =~ /\A(?:told|bare)-\Q$token\E\z/) { print $socket "235 welcome\r\n"; next }
        if ($name =~ /\Atold/) { print $socket '334 ', encode_base64('{"status":"401"}', ''), "\r\n"; <$socket> }
        print $socket "535 5.7.3 no\r\n";
      }
      elsif ($line =~ /\AQUIT/) { print $socket "221 goodbye\r\n"; last }
      else { print $socket "500 what?\r\n" }
    }
    POSIX::_exit(0);
  }
}
END { if ($child) { local $?; kill KILL => $child; waitpid $child, 0 } }

sub log_in {
  my ($oauth, $name) = @_;
  my $smtp = Net::SMTP->new('127.0.0.1', Port => $smtp->sockport, Hello => $name, Timeout => 20) or die "connect: $@";
  my $sasl = Authen::SASL->new(mechanism => 'OAUTHBEARER', callback => { user => 'fred', token => $oauth });
  return $smtp->auth($sasl) ? $smtp : undef;
}

subtest 'Net::SMTP' => sub {
  my $before = requests();
  my $oauth = oauth('token');
  my $next = 'token' . ($before + 1);
  ok(!log_in($oauth, "told-$next"), 'the first login is refused');
  ok(log_in($oauth, "told-$next"), 'a program that tries again gets in');
  is(requests() - $before, 1, 'with the new token');

  for my $kind (qw(told bare)) {
    $before = requests();
    $oauth = oauth('token');
    $next = 'token' . ($before + 1);
    my $calls = 0;
    my $in = $oauth->retry(sub { $calls++; log_in($oauth, "$kind-$next") });
    isa_ok($in, 'Net::SMTP', "retry, server that " . ($kind eq 'told' ? 'sends an error object' : 'only says 535'));
    is($calls, 2, 'in two attempts');
    is($oauth->retry(sub { $calls++; log_in($oauth, "$kind-nothing") }), undef, 'a server that refuses all');
    is($calls, 3, 'is not asked again with the same token');
    is(requests() - $before, 1, 'and the provider neither');
  }
};

subtest 'retry' => sub {
  my $before = requests();
  my $oauth = oauth('token');
  is($oauth->retry(sub { 'result' }), 'result', 'a success');
  is($oauth->retry(sub { 0 }), 0, 'a failure before the token was asked for');
  ok(!eval { $oauth->retry(sub { $oauth->token; die { no => 'route' } }); 1 }, 'an exception');
  is_deeply($@, { no => 'route' }, 'passes through');
  is(requests() - $before, 0, 'without a request');
  my $calls = 0;
  my $in = $oauth->retry(sub {
    $calls++;
    my $client = client('OAUTHBEARER', user => 'fred', token => $oauth);
    $client->property(die_on_failure => 1);
    $client->client_start;
    $client->client_step('{"status":"invalid_token"}') if $calls == 1;
    return 'in';
  });
  is($in, 'in', 'an exception of a connection whose token was refused');
  is($calls, 2, 'is tried again');
};

done_testing;
