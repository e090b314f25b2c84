# The tarball as CPAN gets it: its metadata, its list of changes, what CPANTS measures, and the crates that make the build independent
# of a network. dev/test's stage dist builds and tests it.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use CPAN::Changes ();
use CPAN::Meta ();
use Digest::SHA qw(sha256_hex);
use ExtUtils::Manifest qw(manicopy maniread);
use File::Temp qw(tempdir);
use JSON::PP qw(decode_json);
use Slurp qw(slurp);
use Test::CPAN::Changes;
use Test::More;

my ($version) = slurp('lib/Authen/SASL/Rust.pm') =~ /^our \$VERSION = '(.+)';$/m;
my $name = "Authen-SASL-Rust-$version";

# The tarball is made in a copy, because a Makefile that is older than a module would give META.json old versions.
my $temp = tempdir(CLEANUP => 1);
{
  local $ExtUtils::Manifest::Quiet = 1;
  manicopy(maniread(), "$temp/copy", 'cp');
}
my $printed = qx{cd '$temp/copy' && '$^X' Makefile.PL 2>&1 && make dist 2>&1 && mv $name.tar.gz '$temp/'};
is($?, 0, 'make dist') or BAIL_OUT($printed);
is(system('tar', '-xzf', "$temp/$name.tar.gz", '-C', $temp), 0, 'it can be unpacked');
my $top = "$temp/$name";
my $size = -s "$temp/$name.tar.gz";
cmp_ok($size, '<', 9_000_000, sprintf 'the tarball has %.1f MB', $size / 1e6);

my $people = 'the Authen::SASL::Rust contributors';

subtest 'META.json' => sub {
  my $meta = eval { CPAN::Meta->load_file("$top/META.json", { lazy_validation => 0 }) };
  ok($meta, 'is valid') or return diag($@);
  is($meta->version, $version, 'the version');
  is_deeply([$meta->authors], [$people], 'the authors');
  is_deeply([$meta->licenses], ['perl_5'], 'the license');
  my $provides = $meta->provides;
  my @modules =
    map { s{\Alib/}{}r =~ s{/}{::}gr =~ s{\.pm\z}{}r } glob 'lib/Authen/SASL/Rust.pm lib/Authen/SASL/Rust/*.pm lib/Authen/SASL/Rust/*/*.pm';
  is_deeply([sort keys %$provides], [sort @modules], 'it provides each module');
  is($provides->{$_}{version}, $version, "$_ has the version") for sort keys %$provides;
  my @other = grep { !/\A(?:bin|lib)\z/ } map { s{.*/}{}r } grep { -d } glob "$top/*";
  cmp_ok(scalar @other, '>', 5, scalar(@other) . ' folders beside bin and lib');
  is_deeply([grep { $meta->should_index_file("$_/x.pm") } @other], [], 'PAUSE looks for modules in lib/ only');
};

# The modules that programs name. Config comes with perl itself, and a module of our own is no prerequisite.
sub named_in {
  my (@files) = @_;
  my %named;
  for my $file (@files) {
    my $code = slurp($file) =~ s/^__(?:END|DATA)__\n.*//msr =~ s/^=[a-z].*?^=cut$//gmsr;
    $named{$1} = 1 while $code =~ /^\s*(?:use|require) ([A-Za-z]\w*(?:::\w+)*)\b(?! *=>)/gm;
  }
  return \%named;
}

subtest 'prerequisites' => sub {
  my $meta = CPAN::Meta->load_file("$top/META.json")->effective_prereqs;
  my %has = map { $_ => $meta->requirements_for($_, 'requires')->as_string_hash } qw(configure runtime test);
  my %recommended = map { $_ => $meta->requirements_for($_, 'recommends')->as_string_hash } keys %has;
  my %named = (
    configure => named_in('Makefile.PL'),
    runtime => named_in(glob 'lib/Authen/SASL/Rust.pm lib/Authen/SASL/Rust/*.pm lib/Authen/SASL/Rust/*/*.pm bin/*'),
    test => named_in(glob 't/*.t t/lib/*.pm'),
  );
  # Modules of the test files themselves, and what only runs if it is there.
  my %not_required = map { $_ => 1 } qw(Module::Metadata lib threads),
    map { s{.*/}{}r =~ s{\.pm\z}{}r } glob 't/lib/*.pm';
  for my $phase (sort keys %named) {
    my $declared = { %{ $has{$phase} }, $phase eq 'test' ? %{ $has{runtime} } : (), %{ $recommended{$phase} } };
    my @missing =
      grep { !/\AAuthen::SASL::Rust\b/ && !$not_required{$_} && !exists $declared->{$_} } sort keys %{ $named{$phase} };
    is_deeply(\@missing, [], "$phase: each module that is used is declared");
    my @superfluous =
      grep { $_ ne 'perl' && $_ ne 'ExtUtils::MakeMaker' && !$named{$phase}{$_} } sort keys %{ $has{$phase} };
    is_deeply(\@superfluous, [], "$phase: and no other");
  }
};

