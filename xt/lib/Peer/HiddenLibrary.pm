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

# The core's tests without them: the lines of their results. cargo itself may
# need the real ones, so only the tests' programs miss them.
sub core_tests {
  my ($class, $folder, @which) = @_;
  delete local $ENV{LD_LIBRARY_PATH};
  my @runner = ('--config', qq{target."cfg(all())".runner = ["env", "LD_LIBRARY_PATH=$folder"]});
  open my $core, '-|', 'cargo', 'test', '--quiet', '--locked', @which, @runner or die "cargo: $!";
  my @results = grep { /^test result:/ } <$core>;
  close $core;
  return @results;
}

1;
