# The mechanism's name is returned as the program spelled it. Net::SMTP and AnyEvent::XMPP remove the name of a failed mechanism
# from the server's list and try the rest; with another case they would try it forever.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Loopback ();
use Test::More;
use Authen::SASL qw(Rust);
use IO::Socket::INET;
use Net::SMTP;
use POSIX ();

my %callback = (user => 'fred', pass => 'pencil');

sub client {
  my ($list, %other) = @_;
  return Authen::SASL->new(mechanism => $list, callback => { %callback, %other })->client_new('xmpp', 'h');
}

for my $case (
  ['plain' => 'plain', 'PLAIN'], ['Login pLAIN' => 'Login', 'LOGIN'], ['PLAIN' => 'PLAIN', 'PLAIN'],
  ['cram-md5,scram-sha-1 SCRAM-SHA-1' => 'scram-sha-1', 'SCRAM-SHA-1'], ['xSCRAM-SHA-1 Scram-Sha-1' => 'Scram-Sha-1', 'SCRAM-SHA-1'],
) {
  my ($list, $name, $registered) = @$case;
  my $conn = client($list);
  is($conn->mechanism, $name, "'$list'");
  is($conn->property('mechname'), $registered, 'the registered name');
  $conn->client_start;
  is($conn->mechanism, $name, 'after client_start, too');
}

my $parent = Authen::SASL->new(mechanism => 'plain', callback => {%callback});
$parent->client_new('imap', 'h');
is($parent->name, 'plain', "Authen::SASL's name");

subtest 'a server' => sub {
  my $told;
  my $sasl = Authen::SASL->new(
    mechanism => 'scram-sha-256 PLAIN',
    callback => { getsecret => sub { $told = $_[1]{mechanism}; return 'pencil' } }
  );
  my $conn = $sasl->server_new('imap', 'h');
  is($conn->mechanism, undef, 'undef before one is picked');
  is($conn->mechanism('Plain'), 'PLAIN', 'its own spelling, not that of the client');
  is($conn->mechanism('SCRAM-SHA-256'), 'scram-sha-256', 'whichever it is');
  $conn->server_start('n,,n=fred,r=abc');
  is($told, 'SCRAM-SHA-256', 'getsecret gets the registered one');
  is_deeply([$conn->listmech], ['SCRAM-SHA-256', 'PLAIN'], 'what is offered are registered names');
};

# The loop of AnyEvent::XMPP's writer: the list becomes shorter until it is empty.
sub tries_of {
  my ($list, %callback) = @_;
  my @left = split / /, $list;
  for my $tries (1 .. 10) {
    my $conn = client("@left", %callback);
    $conn->client_start;
    return $tries unless $conn->error;
    @left = grep { $_ ne $conn->mechanism } @left;
    return $tries unless @left;
  }
  return 'endless';
}
is(tries_of('plain login', pass => "pen\0cil"), 2, 'a list in lower case is tried once for each name');
is(tries_of('Scram-Sha-256 scram-sha-1 PLAIN', pass => ''), 3, 'in any case');

my $alone = Loopback::missing();

# Net::SMTP against a server that lists these names.
sub server {
  my ($list) = @_;
  my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "listen: $!";
  my $pid = fork;
  die "fork: $!" unless defined $pid;
  if (!$pid) {
    alarm 60;
    my $socket = $listener->accept or POSIX::_exit(1);
    $socket->autoflush(1);
    print $socket "220 mail.example.org\r\n";
    while (my $line = <$socket>) { print $socket $line =~ /^EHLO/ ? "250-mail.example.org\r\n250 AUTH $list\r\n" : "535 no\r\n" }
    POSIX::_exit(0);
  }
  return ($listener->sockport, $pid);
}

SKIP: for my $list ('plain', 'PLAIN plain', 'scram-sha-256 Login Plain') {
  skip $alone, 2 if $alone;
  my ($port, $pid) = server($list);
  my $smtp = Net::SMTP->new('127.0.0.1', Port => $port, Timeout => 10) or die "connect: $@";
  my $in = eval {
    local $SIG{ALRM} = sub { die "endless\n" };
    alarm 20;
    my $result = $smtp->auth('fred', "pen\0cil");
    alarm 0;
    $result;
  };
  ok(!$in, "Net::SMTP, AUTH $list: no login");
  unlike($@, qr/endless/, 'and it returns');
  close $smtp;
  kill 'TERM', $pid;
  waitpid $pid, 0;
}

done_testing;
