# No test depends on this machine's configuration: each loads t/lib/Isolated.pm first, and cargo sets the same.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use lib 'xt/lib';
use Cwd ();
use Slurp qw(slurp);
use Test::More;

my @tests = (glob('t/*.t'), glob('xt/*.t'), glob('xt/*/*.t'));
cmp_ok(scalar @tests, '>', 80, 'tests are found');
my $first = qr/^use strict;\nuse warnings;\nuse lib 't\/lib';\nuse Isolated;\n/m;
is_deeply([grep { slurp($_) !~ $first } @tests], [], 'each loads Isolated first');

my %nonsense = (
  (map { $_ => '/no/such' } qw(SASL_PATH SASL_CONF_PATH KRB5_CONFIG KRB5CCNAME KRB5_KTNAME GSS_MECH_CONFIG LDAPRC LDAPCONF)),
  LDAPURI => 'ldap://192.0.2.1',
  AUTHEN_SASL_RUST_PLUGINS => 'none',
  HOME => '/no/such',
  CARGO_HOME => '/cargo',
);
my %isolated = (
  SASL_CONF_PATH => '/nonexistent', KRB5_CONFIG => Cwd::abs_path('t/lib/krb5.conf'), LDAPNOINIT => 1, HOME => '/nonexistent', CARGO_HOME => '/cargo',
);
my $show = 'print join " ", map { "$_=" . (defined $ENV{$_} ? $ENV{$_} : "none") } @ARGV';
my @names = sort keys %{ { %nonsense, %isolated } };
my $seen = do {
  local @ENV{keys %nonsense} = values %nonsense;
  open my $out, '-|', $^X, '-It/lib', '-MIsolated', '-e', $show, @names or die "$^X: $!";
  join '', <$out>;
};
is($seen, join(' ', map { "$_=" . ($isolated{$_} // 'none') } @names), 'nonsense in the environment does not reach a test');

my %cargo = slurp('.cargo/config.toml') =~ /^(\w+) = (?:\{ value = )?"([^"]*)"/mg;
$_ = Cwd::abs_path($_) for grep { m{^t/} } values %cargo;
is_deeply(\%cargo, { map { $_ => $isolated{$_} } qw(SASL_CONF_PATH KRB5_CONFIG LDAPNOINIT) }, 'cargo sets the same');

done_testing;
