package Bench::Lines;
# The targets of dev/bench: the lines of the table, each with its target. `least` is a minimum speed compared with the best
# peer, `most` a maximum cost. Lines that are `apart` are measured only if they are named.
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
  # The connection alone: a program may give all of them one Authen::SASL object.
  push @l, { kind => 'memory', name => "memory, SCRAM-SHA-256 $_->[0], alone", mech => 'SCRAM-SHA-256', side => $_->[0], most => $_->[1], again => 1 }
    for [ 'server', 1228 ], [ 'client', 1433 ];
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
  push @l, map { { %$_, apart => 1 } } accounts(), polling();
  @l;
}

# Accounts in PostgreSQL and LDAP beside a users' file. Lines with `rounds` have no more of them.
sub accounts {
  my @l;
  my @server = ([ postgres => 'PostgreSQL' ], [ ldap => 'LDAP' ]);
  for my $cached (0, 1) {
    for (@server) {
      my ($place, $name) = @$_;
      push @l, map {
        { kind => 'accounts', name => "accounts: $name" . ($cached ? ' cached' : '') . ", $_ gateway" . ($_ > 1 ? 's' : ''), place => $place,
          cached => $cached, gates => $_, rounds => 5, least => $cached ? 0.8 : 0.4 }
      } 1, 4, 16;
    }
  }
  push @l, { kind => 'processor', name => 'accounts: login in a gateway, file', whose => 'gateway', place => 'file', rounds => 5, most => 300 };
  for (@server) {
    my ($place, $name) = @$_;
    push @l,
      { kind => 'processor', name => "accounts: login in a gateway, $name", whose => 'gateway', place => $place, rounds => 5, most => 600 },
      { kind => 'processor', name => "accounts: login in $name", whose => 'server', place => $place, rounds => 5, most => 300 };
  }
  push @l, { kind => 'herd', name => "accounts: 1,500 log in again, $_->[1]", clients => 1500, place => $_->[0], rounds => 5, most => 3 }
    for [ file => 'file' ], @server;
  push @l, { kind => 'away', name => "accounts: $_->[1] is away", place => $_->[0], rounds => 2, most => 3 } for @server;
  push @l, { kind => 'held', name => "accounts: idle connection, $_->[1]", place => $_->[0], rounds => 3, most => 1.2 } for @server;
  push @l, { kind => 'kernel', name => 'accounts: idle connection, kernel', rounds => 3, most => 16_384 };
  for my $which (qw(median p99)) {
    push @l, map { { kind => 'challenge', name => "accounts: among $_->[1], $which", which => $which, users => $_->[0], rounds => 5, most => $which eq 'median' ? 1.3 : 1.5 } }
      [ 100_000, '100,000' ], [ 1_000_000, '1,000,000' ];
  }
  return @l;
}

# Polling before a thread sleeps, beside a gateway that never polls.
sub polling {
  my @l;
  for my $connections ([ 1, '1 connection' ], [ 1000, '1,000 connections' ]) {
    push @l, map {
      { kind => 'paced', name => "polling: $_->[1]/s, $connections->[1]", rate => $_->[0], connections => $connections->[0], rounds => 3, most => 1.1 }
    } [ 1, '1' ], [ 100, '100' ], [ 10_000, '10,000' ];
  }
  for my $depth (1, 16) {
    my $name = $depth > 1 ? "$depth jobs at once" : 'one job at a time';
    push @l,
      { kind => 'polled', name => "polling: $name", measure => 'clock', depth => $depth, rounds => 5, least => 0.95 },
      { kind => 'polled', name => "polling: $name, processor", measure => 'processor', depth => $depth, rounds => 5, most => 1.1 };
  }
  return @l;
}

sub speed {
  my ($name, $least, %job) = @_;
  return { kind => 'speed', name => $name, least => $least, job => {%job} };
}

1;
