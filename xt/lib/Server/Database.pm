package Server::Database;

# A database server in a temporary directory, with one table of users. A subclass defines how to start it (`prepare`, `command`)
# and which program runs its statements (`client`).

use strict;
use warnings;
use parent 'Server::Daemon';
use Time::HiRes qw(sleep);

our $NAME = 'accounts';

# The user that root switches to for a server that refuses to run as root.
sub as_user {
  my ($self, $user, @command) = @_;
  return $> == 0 ? ($self->program('setpriv'), "--reuid=$user", "--regid=$user", '--clear-groups', @command) : @command;
}

# Runs statements and returns the output. Waits until the server accepts logins, which may be later than its port accepts
# connections.
sub sql {
  my ($self, $statements) = @_;
  my $file = $self->write_file('statements.sql', "$statements\n");
  for my $try (1 .. 200) {
    my $said = eval { $self->run('/bin/sh', '-c', 'f=$1; shift; exec "$@" <"$f"', 'sh', $file, $self->client) };
    return $said if defined $said;
    die $@ if $try == 200 || $@ !~ /starting up|Can't connect|Connection refused/;
    sleep 0.1;
  }
  return;
}

1;
