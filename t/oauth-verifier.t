# Authen::SASL::Rust::OAuth::Verifier: introspection with a provider made by the test, and signed tokens, good and forged.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use Authen::SASL::Rust::OAuth::Verifier;
use Digest::SHA qw(hmac_sha256);
use File::Temp qw(tempdir);
use JSON::PP ();
use Loopback ();
use MIME::Base64 qw(encode_base64 decode_base64);
use Provider;

if (my $alone = Loopback::missing()) { plan skip_all => $alone }

my ($true, $false) = (JSON::PP::true(), JSON::PP::false());
my $folder = tempdir(CLEANUP => 1);
my $json = JSON::PP->new->canonical->utf8;

# What the provider says of a token, by its name.
my %said = (
  good => { active => $true, sub => 'fred', exp => time + 600, scope => 'imap smtp', aud => ['imap', 'smtp'], iss => 'https://a' },
  inactive => { active => $false, sub => 'fred' },
  text => { active => 'true', sub => 'fred' },
  one => { active => 1, sub => 'fred' },
  silent => { sub => 'fred' },
  expired => { active => $true, sub => 'fred', exp => time - 600 },
  early => { active => $true, sub => 'fred', nbf => time + 600 },
  future => { active => $true, sub => 'fred', iat => time + 600 },
  nameless => { active => $true },
  empty => { active => $true, sub => '' },
  list => { active => $true, sub => ['fred'] },
  control => { active => $true, sub => "fred\nroot" },
  mac => { active => $true, sub => 'fred', token_type => 'mac' },
  'bad-time' => { active => $true, sub => 'fred', exp => 'never' },
  renee => { active => $true, sub => "ren\x{e9}e", scope => ['imap'], token_type => 'bearer' },
);
sub decoded { my ($text) = @_; utf8::decode($text); return $text }
sub encoded { my ($text) = @_; utf8::encode($text); return $text }

my $set;
my $provider = Provider->start(
  introspect => sub {
    my ($request) = @_;
    return [401, { error => 'invalid_client' }] if ($request->{header}{authorization} || '') ne 'Basic ' . encode_base64('server:pencil', '');
    my $token = $request->{form}{token};
    return { active => $true, sub => decoded(pack "H*", $1) } if $token =~ /\Anamed-(\w+)\z/;
    return $said{$token} || { active => $false };
  },
  broken => sub { [500, 'text/plain', ''] },
  keys => sub {
    my ($request, $state) = @_;
    open my $in, '<:raw', "$folder/served" or return [503, 'text/plain', ''];
    local $/;
    return [200, 'application/json', scalar <$in>];
  },
);

sub spew {
  my ($name, $text) = @_;
  open my $out, '>:raw', "$folder/$name.new" or die "$name: $!";
  chmod 0600, "$folder/$name.new" or die "$name: $!";
  print {$out} $text;
  close $out or die "$name: $!";
  rename "$folder/$name.new", "$folder/$name" or die "$name: $!";
  return "$folder/$name";
}

sub introspection {
  return Authen::SASL::Rust::OAuth::Verifier->new(
    introspection => $provider->url('introspect'), client_id => 'server', client_secret => 'pencil', @_
  );
}

sub refused {
  my ($verifier, $token, $text, $what) = @_;
  is($verifier->verify($token), undef, $what);
  like($verifier->error, qr/\AOAuth, (?:token|introspection|key set): [\x20-\x7e]*$text/, 'with the reason');
  unlike($verifier->error, qr/pencil/, 'without a secret');
  unlike($verifier->error, qr/\Q$token\E/, 'without the token') if length $token > 12;
  return;
}

