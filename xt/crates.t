# The crates that are built in: only from crates.io, under compatible licenses, each in one version. This checks what cargo-deny
# would, without cargo-deny and without a network.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use JSON::PP qw(decode_json);
use Test::More;

my %license = map { $_ => 1 } (
  'MIT', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'Zlib', '0BSD', 'Unicode-3.0',
  'Unlicense', 'NCSA', 'Artistic-1.0-Perl'
);

# Crates in two versions, with the reason. If one is removed from the tree, remove it here.
my %twice = (
  gateway => {
    base64 => 'postgres-protocol is still at 0.22',
    getrandom => 'ring is still at 0.2',
    syn => 'der_derive is still at 2; build time only',
    synstructure => 'asn1-rs-derive is still at 0.13; build time only',
    winnow => 'toml has one version for its document, another for its parser',
  },
);

my $registry = 'registry+https://github.com/rust-lang/crates.io-index';

# An SPDX expression, or one in cargo's old format, with a slash for OR: all parts of one alternative must be accepted.
sub allowed {
  my ($expression) = @_;
  return '' unless defined $expression;
  my @words = $expression =~ m{[()/]|[^\s()/]+}g;
  my ($or, $and, $atom);
  $atom = sub {
    my $word = shift @words;
    return '' unless defined $word;
    if ($word ne '(') {
      # An exception only adds permissions.
      splice @words, 0, 2 if @words && $words[0] eq 'WITH';
      return $license{$word} ? 1 : '';
    }
    my $inside = $or->();
    shift @words;
    return $inside;
  };
  $and = sub {
    my $good = $atom->();
    while (@words && $words[0] eq 'AND') { shift @words; my $next = $atom->(); $good &&= $next }
    return $good;
  };
  $or = sub {
    my $good = $and->();
    while (@words && $words[0] =~ m{\A(?:OR|/)\z}) { shift @words; my $next = $and->(); $good ||= $next }
    return $good;
  };
  my $good = $or->();
  return $good && !@words;
}

# The license of the core's crate, which goes for all of ours.
my $ours = first_in('Cargo.toml', qr/^license = "(.*)"$/m);

