package Bench::Table;
# Medians, and the table's rows, which are printed one by one, because measuring takes minutes.
use strict;
use warnings;
use Exporter 'import';
our @EXPORT = qw(median same_round_ratio si head row);

my @WIDTH = (41, 9, 24, 6, 9, 0);

sub median {
  my @s = sort { $a <=> $b } @_;
  return 0 unless @s;
  @s % 2 ? $s[$#s / 2] : ($s[@s / 2 - 1] + $s[@s / 2]) / 2;
}

# Two values measured in turn, round by round: a machine that is slow for a while is slow for both, so each round has its own
# ratio.
sub same_round_ratio {
  my ($above, $below) = @_;
  my $last = @$above < @$below ? $#$above : $#$below;
  median(map { $above->[$_] / $below->[$_] } 0 .. $last);
}

sub si {
  my $v = shift;
  $v >= 1e6 ? sprintf('%.2fM', $v / 1e6)
    : $v >= 1e4 ? sprintf('%.1fk', $v / 1e3)
    : $v >= 100 ? sprintf('%.0f', $v)
    : sprintf('%.1f', $v);
}

sub row {
  my @cell = @_;
  my $line = join '  ', map { sprintf '%-*s', $WIDTH[$_], $cell[$_] } 0 .. $#cell;
  $line =~ s/ +$//;
  print "$line\n";
}

sub head {
  row(@_);
  print '-' x 108, "\n";
}

1;
