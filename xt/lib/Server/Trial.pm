package Server::Trial;

# One or a few logins to a server, as a subtest.

use strict;
use warnings;
use Encode ();
use Exporter qw(import);
use Test::More ();

our @EXPORT_OK = qw(trial utf8 %PASSWORD);

# Accounts of every server: a name in ASCII, one that fits Latin-1 (o with diaeresis), one beyond it (l with caron); DIGEST-MD5
# treats the three differently. SASLprep changes none of them, because not every server applies it.
our %PASSWORD = (
  'fred' => 'pencil',
  "j\x{f6}rg" => "p\x{e4}\x{df}w\x{f6}rd \x{20ac}",
  "\x{13e}ubica" => "\x{10d}ern\x{e1} #1",
);

# An exception fails the trial without ending the others. The test does not wait for a server or client that hangs: the signal
# ends the test, and with it the server.
sub trial {
  my ($name, $code) = @_;
  alarm 90;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  Test::More::subtest(
    $name => sub {
      eval { $code->(); 1 } or Test::More::fail("no exception: $@");
    }
  );
  alarm 0;
  return;
}

sub utf8 { return Encode::encode('UTF-8', $_[0]) }

1;
