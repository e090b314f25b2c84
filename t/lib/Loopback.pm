package Loopback;

# Whether a test can connect to itself by TCP on this machine: some build farms and containers have no loopback interface.

use strict;
use warnings;
use IO::Socket::INET ();

# Returns the reason why not, or undef.
sub missing {
  my $server = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', LocalPort => 0)
    or return "no loopback interface here ($@)";
  IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $server->sockport, Timeout => 5)
    or return "no loopback interface here ($@)";
  return undef;
}

1;
