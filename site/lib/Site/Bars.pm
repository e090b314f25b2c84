package Site::Bars;

# A recorded table of dev/bench as two drawings: the lines in which more is better, on a logarithmic scale, and those in which less is
# better. Lines without a peer have no ratio, and no bar.

use strict;
use warnings;
use Exporter 'import';
use Site::Svg qw(escaped figure element label);

our @EXPORT_OK = qw(bars_figures);

my %KIND = (
  '>=' => { title => 'Ratio to the best peer: longer is faster', axis => [0.8, 1000], log => 1, ticks => [1, 2, 5, 10, 100, 1000] },
  '<=' => { title => 'Ratio to the best peer: shorter uses less', axis => [0, 1.25], log => 0, ticks => [0, 0.5, 1] },
);

sub bars_figures {
  my ($file, $caption) = @_;
  my @rows = rows($file);
  return join '', map {
    my $kind = $_;
    my @mine = grep { $_->{target} =~ /\A\Q$kind\E/ } @rows;
    @mine ? figure($KIND{$kind}{title}, "$KIND{$kind}{title}. $caption", sub { drawing($KIND{$kind}, \@mine, @_) }) : ();
  } '>=', '<=';
}

sub rows {
  my ($file) = @_;
  open my $in, '<:encoding(UTF-8)', $file or die "$file: $!\n";
  my (@rows, @at);
  my @names = ('work', 'ours', 'best peer', 'ratio', 'target');
  while (defined(my $line = <$in>)) {
    chomp $line;
    if ($line =~ /\Awork +ours +best peer +ratio +target/) { @at = map { index $line, $_ } @names; next }
    next if !@at || $line !~ / (?:ok|MISS)\z/;
    my %row = map { $names[$_] => substr($line, $at[$_], $_ < $#names ? $at[$_ + 1] - $at[$_] : 10) =~ s/\s+\z//r } 0 .. $#names;
    $row{missed} = $line =~ /MISS\z/;
    push @rows, \%row if $row{ratio} =~ /\A[\d.]+\z/;
  }
  die "$file: no lines of the benchmark\n" if !@rows;
  return @rows;
}

sub drawing {
  my ($kind, $rows, $width) = @_;
  my $narrow = $width < 500;
  my ($from, $to) = $narrow ? (8, $width - 52) : (318, $width - 76);
  my $place = sub {
    my ($ratio) = @_;
    my ($low, $high) = @{ $kind->{axis} };
    ($low, $high, $ratio) = map { log } $low, $high, $ratio if $kind->{log};
    return sprintf '%.1f', $from + ($to - $from) * ($ratio - $low) / ($high - $low);
  };
  my ($y, @parts) = (24);
  my $base = $place->($kind->{log} ? 1 : 0);
  for my $row (@$rows) {
    my $bar_y = $narrow ? $y + 20 : $y + 3;
    push @parts, label($narrow ? $from : $from - 16, $y + 15, 'what', escaped($row->{work}), $narrow ? () : ('text-anchor' => 'end'));
    my $end = $place->($row->{ratio});
    my ($x, $long) = $end < $base ? ($end, $base - $end) : ($base, $end - $base);
    $long = 1.5 if $long < 1.5;
    push @parts, element('rect', { class => $row->{missed} ? 'bar missed' : 'bar', x => $x, y => $bar_y, width => $long, height => 14 }),
      label(($end > $base ? $end : $base) + 7, $bar_y + 12, 'ratio', "$row->{ratio}\x{d7}");
    $y += $narrow ? 42 : 22;
  }
  my @grid = map {
    my $x = $place->($_);
    (element('path', { class => $_ == 1 ? 'one' : 'grid', d => "M$x 20V$y" }), label($x, 13, 'tick', "$_\x{d7}", 'text-anchor' => 'middle'))
  } grep { !$narrow || $_ != 2 } @{ $kind->{ticks} };
  return ($y + 4, @grid, @parts);
}

1;