subtest 'Changes' => sub {
  changes_file_ok('Changes', { version => $version });
  my ($latest) = reverse CPAN::Changes->load('Changes')->releases;
  like($latest->date || $latest->note, qr/\A(?:\d{4}-\d\d-\d\d\b|Not Released\z)/,
    'the latest release has a date, or says that it is none');
};

subtest 'CPANTS' => sub {
  # In a process of its own: in this one it overlooks files.
  my $code =
    'my $analysis = Module::CPANTS::Analyse->new({ dist => shift }); $analysis->run; print encode_json($analysis->d)';
  my $data = decode_json(qx{'$^X' -MModule::CPANTS::Analyse -MJSON::PP -e '$code' '$temp/$name.tar.gz'});
  my $result = $data->{kwalitee};
  cmp_ok(scalar keys %$result, '>', 25, 'it is analysed');
  # There is no public repository that could be named.
  is_deeply([grep { $_ ne 'kwalitee' && !$result->{$_} } sort keys %$result], ['meta_yml_has_repository_resource'],
    'what it finds missing')
    or diag(explain($data->{error}));
};

subtest 'the crates' => sub {
  my %locked;
  for my $entry (split /^\[\[package\]\]\n/m, slurp('Cargo.lock')) {
    my %value = $entry =~ /^(\w+) = "(.*)"$/gm;
    $locked{"$value{name}-$value{version}"} = $value{checksum} if $value{checksum};
  }
  my @crates = map { s{.*/(.*)/\z}{$1}r } glob "$top/vendor/*/";
  is_deeply([sort @crates], [sort keys %locked], scalar(@crates) . ' crates, those of Cargo.lock');
  my (@sums, @unlicensed, @wrong, @stubs);
  for my $crate (@crates) {
    my $sums = decode_json(slurp("$top/vendor/$crate/.cargo-checksum.json"));
    push @sums, $crate if $sums->{package} ne $locked{$crate};
    push @wrong,
      grep { sha256_hex(slurp("$top/vendor/$_")) ne $sums->{files}{s{.*?/}{}r} }
      map { "$crate/$_" } sort keys %{ $sums->{files} };
    if ($crate =~ /\A(?:windows|r-efi)/) { push @stubs, $crate }
    elsif (!grep { m{^(?:licen[cs]e|copying|unlicense)}i } keys %{ $sums->{files} }) {
      push @unlicensed, $crate;
    }
    my $is_stub = -e "$top/vendor/$crate/src/lib.rs"
      && slurp("$top/vendor/$crate/src/lib.rs") =~ /^compile_error!\("this crate was left out/m;
    is(!!$is_stub, !!(grep { $_ eq $crate } @stubs), "$crate is " . ($is_stub ? 'left out' : 'there'));
  }
  is_deeply(\@sums, [], 'the checksums are those of Cargo.lock');
  is_deeply(\@wrong, [], 'each file has its checksum');
  is_deeply(\@unlicensed, [], 'each has the text of its license');
  cmp_ok(scalar @stubs, '>', 5, scalar(@stubs) . ' crates for Windows are left out');
  my @listed = grep { m{\Avendor/} } map { (split)[0] } split /\n/, slurp("$top/MANIFEST");
  is(scalar(grep { /\.orig\z/ } @listed), @crates - @stubs,
    'MANIFEST lists their original manifests, which cargo checks');
  is_deeply([grep { /\.(?:dll|exe|lib|a|o|so)\z/ } @listed], [], 'and no compiled files');
};

done_testing;
