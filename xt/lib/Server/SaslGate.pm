package Server::SaslGate;

# Our own gateway, built from gateway/ of this working copy.

use strict;
use warnings;
use Crate ();
use Time::HiRes qw(sleep);
use parent 'Server::Daemon';

sub built { return Crate::built('gateway', '--bins', '--examples') }
sub binary { return built() . '/sasl-gate' }
sub load { return built() . '/examples/gate-load' }

sub prepare {
  my ($self) = @_;
  $self->{port} = $self->free_port;
  $self->{metrics} = $self->free_port;
  $self->write_users($self->{users} || { fred => ['pencil'] });
  my $listen = "'127.0.0.1:$self->{port}', 'unix:" . $self->dir . "/socket'";
  my $tls = '';
  if ($self->{tls}) {
    $self->{tls_port} = $self->free_port;
    $self->run(qw(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost
      -addext subjectAltName=DNS:localhost), '-keyout', $self->dir . '/key.pem', '-out', $self->dir . '/cert.pem');
    $listen .= ", 'tls:127.0.0.1:$self->{tls_port}'";
    $tls = "[tls]\ncertificate = '" . $self->dir . "/cert.pem'\nkey = '" . $self->dir . "/key.pem'\n";
  }
  $self->{head} = "listen = [$listen]\nusers = '" . $self->dir . "/users'\nmetrics = '" . ($self->{by_name} ? 'localhost' : '127.0.0.1') . ":$self->{metrics}'\n";
  $self->{tail} = $tls;
  $self->configure;
  return;
}

# Writes the configuration again, with the test's settings: TOML lines before any table, for [limits] and for [tls], and tables.
sub configure {
  my ($self, %change) = @_;
  @$self{ keys %change } = values %change;
  my $limits = $self->{limits} || '';
  return $self->write_file('gate.toml', $self->{head} . "backend = '$self->{backend}'\n" . ($self->{lines} || '')
      . "[limits]\n$limits\n$self->{tail}" . ($self->{tls_lines} || '') . ($self->{tables} || ''));
}

# Users with their passwords, and the mechanisms of their verifiers.
sub write_users {
  my ($self, $users) = @_;
  my $lines = '';
  for my $name (sort keys %$users) {
    my ($password, @mechanism) = @{ $users->{$name} };
    $lines .= $self->passwd($name, $password, $_) for @mechanism ? @mechanism : 'SCRAM-SHA-256';
  }
  $self->write_secret('users', $lines);
  return;
}

# Writes a file that other users cannot read.
sub write_secret {
  my ($self, $name, $text) = @_;
  my $path = $self->write_file($name, $text);
  chmod 0600, $path or die "$path: $!";
  return $path;
}

# The line that the program itself makes for a password.
sub passwd {
  my ($self, $name, $password, $mechanism) = @_;
  $self->write_file('password', "$password\n");
  my $path = $self->dir . '/password';
  my $line = $self->run('/bin/sh', '-c', 'exec "$0" passwd --mechanism "$2" "$1" < "$3"', $self->binary, $name,
    $mechanism, $path);
  unlink $path;
  return $line;
}

sub command {
  my ($self) = @_;
  my @command = ($self->binary, '--config', $self->dir . '/gate.toml');

  # A shell command that runs before, in which $0 is the directory.
  return $self->{shell} ? ('/bin/sh', '-c', "$self->{shell}; exec \"\$@\"", $self->dir, @command) : @command;
}

sub addresses {
  my ($self) = @_;
  return "127.0.0.1:$self->{metrics}";
}

# The gateway's own process, a child of the keeper.
sub pid {
  my ($self) = @_;
  open my $file, '<', "/proc/$self->{keeper}/task/$self->{keeper}/children" or die "no keeper: $!";
  my ($pid) = split / /, <$file> // '';
  return $pid;
}

sub signal {
  my ($self, $name) = @_;
  kill $name, $self->pid or die "kill: $!";
  return;
}

# A value from the metrics endpoint.
sub metric {
  my ($self, $name) = @_;
  my $socket = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$self->{metrics}", Timeout => 5) or die "metrics: $@";
  print {$socket} "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
  local $/;
  my ($value) = <$socket> =~ /^sasl_gate_\Q$name\E (-?\d+)$/m;
  die "no metric is named $name\n" unless defined $value;
  return $value;
}

# Waits until a metric has the expected value.
sub metric_becomes {
  my ($self, $name, $value) = @_;
  for my $try (1 .. 100) {
    return 1 if $self->metric($name) == $value;
    sleep 0.05;
  }
  return;
}

1;
