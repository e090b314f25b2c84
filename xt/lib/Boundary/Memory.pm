package Boundary::Memory;

# How much memory a process has, and whether a loop makes it more.

use strict;
use warnings;
use Exporter qw(import);
use POSIX    ();

our @EXPORT_OK = qw(resident grows);

# Pages of a process that are in memory, in bytes; of this one unless told.
sub resident {
  my ($process) = @_;
  my $path = '/proc/' . ($process // 'self') . '/statm';
  open my $statm, '<', $path or die "cannot read $path: $!";
  return (split ' ', <$statm>)[1] * POSIX::sysconf(POSIX::_SC_PAGESIZE());
}

# The loop runs once to reach its height, and must stay there: what a second time adds.
sub grows {
  my ($count, $code) = @_;
  $code->() for 1 .. $count;
  my $before = resident();
  $code->() for 1 .. $count;
  return resident() - $before;
}

1;
