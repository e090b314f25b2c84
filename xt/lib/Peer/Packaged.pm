package Peer::Packaged;

# A peer that this release of the system does not have, or that conflicts with an installed package. A test may run without it, and dev/test counts it; a peer that is merely
# not installed is a failure.

use strict;
use warnings;
use Exporter qw(import);

our @EXPORT_OK = qw(perl_peer why_absent);

my $absent;

# The reason why a package (a name in dev/packages) is not available here; undef if it is installed or can be.
sub why_absent {
  my ($package) = @_;
  $absent = qx{dev/install absent test} unless defined $absent;
  return $absent =~ /^\Q$package\E$/m ? "$package is not packaged here, or conflicts with an installed package" : undef;
}

# The first of these classes that is installed. It loads nothing.
sub perl_peer {
  my (@classes) = @_;
  for my $class (@classes) {
    (my $file = "$class.pm") =~ s{::}{/}g;
    return $class if grep { !ref($_) && -e "$_/$file" } @INC;
  }
  return undef;
}

1;
