# The layers of DIGEST-MD5 by our guest, against libsasl2's own and against the Perl module.

use strict;
use warnings;

use Test::More;

use Peer::Guest      ();
use Peer::LayerCells qw(layer_works frames_are_guarded);

# The passwords of Peer::LayerCells stand in a user database of the guest's server.
my %strength = ('auth-int' => 1, 'rc4-40' => 40, des => 55, 'rc4-56' => 56, '3des' => 112, rc4 => 128);
my $any = {maxssf => 256, maxbuf => 65_536};

sub only { my ($ssf, %more) = @_; return {minssf => $ssf, maxssf => $ssf, %more} }

for my $role (qw(client server)) {
  for my $cipher (sort keys %strength) {
    layer_works("the guest, $cipher", 'Peer::Guest', $role, $strength{$cipher}, only($strength{$cipher}), $any);
  }
  frames_are_guarded('the guest, rc4', 'Peer::Guest', $role, only(128), $any);
  layer_works('the guest, short frames', 'Peer::Guest', $role, 128, only(128, maxbuf => 1000), {maxssf => 256, maxbuf => 256});
}

done_testing;
