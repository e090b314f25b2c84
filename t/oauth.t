# Authen::SASL::Rust::OAuth: each flow with a provider made by the test, and the provider's errors.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL::Rust::OAuth;
use Digest::SHA qw(sha256);
use IO::Socket::INET;
use Loopback ();
use MIME::Base64 qw(decode_base64 encode_base64);
use POSIX ();
use Provider;

if (my $alone = Loopback::missing()) { plan skip_all => $alone }

my %bearer = (token_type => 'Bearer', expires_in => 3600);
my $secret = 'S3cret+/of the client';

# Answers of the device flow's token endpoint, in their order; the last one stays.
my %poll = (
  device => [map({ [400, { error => $_ }] } qw(authorization_pending slow_down authorization_pending)),
    { %bearer, access_token => 'from-device', refresh_token => 'again' }],
  'device-denied' => [[400, { error => 'access_denied' }]],
  'device-expired' => [[400, { error => 'authorization_pending' }], [400, { error => 'expired_token' }]],
  'device-silent' => [sub { close $_[0] }, [400, { error => 'authorization_pending' }], { %bearer, access_token => 'late' }],
  'device-late' => [[400, { error => 'authorization_pending' }]],
  'device-bad-uri' => [],
  'device-no-code' => [],
);
my %began = (
  device => { interval => 2 },
  'device-late' => { expires_in => 4 },
  'device-bad-uri' => { verification_uri => 'http://phishing.example.org/' },
  'device-no-code' => { device_code => undef },
);

my ($self_url, $provider);
my %answers = (
  machine => sub {
    my ($request) = @_;
    my $form = $request->{form};
    return [401, { error => 'invalid_client', error_description => "No client has this secret: $form->{client_secret}." }]
      if defined $form->{client_secret} && $form->{client_secret} ne $secret;
    return { %bearer, access_token => 'machine-token', scope => 'smtp' };
  },
  rotate => sub {
    my ($request, $state) = @_;
    my $token = $request->{form}{refresh_token};
    return { %bearer, expires_in => '3600', access_token => 'first', refresh_token => 'r1' } if !defined $token;
    my $number = $state->{number} ||= 1;
    return [400, { error => 'invalid_grant', error_description => "Token '$token'\r\nis \e[31mrevoked\x{e9}." }] if $token ne "r$number";
    $state->{number}++;
    return { %bearer, access_token => "access$number", refresh_token => 'r' . ($number + 1) };
  },
  kept => sub { return { %bearer, access_token => $_[0]{form}{refresh_token} ? 'second' : 'first', $_[0]{form}{code} ? (refresh_token => 'stays') : () } },
  code => sub {
    my ($request, $state) = @_;
    my $form = $request->{form};
    return [400, { error => 'invalid_grant' }] if $form->{code} ne 'the-code';
    return { %bearer, access_token => 'from-code', refresh_token => 'again' };
  },
  issuer => sub {
    my ($request) = @_;
    my $base = 'http://' . $request->{header}{host};
    return { %bearer, access_token => 'discovered' } if $request->{path} eq '/issuer/token';
    return [404, 'text/plain', 'no'] if $request->{path} =~ /oauth-authorization-server/;
    return {
      issuer => "$base/issuer", token_endpoint => "$base/issuer/token", authorization_endpoint => "$base/issuer/authorize",
      device_authorization_endpoint => 'http://elsewhere.example.org/device',
      token_endpoint_auth_methods_supported => ['client_secret_post'],
    };
  },
  impostor => sub { return { issuer => 'https://accounts.example.org', token_endpoint => 'https://accounts.example.org/token' } },
  'no-type' => sub { return { access_token => 'x' } },
  mac => sub { return { access_token => 'x', token_type => 'mac' } },
  control => sub { return { %bearer, access_token => "x\r\ninjected" } },
  nothing => sub { return { %bearer } },
  object => sub { return { %bearer, access_token => { secret => 1 } } },
);
for my $name (keys %poll) {
  $answers{$name} = sub {
    my ($request, $state) = @_;
    return {
      device_code => 'the-device-code', user_code => "WDJB\tMJHT", verification_uri => 'https://example.org/device',
      expires_in => 600, %{ $began{$name} || {} },
    } if $request->{path} eq "/$name/device";
    my $list = $poll{$name};
    my $number = $state->{number}++;
    return $list->[$number < @$list ? $number : -1];
  };
}
$provider = Provider->start(%answers);

