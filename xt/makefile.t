# If the extension cannot be built, Makefile.PL prints the reason, writes no Makefile and exits with 0: CPAN Testers count that
# as "not applicable", not as a failure.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Config;
use Cwd qw(getcwd);
use ExtUtils::Manifest qw(manicopy maniread);
use File::Temp qw(tempdir);
use Test::More;

my $script = getcwd() . '/Makefile.PL';
my $bits = 8 * $Config{ptrsize};
my %good = (cargo => q{echo 'cargo 1.85.1'}, host => 'host: x86_64-unknown-linux-gnu',
  cfg => qq{unix\ntarget_pointer_width="$bits"}, system => $^O);

# Writes programs into a new folder, and returns the folder.
sub folder_with {
  my (%program) = @_;
  my $folder = tempdir(CLEANUP => 1);
  for my $name (keys %program) {
    open my $out, '>', "$folder/$name" or die "$name: $!";
    print {$out} ($name =~ /\.PL\z/i ? '' : "#!/bin/sh\n"), "$program{$name}\n";
    close $out or die "$name: $!";
    chmod 0755, "$folder/$name" or die "$name: $!";
  }
  return $folder;
}

# The output of Makefile.PL if cargo and rustc print these texts; everything else is fine.
sub said {
  my %case = (%good, @_);
  my $folder = folder_with(
    cargo => $case{cargo},
    rustc => "case \$1 in -vV) echo '$case{host}';; *) echo '$case{cfg}';; esac",
    'run.pl' => "use ExtUtils::MakeMaker; \$^O = '$case{system}'; do '$script'; die \$\@ if \$\@;",
  );
  local $ENV{PATH} = "$folder:$ENV{PATH}";
  local @ENV{qw(CARGO RUSTC)};
  delete @ENV{qw(CARGO RUSTC)};
  my $text = qx{cd '$folder' && '$^X' run.pl 2>&1};
  return ($? == 0 ? '' : "exit $?: ") . (-e "$folder/Makefile" ? 'a Makefile' : $text);
}

my $start = 'Authen::SASL::Rust needs';
my $unix = qr/^$start Linux, a BSD, macOS or another Unix.*\n  OS unsupported$/;
for my $case (
  ['an old cargo', qr/^$start cargo 1\.\d+ or newer .*but this is 1\.9$/, cargo => q{echo 'cargo 1.9.0'}],
  ['none at all', qr/^$start cargo .* but cargo --version failed:\n.*not found$/, cargo => 'exec no-such-program'],
  [
    'rustup without a toolchain',
    qr/^$start cargo .* but cargo --version failed:\n  error: rustup.*no default is configured\n  help: /,
    cargo =>
      q{printf 'error: rustup could not choose a version, and no default is configured\nhelp: run rustup default stable\n' >&2; exit 1}
  ],
  ['a rustc without a host', qr/^$start rustc in addition to cargo/, host => ''],
  [
    'a rustc of another word size', qr/^$start a rustc .* perl's word size, but this one compiles for 16 bits$/,
    cfg => qq{unix\ntarget_pointer_width="16"}
  ],
  ['Windows', $unix, system => 'MSWin32'],
  ['a rustc that compiles for Windows', $unix, cfg => qq{windows\ntarget_pointer_width="$bits"}],
  )
{
  my ($name, $expected, @case) = @$case;
  like(said(@case), $expected, $name);
}

# The rule that calls cargo, of a Makefile that was made with these variables and arguments.
sub rule {
  my ($environment, @arguments) = @_;
  my $copy = tempdir(CLEANUP => 1);
  local $ExtUtils::Manifest::Quiet = 1;
  my $files = maniread();
  manicopy({ map { $_ => '' } grep { !m{\A(?:bench|docs|eg|t|tests|xt)/} } keys %$files }, $copy, 'ln');
  local @ENV{ keys %$environment } = values %$environment;
  my $text = qx{cd '$copy' && '$^X' Makefile.PL @arguments 2>&1};
  is($?, 0, "Makefile.PL @arguments") or diag($text);
  open my $in, '<', "$copy/Makefile" or return "no Makefile: $text";
  my $makefile = do { local $/; <$in> };
  my ($rule) = $makefile =~ /^\t\+(.* build --release .*)$/m;
  my ($config) = $makefile =~ /^CARGO_CONFIG = (.*)$/m;
  $rule =~ s/\$\(CARGO_CONFIG\)/$config/;
  my ($linked) = $makefile =~ /^OTHERLDFLAGS = (.*)$/m;
  return ($rule, $linked, $copy, $makefile =~ /^DEFINE = (.*)$/m);
}

subtest 'the variables of cargo' => sub {
  my %program = map { $_ => "exec $_ \"\$@\"" } qw(cargo rustc);
  # Names with a blank and a dollar sign, as folders of users may have.
  my $folder = tempdir(CLEANUP => 1) . '/a $user';
  rename folder_with(%program), $folder or die "$folder: $!";
  my ($rule) = rule({ CARGO => "$folder/cargo", RUSTC => "$folder/rustc", CARGO_HOME => "$folder/home" });
  $folder =~ s/\$/\$\$/;    # for make
  like($rule, qr{^CARGO_HOME='\Q$folder\E/home' RUSTC='\Q$folder\E/rustc' '\Q$folder\E/cargo' build},
    'stand in the rule');
  local @ENV{qw(CARGO RUSTC CARGO_HOME)};
  delete @ENV{qw(CARGO RUSTC CARGO_HOME)};
  ($rule) = rule({});
  like($rule, qr{^ *cargo build}, 'and only those that were set');
};

subtest 'debug information and paths' => sub {
  my ($rule, $linked, $copy, $define) = rule({});
  like($linked, qr/--strip-debug/, 'no debug information') if $^O eq 'linux';
  like($rule, qr/"--remap-path-prefix=\Q$copy\E=\."/, 'paths of the folder are replaced in Rust code');
  like($define, qr/-ffile-prefix-map=\Q$copy\E=\./, '... and in C code');
  unlike($rule, qr/vendor.config|profile\.release\.debug/, 'crates are downloaded in a checkout');
  ($rule, $linked) = rule({}, q{OPTIMIZE='-O2 -g'});
  unlike($linked, qr/--strip-debug/, 'with -g there is debug information');
  like($rule, qr/profile\.release\.debug="line-tables-only"/, '... also of Rust code');
  ($rule, $linked) = rule({}, 'OPTIMIZE=-O3');
  like($linked, qr/--strip-debug/, 'without -g there is none') if $^O eq 'linux';
};

done_testing;
