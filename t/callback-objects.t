# Objects that overload &{} are callbacks, and the object that supplies the token hears of its refusal.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use TwoSides qw(client server);

{
  package Answer;
  use overload '&{}' => sub { my ($self) = @_; return sub { $$self } }, fallback => 1;
  package Answer::Of::Subclass;
  our @ISA = ('Answer');
  package Named;
  use overload '&{}' => 'code', fallback => 1;
  sub code { my ($self) = @_; return sub { $$self } }
  package Text;
  use overload '""' => sub { ${ $_[0] } }, fallback => 1;
}
my $value = 'fred';
for my $class (qw(Answer Answer::Of::Subclass Named Text)) {
  my $object = bless \$value, $class;
  for my $form ($class eq 'Text' ? $object : ($object, [$object, 1])) {
    my $client = client('PLAIN', user => $form, pass => 'pencil');
    is($client->client_start, "\0fred\0pencil", "$class, " . (ref $form eq 'ARRAY' ? 'in an array' : 'itself'));
  }
}
my $yes = bless \(my $one = 1), 'Answer';
my $server = server('PLAIN', checkpass => $yes);
$server->server_start("\0fred\0pencil");
ok($server->is_success, 'on a server');
is($server->checkpass('fred', 'pencil'), 1, 'by the method checkpass');
is(server('PLAIN', checkpass => $yes, setpass => $yes)->setpass('fred', 'x', 0), 1, 'by the method setpass');
is(server('PLAIN', checkpass => [$yes], setpass => [$yes])->setpass('fred', 'x', 0), 1, 'in an array');
my $realm = server('DIGEST-MD5', getsecret => sub { 'pencil' }, realm => bless \(my $name = 'example.org'), 'Answer');
like($realm->server_start(undef), qr/realm="example\.org"/, 'the realm');

# A connection notifies the object whose token its server has refused.
{
  package Source;
  use overload '&{}' => sub { my ($self) = @_; return sub { 'vF9dft4qmT' } }, fallback => 1;
  sub new { return bless { refused => [] }, $_[0] }
  sub refused { my ($self, $conn) = @_; push @{ $self->{refused} }, $conn->mechanism; return }
  package Source::Deaf;
  use overload '&{}' => sub { return sub { 'vF9dft4qmT' } }, fallback => 1;
  package Source::Dies;
  our @ISA = ('Source');
  sub refused { die "no more\n" }
}

for my $mechanism (qw(OAUTHBEARER XOAUTH2)) {
  my $source = Source->new;
  my $client = client($mechanism, user => 'fred', token => $source);
  $client->client_start;
  is_deeply($source->{refused}, [], "$mechanism: not yet");
  $client->client_step('{"status":"invalid_token"}');
  is_deeply($source->{refused}, [$mechanism], "$mechanism: told of the refusal");
  $client->client_step('again');
  is_deeply($source->{refused}, [$mechanism], 'once');
  $client->property(die_on_failure => 1);
  $client->client_start;
  ok(!eval { $client->client_step('{"status":"401"}'); 1 }, 'with die_on_failure');
  is($@->code, -13, 'the exception is that of the connection');
  is(scalar @{ $source->{refused} }, 2, 'and the object is told too');
}
my $source = Source->new;
my $client = client('OAUTHBEARER', user => 'fred', token => $source);
$client->client_start;
$client->client_step('');
is_deeply($source->{refused}, [], 'a broken server has not refused');
$client = client('OAUTHBEARER', user => "fr\0ed", token => $source);
$client->client_start;
ok($client->error, 'a client that fails by itself');
is_deeply($source->{refused}, [], 'has not been refused');
$client = client('SCRAM-SHA-256 XOAUTH2', user => 'fred', pass => 'pencil', token => $source);
my ($nonce) = $client->client_start =~ /,r=(.*)/;
$client->client_step("r=${nonce}x,s=AAAA,i=4096");
$client->client_step('e=invalid-proof');
is($client->code, -13, 'a password was refused');
is_deeply($source->{refused}, [], 'and not a token');
$server = server('OAUTHBEARER', checktoken => sub { +{} }, token => $source);
$server->server_start("n,,\x01auth=Bearer x\x01\x01");
$server->server_step("\x01");
is($server->code, -13, 'a server that refuses');
is_deeply($source->{refused}, [], 'tells no client');
$client = client('OAUTHBEARER', user => 'fred', token => bless {}, 'Source::Deaf');
$client->client_start;
is($client->client_step('{}'), "\x01", 'an object without the method');
$client = client('OAUTHBEARER', user => 'fred', token => bless { refused => [] }, 'Source::Dies');
$client->client_start;
ok(!eval { $client->client_step('{}'); 1 }, 'one that dies');
is($@, "no more\n", 'unchanged');
ok(!$client->need_step, 'and the exchange has ended');

done_testing;