sub oauth {
  my ($name, %arg) = @_;
  return Authen::SASL::Rust::OAuth->new(
    client_id => 'mail program', token_endpoint => $provider->url("$name/token"),
    authorization_endpoint => $provider->url("$name/authorize"),
    device_authorization_endpoint => $provider->url("$name/device"), flow => 'client_credentials', timeout => 10, %arg
  );
}

# The text of the failure, which must contain no secret.
sub failure {
  my ($code) = @_;
  my $result = eval { $code->() };
  my $error = $@;
  ok(!defined $result, 'fails') or diag $result;
  isa_ok($error, 'Authen::SASL::Rust::OAuth::Error') or diag $error;
  unlike("$error", qr/S3cret|wrong-secret|the-device-code|the-code|\br[0-9]\b/, 'no secret in the text');
  like("$error", qr/\AOAuth, [\x20-\x7e]+\n\z/, 'one printable line');
  return $error;
}

subtest 'client credentials' => sub {
  my $oauth = oauth('machine', client_secret => $secret, scope => 'smtp imap');
  is($oauth->token, 'machine-token', 'a token');
  is($oauth->token, 'machine-token', 'and again');
  my @requests = $provider->requests('machine');
  is(scalar @requests, 1, 'by one request');
  is($requests[0]{method}, 'POST', 'which is a POST');
  is_deeply($requests[0]{form}, { grant_type => 'client_credentials', scope => 'smtp imap' }, 'RFC 6749 section 4.4.2');
  is(
    decode_base64(($requests[0]{header}{authorization} =~ /\ABasic (.*)/)[0]),
    'mail%20program:S3cret%2B%2Fof%20the%20client', 'the client is encoded as RFC 6749 section 2.3.1 has it'
  );
  is(oauth('machine', client_secret => $secret, client_auth => 'post')->token, 'machine-token', 'in the form');
  is_deeply(
    ($provider->requests('machine'))[1]{form},
    { grant_type => 'client_credentials', client_id => 'mail program', client_secret => $secret }, 'section 2.3.1 too'
  );
  my $error = failure(sub { oauth('machine', client_secret => 'wrong-secret', client_auth => 'post')->token });
  is($error->step, 'client credentials', 'the step');
  is($error->code, 'invalid_client', 'the code');
  is($error->status, 401, 'the status');
  is($error->description, 'No client has this secret: [hidden].', 'the description without the secret');
  like("$error", qr/the client_id or client_secret is wrong/, 'and what it means');
};

subtest 'device flow' => sub {
  my @shown;
  my @waits;
  no warnings 'redefine';
  local *Authen::SASL::Rust::OAuth::Login::wait_for = sub { push @waits, $_[0] };
  my $device = sub { my ($name, %arg) = @_; return oauth($name, flow => 'device', scope => 'mail', prompt => sub { push @shown, @_ }, %arg) };
  my $oauth = $device->('device');
  is($oauth->login, 1, 'logged in');
  is_deeply(
    \@shown,
    [{ flow => 'device', user_code => 'WDJB MJHT', verification_uri => 'https://example.org/device',
      verification_uri_complete => undef, expires_in => 600 }], 'what the user is shown, printable'
  );
  is_deeply(\@waits, [2, 2, 7, 7], 'waits as long as the provider asks, and longer after slow_down');
  is($oauth->token, 'from-device', 'the token');
  my @requests = $provider->requests('device');
  is_deeply($requests[0]{form}, { client_id => 'mail program', scope => 'mail' }, 'RFC 8628 section 3.1');
  is_deeply(
    $requests[1]{form},
    { client_id => 'mail program', device_code => 'the-device-code', grant_type => 'urn:ietf:params:oauth:grant-type:device_code' },
    'section 3.4'
  );
  is(failure(sub { $device->('device-denied')->login })->code, 'access_denied', 'the user said no');
  is(failure(sub { $device->('device-expired')->login })->code, 'expired_token', 'too late');
  @waits = ();
  is($device->('device-silent')->login, 1, 'a lost connection is not the end');
  is_deeply(\@waits, [5, 10, 10], 'but the next request comes later (RFC 8628 section 3.5)');
  like(failure(sub { $device->('device-late')->login }), qr/not logged in in time/, 'the code would expire before the next request');
  like(failure(sub { $device->('device-bad-uri')->login })->message, qr/verification_uri: only https/, 'a URI without TLS is not shown');
  like(failure(sub { $device->('device-no-code')->login })->message, qr/no device_code/, 'no device_code');
};

