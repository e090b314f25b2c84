package Server::SaslGate;

# Our own gateway, built from gateway/ of this working copy. With `tls` it listens with TLS too: a true value, or the paths of a
# certificate and its key. With `control` it has a control socket. With `cyrus` it is built with the feature of that name. With
# `elsewhere` there is no users' file: the test configures other accounts.

use strict;
use warnings;
use Crate ();
use JSON::PP ();
use Time::HiRes qw(sleep);
use parent 'Server::Daemon';

sub built { return Crate::built('gateway', qw(--package sasl-gate --package gate-load --bins)) }

sub binary {
  my ($self) = @_;
  my $with_cyrus = ref $self && $self->{cyrus};
  return ($with_cyrus ? Crate::built_for_tests('gateway', '--bin', 'sasl-gate', '--features', 'cyrus') : built()) . '/sasl-gate';
}
sub load { return built() . '/gate-load' }

sub prepare {
  my ($self) = @_;
  $self->{port} = $self->free_port;
  $self->{metrics} = $self->free_port;
  $self->write_users($self->{users} || { fred => ['pencil'] });
  my $listen = "'127.0.0.1:$self->{port}', 'unix:" . $self->dir . "/socket'";
  my $tls = '';
  if ($self->{tls}) {
    $self->{tls_port} = $self->free_port;
    my ($certificate, $key) = ref $self->{tls} ? @{ $self->{tls} } : $self->self_signed;
    $listen .= ", 'tls:127.0.0.1:$self->{tls_port}'";
    $tls = "[tls]\ncertificate = '$certificate'\nkey = '$key'\n";
  }
  $self->{head} = "listen = [$listen]\n" . ($self->{elsewhere} ? '' : "users = '" . $self->dir . "/users'\n") . "metrics = '" . ($self->{by_name} ? 'localhost' : '127.0.0.1') . ":$self->{metrics}'\n";
  $self->{head} .= "control = '" . $self->control . "'\n" if $self->{control};
  $self->{tail} = $tls;
  $self->configure;
  return;
}

# A certificate for localhost that is its own CA, and its key.
sub self_signed {
  my ($self) = @_;
  my @path = map { $self->dir . "/$_.pem" } qw(cert key);
  $self->run(qw(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost
    -addext subjectAltName=DNS:localhost), '-keyout', $path[1], '-out', $path[0]);
  return @path;
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

  # A shell that stays when the gateway replaces itself, and ends all of them.
  return ('/bin/sh', '-c', q{trap 'trap - TERM; kill 0' TERM; "$@" & while :; do sleep 0.1; done}, 'sh', @command)
    if $self->{supervised};

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

# The processes of a gateway that is started with `supervised`, the oldest first.
sub processes {
  my ($self) = @_;
  my ($group, $name, %begin) = ($self->pid, 'sasl-gate');
  for my $stat (glob '/proc/[0-9]*/stat') {
    open my $file, '<', $stat or next;
    my ($pid, $comm, $rest) = (<$file> // '') =~ /\A(\d+) \((.*)\) (.*)/ or next;
    my @field = split / /, $rest;
    $begin{$pid} = $field[19] if $comm eq $name && $field[0] ne 'Z' && $field[2] == $group;
  }
  my @process = sort { $begin{$a} <=> $begin{$b} || $a <=> $b } keys %begin;
  return @process;
}

sub signal {
  my ($self, $name) = @_;
  kill $name, $self->pid or die "kill: $!";
  return;
}

# The folder of the control sockets.
sub control { return $_[0]->dir . '/control' }

# Runs a command for operators; returns its exit status and its output.
sub operator {
  my ($self, $command, @words) = @_;
  my $output = eval { $self->run($self->binary, $command, '--control', $self->control, @words) };
  return (1, $@ =~ s/\A.*? failed: //sr) unless defined $output;
  return (0, $output);
}

# The sessions that the gateway lists, by user.
sub sessions_of {
  my ($self) = @_;
  my ($status, $output) = $self->operator('sessions', '--json');
  die $output if $status;
  my %of;
  for my $session (map { JSON::PP::decode_json($_) } split /\n/, $output) { push @{ $of{ $session->{user} } }, $session }
  return \%of;
}

# What the metrics endpoint answers.
sub http {
  my ($self, $path) = @_;
  my $socket = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$self->{metrics}", Timeout => 5) or die "metrics: $@";
  print {$socket} "GET $path HTTP/1.1\r\nHost: localhost\r\n\r\n";
  local $/;
  return scalar <$socket>;
}

# A value from the metrics endpoint: the sum over its labels, or that with the labels in the name.
sub metric {
  my ($self, $name) = @_;
  my $text = $self->http('/metrics');
  my ($family) = split /\{/, $name;
  die "no metric is named $name\n" unless $text =~ /^# TYPE sasl_gate_\Q$family\E /m;
  my $sum = 0;
  $sum += $_ for $text =~ /^sasl_gate_\Q$name\E(?:\{.*\})? (-?\d+)$/mg;
  return $sum;
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
