package Site::Html;

# What all pages have: their frame with the navigation, and details of the text.

use strict;
use warnings;
use Exporter 'import';
use Site::Svg qw(escaped);

our @EXPORT_OK = qw(finished framed headings_of terms_of);

# Details that Markdown and POD have in common: names of other pages become links, comments in code are set apart, and wide tables scroll
# by themselves.
sub finished {
  my ($site, $page, $html) = @_;
  my @parts = split m{(<pre.*?</pre>|<svg.*?</svg>|<a [^>]*>.*?</a>|<h\d.*?</h\d>)}s, $html;
  for my $part (@parts) {
    if ($part =~ /\A<pre/) {
      # rustdoc hides these lines.
      $part =~ s{^# .*\n}{}gm if $part =~ /language-rust/;
      $part =~ s{(^|(?<=\s))(\#(?:\s.*)?)$}{$1<span class="comment">$2</span>}gm;
      $part =~ s{(^|(?<=\s))(//[/!]? .*)$}{$1<span class="comment">$2</span>}gm if $part =~ /language-rust/;
      $part =~ s{<pre}{<pre tabindex="0"};
    }
    elsif ($part !~ /\A<(?:svg|a |h\d)/) {
      $part =~ s{<(code|i|em)>([^<>]+)</\1>}{ my $to = $site->{pages}->named($2); $to && $to != $page ? qq{<a href="$to->{address}">$&</a>} : $& }ge;
    }
  }
  $html = join '', @parts;
  $html =~ s{<table>}{<div class="table" tabindex="0"><table>}g;
  $html =~ s{</table>}{</table></div>}g;
  return $html;
}

sub headings_of { my ($html) = @_; return map { { id => $_->[0], text => $_->[1] =~ s/<[^>]+>//gr } } pairs($html =~ m{<h2 id="([^"]*)">(.*?)</h2>}gs) }
sub terms_of { my ($html) = @_; return map { { id => $_->[0], text => $_->[1] =~ s/<[^>]+>//gr } } pairs($html =~ m{<dt id="([^"]*)">(.*?)</dt>}gs) }
sub pairs { my @pairs; push @pairs, [splice @_, 0, 2] while @_; return @pairs }

sub framed {
  my ($site, $page, $html) = @_;
  my $section = $page->{section};
  my @sections = grep { $_->{pages}[0] } @{ $site->{pages}{sections} };
  my $link = sub {
    my ($to, $text, $here) = @_;
    return sprintf '<a href="%s"%s>%s</a>', $to, $here ? qq{ aria-current="$here"} : '', $text;
  };
  my $top = join "\n", map {
    '<li>' . $link->($_->{pages}[0]{address}, escaped($_->{title}), $_ == $section ? $_->{pages}[0] == $page ? 'page' : 'true' : '') . '</li>'
  } @sections;
  my $beside = join "\n", map {
    my $here = $_ == $page;
    my @parts = $here ? headings_of($html) : ();
    '<li>' . $link->($_->{address}, escaped($_->{title}), $here ? 'page' : '')
      . (@parts ? "\n<ul>\n" . join("\n", map { "<li><a href=\"#$_->{id}\">$_->{text}</a></li>" } @parts) . "\n</ul>\n" : '') . '</li>'
  } @{ $section->{pages} };
  my @in_order = @{ $section->{pages} };
  my ($at) = grep { $in_order[$_] == $page } 0 .. $#in_order;
  my @turn = (
    $at > 0 ? sprintf('<a rel="prev" href="%s">%s</a>', $in_order[$at - 1]{address}, escaped($in_order[$at - 1]{title})) : '<span></span>',
    $at < $#in_order ? sprintf('<a rel="next" href="%s">%s</a>', $in_order[$at + 1]{address}, escaped($in_order[$at + 1]{title})) : (),
  );
  my $title = $page->{address} eq 'index.html' ? 'Authen::SASL::Rust' : escaped($page->{title}) . ' - Authen::SASL::Rust';
  my $source = $page->{file} ? "<p>Made from <code>$page->{file}</code>.</p>" : '';
  my $class = $page->{address} eq 'index.html' ? ' class="home"' : '';
  return <<"HTML";
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="style.css">
</head>
<body$class>
<a class="skip" href="#text">Skip to the text</a>
<header>
<a class="brand" href="index.html">Authen::SASL::Rust</a>
<a class="to-pages" href="#pages">Contents</a>
<nav aria-label="Readers">
<ul>
$top
</ul>
</nav>
</header>
<div class="columns">
<main id="text">
$html
<nav class="turn" aria-label="Next pages">@turn</nav>
</main>
<nav class="pages" id="pages" aria-label="Pages">
<p>@{[escaped($section->{about})]}</p>
<ul>
$beside
</ul>
</nav>
</div>
<footer>
$source
<p><a href="terms.html">Index of terms</a></p>
</footer>
</body>
</html>
HTML
}

1;
