package Boundary::Lines;

# Every kind of call of the AUTH line protocol, each as a code reference that must not leak: a part of Boundary::Calls.

use strict;
use warnings;
use Authen::SASL qw(Rust);
use Authen::SASL::Rust::AuthLine ();
use Socket qw(AF_UNIX PF_UNSPEC SOCK_STREAM);

sub end {
  my ($side, $mechanism, $callback, @more) = @_;
  my $sasl = Authen::SASL->new(mechanism => $mechanism, callback => $callback);
  return Authen::SASL::Rust::AuthLine->$side(sasl => $sasl, @more);
}

sub client { return end(client => $_[0], { user => 'fred', pass => $_[1] || 'pencil' }) }
sub server {
  return end(server => $_[0], { getsecret => sub { $_[1]{user} eq 'fred' ? 'pencil' : undef } });
}

sub talk {
  my ($client, $server, $piece) = @_;
  my $to_server = $client->begin;
  while ($client->need_more && length $to_server) {
    my $to_client = '';
    $to_client .= $server->feed(substr $to_server, 0, $piece, '') while length $to_server;
    $to_server .= $client->feed(substr $to_client, 0, $piece, '') while length $to_client;
  }
  for my $side ($client, $server) {
    my @seen =
      map { $side->$_ } qw(connection error is_done is_failed is_closed need_more mechanism user rest output failures);
  }
  return;
}

sub shown { my ($said) = @_; $said =~ s/[^ -~]/./g; return substr $said, 0, 30 }

sub all {
  my $login = "auth-start PLAIN 12\r\n\0fred\0pencil\r\n";
  return (
    (
      map {
        my $mechanism = $_;
        ["$mechanism", sub { talk(client($mechanism), server($mechanism), 1000) }]
      } qw(PLAIN SCRAM-SHA-256 CRAM-MD5)
    ),
    ['by bytes', sub { talk(client('SCRAM-SHA-256'), server('SCRAM-SHA-256 PLAIN'), 1) }],
    ['a wrong password', sub { talk(client('SCRAM-SHA-256', 'rubber'), server('SCRAM-SHA-256'), 1000) }],
    ['no common mechanism', sub { talk(client('PLAIN'), server('CRAM-MD5'), 1000) }],
    (
      map {
        my $said = $_;
        ["server: " . shown($said),
          sub { my $s = server('PLAIN'); $s->feed($said); $s->rest; $s->error; $s->feed('x') }]
      } 'x' x 300,
      "auth-step 99999999\r\n",
      "auth-start PLAIN 3\r\nabcd\r\n",
      "quit\r\n",
      "put 1\r\n",
      "${login}stats\r\n"
    ),
    (
      map {
        my $said = $_;
        ["client: " . shown($said), sub { my $c = client('PLAIN'); $c->begin; $c->feed($said); $c->error }]
      } 'x' x 300,
      "OK 99999999\r\n",
      "UNKNOWN_COMMAND\r\n",
      "OK 5\r\nPLAIN\r\nUNAUTHORIZED\r\n",
      "OK 5\r\nPLAIN\r\nCONTINUE 1\r\nx\r\n"
    ),
    [
      'characters',
      sub {
        my $s = server('PLAIN');
        local $@;
        eval { $s->feed("\x{263A}") }
      }
    ],
    [
      'wrong arguments',
      sub {
        local $@;
        eval { Authen::SASL::Rust::AuthLine->client(nosuch => 1) }
      }
    ],
    [
      'an answer that comes later',
      sub {
        my ($answer, $out) = (undef, '');
        my $server = end(server => 'PLAIN', { checkpass => sub { $answer = $_[2]; return } },
          on_reply => sub { $out .= $_[0]->output });
        $server->feed($login);
        $answer->(1);
        undef $answer;
      }
    ],
    [
      'an answer that never comes',
      sub {
        local our $answer;    # not a lexical: the callback would hold it, and with it the connection
        my $server = end(server => 'PLAIN', { checkpass => sub { $answer = $_[2]; return } }, on_reply => sub { });
        $server->feed($login);
        $server->feed('x' x 70_000);
      }
    ],
    [
      'login',
      sub {
        socketpair my $one, my $two, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "socketpair: $!";
        # Everything that the server will send is already there.
        syswrite $two, "OK 5\r\nPLAIN\r\nOK\r\n";
        client('PLAIN')->login($one, timeout => 5);
        client('PLAIN')->login($one, timeout => 0);
      }
    ],
  );
}

1;
