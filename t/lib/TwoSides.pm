package TwoSides;

# Makes a connection of either side with only a mechanism and callbacks, and runs an exchange between two of them.

use strict;
use warnings;
use Authen::SASL qw(Rust);
use Exporter qw(import);

our @EXPORT_OK = qw(client server exchange);

sub client {
  my ($mechanism, %callback) = @_;
  return Authen::SASL->new(mechanism => $mechanism, callback => {%callback})->client_new('imap', 'mail.example.org');
}

sub server {
  my ($mechanism, %callback) = @_;
  return Authen::SASL->new(mechanism => $mechanism, callback => {%callback})->server_new('imap', 'mail.example.org');
}

# Runs both sides to the end and returns them.
sub exchange {
  my ($client, $server) = @_;
  my $message = $client->client_start;
  $message = $server->server_start($client->property('message_absent') ? undef : $message);
  for (1 .. 5) {
    last unless $client->need_step && defined $message;
    $message = $client->client_step($message);
    last unless $server->need_step && defined $message;
    $message = $server->server_step($message);
  }
  return ($client, $server);
}

1;
