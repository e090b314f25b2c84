package Bench::Gateway;
# sasl-gate, haproxy and socat in front of one beanstalkd, and that beanstalkd without any of them. Several processes work at
# the same time, so wall-clock time is measured, not processor time.
use strict;
use warnings;
use Bench::GateLoad;
use Server::Beanstalkd;
use Server::Haproxy;
use Server::SaslGate;
use Server::Socat;

my @LOGIN = ('user=fred', 'password=pencil');

sub new {
  my ($class) = @_;
  my $beanstalkd = Server::Beanstalkd->start;
  my $backend = "127.0.0.1:$beanstalkd->{port}";
  bless {
    backend => $backend, direct => $beanstalkd, gate => Server::SaslGate->start(backend => $backend),
    haproxy => Server::Haproxy->start(backend => $backend), socat => Server::Socat->start(backend => $backend) }, $class;
}

# Seconds per job: put, reserved and deleted, so many commands at once, on two connections.
sub job {
  my ($self, $way, $depth, $count) = @_;
  my $f = $self->load('jobs', $self->{$way}, "count=$count", 'size=4096', 'threads=2', "depth=$depth");
  return $f->{error} ? $f : { cost => $f->{seconds} / $count };
}

# Seconds per login with its own connection, including the client's part.
sub login {
  my ($self, $count) = @_;
  my $f = $self->load('logins', $self->{gate}, "count=$count", 'threads=4');
  return $f->{error} ? $f : { cost => $f->{seconds} / $count };
}

# Bytes per authenticated idle connection. Uses a separate gateway: another one would reuse freed memory.
sub idle {
  my ($self, $count) = @_;
  my $gate = Server::SaslGate->start(backend => $self->{backend});
  my $f = $self->load('idle', $gate, "count=$count", 'pid=' . $gate->pid);
  return $f->{error} ? $f : { cost => $f->{bytes_each} };
}

# The figures of the load program.
sub load {
  my ($self, $what, $server, @more) = @_;
  my @login = $server->isa('Server::SaslGate') ? @LOGIN : ();
  return Bench::GateLoad::figures($what, "address=127.0.0.1:$server->{port}", @login, @more);
}

1;
