package Peer::Compiler;

# Compiles the small C program of a peer into a temporary folder. A missing
# compiler or library is a failure: dev/install provides both.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec     ();
use File::Temp     ();

my %built;

sub build {
  my ($class, $name, @libraries) = @_;
  return $built{$name}{program} if $built{$name};
  my $source = File::Spec->catfile(dirname(__FILE__), '..', '..', 'peers', "$name.c");
  my $folder = File::Temp->newdir;
  my $program = File::Spec->catfile("$folder", $name);
  my @command = (
    $ENV{CC} || 'cc', qw(-std=c99 -D_DEFAULT_SOURCE -Wall -Wextra -O1), '-o', $program, $source,
    map {"-l$_"} @libraries,
  );
  system(@command) == 0 or die "cannot compile $name.c: @command\n";
  $built{$name} = {folder => $folder, program => $program};
  return $program;
}

1;
