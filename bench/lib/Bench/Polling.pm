package Bench::Polling;
# Two gateways: one polls for messages before it sleeps, as by default, the other never does.
use strict;
use warnings;
use Bench::GateLoad;
use Server::Beanstalkd;
use Server::SaslGate;

sub new {
  my ($class) = @_;
  my $beanstalkd = Server::Beanstalkd->start;
  my @common = (backend => "127.0.0.1:$beanstalkd->{port}", limits => "exempt = ['127.0.0.1']\n");
  return bless {
    beanstalkd => $beanstalkd,
    on => Server::SaslGate->start(@common, lines => "busy_poll = true\n"),
    off => Server::SaslGate->start(@common, lines => "busy_poll = false\n"),
  }, $class;
}

sub figures {
  my ($self, $way, $what, @words) = @_;
  my $gate = $self->{$way};
  return Bench::GateLoad::figures($what, "address=127.0.0.1:$gate->{port}", 'user=fred', 'password=pencil', 'pid=' . $gate->pid, @words);
}

# Seconds of the gateway's processor time per request, at so many requests a second.
sub paced {
  my ($self, $way, $rate, $connections, $seconds) = @_;
  my $f = $self->figures($way, 'paced', "rate=$rate", "connections=$connections", "seconds=$seconds");
  return $f->{error} ? $f : { cost => $f->{processor_microseconds_each} / 1e6 };
}

# Seconds per job of 4 KiB, by the clock or of the gateway's processor time, with so many commands at once on two connections.
sub job {
  my ($self, $way, $measure, $depth, $count) = @_;
  my $f = $self->figures($way, 'jobs', "count=$count", 'size=4096', 'threads=2', "depth=$depth");
  return $f if $f->{error};
  return { cost => $measure eq 'clock' ? $f->{seconds} / $count : $f->{processor_microseconds_each} / 1e6 };
}

1;
