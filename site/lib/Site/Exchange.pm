package Site::Exchange;

# An exchange of t/vectors/ as a sequence diagram. t/vectors/README.md describes the files.

use strict;
use warnings;
use Exporter 'import';
use Site::Svg qw(escaped figure element label broken_lines);

our @EXPORT_OK = qw(exchange_figure);

# The figure of the exchange with this title or source in a file; without a name, of the first one that succeeds on both sides.
sub exchange_figure {
  my ($file, $name, $caption) = @_;
  my @all = exchanges($file);
  my ($exchange) = grep { length $name ? $_->{title} eq $name || $_->{source} eq $name : "@{ $_->{expect} }" eq 'done' } @all
    or die "$file: no exchange named '$name'\n";
  return figure("A $exchange->{mechanism} exchange", $caption, sub { drawing($exchange, @_) });
}

sub exchanges {
  my ($file) = @_;
  open my $in, '<:encoding(UTF-8)', $file or die "$file: $!\n";
  my (@all, $current);
  while (defined(my $line = <$in>)) {
    chomp $line;
    if ($line !~ /\S/) { undef $current; next }
    next if $line =~ /\A#/;
    my ($key, $value) = $line =~ /\A([^:]+): (.+)\z/s or die "$file:$.: this is no line of an exchange\n";
    push @all, $current = { title => '', source => '', expect => [], lines => [] } if !$current;
    if    ($key eq 'C' || $key eq 'S') { push @{ $current->{lines} }, [$key, $value] }
    elsif ($key eq 'expect')           { push @{ $current->{expect} }, $value }
    else                               { $current->{$key} = $value }
  }
  return @all;
}

sub drawing {
  my ($exchange, $width) = @_;
  my $narrow = $width < 500;
  my ($left, $right) = ($narrow ? 16 : 40, $width - ($narrow ? 16 : 40));
  my ($line_height, $columns) = $narrow ? (15, int(($right - $left - 28) / 6.65)) : (18, int(($right - $left - 36) / 7.85));
  my $y = 20;
  my @parts = (
    label($left - ($narrow ? 12 : 26), $y, 'end', 'Client'),
    label($right + ($narrow ? 12 : 26), $y, 'end', 'Server', 'text-anchor' => 'end'),
  );
  my $top = $y += 12;
  my (@messages, $number);
  for my $line (@{ $exchange->{lines} }) {
    my ($side, $text) = @$line;
    my ($from, $to, $way) = $side eq 'C' ? ($left, $right, 1) : ($right, $left, -1);
    $number++;
    $y += 8;
    for my $piece ($text =~ /\A\((?:empty|absent)\)\z/ ? $text : broken_lines($text, $columns)) {
      $y += $line_height;
      my $shown = escaped($piece) =~ s{(\\x[0-9a-fA-F]{2}|\\.)}{<tspan class="escape">$1</tspan>}gr;
      push @messages, $piece =~ /\A\((.*)\)\z/ && $piece eq $text
        ? label($width / 2, $y, 'nothing', $1 eq 'empty' ? 'an empty message' : 'no message', 'text-anchor' => 'middle')
        : label($left + ($narrow ? 14 : 18), $y, 'message', $shown);
    }
    $y += 10;
    push @messages, element('path', { class => 'arrow', d => sprintf 'M%d %dH%d', $from + 10 * $way, $y, $to - 7 * $way }),
      element('path', { class => 'head', d => sprintf 'M%d %dl%d -4.5v9z', $to - 1 * $way, $y, -9 * $way }),
      element('circle', { class => 'number', cx => $from, cy => $y, r => 9 }),
      label($from, $y + 4, 'number', $number, 'text-anchor' => 'middle');
    $y += 8;
  }
  $y += 8;
  my @lives = map { element('path', { class => 'life', d => "M$_ ${top}V$y" }) } $left, $right;
  my @ends = map { broken_lines($_, int(($right - $left) / 7)) } map { outcome($_) } @{ $exchange->{expect} };
  my $height = 8 + 18 * @ends;
  return (
    $y + $height + 4, @parts, @lives, @messages,
    element('rect', { class => 'done', x => $left - 8, y => $y, width => $right - $left + 16, height => $height, rx => 3 }),
    map { label($width / 2, $y + 17 + 18 * $_, 'done', escaped($ends[$_]), 'text-anchor' => 'middle') } 0 .. $#ends,
  );
}

# An expectation as a sentence.
sub outcome {
  my ($expect) = @_;
  return 'Both sides report success' if $expect eq 'done';
  my ($text, $side) = $expect =~ /\A(.*) on (client|server)\z/ or return "Both sides fail: $expect";
  return $text eq 'done' ? "The $side reports success" : "The $side fails: $text";
}

1;