subtest 'introspection' => sub {
  my $verifier = introspection(scope => 'imap', audience => 'imap', issuer => 'https://a');
  is($verifier->verify('good'), 'fred', 'a good token');
  is($verifier->error, undef, 'no error');
  is($verifier->verify('good'), 'fred', 'again');
  my @requests = $provider->requests('introspect');
  is(scalar @requests, 1, 'by one request');
  is_deeply($requests[0]{form}, { token => 'good', token_type_hint => 'access_token' }, 'RFC 7662 section 2.1');
  my $any = introspection();
  for my $case (
    [inactive => qr/not active/], [text => qr/not active/], [one => qr/not active/], [silent => qr/not active/],
    ['unknown-to-the-provider' => qr/not active/], [expired => qr/has expired/], [early => qr/not valid yet/], [future => qr/in the future/],
    [nameless => qr/names no user/], [empty => qr/names no user/], [list => qr/names no user/], [control => qr/control character/],
    [mac => qr/not a bearer token/], ['bad-time' => qr/exp is not a number/],
  ) {
    my ($token, $text) = @$case;
    refused($any, $token, $text, $token);
  }
  for my $case (
    ["anna\x{ad}", 'changes'], ["\x{ff46}red", 'changes'], ["fred\x{a0}", 'changes'], ["Ju\x{308}rgen", 'changes'], ["\x{e000}", 'forbids'], ["\x{ad}", 'forbids'],
  ) {
    my ($name, $verb) = @$case;
    refused($any, 'named-' . unpack("H*", encoded($name)),
      qr/its user \(sub\) is not a valid user name: SASLprep $verb it/, sprintf 'a name that SASLprep %s: %vx', $verb, $name);
  }
  refused($any, 'named-' . '78' x 4097, qr/its user \(sub\) is longer than 4096 bytes/, 'a name that is too long');
  is($any->verify('named-' . '78' x 4096), 'x' x 4096, '... the longest one');
  is($any->verify('renee'), "ren\xc3\xa9e", 'a name beyond ASCII, in octets');
  refused(introspection(scope => 'imap pop3'), 'good', qr/does not have the scope pop3/, 'a scope');
  is(introspection(scope => ['imap'])->verify('renee'), "ren\xc3\xa9e", 'scopes as an array');
  refused(introspection(audience => ['pop3', 'ldap']), 'good', qr/meant for another service/, 'an audience');
  refused(introspection(issuer => 'https://b'), 'good', qr/another issuer/, 'an issuer');
  refused(introspection(user => 'email'), 'good', qr/names no user \(email\)/, 'another claim');
  refused(introspection(client_secret => 'crayon'), 'good', qr/refused: invalid_client/, "the server's own secret is wrong");
  refused($any, '', qr/it is empty/, 'no token');
};

subtest 'the cache' => sub {
  my $before = () = $provider->requests('introspect');
  my $count = sub { return scalar(() = $provider->requests('introspect')) - $before };
  my $verifier = introspection(leeway => 0);
  $verifier->verify('inactive') for 1 .. 3;
  is($count->(), 1, 'a refusal is kept too');
  $verifier->verify('good');
  (values %{ $verifier->{cached} })[0]{claims}{exp} = 5;
  $_->{claims}{exp} = time - 1 for values %{ $verifier->{cached} };
  refused($verifier, 'good', qr/has expired/, 'a cached token that has expired since');
  is($count->(), 2, 'without a request');
  $_->{until} = time for values %{ $verifier->{cached} };
  is($verifier->verify('good'), 'fred', 'an old answer is not used');
  $verifier = introspection(cache => 0);
  $before = () = $provider->requests('introspect');
  $verifier->verify('good') for 1 .. 3;
  is($count->(), 3, 'cache => 0');
  $verifier->{cached} = { map { $_ => { until => time + 60, claims => {} } } 1 .. 10_000 };
  $verifier->{cache} = 60;
  $verifier->verify('good');
  cmp_ok(scalar keys %{ $verifier->{cached} }, '<=', 10_000, 'it is limited');
};

sub connection {
  my ($verifier, %callback) = @_;
  return Authen::SASL->new(mechanism => 'OAUTHBEARER', callback => { checktoken => $verifier, %callback })
    ->server_new('imap', 'mail.example.org');
}

