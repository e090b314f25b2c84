# SCRAM upgrade tasks of XMPP (XEP-0480): the server says what it wants, the client sends a salted password, the server stores a verifier.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use Authen::SASL::Rust::UpgradeTask;

my $class = 'Authen::SASL::Rust::UpgradeTask';

for my $hash (qw(SHA-1 SHA-224 SHA-256 SHA-384 SHA-512 SHA3-512)) {
  my $wanted = $class->new(mechanism => "SCRAM-$hash", iterations => 4096);
  is($wanted->name, "UPGR-SCRAM-$hash", $wanted->name);
  my $task = $class->of_name($wanted->name);
  my $salted = $task->salted_password(password => "pen\x{ad}cil", salt => $wanted->salt, iterations => $wanted->iterations);
  my $verifier = $wanted->verifier($salted);
  is($verifier, Authen::SASL::Rust->scram_verifier(password => 'pencil', mechanism => "SCRAM-$hash", salt => $wanted->salt, iterations => 4096),
    'the verifier is that of the prepared password');
  my $client = Authen::SASL->new(mechanism => "SCRAM-$hash", callback => { user => 'u', pass => 'pencil' })->client_new('xmpp', 'h');
  my $server = Authen::SASL->new(mechanism => "SCRAM-$hash", callback => { getsecret => sub { $verifier } })->server_new('xmpp', 'h');
  $client->client_step($server->server_step($client->client_step($server->server_start($client->client_start))));
  ok($client->is_success, 'with which the client logs in');
}

# The example of XEP-0480 §2.3: RFC 5802's salt and count; the salted password computed with Python 3.11 hashlib.
my $salt = pack 'H*', '4125c247e43ab1e93c6dff76';
is(unpack('H*', $class->of_name('UPGR-SCRAM-SHA-1')->salted_password(password => 'pencil', salt => $salt, iterations => 4096)),
  '1d96ee3a529b5a5f9e47c01f229a2cb8a6e15f7d', 'a known salted password');

my %count = map { $_ => $class->new(mechanism => "SCRAM-$_")->iterations } qw(SHA-1 SHA-256 SHA-384 SHA-512 SHA3-512);
is_deeply(\%count, { 'SHA-1' => 4096, 'SHA-256' => 4096, 'SHA-384' => 10000, 'SHA-512' => 10000, 'SHA3-512' => 10000 }, 'the usual counts');
my %salt = map { $class->new(mechanism => 'SCRAM-SHA-1')->salt => 1 } 1 .. 20;
is_deeply([scalar(keys %salt), { map { length, 1 } keys %salt }], [20, { 16 => 1 }], 'salts are random');

for my $name (undef, '', 'UPGR-', 'UPGR-PLAIN', 'UPGR-SCRAM-SHA-256-PLUS', 'UPGR-SCRAM-MD5', 'SCRAM-SHA-256', "UPGR-SCRAM-SHA-256\n", 'upgr-scram-sha-256') {
  is($class->of_name($name), undef, 'no task: ' . (defined $name ? $name : 'undef'));
}
for my $case (
  [sub { $class->new }, qr/mechanism: the name of a SCRAM mechanism without -PLUS was expected/],
  [sub { $class->new(mechanism => 'SCRAM-SHA-256-PLUS') }, qr/without -PLUS/],
  [sub { $class->new(mechanism => 'SCRAM-SHA-256', iterations => 4095) }, qr/iterations: a number from 4096 to 2000000 was expected/],
  [sub { $class->new(mechanism => 'SCRAM-SHA-256', salted => 1) }, qr/unknown argument/],
  [sub { $_[0]->salted_password(password => 'p', salt => 's', iterations => 4095) }, qr/iterations: a number from 4096 to 2000000/],
  [sub { $_[0]->salted_password(password => 'p', salt => 's', iterations => 2_000_001) }, qr/iterations: a number from 4096 to 2000000/],
  [sub { $_[0]->salted_password(password => 'p', salt => 's', iterations => 9000, min_iterations => 10_000) }, qr/iterations: a number from 10000/],
  [sub { $_[0]->salted_password(password => 'p', salt => '', iterations => 4096) }, qr/salt: 1 to 1023 bytes/],
  [sub { $_[0]->salted_password(password => '', salt => 's', iterations => 4096) }, qr/the password is empty/],
  [sub { $_[0]->salted_password(password => "\a", salt => 's', iterations => 4096) }, qr/the password/],
  [sub { $_[0]->salted_password(salt => 's', iterations => 4096) }, qr/a password and a salt are required/],
  [sub { $class->new(mechanism => 'SCRAM-SHA-256')->verifier('short') }, qr/salted_password: a salted password of the hash's length/],
  [sub { $class->new(mechanism => 'SCRAM-SHA-256')->verifier(undef) }, qr/a salted password was expected/],
  [sub { $class->new(mechanism => 'SCRAM-SHA-256')->verifier("\x{100}" x 32) }, qr/Wide character/],
  [sub { $_[0]->verifier('x' x 32) }, qr/was not made by new/],
) {
  my ($code, $words) = @$case;
  ok(!eval { $code->($class->of_name('UPGR-SCRAM-SHA-256')); 1 }, "refused: $words");
  like($@, $words, 'with the reason');
  like($@, qr/ at \Q$0\E line /, 'and the line of the program') unless $@ =~ /Wide/;
}

done_testing;
