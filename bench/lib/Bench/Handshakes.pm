package Bench::Handshakes;
# Handshakes of one side of a backend against hand-made peers, many of them interleaved. Only the backend's calls are measured, from
# Authen::SASL->new to the freeing of all objects: `start` and `stop` of the object `measure` are called around each stage.
use strict;
use warnings;
use Bench::Adapter;
use Bench::Peer;

# Takes adapter, mech, side and measure; also iters, qop, and `again`: all connections share one Authen::SASL object, as in an
# application that logs in to the same server again.
sub new {
  my ($class, %o) = @_;
  my ($adapter, $mech) = @o{qw(adapter mech)};
  my $server = $o{side} eq 'server';
  my $role = $server ? 'client' : 'server';
  my $self = bless {
    %o,
    callbacks => $server ? $adapter->server_callbacks($mech, \%o) : $adapter->client_callbacks($mech, \%o),
    options => [$server ? $adapter->server_options($mech) : ()],
    calls => [map { $adapter->can($_) } $server ? qw(server_start server_step) : qw(client_start client_step)],
    hand => Bench::Peer->$role(mech => $mech, user => $Bench::Adapter::USER, pass => $Bench::Adapter::PASS,
      host => $Bench::Adapter::HOST, service => 'bench', iters => $o{iters}, qop => $o{qop}),
  }, $class;
  $self->{kept} = $self->parent if $o{again};
  return $self;
}

# An application makes an Authen::SASL object for each connection.
sub parent { Authen::SASL->new(mechanism => $_[0]{mech}, callback => $_[0]{callbacks}) }

# The one of all connections, if they share one.
sub kept { $_[0]{kept} }

sub connection {
  my ($self, $parent) = @_;
  return $parent->server_new('bench', $Bench::Adapter::HOST, @{ $self->{options} }) if $self->{side} eq 'server';
  return $parent->client_new('bench', $Bench::Adapter::HOST);
}

# The backend's two steps: functions of (connection, message).
sub calls { @{ $_[0]{calls} } }

# One hand-made peer serves all connections and keeps a short string for each: 10,000 peers would displace the connections
# from the caches, which would change the measurement.
sub cast {
  my ($self, $n) = @_;
  $self->{parts} = [('') x $n];
}

sub hand { $_[0]{hand} }

sub peer {
  my ($self, $i, $method, $in) = @_;
  my $hand = $self->{hand};
  $hand->resume($self->{parts}[$i]);
  my $out = $hand->$method($in);
  $self->{parts}[$i] = $hand->pause;
  return $out;
}

# Makes n handshakes; returns how many succeeded on both sides.
sub batch {
  my ($self, $n) = @_;
  return $self->{side} eq 'client' ? $self->client_batch($n) : $self->server_batch($n);
}

sub client_batch {
  my ($self, $n) = @_;
  my (@p, @c, @m);
  my ($start, $step) = $self->calls;
  my ($mech, $callbacks, $kept, $measure) = @$self{qw(mech callbacks kept measure)};
  $self->cast($n);
  $measure->start;
  for my $i (0 .. $n - 1) {
    $p[$i] = $kept || Authen::SASL->new(mechanism => $mech, callback => $callbacks);
    $c[$i] = $p[$i]->client_new('bench', $Bench::Adapter::HOST);
    $m[$i] = $start->($c[$i]);
  }
  $measure->stop;
  for my $round (0 .. 4) {
    for my $i (0 .. $n - 1) { $m[$i] = $self->peer($i, $round ? 'step' : 'start', $m[$i]) }
    last if $self->{hand}->done && !defined $m[0];
    $measure->start;
    for my $i (0 .. $n - 1) { $m[$i] = $step->($c[$i], $m[$i]) }
    $measure->stop;
    last if $self->{hand}->done;
  }
  my $ok = grep { $self->peer($_, 'ok') && $self->{adapter}->client_ok($c[$_]) } 0 .. $n - 1;
  $measure->start;
  @c = @p = ();
  $measure->stop;
  return $ok;
}

sub server_batch {
  my ($self, $n) = @_;
  my (@p, @c);
  my ($start, $step) = $self->calls;
  my ($adapter, $mech, $callbacks, $options, $measure) = @$self{qw(adapter mech callbacks options measure)};
  $self->cast($n);
  my @m = map { $self->peer($_, 'start') } 0 .. $n - 1;
  $measure->start;
  for my $i (0 .. $n - 1) {
    $p[$i] = Authen::SASL->new(mechanism => $mech, callback => $callbacks);
    $c[$i] = $p[$i]->server_new('bench', $Bench::Adapter::HOST, @$options);
    $m[$i] = $start->($c[$i], $m[$i]);
  }
  $measure->stop;
  for my $round (1 .. 5) {
    last if $adapter->server_done($c[0]) && !(defined $m[0] && length $m[0]);
    for my $i (0 .. $n - 1) { $m[$i] = $self->peer($i, 'step', $m[$i]) }
    last if $adapter->server_done($c[0]);
    $measure->start;
    for my $i (0 .. $n - 1) { $m[$i] = $step->($c[$i], $m[$i]) }
    $measure->stop;
  }
  my $ok = grep { $adapter->server_ok($c[$_]) && ($mech !~ /^(?:SCRAM|DIGEST)/ || $self->peer($_, 'ok')) } 0 .. $n - 1;
  $measure->start;
  @c = @p = ();
  $measure->stop;
  return $ok;
}

# A connection whose Authen::SASL object is kept.
sub lasting {
  my ($self) = @_;
  $self->{lasting} = $self->parent;
  return $self->connection($self->{lasting});
}

# A client that has logged in to the hand-made server. Dies with the backend's error if it cannot.
sub client_with_layer {
  my ($self) = @_;
  my ($start, $step) = $self->calls;
  my $c = $self->lasting;
  $self->cast(1);
  my $m = $self->peer(0, 'start', $start->($c));
  $m = $self->peer(0, 'step', $step->($c, $m));
  $step->($c, $m) if defined $m;
  return $c if $self->peer(0, 'ok') && $self->{adapter}->client_ok($c);
  die 'the handshake failed: ' . $self->{adapter}->error($c) . "\n";
}

# The backend's error in a handshake that fails
sub why {
  my ($self) = @_;
  my ($start, $step) = $self->calls;
  my $e = eval {
    my $parent = $self->parent;
    my $c = $self->connection($parent);
    $self->cast(1);
    my $server = $self->{side} eq 'server';
    my $m = $server ? $start->($c, $self->peer(0, 'start')) : $self->peer(0, 'start', $start->($c));
    $m = $self->peer(0, 'step', $m) if $server && defined $m && length $m;
    $step->($c, $m) if defined $m;
    $self->{adapter}->error($c);
  };
  return $@ || $e;
}

1;
