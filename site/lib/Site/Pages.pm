package Site::Pages;

# The pages of the site: which files they are made from, in which order and section, and under which address.

use strict;
use warnings;
use File::Find ();

# site/pages.txt has the sections, and in each the files in the order of reading. Documents that it does not name come after those: POD in
# the section of Perl, other documents in the last one. Modules that programs do not need have no page.
sub new {
  my ($class, $root) = @_;
  my $self = bless { root => $root, sections => [], page => {} }, $class;
  open my $in, '<:encoding(UTF-8)', "$root/site/pages.txt" or die "site/pages.txt: $!\n";
  while (defined(my $line = <$in>)) {
    next if $line =~ /\A\s*(?:#.*)?\n?\z/;
    if ($line =~ /\A(\S.*)\n/) {
      my ($title, $about) = split /: /, $1, 2;
      push @{ $self->{sections} }, { title => $title, about => $about, pages => [] };
    }
    elsif ($line =~ /\A +(\S+)(?:  +(.*?))?\n/) { $self->add($self->{sections}[-1], $1, $2) }
  }
  my ($perl) = grep { $_->{title} eq 'Perl' } @{ $self->{sections} };
  $self->add(/\Adocs\/(?!.*\.pod\z)/ ? $self->{sections}[-1] : $perl, $_) for grep { !$self->{page}{$_} } documents($root);
  return $self;
}

sub documents {
  my ($root) = @_;
  my @found;
  File::Find::find({ no_chdir => 1, wanted => sub {
    my $file = substr $_, 1 + length $root;
    return if !-f || $file =~ m{/\.|/eg/};
    push @found, $file if $file =~ m{\Adocs/.*\.(?:md|pod)\z} || $file =~ m{\A(?:lib|bin)/} && has_pod($_);
  } }, map { "$root/$_" } grep { -d "$root/$_" } 'docs', 'lib', 'bin');
  return sort @found;
}

sub has_pod {
  my ($file) = @_;
  open my $in, '<', $file or die "$file: $!\n";
  my $text = do { local $/; <$in> };
  return $text =~ /^=head1 NAME$/m && $text !~ /Programs\s+do\s+not\s+need\s+this\s+module/;
}

sub add {
  my ($self, $section, $file, $title) = @_;
  die "site/pages.txt: $file does not exist\n" if !-f "$self->{root}/$file";
  die "site/pages.txt: $file occurs twice\n" if $self->{page}{$file};
  my $module = $file =~ m{\Alib/(.*)\.p(?:m|od)\z} ? $1 =~ s{/}{::}gr : undef;
  my $address =
      $file eq 'README.md' ? 'index'
    : $file eq 'lib/Authen/SASL/Rust.pm' ? 'manual'
    : $file eq 'SECURITY.md' ? 'report'
    : defined $module ? lc($module =~ s/\AAuthen::SASL::Rust:://r =~ s/::/-/gr)
    : lc($file =~ s{\A(?:docs|bin)/}{}r =~ s/\.(?:md|pod)\z//r =~ s{/}{-}gr);
  die "$file has the address of another page\n" if grep { $_->{address} eq "$address.html" } values %{ $self->{page} };
  my $page = {
    file => $file, address => "$address.html", section => $section, module => $module,
    # The form in which other documents name it.
    name => defined $module ? $module : $file =~ m{([^/]+?)(?:\.pod)?\z} && $1,
    title => defined $title ? $title : title_of("$self->{root}/$file", $module),
  };
  push @{ $section->{pages} }, $page;
  $self->{page}{$file} = $page;
  return;
}

# The title of a page in the navigation: short, since its section says the rest.
sub title_of {
  my ($path, $module) = @_;
  return $module =~ s/\AAuthen::SASL::Rust:://r if defined $module;
  return $1 if $path =~ m{/bin/([^/]+)\z};
  open my $in, '<:encoding(UTF-8)', $path or die "$path: $!\n";
  while (defined(my $line = <$in>)) {
    return $1 if $line =~ /\A# (.+)\n/;
    return $1 if $line =~ /\A(\S+) - /;
  }
  return $path =~ m{([^/]+)\z} ? $1 : $path;
}

sub all { my ($self) = @_; return map { @{ $_->{pages} } } @{ $self->{sections} } }

# The page that a text names: a file of the repository, a module, a command.
sub named {
  my ($self, $text) = @_;
  $self->{by_name} ||= { map { ($_->{file} => $_, $_->{name} => $_) } $self->all };
  return $self->{by_name}{ $text =~ s/\A(?:perldoc|man) +//r =~ s/\(\d\)\z//r };
}

1;
