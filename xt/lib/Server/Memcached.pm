package Server::Memcached;

# Debian's memcached with SASL through Cyrus libsasl2, its users in its own sasldb.

use strict;
use warnings;
use parent 'Server::Daemon';
use Server::Sasldb qw(sasldb);
use Sys::Hostname qw(hostname);

# start(users => { name => password }, mechanisms => 'PLAIN ...', sasl => 0 for a memcached without)
sub prepare {
  my ($self) = @_;
  $self->{port} = $self->free_port;
  return if defined $self->{sasl} && !$self->{sasl};
  my $sasldb = $self->dir . '/sasldb';
  $self->write_file(
    'memcached.conf', join '', map { "$_\n" } "mech_list: $self->{mechanisms}", 'pwcheck_method: auxprop',
    'auxprop_plugin: sasldb', "sasldb_path: $sasldb"
  );
  # The realm is the host name, fully qualified if the system knows it.
  my %realm = map { $_ => 1 } hostname, map { $_ || () } (gethostbyname hostname)[0];
  sasldb($self, sort keys %realm);
  return;
}

sub command {
  my ($self) = @_;
  my @sasl = -e $self->dir . '/memcached.conf' ? '-S' : ();
  # memcached refuses to run as root unless root is named.
  return (
    '/usr/bin/env', 'SASL_CONF_PATH=' . $self->dir, $self->program('memcached'), @sasl, '-U', 0, '-m', 16,
    '-l', '127.0.0.1', '-p', $self->{port}, $> == 0 ? ('-u', 'root') : ()
  );
}

sub addresses { return "127.0.0.1:$_[0]{port}" }

1;
