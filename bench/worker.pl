#!/usr/bin/perl
# One backend, one job, in a process of its own, so that a crash, a leak or a global of one
# cannot touch another. Reads the job as a line of JSON and answers with one, then
# one answer for each command line; ends with its standard input.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use File::Temp qw(tempdir);
use POSIX ();
use Time::HiRes qw(clock_gettime CLOCK_PROCESS_CPUTIME_ID CLOCK_MONOTONIC);
use Bench::Adapter;
use Bench::Peer;
use Bench::Table qw(median);

# What a backend prints belongs to the log, not into the answers.
open my $OUT, '>&', \*STDOUT or die;
open STDOUT, '>&', \*STDERR or die;
$OUT->autoflush(1);
my $JSON = JSON::PP->new->canonical;
sub answer { print $OUT $JSON->encode($_[0]), "\n" }
sub cpu    { clock_gettime(CLOCK_PROCESS_CPUTIME_ID) }
sub wall   { clock_gettime(CLOCK_MONOTONIC) }

my $line = <STDIN>;
exit unless defined $line;
my $job = $JSON->decode($line);
open STDERR, '>', '/dev/null' or die unless $job->{verbose};
my ($MECH, $SIDE) = ($job->{mech} || 'PLAIN', $job->{side} || 'client');
$job->{iters} ||= 4096;
$Bench::Peer::SALTS = 1 if $job->{again};    # the same server, the same user, the same salt
my $dir = tempdir(CLEANUP => 1);
my ($A, $CALLBACKS, $KEPT, @OPTIONS, %CALL);

# What reading the clock costs falls inside each stage that it measures.
my $TICK = median(map { my $t = cpu(); cpu() - $t } 1 .. 501);

my %todo = (handshakes => \&handshakes, verifier => \&verifier, memory => \&memory, encode => \&encode, decode => \&decode, version => sub { answer({ version => $A->versions }) });
eval {
  $A = Bench::Adapter->for_backend($job->{backend});
  unshift @INC, $A->libs;
  $A->prepare($dir, $job);
  $A->load;
  $CALLBACKS = $SIDE eq 'server' ? $A->server_callbacks($MECH, $job) : $A->client_callbacks($MECH, $job);
  @OPTIONS = $SIDE eq 'server' ? $A->server_options($MECH) : ();
  %CALL = map { $_ => $A->can($_) } qw(client_start client_step server_start server_step);
  $KEPT = new_parent() if $job->{again};
  $todo{$job->{type}}->();
  1;
} or answer({ error => clean($@) });
# Not through global destruction: the order in which it frees connections is not ours.
File::Temp::cleanup();
POSIX::_exit(0);

sub clean {
  my $e = "$_[0]";
  s/ at \S+ line \d+\.?//g, s/, <STDIN> line \d+\.?//g, s/\s*\(\@INC contains:.*//s, s/\s+/ /g, s/ $// for $e;
  substr $e, 0, 200;
}

# An application makes an Authen::SASL object for each connection; `again` keeps one, as an application does
# that logs in to the same server again.
sub new_parent { Authen::SASL->new(mechanism => $MECH, callback => $CALLBACKS) }
sub new_connection {
  my ($parent) = @_;
  return $parent->server_new('bench', $Bench::Adapter::HOST, @OPTIONS) if $SIDE eq 'server';
  return $parent->client_new('bench', $Bench::Adapter::HOST);
}

# One hand-made peer plays all parts, and keeps a short string for each: 10,000 peers would
# crowd the connections out of the caches, and be measured with them.
my ($HAND, @PARTS);
sub cast {
  my ($n) = @_;
  my $role = $SIDE eq 'client' ? 'server' : 'client';
  $HAND ||= Bench::Peer->$role(mech => $MECH, user => $Bench::Adapter::USER, pass => $Bench::Adapter::PASS,
    host => $Bench::Adapter::HOST, service => 'bench', iters => $job->{iters}, qop => $job->{qop});
  $PARTS[$_] = '' for 0 .. $n - 1;
}
sub peer {
  my ($i, $method, $in) = @_;
  $HAND->resume($PARTS[$i]);
  my $out = $HAND->$method($in);
  $PARTS[$i] = $HAND->pause;
  $out;
}

