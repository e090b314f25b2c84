# A system without a GSS-API library: empty libraries of the same names precede the real ones. The mechanisms are refused with
# the reason, and what needs no Kerberos works.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;

use Peer::HiddenLibrary ();

my $hidden = Peer::HiddenLibrary->folder(qw(libgssapi_krb5.so.2 libgssapi.so.3));
local $ENV{LD_LIBRARY_PATH} = "$hidden";

my @perl = ($^X, map {"-I$_"} grep { !ref } @INC);
my $asks = <<'PROGRAM';
use Authen::SASL qw(Rust);
print join(' ', grep { /\AGS/ } Authen::SASL::Rust->global_listmech), "\n";
for my $list (@ARGV) {
  for my $make (qw(client_new server_new)) {
    my $conn = eval { Authen::SASL->new(mechanism => $list, callback => {user => 'u', pass => 'p', checkpass => sub { 1 }})->$make('ldap', 'localhost') };
    print $conn ? $conn->mechanism : $@, "\n";
  }
}
PROGRAM
open my $out, '-|', @perl, '-e', $asks, 'GSSAPI', 'GSS-SPNEGO', 'GS2-KRB5', 'GSSAPI PLAIN' or die "$^X: $!";
my ($listed, @said) = <$out>;
@said = grep { !/\A(?: at |\s*\z)/ } @said;
close $out or die "the program failed\n";
is $listed, "\n", 'no mechanism of Kerberos is listed';
for my $name (qw(GSSAPI GSS-SPNEGO GS2-KRB5)) {
  like shift @said, qr/\Q$name\E: there is no GSS-API library: .*libgssapi_krb5\.so\.2/, "$name is refused" for 1, 2;
}
is_deeply \@said, ["PLAIN\n", "PLAIN\n"], 'the next mechanism is taken';

# Those that choose among all mechanisms, or name Kerberos'. No other file of t/ comes near that library.
my @tests = map { "t/$_.t" } qw(acting-as-another authline channel-binding choice debug mechanism-name options plugin);
my $tests = `prove -b @tests 2>&1`;
is $?, 0, 'the tests of the module pass' or diag $tests;

# Those of the crate that opens the library; the core knows none. The plugins of Debian in crates/cyrus-host's tests are linked against it
# themselves.
my @results = Peer::HiddenLibrary->crate_tests($hidden, qw(--package authen-sasl-kerberos --lib));
is $?, 0, 'the tests of the Kerberos crate pass';
is scalar(@results), 1, 'they were run' or diag @results;

done_testing;
