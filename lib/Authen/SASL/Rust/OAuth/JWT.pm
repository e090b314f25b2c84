package Authen::SASL::Rust::OAuth::JWT;

# Signed tokens (RFC 7519, RFC 7515), with the rules of RFC 8725: the algorithms are those that the program allows, the key is one
# of the issuer's and fits the algorithm, and what the token itself says about keys is ignored.

use strict;
use warnings;
use Authen::SASL::Rust::OAuth::Error;
use JSON::PP ();
use MIME::Base64 qw(decode_base64 encode_base64);

our $VERSION = '1.0';

my $STEP = 'token';
my $LIMIT = 16_384;
my $MIN_RSA_BYTES = 256;

# Public-key signatures only (RFC 7518 section 3.1, RFC 8037). `none` and HMAC are not in the table: with a public key as its
# secret, anybody could make an HMAC.
my %ALGORITHM = (
  (map { ("RS$_" => { kty => 'RSA', hash => "SHA$_", padding => 'v1.5' }) } 256, 384, 512),
  (map { ("PS$_" => { kty => 'RSA', hash => "SHA$_", padding => 'pss', salt => $_ / 8 }) } 256, 384, 512),
  ES256 => { kty => 'EC', hash => 'SHA256', crv => 'P-256', bytes => 64 },
  ES384 => { kty => 'EC', hash => 'SHA384', crv => 'P-384', bytes => 96 },
  ES512 => { kty => 'EC', hash => 'SHA512', crv => 'P-521', bytes => 132 },
  EdDSA => { kty => 'OKP', crv => 'Ed25519', bytes => 64 },
);

sub algorithms { return sort keys %ALGORITHM }

# The library of the signatures is optional. Returns the reason why it cannot be used, or undef.
sub missing {
  return undef if eval { require Crypt::PK::RSA; require Crypt::PK::ECC; require Crypt::PK::Ed25519; 1 };
  return 'tokens with signatures need CryptX (Debian: libcryptx-perl); without it, use introspection';
}

sub _refuse { return Authen::SASL::Rust::OAuth::Error->throw($STEP, $_[0], code => 'invalid_token') }

# claims($token, $keys, \%allowed, $type): the claims of a token with a right signature. Throws for any other.
sub claims {
  my ($token, $keys, $allowed, $type) = @_;
  _refuse("it is longer than $LIMIT bytes") if length $token > $LIMIT;
  my @parts = split /\./, $token, -1;
  _refuse('it is not a signed token: three parts were expected') if @parts != 3;
  my ($head, $claims, $signature) = map { _decoded($_) } @parts;
  ($head, $claims) = (_object('header', $head), _object('claims set', $claims));
  my $name = $head->{alg};
  _refuse('its algorithm is not allowed') if !defined $name || ref $name || !$allowed->{$name};
  _refuse('its header has critical extensions (crit), and none is supported') if exists $head->{crit};
  _refuse('its type (typ) is not the expected one') if !_has_type($head->{typ}, $type);
  my $kid = $head->{kid};
  _refuse('its kid is not a string') if ref $kid;
  my @keys = grep { _fits($_, $name) } $keys->candidates($kid);
  _refuse('no key of the issuer fits its kid and algorithm') if !@keys;
  my $signed = "$parts[0].$parts[1]";
  _refuse('its signature is wrong') if !grep { _verifies($_, $name, $signature, $signed) } @keys;
  return $claims;
}

# RFC 7515 section 2: base64url without padding, and nothing that a lenient decoder would skip.
sub _decoded {
  my ($text) = @_;
  _refuse('a part is not base64url') if $text !~ /\A[A-Za-z0-9_-]*\z/ || length($text) % 4 == 1;
  $text =~ tr{-_}{+/};
  return decode_base64($text . '=' x (-length($text) % 4));
}

sub _object {
  my ($what, $text) = @_;
  my $object = eval { JSON::PP->new->utf8->max_depth(16)->decode($text) };
  _refuse("its $what is not a JSON object") if ref $object ne 'HASH';
  return $object;
}

# RFC 8725 section 3.11, RFC 9068 section 2.1: a type is compared without case and without "application/".
sub _has_type {
  my ($typ, $wanted) = @_;
  return !defined $wanted if !defined $typ;
  return 0 if ref $typ;
  ($typ = lc $typ) =~ s{\Aapplication/}{};
  return defined $wanted ? $typ eq lc $wanted : $typ eq 'jwt' || $typ eq 'at+jwt';
}

sub _fits {
  my ($key, $name) = @_;
  my $algorithm = $ALGORITHM{$name};
  my $is =
    sub { my ($field, $wanted) = @_; return defined $key->{$field} && !ref $key->{$field} && $key->{$field} eq $wanted };
  return 0 if !$is->(kty => $algorithm->{kty}) || defined $algorithm->{crv} && !$is->(crv => $algorithm->{crv});
  return 0 if defined $key->{use} && !$is->(use => 'sig') || defined $key->{alg} && !$is->(alg => $name);
  return 0
    if exists $key->{key_ops} && !grep { defined && $_ eq 'verify' }
    ref $key->{key_ops} eq 'ARRAY' ? @{ $key->{key_ops} } : ();
  return 1 if $algorithm->{kty} ne 'RSA';
  my $modulus = eval { _decoded($key->{n}) };
  return 0 if !defined $modulus;
  $modulus =~ s/\A\0+//;
  return length $modulus >= $MIN_RSA_BYTES ? 1 : 0;
}

sub _padded {
  my ($coordinate, $bytes) = @_;
  my $value = _decoded($coordinate);
  my $text = encode_base64("\0" x ($bytes - length $value) . $value, '');
  $text =~ tr{+/=}{-_}d;
  return $text;
}

# An invalid key or signature is a wrong signature.
sub _verifies {
  my ($key, $name, $signature, $signed) = @_;
  my $algorithm = $ALGORITHM{$name};
  return 0 if $algorithm->{bytes} && length $signature != $algorithm->{bytes};
  my %public = map { $_ => $key->{$_} } grep { defined $key->{$_} && !ref $key->{$_} } qw(kty crv n e x y);
  my $yes = eval {
    # RFC 7518 section 6.2.1.2 demands the full length; some libraries (Authlib 1.2) leave zeros out.
    if ($algorithm->{kty} eq 'EC') { $_ = _padded($_, $algorithm->{bytes} / 2) for @public{qw(x y)} }
    $algorithm->{kty} eq 'EC'
      ? Crypt::PK::ECC->new(\%public)->verify_message_rfc7518($signature, $signed, $algorithm->{hash})
      : $algorithm->{kty} eq 'OKP' ? Crypt::PK::Ed25519->new(\%public)->verify_message($signature, $signed)
      : Crypt::PK::RSA->new(\%public)
      ->verify_message($signature, $signed, @{$algorithm}{qw(hash padding)}, $algorithm->{salt} || ());
  };
  return $yes ? 1 : 0;
}

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::OAuth::JWT - signed tokens

=head1 DESCRIPTION

Checks the signature of a token for L<Authen::SASL::Rust::OAuth::Verifier>. Programs do not need this module.

=cut
