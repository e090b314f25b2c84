package Peer::HiddenLibrary;

# Libraries that hold nothing, under the names of real ones: in LD_LIBRARY_PATH
# they stand before those, for programs that open a library by its name.

use strict;
use warnings;

use Config     qw(%Config);
use File::Temp ();

# A folder with such libraries; it is removed with the object.
sub folder {
  my ($class, @names) = @_;
  my $folder = File::Temp->newdir;
  my $source = "$folder/empty.c";
  open my $file, '>', $source or die "$source: $!";
  print {$file} "int nothing;\n";
  close $file or die "$source: $!";
  for my $name (@names) {
    system($Config{cc}, '-shared', '-fPIC', '-o', "$folder/$name", $source) == 0 or die "$Config{cc} failed\n";
  }
  return $folder;
}

1;
