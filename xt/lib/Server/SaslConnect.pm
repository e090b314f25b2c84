package Server::SaslConnect;

# Our own sidecar for clients without AUTH, `sasl-gate connect`. It listens on a port and on a Unix socket.

use strict;
use warnings;
use parent 'Server::SaslGate';

# start(backend => ADDRESS, options => [...])
sub prepare {
  my ($self) = @_;
  $self->{port} = $self->free_port;
  $self->{metrics} = $self->free_port;
  return;
}

sub command {
  my ($self) = @_;
  return (
    $self->binary, 'connect', '--listen', "127.0.0.1:$self->{port}", '--listen', 'unix:' . $self->dir . '/socket',
    '--backend', $self->{backend}, '--metrics', "127.0.0.1:$self->{metrics}", @{ $self->{options} }
  );
}

1;
