package Authen::SASL::Rust::Options;

# Sets the options and properties of a connection, and prints its trace. Loaded when a connection is first given one: many have none.

use strict;
use warnings;
use Carp ();

our $VERSION = '1.0';

# An error names the line that called the connection.
our @CARP_NOT = ('Authen::SASL::Rust::Connection');

# Read-only properties, which the core computes.
my %read_only =
  map { $_ => 1 }
  qw(ssf maxout mechname authcid authuser claimed_user pending_error message_absent delegated ht_token_index upgraded);

# Options that the Perl code handles, and names that are only stored because Authen::SASL::XS or
# Authen::SASL::Perl know them.
my @taken = qw(accounts auxprop channel_binding characters debug die_on_failure plugins tls users);
my @stored = qw(authsource optctx peername sockname COMPAT_CYRUSLIB_REPLY_MASK_BUG);
my %perl_knows = map { $_ => 1 } @taken, @stored, keys %read_only;

# The known name that resembles a mistyped one. A program may have properties of its own, so there ($own) the match must
# be closer.
sub _meant {
  my ($name, $own) = @_;
  return Authen::SASL::Rust::_nearest($name, join(' ', @taken, @stored, Authen::SASL::Rust::_option_names()), $own);
}

# Sets one option from the hash passed to client_new or server_new: a mistyped name must not switch off a
# protection.
sub _set_option {
  my ($self, $name, $value) = @_;
  if (!$perl_knows{$name} && !Authen::SASL::Rust::_knows($name)) {
    my $meant = _meant($name, 0);
    Carp::croak("unknown option $name" . (defined $meant ? "; did you mean $meant?" : ''));
  }
  return $self->_set_property($name, $value);
}

sub _set_property {
  my ($self, $name, $value) = @_;
  # Programs for Authen::SASL::Perl set it before an exchange. As there, the exchange then sets the real
  # value.
  return if $name eq 'maxout' && defined $value && $value =~ /\A[0-9]+\z/;
  if ($read_only{$name}) {
    # Net::LDAP sets ssf to 0 when it is 0 already: setting the current value is harmless.
    return if ($value || 0) eq ($self->_get($name) || 0);
    Carp::croak("property $name cannot be set");
  }
  if ($name eq 'die_on_failure' || $name eq 'characters') {
    my $method = "_$name";
    $self->$method($value ? 1 : 0);
    $self->{property}{$name} = $value ? 1 : 0;
  }
  elsif ($name eq 'debug') {
    $value = $ENV{AUTHEN_SASL_RUST_DEBUG} unless defined $value;
    $value = \*$value if ref \$value eq 'GLOB';
    Carp::croak('debug: 1, 0, a code reference or a handle was expected') unless _traceable($value);
    $self->_debug($value);
    $self->{property}{debug} = $value;
  }
  elsif ($name eq 'channel_binding' || $name eq 'tls') {
    $self->_bind($name => $value);
  }
  elsif ($name eq 'plugins') {
    require Authen::SASL::Rust::Plugins;
    Authen::SASL::Rust::Plugins::_load($self, $value);
    $self->{property}{plugins} = $value;
  }
  elsif ($name eq 'accounts' || $name eq 'users') {
    _set_accounts($self, $name => $value);
  }
  elsif ($name eq 'sockname' || $name eq 'peername') {
    $self->_unix_peer(_is_unix($value)) unless $self->_side;
    $self->{property}{$name} = $value;
  }
  elsif ($self->_set($name, ref $value eq 'ARRAY' && $name =~ /\A(?:offered_|auxprop\z)/ ? join(' ', @$value) : $value))
  {
    delete $self->{property}{$name} if $self->{property};
    # Keep the original value: it may be a packed address.
    $self->{property}{$name} = $value if $name =~ /\Aip(?:local|remote)port\z/;
    $self->_bind if $name eq 'offered_bindings';    # code returns data for the offered types
  }
  else {
    my $meant = $perl_knows{$name} ? undef : _meant($name, 1);
    Carp::carp("property $name is stored and has no effect; did you mean $meant?") if defined $meant;
    $self->{property}{$name} = $value;
  }
  return;
}

# Whether it can be a value of the option debug.
sub _traceable {
  my ($value) = @_;
  return 1 if !ref $value;
  require Scalar::Util;
  return 1 if Scalar::Util::reftype($value) =~ /\A(?:CODE|GLOB|IO)\z/;
  return Scalar::Util::blessed($value) && $value->can('print') ? 1 : 0;
}

