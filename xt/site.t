# The site that dev/site makes: its links, its pictures, and in a browser what a reader sees at the width of a telephone and of a desk, light
# and dark.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use Browser ();
use File::Find ();
use File::Temp qw(tempdir);
use IO::Handle;
use Peer::Packaged qw(why_absent);
use Slurp qw(slurp);
use Test::More;

my $folder = tempdir(CLEANUP => 1);
my $said = qx{dev/site --to $folder 2>&1};
is $?, 0, 'the site is made' or BAIL_OUT($said);

my %html;
for my $file (glob "$folder/*.html") {
  my $text = slurp($file);
  utf8::decode($text);
  $html{ $file =~ s{.*/}{}r } = $text;
}
cmp_ok scalar keys %html, '>', 40, 'it has pages';

sub unescaped { my %known = (amp => '&', lt => '<', gt => '>', quot => '"', '#39' => "'"); return $_[0] =~ s/&(amp|lt|gt|quot|#39);/$known{$1}/gr }

# Every link leads to a page or a file of the site and to a part of it; other servers are only linked to.
my %ids;
for my $page (sort keys %html) {
  $ids{$page}{$_}++ for $html{$page} =~ / id="([^"]*)"/g;
  is join(' ', grep { $ids{$page}{$_} > 1 } sort keys %{ $ids{$page} }), '', "$page: no id occurs twice";
}
for my $page (sort keys %html) {
  my @broken;
  for my $link (map { unescaped($_) } $html{$page} =~ /<a\b[^>]* href="([^"]*)"/g) {
    next if $link =~ m{\Ahttps?://};
    my ($to, $part) = $link =~ /\A([^#]*)(?:#(.*))?\z/s;
    $to = $page if $to eq '';
    push @broken, $link if !-f "$folder/$to" || defined $part && !$ids{$to}{$part};
  }
  is join("\n", @broken), '', "$page: links lead somewhere";
  unlike $html{$page}, qr/<script|<iframe|\bon\w+="|\bsrc="|<link[^>]*href="\w+:\/\//, "$page: nothing runs, and nothing is loaded from elsewhere";
  like $html{$page}, qr{<title>[^<]+</title>.*<h1}s, "$page: has a title";
}
unlike slurp("$folder/style.css"), qr/url\(|\@import|\@font-face/, 'the style sheet loads nothing';

# The reader who uses another backend.
like $html{'index.html'}, qr{Authen::SASL::XS[^\n]*</td>\s*<td><a href="migration.html"}, 'the first page leads to the migration';
ok $ids{'migration.html'}{"FROM-Authen::SASL::$_"}, "which has a part for Authen::SASL::$_" for qw(Perl XS Cyrus);

# Changes: a list below the heading of each group.
my @groups = slurp('Changes') =~ /^  \[(.+)\]$/mg;
is_deeply [map { unescaped($_) } $html{'changes.html'} =~ m{<h3>(.+)</h3>\n<ul>\n<li>}g], \@groups, 'the groups of Changes have headings';

# Each mechanism that has an exchange in t/vectors is drawn, with all bytes of its messages.
my %drawn = map { $_ => 1 } $html{'mechanisms.html'} =~ /aria-label="A (\S+) exchange"/g;
for my $family (qw(SCRAM-SHA-256 SCRAM-SHA-256-PLUS HT-SHA-256-NONE OAUTHBEARER XOAUTH2 OTP PLAIN LOGIN OTP EXTERNAL ANONYMOUS GSSAPI DIGEST-MD5 CRAM-MD5)) {
  ok $drawn{$family}, "$family is drawn";
}
for my $file (qw(t/vectors/scram-sha-256.txt t/vectors/digest-md5-rfc2831.txt)) {
  my ($exchange) = split /\n\n/, slurp($file);
  my $messages = join '', $exchange =~ /^[CS]: (.*)/mg;
  for my $width (qw(wide narrow)) {
    my @texts = map { join '', map { unescaped(s/<[^>]*>//gr) } /<text class="message"[^>]*>(.*?)<\/text>/g }
      $html{'mechanisms.html'} =~ /<svg class="$width".*?<\/svg>/gs;
    ok scalar(grep { $_ eq $messages } @texts), "$file: the $width drawing has its messages";
  }
}
my $floors = () = slurp('src/lib.rs') =~ /^\/\/! \| \d+ \|/mg;
my ($core) = $html{'architecture.html'} =~ /aria-label="Floors of the code">(.*?)<\/svg>/s;
is scalar(() = $core =~ /<rect class="floor"/g), $floors, 'each floor is drawn';
my $ratios = () = slurp('bench/results.txt') =~ /^\S.* [\d.]+ +[<>]= .*(?:ok|MISS)$/mg;
is scalar(() = $html{'speed.html'} =~ /<rect class="bar/g), 2 * $ratios, 'each line of the benchmark is drawn, wide and narrow';

# What a reader sees. Texts are at least 11 pixels high and stand out from the paper, and nothing sticks out of the window or of its picture.
my $CHECK = <<'JAVASCRIPT';
(() => {
  const found = new Set();
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) found.add(`the page is ${root.scrollWidth} wide in a window of ${root.clientWidth}`);
  const parts = (color) => {
    const numbers = color.match(/[\d.]+/g).map(Number);
    return color.startsWith('color(') ? numbers.map((n, i) => i < 3 ? n * 255 : n) : numbers;
  };
  const light = (color) => {
    const [r, g, b] = color.map((n) => (n /= 255) <= 0.03928 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = parts(getComputedStyle(e).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || seen.has(element)) continue;
    seen.add(element);
    const box = element.getBoundingClientRect();
    if (!box.width || box.right < 0) continue;
    const svg = element.closest('svg');
    const style = getComputedStyle(element);
    const scale = svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
    const name = `${element.tagName.toLowerCase()} "${walker.currentNode.data.trim().slice(0, 30)}"`;
    if (parseFloat(style.fontSize) * scale < 11) found.add(`${name} has ${parseFloat(style.fontSize) * scale} pixels`);
    const [a, b] = [light(parts(svg ? style.fill : style.color)), light(paper(element))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) found.add(`${name} has a contrast of ${(a + 0.05) / (b + 0.05)}`);
    if (svg) {
      const frame = svg.getBoundingClientRect();
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 2) found.add(`${name} sticks out of its picture`);
    }
  }
  return [...found].slice(0, 8).join('\n');
})()
JAVASCRIPT

SKIP: {
  my $why = Browser::program() ? undef : why_absent('chromium-headless-shell,chromium');
  skip $why, 1 if defined $why;
  ok defined Browser::program(), 'a browser is installed (dev/install test)' or last SKIP;
  my $browser = Browser->start;
  for my $page (sort keys %html) {
    $browser->open_page("$folder/$page");
    for my $view ([400, 800, 'light'], [400, 800, 'dark'], [1280, 900, 'light']) {
      $browser->window(@$view);
      is $browser->value($CHECK), '', "$page at $view->[0] pixels, $view->[2]";
    }
    is join("\n", $browser->complaints), '', "$page: no messages on the console, and nothing is loaded from elsewhere";
  }
}

done_testing;