# The user's browser: opens a connection that it does not use, and sends the requests to the redirect URI, in a process of its own. Its
# exit status is the number of wrong answers.
sub browser {
  my ($uri, @queries) = @_;
  my $pid = fork // die "fork: $!";
  return $pid if $pid;
  alarm 20;    # it has a copy of the listening socket, which would keep it waiting for ever
  my ($port) = $uri =~ /:(\d+)\//;
  my ($failed, $idle) = (0, IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 10));
  for my $query (@queries) {
    my ($path, $status) = @$query;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 10) or POSIX::_exit(2);
    print {$socket} "GET $path HTTP/1.1\r\nHost: 127.0.0.1:$port\r\n\r\n";
    my $line = <$socket> // '';
    $failed++ if $status && $line !~ /\AHTTP\/1\.1 $status /;
  }
  POSIX::_exit($failed);
}

sub by_browser {
  my ($name, $queries, %arg) = @_;
  my ($pid, %query);
  my $oauth = oauth(
    $name,
    flow => 'code', scope => 'mail', login_hint => 'fred@example.org', login_seconds => 3,
    prompt => sub {
      my ($shown) = @_;
      %query = map { s/%(..)/chr hex $1/ger } map { split /=/, $_, 2 } split /&/, $shown->{url} =~ s/\A[^?]*\?//r;
      $pid = browser($shown->{redirect_uri}, $queries->(%query));
    },
    %arg
  );
  return (sub {
    my $done = eval { $oauth->login };
    my $error = $@;
    waitpid $pid, 0 if $pid;
    is($?, 0, 'the browser got the right answers');
    die $error if !$done;
    return $oauth->token;
  }, \%query);
}

