package Server::Beanstalkd;

# A plain beanstalkd.

use strict;
use warnings;
use parent 'Server::Daemon';

sub prepare {
  my ($self) = @_;
  $self->{port} ||= $self->free_port;
  return;
}

sub command {
  my ($self) = @_;
  return ($self->program('beanstalkd'), '-l', '127.0.0.1', '-p', $self->{port});
}

sub addresses { return "127.0.0.1:$_[0]{port}" }

1;
