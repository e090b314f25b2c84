package Peer::Verifier;

# A SCRAM verifier computed independently of our code, with Perl's own Digest::SHA, in the format of PostgreSQL and RFC 5803.
# For passwords that SASLprep does not change.

use strict;
use warnings;

use Digest::SHA  ();
use Encode       ();
use MIME::Base64 qw(encode_base64);

use constant ITERATIONS => 4096;

sub of {
  my ($class, $mechanism, $password) = @_;
  my ($bits) = $mechanism =~ /\ASCRAM-SHA-([0-9]+)\z/ or die "no hash for $mechanism\n";
  my ($hash, $hmac) = map { Digest::SHA->can("$_$bits") } qw(sha hmac_sha);
  my $salt = pack 'H*', '41125c247de70af1e3c8b8f5d92a6b07';
  my $salted = _salted_password($hmac, Encode::encode('UTF-8', $password), $salt);
  my $stored = $hash->($hmac->('Client Key', $salted));
  my $server = $hmac->('Server Key', $salted);
  my ($salt64, $stored64, $server64) = map { encode_base64($_, '') } $salt, $stored, $server;
  return "$mechanism\$" . ITERATIONS . ":$salt64\$$stored64:$server64";
}

# RFC 5802, section 2.2: Hi().
sub _salted_password {
  my ($hmac, $password, $salt) = @_;
  my $block = $hmac->("$salt\0\0\0\1", $password);
  my $sum = $block;
  for (2 .. ITERATIONS) {
    $block = $hmac->($block, $password);
    $sum ^= $block;
  }
  return $sum;
}

1;
