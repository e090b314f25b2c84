# libsasl2 with our mechanisms against libsasl2 with its own mechanisms, and against itself.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

BEGIN { $ENV{SASL_BACKEND} = 'Guest' }

use Test::More;

use Peer::Cells qw(try_cells);
use Peer::Cyrus ();
use Peer::Guest ();

my @mechanisms = qw(ANONYMOUS PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-512);
my %prepares_nothing = map { ("client $_: SASLprep" => {why => 'libsasl2 has no SASLprep here', ends => 'fail'}) }
  grep {/SCRAM/} @mechanisms;

try_cells(peer => 'Peer::Cyrus', client => \@mechanisms, server => \@mechanisms, unlike => \%prepares_nothing);

# Mechanisms that only we have, and one per hash between two sides of ours.
try_cells(
  peer   => 'Peer::Guest',
  client => ['SCRAM-SHA3-512', 'DIGEST-MD5'],
  server => ['SCRAM-SHA-224', 'SCRAM-SHA-384'],
  cases  => qr/\A(?:right|wrong) password\z|unknown user|authzid that|altered/,
);

done_testing;
