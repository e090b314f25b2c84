# SCRAM keys at a real PostgreSQL: a client stores them in place of its password, and a proxy logs in behind itself as the user who has logged
# in at its front, whose verifier it has.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use lib 'xt/lib';
use Test::More;
use IO::Socket::INET ();
use Authen::SASL qw(Rust);
use Server::Postgres ();

my $server = Server::Postgres->start;
$server->sql(q{SET password_encryption = 'scram-sha-256'; CREATE ROLE fred LOGIN PASSWORD 'pencil'});
{
  my $file = $server->dir . '/data/pg_hba.conf';
  open my $in, '<', $file or die "$file: $!";
  my $rules = do { local $/; <$in> };
  open my $out, '>', $file or die "$file: $!";
  print {$out} "host all fred 127.0.0.1/32 scram-sha-256\n$rules";
  close $out or die "$file: $!";
  $server->sql('SELECT pg_reload_conf()');
}

# The messages of PostgreSQL's protocol: a type and a length before each, except the first one of a client.
sub say_to {
  my ($socket, $type, $body) = @_;
  syswrite $socket, $type . pack('N', 4 + length $body) . $body or die "write: $!";
  return;
}

sub heard {
  my ($socket) = @_;
  read($socket, my $head, 5) == 5 or die "the server has closed the connection\n";
  my ($type, $length) = unpack 'a N', $head;
  read($socket, my $body, $length - 4) == $length - 4 or die "the server has closed the connection\n" if $length > 4;
  return ($type, defined $body ? $body : '');
}

# Logs in as fred with a client; the socket if the server accepts it.
sub login {
  my ($client) = @_;
  my $socket = IO::Socket::INET->new(($server->addresses)[0]) or die "connect: $@";
  say_to($socket, '', pack('N', 196_608) . "user\0fred\0database\0postgres\0\0");
  while (1) {
    my ($type, $body) = heard($socket);
    return undef if $type eq 'E';
    next if $type ne 'R';
    my ($what, $data) = unpack 'N a*', $body;
    if ($what == 10) {
      my $first = $client->client_start;
      say_to($socket, 'p', $client->property('mechname') . "\0" . pack('N/a*', $first));
    }
    elsif ($what == 11 || $what == 12) {
      my $said = $client->client_step($data);
      return undef unless defined $said;
      say_to($socket, 'p', $said) if $what == 11;
    }
    elsif ($what == 0) { return $client->is_success ? $socket : undef }
    else               { die "an unknown request for authentication: $what\n" }
  }
}

sub asked {
  my ($socket, $query) = @_;
  say_to($socket, 'Q', "$query\0");
  my $row;
  while (1) {
    my ($type, $body) = heard($socket);
    $row = unpack 'x2 N/a*', $body if $type eq 'D';
    die "the query failed: $body\n" if $type eq 'E';
    return $row if $type eq 'Z' && defined $row;
  }
}

sub client { my (%callback) = @_; return Authen::SASL->new(mechanism => 'SCRAM-SHA-256', callback => { user => 'fred', %callback })->client_new('postgresql', 'localhost') }

my $kept;
my $socket = login(client(pass => 'pencil', keep_scram_keys => sub { $kept = $_[1]{text} }));
ok($socket, 'a login with the password');
is(asked($socket, 'SELECT current_user'), 'fred', 'is one of fred');
my $conn = client(scram_keys => $kept);
$socket = login($conn);
ok($socket, 'a login with the keys that were kept') or diag $conn->error;
is(asked($socket, 'SELECT current_user'), 'fred', 'is one of fred, too');
my $wrong = $kept;
$wrong =~ s/ (\S+) (\S+)\z/ $2 $1/;
$conn = client(scram_keys => $wrong);
is(login($conn), undef, 'other keys are refused');

# The proxy has the verifiers of the database.
my $verifier = $server->sql(q{SELECT rolpassword FROM pg_authid WHERE rolname = 'fred'});
$verifier =~ s/\s+\z//;
my $behind;
my $front = Authen::SASL->new(
  mechanism => 'SCRAM-SHA-256',
  callback => {
    getsecret => sub { $_[1]{user} eq 'fred' ? $verifier : undef },
    keep_scram_keys => sub { my ($conn, $keys) = @_; $behind = login(client(user => $keys->{user}, scram_keys => $keys)) },
  },
);
sub through {
  my ($client) = @_;
  my $proxy = $front->server_new('postgresql', 'localhost');
  undef $behind;
  my ($last) = $proxy->server_step($client->client_step($proxy->server_start($client->client_start)));
  $client->client_step($last) if defined $last;
  return $client->is_success;
}
ok(through(client(pass => 'pencil')), 'a client logs in at the proxy');
ok($behind, 'which logs in behind without the password');
is(asked($behind, 'SELECT current_user'), 'fred', 'as the same user');
ok(!through(client(pass => 'rubber')), 'a wrong password at the proxy');
is($behind, undef, 'leads to no login behind');

$server->sql(q{SET password_encryption = 'scram-sha-256'; ALTER ROLE fred PASSWORD 'pencil'});
$conn = client(scram_keys => $kept);
is(login($conn), undef, 'after the password was set again, the keys are useless');
like($conn->error, qr/do not fit, and there is no password \(callback pass\): the server has another salt/, 'and the error says why');
my $new;
ok(login(client(scram_keys => $kept, pass => 'pencil', keep_scram_keys => sub { $new = $_[1]{text} })), 'with a password too, it is used');
isnt($new, $kept, 'and gives new keys');
ok(login(client(scram_keys => $new)), 'which log in');

done_testing;
