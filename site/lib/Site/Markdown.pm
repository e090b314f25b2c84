package Site::Markdown;

# HTML from Markdown, by cmark-gfm, with the links of the repository turned into those of the site.

use strict;
use warnings;
use Exporter 'import';
use File::Basename qw(dirname);
use IPC::Open2 qw(open2);
use Site::Bars qw(bars_figures);
use Site::Crates qw(crates_figure);
use Site::Exchange qw(exchange_figure);
use Site::Floors qw(floors_figure);

our @EXPORT_OK = qw(html_of_markdown);

# A link that is alone in its paragraph and leads to one of these files becomes a picture of it.
my @PICTURE = (
  [qr{\At/vectors/[\w-]+\.txt\z|\Adocs/exchanges/[\w-]+\.txt\z}, \&exchange_figure],
  [qr{\A(?:[\w/-]+/)?src/(?:lib|main)\.rs\z}, sub { floors_figure($_[0], $_[2]) }],
  [qr{\Abench/results\.txt\z}, sub { bars_figures($_[0], $_[2]) }],
  [qr{\ACargo\.toml\z}, sub { crates_figure(dirname($_[0]), $_[2]) }],
);

# The arguments: the site, and the page. The site says where a file of the repository is.
sub html_of_markdown {
  my ($site, $page) = @_;
  my $folder = dirname($page->{file});
  my $html = cmark("$site->{root}/$page->{file}");
  my %seen;
  $html =~ s{<h(\d)>(.*?)</h\1>}{ sprintf '<h%d id="%s">%s</h%d>', $1, slug($2, \%seen), $2, $1 }ges;
  # Pictures come last: their links are those of the site already.
  my @pictures;
  $html =~ s{<p><a href="([^"#]+)(?:#([^"]*))?">([^<]*)</a></p>\n}{
    my $picture = picture($site, path($folder, $1), $2, $3);
    push @pictures, $picture if defined $picture;
    defined $picture ? "<!--picture $#pictures-->\n" : $&
  }ge;
  $html =~ s{href="(?!\w+:|#)([^"#]*)(#[^"]*)?"}{ sprintf 'href="%s%s"', $site->address_of(path($folder, $1)), defined $2 ? $2 : '' }ge;
  $html =~ s{<!--picture (\d+)-->\n}{$pictures[$1]}g;
  return $html;
}

sub cmark {
  my ($path) = @_;
  open my $in, '-|', 'cmark-gfm', '--unsafe', '--extension', 'table', $path or die "cmark-gfm: $! (Debian: apt-get install cmark-gfm)\n";
  binmode $in, ':encoding(UTF-8)';
  my $html = do { local $/; <$in> };
  close $in or die "cmark-gfm failed for $path\n";
  return $html;
}

# The address of a heading, as code hosts make it: so links within the repository stay valid.
sub slug {
  my ($html, $seen) = @_;
  my $slug = lc($html =~ s/<[^>]+>//gr =~ s/&\w+;//gr);
  $slug =~ s/[^\w\- ]//g;
  $slug =~ tr/ /-/;
  my $count = $seen->{$slug}++;
  return $count ? "$slug-$count" : $slug;
}

sub path {
  my ($folder, $link) = @_;
  my @parts;
  for my $part (split m{/}, $folder eq '.' ? $link : "$folder/$link") {
    if    ($part eq '..') { pop @parts }
    elsif ($part ne '.')  { push @parts, $part }
  }
  return join '/', @parts;
}

sub picture {
  my ($site, $file, $name, $caption) = @_;
  my ($kind) = grep { $file =~ $_->[0] } @PICTURE or return;
  $name = '' if !defined $name;
  $name =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
  utf8::decode($name);
  return $kind->[1]->("$site->{root}/$file", $name, $caption =~ s/(?<![.!?])\z/./r . sprintf ' <a href="%s">As text</a>', $site->address_of($file));
}

1;
