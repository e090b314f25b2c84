use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Errno qw(EAGAIN EBADMSG ECONNRESET);
use IO::Select;
use IO::Socket::UNIX;
use Socket;
use Test::More;
use Authen::SASL qw(Rust);
use Authen::SASL::Rust;

# A DIGEST-MD5 client and server that have negotiated a layer.
sub agree {
  my (%arg) = @_;
  my $sasl = sub { Authen::SASL->new(mechanism => 'DIGEST-MD5', callback => {@_}) };
  my $client = $sasl->(user => 'fred', pass => 'pencil')->client_new('ldap', 'h', $arg{client} || {});
  my $server = $sasl->(getsecret => sub { $_[2]->('pencil') })->server_new('ldap', 'h', $arg{server} || {});
  $client->client_start;
  my $challenge = $server->server_start('');
  my $response = $client->client_step($challenge);
  my $proof = $server->server_step($response);
  $client->client_step($proof);
  ok $client->is_success && $server->is_success, 'both sides are content' or diag $client->error, $server->error;
  return ($client, $server);
}

sub sockets {
  my ($one, $other) = IO::Socket::UNIX->socketpair(AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die "socketpair: $!";
  return ($one, $other);
}

my %strength = ('auth-int' => 1, 'rc4-40' => 40, des => 55, 'rc4-56' => 56, '3des' => 112, rc4 => 128);

for my $cipher (sort keys %strength) {
  my $ssf = $strength{$cipher};
  my ($client, $server) = agree(client => { minssf => $ssf, maxssf => $ssf, maxbuf => 4096 }, server => { maxbuf => 1000 });
  is $_->property('ssf'), $ssf, "$cipher: ssf" for $client, $server;
  my $block = $cipher =~ /des/;
  is $client->property('maxout'), $block ? 949 : 952, "$cipher: the client's maxout";
  is $server->property('maxout'), $block ? 4077 : 4080, "$cipher: the server's maxout";
  is $client->property('maxbuf'), 4096, "$cipher: maxbuf";

  for my $way ([$client, $server], [$server, $client]) {
    my ($from, $to) = @$way;
    for my $text ('x', '', "caf\xe9\0", 'y' x 949) {
      my $frame = $from->encode($text);
      is $to->decode($frame, length $frame), $text, "$cipher: a message of " . length $text;
    }
    unlike $from->encode('seen by everybody' x 3), qr/everybody/, "$cipher: enciphered" if $ssf > 1;
  }
}

subtest 'no layer' => sub {
  my ($client, $server) = agree(client => { maxssf => 0 });
  is $_->property('ssf'), 0 for $client, $server;
  is $client->property('maxout'), undef;
  is $client->encode("as it is"), "as it is";
  is $server->decode("as it is", 8), "as it is";
  my ($socket) = sockets();
  is $client->securesocket($socket), $socket;
  is $client->tiesocket($socket), $socket;
};

subtest 'one message' => sub {
  my ($client, $server) = agree();
  my @none = $client->encode('x' x ($client->property('maxout') + 1));
  is @none, 0, 'too long for one frame';
  like $client->error, qr/maxout.*SASL_BADPARAM/;
  my $frame = $client->encode('first');
  is $client->error, undef, 'which ends nothing';
  is $server->decode($frame), 'first';
  @none = $server->decode($frame);
  is @none, 0, 'repeated';
  like $server->error, qr/\ADIGEST-MD5 server: .*sequence number/;
  ok !$server->is_success;
  @none = $server->decode($client->encode('second'));
  is @none, 0, 'nothing after an error';
  @none = $server->encode('x');
  is @none, 0, 'nor the other way';
  ok !eval { $client->encode("\x{263a}"); 1 }, 'a wide character dies';
  my ($one, $other) = agree();
  $frame = $one->encode('text');
  substr($frame, 1, 1) ^= "\1";
  @none = $other->decode($frame);
  is @none, 0, 'changed';
  like $other->error, qr/authentication code is wrong.*SASL_BADMAC/;
  is $other->code, -9;
};

# Handles on a pair of sockets, and the sockets.
sub handles {
  my ($client, $server) = agree(@_);
  my ($left, $right) = sockets();
  return ($client->securesocket($left), $server->securesocket($right), $left, $right, $client, $server);
}

subtest 'operators and methods' => sub {
  my ($client, $server, $left) = handles();
  is syswrite($client, 'abcdef'), 6;
  is syswrite($client, 'abcdef', 2, 3), 2;
  is syswrite($client, 'abcdef', 9, -2), 2;
  is sysread($server, my $buffer, 4), 4;
  is $buffer, 'abcd';
  is sysread($server, $buffer, 100, 6), 2, 'the rest of the frame, and no more';
  is $buffer, "abcd\0\0ef";
  is $server->read($buffer, 4, -1), 4, 'read goes on';
  is $buffer, "abcd\0\0edeef";
  is $client->syswrite("line 1\nline 2\n\n\n\nparagraph\nof two\n\nlast"), 39;
  is $server->getline, "line 1\n";
  is scalar(<$server>), "line 2\n";
  { local $/ = ''; is <$server>, "paragraph\nof two\n\n" }
  is getc($server), 'l';
  is $server->pending, 3;
  { local $/ = \2; is <$server>, 'as' }
  is $server->getc, 't';
  ok print($client 'a', 'b');
  ok printf($client '%03d', 7);
  { local ($,, $\) = ('-', '!'); ok print($client 'c', 'd') }
  ok $client->say('e');
  ok $client->printf('%s', "f\n");
  is $server->getline, "ab007c-d!e\n";
  is $server->getline, "f\n";
  is fileno($client), fileno($left);
  is $client->fileno, fileno($left);
  ok binmode($client) && $client->opened && $client->blocking;
  ok $client->isa('IO::Socket::UNIX') && $client->can('hostpath') && $client->can('syswrite');
  is $client->socktype, SOCK_STREAM, 'the methods of the handle below';
  ok !$client->can('no_such_method');
  ok !eval { $client->no_such_method; 1 };
  like $@, qr/Can't locate object method "no_such_method"/;
  ok print($server "x\ny\nz");
  ok close($server);
  is_deeply [<$client>], ["x\n", "y\n", 'z'];
  ok eof($client);
  is sysread($client, $buffer, 10), 0, 'the end';
  is $buffer, '';
  ok $client->close;
  ok !defined syswrite($client, 'x');
  ok !$client->opened;
};

subtest 'many sizes' => sub {
  for my $sizes ([65536, 65536], [17, 300], [0xFFFFFF, 0xFFFFFF]) {
    for my $length (1, 1000, 65536, $sizes->[0] > 1000 ? 16 << 20 : 100_000) {
      my ($client, $server) = handles(client => { maxbuf => $sizes->[0] }, server => { maxbuf => $sizes->[1] });
      my $text = join '', map { chr(ord('a') + $_ % 26) } 1 .. 1000;
      $text = substr $text x (1 + $length / 1000), 0, $length;
      my $pid = fork;
      if (!$pid) {
        my $sent = syswrite $client, $text;
        require POSIX;
        POSIX::_exit($sent == $length ? 0 : 1);
      }
      is $server->read(my $got, $length), $length;
      ok $got eq $text, "$length bytes, maxbuf @$sizes";
      waitpid $pid, 0;
      is $?, 0;
    }
  }
};

# The bytes on the wire when the client writes.
sub wire {
  my ($handle, $socket, $text) = @_;
  syswrite $handle, $text;
  sysread $socket, my $bytes, 1 << 20;
  return $bytes;
}

subtest 'pieces, and IO::Select' => sub {
  my ($client, $server) = agree();
  my ($left, $right) = sockets();
  my ($in, $out) = sockets();
  my ($from, $to) = ($client->securesocket($left), $server->securesocket($out));
  my $bytes = wire($from, $right, 'hello') . wire($from, $right, 'world');
  my $select = IO::Select->new($to);
  ok !$select->can_read(0);
  $to->blocking(0);
  my $seen = '';
  for my $byte (split //, $bytes) {
    my $got = sysread $to, my $nothing, 100;
    ok !defined $got && $! == EAGAIN, 'not yet' or last;
    syswrite $in, $byte;
    ok $select->can_read(1);
    $got = sysread $to, my $text, 100;
    $seen .= $text if $got;
  }
  is $seen, 'helloworld';
  $bytes = join '', map { wire($from, $right, $_) } qw(one two three);
  syswrite $in, $bytes;
  is sysread($to, my $text, 2), 2;
  is $text, 'on';
  is $to->pending, 1, 'what select does not see';
  is sysread($to, $text, 100), 1;
  is $to->pending, 0;
  ok $select->can_read(0), 'the next frame is still in the socket';
  is sysread($to, $text, 100), 3;
  is sysread($to, $text, 100), 5;
  ok !$select->can_read(0);
  ok !eof($to), 'no end is known where nothing has come';
  close $in;
  is sysread($to, $text, 100), 0;
};

subtest 'a full socket' => sub {
  my ($client, $server) = handles();
  $_->blocking(0) for $client, $server;
  my $text = join '', map { pack 'N', $_ } 1 .. 500_000;
  my ($sent, $got, $turns, $blocked) = (0, '', 0, 0);
  while (length $got < length $text && $turns++ < 100_000) {
    my $wrote = $sent < length $text ? syswrite $client, $text, length($text) - $sent, $sent : $client->flush;
    if (!defined $wrote) { $blocked++; die "write: $!" unless $! == EAGAIN }
    elsif ($sent < length $text) { $sent += $wrote }
    my $read = sysread $server, $got, 5000, length $got;
    die 'read: ' . $! unless defined $read || $! == EAGAIN;
  }
  ok $got eq $text, 'all of it came, once and in order';
  ok $blocked, 'though the socket was full';
  is $client->unsent, 0;
  ok print($client 'x' x 2_000_000), 'print keeps what does not fit';
  ok $client->unsent;
  ok $client->flush || $! == EAGAIN;
};

subtest 'damage' => sub {
  for my $what (qw(changed repeated lost oversize cut header end)) {
    my ($client, $server) = agree(server => { maxbuf => 1024 });
    my ($left, $right) = sockets();
    my ($in, $out) = sockets();
    my ($from, $to) = ($client->securesocket($left), $server->securesocket($out));
    my ($first, $second, $third) = map { wire($from, $right, $_) } qw(first second third);
    my $bad = $what eq 'changed' ? do { my $frame = $second; substr($frame, 5, 1) ^= "\x20"; $frame . $third }
      : $what eq 'repeated' ? $first . $second
      : $what eq 'lost' ? $third
      : $what eq 'oversize' ? pack('N', 1025)
      : $what eq 'cut' ? substr($second, 0, -1)
      : $what eq 'header' ? substr($second, 0, 2)
      : '';
    syswrite $in, $first . $bad;
    CORE::shutdown($in, 1) if $what =~ /cut|header|end/;
    is sysread($to, my $text, 100), 5, "$what: what came before";
    my $got = sysread $to, $text, 100;
    if ($what eq 'end') {
      is $got, 0, 'a clean end';
      is $server->error, undef;
      next;
    }
    is $got, undef, "$what: an error";
    is $! + 0, $what =~ /cut|header/ ? ECONNRESET : EBADMSG;
    like $server->error, qr/\ADIGEST-MD5 server: frame of the security layer: /;
    ok !$to->opened, "$what: the handle is closed";
    is sysread($to, $text, 100), undef, "$what: no plaintext after it";
    is syswrite($to, 'x'), undef;
  }
};

subtest 'a new exchange leaves the handle its layer' => sub {
  my ($client, $server, $left, $right, $conn) = handles();
  $conn->client_start;
  is $conn->property('ssf'), undef;
  is syswrite($client, 'secret'), 6;
  is sysread($server, my $text, 100), 6;
  is $text, 'secret';
  is $conn->encode('x'), 'x', 'the connection has none meanwhile';
  undef $_ for $conn, $left;
  is syswrite($client, 'still'), 5;
  is sysread($server, $text, 100), 5;
};

subtest 'tiesocket' => sub {
  my ($client, $server) = agree();
  my ($left, $right) = sockets();
  my $number = fileno $left;
  is $client->tiesocket($left), $left;
  ok !eval { $client->tiesocket($left); 1 }, 'not twice';
  is fileno($left), $number;
  my $to = $server->securesocket($right);
  ok print($left "hello\n");
  is $to->getline, "hello\n";
  is syswrite($to, "back\n"), 5;
  is scalar(<$left>), "back\n";
  is $left->socktype, SOCK_STREAM;
  ok close $left;
  is sysread($to, my $text, 1), 0, 'closed for the peer, too';
};

subtest 'who gets a layer by default' => sub {
  for my $case ([imap => {}, 0], [smtp => {}, 0], [imap => { minssf => 1 }, 128], [ldap => {}, 128], [own => {}, 128]) {
    my ($service, $options, $ssf) = @$case;
    my $client = Authen::SASL->new(mechanism => 'DIGEST-MD5', callback => { user => 'u', pass => 'p' })
      ->client_new($service, 'h', $options);
    $client->client_start;
    my $sent = $client->client_step(
      'realm="h",nonce="n",qop="auth,auth-int,auth-conf",cipher="rc4",algorithm=md5-sess,charset=utf-8');
    like $sent, $ssf ? qr/qop=auth-conf,cipher=rc4/ : qr/qop=auth(?:,|\z)/, $service;
  }
};

done_testing;
