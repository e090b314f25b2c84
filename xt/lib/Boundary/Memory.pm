package Boundary::Memory;

# The memory use of a process, and whether a loop increases it.

use strict;
use warnings;
use Exporter qw(import);
use POSIX    ();

our @EXPORT_OK = qw(resident grows);

# The resident memory of a process in bytes; default: this process.
sub resident {
  my ($process) = @_;
  my $path = '/proc/' . ($process // 'self') . '/statm';
  open my $statm, '<', $path or die "cannot read $path: $!";
  return (split ' ', <$statm>)[1] * POSIX::sysconf(POSIX::_SC_PAGESIZE());
}

# The loop runs once to reach its maximum, and must stay there: returns what a second run adds.
sub grows {
  my ($count, $code) = @_;
  $code->() for 1 .. $count;
  my $before = resident();
  $code->() for 1 .. $count;
  return resident() - $before;
}

1;
