package Boundary::Layers;

# Every kind of call of a security layer and of the handles on a socket, each as a code reference that must not leak: a part of
# Boundary::Calls.

use strict;
use warnings;
use Authen::SASL qw(Rust);
use Socket qw(AF_UNIX PF_UNSPEC SOCK_STREAM);

# Returns both sides of an exchange that has ended with a layer.
sub pair {
  my (%option) = @_;
  my $new = sub {
    my ($make, @callback) = @_;
    return Authen::SASL->new(mechanism => 'DIGEST-MD5', callback => {@callback})->$make('ldap', 'h', {%option});
  };
  my $client = $new->(client_new => user => 'fred', pass => 'pencil');
  my $server = $new->(server_new => getsecret => sub { 'pencil' });
  $client->client_start;
  $client->client_step($server->server_step($client->client_step($server->server_start(''))));
  die $client->error || $server->error || 'no layer' unless $client->property('ssf') && $server->property('ssf');
  return ($client, $server);
}

# The same on two sockets: a handle for each side, made by securesocket or tiesocket.
sub handles {
  my ($method) = @_;
  my ($client, $server) = pair();
  socketpair my $one, my $two, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "socketpair: $!";
  return ($client->$method($one), $server->$method($two));
}

sub quietly {
  my ($code) = @_;
  local $@;
  eval { $code->(); 1 };
  return;
}

sub messages {
  return (
    ['one', sub { my ($c, $s) = pair(); $s->decode($c->encode('x' x 1000)); $c->decode($s->encode('')) }],
    ['integrity alone', sub { my ($c, $s) = pair(maxssf => 1); $s->decode($c->encode('text')) }],
    [
      'damaged',
      sub { my ($c, $s) = pair(); $s->decode('!' . $c->encode('text')); $s->error; $s->decode($c->encode('x')) }
    ],
    [
      'repeated',
      sub { my ($c, $s) = pair(); my $frame = $c->encode('text'); $s->decode($frame); $s->decode($frame); $s->code }
    ],
    ['too long', sub { my ($c) = pair(); $c->encode('x' x 100_000); $c->error; $c->property('maxout') }],
    [
      'a wide character',
      sub {
        my ($c) = pair();
        quietly(sub { $c->encode("\x{263A}") });
        quietly(sub { $c->decode("\x{263A}") });
      }
    ],
    ['undef', sub { my ($c) = pair(); $c->encode(undef); $c->decode(undef) }],
    [
      'without a layer',
      sub {
        my $c =
          Authen::SASL->new(mechanism => 'PLAIN', callback => { user => 'x', pass => 'y' })->client_new('ldap', 'h');
        $c->client_start;
        $c->decode($c->encode('text'));
        my $same = $c->securesocket(\*STDOUT);
        quietly(sub { $c->tiesocket(\*STDOUT) });
      }
    ],
  );
}

sub streams {
  return map {
    my $method = $_;
    (
      [
        "$method: print and read",
        sub {
          my ($one, $two) = handles($method);
          print {$one} "a line\n", "another\n\n", 'x' x 10;
          printf {$one} "%s\n", 'formatted';
          my $line = <$two>;
          my $letter = getc $two;
          { local $/ = ''; $line = <$two> }
          { local $/ = \5; $line = <$two> }
          read $two, my $some, 3;
          sysread $two, $some, 3, 2;
          syswrite $two, 'answer', 3, 1;
          sysread $one, $some, 100;
          my @own = (fileno $one, binmode($one), tell $one, seek($one, 0, 0));
          close $one;
          my @rest = <$two>;
          my $end = eof $two;
          close $two;
          close $two;
        }
      ],
      [
        "$method: damaged",
        sub {
          my ($one, $two) = handles($method);
          no warnings 'closed';
          syswrite tied(*$one)->inner, "\0\0\0\x14" . '!' x 20;
          my $line = <$two>;
          $line = <$two>;
          print {$two} 'x';
        }
      ],
      [
        "$method: cut",
        sub {
          my ($one, $two) = handles($method);
          syswrite tied(*$one)->inner, "\0\0\0\x14" . '!';
          close $one;
          my $line = <$two>;
        }
      ],
      [
        "$method: twice",
        sub {
          my ($one) = handles($method);
          my ($client) = pair();
          quietly(sub { $client->tiesocket($one) });
        }
      ],
    );
  } qw(securesocket tiesocket);
}

# The methods of the handle that securesocket makes.
sub methods {
  return [
    'methods of a handle',
    sub {
      my ($one, $two) = handles('securesocket');
      $one->autoflush(1);
      $one->print("first\nsecond\nthird\n");
      $one->flush;
      my @seen = ($one->unsent, $two->pending, $two->getline, $two->pending, $two->error, $two->clearerr);
      $two->read(my $some, 3);
      $two->read($some, 4, -1);
      push @seen, $two->can('getline'), $two->can('nosuch'), $two->isa('IO::Handle'), $two->isa('Nosuch'),
        $two->blocking;
      quietly(sub { $two->nosuch });
      quietly(sub { Authen::SASL::Rust::Layer::Handle->nosuch });
      $one->shutdown(1);
      push @seen, $two->getlines, $two->opened;
      $one->close;
      push @seen, $one->error, $one->blocking, $one->shutdown(1);
    }
  ];
}

sub all { return (messages(), streams(), methods()) }

1;