# ---- handshakes ------------------------------------------------------------
# n connections advance in step against hand-made peers, and only the backend's calls are
# inside the clock, from Authen::SASL->new to the freeing of it all. Returns how many
# were good on both sides, and the seconds.
sub client_batch {
  my ($n) = @_;
  my (@p, @c, @m);
  my ($start, $step) = @CALL{qw(client_start client_step)};
  cast($n);
  my $t0 = cpu();
  for my $i (0 .. $n - 1) {
    $p[$i] = $KEPT || Authen::SASL->new(mechanism => $MECH, callback => $CALLBACKS);
    $c[$i] = $p[$i]->client_new('bench', $Bench::Adapter::HOST);
    $m[$i] = $start->($c[$i]);
  }
  my $t = cpu() - $t0 - $TICK;
  for my $round (0 .. 4) {
    for my $i (0 .. $n - 1) { $m[$i] = peer($i, $round ? 'step' : 'start', $m[$i]) }
    last if $HAND->done && !defined $m[0];
    $t0 = cpu();
    for my $i (0 .. $n - 1) { $m[$i] = $step->($c[$i], $m[$i]) }
    $t += cpu() - $t0 - $TICK;
    last if $HAND->done;
  }
  my $ok = grep { peer($_, 'ok') && $A->client_ok($c[$_]) } 0 .. $n - 1;
  $t0 = cpu();
  @c = @p = ();
  return ($ok, $t + cpu() - $t0 - $TICK);
}

sub server_batch {
  my ($n) = @_;
  my (@p, @c);
  my ($start, $step) = @CALL{qw(server_start server_step)};
  cast($n);
  my @m = map { peer($_, 'start') } 0 .. $n - 1;
  my $t0 = cpu();
  for my $i (0 .. $n - 1) {
    $p[$i] = Authen::SASL->new(mechanism => $MECH, callback => $CALLBACKS);
    $c[$i] = $p[$i]->server_new('bench', $Bench::Adapter::HOST, @OPTIONS);
    $m[$i] = $start->($c[$i], $m[$i]);
  }
  my $t = cpu() - $t0 - $TICK;
  for my $round (1 .. 5) {
    last if $A->server_done($c[0]) && !(defined $m[0] && length $m[0]);
    for my $i (0 .. $n - 1) { $m[$i] = peer($i, 'step', $m[$i]) }
    last if $A->server_done($c[0]);
    $t0 = cpu();
    for my $i (0 .. $n - 1) { $m[$i] = $step->($c[$i], $m[$i]) }
    $t += cpu() - $t0 - $TICK;
  }
  my $ok = grep { $A->server_ok($c[$_]) && ($MECH !~ /^(?:SCRAM|DIGEST)/ || peer($_, 'ok')) } 0 .. $n - 1;
  $t0 = cpu();
  @c = @p = ();
  return ($ok, $t + cpu() - $t0 - $TICK);
}

# Answers "SECONDS [N]": rounds of at least so much CPU time, N connections in step.
sub handshakes {
  my $batch = $SIDE eq 'client' ? \&client_batch : \&server_batch;
  my $spare = new_parent();
  $A->pin($spare, new_connection($spare));
  my ($ok) = $batch->(1);
  return answer({ error => 'the first handshake failed' . why() }) unless $ok;
  my (undef, $t) = $batch->(2);
  my $usual = int(0.001 / ($t / 2 + 1e-9));
  $usual = $usual < 1 ? 1 : $usual > 64 ? 64 : $usual;
  $batch->($usual) for 1 .. 3;
  answer({ ready => 1 });
  while (defined(my $command = <STDIN>)) {
    my ($secs, $n) = split ' ', $command;
    my ($good, $count, $cpu, $start) = (0, 0, 0, wall());
    do {
      my ($ok, $t) = $batch->($n || $usual);
      $good += $ok;
      $count += $n || $usual;
      $cpu += $t;
    } until $cpu >= $secs or wall() - $start > 4 * $secs + 0.1;
    answer({ cost => $cpu / $count, bad => $count - $good });
  }
}

# The backend's own words on a handshake that failed
sub why {
  my $e = eval {
    my $parent = new_parent();
    my $c = new_connection($parent);
    cast(1);
    my $m = $SIDE eq 'client' ? peer(0, 'start', $CALL{client_start}->($c)) : $CALL{server_start}->($c, peer(0, 'start'));
    $m = peer(0, 'step', $m) if $SIDE eq 'server' && defined $m && length $m;
    $CALL{"${SIDE}_step"}->($c, $m) if defined $m;
    $A->error($c);
  };
  $e = $@ if $@;
  defined $e && length $e ? ': ' . clean($e) : '';
}

# ---- bare PBKDF2 of the backend ----------------------------------------------
sub verifier {
  my ($hash) = $MECH =~ /^SCRAM-(.*)/;
  my @arg = ($hash, $Bench::Adapter::PASS, $job->{iters});
  $A->verifier(@arg);
  answer({ ready => 1 });
  while (defined(my $command = <STDIN>)) {
    my ($secs) = split ' ', $command;
    my ($n, $t0) = (0, cpu());
    do { $A->verifier(@arg); ++$n } until cpu() - $t0 >= $secs;
    answer({ cost => (cpu() - $t0) / $n });
  }
}

