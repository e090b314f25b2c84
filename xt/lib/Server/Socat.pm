package Server::Socat;

# socat as a relay of bytes in front of another server, with one process per connection.

use strict;
use warnings;
use parent 'Server::Daemon';

# start(backend => 'host:port')
sub prepare {
  my ($self) = @_;
  $self->{port} = $self->free_port;
  return;
}

sub command {
  my ($self) = @_;
  return (
    $self->program('socat'), "TCP-LISTEN:$self->{port},bind=127.0.0.1,fork,reuseaddr,nodelay",
    "TCP:$self->{backend},nodelay"
  );
}

sub addresses { return "127.0.0.1:$_[0]{port}" }

1;