# Returns the faults of a tree of crates.
sub faults {
  my ($packages, $reasons) = @_;
  my (@faults, %versions);
  for my $package (@$packages) {
    my ($name, $version, $source) = @$package{qw(name version source)};
    push @faults, "$name comes from " . $source if defined $source && $source ne $registry;
    push @faults, "$name is under " . ($package->{license} // 'no license') unless allowed($package->{license});
    push @faults, "$name is our own, and is not under $ours" unless defined $source || ($package->{license} // '') eq $ours;
    push @{ $versions{$name} }, $version;
  }
  for my $name (sort keys %versions) {
    push @faults, "$name is there in versions @{$versions{$name}}" if @{ $versions{$name} } > 1 && !$reasons->{$name};
  }
  for my $name (sort keys %$reasons) {
    push @faults, "$name no longer has two versions" if @{ $versions{$name} || [] } < 2;
  }
  return @faults;
}

ok(allowed($_), "$_ will do") for 'MIT', 'MIT/Apache-2.0', 'Apache-2.0 OR GPL-3.0-only', '(MIT OR X) AND Unicode-3.0',
  'Zlib OR Apache-2.0 OR MIT', 'Apache-2.0 AND ISC', 'Apache-2.0 WITH LLVM-exception OR MIT';
ok(!allowed($_), (defined $_ ? $_ : 'none') . ' will not')
  for 'GPL-3.0-only', 'MIT AND GPL-3.0-only', '(MIT OR X) AND X', '', undef, 'MIT X';
{
  my $good = { name => 'a', version => '1', source => $registry, license => 'MIT' };
  is_deeply([faults([$good], {})], [], 'a good tree');
  is_deeply([faults([{ %$good, source => 'git+https://example.org/a' }], {})],
    ['a comes from git+https://example.org/a'], 'git');
  is_deeply([faults([{ %$good, license => 'AGPL-3.0' }], {})], ['a is under AGPL-3.0'], 'a license');
  is_deeply([faults([{ %$good, source => undef }], {})], ["a is our own, and is not under $ours"], 'a crate of our own');
  is_deeply([faults([$good, { %$good, version => '2' }], {})], ['a is there in versions 1 2'], 'two versions');
  is_deeply([faults([$good, { %$good, version => '2' }], { a => 'so' })], [], 'two versions with a reason');
  is_deeply([faults([$good], { a => 'so' })], ['a no longer has two versions'], 'a reason that has gone');
}

# The minimum Rust version: documents and manifests name the same one, and no locked crate needs a newer one.
my $least = qr/(\d+\.\d+)/;

sub first_in {
  my ($file, $pattern) = @_;
  open my $in, '<', $file or die "$file: $!";
  my $text = do { local $/; <$in> };
  return $text =~ $pattern ? $1 : "none in $file";
}

# A version as one number: 1.85 and 1.85.0 are the same.
sub number {
  my ($major, $minor) = split /\./, $_[0];
  return $major * 1000 + $minor;
}

# The crates of a tree that need a newer Rust.
sub too_new {
  my ($packages, $rust) = @_;
  my @asks = grep { defined $_->{rust_version} && number($_->{rust_version}) > number($rust) } @$packages;
  return map { "$_->{name} $_->{version} needs Rust $_->{rust_version}" } @asks;
}

is_deeply(
  [too_new([map { { name => 'a', version => '1', rust_version => $_ } } undef, '1.9', '1.85', '1.85.0', '1.85.1'], '1.85')],
  [], 'crates for an older Rust'
);
is_deeply([too_new([{ name => 'a', version => '1', rust_version => '1.86' }], '1.85')], ['a 1 needs Rust 1.86'], 'and a newer');

my $rust = first_in('Cargo.toml', qr/^rust-version = "$least"$/m);
is(first_in('Makefile.PL', qr/^my \$CARGO_LEAST = '$least';$/m), $rust, "Makefile.PL asks for Rust $rust");
is(first_in('.github/workflows/test.yml', qr/rust: '$least'/), $rust, 'the workflow tries it') if -e '.github/workflows/test.yml';
is(first_in('README.md', qr{\[Rust\]\(https://rustup\.rs\)\s+$least\s}), $rust, 'so does README.md');

# The crates that two trees have in no common version: what is tested in one would not be what is built in the other.
sub drifted {
  my ($ours, $others) = @_;
  my %ours;
  $ours{ $_->{name} }{ $_->{version} } = 1 for @$ours;
  my %common;
  $common{ $_->{name} } |= exists $ours{ $_->{name} }{ $_->{version} } for grep { $ours{ $_->{name} } } @$others;
  return grep { !$common{$_} } sort keys %common;
}

{
  my ($one, $two, $other) = ({ name => 'a', version => '1' }, { name => 'a', version => '2' }, { name => 'b', version => '1' });
  is_deeply([drifted([$one, $other], [$one, $two])], [], 'trees with a common version');
  is_deeply([drifted([$one, $other], [$two])], ['a'], 'trees without');
}

# Plugins of Cyrus SASL are C and need coroutines. Only who asks for them gets them.
{
  my $tree = sub { return scalar qx{cargo tree --offline --locked --quiet --edges normal,build --prefix none --manifest-path gateway/Cargo.toml $_[0]} };
  my $hosts_plugins = qr/^(?:authen-sasl-cyrus-host|corosensei|libloading|saslplug) v/m;
  like($tree->('--features cyrus'), $hosts_plugins, 'the gateway with its feature cyrus loads plugins');
  my $default = $tree->('');
  like($default, qr/^tokio v/m, 'the gateway by default has its crates');
  unlike($default, $hosts_plugins, '... and none that loads plugins');
}

my $core_packages;
my ($host) = qx{rustc -vV} =~ /^host: (\S+)/m;
for my $name ('.', grep { -e "$_/Cargo.toml" } qw(gateway fuzz guest)) {
  my $manifest = "$name/Cargo.toml";
  # Crates for other systems have not been downloaded here.
  my $json =
    qx{cargo metadata --offline --locked --quiet --format-version 1 --filter-platform $host --manifest-path $manifest};
  is($?, 0, "$name: cargo lists its crates") or next;
  my $packages = decode_json($json)->{packages};
  cmp_ok(scalar @$packages, '>', 10, scalar(@$packages) . ' crates');
  is_deeply([faults($packages, $twice{$name} || {})], [], 'nothing is wrong with them');
  $core_packages ||= $packages;
  is_deeply([drifted($core_packages, $packages)], [], "none is in another version than the distribution's");
  is(first_in($manifest, qr/^rust-version = "$least"$/m), $rust, "$manifest has rust-version = $rust");
  is_deeply([too_new($packages, $rust)], [], 'which is enough for all of them');
  is(first_in($manifest, qr/^resolver = "(\d)"$/m), 3, 'cargo update keeps to it');
}

done_testing;
