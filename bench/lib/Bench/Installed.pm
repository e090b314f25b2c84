package Bench::Installed;
# The built tree in the layout of `make install`. An installed module is next to its shared object; in blib they are in different
# directories, and XSLoader has to search.
use strict;
use warnings;
use FindBin;

# Copies it into a new directory.
sub copy_to {
  my ($folder) = @_;
  -d $folder || mkdir $folder or die "$folder: $!\n";
  for my $half (map { "$FindBin::Bin/../blib/$_" } qw(lib arch)) {
    next unless -d $half;
    system('cp', '-R', "$half/.", $folder) == 0 or die "blib cannot be copied\n";
  }
  return $folder;
}

1;
