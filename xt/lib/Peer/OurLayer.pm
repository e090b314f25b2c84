package Peer::OurLayer;

# Our side of an exchange and of the security layer after it. It has the interface of Peer::Process.

use strict;
use warnings;

use Authen::SASL qw(Rust);

# mechanism, password; properties: minssf, maxssf, maxbuf, ...
sub client {
  my ($class, %arg) = @_;
  my %login = (user => 'fred', pass => delete $arg{password} // 'pencil');
  my $sasl = Authen::SASL->new(mechanism => delete $arg{mechanism}, callback => {%login});
  return bless {conn => $sasl->client_new('ldap', 'localhost', {%arg}), role => 'client'}, $class;
}

sub server {
  my ($class, %arg) = @_;
  my $sasl = Authen::SASL->new(mechanism => delete $arg{mechanism}, callback => {getsecret => sub { return 'pencil' }});
  return bless {conn => $sasl->server_new('ldap', 'localhost', {%arg}), role => 'server'}, $class;
}

sub start { my ($self, @message) = @_; return $self->_take("$self->{role}_start", @message) }
sub step  { my ($self, @message) = @_; return $self->_take("$self->{role}_step",  @message) }
sub end   { delete $_[0]{conn}; return }

sub _take {
  my ($self, $method, @message) = @_;
  my $conn = $self->{conn};
  my $sent = $conn->$method(@message);
  undef $sent if $conn->property('message_absent');
  my $state = $conn->error ? 'fail' : $conn->is_success ? 'done' : 'more';
  return {state => $state, message => $sent, error => $conn->error};
}

# After the exchange: user, authuser, ...
sub name { my ($self, $property) = @_; return $self->{conn}->property($property) }

sub agreed {
  my ($self) = @_;
  return join ' ', map { $self->{conn}->property($_) // 0 } qw(ssf maxout);
}

sub seal {
  my ($self, $text) = @_;
  my $conn = $self->{conn};
  my $most = $conn->property('maxout');
  my $frames = '';
  for my $part (unpack "(a$most)*", $text) {
    my ($frame) = $conn->encode($part);
    return {state => 'fail', error => $conn->error} if !defined $frame;
    $frames .= pack 'N/a*', $frame;
  }
  return {state => 'more', message => $frames};
}

sub unseal {
  my ($self, $frames) = @_;
  my $conn = $self->{conn};
  my $text = '';
  for my $frame (unpack '(N/a*)*', $frames) {
    my ($part) = $conn->decode($frame, length $frame);
    return {state => 'fail', error => $conn->error} if !defined $part;
    $text .= $part;
  }
  return {state => 'more', message => $text};
}

1;
