package Slurp;

use strict;
use warnings;
use Exporter 'import';

our @EXPORT_OK = qw(slurp);

# Returns the content of a file.
sub slurp {
  my ($file) = @_;
  open my $in, '<', $file or die "$file: $!";
  local $/;
  return scalar <$in>;
}

1;
