package Site::Pod;

# HTML from POD, by Pod::Simple::XHTML of perl's core, with links between the pages of the site.

use strict;
use warnings;
use parent 'Pod::Simple::XHTML';
use Exporter 'import';

our @EXPORT_OK = qw(html_of_pod);

# Words that stay as they are when a heading in capitals becomes an ordinary one.
my %KEPT = map { $_ => 1 } qw(AUTH GSSAPI HT OTP PLAIN RFC SASL SCRAM SQL TLS);

sub html_of_pod {
  my ($site, $page) = @_;
  my $self = __PACKAGE__->new;
  $self->{site} = $site;
  $self->html_header('');
  $self->html_footer('');
  $self->html_h_level(2);
  $self->index(0);
  $self->anchor_items(1);
  $self->strip_verbatim_indent(sub { my ($lines) = @_; return (sort { length $a <=> length $b } map { /\S/ ? /\A(\s*)/ : () } @$lines)[0] });
  $self->output_string(\my $html);
  $self->parse_file("$site->{root}/$page->{file}");
  die "$page->{file}: faulty POD\n" if $self->any_errata_seen;
  utf8::decode($html) if !utf8::is_utf8($html);
  # The name is the title, and what follows it there a subtitle.
  $html =~ s{<h2 id="NAME">NAME</h2>\s*<p>(.*?) - (.*?)</p>}{<h1>$1</h1>\n<p class="subtitle">$2</p>}s or die "$page->{file}: no NAME\n";
  # Items that share a text.
  $html =~ s{</dt>\s*<dd>\s*</dd>}{</dt>}g;
  $html =~ s{(<h2 id="[^"]*">)(.*?)(</h2>)}{ $1 . sentence_case($2) . $3 }ges;
  # A link without a text of its own names a heading, and the module if it is in another one.
  $html =~ s{(<a href="[^"]*">)&quot;([^<]*?)&quot;(?: in ([\w:]+))?</a>}{
    my ($start, $heading, $module) = ($1, sentence_case($2), $3);
    my $to = defined $module ? $site->{pages}->named($module) : undef;
    "$start$heading</a>" . (!defined $module ? '' : $to ? " in <cite>$to->{title}</cite>" : " in $module")
  }ge;
  return $html;
}

# A heading that is all in capitals, as manual pages have it.
sub sentence_case {
  my ($heading) = @_;
  return $heading if $heading =~ /[a-z]/;
  $heading =~ s/(\w+)/$KEPT{$1} ? $1 : lc $1/ge;
  $heading =~ s/\bactive directory\b/Active Directory/g;
  return ucfirst $heading;
}

# The address of a link to a page or to a part of one.
sub resolve_pod_page_link {
  my ($self, $to, $section) = @_;
  my $part = defined $section ? '#' . $self->idify($self->encode_entities("$section"), 1) : '';
  return $part if !defined $to;
  my $page = $self->{site}{pages}->named("$to");
  return $page ? $page->{address} . $part : "https://metacpan.org/pod/$to$part";
}

sub resolve_man_page_link {
  my ($self, $to) = @_;
  my ($name, $section) = $to =~ /\A(.*)\((\d)\)\z/;
  my $page = $self->{site}{pages}->named($name);
  return $page ? $page->{address} : "https://manpages.debian.org/$name.$section";
}

1;
