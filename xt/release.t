# dev/release: what it makes of a clean clone whose version has a date, and what it refuses. The steps that test are not run.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use CPAN::Changes ();
use Cwd qw(getcwd);
use Digest::SHA ();
use File::Temp qw(tempdir);
use JSON::PP qw(decode_json);
use Slurp qw(slurp);
use Test::More;

my $git = "git -c safe.directory='*' -c user.name=test -c user.email=test\@example.org";
plan skip_all => 'this is no git checkout' unless -e '.git';

my $temp = tempdir(CLEANUP => 1);
my $clone = "$temp/clone";
my $folder = "$temp/release";
my ($version) = slurp('lib/Authen/SASL/Rust.pm') =~ /^our \$VERSION = '(.+)';$/m;
my $name = "Authen-SASL-Rust-$version";
my ($crate) = map { "authen-sasl-rust-$_" } slurp('Cargo.toml') =~ /^version = "(.*)"$/m;
# Nothing is compiled.
$ENV{CARGO_TARGET_DIR} = "$temp/target";

# The files as they are now, in a repository of its own.
system("mkdir '$clone' && $git ls-files -z | tar --null --files-from=- -cf - | tar -xf - -C '$clone'") == 0 or die 'copy';
chdir $clone or die "$clone: $!";
system("$git init --quiet && $git add . && $git commit --quiet -m Copy") == 0 or die 'git init';

# Runs dev/release, and returns its exit status and output.
sub release {
  my (@options) = @_;
  my $printed = qx{dev/release --folder '$folder' @options 2>&1};
  return ($? >> 8, $printed);
}

sub set_date {
  my ($date) = @_;
  my $changes = slurp('Changes') =~ s/^\Q$version\E .*$/$version $date/mr;
  open my $out, '>', 'Changes' or die "Changes: $!";
  print {$out} $changes;
  close $out or die "Changes: $!";
  system("$git commit --quiet --allow-empty -am Date") == 0 or die 'git commit';
  return;
}

subtest 'what is refused' => sub {
  set_date('Not Released');
  my ($status, $printed) = release('--only check,note');
  is($status, 1, 'a version without a date');
  like($printed, qr/^Changes has no date for \Q$version\E$/m, '... with the reason');
  ok(!-e "$folder/$name.md", '... and nothing is made');
  set_date('2026-11-30');
  system('echo >>README.md') == 0 or die 'README.md';
  ($status, $printed) = release('--only check,note');
  is($status, 1, 'uncommitted changes');
  like($printed, qr/^uncommitted changes:\n M README\.md$/m, '... by name');
  system("$git checkout --quiet README.md") == 0 or die 'git checkout';
  for my $case (
    ['--only nothing', qr/there is no step nothing; there are: check test /],
    ['--without check,nothing', qr/there is no step nothing/],
    ['--fast', qr/there is no option --fast/],
    ['--minutes', qr/--minutes needs a value/],
    (map { ["--minutes $_", qr/--minutes needs a whole number from 1/] } qw(x 0 -5 1.5 09)),
    )
  {
    my ($options, $reason) = @$case;
    ($status, $printed) = release($options);
    is($status, 1, $options);
    like($printed, qr/\Adev\/release: $reason/, '... with the reason');
  }
};

subtest 'what cannot be run here' => sub {
  # A cargo without nightly compilers and further commands.
  mkdir "$temp/bin" or die "$temp/bin: $!";
  open my $cargo, '>', "$temp/bin/cargo" or die "$temp/bin/cargo: $!";
  print {$cargo} "#!/bin/sh\necho \"no \$1\" >&2\nexit 101\n";
  close $cargo or die "$temp/bin/cargo: $!";
  chmod 0755, "$temp/bin/cargo" or die "$temp/bin/cargo: $!";
  local $ENV{PATH} = "$temp/bin:$ENV{PATH}";
  my %reason = (miri => 'dev/miri: Miri is not installed .*', audit => 'it needs a clone of the database \\(--advisories\\)');
  my ($status, $printed) = release('--only note,miri,audit');
  is($status, 0, 'no step has failed') or diag($printed);
  for my $step (sort keys %reason) {
    like(slurp("$folder/results.txt"), qr/^\S+ \S+ $step, not run: $reason{$step}, \d+ s$/m, "$step is not run");
    like($printed, qr/ \d+ s\n(?:dev\/release: .*\n)*dev\/release: $step, not run: $reason{$step}\n/, '... as the end says again');
  }
  unlike(slurp("$folder/results.txt"), qr/(?:miri|audit), ok/, '... and nothing else');
  ($status, $printed) = release("--only audit --advisories '$temp'");
  like($printed, qr/ audit, not run: cargo-audit is not installed/, 'an audit without cargo-audit');
  is($status, 1, 'a release without any step that was run');
  unlink "$temp/bin/cargo" or die "$temp/bin/cargo: $!";
};

