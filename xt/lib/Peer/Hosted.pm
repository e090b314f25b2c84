package Peer::Hosted;

# A Cyrus plugin in our host, as the peer of another plugin in our host.

use strict;
use warnings;

use parent 'Peer::Own';

sub name { "a plugin's" }
sub options { return {plugins => {prefer => 'plugins'}} }

1;
