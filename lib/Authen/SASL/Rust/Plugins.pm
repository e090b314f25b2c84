package Authen::SASL::Rust::Plugins;

use strict;
use warnings;
use Carp ();

# What "plugins => ..." asks for, as a hash; undef if it is none.
sub _wish {
  my ($value) = @_;
  return undef if !$value;
  return {} if !ref $value && $value eq '1';
  return { load => [ split ' ', $value ] } if !ref $value;
  return { load => $value } if ref $value eq 'ARRAY';
  return {%$value} if ref $value eq 'HASH';
  Carp::croak('plugins: 0, 1, names or a hash was expected');
}

# Opens plugins for a connection, or for all new ones.
sub _load {
  my ($conn, $value) = @_;
  my $wish = _wish($value);
  if (!$wish) {
    Authen::SASL::Rust::_no_plugins($conn);
    return;
  }
  my ($path, $load, $prefer, $options) = delete @{$wish}{qw(path load prefer options)};
  Carp::croak('plugins: unknown argument ' . join ', ', sort keys %$wish) if %$wish;
  $path = join ':', @$path if ref $path eq 'ARRAY';
  my @names = !defined $load ? () : ref $load eq 'ARRAY' ? @$load : split ' ', $load;
  Carp::croak('plugins: load: names were expected') if defined $load && grep { !defined || !/\A[\w-]+\z/ } @names, @names ? () : undef;
  $prefer = defined $prefer ? $prefer : 'own';
  Carp::croak('plugins: prefer: own or plugins was expected') if $prefer !~ /\A(?:own|plugins)\z/;
  my $pairs = '';
  for my $name (sort keys %{ $options || {} }) {
    Carp::croak("plugins: options: $name: a text without NUL was expected")
      if grep { !defined || ref || /\0/ } $name, $options->{$name};
    $pairs .= "$name\0$options->{$name}\0";
  }
  my @report = _read(Authen::SASL::Rust::_plugins($conn, $path, @names ? "@names" : undef, $prefer eq 'plugins', $pairs));
  for my $name (@names) {
    my ($found) = grep { $_->{plugin} eq $name } @report;
    Carp::croak("plugins: $name: " . ($found && $found->{error} || 'it has no mechanisms'))
      if !$found || !@{ $found->{client} } && !@{ $found->{server} };
  }
  return @report;
}

sub _report { return _read(Authen::SASL::Rust::_known_plugins()) }

# The core's report as one hash for each plugin.
sub _read {
  my @field = split /\0/, $_[0], -1;
  my (@plugins, %known);
  while (@field > 4) {
    my ($name, $file, $what, $text) = splice @field, 0, 4;
    my $plugin = $known{"$name\0$file"} ||= do {
      push @plugins, { plugin => $name, file => $file, client => [], server => [], error => undef };
      $plugins[-1];
    };
    if ($what eq 'refused') { $plugin->{error} = join '; ', grep { defined } $plugin->{error}, $text }
    else { push @{ $plugin->{$what} }, $text }
  }
  return @plugins;
}

1;
