# Our client and server against Authen::SASL::Perl's.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use Test::More;

use Peer::Cells qw(try_cells);
use Peer::Perl  ();

# Our server accepts both.
my $hashes_utf8 = {
  why  => 'Authen::SASL::Perl hashes UTF-8 where RFC 2831 wants Latin-1',
  ends => 'fail',
};

try_cells(
  peer   => 'Peer::Perl',
  client => [qw(ANONYMOUS EXTERNAL PLAIN LOGIN CRAM-MD5 DIGEST-MD5)],
  server => [qw(PLAIN LOGIN DIGEST-MD5)],
  unlike => {
    'server DIGEST-MD5: beyond ASCII' => $hashes_utf8,
    'server DIGEST-MD5: beyond Latin-1 in the password only' => $hashes_utf8,
  },
);

done_testing;
