# Our client and server against Cyrus libsasl2's.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use Test::More;

use Peer::Cells     qw(try_cells);
use Peer::Cyrus     ();
use Peer::Verifier ();

my @mechanisms = (
  qw(ANONYMOUS EXTERNAL PLAIN LOGIN CRAM-MD5 DIGEST-MD5),
  map {"SCRAM-SHA-$_"} qw(1 224 256 384 512)
);

my $prepares_nothing = {why => 'libsasl2 has no SASLprep here', ends => 'fail'};

try_cells(
  peer   => 'Peer::Cyrus',
  client => \@mechanisms,
  server => \@mechanisms,
  unlike => {map { ("client $_: SASLprep" => $prepares_nothing) } grep {/SCRAM/} @mechanisms},
);

# Our server has a verifier instead of the password.
my %computed;
try_cells(
  peer   => 'Peer::Cyrus',
  client => [grep {/SCRAM/} @mechanisms],
  server => [],
  unlike => {map { ("client $_: SASLprep" => $prepares_nothing) } @mechanisms},
  secret => sub { $computed{join ' ', @_} ||= Peer::Verifier->of(@_) },
);

done_testing;
