package Peer::HiddenLibrary;

# Empty libraries with the names of real ones: in LD_LIBRARY_PATH they precede the real ones, for programs that load a library
# by its name.

use strict;
use warnings;

use Config     qw(%Config);
use File::Temp ();

# A directory with such libraries; it is removed with the object.
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

# Runs tests of crates without the real libraries; returns the lines of their results. cargo itself may need the real ones, so
# they are hidden only from the test programs.
sub crate_tests {
  my ($class, $folder, @which) = @_;
  delete local $ENV{LD_LIBRARY_PATH};
  my @runner = ('--config', qq{target."cfg(all())".runner = ["env", "LD_LIBRARY_PATH=$folder"]});
  open my $cargo, '-|', 'cargo', 'test', '--quiet', '--locked', @which, @runner or die "cargo: $!";
  my @results = grep { /^test result:/ } <$cargo>;
  close $cargo;
  return @results;
}

1;
