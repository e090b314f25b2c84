package Server::Socat;

# socat as a relay of bytes in front of another server, with one process per connection; with `certificate` and `key` it terminates TLS.

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
  my $options = 'bind=127.0.0.1,fork,reuseaddr,nodelay';
  my $listen =
    $self->{certificate}
    ? "OPENSSL-LISTEN:$self->{port},$options,verify=0,cert=$self->{certificate},key=$self->{key}"
    : "TCP-LISTEN:$self->{port},$options";
  return ($self->program('socat'), $listen, "TCP:$self->{backend},nodelay");
}

sub addresses { return "127.0.0.1:$_[0]{port}" }

1;
