# eg/memcached-client logs in to Debian's memcached, and detects servers that only pretend to be one.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use IO::Socket::INET ();
use POSIX ();
use Server::Memcached ();
use Server::Trial qw(trial);

my @MECHANISMS = qw(SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 DIGEST-MD5 CRAM-MD5 PLAIN LOGIN ANONYMOUS);
my $memcached = Server::Memcached->start(users => { fred => 'pencil' }, mechanisms => "@MECHANISMS");
my $address = "127.0.0.1:$memcached->{port}";

# Returns what the example prints, or the reason for its failure.
sub client {
  my (@argument) = @_;
  my $said = eval { $memcached->run($^X, '-Mblib', 'eg/memcached-client', @argument) };
  return $said if defined $said;
  return $@ =~ /failed: (.*)\z/s ? "failed: $1" : $@;
}

is client($address, 'fred', 'pencil'), "logged in by SCRAM-SHA-512\nset and got\ndeleted\n",
  'the strongest mechanism is taken';
for my $mechanism (@MECHANISMS) {
  trial $mechanism => sub {
    is client($address, 'fred', 'pencil', $mechanism), "logged in by $mechanism\nset and got\ndeleted\n",
      'logs in and works';
    return if $mechanism eq 'ANONYMOUS';
    like client($address, 'fred', 'crayon', $mechanism), qr/\Afailed: (?:start|step): the server refused\n/,
      'a wrong password';
    like client($address, 'nobody', 'pencil', $mechanism), qr/\Afailed: (?:start|step): the server refused\n/,
      'an unknown user';
  };
}

like client($address, 'fred', 'pencil', 'NTLM'), qr/\Afailed: the server offers .*PLAIN.*, but not NTLM\n/,
  'what is not offered';
{
  my $open = Server::Memcached->start(sasl => 0);
  like client("127.0.0.1:$open->{port}", 'fred', 'pencil'),
    qr/\Afailed: the server does not support SASL: was it started with -S\?\n/,
    'a memcached without SASL';
}
like client('127.0.0.1:' . $memcached->free_port, 'fred', 'pencil'), qr/\Afailed: .*refused/, 'no memcached';

# A server that answers each request with given header fields or bytes, and then closes.
sub impostor {
  my (@answer) = @_;
  my $listener = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die "no socket: $@";
  my $pid = fork;
  die "fork: $!" unless defined $pid;
  if (!$pid) {
    alarm 20;
    my $client = $listener->accept or POSIX::_exit(1);
    for my $answer (@answer) {
      my $header = '';
      read($client, $header, 24) == 24 or last;
      my ($opcode, $size, $opaque) = (unpack 'C C n C C n N N', $header)[1, 6, 7];
      read $client, my $body, $size if $size;
      if (ref $answer) {
        my %field =
          (magic => 0x81, opcode => $opcode, key => 0, extras => 0, status => 0, body => '', opaque => $opaque,
          %$answer);
        $field{size} = length $field{body} unless defined $field{size};
        syswrite $client,
          pack('C C n C C n N N a8', @field{qw(magic opcode key extras)}, 0, @field{qw(status size opaque)}, '')
          . $field{body};
      }
      else { syswrite $client, $answer }
    }

    # A socket closed with unread bytes would be reset.
    shutdown $client, 1;
    read $client, my $rest, 1_000_000;
    POSIX::_exit(0);
  }
  my $said = client('127.0.0.1:' . $listener->sockport, 'fred', 'pencil');
  kill TERM => $pid;
  waitpid $pid, 0;
  return $said;
}

my $SCRAM = { body => 'SCRAM-SHA-256' };
my $CONTINUE = { status => 0x21 };
for my $case (
  ['an end instead of a reply', qr/list: the server has closed the connection/],
  ['half a header', qr/list: the server has closed the connection/, "\x81\x20\0\0"],
  ['an end within a body', qr/list: the server has closed the connection/, { body => 'PLA', size => 5 }],
  ['an end in the middle', qr/start: the server has closed the connection/, $SCRAM],
  ['text', qr/list: not a reply of memcached's binary protocol/, "ERROR: this is a server of another kind\r\n"],
  ['the magic of a request', qr/list: not a reply/, { magic => 0x80 }],
  ['another opaque', qr/list: the reply is to another request/, { opaque => 77 }],
  ['another opcode', qr/start: the reply is to another request/, $SCRAM, { opcode => 0x20 }],
  ['4 GiB announced', qr/list: the reply announces 4294967295 bytes, the limit is/, { size => 2**32 - 1 }],
  ['a key longer than the body', qr/list: the lengths in the reply are inconsistent/, { key => 6, body => 'PLAIN' }],
  ['no mechanism at all', qr/no mechanism is usable/, { body => '' }],
  ['unknown mechanisms', qr/no mechanism is usable/, { body => "FOO \xff\0" }],
  ['an unknown status', qr/start: the server refused, status 0x7fff/, $SCRAM, { status => 0x7fff }],
  ['success at once', qr/the server ended without its proof/, $SCRAM, {}],
  [
    'its own nonce', qr/failed: SCRAM-SHA-256 client: .*nonce/, $SCRAM,
    { %$CONTINUE, body => 'r=abc,s=c2FsdHNhbHQ=,i=4096' }
  ],
  ['a challenge without end', qr/failed: SCRAM-SHA-256 client: .*/, $SCRAM, $CONTINUE, $CONTINUE, $CONTINUE],
  ['one question more than there is', qr/the server sent a challenge after the end of the exchange/, { body => 'PLAIN' }, $CONTINUE],
  )
{
  my ($name, $reason, @answer) = @$case;
  trial "an impostor: $name" => sub {
    my $said = impostor(@answer);
    like $said, $reason, 'is found out';
    unlike $said, qr/logged in|pencil/, 'and not believed';
  };
}

done_testing;