subtest 'as a callback' => sub {
  my $verifier = introspection(scope => 'imap', configuration => 'https://a/.well-known/openid-configuration');
  my $conn = connection($verifier);
  $conn->server_start("n,a=fred,\x01auth=Bearer good\x01\x01");
  is($conn->property('user'), 'fred', 'logged in') or diag $conn->error;
  $conn->server_start("n,a=wilma,\x01auth=Bearer good\x01\x01");
  is($conn->code, -14, 'not as another user');
  my @log;
  $conn = connection($verifier, log => sub { push @log, [@_[1, 2]] });
  is(
    $conn->server_start("n,,\x01auth=Bearer unknown\x01\x01"),
    '{"status":"invalid_token","scope":"imap","openid-configuration":"https://a/.well-known/openid-configuration"}', 'the error object'
  );
  $conn->server_step("\x01");
  is($conn->property('user'), undef, 'nobody is in');
  is_deeply(\@log, [[1, "checktoken: OAuth, token: the provider says that it is not active"]], 'the log has the reason');
  like(connection(introspection(scope => 'pop3'))->server_start("n,,\x01auth=Bearer good\x01\x01"), qr/"insufficient_scope","scope":"pop3"/, 'a scope');
  my $broken = Authen::SASL::Rust::OAuth::Verifier->new(introspection => $provider->url('broken'));
  is(connection($broken)->server_start("n,,\x01auth=Bearer good\x01\x01"), '{"status":"temporarily_unavailable"}', 'a provider that fails');
};

