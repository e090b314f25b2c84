#!/usr/bin/perl
# The handshakes of one side of one backend, counted for `dev/bench --instructions --peers`. In a process of its own, as in
# worker.pl. bench/count runs it, with bench/lib in @INC. Usage: counted-peer.pl BACKEND MECHANISM SIDE
use strict;
use warnings;
use File::Temp qw(tempdir);
use POSIX ();
use Bench::Adapter;
use Bench::Handshakes;
use Bench::Stage;

use constant TIMES => 20;

$| = 1;
my ($backend, $mech, $side) = @ARGV;
my %job = (mech => $mech, side => $side, iters => 4096);
my $dir = tempdir(CLEANUP => 1);
my $adapter = Bench::Adapter->for_backend($backend);
$adapter->prepare($dir, \%job);
$adapter->load;
my $stage = Bench::Stage->new;
my $handshakes = Bench::Handshakes->new(%job, adapter => $adapter, measure => $stage);
my $spare = $handshakes->parent;
$adapter->pin($spare, $handshakes->connection($spare));
$handshakes->batch(TIMES);
$stage->count("$mech $side", TIMES);
my $good = $handshakes->batch(TIMES);
print STDERR "$good of ", TIMES, " handshakes succeeded: ", $handshakes->why, "\n" if $good != TIMES;
File::Temp::cleanup();
# Not through global destruction: the order in which it frees connections is not ours.
POSIX::_exit($good != TIMES);