subtest 'authorization code with PKCE' => sub {
  my ($login, $query) = by_browser('code', sub {
    my %q = @_;
    return (
      ['/favicon.ico', 404], ["/?state=wrong&code=stolen", 400], ["/?code=stolen", 400], ["/?state=$q{state}&state=$q{state}&code=x", 404],
      ["/?code=the-code&state=$q{state}&unknown=%20", 200],
    );
  });
  is($login->(), 'from-code', 'the token');
  my %query = %$query;
  my ($request) = $provider->requests('code');
  my $form = $request->{form};
  is_deeply(
    [@query{qw(response_type client_id scope code_challenge_method login_hint)}],
    ['code', 'mail program', 'mail', 'S256', 'fred@example.org'], 'the authorization request'
  );
  like($query{redirect_uri}, qr{\Ahttp://127\.0\.0\.1:\d+/\z}, 'back to a loopback port');
  like($form->{code_verifier}, qr/\A[A-Za-z0-9_-]{43}\z/, 'RFC 7636 section 4.1');
  is($query{code_challenge}, encode_base64(sha256($form->{code_verifier}), '') =~ tr{+/=}{-_}dr, 'section 4.2');
  isnt($query{state}, $form->{code_verifier}, 'the state is another number');
  is($form->{redirect_uri}, $query{redirect_uri}, 'the same redirect URI');
  is($form->{grant_type}, 'authorization_code', 'the grant');
  is($form->{client_id}, 'mail program', 'a public client names itself');

  my ($denied) = by_browser('code', sub { my %q = @_; ["/?error=access_denied&error_description=not%20today&state=$q{state}", 200] });
  my $error = failure($denied);
  is($error->code, 'access_denied', 'the user said no');
  like("$error", qr/\AOAuth, authorization: the provider refused: access_denied \(access was denied\): not today$/, 'in words');
  my ($long) = by_browser('code', sub { my %q = @_; (['/?code=' . 'x' x 17_000], ["/?code=the-code&state=$q{state}", 200]) });
  is($long->(), 'from-code', 'a long request ends nothing');
  my ($wrong) = by_browser('code', sub { ['/?code=stolen&state=x', 400] });
  like(failure($wrong), qr/no redirect from the browser within 3 seconds; 1 with a wrong state/, 'a wrong state only');
  my ($bad) = by_browser('code', sub { my %q = @_; ["/?code=stolen&state=$q{state}", 200] });
  is(failure($bad)->step, 'authorization code', 'a code that the provider does not know');
  my ($other) = by_browser('code', sub { my %q = @_; ["/?code=the-code&iss=https://evil.example.org&state=$q{state}", 200] },
    issuer => 'https://accounts.example.org');
  like(failure($other), qr/another issuer/, 'RFC 9207');
};

subtest 'refresh' => sub {
  my ($login) = by_browser('rotate', sub { my %q = @_; ["/?code=c&state=$q{state}", 200] });
  is($login->(), 'first', 'logged in');
  my $oauth = oauth('rotate');
  $oauth->{client}{flow} = 'code';
  $oauth->{token} = { access_token => 'old', refresh_token => 'r1', received => time - 3600, expires => time + 5 };
  is($oauth->token, 'access1', 'renewed shortly before its end');
  is_deeply(
    ($provider->requests('rotate'))[-1]{form},
    { client_id => 'mail program', grant_type => 'refresh_token', refresh_token => 'r1' }, 'RFC 6749 section 6'
  );
  $oauth->{token}{expires} = time - 1;
  is($oauth->token, 'access2', 'with the new refresh token');
  $oauth->{token} = { access_token => 'old', refresh_token => 'r1', received => time - 3600, expires => time - 5 };
  my $error = failure(sub { $oauth->token });
  is($error->code, 'invalid_grant', 'a refresh token that was used up');
  is($error->description, "Token '[hidden]' is ?[31mrevoked?.", 'with a printable description');
  like("$error", qr/log in again/, 'and what to do');
  $oauth->{token}{expires} = time + 5;
  is($oauth->token, 'old', 'a token that still lives is used if the renewal fails');
  delete $oauth->{token}{refresh_token};
  $oauth->{token}{expires} = time - 1;
  like(failure(sub { $oauth->token }), qr/has expired, and the provider has given no refresh token; log in/, 'none');
  my ($kept) = by_browser('kept', sub { my %q = @_; ["/?code=c&state=$q{state}", 200] });
  is($kept->(), 'first', 'logged in');
  $oauth = oauth('kept');
  $oauth->{client}{flow} = 'code';
  $oauth->{token} = { access_token => 'first', refresh_token => 'stays', received => 1, expires => 2 };
  $oauth->token;
  is($oauth->{token}{refresh_token}, 'stays', 'a provider that does not rotate');
};

subtest 'discovery' => sub {
  my $issuer = $provider->url('issuer');
  my $oauth = Authen::SASL::Rust::OAuth->new(
    issuer => $issuer, client_id => 'x', client_secret => 'y', flow => 'client_credentials'
  );
  is($oauth->token, 'discovered', 'the token endpoint is found');
  my @requests = $provider->requests('issuer');
  is_deeply(
    [map { $_->{path} } @requests],
    ['/.well-known/oauth-authorization-server/issuer', '/issuer/.well-known/openid-configuration', '/issuer/token'],
    'at the place of RFC 8414, then at that of OpenID Connect'
  );
  is($requests[2]{form}{client_secret}, 'y', 'the client authenticates in the way that the metadata names');
  $oauth = Authen::SASL::Rust::OAuth->new(issuer => $issuer, client_id => 'x', flow => 'device', prompt => sub { });
  like(failure(sub { $oauth->login }), qr/needs a device_authorization_endpoint/, 'an endpoint without TLS is ignored');
  $oauth = Authen::SASL::Rust::OAuth->new(issuer => $provider->url('impostor'), client_id => 'x', flow => 'client_credentials');
  like(failure(sub { $oauth->token }), qr/OAuth, discovery: the metadata names another issuer/, 'RFC 8414 section 3.3');
};

subtest 'token responses' => sub {
  for my $case (
    ['no-type', qr/not a bearer token/], [mac => qr/not a bearer token/], [control => qr/RFC 6750/],
    [nothing => qr/no access_token/], [object => qr/no access_token/], [unknown => qr/the provider refused: none here/],
  ) {
    my ($name, $text) = @$case;
    like(failure(sub { oauth($name)->token }), $text, $name);
  }
};

subtest 'arguments' => sub {
  for my $case (
    [{}, qr/a provider and a client_id, or a file, are required/],
    [{ client_id => 'x' }, qr/a provider, an issuer or a token_endpoint is required/],
    [{ provider => 'google' }, qr/a client_id is required/],
    [{ provider => 'gogle', client_id => 'x' }, qr/provider: one of google, microsoft/],
    [{ provider => 'google', client_id => 'x', flow => 'device' }, qr/does not allow its mail scope in the device flow/],
    [{ client_id => 'x', token_endpont => 'https://x/' }, qr/unknown argument token_endpont \(did you mean token_endpoint\?\)/],
    [{ client_id => 'x', token_endpoint => 'http://example.org/token' }, qr/token_endpoint: only https/],
    [{ client_id => 'x', token_endpoint => 'http://127.0.0.1.example.org/' }, qr/token_endpoint: only https/],
    [{ client_id => 'x', token_endpoint => 'http://127.0.0.1@example.org/' }, qr/may not contain a user name/],
    [{ client_id => 'x', token_endpoint => 'ftp://127.0.0.1/' }, qr/only https/],
    [{ client_id => 'x', token_endpoint => "https://x/\r\n" }, qr/a character that no URL/],
    [{ client_id => 'x', issuer => 'example.org' }, qr{https:// was expected}],
    [{ client_id => ['x'], issuer => 'https://x' }, qr/client_id: a string was expected/],
    [{ file => 'x', flow => 'password' }, qr/flow: one of client_credentials, code, device/],
    [{ file => 'x', timeout => 0 }, qr/timeout: it may not be 0/],
    [{ file => 'x', timeout => 'soon' }, qr/timeout: a number of seconds/],
    [{ file => 'x', prompt => 'yes' }, qr/prompt: code was expected/],
    [{ provider => 'microsoft', client_id => 'x', tenant => '../x' }, qr/tenant: /],
  ) {
    my ($arg, $text) = @$case;
    ok(!eval { Authen::SASL::Rust::OAuth->new(%$arg) }, join ' ', 'refused:', map { "$_=$arg->{$_}" =~ s/\s/?/gr } sort keys %$arg);
    like($@, $text, 'with the reason');
    like($@, qr/ at t\/oauth\.t line/, 'and the line of the program');
  }
  ok(!eval { oauth('device', flow => 'device')->login }, 'no prompt');
  like($@, qr/the flow device needs a prompt/, 'which it says');
};

subtest 'providers' => sub {
  my %all = %Authen::SASL::Rust::OAuth::Providers::PROVIDERS;
  for my $name (sort keys %all) {
    like($all{$name}{source}, qr{\Ahttps://}, "$name: its source is named");
    like($all{$name}{$_}, qr{\Ahttps://[a-z.0-9]+/\S+\z}, "$name: $_")
      for qw(authorization_endpoint token_endpoint device_authorization_endpoint);
    my $oauth = Authen::SASL::Rust::OAuth->new(provider => $name, client_id => 'x');
    unlike($oauth->{client}{$_}, qr/[{}]/, "$name: $_ is complete") for grep { /_endpoint/ } keys %{ $oauth->{client} };
  }
  my $oauth = Authen::SASL::Rust::OAuth->new(provider => 'microsoft', tenant => 'example.org', client_id => 'x', flow => 'client_credentials');
  is($oauth->{client}{token_endpoint}, 'https://login.microsoftonline.com/example.org/oauth2/v2.0/token', 'a tenant');
  is($oauth->{client}{scope}, 'https://outlook.office365.com/.default', 'the scope of programs without a user');
};

done_testing;