# ---- a client's security layer ---------------------------------------------------
# Answers "SECONDS": the seconds for each byte that is encoded, in messages of the job's size.
sub encode {
  my ($parent, $text) = (new_parent(), join '', map { chr(33 + $_ % 90) } 1 .. $job->{size});
  my $c = new_connection($parent);
  cast(1);
  my $m = peer(0, 'start', $CALL{client_start}->($c));
  $m = peer(0, 'step', $CALL{client_step}->($c, $m));
  $CALL{client_step}->($c, $m) if defined $m;
  return answer({ error => 'the handshake failed: ' . clean($A->error($c)) }) unless peer(0, 'ok') && $A->client_ok($c);
  my $frame = $A->frame($c->encode($text));
  return answer({ error => 'the first frame is wrong' }) unless $HAND->first_frame_ok($text, $frame);
  my $often = 1 + int(200_000 / length $text);
  answer({ ready => 1 });
  while (defined(my $command = <STDIN>)) {
    my ($n, $t, $start) = (0, 0, cpu());
    do {
      for (1 .. $often) { my $out = $c->encode($text) }
      $n += $often;
      $t = cpu() - $start;
    } until $t >= $command;
    answer({ cost => $t / ($n * length $text) });
  }
}

# Answers "SECONDS": the seconds for each byte of plaintext that is decoded. The frames come from our server, which a
# client that checks their code of authentication would not take for another's; making them is outside the clock.
sub decode {
  push @INC, $ENV{BENCH_INSTALLED};
  require Authen::SASL::Rust;
  my $parent = Authen::SASL->new(mechanism => $MECH, callback => { getsecret => sub { $Bench::Adapter::PASS } });
  my $server = Authen::SASL::Rust->server_new($parent, 'bench', $Bench::Adapter::HOST, { minssf => 1, maxssf => 1, maxbuf => 131_072 });
  my $own = new_parent();
  my $c = new_connection($own);
  $c->property(maxbuf => 131_072) if $job->{size} > 60_000;
  my $call = $A->can('decode');
  $CALL{client_start}->($c);
  my $m = $server->server_step($CALL{client_step}->($c, $server->server_start('')));
  return answer({ error => 'the handshake failed: ' . ($server->error || '') }) unless $server->is_success;
  $CALL{client_step}->($c, $m);
  return answer({ error => 'the handshake failed: ' . clean($A->error($c)) }) unless $A->client_ok($c);
  my $text = join '', map { chr(33 + $_ % 90) } 1 .. $job->{size};
  my $often = 1 + int(200_000 / length $text);
  answer({ ready => 1 });
  while (defined(my $command = <STDIN>)) {
    my ($n, $t) = (0, 0);
    do {
      my @frames = map { $A->arriving($server->encode($text)) } 1 .. $often;
      my $out;
      my $start = cpu();
      $out = $call->($c, $_) for @frames;
      $t += cpu() - $start - $TICK;
      return answer({ error => 'a frame was not decoded' }) unless defined $out && $out eq $text;
      $n += $often;
    } until $t >= $command;
    answer({ cost => $t / ($n * length $text) });
  }
}

# ---- memory ------------------------------------------------------------------
sub rss {
  # exact, where the kernel has it; statm may lag behind by some pages
  if (open my $f, '<', '/proc/self/smaps_rollup') { while (<$f>) { return 1024 * $1 if /^Rss:\s+(\d+)/ } }
  open my $f, '<', '/proc/self/statm' or die "no /proc: $!\n";
  (split ' ', <$f>)[1] * POSIX::sysconf(POSIX::_SC_PAGESIZE());
}

# Answers "N": bytes for each of N live connections in the middle of their handshake
sub memory {
  cast(1);
  my $make = sub {
    my $parent = new_parent();
    my $c = new_connection($parent);
    if ($SIDE eq 'server') { $CALL{server_start}->($c, peer(0, 'start')) }
    else                   { $CALL{client_start}->($c) }
    ($parent, $c);
  };
  my @keep = map { $make->() } 1 .. 50;
  answer({ ready => 1 });
  while (defined(my $n = <STDIN>)) {
    # the lists that hold them are the application's: they are there before
    my (@parents, @connections);
    $parents[$_] = $connections[$_] = undef for 0 .. $n;
    my $before = rss();
    for (0 .. $n - 1) {
      ($parents[$_], $connections[$_]) = $make->();
    }
    answer({ cost => (rss() - $before) / $n });
    last;    # what was freed is used again: a second count would show less
  }
}
