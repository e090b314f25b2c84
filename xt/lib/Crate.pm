package Crate;

# Release builds of the project's crates beside the core: gateway/ and guest/.

use strict;
use warnings;
use Cwd ();

my %built;

# Builds the crate and returns the directory of the results. Cargo is called once per process. The time limit of a trial
# (Server::Trial) does not include the build, which takes minutes on a busy machine.
sub built {
  my ($crate, @options) = @_;
  return $built{$crate} ||= do {
    my $target = $ENV{CARGO_TARGET_DIR} ? "$ENV{CARGO_TARGET_DIR}/$crate" : Cwd::getcwd() . "/$crate/target";
    my $limit = alarm 0;
    system(qw(cargo build --quiet --release --locked), @options, '--manifest-path', "$crate/Cargo.toml",
      '--target-dir', $target) == 0
      or die "$crate/ cannot be built\n";
    alarm $limit;
    "$target/release";
  };
}

1;
