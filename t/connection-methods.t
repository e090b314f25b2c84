# Methods of a connection: checkpass with only getsecret, and methods of the other side.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);

sub server {
  my (%callback) = @_;
  return Authen::SASL->new(mechanism => 'PLAIN SCRAM-SHA-256', callback => \%callback)
    ->server_new('imap', 'mail.example.org', { realm => 'example.org' });
}

subtest 'checkpass with getsecret alone' => sub {
  my @asked;
  my %stored = (
    fred => 'pencil',
    anna => Authen::SASL::Rust->scram_verifier(password => 'chalk'),
    "ren\xe9e" => "cr\xe8me",
    'j@example.org' => 'x',
  );
  my $conn = server(getsecret => sub { push @asked, [@_[0, 1]]; return $stored{ $_[1]{user} } });
  is($conn->checkpass('fred', 'pencil'), 1, 'right');
  is($asked[-1][0], $conn, 'the callback gets the connection');
  is_deeply([@{ $asked[-1][1] }{qw(user mechanism realm)}], ['fred', 'PLAIN', 'example.org'], 'and the question');
  is($conn->checkpass('fred', 'crayon'), 0, 'wrong');
  is($conn->checkpass('nobody', 'pencil'), 0, 'an unknown user');
  is($conn->checkpass('anna', 'chalk'), 1, 'a verifier');
  is($conn->checkpass('anna', $stored{anna}), 0, 'whose text is not a password');
  is($conn->checkpass(@$_), 0, 'nothing is right') for ['fred', ''], ['fred', undef], ['', 'x'], [undef, 'x'], [];
  is($conn->checkpass("fred\0fred", 'pencil'), 0, 'nor is what holds a NUL');
  is($conn->checkpass("anna\0fred\0pencil", 'pencil'), 0, 'wherever');
  is($conn->checkpass('fred', "pencil\0"), 0, 'also in the password');
  ok(!$conn->is_success && !defined $conn->error && !defined $conn->mechanism, 'the connection has no exchange from it');

  is(server(getsecret => 'pencil')->checkpass('anybody', 'pencil'), 1, 'a string');
  is(server(getsecret => [sub { $_[1] }, 'own'])->checkpass('fred', 'own'), 1, 'an array with its own values');
  is(server(getsecret => sub { $_[2]->('pencil'); return })->checkpass('fred', 'pencil'), 1, 'an answer by the continuation');
  is(server(getsecret => sub { $stored{ $_[1]{user} } }, canonuser => sub { lc $_[4] })->checkpass('FRED', 'pencil'), 1,
    'canonuser has its say');
  is(server(getsecret => sub { 'pencil' }, checkpass => sub { $_[1]{pass} eq 'other' })->checkpass('fred', 'other'), 1,
    'checkpass comes first');
  is(server(checktoken => sub { })->checkpass('fred', 'pencil'), 0, 'with neither, no password is right')
    if eval { server(checktoken => sub { }) };
  for my $encoded ("ren\xc3\xa9e", "ren\xe9e") {
    my $name;
    server(getsecret => sub { $name = $_[1]{user}; undef })->checkpass($encoded, 'x');
    utf8::decode($name) unless utf8::is_utf8($name);
    is($name, "ren\xe9e", 'names are what they are in an exchange');
  }
  for my $characters (0, 1) {
    my $name;
    my $conn = server(getsecret => sub { $name = $_[1]{user}; undef });
    $conn->property(characters => $characters);
    $conn->checkpass("ren\xc3\xa9e", 'x');
    is($name, $characters ? "ren\xe9e" : "ren\xc3\xa9e", "characters => $characters: as it says");
  }
  local $Authen::SASL::Rust::DIE_ON_FAILURE = 1;
  is(server(getsecret => 'pencil')->checkpass('fred', 'crayon'), 0, 'a wrong password does not die');
};

subtest 'checkpass that has no answer dies with the reason' => sub {
  my $why = sub { my ($conn) = @_; return eval { $conn->checkpass('fred', 'pencil'); 1 } ? 'it lives' : $@ };
  like($why->(server(getsecret => sub { die "the directory is down\n" })), qr/\Athe directory is down$/, 'an exception');
  my @kept;
  like($why->(server(getsecret => sub { push @kept, $_[2]; return })), qr/\Acheckpass: .*kept its continuation/,
    'an answer that would come later');
};

subtest 'checkpass of a user whose secret is no use' => sub {
  my @log;
  my $conn = server(getsecret => sub { 'SCRAM-SHA-256$broken' }, log => [sub { push @log, [@_] }, 'own']);
  is(eval { $conn->checkpass('fred', 'pencil') }, 0, 'is a no: what dies for some users tells that they exist');
  is($log[0][0], $conn, 'the log is told on this connection');
  is_deeply([@{ $log[0] }[1, 2]], ['own', 1], 'with its own value and the level');
  like($log[0][3], qr/user 'fred': the stored secret \(callback getsecret or accounts\) is a malformed verifier; SCRAM-<hash>\$iterations:salt\$StoredKey:ServerKey was expected/, 'and the reason');
};

subtest 'methods of the other side' => sub {
  my $client = Authen::SASL->new(mechanism => 'PLAIN', callback => { user => 'fred', pass => 'pencil' })->client_new('imap', 'h');
  my $server = server(getsecret => sub { 'pencil' });
  $server->mechanism('PLAIN');
  for my $case (
    [$client, server_start => "\0fred\0pencil"], [$client, server_step => ''], [$server, 'client_start'], [$server, client_step => ''],
  ) {
    my ($conn, $method, @arg) = @$case;
    my ($is, $theirs) = $conn == $client ? qw(client server) : qw(server client);
    ok(!eval { $conn->$method(@arg); 1 }, "$method of a $is dies");
    like($@, qr/\A$method: this connection is a $is, but the method is a ${theirs}'s at /, 'and says why');
    ok(!$conn->is_success && !defined $conn->error, 'and nothing has happened');
  }
  is($client->client_start, "\0fred\0pencil", 'the right one works');
  $server->server_start("\0fred\0pencil");
  ok($server->is_success, 'on both sides');
};

done_testing;
