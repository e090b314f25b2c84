package Bench::Worker;
# The driver's handle of one worker process: a line of JSON in each direction. A crash or hang of a worker is also returned as
# an answer: { error => why }.
use strict;
use warnings;
use IPC::Open2;
use JSON::PP;

my $JSON = JSON::PP->new->canonical;

sub spawn {
  my ($class, $script, $job) = @_;
  my $pid = open2(my $out, my $in, $^X, $script);
  $in->autoflush(1);
  print $in $JSON->encode($job), "\n";
  bless { pid => $pid, in => $in, out => $out, backend => $job->{backend} }, $class;
}

sub backend { $_[0]{backend} }
sub gone    { $_[0]{gone} }

sub ask {
  my ($self, $command, $limit) = @_;
  print { $self->{in} } "$command\n";
  $self->hear($limit);
}

sub hear {
  my ($self, $limit) = @_;
  my $line;
  my $in_time = eval {
    local $SIG{ALRM} = sub { die "timeout\n" };
    alarm($limit || 120);
    $line = readline $self->{out};
    alarm 0;
    1;
  };
  alarm 0;
  return $JSON->decode($line) if $in_time && defined $line;
  kill 'KILL', $self->{pid} unless $in_time;
  waitpid $self->{pid}, 0;
  $self->{gone} = 1;
  return { error => 'no answer in time' } unless $in_time;
  my $signal = $? & 127;
  return { error => $signal ? "crashed (signal $signal)" : 'ended early' };
}

sub done {
  my $self = shift;
  return if $self->{gone}++;
  close $self->{in};
  my $ended = eval {
    local $SIG{ALRM} = sub { die "timeout\n" };
    alarm 20;
    waitpid $self->{pid}, 0;
    alarm 0;
    1;
  };
  alarm 0;
  return if $ended;
  kill 'KILL', $self->{pid};
  waitpid $self->{pid}, 0;
}

1;
