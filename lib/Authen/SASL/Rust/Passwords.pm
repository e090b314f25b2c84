package Authen::SASL::Rust::Passwords;

# Checks and sets passwords outside of any exchange. Loaded when a program first does so.

use strict;
use warnings;
use Carp ();

our $VERSION = '1.0';

# An error names the line that called the connection.
our @CARP_NOT = ('Authen::SASL::Rust::Connection');

# SASL_BADAUTH
my $BADAUTH = -13;

# Calls the program's callback checkpass or getsecret, or uses the account store, outside of any exchange. It runs a server of PLAIN, so
# that verifiers, unknown users and names without a canonical form follow the same rules and cost the same work.
sub checkpass {
  my ($self, $user, $pass) = @_;
  return 0 unless defined $user && length $user && defined $pass && length $pass;
  my %callback;
  for my $name (qw(checkpass getsecret canonuser log)) {
    my $given = $self->_callbacks->{$name};
    my ($code, @own) = ref $given eq 'ARRAY' ? @$given : $given;
    $callback{$name} = Authen::SASL::Rust::Connection::_is_code($code) ? sub { shift; $code->($self, @own, @_) } : $code
      if defined $code;
  }
  my $has_checkpass = defined $callback{checkpass};
  if (!$has_checkpass && !defined $callback{getsecret}) {
    my $accounts = $self->property('accounts') or return 0;
    # Not %callback itself: it holds this code.
    my $log = $callback{log};
    $callback{checkpass} = sub { return _ask_accounts($self, $accounts, $_[1], $log) };
  }
  my $plain = Authen::SASL->new(mechanism => 'PLAIN', callback => \%callback);
  $plain = Authen::SASL::Rust->server_new($plain, $self->service, $self->host);
  $plain->property(
    (map { $_ => scalar $self->_get($_) } qw(realm iterations max_iterations)),
    characters => $self->property('characters'), die_on_failure => 0
  );
  my @bytes = map { Authen::SASL::Rust::Connection::_encoded("$_") } $user, $pass;
  return 0 if grep { /\0/ } @bytes;
  $plain->server_start(join "\0", '', @bytes);
  # A missing answer of getsecret is not a wrong password. A checkpass that keeps its continuation refuses.
  Carp::croak('checkpass: ' . $plain->error) if $plain->error && $plain->code != $BADAUTH && !$has_checkpass;
  return $plain->is_success ? 1 : 0;
}

sub _ask_accounts {
  my ($self, $accounts, $query, $log) = @_;
  my $yes = $accounts->check(
    $query->{user}, $query->{pass}, service => scalar $self->service,
    realm => scalar $self->_get('realm')
  );
  $log->($self, 1, 'checkpass: ' . $accounts->error)
    if !$yes && Authen::SASL::Rust::Connection::_is_code($log) && defined $accounts->error;
  return $yes;
}

sub setpass {
  my ($self, $user, $password, $flags) = @_;
  my $done = $self->_setpass($user, $password, $flags || 0);
  return $done if $done >= 0;
  my $callback = $self->_callbacks->{setpass};
  if (!$callback) {
    my $accounts = $self->property('accounts') or return 0;
    return _set_in($accounts, $user, $password, $flags);
  }
  my ($code, @own) = ref $callback eq 'ARRAY' ? @$callback : $callback;
  return $code->($self, @own, $self->_text($user), $self->_text($password), $flags) ? 1 : 0;
}

# Flags of Cyrus SASL: 1 creates a missing user, 2 disables a user.
sub _set_in {
  my ($accounts, $user, $password, $flags) = @_;
  return $accounts->setpass($user, $password) unless defined $flags;
  Carp::croak("setpass: account stores support the flags 1 and 2, but these are $flags") unless $flags =~ /\A[0-3]\z/;
  return $accounts->disable($user) if $flags & 2;
  return $accounts->setpass($user, $password, $flags & 1 ? () : (create => 0));
}

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::Passwords - passwords outside of an exchange

=head1 DESCRIPTION

Serves the methods C<checkpass> and C<setpass> (L<Authen::SASL::Rust::Connection>). Programs do not need this module.

=cut
