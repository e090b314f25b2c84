package Authen::SASL::Rust::Connection;

use strict;
use warnings;
use Carp ();
use overload ();

# A handle of the core belongs to one thread.
sub CLONE_SKIP { return 1 }

sub service { return $_[0]->_get('service') }
sub host { return $_[0]->_get('host') }

# The mechanism that runs. A server that was given several is told here which one the client chose.
sub mechanism {
  my ($self, $name) = @_;
  if (@_ > 1) {
    $self->_pick($name) or Carp::croak('mechanism: this is none of the mechanisms that were named');
  }
  return $self->_mechanism;
}

# Answers to callbacks, by the callbacks' names, as far as they are no secrets.
sub answer {
  my ($self, $name) = @_;
  return undef if !defined $name || $name =~ /\A(?:pass|password|token|getsecret|checkpass)\z/;
  my %property = (
    user => 'authcid', authcid => 'authcid', auth => 'authcid',
    authname => 'authzid', authzid => 'authzid', realm => 'realm',
  );
  my $value = $property{$name} ? $self->_get($property{$name}) : undef;
  return $value if defined $value;
  my $callback = $self->_callbacks->{$name};
  return ref $callback ? undef : $callback;
}

sub user { return $_[0]->answer('user') }

sub callback {
  my ($self, @arg) = @_;
  return $self->_callbacks->{ $arg[0] } if @arg == 1;
  my %new = @arg;
  my $callbacks = $self->_callbacks;
  @{$callbacks}{ keys %new } = values %new;
  $self->_callbacks_changed if %new;
  return $callbacks;
}

# Properties whose place is the core; read-only ones cannot be set.
my %read_only = map { $_ => 1 } qw(ssf maxout mechname authcid authuser message_absent);

sub property {
  my ($self, @arg) = @_;
  if (@arg == 1) {
    my $name = $arg[0];
    return undef unless defined $name;
    return $self->{property}{$name} if $self->{property} && exists $self->{property}{$name};
    return $self->_get($name);
  }
  Carp::croak('property: names and values in pairs were expected') if @arg % 2;
  while (my ($name, $value) = splice @arg, 0, 2) {
    $self->_set_property($name, $value);
  }
  return 1;
}

sub _set_property {
  my ($self, $name, $value) = @_;
  Carp::croak("property $name cannot be set") if $read_only{$name};
  if ($name eq 'die_on_failure') {
    $self->_die_on_failure($value ? 1 : 0);
    $self->{property}{$name} = $value ? 1 : 0;
  }
  elsif ($self->_set($name, $value)) {
    delete $self->{property}{$name} if $self->{property};
  }
  else {
    $self->{property}{$name} = $value;
  }
  return;
}

# The arguments of client_new and server_new after the host: nothing, security flags as a string, a hash
# of options, or "ip;port" of this side and of the other.
sub _options {
  my ($self, $options, $remote) = @_;
  $options = '' unless defined $options;
  if (ref $options) {
    Carp::croak('options: a hash was expected') unless eval { keys %$options; 1 };
    $self->_set_property($_, $options->{$_}) for sort keys %$options;
  }
  elsif ($options =~ /\A[0-9a-fA-F.:]*;[0-9]+\z/) {
    $self->property(iplocalport => $options);
  }
  else {
    $self->_set('secflags', $options);
  }
  $self->property(ipremoteport => $remote) if defined $remote && !ref $remote && $remote =~ /;[0-9]+\z/;
  return;
}

# The mechanisms that this side may use, the strongest first; or a string with a prefix, separator and suffix.
sub listmech {
  my ($self, $prefix, $separator, $suffix) = @_;
  my @names = split / /, Authen::SASL::Rust::_usable($self);
  return @names if wantarray && @_ < 2;
  $_ = defined $_ ? $_ : '' for $prefix, $suffix;
  return $prefix . join(defined $separator ? $separator : ' ', @names) . $suffix;
}

sub global_listmech { return Authen::SASL::Rust->global_listmech }

# Asks the application's own checkpass callback, outside of any exchange.
sub checkpass {
  my ($self, $user, $pass) = @_;
  my $callback = $self->_callbacks->{checkpass} or return 0;
  return 0 unless defined $pass && length $pass;
  my ($code, @own) = ref $callback eq 'ARRAY' ? @$callback : $callback;
  my @answer;
  my $returned = $code->($self, @own, { user => $user, pass => $pass }, sub { @answer = $_[0] unless @answer });
  my $verdict = @answer ? $answer[0] : $returned;
  return 0 if ref $verdict && !overload::Overloaded($verdict);
  return $verdict ? 1 : 0;
}

sub setpass {
  my ($self, $user, $password, $flags) = @_;
  my $callback = $self->_callbacks->{setpass} or return 0;
  my ($code, @own) = ref $callback eq 'ARRAY' ? @$callback : $callback;
  return $code->($self, @own, $user, $password, $flags) ? 1 : 0;
}

sub _acceptable { return 1 }

# Without a security layer the data travels as it is.
sub encode { return $_[1] }
sub decode { return $_[1] }
sub securesocket { return $_[1] }
sub tiesocket { return $_[1] }

1;
