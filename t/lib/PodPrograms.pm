package PodPrograms;

# The programs in a POD page. Each follows "=for program", or "=for program WHERE" if it needs a server that WHERE names.

use strict;
use warnings;
use Exporter 'import';

our @EXPORT_OK = qw(pod_of programs_in unmarked_in);

# Returns the POD of a page or module. A module has it after its code.
sub pod_of {
  my ($file) = @_;
  open my $in, '<:raw', $file or die "$file: $!";
  local $/;
  my $text = <$in>;
  return $text if $file =~ /\.pod\z/;
  return $text =~ /\n__END__\n(.*)/s ? $1 : '';
}

# Calls code with each indented paragraph and the marker that applies to it: undef without one, else its WHERE.
sub each_paragraph {
  my ($file, $code) = @_;
  my $where;
  for my $paragraph (split /\n{2,}/, pod_of($file)) {
    if ($paragraph =~ /\A=for program(?: (\w+))?\s*\z/) { $where = defined $1 ? $1 : ''; $code->('', $where, 1) }
    elsif ($paragraph =~ /\A /) { $code->($paragraph, $where) }
    else { $where = undef }
  }
  return;
}

# Returns the programs of a page that need no server, or those that need the server $wanted.
sub programs_in {
  my ($file, $wanted) = @_;
  $wanted = '' if !defined $wanted;
  my @programs;
  each_paragraph(
    $file,
    sub {
      my ($text, $where, $begins) = @_;
      return if !defined $where || $where ne $wanted;
      push @programs, '' if $begins;
      $programs[-1] .= "$text\n\n";
    }
  );
  return @programs;
}

# Returns the paragraphs that look like a program and are not marked as one.
sub unmarked_in {
  my ($file) = @_;
  my @unmarked;
  each_paragraph(
    $file,
    sub {
      my ($text, $where) = @_;
      push @unmarked, $text if !defined $where && $text =~ /\A\s+use strict;/;
    }
  );
  return @unmarked;
}

1;
