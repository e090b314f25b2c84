package Crate;

# Release builds of the project's crates beside the core: gateway/ and guest/.

use strict;
use warnings;
use Cwd ();

my (%built, %also);

# Builds the crate and returns the directory of the results. Cargo is called once per process. The time limit of a trial
# (Server::Trial) does not include the build, which takes minutes on a busy machine.
sub built {
  my ($crate, @options) = @_;
  return $built{$crate} ||= do {
    build($crate, $ENV{CARGO_TARGET_DIR} ? "$ENV{CARGO_TARGET_DIR}/$crate" : Cwd::getcwd() . "/$crate/target", @options);
  };
}

# The same with other options, after built, in a folder of its own: other tests run the first build meanwhile. It begins with hard links
# to the crates that are compiled already, so that only what differs is compiled.
sub built_also {
  my ($crate, $name, @options) = @_;
  return $also{$crate}{$name} ||= do {
    my $release = built($crate);
    my $target = "$release/../$name";
    if (!-d $target) {
      my $new = "$target.$$";
      mkdir $new or die "$new: $!";
      system(qw(cp -al), $release, "$new/release") == 0 && rename $new, $target or die "$target cannot be made\n";
    }
    build($crate, $target, @options);
  };
}

sub build {
  my ($crate, $target, @options) = @_;
  my $limit = alarm 0;
  system(qw(cargo build --quiet --release --locked), @options, '--manifest-path', "$crate/Cargo.toml", '--target-dir', $target) == 0
    or die "$crate/ cannot be built\n";
  alarm $limit;
  return "$target/release";
}

1;
