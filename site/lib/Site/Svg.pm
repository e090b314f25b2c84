package Site::Svg;

# The parts of a drawing: elements, and text that is broken into lines of a monospaced font. Each picture is drawn twice, for wide and
# for narrow windows, and the style sheet shows one of them: text in a picture that is only scaled down cannot be read on a telephone.

use strict;
use warnings;
use Exporter 'import';

our @EXPORT_OK = qw(escaped figure element label broken_lines);

sub escaped {
  my ($text) = @_;
  my %entity = ('&' => '&amp;', '<' => '&lt;', '>' => '&gt;', '"' => '&quot;');
  return $text =~ s/([&<>"])/$entity{$1}/gr;
}

# A figure from a function that draws for a width, and returns the height and the elements.
sub figure {
  my ($title, $caption, $draw) = @_;
  my @drawn = map {
    my ($class, $width) = @$_;
    my ($height, @elements) = $draw->($width);
    join "\n", sprintf('<svg class="%s" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">',
      $class, $width, $height, $width, $height, escaped($title)), @elements, '</svg>';
  } ['wide', 720], ['narrow', 344];
  return join "\n", '<figure>', @drawn, "<figcaption>$caption</figcaption>", "</figure>\n";
}

sub element {
  my ($name, $attributes, $content) = @_;
  my $start = join ' ', "<$name", map { sprintf '%s="%s"', $_, escaped($attributes->{$_}) } sort keys %$attributes;
  return defined $content ? "$start>$content</$name>" : "$start/>";
}

sub label {
  my ($x, $y, $class, $text, %more) = @_;
  return element('text', { x => $x, y => $y, class => $class, %more }, $text);
}

# Lines of at most this many characters, broken after a comma or a space if there is one beyond the first third of the line. An escape like
# \x0f stays whole. Spaces at a break are dropped.
sub broken_lines {
  my ($text, $columns) = @_;
  my @units = $text =~ /(\\x[0-9a-fA-F]{2}|\\.|.)/gs;
  my @lines;
  while (@units) {
    my ($length, $fits, $break) = (0, 0, 0);
    while ($fits < @units && $length + length $units[$fits] <= $columns) {
      $length += length $units[$fits++];
      $break = $fits if $units[$fits - 1] =~ /\A[, ]\z/ && $length > $columns / 3;
    }
    my $take = $fits == @units ? $fits : $break || $fits || 1;
    push @lines, join('', splice @units, 0, $take) =~ s/ +\z//r;
    shift @units while @units && $units[0] eq ' ';
  }
  return @lines;
}

1;