subtest 'arguments' => sub {
  my %keys = (keys => '/nonexistent', issuer => 'https://a', audience => 'imap');
  for my $case (
    [{}, qr/either keys or introspection is required/], [{ %keys, introspection => 'https://a' }, qr/either keys or introspection/],
    [{ introspection => 'http://example.org/' }, qr/introspection: only https/], [{ %keys, keys => 'http://example.org/' }, qr/keys: only https/],
    [{ %keys, algorithms => ['RS256', 'none'] }, qr/algorithms: .*none and HMAC are never accepted/],
    [{ %keys, algorithms => 'HS256' }, qr/none and HMAC are never accepted/], [{ %keys, algorithms => [] }, qr/at least one/],
    [{ %keys, issuer => undef }, qr/issuer: it is required with keys/], [{ %keys, audience => undef }, qr/audience: it is required/],
    [{ %keys, leeway => 'a' }, qr/leeway: a number/], [{ %keys, user => [] }, qr/user: a string/], [{ %keys, key => 1 }, qr/unknown argument key/],
  ) {
    my ($arg, $text) = @$case;
    ok(!eval { Authen::SASL::Rust::OAuth::Verifier->new(%$arg) }, 'refused: ' . join ' ', map { "$_=" . ($arg->{$_} // '') } sort keys %$arg);
    like($@, $text, 'with the reason');
  }
};

sub base64url { return encode_base64($_[0], '') =~ tr{+/=}{-_}dr }

subtest 'without CryptX' => sub {
  no warnings 'redefine';
  local *Authen::SASL::Rust::OAuth::JWT::missing = sub { 'tokens with signatures need CryptX' };
  ok(!eval { Authen::SASL::Rust::OAuth::Verifier->new(keys => '/x', issuer => 'a', audience => 'b') }, 'new dies');
  like($@, qr/^tokens with signatures need CryptX/, 'and says what is needed');
};

# RFC 7515, appendix A.2 (RS256) and A.3 (ES256).
my $claims = 'eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ';
my %vector = (
  RS256 => [
    "eyJhbGciOiJSUzI1NiJ9.$claims.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    { kty => 'RSA', e => 'AQAB',
      n => 'ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ' }
  ],
  ES256 => [
    "eyJhbGciOiJFUzI1NiJ9.$claims.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    { kty => 'EC', crv => 'P-256', x => 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU', y => 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0' }
  ],
  # Made by Authlib 1.2.0, which leaves out the first byte of x, a zero.
  ES512 => [
    'eyJhbGciOiJFUzUxMiIsImtpZCI6IkVTNTEyIiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUub3JnIiwiYXVkIjoiaW1hcCIsInN1YiI6ImZyZWQiLCJzY29wZSI6ImltYXAgc210cCIsImlhdCI6MTc5NjAzNzg0MSwiZXhwIjoxNzk2MDM4NDQxfQ.AFZM3zMJgC736S5QMMZUeYImqa5oGeal-89Pvdt0fWue8ZgtGW-5ByHGJHAsfmB2vE-QyyV3_o5ed4IsBKjZesviAPbM6Zst8sHvIbGaXPXz-XQZPMtbHzvo_QttJWyqspOSuhkkHU5aIrVaIcyO5vPWte6714vXay2v52bSQU3-Uv9r',
    { kty => 'EC', kid => 'ES512', crv => 'P-521', x => 'SGhQz4rGPv2DPfKTXnNaze-CmBkuYz2WvX3UbVt4xLZUcGa2dQHwtbZAWu4kD-9DvB02w7LWFZ3YtQEBaWDwfp0',
      y => 'AZRtJPtps2IXCYCsQlla6A6yyOtjyqme4kGfp2VCc9kpZpccbvMV_fuI_OWiQ4tG3-qrplTI4TKyD0BNexPYvMIG' }
  ],
);

subtest 'tokens of others' => sub {
  if (my $missing = Authen::SASL::Rust::OAuth::JWT::missing()) { plan skip_all => $missing }
  for my $name (sort keys %vector) {
    my ($token, $key) = @{ $vector{$name} };
    my $file = spew('vector', $json->encode({ keys => [$key] }));
    my $keys = Authen::SASL::Rust::OAuth::Keys->new($file);
    my $check = sub { return eval { Authen::SASL::Rust::OAuth::JWT::claims($_[0], $keys, { $_[1] => 1 }) } };
    like(($check->($token, $name) || {})->{iss}, qr/joe|login/, "$name: right") or diag $@;
    is($check->($token =~ s/(.)(.)\z/$2$1/r, $name), undef, "$name: another signature");
    is($check->($token =~ s/\.eyJ/.eyK/r, $name), undef, "$name: other claims");
    is($check->($token, $name eq 'RS256' ? 'ES256' : 'RS256'), undef, "$name: not allowed");
  }
};

subtest 'signed tokens' => sub {
  if (my $missing = Authen::SASL::Rust::OAuth::JWT::missing()) { plan skip_all => $missing }
  my ($rsa, $other, $small, $ec) = (Crypt::PK::RSA->new, Crypt::PK::RSA->new, Crypt::PK::RSA->new, Crypt::PK::ECC->new);
  $_->generate_key(256) for $rsa, $other;
  $small->generate_key(128);
  $ec->generate_key('secp256r1');
  my $ed = Crypt::PK::Ed25519->new->generate_key;
  my $public = sub { my ($key, %more) = @_; return { %{ $key->export_key_jwk('public', 1) }, %more } };
  my $file = spew('keys', $json->encode({
    keys => [
      $public->($rsa, kid => 'r1'), $public->($ec, kid => 'e1'), $public->($small, kid => 'small'), $public->($ed, kid => 'd1'),
      $public->($other, kid => 'encrypts', use => 'enc'), $public->($rsa, kid => 'ps', alg => 'PS256'),
      { kty => 'oct', kid => 'oct', k => base64url('pencil') }, { kty => 'RSA', kid => 'broken', n => 'AAAA', e => 'AQAB' }, 'text',
    ],
  }));
  my %sign = (
    RS256 => sub { $_[1]->sign_message($_[0], 'SHA256', 'v1.5') }, PS256 => sub { $_[1]->sign_message($_[0], 'SHA256', 'pss', 32) },
    ES256 => sub { $_[1]->sign_message_rfc7518($_[0], 'SHA256') }, EdDSA => sub { $_[1]->sign_message($_[0]) },
    HS256 => sub { hmac_sha256($_[0], $_[1]) }, none => sub { '' },
  );
  my $make = sub {
    my ($key, $head, %claim) = @_;
    my $text = join '.', map { base64url($json->encode($_)) } { typ => 'JWT', %$head },
      { iss => 'https://a', aud => 'imap', sub => 'fred', exp => time + 600, iat => time, %claim };
    return "$text." . base64url(($sign{ $head->{alg} // 'none' } || $sign{none})->($text, $key));
  };
  my $verifier = Authen::SASL::Rust::OAuth::Verifier->new(
    keys => $file, issuer => 'https://a', audience => ['imap', 'smtp'], algorithms => [qw(RS256 ES256 EdDSA PS256)]
  );
  my $pem = $rsa->export_key_pem('public');
  my %good = (
    'RS256' => $make->($rsa, { alg => 'RS256', kid => 'r1' }), 'ES256' => $make->($ec, { alg => 'ES256', kid => 'e1' }),
    'EdDSA' => $make->($ed, { alg => 'EdDSA', kid => 'd1' }), 'PS256' => $make->($rsa, { alg => 'PS256', kid => 'ps' }),
    'no kid' => $make->($rsa, { alg => 'RS256' }), 'an array of audiences' => $make->($rsa, { alg => 'RS256' }, aud => ['x', 'smtp']),
    'no typ' => $make->($rsa, { alg => 'RS256', typ => undef }) , 'at+jwt' => $make->($rsa, { alg => 'RS256', typ => 'application/AT+JWT' }),
    'a fraction of a second' => $make->($rsa, { alg => 'RS256' }, exp => time + 60.5),
    'within the leeway' => $make->($rsa, { alg => 'RS256' }, exp => time - 30, nbf => time + 30, iat => time + 30),
  );
  is($verifier->verify($good{$_}), 'fred', "good: $_") or diag $verifier->error for sort keys %good;

  my ($head, $body, $signature) = split /\./, $good{RS256};
  for my $case (
    ['none', $make->('', { alg => 'none' }), qr/algorithm is not allowed/], ['None', $make->('', { alg => 'None' }), qr/not allowed/],
    ['no alg', $make->('', {alg => undef}), qr/not allowed/], ['an array as alg', $make->('', { alg => ['RS256'] }), qr/not allowed/],
    ['HMAC with the public key (PEM)', $make->($pem, { alg => 'HS256', kid => 'r1' }), qr/not allowed/],
    ['HMAC with a key of the set', $make->('pencil', { alg => 'HS256', kid => 'oct' }), qr/not allowed/],
    ['no signature', "$head.$body.", qr/signature is wrong/], ['two parts', "$head.$body", qr/three parts/], ['four parts', "$good{RS256}.x", qr/three parts/],
    ['another key', $make->($other, { alg => 'RS256', kid => 'r1' }), qr/signature is wrong/],
    ['a key brought along', $make->($other, { alg => 'RS256', jwk => $public->($other) }), qr/signature is wrong/],
    ['an unknown kid', $make->($rsa, { alg => 'RS256', kid => 'r2' }), qr/no key of the issuer fits/],
    ['a kid of another algorithm', $make->($rsa, { alg => 'RS256', kid => 'e1' }), qr/no key of the issuer fits/],
    ['a key for another algorithm', $make->($rsa, { alg => 'RS256', kid => 'ps' }), qr/no key of the issuer fits/],
    ['a key for encryption', $make->($other, { alg => 'RS256', kid => 'encrypts' }), qr/no key of the issuer fits/],
    ['a key of 1024 bits', $make->($small, { alg => 'RS256', kid => 'small' }), qr/no key of the issuer fits/],
    ['a broken key', $make->($rsa, { alg => 'RS256', kid => 'broken' }), qr/no key of the issuer fits/],
    ['an ECDSA signature of zeros', join('.', (split /\./, $good{ES256})[0, 1], base64url("\0" x 64)), qr/signature is wrong/],
    ['crit', $make->($rsa, { alg => 'RS256', crit => ['exp'] }), qr/crit/], ['typ', $make->($rsa, { alg => 'RS256', typ => 'dpop+jwt' }), qr/typ/],
    ['kid is an object', $make->($rsa, { alg => 'RS256', kid => {} }), qr/kid is not a string/],
    ['expired', $make->($rsa, { alg => 'RS256' }, exp => time - 61), qr/has expired/], ['no exp', $make->($rsa, { alg => 'RS256' }, exp => undef), qr/no expiry/],
    ['nbf', $make->($rsa, { alg => 'RS256' }, nbf => time + 100), qr/not valid yet/], ['iat', $make->($rsa, { alg => 'RS256' }, iat => time + 100), qr/future/],
    ['exp is text', $make->($rsa, { alg => 'RS256' }, exp => 'inf'), qr/exp is not a number/],
    ['issuer', $make->($rsa, { alg => 'RS256' }, iss => 'https://a/'), qr/another issuer/], ['no issuer', $make->($rsa, { alg => 'RS256' }, iss => undef), qr/another issuer/],
    ['audience', $make->($rsa, { alg => 'RS256' }, aud => 'ldap'), qr/another service/], ['no audience', $make->($rsa, { alg => 'RS256' }, aud => undef), qr/another service/],
    ['an object as audience', $make->($rsa, { alg => 'RS256' }, aud => { imap => 1 }), qr/another service/],
    ['padding', "$head=.$body.$signature", qr/not base64url/], ['a line feed', "$head\n.$body.$signature", qr/not base64url/],
    ['base64 of an impossible length', "$head.$body.AAAAA", qr/not base64url/],
    ['claims are an array', "$head." . base64url('[]') . ".$signature", qr/claims set is not a JSON object/],
    ['the header is no JSON', base64url('{') . ".$body.$signature", qr/header is not a JSON object/],
    ['long', 'x' x 16_385, qr/longer than 16384 bytes/],
  ) {
    my ($what, $token, $text) = @$case;
    refused($verifier, $token, $text, $what);
  }
  my $strict = Authen::SASL::Rust::OAuth::Verifier->new(keys => $file, issuer => 'https://a', audience => 'imap', type => 'at+jwt');
  is($strict->verify($good{'at+jwt'}), 'fred', 'a type is demanded');
  refused($strict, $good{RS256}, qr/type \(typ\)/, 'another type');

  subtest 'the key set' => sub {
    my $new = Crypt::PK::RSA->new;
    $new->generate_key(256);
    spew('served', $json->encode({ keys => [$public->($rsa, kid => 'r1')] }));
    my $remote = Authen::SASL::Rust::OAuth::Verifier->new(keys => $provider->url('keys'), issuer => 'https://a', audience => 'imap');
    my $next = $make->($new, { alg => 'RS256', kid => 'r2' });
    is($remote->verify($good{RS256}), 'fred', 'from a URL');
    refused($remote, $next, qr/no key of the issuer fits/, 'a new key');
    my $count = () = $provider->requests('keys');
    is($count, 1, 'not asked for again at once');
    $remote->{key_set}{tried} -= 60;
    refused($remote, $next, qr/no key of the issuer fits/, 'it is still unknown');
    spew('served', $json->encode({ keys => [$public->($new, kid => 'r2')] }));
    $remote->{key_set}{tried} -= 60;
    is($remote->verify($next), 'fred', 'but then it is fetched');
    refused($remote, $good{RS256}, qr/no key of the issuer fits/, 'and the old one is gone');
    $remote->{key_set}{$_} -= 4000 for qw(tried fetched);
    unlink "$folder/served";
    is($remote->verify($next), 'fred', 'the keys stay in use while the issuer is away');
    $remote->{key_set}{$_} -= 86_400 for qw(tried fetched);
    refused($remote, $next, qr/status 503/, 'but not for ever');
    is($remote->verify($next), undef, 'nor when the issuer is not asked again');
    my $away = Authen::SASL::Rust::OAuth::Verifier->new(keys => $provider->url('keys'), issuer => 'https://a', audience => 'imap');
    refused($away, $next, qr/status 503/, 'an issuer that is away from the beginning');
    like(connection($away)->server_start("n,,\x01auth=Bearer $next\x01\x01"), qr/temporarily_unavailable/, 'is not a wrong token');

    spew('keys', $json->encode({ keys => [$public->($new, kid => 'r2')] }));
    is($verifier->verify($next), 'fred', 'a file is read again');
    refused($verifier, $good{RS256}, qr/no key of the issuer fits/, 'an old key is gone');
    for my $text ('', '[]', '{}', '{"keys":{}}', $json->encode({ keys => [({}) x 101] }), ' ' x 300_000) {
      spew('keys', $text);
      refused($verifier, $next, qr/not a JSON Web Key Set|more than 100 keys|longer than/, 'no key set: ' . substr $text, 0, 12);
    }
    spew('keys', $json->encode({ keys => [$public->($new, kid => 'r2')] }));

    # Twice in one second, with the same size.
    my $withdrawn;
    for (1 .. 10) {
      my $begin = time;
      for my $key ($rsa, $new) {
        open my $out, '>:raw', $file or die "$file: $!";
        print {$out} $json->encode({ keys => [$public->($key, kid => 'r1')] });
        close $out or die "$file: $!";
        $withdrawn = $verifier->verify($good{RS256});
      }
      last if time == $begin;
    }
    is($withdrawn, undef, 'a key that is withdrawn as soon as it was read');
    spew('keys', $json->encode({ keys => [$public->($new, kid => 'r2')] }));
    chmod 0666, $file;
    refused($verifier, $next, qr/others can write it/, 'a file that others can write');
    unlink $file;
    refused($verifier, $next, qr/No such file/, 'no file');
  };
};

done_testing;
