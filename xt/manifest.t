# MANIFEST lists every file of the distribution, and no missing file.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use ExtUtils::Manifest qw(maniread manicheck filecheck);

$ExtUtils::Manifest::Quiet = 1;

ok(-e 'MANIFEST', 'there is a MANIFEST');
my $files = maniread();
is_deeply([manicheck()], [], 'every file it names is there');
is_deeply([filecheck()], [], 'it names every file that MANIFEST.SKIP lets through');

# Without these the tarball does not build.
ok(exists $files->{$_}, "it names $_") for qw(
  Makefile.PL Cargo.toml Cargo.lock typemap src/lib.rs crates/perl/src/lib.rs crates/perl/src/ffi.h xs/exports.map
  lib/Authen/SASL/Rust.xs lib/Authen/SASL/Rust.pm
), glob('xs/*.h'), glob('lib/Authen/SASL/Rust/*.pm');
my @made = grep { m{^(?:target|blib)/|\.(?:o|so|a|bs)$|^lib/.*\.c$|^Makefile$|~$} } keys %$files;
is_deeply(\@made, [], 'and nothing that was built');

# In a working copy git lists the files; in a tarball it cannot.
if (-e '.git') {
  my $known = qx{git -c safe.directory='*' ls-files -z};
  is($?, 0, 'git lists its files');
  my $skip = ExtUtils::Manifest::maniskip();
  my @missing = grep { !exists $files->{$_} && !$skip->($_) } split /\0/, $known;
  is_deeply(\@missing, [], 'every tracked file is in it, unless MANIFEST.SKIP excludes it');
}

is_deeply([grep { !-x } glob 'bin/* eg/*'], [], 'the programs are executable');

done_testing;
