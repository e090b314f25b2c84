# The Kerberos crate's own tests (crates/kerberos/tests/kerberos.rs): channel bindings, damaged messages, frames out of order.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;

use Server::Kdc ();

my $kdc = Server::Kdc->start(principals => [qw(fred ldap/localhost)]);
$ENV{KRB5_KTNAME} = $kdc->keytab('ldap/localhost');
$ENV{KRB5CCNAME} = $kdc->ccache('fred');
$ENV{KRB5RCACHENAME} = 'none:';    # thousands of tokens; xt/kerberos/errors.t tests the replay

my $said = `cargo test --quiet --locked --package authen-sasl-kerberos --test kerberos -- --ignored 2>&1`;
is $?, 0, 'cargo test' or diag $said;
like $said, qr/test result: ok\. 10 passed; 0 failed; 0 ignored/, 'all of them ran' or diag $said;

done_testing;
