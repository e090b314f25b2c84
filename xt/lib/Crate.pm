package Crate;

# Builds of the project's crates beside the core: gateway/ and guest/.

use strict;
use warnings;
use Cwd ();

my %built;

# The folder with the release build. Cargo is called once per process.
sub built {
  my ($crate, @options) = @_;
  return $built{$crate} ||= build($crate, 'release', '--release', @options);
}

# The same of the unoptimized build, whose crates cargo has compiled for the crate's own tests.
sub built_for_tests {
  my ($crate, @options) = @_;
  return $built{"$crate for tests"} ||= build($crate, 'debug', @options);
}

# The time limit of a trial (Server::Trial) does not include the build, which takes minutes on a busy machine.
sub build {
  my ($crate, $profile, @options) = @_;
  my $target = $ENV{CARGO_TARGET_DIR} ? "$ENV{CARGO_TARGET_DIR}/$crate" : Cwd::getcwd() . "/$crate/target";
  my $limit = alarm 0;
  system(qw(cargo build --quiet --locked), @options, '--manifest-path', "$crate/Cargo.toml", '--target-dir', $target) == 0
    or die "$crate/ cannot be built\n";
  alarm $limit;
  return "$target/$profile";
}

1;
