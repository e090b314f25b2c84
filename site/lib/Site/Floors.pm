package Site::Floors;

# The table of floors in a crate's root as a drawing, the lowest floor at the bottom. xt/imports.t compares that table with the code.

use strict;
use warnings;
use Exporter 'import';
use Site::Svg qw(escaped figure element label broken_lines);

our @EXPORT_OK = qw(floors_figure);

sub floors_figure {
  my ($file, $caption) = @_;
  open my $in, '<:encoding(UTF-8)', $file or die "$file: $!\n";
  my @floors = map { m{\A//! \| *(\d+) *\| *(.*?) *\| *(.*?) *\|$} ? [$1, map { tr/`//dr } $2, $3] : () } <$in>;
  die "$file: no table of floors\n" if !@floors;
  return figure('Floors of the code', $caption, sub { drawing(\@floors, @_) });
}

sub drawing {
  my ($floors, $width) = @_;
  my $narrow = $width < 500;
  my ($x, $gap, $y, @parts) = ($narrow ? 30 : 44, 5, 0);
  for my $floor (@$floors) {
    my ($number, $files, $what) = @$floor;
    my @files = broken_lines($files, $narrow ? 43 : 29);
    my @what = broken_lines($what, $narrow ? 47 : 56);
    my ($top, $first) = ($y, $y + 21);
    my $lines = $narrow ? @files + @what : @files > @what ? @files : @what;
    my $height = 14 + 18 * $lines;
    push @parts, element('rect', { class => 'floor', x => $x, y => $top, width => $width - $x, height => $height, rx => 3 }),
      label($x - 10, $first, 'level', $number, 'text-anchor' => 'end'),
      (map { label($x + 12, $first + 18 * $_, 'message', escaped($files[$_])) } 0 .. $#files);
    my ($what_x, $what_y) = $narrow ? ($x + 12, $first + 18 * @files) : ($x + 262, $first);
    push @parts, map { label($what_x, $what_y + 18 * $_, 'what', escaped($what[$_])) } 0 .. $#what;
    $y += $height + $gap;
  }
  return ($y, @parts);
}

1;
