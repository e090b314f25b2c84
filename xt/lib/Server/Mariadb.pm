package Server::Mariadb;

# MariaDB. Any client that can connect is root there.

use strict;
use warnings;
use parent 'Server::Database';

sub prepare {
  my ($self) = @_;
  my $dir = $self->dir;
  $self->{port} = $self->free_port;
  $self->run($self->program('mariadb-install-db'),
    '--no-defaults', "--datadir=$dir/data", '--auth-root-authentication-method=normal', '--skip-test-db', $> == 0 ? '--user=root' : ());
  return;
}

sub command {
  my ($self) = @_;
  my $dir = $self->dir;
  return (
    $self->program('mariadbd'), '--no-defaults', "--datadir=$dir/data", "--socket=$dir/socket", "--pid-file=$dir/pid",
    '--bind-address=127.0.0.1', "--port=$self->{port}", '--skip-name-resolve', '--innodb-buffer-pool-size=16M', '--innodb-flush-log-at-trx-commit=0',
    $> == 0 ? '--user=root' : ()
  );
}

sub addresses { my ($self) = @_; return ($self->dir . '/socket', "127.0.0.1:$self->{port}") }

sub client {
  my ($self) = @_;
  return ($self->program('mariadb'), '--no-defaults', '--socket=' . $self->dir . '/socket', '--user=root',
    '--default-character-set=utf8mb4', '--skip-column-names');
}

# The options of the sql plugin for it.
sub options {
  my ($self) = @_;
  return (sql_engine => 'mysql', sql_hostnames => "127.0.0.1:$self->{port}", sql_user => 'root', sql_passwd => '',
    sql_database => $Server::Database::NAME);
}

# Takes effect with the next connection.
sub set_mode { my ($self, $mode) = @_; $self->sql("SET GLOBAL sql_mode = '$mode'"); return }

1;
