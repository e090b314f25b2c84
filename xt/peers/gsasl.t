# Our client and server against GNU SASL's, as a library and as a program.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use Test::More;

use Peer::Cells        qw(try_cells);
use Peer::Gsasl        ();
use Peer::GsaslProgram ();

my @mechanisms = qw(ANONYMOUS EXTERNAL PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256);

# RFC 2831, section 2.1.2.1, converts name and password separately, each if it fits. Our server accepts both.
my $not_the_name = 'libgsasl converts the password to Latin-1, the name never';
my %unlike;
for my $case (['beyond ASCII', "p\x{e4}ssw\x{f6}rd"],
  ['beyond Latin-1 in the password only', "\x{43f}\x{430}\x{440}\x{43e}\x{43b}\x{44c}"])
{
  my %account = (user => 'rene', password => $case->[1]);
  $unlike{"server DIGEST-MD5: $case->[0]"} =
    {why => $not_the_name, client => {%account}, server => {%account}};
}

my %no_quotes = (user => "o'brien,=3D", password => "a'b,d=2C");
$unlike{"$_ DIGEST-MD5: punctuation"} = {
  why    => 'libgsasl neither writes nor reads quoted-pairs',
  client => {%no_quotes},
  server => {%no_quotes},
} for qw(client server);

try_cells(
  peer   => 'Peer::Gsasl',
  client => \@mechanisms,
  server => \@mechanisms,
  unlike => \%unlike,
);

# The program's server authorizes every user and prompts for ANONYMOUS and EXTERNAL.
try_cells(
  peer   => 'Peer::GsaslProgram',
  client => \@mechanisms,
  server => [grep { !/ANONYMOUS|EXTERNAL/ } @mechanisms],
  unlike => \%unlike,
  cases  => qr/\A(?:right|wrong password|beyond ASCII|a trace\z|the proved identity|altered)/,
);

# Verifiers that another program has made.
my %made;
try_cells(
  peer   => 'Peer::Gsasl',
  client => [qw(SCRAM-SHA-1 SCRAM-SHA-256)],
  server => [],
  secret => sub { $made{join ' ', @_} ||= Peer::GsaslProgram->verifier(@_) },
);

done_testing;
