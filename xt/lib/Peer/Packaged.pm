package Peer::Packaged;

# A peer that this release of the system does not have. A test may go without it, and dev/test counts it; one that is merely not
# installed is a failure.

use strict;
use warnings;
use Exporter qw(import);

our @EXPORT_OK = qw(perl_peer why_absent);

my $absent;

# Why there can be no such package here, a name of dev/packages; undef if it is there, or could be.
sub why_absent {
  my ($package) = @_;
  $absent = qx{dev/install absent test} unless defined $absent;
  return $absent =~ /^\Q$package\E$/m ? "$package is not packaged here" : undef;
}

# The first of these classes that is installed. Nothing is loaded.
sub perl_peer {
  my (@classes) = @_;
  for my $class (@classes) {
    (my $file = "$class.pm") =~ s{::}{/}g;
    return $class if grep { !ref($_) && -e "$_/$file" } @INC;
  }
  return undef;
}

1;
