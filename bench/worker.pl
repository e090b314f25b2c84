#!/usr/bin/perl
# Runs one backend and one job in a separate process, so that a crash, a leak or a global variable does not affect another.
# Reads the job as a line of JSON and answers with one, then with one answer per command line; ends with its standard input.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use File::Temp qw(tempdir);
use POSIX ();
use Time::HiRes qw(clock_gettime CLOCK_PROCESS_CPUTIME_ID CLOCK_MONOTONIC);
use Bench::Adapter;
use Bench::Handshakes;
use Bench::Table ();

# Output of a backend goes to the log, not into the answers.
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
my ($A, $H);

# The CPU time between start and stop, summed over all stages.
package Clock {
  # Each stage contains the cost of reading the clock once.
  sub new {
    my ($class) = @_;
    my $self = bless { sum => 0, tick => 0 }, $class;
    $self->{tick} = Bench::Table::median(map { $self->start; $self->stop; $self->taken } 1 .. 501);
    return $self;
  }
  sub start { $_[0]{since} = main::cpu(); return }
  sub stop { $_[0]{sum} += main::cpu() - $_[0]{since} - $_[0]{tick}; return }
  sub taken { my $sum = $_[0]{sum}; $_[0]{sum} = 0; return $sum }
}
my $CLOCK = Clock->new;

my %todo = (handshakes => \&handshakes, verifier => \&verifier, memory => \&memory, encode => \&encode, decode => \&decode, version => sub { answer({ version => $A->versions }) });
eval {
  $A = Bench::Adapter->for_backend($job->{backend});
  unshift @INC, $A->libs;
  $A->prepare($dir, $job);
  $A->load;
  $H = Bench::Handshakes->new(%$job, adapter => $A, mech => $MECH, side => $SIDE, measure => $CLOCK);
  $todo{$job->{type}}->();
  1;
} or answer({ error => clean($@) });
# Exit without global destruction, which frees connections in an undefined order.
File::Temp::cleanup();
POSIX::_exit(0);

sub clean {
  my $e = "$_[0]";
  s/ at \S+ line \d+\.?//g, s/, <STDIN> line \d+\.?//g, s/\s*\(\@INC contains:.*//s, s/\s+/ /g, s/ $// for $e;
  substr $e, 0, 200;
}

# ---- handshakes ------------------------------------------------------------
# Command "SECONDS [N]": rounds of at least so much CPU time, N connections in step.
sub handshakes {
  my $spare = $H->parent;
  $A->pin($spare, $H->connection($spare));
  return answer({ error => "the first handshake failed: " . clean($H->why) }) unless $H->batch(1);
  $CLOCK->taken;
  $H->batch(2);
  my $usual = int(0.001 / ($CLOCK->taken / 2 + 1e-9));
  $usual = $usual < 1 ? 1 : $usual > 64 ? 64 : $usual;
  $H->batch($usual) for 1 .. 3;
  answer({ ready => 1 });
  while (defined(my $command = <STDIN>)) {
    my ($secs, $n) = split ' ', $command;
    my ($good, $count, $cpu, $start) = (0, 0, 0, wall());
    $CLOCK->taken;
    do {
      $good += $H->batch($n || $usual);
      $count += $n || $usual;
      $cpu += $CLOCK->taken;
    } until $cpu >= $secs or wall() - $start > 4 * $secs + 0.1;
    answer({ cost => $cpu / $count, bad => $count - $good });
  }
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
# Command "SECONDS": returns the seconds per encoded byte, in messages of the job's size.
sub encode {
  my $text = join '', map { chr(33 + $_ % 90) } 1 .. $job->{size};
  my $c = $H->client_with_layer;
  my $frame = $A->frame($c->encode($text));
  return answer({ error => 'the first frame is wrong' }) unless $H->hand->first_frame_ok($text, $frame);
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

# Command "SECONDS": returns the seconds per decoded byte of plaintext. Our server makes the frames, because the client
# checks their MACs; making them is not timed.
sub decode {
  push @INC, $ENV{BENCH_INSTALLED};
  require Authen::SASL::Rust;
  my $parent = Authen::SASL->new(mechanism => $MECH, callback => { getsecret => sub { $Bench::Adapter::PASS } });
  my $server = Authen::SASL::Rust->server_new($parent, 'bench', $Bench::Adapter::HOST, { minssf => 1, maxssf => 1, maxbuf => 131_072 });
  my $c = $H->lasting;
  $c->property(maxbuf => 131_072) if $job->{size} > 60_000;
  my $call = $A->can('decode');
  my ($start, $step) = $H->calls;
  $start->($c);
  my $m = $server->server_step($step->($c, $server->server_start('')));
  return answer({ error => 'the handshake failed: ' . ($server->error || '') }) unless $server->is_success;
  $step->($c, $m);
  return answer({ error => 'the handshake failed: ' . clean($A->error($c)) }) unless $A->client_ok($c);
  my $text = join '', map { chr(33 + $_ % 90) } 1 .. $job->{size};
  my $often = 1 + int(200_000 / length $text);
  answer({ ready => 1 });
  while (defined(my $command = <STDIN>)) {
    my ($n, $t) = (0, 0);
    $CLOCK->taken;
    do {
      my @frames = map { $A->arriving($server->encode($text)) } 1 .. $often;
      my $out;
      $CLOCK->start;
      $out = $call->($c, $_) for @frames;
      $CLOCK->stop;
      $t += $CLOCK->taken;
      return answer({ error => 'a frame was not decoded' }) unless defined $out && $out eq $text;
      $n += $often;
    } until $t >= $command;
    answer({ cost => $t / ($n * length $text) });
  }
}

# ---- memory ------------------------------------------------------------------
sub rss {
  # exact, if the kernel has it; statm may lag behind by some pages
  if (open my $f, '<', '/proc/self/smaps_rollup') { while (<$f>) { return 1024 * $1 if /^Rss:\s+(\d+)/ } }
  open my $f, '<', '/proc/self/statm' or die "no /proc: $!\n";
  (split ' ', <$f>)[1] * POSIX::sysconf(POSIX::_SC_PAGESIZE());
}

# Command "N": returns the bytes per connection for N live connections in the middle of their handshake, each with an Authen::SASL
# object unless all share one.
sub memory {
  $H->cast(1);
  my ($begin) = $H->calls;
  my $make = sub {
    my $parent = $H->kept || $H->parent;
    my $c = $H->connection($parent);
    $begin->($c, $SIDE eq 'server' ? $H->peer(0, 'start') : ());
    ($parent, $c);
  };
  my @keep = map { $make->() } 1 .. 50;
  answer({ ready => 1 });
  while (defined(my $n = <STDIN>)) {
    # the lists that hold them belong to the application: they exist before
    my (@parents, @connections);
    $parents[$_] = $connections[$_] = undef for 0 .. $n;
    my $before = rss();
    for (0 .. $n - 1) {
      ($parents[$_], $connections[$_]) = $make->();
    }
    answer({ cost => (rss() - $before) / $n });
    last;    # freed memory is reused: a second count would show less
  }
}
