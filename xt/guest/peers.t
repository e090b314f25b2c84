# libsasl2 with our mechanisms against libraries that do not use libsasl2.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

BEGIN { $ENV{SASL_BACKEND} = 'Guest' }

use Test::More;

use Peer::Cells qw(try_cells);
use Peer::Gsasl ();
use Peer::Perl  ();

my $most = qr/\A(?:right|wrong) password\z|unknown user|authzid that|altered|trace/;

my @gsasl = qw(ANONYMOUS PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256);
try_cells(peer => 'Peer::Gsasl', client => \@gsasl, server => \@gsasl, cases => $most);

try_cells(
  peer   => 'Peer::Perl',
  client => [qw(PLAIN LOGIN CRAM-MD5 DIGEST-MD5)],
  server => [qw(PLAIN LOGIN DIGEST-MD5)],
  cases  => qr/\A(?:right|wrong) password\z|unknown user/,
);

done_testing;
