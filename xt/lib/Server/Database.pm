package Server::Database;

# A database server in a temporary folder, with one table of users. A subclass
# says how to start it (`prepare`, `command`) and which program takes its
# statements (`client`).

use strict;
use warnings;
use parent 'Server::Daemon';
use Time::HiRes qw(sleep);

our $NAME = 'accounts';

# What a user, here root, becomes to start a server that refuses to run as root.
sub as_user {
  my ($self, $user, @command) = @_;
  return $> == 0 ? ($self->program('setpriv'), "--reuid=$user", "--regid=$user", '--clear-groups', @command) : @command;
}

# Runs statements, and returns what is printed. The server must accept
# connections, which may be later than its port does.
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