# Gives a line of the trace to code or a handle. Whatever goes wrong there must not change the exchange.
sub _trace {
  my ($self, $to, $line) = @_;
  local ($@, $!, $?, $\, $,);
  local $SIG{__DIE__};
  eval {
    require Scalar::Util;
    if (Scalar::Util::reftype($to) eq 'CODE') { $to->($line) }
    elsif (Scalar::Util::blessed($to) && $to->can('print')) { $to->print("$line\n") }
    else { print {$to} "$line\n" }
  };
  return;
}

# True for the packed address of a Unix socket, as returned by sockname and peername of IO::Socket.
sub _is_unix {
  my ($address) = @_;
  require Socket;
  return 0 if !defined $address || ref $address || length $address < 2;
  return (eval { Socket::sockaddr_family($address) } || 0) == Socket::AF_UNIX() ? 1 : 0;
}

# Sets the account store, which is used if there is no callback: an object, or the name of a users' file.
sub _set_accounts {
  my ($self, $name, $value) = @_;
  Carp::croak("$name: only a server has an account store") unless $self->_side;
  delete @{ $self->{property} }{qw(accounts users)} if $self->{property};
  return $self->_use_accounts unless defined $value;
  require Authen::SASL::Rust::Accounts;
  my $accounts = $name eq 'users' ? Authen::SASL::Rust::Accounts->_of_file($value) : $value;
  $self->_use_accounts($accounts);
  $self->{property}{accounts} = $accounts;
  $self->{property}{$name} = $value;
  return;
}

# Reads the channel binding data again when one of their sources changes.
sub _bind {
  my ($self, @change) = @_;
  my %from = ($self->{property} ? %{ $self->{property} } : (), @change);
  my $callback = $self->_callbacks->{channel_binding};
  if (!grep { defined } @from{qw(channel_binding tls)}, $callback) {
    $self->_unbind;
    $self->_tls(0, 0);
  }
  else {
    require Authen::SASL::Rust::ChannelBinding;
    my $data = Authen::SASL::Rust::ChannelBinding::_of($self, $from{channel_binding}, $callback, $from{tls});
    my @tls = defined $from{tls} ? Authen::SASL::Rust::ChannelBinding::_tls_facts($from{tls}) : (0, 0);
    $self->_unbind;
    $self->_add_binding($_, $data->{$_}) for sort keys %$data;
    $self->_tls(@tls);
  }
  my ($name, $value) = @change or return;
  if (defined $value) {
    $self->{property}{$name} = $value;
    # The program closes the handle.
    if ($name eq 'tls') { require Scalar::Util; Scalar::Util::weaken($self->{property}{tls}) }
  }
  else { delete $self->{property}{$name} }
  return;
}

# Handles the arguments of client_new and server_new after the host: nothing, security flags as a string, a hash of
# options, or the local and remote address as "ip;port".
sub _options {
  my ($self, $options, $remote) = @_;
  $options = '' unless defined $options;
  if (ref $options) {
    Carp::croak('options: a hash was expected') unless eval { keys %$options; 1 };
    $self->_set_option($_, $options->{$_}) for sort keys %$options;
  }
  elsif ($options =~ /\A[0-9a-fA-F.:]*;[0-9]+\z/) {
    $self->property(iplocalport => $options);
  }
  else {
    $self->_set('secflags', _flags($options));
  }
  $self->property(ipremoteport => $remote) if defined $remote && !ref $remote && $remote =~ /;[0-9]+\z/;
  return;
}

# Authen::SASL::Perl ignores words that are not security flags. The core refuses a word that resembles a flag or begins with
# "no", because it may be a mistyped flag.
sub _flags {
  my ($text) = @_;
  my @flags = qw(noplaintext noactive nodictionary noanonymous forward_secrecy pass_credentials mutual_auth);
  my (@kept, @ignored);
  for my $word (split /[^A-Za-z0-9_]+/, $text) {
    my $resembles = $word =~ /\Ano/i || defined Authen::SASL::Rust::_nearest($word, join(' ', @flags), 0);
    push @{ $resembles ? \@kept : \@ignored }, grep { length } $word;
  }
  Carp::carp('ignored, since no security flag resembles it: ' . join ' ', @ignored) if @ignored;
  return join ' ', @kept;
}

# From now on perl calls these directly.
{
  no strict 'refs';
  no warnings 'redefine';
  *{"Authen::SASL::Rust::Connection::$_"} = \&$_ for qw(_set_option _set_property _options _bind _trace);
}

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::Options - options and properties of a connection

=head1 DESCRIPTION

Serves the method C<property> and the options of C<client_new> and C<server_new>
(L<Authen::SASL::Rust::Connection/PROPERTIES>). Programs do not need this module.

=cut
