# Handles with a character layer, as PERL_UNICODE and the pragma open make them, still carry bytes.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use File::Temp qw(tempdir);
use IO::Socket::UNIX;
use Socket;
use Test::More;
use Authen::SASL qw(Rust);
use Authen::SASL::Rust::AuthLine;
use TwoSides ();

my @LAYERS = (':utf8', ':encoding(UTF-8)', ':encoding(ISO-8859-1)');
my %PASSWORD = (user => "ren\xe9e", pass => "cr\xe8me \x{20ac}");

sub sockets {
  my ($layers) = @_;
  my @both = IO::Socket::UNIX->socketpair(AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die "socketpair: $!";
  binmode $both[0], $layers or die "binmode: $!";
  return @both;
}

sub layers { return join ' ', PerlIO::get_layers($_[0]), PerlIO::get_layers($_[0], output => 1) }

$SIG{ALRM} = sub { die "it hangs\n" };
alarm 120;

for my $layers (@LAYERS) {
  subtest "AuthLine, $layers" => sub {
    my ($near, $far) = sockets($layers);
    my $before = layers($near);
    my $pid = fork;
    die "fork: $!" unless defined $pid;
    if (!$pid) {
      my $sasl = Authen::SASL->new(mechanism => 'PLAIN', callback => { getsecret => sub { $PASSWORD{pass} } });
      my $server = Authen::SASL::Rust::AuthLine->server(sasl => $sasl);
      while ($server->need_more && sysread $far, my $bytes, 4096) { syswrite $far, $server->feed($bytes) }
      require POSIX;
      POSIX::_exit($server->is_done ? 0 : 1);
    }
    my $client = Authen::SASL::Rust::AuthLine->client(sasl => Authen::SASL->new(callback => {%PASSWORD}));
    is $client->login($near, timeout => 30), $near, 'the client is in' or diag $client->error;
    waitpid $pid, 0;
    is $?, 0, 'and the server says so';
    is layers($near), $before, 'afterwards the handle is as it was';
  };

  for my $method (qw(securesocket tiesocket)) {
    subtest "$method, $layers" => sub {
      my $sasl = sub { Authen::SASL->new(mechanism => 'DIGEST-MD5', callback => {@_}) };
      my ($client, $server) = TwoSides::exchange(
        $sasl->(%PASSWORD)->client_new('ldap', 'h', { minssf => 1 }),
        $sasl->(getsecret => sub { $PASSWORD{pass} })->server_new('ldap', 'h'),
      );
      ok $client->property('ssf') > 0, 'there is a layer' or return diag $client->error, $server->error;
      my ($near, $far) = sockets($layers);
      my $ours = $client->$method($near);
      my $theirs = $server->securesocket($far);
      my $all = join '', map { chr } 0 .. 255;
      my $read = '';
      is syswrite($ours, $all), 256, 'each byte is written';
      is sysread($theirs, $read, 1000), 256, 'once';
      is $read, $all, 'and is what it was';
      print {$theirs} "$all\n";
      $theirs->flush if $theirs->can('flush');
      is sysread($ours, $read, 1000), 257, 'and back';
      is $read, "$all\n", 'the same';
    };
  }
}

# The whole program under PERL_UNICODE, without -T and without a line that mentions it.
subtest 'PERL_UNICODE=SDA' => sub {
  local $ENV{PERL_UNICODE} = 'SDA';
  my $program = tempdir(CLEANUP => 1) . '/program';
  open my $file, '>:raw', $program or die "$program: $!";
  print $file <<'PROGRAM';
use strict; use warnings;
use Authen::SASL qw(Rust); use Authen::SASL::Rust::AuthLine; use IO::Socket::UNIX; use Socket;
my ($near, $far) = IO::Socket::UNIX->socketpair(AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die "socketpair: $!";
alarm 60;
if (!fork) {
  binmode $far;
  my $server = Authen::SASL::Rust::AuthLine->server(sasl => Authen::SASL->new(mechanism => 'PLAIN', callback => { getsecret => sub { "\x{20ac}" } }));
  while ($server->need_more && sysread $far, my $bytes, 4096) { syswrite $far, $server->feed($bytes) }
  exit;
}
my $client = Authen::SASL::Rust::AuthLine->client(sasl => Authen::SASL->new(callback => { user => "\x{e9}", pass => "\x{20ac}" }));
print $client->login($near) ? "in\n" : $client->error;
wait;
PROGRAM
  close $file or die "$program: $!";
  my $said = qx{"$^X" @{[map { qq{"-I$_"} } grep { !ref } @INC]} "$program" 2>&1};
  is $said, "in\n", 'the client is in';
};

done_testing;
