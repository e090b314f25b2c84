package Server::Postgres;

# PostgreSQL, which does not run as root: it then runs as the user that its package creates. Any client that can connect is that
# user there. With `authority`, a TLS::Authority, it has TLS, and the user tls_gate needs it and a password.

use strict;
use warnings;
use parent 'Server::Database';
use File::Basename qw(dirname);
use Time::HiRes qw(sleep);

my $USER = 'postgres';

sub prepare {
  my ($self) = @_;
  my $dir = $self->dir;
  $self->{port} = $self->free_port;
  mkdir "$dir/data" or die "$dir/data: $!";
  mkdir "$dir/run" or die "$dir/run: $!";
  if ($> == 0) {
    my ($uid, $gid) = (getpwnam $USER)[2, 3];
    chown $uid, $gid, "$dir/data", "$dir/run" or die "chown: $!";
  }
  $self->with_tls if $self->{authority};
  $self->run($self->as_user($USER, $self->tool('initdb'), '-D', "$dir/data", '-U', $USER, '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'));
  return;
}

sub with_tls {
  my ($self) = @_;
  my $dir = $self->dir;
  my ($certificate, $key) = $self->{authority}->issue('/CN=localhost', 'DNS:localhost');
  for my $case ([$certificate, 'cert.pem'], [$key, 'key.pem']) {
    my ($from, $name) = @$case;
    $self->run('/bin/cp', $from, "$dir/$name");
    chmod 0600, "$dir/$name" or die "$name: $!";
    if ($> == 0) { chown((getpwnam $USER)[2, 3], "$dir/$name") or die "$name: $!" }
  }
  my $hba = $self->write_file('hba.conf', "local all all trust\nhostssl all tls_gate 127.0.0.1/32 scram-sha-256\n"
    . "host all tls_gate 127.0.0.1/32 reject\nhost all all 127.0.0.1/32 trust\n");
  chmod 0644, $hba or die "$hba: $!";
  $self->{tls} = ['-c', 'ssl=on', '-c', "ssl_cert_file=$dir/cert.pem", '-c', "ssl_key_file=$dir/key.pem", '-c', "hba_file=$hba"];
  return;
}

# Ends it in the middle of everything, and starts it again.
sub halt {
  my ($self) = @_;
  $self->run($self->as_user($USER, $self->tool('pg_ctl'), '-D', $self->dir . '/data', qw(stop -w -m immediate)));

  # The keeper ends with the server. Told to end before, it would remove the directory.
  waitpid $self->{keeper}, 0;
  $self->stop;
  return;
}

sub resume {
  my ($self) = @_;
  $self->launch;
  $self->await;
  return;
}

# It listens before it lets anybody in, after a crash for some time.
sub await {
  my ($self) = @_;
  $self->SUPER::await;
  my @asks = ($self->tool('pg_isready'), '-q', '-h', '127.0.0.1', '-p', $self->{port});
  for (1 .. 600) {
    return if system(@asks) == 0;
    sleep 0.05;
  }
  die "PostgreSQL lets nobody in\n" . $self->log_text;
}

# The programs of the newest version; Debian keeps them outside PATH.
sub tool {
  my ($self, $name) = @_;
  my ($path) = sort { version_of($b) <=> version_of($a) } glob "/usr/lib/postgresql/*/bin/$name";
  return $path || $self->program($name);
}

sub version_of { return (split m{/}, dirname $_[0])[-2] }

sub command {
  my ($self) = @_;
  my $dir = $self->dir;
  return $self->as_user($USER, $self->tool('postgres'), '-D', "$dir/data", '-k', "$dir/run", '-h', '127.0.0.1', '-p', $self->{port}, '-F', @{ $self->{tls} || [] });
}

sub addresses { my ($self) = @_; return ("127.0.0.1:$self->{port}") }

sub client {
  my ($self) = @_;
  return ($self->program('psql'), '-X', '-q', '-t', '-A', '-v', 'ON_ERROR_STOP=1', '-h', '127.0.0.1', '-p', $self->{port}, '-U', $USER,
    $self->{database} || 'postgres');
}

# The options of the sql plugin for it.
sub options {
  my ($self) = @_;
  return (sql_engine => 'pgsql', sql_hostnames => "127.0.0.1:$self->{port}", sql_user => $USER, sql_passwd => 'x',
    sql_database => $Server::Database::NAME);
}

# Takes effect with the next connection.
sub set_mode {
  my ($self, $mode) = @_;
  $self->sql("ALTER DATABASE $Server::Database::NAME SET standard_conforming_strings = $mode");
  return;
}

1;
