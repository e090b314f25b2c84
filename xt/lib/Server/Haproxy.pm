package Server::Haproxy;

# haproxy as a relay of bytes in front of another server; with `certificate` (a file that includes the key) it terminates TLS. `send`
# are options of the server line, for example `send-proxy`.

use strict;
use warnings;
use parent 'Server::Daemon';

# start(backend => 'host:port', certificate => FILE), or start(example => TEXT): a `listen` section whose port is replaced.
sub prepare {
  my ($self) = @_;
  $self->{port} = $self->free_port;
  my $tls = $self->{certificate} ? " ssl crt $self->{certificate}" : '';
  my $listen = "listen all\n bind 127.0.0.1:$self->{port}$tls\n server one " . ($self->{backend} || '') . ' ' . ($self->{send} || '');
  $listen = $self->{example} =~ s/bind \S+/bind 127.0.0.1:$self->{port}/r if $self->{example};
  $self->write_file(
    'haproxy.cfg', join '', map { "$_\n" } 'global', ' maxconn 1000', 'defaults', ' mode tcp',
    ' timeout connect 5s', ' timeout client 1h', ' timeout server 1h', $listen
  );
  return;
}

sub command {
  my ($self) = @_;
  return ($self->program('haproxy'), '-db', '-f', $self->dir . '/haproxy.cfg');
}

sub addresses { return "127.0.0.1:$_[0]{port}" }

1;
