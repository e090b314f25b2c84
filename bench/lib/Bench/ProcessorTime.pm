package Bench::ProcessorTime;
# The time that processes have used on processors. Load on the machine hardly changes it.
use strict;
use warnings;

# Seconds of all processes below this one, such as those of a server below its keeper. Those that have ended are not counted.
sub below {
  my ($pid) = @_;
  my $sum = 0;
  for my $child (map { split ' ' } map { contents($_) } glob "/proc/$pid/task/*/children") {
    $sum += below($child);
    $sum += (split ' ')[0] / 1e9 for grep { length } map { contents($_) } glob "/proc/$child/task/*/schedstat";
  }
  return $sum;
}

# Empty if the process or thread has ended.
sub contents {
  my ($path) = @_;
  open my $file, '<', $path or return '';
  return join '', <$file>;
}

1;
