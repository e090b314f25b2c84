package Site::Crates;

# The crates and which of them use which, from their Cargo.toml: a crate stands above all those that it uses.

use strict;
use warnings;
use Exporter 'import';
use List::Util qw(max);
use Site::Svg qw(escaped figure element label broken_lines);

our @EXPORT_OK = qw(crates_figure);

sub crates_figure {
  my ($root, $caption) = @_;
  my (%uses, %about);
  for my $file ("$root/Cargo.toml", glob "$root/{crates/*,gateway,guest}/Cargo.toml") {
    open my $in, '<:encoding(UTF-8)', $file or die "$file: $!\n";
    my ($name, $section) = (undef, '');
    while (defined(my $line = <$in>)) {
      $section = $1 if $line =~ /\A\[+([^\]]+)\]/;
      if ($section eq 'package') {
        $uses{ $name = $1 } ||= {} if $line =~ /\Aname = "(.*)"/;
        $about{$name} = $1 if $line =~ /\Adescription = "(.*)"/;
      }
      $uses{$name}{$1} = 1 if $section eq 'dependencies' && $line =~ /\A([\w-]+) = .*path = /;
    }
  }
  my %level;
  my $height_of;
  $height_of = sub { my ($name) = @_; $level{$name} ||= 1 + max(0, map { $height_of->($_) } keys %{ $uses{$name} }) };
  my @levels;
  push @{ $levels[$height_of->($_) - 1] }, { name => $_, about => $about{$_} || '', uses => [sort keys %{ $uses{$_} }] } for sort keys %uses;
  return figure('The crates', $caption, sub { drawing([reverse @levels], @_) });
}

sub drawing {
  my ($levels, $width) = @_;
  my $narrow = $width < 500;
  my ($gap, $y, @parts) = (6, 0);
  for my $level (map { my $level = $_; $narrow ? map { [$_] } @$level : $level } @$levels) {
    my $box = ($width - $gap * $#$level) / @$level;
    my @texts = map {
      my $uses = @{ $_->{uses} } ? 'uses ' . join ', ', @{ $_->{uses} } : '';
      [(map { ['what', $_] } broken_lines($_->{about}, int(($box - 24) / ($narrow ? 6.1 : 7)))),
        map { ['message', $_] } broken_lines($uses, int(($box - 24) / ($narrow ? 6.65 : 7.85)))]
    } @$level;
    my $height = 34 + 18 * max(map { scalar @$_ } @texts);
    for my $n (0 .. $#$level) {
      my $x = $n * ($box + $gap);
      my $core = @{ $level->[$n]{uses} } ? '' : ' core';
      push @parts, element('rect', { class => "floor$core", x => $x, y => $y, width => $box, height => $height, rx => 3 }),
        label($x + 12, $y + 22, 'crate', escaped($level->[$n]{name})),
        map { label($x + 12, $y + 40 + 18 * $_, $texts[$n][$_][0], escaped($texts[$n][$_][1])) } 0 .. $#{ $texts[$n] };
    }
    $y += $height + $gap;
  }
  return ($y, @parts);
}

1;