my ($status, $printed) = release('--only check,artefacts --without packages');
is($status, 0, 'a release is made') or diag($printed);
is(qx{$git status --porcelain}, '', 'the checkout is as clean as before');

my @made = ("$name.cdx.json", "$name.md", "$name.tar.gz", "$crate.crate");
subtest 'checksums' => sub {
  my %sum = reverse slurp("$folder/SHA256SUMS") =~ /^([0-9a-f]{64})  (.+)$/mg;
  is_deeply([sort keys %sum], [sort @made], 'of each file, but of no log');
  is($sum{$_}, Digest::SHA->new(256)->addfile("$folder/$_", 'b')->hexdigest, $_) for sort keys %sum;
};

subtest 'the archives' => sub {
  my %first = ("$name.tar.gz" => $name, "$crate.crate" => $crate);
  for my $file (sort keys %first) {
    my @listed = split /\n/, qx{tar -tzf '$folder/$file'};
    cmp_ok(scalar @listed, '>', 50, "$file has " . @listed . ' files');
    is_deeply([grep { !m{\A\Q$first{$file}\E/} } @listed], [], '... below one folder');
  }
};

subtest 'the bill of materials' => sub {
  my $bom = decode_json(slurp("$folder/$name.cdx.json"));
  is("$bom->{bomFormat} $bom->{specVersion}", 'CycloneDX 1.5', 'its format');
  is($bom->{metadata}{component}{version}, $version, 'its version');
  my %component = map { $_->{purl} => $_ } @{ $bom->{components} };
  my %expected;
  for my $lock ('Cargo.lock', 'gateway/Cargo.lock', 'guest/Cargo.lock') {
    for my $entry (split /^\[\[package\]\]\n/m, slurp($lock)) {
      my %value = $entry =~ /^(\w+) = "(.*)"$/gm;
      $expected{"pkg:cargo/$value{name}\@$value{version}"} = $value{checksum} // '' if $value{source} || $value{name} && $value{version};
    }
  }
  cmp_ok(scalar keys %expected, '>', 100, scalar(keys %expected) . ' crates are locked');
  is_deeply([sort keys %component], [sort keys %expected], 'it has each of them, and no other');
  is_deeply([grep { ($component{$_}{hashes} ? $component{$_}{hashes}[0]{content} : '') ne $expected{$_} } sort keys %component],
    [], 'with the checksum of the lock file');
  is_deeply([grep { $component{$_}{licenses}[0]{expression} !~ /\A[\w.() +-]+\z/ } sort keys %component], [], 'and a license');
  my %depends = map { $_->{ref} => $_->{dependsOn} } @{ $bom->{dependencies} };
  my ($core) = grep { m{/authen-sasl-rust\@} } keys %component;
  ok((grep { m{/sha2\@} } @{ $depends{$core} }), 'the core depends on sha2');
  is_deeply([grep { !$component{$_} } map { @$_ } values %depends], [], 'what is depended on is there');
};

subtest 'the note' => sub {
  my ($release) = grep { $_->version eq $version } CPAN::Changes->load('Changes')->releases;
  my $note = slurp("$folder/$name.md");
  like($note, qr/\A# Authen::SASL::Rust \Q$version\E 2026-11-30\n/, 'begins with version and date');
  my %noted;
  for my $part (split /^## /m, $note) {
    my ($group, @entries) = split /^  - /m, $part;
    $noted{ $group =~ s/\s+\z//r } = [map { s/\s+/ /gr =~ s/ \z//r } @entries] if @entries;
  }
  my %entries = map { $_ => [map { s/\s+/ /gr } @{ $release->changes($_) }] } $release->groups;
  cmp_ok(scalar keys %entries, '>', 5, scalar(keys %entries) . ' groups of changes');
  is_deeply(\%noted, \%entries, 'they are those of Changes, each group below its name');
};

like(slurp("$folder/results.txt"), qr/^\d{4}-\d\d-\d\d [0-9a-f]+ sums, ok, \d+ s$/m, 'results.txt has the date of each step');

chdir '/' or die "/: $!";
done_testing;
