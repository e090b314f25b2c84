# What an error names: the callback, and the line of the program that passed a wrong value.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use TwoSides qw(client server);

subtest 'callbacks' => sub {
  my $object = bless {}, 'Own::Object';
  my $digest = 'realm="a",realm="b",nonce="OA6MG9tEQGm2hh",qop="auth",algorithm=md5-sess';
  my $bearer = "n,,\x01auth=Bearer abc\x01\x01";
  my $plain = sub { my (%cb) = @_; my $c = client('PLAIN', user => 'fred', pass => 'x', %cb); $c->client_start; $c };
  my $realm = sub { my ($cb) = @_; my $c = client('DIGEST-MD5', user => 'fred', pass => 'x', realm => $cb); $c->client_start; $c->client_step($digest); $c };
  my $server = sub { my (%cb) = @_; my $s = server('PLAIN', checkpass => sub { 1 }, %cb); $s->server_start("wilma\0fred\0pencil"); $s };
  my $token = sub { my ($cb) = @_; my $s = server('OAUTHBEARER', checktoken => $cb); $s->server_start($bearer); $s };
  my ($code, $text) = (qr/a code reference, or an array that begins with one was expected/, qr/a string, a code reference, or an array that begins/);
  my $returned = qr/where a plain value was expected/;
  for my $case (
    ['user', $plain->(user => {}), qr/is a hash reference; $text/],
    ['pass', $plain->(pass => \'x'), qr/is a reference; $text/],
    ['pass', $plain->(pass => sub { [1] }), qr/returned an array reference $returned/],
    ['pass', $plain->(pass => sub { sub { } }), qr/returned a code reference $returned/],
    ['authname', $plain->(authname => []), qr/is an array reference; $text/],
    ['authcid', $plain->(authcid => $object), qr/is an object; $text/],
    ['authzid', $plain->(authzid => sub { {} }), qr/returned a hash reference/],
    ['canonuser', $plain->(canonuser => 'fred'), qr/is a string; $code/],
    ['canonuser', $plain->(canonuser => sub { [] }), qr/returned an array reference/],
    ['realm', $realm->({}), qr/is a hash reference; $text/],
    ['realm', $realm->(sub { {} }), qr/returned a hash reference/],
    ['checkpass', $server->(checkpass => 'x'), qr/is a string; $code/],
    ['checkpass', $server->(checkpass => sub { {} }), qr/returned a hash reference/],
    ['getsecret', $server->(checkpass => undef, getsecret => sub { [1] }), qr/returned a reference that is not a SCRAM verifier/],
    ['getsecret', $server->(checkpass => undef, getsecret => {}), qr/is a hash reference; $text/],
    ['getsecret', $server->(checkpass => undef, getsecret => sub { { a => 1 } }), qr/returned a reference that is not a SCRAM verifier/],
    ['authorize', $server->(authorize => 'yes'), qr/is a string; $code/],
    ['checktoken', $token->('fred'), qr/is a string; $code/],
    ['checktoken', $token->(sub { [] }), qr/returned an array reference/],
  ) {
    my ($name, $conn, $what) = @$case;
    like($conn->error, qr/: callback $name $what/, "$name: " . $conn->error);
    unlike($conn->error, qr/\(0x/, 'no address');
  }
  for my $place (['user', client('PLAIN', user => sub { die "x\n" }, pass => 'x')], ['pass', client('PLAIN', user => sub { 'x' }, pass => sub { die "x\n" })],
    ['canonuser', client('PLAIN', user => 'x', pass => 'x', canonuser => sub { die "x\n" })])
  {
    my ($name, $conn) = @$place;
    ok(!eval { $conn->client_start; 1 }, "$name dies");
    like($conn->error, qr/callback $name died or was left without returning/, 'and is named');
  }
  my $conn = server('PLAIN', checkpass => sub { 1 }, authorize => sub { die "x\n" });
  ok(!eval { $conn->server_start("wilma\0fred\0x"); 1 }, 'authorize dies');
  like($conn->error, qr/callback authorize died/, 'and is named, not the one before');
};

# The line and file of an exception.
sub place { my ($code) = @_; return eval { $code->(); 1 } ? 'no exception' : $@ =~ / at (\S+) line (\d+)\.?$/m ? "$1 $2" : $@ }

subtest 'lines' => sub {
  my $conn = client('PLAIN', user => 'fred', pass => 'x');
  my $sasl = Authen::SASL->new(mechanism => 'PLAIN', callback => { user => 'fred', pass => 'x' });
  my $here = __FILE__ . ' ';
  is(place(sub { $conn->property(maxssf => -1) }), $here . __LINE__, 'a number out of its range');
  is(place(sub { $conn->property(min_iterations => -5) }), $here . __LINE__, 'a negative number');
  is(place(sub { $conn->property(minssf => []) }), $here . __LINE__, 'a reference');
  is(place(sub { $conn->property(ssf => 1) }), $here . __LINE__, 'what cannot be set');
  is(place(sub { $conn->property(channel_binding => { 'tls-exporter' => '' }) }), $here . __LINE__, 'an empty binding');
  is(place(sub { $sasl->client_new('imap', 'h', 'noplain') }), $here . __LINE__, 'wrong flags');
  is(place(sub { $sasl->client_new('imap', 'h', { secflags => 'noplain' }) }), $here . __LINE__, 'wrong flags in a hash');
  is(place(sub { $sasl->client_new('imap', 'h', { minssf => [] }) }), $here . __LINE__, 'a reference in a hash');
  my $list = Authen::SASL->new(mechanism => ['PLAIN', 'LOGIN'], callback => { user => 'fred', pass => 'x' });
  is(place(sub { $list->client_new('imap', 'h') }), $here . __LINE__, 'mechanisms as an array');
  like($@, qr/^mechanism: a string with names was expected, but this is an array reference/, 'with what is wrong');
  is(place(sub { Authen::SASL::Rust->scram_verifier(password => 'x', salt => 'y', spelling => 'none') }), $here . __LINE__, 'scram_verifier');
};

done_testing;
