package Boundary::Plugins;

# Operations of a program with plugin mechanisms: complete exchanges, and exchanges that end in every other way.

use strict;
use warnings;

use Authen::SASL qw(Rust);

our @MECHANISMS = qw(PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-256 NTLM);

sub load { return Authen::SASL::Rust->plugins(prefer => 'plugins', load => 'plain login crammd5 digestmd5 scram ntlm otp') }

sub client {
  my ($mechanism, %callback) = @_;
  return Authen::SASL->new(mechanism => $mechanism, callback => {user => 'fred', pass => 'pencil', %callback})
    ->client_new('ldap', 'localhost');
}

sub server {
  my ($mechanism, %callback) = @_;
  return Authen::SASL->new(mechanism => $mechanism, callback => {getsecret => sub { 'pencil' }, %callback})
    ->server_new('ldap', 'localhost');
}

# Carries the messages to the end, or a given number of them.
sub carry {
  my ($client, $server, $most) = @_;
  my $message = $client->client_start;
  $message = $server->server_start($client->property('message_absent') ? undef : $message);
  for (1 .. (defined $most ? $most : 10)) {
    last if $server->error || !$client->need_step;
    $message = $client->client_step($message);
    last if $client->error || !$server->need_step;
    $message = $server->server_step($message);
  }
  return $client->is_success && $server->is_success;
}

# [name, code] for each operation; the code dies if it does not end as expected.
sub all {
  my @deeds;
  for my $mechanism (@MECHANISMS) {
    push @deeds, ["$mechanism, right", sub { carry(client($mechanism), server($mechanism)) or die "$mechanism: refused\n" }];
    push @deeds, ["$mechanism, wrong password", sub {
      carry(client($mechanism, pass => 'rubber'), server($mechanism)) and die "$mechanism: accepted\n";
    }];
    push @deeds, ["$mechanism, begun and left", sub { carry(client($mechanism), server($mechanism), $_) for 0, 1; }];
    push @deeds, ["$mechanism, the server's callback dies", sub {
      eval { carry(client($mechanism), server($mechanism, getsecret => sub { die "no\n" })) } and die "$mechanism: accepted\n";
    }];
    push @deeds, ["$mechanism, the client's callback dies", sub {
      eval { carry(client($mechanism, pass => sub { die "no\n" }), server($mechanism)) } and die "$mechanism: accepted\n";
    }];
    push @deeds, ["$mechanism, never answered", sub {
      my @kept;
      my ($client, $server) = (client($mechanism), server($mechanism, getsecret => sub { push @kept, $_[-1]; return }));
      my $message = $client->client_start;
      $message = $server->server_start($client->property('message_absent') ? undef : $message, sub { $message = $_[0] });
      $server->server_step(scalar $client->client_step($message), sub { }) if !@kept;
    }];
    push @deeds, ["$mechanism, garbage", sub {
      my ($client, $server) = (client($mechanism), server($mechanism));
      $client->client_start;
      $client->client_step("\xff" x 100);
      $server->server_start("\xff" x 100);
      $server->server_step("\0" x 1000) if $server->need_step;
    }];
  }
  push @deeds, ['a layer', sub {
    my ($client, $server) = (client('DIGEST-MD5'), server('DIGEST-MD5'));
    carry($client, $server) or die "a layer: refused\n";
    my $text = 'x' x 1000;
    die "a layer: changed\n" if $server->decode(scalar $client->encode($text)) ne $text;
    die "a layer: back\n" if $client->decode(scalar $server->encode($text)) ne $text;
    $server->decode("\0" x 40);
    die "a layer: damaged\n" if !$server->error;
  }];
  return @deeds;
}

1;
