package Loopback;

# Whether this machine lets a test talk to itself by TCP: some build farms and containers have no loopback interface.

use strict;
use warnings;
use IO::Socket::INET ();

# Why not, or undef.
sub missing {
  my $server = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', LocalPort => 0)
    or return "no loopback interface here ($@)";
  IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $server->sockport, Timeout => 5)
    or return "no loopback interface here ($@)";
  return undef;
}

1;
