# The example runs unchanged.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use Test::More;

for my $mechanism ('NTLM', 'SCRAM-SHA-256') {
  my $output = qx{$^X -Mblib eg/cyrus-plugins $mechanism 2>&1};
  is $?, 0, "$mechanism: it ends well";
  like $output, qr/^otp +client: OTP +server: OTP$/m, 'lists the plugins';
  like $output, qr/^logged in as fred by \Q$mechanism\E\n\z/m, 'and logs in';
}

my $names = qx{AUTHEN_SASL_RUST_PLUGINS=ntlm $^X -Mblib -MAuthen::SASL::Rust -e 'print scalar Authen::SASL::Rust->global_listmech'};
like $names, qr/\bNTLM\z/, 'the environment brings in plugins';
$names = qx{AUTHEN_SASL_RUST_PLUGINS=0 $^X -Mblib -MAuthen::SASL::Rust -e 'print scalar Authen::SASL::Rust->global_listmech'};
unlike $names, qr/NTLM/, 'and 0 does not';

done_testing;
