# tls-server-end-point of certificates with each kind of signature, against a table that openssl and Python have made.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use Digest::SHA ();
use Test::More;

use Authen::SASL::Rust::ChannelBinding ();

my $table = 't/vectors/certificates/end-points.txt';
open my $in, '<', $table or die "$table: $!";
my $text = do { local $/; <$in> };
close $in;

# Digest::SHA has no SHA-3; OpenSSL has it, and IO::Socket::SSL brings it.
my $has_sha3 = eval { require Net::SSLeay; Net::SSLeay::EVP_get_digestbyname('sha3-256') };
my %count;
while ($text =~ /^title: (.*)\nhash: (.*)\ndata: (.*)\n(-----BEGIN CERTIFICATE-----\n[^-]+-----END CERTIFICATE-----)$/gm) {
  my ($title, $hash, $data, $pem) = ($1, $2, $3, $4);
  $count{$hash}++;
SKIP: {
    skip 'Net::SSLeay is needed for SHA-3', 1 if $hash =~ /\Asha3/ && !$has_sha3;
    my $ours = Authen::SASL::Rust::ChannelBinding::_end_point_data($pem);
    is(defined $ours ? unpack 'H*', $ours : 'none', $data, "$title: $hash");
  }
}
cmp_ok($count{none}, '>=', 4, 'certificates without data');
is(scalar keys %count, 11, 'ten hashes, and none');

# A certificate that ends early gives what it gives, and no warning.
my ($pem) = $text =~ /^title: RSA sha256 rsa_padding_mode:pss\n.*\n.*\n(-----BEGIN.*?-----END CERTIFICATE-----)$/ms;
my ($body) = $pem =~ /-----\n(.*?)\n-----/s;
my @warnings;
local $SIG{__WARN__} = sub { push @warnings, @_ };
for my $length (map { 8 * $_ } 0 .. length($body) / 8) {
  Authen::SASL::Rust::ChannelBinding::_end_point_data(
    "-----BEGIN CERTIFICATE-----\n" . substr($body, 0, $length) . "\n-----END CERTIFICATE-----\n");
}
is_deeply(\@warnings, [], 'certificates that end early');
is(Authen::SASL::Rust::ChannelBinding::_end_point_data('no certificate'), undef, 'what is no certificate has no data');

done_testing;
