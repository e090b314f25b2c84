# The core as others use it: what the published crate contains, programs that use it, each feature alone, and its public API.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Cwd qw(getcwd);
use Encode ();
use File::Copy qw(copy);
use File::Find qw(find);
use File::Path qw(mkpath);
use File::Temp qw(tempdir);
use IO::Select ();
use Server::Dovecot ();
use Server::Trial qw(trial);
use Slurp qw(slurp);
use Test::More;

my ($version) = slurp('Cargo.toml') =~ /^version = "(.*)"$/m;
my $temp = tempdir(CLEANUP => 1);
my $target = $ENV{CARGO_TARGET_DIR} || getcwd() . '/target';
my $crate = "$temp/authen-sasl-rust-$version";

# The output of a command, and whether it has succeeded.
sub output_of {
  my (@command) = @_;
  my $pid = open my $out, '-|';
  die "fork: $!" unless defined $pid;
  if (!$pid) {
    open STDERR, '>&', \*STDOUT;
    exec @command or exit 127;
  }
  my $text = join '', <$out>;
  return ($text, close $out);
}

sub write_file {
  my ($path, $text) = @_;
  open my $out, '>', $path or die "$path: $!";
  print {$out} $text;
  close $out or die "$path: $!";
  return;
}

subtest 'cargo package' => sub {
  my ($said, $good) = output_of(qw(cargo package --quiet --locked --allow-dirty --no-verify --package authen-sasl-rust),
    '--target-dir', $target);
  ok($good, 'it makes the crate') or diag($said);
  # There is no public repository that could be named.
  is($said =~ s/^warning: manifest has no homepage or repository\n.*\n//mr, '', 'without warnings');
  is(system('tar', '-xzf', "$target/package/authen-sasl-rust-$version.crate", '-C', $temp), 0, 'it can be unpacked');
  my @files;
  find({ no_chdir => 1, wanted => sub { push @files, substr $_, 1 + length $crate if -f } }, $crate);
  my @other = grep {
    !m{\A(?:src/[\w/]+\.rs|examples/(?:tokio/)?\w+\.rs|docs/crate\.md|LICENSE(?:-MIT|-APACHE)?|Cargo\.(?:toml(?:\.orig)?|lock)|\.cargo_vcs_info\.json)\z}
  } @files;
  is_deeply(\@other, [], 'the core alone: no Perl, no C, no build script');
  is_deeply([grep { m{\btests?\b|_tests\.rs\z} } @files], [], 'and no tests');
  my %is_there = map { $_ => 1 } @files;
  ok($is_there{$_}, $_) for qw(src/lib.rs src/login/mod.rs docs/crate.md LICENSE LICENSE-MIT LICENSE-APACHE);
  my $manifest = slurp("$crate/Cargo.toml");
  like($manifest, qr/^\Q$_\E = /m, "Cargo.toml has $_")
    for qw(description documentation readme keywords categories license rust-version);
  like($manifest, qr/^license = "MIT OR Apache-2\.0 OR Artistic-1\.0-Perl OR GPL-1\.0-or-later"$/m, 'the license');
  unlike($manifest, qr/^publish = false/m, 'it can be published');
  unlike($manifest, qr/^\[build-dependencies/m, 'nothing is needed for a build script');
};

# Crates that compile C have `links` or build with cc.
subtest 'no C in what it is built from' => sub {
  my ($tree, $good) = output_of(qw(cargo tree --locked --package authen-sasl-rust --prefix none --edges),
    'normal,build');
  ok($good, 'cargo lists the crates') or diag($tree);
  like($tree, qr/^sha2 v/m, 'sha2 for one');
  unlike($tree, qr/^(?:cc|cmake|bindgen|pkg-config|\S+-sys) v/m, 'none of them compiles C');
};

my %lines = ('imap_login' => 25, 'imap_server' => 40);
for my $name (sort keys %lines) {
  my $lines = () = slurp("examples/$name.rs") =~ /^/gm;
  cmp_ok($lines, '<=', $lines{$name}, "examples/$name.rs has at most $lines{$name} lines");
}

# Programs of somebody else, who has the crate only. The profiles are ours, so that the crates below are not compiled again; what is
# compiled here need not be fast. tokio has the version that the gateway is tested with.
mkpath("$temp/user/src/bin");
copy("$crate/examples/$_.rs", "$temp/user/src/bin/$_.rs") or die "$_: $!" for keys %lines;
copy("$crate/examples/tokio/imap_login.rs", "$temp/user/src/bin/imap_tokio.rs") or die "tokio: $!";
copy('gateway/Cargo.lock', "$temp/user/Cargo.lock") or die "Cargo.lock: $!";
my $profiles = join '', slurp('Cargo.toml') =~ /^(\[profile\.dev.*?)(?=^\[(?!profile)|\z)/msg;
$profiles =~ s/^\[profile\.dev\.package\]\n/$&authen-sasl-rust = { opt-level = 0 }\ntokio = { opt-level = 0 }\n/m or die 'no profiles of packages';
write_file("$temp/user/Cargo.toml", <<"TOML");
[workspace]
[package]
name = "user"
version = "0.0.0"
edition = "2021"
[dependencies]
authen-sasl-rust = { path = "$crate", default-features = false, features = ["plain", "scram"] }
tokio = { version = "1", features = ["io-util", "macros", "net", "rt"] }
$profiles
TOML
my ($said, $built) = output_of(qw(cargo build --quiet --target-dir), $target, '--manifest-path', "$temp/user/Cargo.toml");
ok($built, 'programs can be built with it');
is($said, '', 'without warnings');

if ($built) {
  my $dovecot = Server::Dovecot->start(users => { fred => 'pencil', jim => "p\x{e4}\x{df}w\x{f6}rd" });
  my $address = "127.0.0.1:$dovecot->{imap}";
  for my $program (qw(imap_login imap_tokio)) {
    trial "$program and Dovecot" => sub {
      my ($answer, $good) = output_of("$target/debug/$program", $address, 'fred', 'pencil');
      ok($good, 'fred is logged in') or diag($answer);
      like($answer, qr/^SCRAM-SHA-256: a OK/, 'by SCRAM-SHA-256');
      ok($dovecot->has_logged_in('imap', 'fred', 'SCRAM-SHA-256'), 'Dovecot says so too');
      ($answer, $good) = output_of("$target/debug/$program", $address, 'jim', Encode::encode('UTF-8', "p\x{e4}\x{df}w\x{f6}rd"));
      ok($good, 'a password beyond ASCII') or diag($answer);
      ($answer, $good) = output_of("$target/debug/$program", $address, 'fred', 'rubber');
      ok(!$good, 'not with another password');
      like($answer, qr/a NO .*AUTHENTICATIONFAILED/, 'which Dovecot refuses');
    };
  }

  trial 'the example of a server' => sub {
    my @command = ("$target/debug/imap_server", '127.0.0.1:0');
    my $pid = open my $server, '-|', 'sh', '-c', 'exec 2>"$1" && shift && exec "$@"', '-', "$temp/log", @command
      or die "imap_server: $!";
    ok(IO::Select->new($server)->can_read(30), 'it listens') or die 'nothing was printed';
    chomp(my $at = <$server>);
    my ($answer, $good) = output_of("$target/debug/imap_login", $at, 'fred', 'pencil');
    ok($good, 'fred is logged in') or diag($answer);
    like($answer, qr/^SCRAM-SHA-256: a OK welcome, fred$/, 'by SCRAM-SHA-256');
    for my $case (['fred', 'rubber'], ['nobody', 'pencil']) {
      ($answer, $good) = output_of("$target/debug/imap_login", $at, @$case);
      ok(!$good, "@$case is not");
      like($answer, qr/a NO \[AUTHENTICATIONFAILED\]/, 'and gets the same answer');
    }
    kill TERM => $pid;
    close $server;
    is(scalar(() = slurp("$temp/log") =~ /^SCRAM-SHA-256 server: authentication failed: wrong password or unknown user /mg), 2,
      'it has logged both failures');
  };
}

# Warnings are replayed if cargo has nothing to compile.
subtest 'each feature alone, and none' => sub {
  my ($table) = slurp('Cargo.toml') =~ /^\[features\]\n(.*?)^\[/ms;
  my ($default) = $table =~ /^default = \[(.*)\]$/m;
  my @features = $default =~ /"([\w-]+)"/g;
  is_deeply([sort @features], [sort grep { $_ ne 'default' } $table =~ /^([\w-]+) = /mg], 'all are on by default');
  my $documented = slurp('docs/crate.md');
  for my $feature ('', @features) {
    my ($printed, $good) = output_of(qw(cargo check --quiet --locked --lib --package authen-sasl-rust --no-default-features),
      '--features', $feature, '--target-dir', $target);
    ok($good, $feature eq '' ? 'none' : $feature);
    is($printed, '', '... without warnings');
    like($documented, qr/^\| (?:`[\w-]+`, )*`\Q$feature\E`/m, '... is in docs/crate.md') if $feature ne '';
  }
};

subtest 'the public API' => sub {
  my ($api, $good) = output_of('dev/api');
  if ($? >> 8 == 3) {
    pass("nothing is compared: $api");
    return;
  }
  ok($good, 'dev/api lists it') or return diag($api);
  my %now = map { $_ => 1 } split /\n/, $api;
  my %recorded = map { $_ => 1 } split /\n/, slurp('docs/public-api.txt');
  cmp_ok(scalar keys %recorded, '>', 500, scalar(keys %recorded) . ' lines are recorded');
  is_deeply([grep { !$now{$_} } sort keys %recorded], [], 'nothing has gone or changed; dev/api --write records what was intended');
  is_deeply([grep { !$recorded{$_} } sort keys %now], [], 'nothing is new');
  is_deeply([grep { /\b(?:wire|authline|vocabulary|limits)::/ } sort keys %now], [], 'no hidden module shows');
  my @sent = grep { /\A(?:login|session|world)::(?:Client|Server|Session|LocalWorld): / } sort keys %now;
  is(scalar(grep { /\bSend\b/ } @sent), 4, 'sessions and their worlds can be sent to other threads');
};

# missing_docs demands a text for each item; here, an example for each module.
subtest 'each module of the documentation has an example' => sub {
  my @modules = slurp('src/lib.rs') =~ /(?<!\#\[doc\(hidden\)\]\n)^pub mod (\w+);/mg;
  cmp_ok(scalar @modules, '>', 10, scalar(@modules) . ' modules');
  for my $module (grep { $_ ne 'guide' } @modules) {
    like(slurp((grep { -e } "src/$module.rs", "src/$module/mod.rs")[0]), qr{^ *//[/!] ```\n}m, $module);
  }
  like(slurp($_), qr{^//! ```\n}m, $_) for grep { !m{/mod\.rs\z} } glob 'src/guide/*.rs';
};

done_testing;
