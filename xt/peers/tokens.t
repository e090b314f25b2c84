# Authen::SASL::Rust::OAuth::Verifier and tokens that were signed by PyJWT and by Authlib.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use lib 'xt/lib';
use Test::More;
use Authen::SASL qw(Rust);
use Authen::SASL::Rust::OAuth::JWT;
use Authen::SASL::Rust::OAuth::Verifier;
use File::Temp qw(tempdir);
use JSON::PP ();

my $missing = Authen::SASL::Rust::OAuth::JWT::missing();
plan skip_all => $missing if $missing;
plan skip_all => 'PyJWT or Authlib is missing (Debian: python3-jwt, python3-authlib)'
  if system('/usr/bin/python3 -c "import jwt, authlib.jose" >/dev/null 2>&1') != 0;

my $made = JSON::PP::decode_json(scalar qx{/usr/bin/python3 xt/peers/tokens.py});
my $folder = tempdir(CLEANUP => 1);
open my $out, '>', "$folder/keys" or die "keys: $!";
print {$out} JSON::PP::encode_json({ keys => $made->{keys} });
close $out or die "keys: $!";
chmod 0600, "$folder/keys";

my $verifier = Authen::SASL::Rust::OAuth::Verifier->new(
  keys => "$folder/keys", issuer => 'https://login.example.org', audience => 'imap', scope => 'imap',
  algorithms => [qw(RS256 RS512 PS256 PS384 ES256 ES384 ES512 EdDSA)]
);
my $narrow = Authen::SASL::Rust::OAuth::Verifier->new(
  keys => "$folder/keys", issuer => 'https://login.example.org', audience => 'imap'
);

my %tokens = %{ $made->{tokens} };
is(scalar(grep { /\A(?:PyJWT|Authlib) / } keys %tokens), 16, 'there are tokens of both');
for my $name (sort keys %tokens) {
  my ($maker, $algorithm) = split / /, $name;
  if ($maker eq 'forged' || $maker eq 'expired') {
    is($verifier->verify($tokens{$name}), undef, "$name is refused");
    like($verifier->error, $maker eq 'forged' ? qr/algorithm is not allowed/ : qr/has expired/, 'for that reason');
    next;
  }
  is($verifier->verify($tokens{$name}), 'fred', $name) or diag $verifier->error;
  my $allowed = $algorithm =~ /\A[RE]S256\z/ ? 'fred' : undef;
  is($narrow->verify($tokens{$name}), $allowed, 'by default ' . ($allowed ? 'too' : 'not'));
}

# A whole login.
for my $mechanism (qw(OAUTHBEARER XOAUTH2)) {
  my $client = Authen::SASL->new(mechanism => $mechanism, callback => { user => 'fred', token => $tokens{'PyJWT ES256'} })
    ->client_new('imap', 'localhost');
  my $server = Authen::SASL->new(mechanism => $mechanism, callback => { checktoken => $verifier })->server_new('imap', 'localhost');
  $server->server_start($client->client_start);
  is($server->property('user'), 'fred', $mechanism) or diag $server->error;
}

done_testing;
