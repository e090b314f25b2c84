package Bench::Lines;
# The targets of dev/bench: the lines of the table, each with its target. `least` is a minimum speed compared with the best
# peer, `most` a maximum cost.
use strict;
use warnings;

sub all {
  my @l;
  for my $m (qw(PLAIN LOGIN ANONYMOUS EXTERNAL)) {
    push @l, speed("$m $_", 1.1, mech => $m, side => $_) for qw(client server);
  }
  push @l,
    speed('CRAM-MD5 client', 1.1, mech => 'CRAM-MD5', side => 'client'),
    speed('CRAM-MD5 server', 4, mech => 'CRAM-MD5', side => 'server'),
    speed('DIGEST-MD5 auth client', 2, mech => 'DIGEST-MD5', side => 'client'),
    speed('DIGEST-MD5 auth server', 3, mech => 'DIGEST-MD5', side => 'server');
  my @scram = ([ 'SHA-1', 6 ], [ 'SHA-256', 6 ], [ 'SHA-512', 3.5 ]);
  for (@scram) {
    my ($hash, $least) = @$_;
    push @l, speed("SCRAM-$hash client, first connection", $least, mech => "SCRAM-$hash", side => 'client');
  }
  push @l, { kind => 'bare', name => "SCRAM-$_->[0] client / bare PBKDF2", hash => $_->[0], most => 1.15 } for @scram;
  push @l, { kind => 'derivation', name => "bare PBKDF2, $_->[0]", hash => $_->[0], least => $_->[1] }
    for [ 'SHA-1', 2 ], [ 'SHA-256', 2 ], [ 'SHA-512', 0.9 ];
  for (@scram) {
    my ($hash) = @$_;
    push @l, speed("SCRAM-$hash client, second connection", 100, mech => "SCRAM-$hash", side => 'client', again => 1);
  }
  push @l, speed('SCRAM-SHA-256 server, verifiers', 3, mech => 'SCRAM-SHA-256', side => 'server');
  # The same plugin in our host and in libsasl2.
  push @l, { kind => 'hosted', name => "SCRAM-SHA-256 by a plugin, $_", mech => 'SCRAM-SHA-256', side => $_, most => 1.2 }
    for qw(client server);
  for my $side (qw(server client)) {
    push @l, { kind => 'memory', name => "memory, $_ $side", mech => $_, side => $side, most => 2048 }
      for qw(DIGEST-MD5 SCRAM-SHA-256);
  }
  for my $way (qw(encode decode)) {
    for my $size (64, 4096) {
      my $least = $size == 64 ? 1.5 : 1.1;
      push @l, { kind => 'layer', way => $way, name => "$way auth-int, $size B", qop => 'auth-int', size => $size, least => $least };
    }
    push @l,
      { kind => 'sealing', way => $way, name => "$way auth-int, 64 KiB / bare HMAC-MD5", qop => 'auth-int', least => 0.8 };
  }
  push @l, { kind => 'search', name => 'search of 10,000 entries, auth-conf', entries => 10_000, least => 1.5 };
  push @l,
    { kind => 'load', name => 'load to the first PLAIN message', mech => 'PLAIN', most => 1.1 },
    { kind => 'load', name => 'load to the first SCRAM message', mech => 'SCRAM-SHA-256', most => 0.8 };
  push @l, { kind => 'growth', name => "growth 1 to 10,000, $_->[0] $_->[1]", mech => $_->[0], side => $_->[1], most => 1.2 }
    for [ 'DIGEST-MD5', 'client' ], [ 'DIGEST-MD5', 'server' ], [ 'SCRAM-SHA-256', 'server' ];
  my @relays = (beside => [qw(haproxy socat)], least => 1);
  push @l,
    { kind => 'relay', name => 'gateway, 4 KiB jobs / direct', beside => ['direct'], depth => 16, least => 0.9 },
    { kind => 'relay', name => 'gateway, 4 KiB jobs / other relays', depth => 16, @relays },
    { kind => 'relay', name => 'gateway, one at a time / other relays', depth => 1, @relays },
    { kind => 'logins', name => 'gateway, SCRAM-SHA-256 logins', least => 2000 },
    { kind => 'idle', name => 'gateway, idle connection', most => 10_240 };
  @l;
}

sub speed {
  my ($name, $least, %job) = @_;
  return { kind => 'speed', name => $name, least => $least, job => {%job} };
}

1;
