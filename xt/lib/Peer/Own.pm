package Peer::Own;

# Our own mechanisms as the peer of a plugin in our host, in the same process.

use strict;
use warnings;

use Encode ();

use Peer::Ours ();

sub name { 'our own' }
sub options { return {plugins => 0} }

sub client { my ($class, %arg) = @_; return Peer::Ours->client(_characters(%arg), options => $class->options) }

sub server {
  my ($class, %arg) = @_;
  return Peer::Ours->server(_characters(%arg), options => $class->options, convention => 'return value');
}

sub _characters {
  my (%arg) = @_;
  return map { $_ => defined $arg{$_} ? Encode::decode('UTF-8', $arg{$_}) : undef } keys %arg;
}

1;
