# There is one version: dev/version writes it into each file that must have it as a literal.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Slurp qw(slurp);
use Test::More;
use version ();

my ($version) = slurp('lib/Authen/SASL/Rust.pm') =~ /^our \$VERSION = '(\d+\.\d+)';$/m;
ok($version, "the version is $version") or BAIL_OUT('Rust.pm has no version');
is(qx{dev/version}, "$version\n", 'dev/version prints it');
# With three digits after the point, Perl, cargo, dpkg and rpm agree on the order of versions.
my $normal = version->parse($version)->normal =~ s/\Av//r;
like($version, qr/\A\d+\.(?:0|\d{3})\z/, "Perl's form of $normal");
is(qx{dev/version --cargo}, "$normal\n", "... which is cargo's version");
is(qx{dev/version 1.10 2>&1}, "dev/version: 1.10 is not of the form 1.0 or 1.001\n", 'a version that Perl takes for 1.1 is refused');

for my $module (glob 'lib/Authen/SASL/Rust/*.pm lib/Authen/SASL/Rust/*/*.pm') {
  my @found = slurp($module) =~ /^our \$VERSION = '(.*)';$/gm;
  is_deeply(\@found, [$version], $module);
}
for my $manifest (grep { -e } map { "${_}Cargo.toml" } '', 'gateway/', 'guest/', 'fuzz/', 'fuzz/perl/') {
  my ($found) = slurp($manifest) =~ /^version = "(.*)"$/m;
  is($found, $normal, $manifest);
  # Our own crates are those without a source.
  my %locked;
  for my $entry (split /\n\n/, slurp($manifest =~ s/toml\z/lock/r)) {
    my %value = $entry =~ /^(\w+) = "(.*)"$/gm;
    $locked{ $value{name} } = $value{version} if $value{name} && !$value{source};
  }
  cmp_ok(scalar keys %locked, '>=', 2, 'its lock file names our own crates');
  is_deeply([grep { $locked{$_} ne $normal } sort keys %locked], [], '... with this version');
}
for my $recipe (grep { -e } 'packaging/rpm/authen-sasl-rust.spec', 'packaging/alpine/APKBUILD') {
  like(slurp($recipe), qr/^(?:Version: +|pkgver=)\Q$version\E$/m, $recipe);
}
like(slurp('Changes'), qr/^\Q$version\E /m, 'Changes has it');

done_testing;
