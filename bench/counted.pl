#!/usr/bin/perl
# The operations in Perl whose instructions `dev/bench --instructions` counts. As in bench/instructions.rs, there is a call of
# getppid before and after each part, and a line on standard output that names it. bench/count runs it, with bench/lib in @INC.
use strict;
use warnings;
use Bench::Stage;

BEGIN {
  # Before the harness loads modules that ours needs too.
  Bench::Stage::mark();
  require Authen::SASL;
  Authen::SASL->import('Rust');
  require Authen::SASL::Rust;
  Bench::Stage::mark();
  print "load\tprocess\t1\n";
}

use Bench::Adapter;
use Bench::Handshakes;

use constant TIMES => 20;

$| = 1;

# A plugin that does nothing shows the cost of Authen::SASL itself.
package Nothing {
  $INC{'Nothing.pm'} = __FILE__;
  my $connection = bless {};
  sub client_new { return $connection }
}

# Some handshakes run uncounted first, because one-time initializations are not part of the case.
sub handshakes {
  my ($case, %o) = @_;
  my $stage = Bench::Stage->new;
  my $handshakes = Bench::Handshakes->new(%o, adapter => Bench::Adapter->for_backend('Rust'), iters => 4096, measure => $stage);
  my $good = $handshakes->batch(TIMES);
  $stage->count($case, TIMES);
  $good += $handshakes->batch(TIMES);
  die "$case: " . (2 * TIMES - $good) . ' handshakes failed: ' . $handshakes->why . "\n" if $good != 2 * TIMES;
  return;
}

{
  local @Authen::SASL::Plugins = ('Nothing');
  my %callback = (user => 'user', pass => 'secret-pass');
  my $make = sub { Authen::SASL->new(mechanism => 'PLAIN', callback => {%callback})->client_new('bench', 'localhost') };
  $make->() for 1 .. TIMES;
  Bench::Stage::mark();
  $make->() for 1 .. TIMES;
  Bench::Stage::mark();
  print "Authen::SASL alone, client\thandshake\t", TIMES, "\n";
}

# The server with verifiers comes first: in a process that has seen passwords it also does the work that passwords need.
$Bench::Peer::SALTS = 1;    # the same server, the same user, the same salt
handshakes('SCRAM-SHA-256 server, verifier', mech => 'SCRAM-SHA-256', side => 'server');
handshakes('SCRAM-SHA-256 client, remembered keys', mech => 'SCRAM-SHA-256', side => 'client', again => 1);
for my $mech (qw(PLAIN CRAM-MD5 DIGEST-MD5)) {
  handshakes("$mech $_", mech => $mech, side => $_) for qw(client server);
}

my $client = Bench::Handshakes->new(adapter => Bench::Adapter->for_backend('Rust'), mech => 'DIGEST-MD5', side => 'client',
  qop => 'auth-int')->client_with_layer;
for my $size (64, 4096) {
  my $text = 'x' x $size;
  $client->encode($text) for 1 .. TIMES;
  Bench::Stage::mark();
  for (1 .. TIMES) { my $frame = $client->encode($text) }
  Bench::Stage::mark();
  print "encode auth-int\t", $size == 64 ? "message of 64 bytes\t" . TIMES : "KiB\t" . 4 * TIMES, "\n";
}
