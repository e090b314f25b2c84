package Site;

# Makes a static site from the documents of the repository. Nothing is loaded from elsewhere, and no page has a script.

use strict;
use warnings;
use File::Basename qw(dirname);
use File::Copy qw(copy);
use File::Path qw(make_path);
use Site::Html qw(finished framed terms_of);
use Site::Markdown qw(html_of_markdown);
use Site::Pages;
use Site::Pod qw(html_of_pod);
use Site::Svg qw(escaped);

sub new {
  my ($class, $root) = @_;
  return bless { root => $root, pages => Site::Pages->new($root), files => {} }, $class;
}

# Writes all pages into a folder; returns their number.
sub write_to {
  my ($self, $folder) = @_;
  make_path($folder);
  my (@terms, $count);
  for my $page ($self->{pages}->all) {
    my $html = finished($self, $page, $self->html_of($page));
    push @terms, map { { %$_, page => $page } } terms_of($html);
    save("$folder/$page->{address}", framed($self, $page, $html));
    $count++;
  }
  my $last = $self->{pages}{sections}[-1];
  my $index = { address => 'terms.html', title => 'Index of terms', section => { %$last, pages => [@{ $last->{pages} }] } };
  push @{ $index->{section}{pages} }, $index;
  save("$folder/terms.html", framed($self, $index, index_of(@terms)));
  for my $file (sort keys %{ $self->{files} }) {
    make_path(dirname("$folder/$self->{files}{$file}"));
    copy("$self->{root}/$file", "$folder/$self->{files}{$file}") or die "$file: $!\n";
  }
  copy("$self->{root}/site/style.css", "$folder/style.css") or die "style.css: $!\n";
  return $count + 1;
}

# The address of a file of the repository. A file that is no page is copied, as text.
sub address_of {
  my ($self, $file) = @_;
  my $page = $self->{pages}{page}{$file};
  return $page->{address} if $page;
  die "a link leads to $file, which is no file of the repository\n" if !-f "$self->{root}/$file";
  return $self->{files}{$file} = "files/$file" . ($file =~ /\.(?:txt|svg|png)\z/ ? '' : '.txt');
}

sub html_of {
  my ($self, $page) = @_;
  return html_of_markdown($self, $page) if $page->{file} =~ /\.md\z/;
  return html_of_pod($self, $page) if $page->{file} =~ m{\.(?:pod|pm)\z|\Abin/};
  open my $in, '<:encoding(UTF-8)', "$self->{root}/$page->{file}" or die "$page->{file}: $!\n";
  my $text = do { local $/; <$in> };
  return '<h1>' . escaped($page->{title}) . '</h1>' . ($page->{file} eq 'Changes' ? changes($text) : '<pre class="prose">' . escaped($text) . '</pre>');
}

# The text of Changes: lines with a version, groups in brackets, and items.
sub changes {
  my ($text) = @_;
  my ($html, $open) = ('', 0);
  for my $block (split /\n(?=\S| +(?:- |\[))/, $text) {
    if ($block =~ /\A +- (.*\S)/s) {
      $html .= ($open++ ? '' : "<ul>\n") . '<li>' . escaped($1 =~ s/\s+/ /gr) . "</li>\n";
      next;
    }
    $html .= "</ul>\n" if $open;
    $open = 0;
    my ($first, $rest) = split /\n/, $block, 2;
    $html .=
        $first =~ /\A(\d\S*)/        ? sprintf("<h2 id=\"v%s\">%s</h2>\n", $1, escaped($first))
      : $first =~ /\A +\[(.+)\]\s*\z/ ? '<h3>' . escaped($1) . "</h3>\n"
      :                                '<p>' . escaped($first) . "</p>\n";
  }
  return $html . ($open ? "</ul>\n" : '');
}

# All options, callbacks and commands that the manual describes, in alphabetical order.
sub index_of {
  my (%by_text);
  for my $term (@_) {
    (my $text = $term->{text}) =~ s/\A\s+|\s+\z//g;
    push @{ $by_text{$text} }, sprintf '<a href="%s#%s">%s</a>', $term->{page}{address}, $term->{id}, escaped($term->{page}{title}) if $text =~ /\w/;
  }
  my $order = sub { lc($_[0] =~ s/\A\W+//r) };
  my $rows = join "\n", map { "<dt>$_</dt><dd>" . join(', ', @{ $by_text{$_} }) . '</dd>' } sort { $order->($a) cmp $order->($b) || $a cmp $b } keys %by_text;
  return "<h1>Index of terms</h1>\n<p>Options, properties, callbacks, settings and commands, with the pages that describe them.</p>\n<dl class=\"terms\">\n$rows\n</dl>\n";
}

sub save {
  my ($file, $html) = @_;
  open my $out, '>:encoding(UTF-8)', $file or die "$file: $!\n";
  print $out $html;
  close $out or die "$file: $!\n";
  return;
}

1;
