#!perl -T
# Under -T, data from the peer is tainted wherever a program gets it, even if the message itself no longer is (base64 decoders
# lose the taint), and so is data computed from a tainted value of the program.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Scalar::Util qw(tainted);
use Test::More;
use Authen::SASL qw(Rust);

my $TAINT = substr $ENV{PATH} // $0, 0, 0;
plan skip_all => 'this perl has no taint mode' unless ${^TAINT} && tainted($TAINT);

sub client { my ($mechanism, %callback) = @_; return Authen::SASL->new(mechanism => $mechanism, callback => {%callback})->client_new('ldap', 'h') }
sub server { my ($mechanism, %callback) = @_; return Authen::SASL->new(mechanism => $mechanism, callback => {%callback})->server_new('ldap', 'h') }

sub is_tainted { my ($value, $name) = @_; my $is = tainted($value); ok($is, "$name is tainted") }
sub is_clean { my ($value, $name) = @_; my $is = tainted($value); ok(defined $value && !$is, "$name is not") }

subtest 'a server' => sub {
  my %seen;
  my $conn = server('PLAIN',
    checkpass => sub { my ($self, $query) = @_; $seen{"checkpass $_"} = tainted($query->{$_}) for keys %$query; return 1 },
    authorize => sub { my ($self, @arg) = @_; $seen{"authorize $_"} = tainted($arg[$_]) for 0, 1; return 1 },
    canonuser => sub { $seen{canonuser} = tainted($_[4]); return $_[4] });
  $conn->server_start("wilma\0../fred\0pencil");
  ok($conn->is_success, 'logged in') or diag $conn->error;
  ok($seen{$_}, "$_ is tainted") for 'checkpass user', 'checkpass pass', 'checkpass authname', 'authorize 0', 'authorize 1', 'canonuser';
  is_tainted($conn->property($_), "property $_") for qw(user authcid authuser authzid);
  is_tainted($conn->answer($_), "answer $_") for qw(user username authname);
  is_tainted($conn->user, 'user');
  is_clean($conn->mechanism, 'the name of the mechanism');
  is_clean($conn->service, 'the service');
  my $refused = server('PLAIN', checkpass => sub { 1 });
  $refused->server_start("wilma\0fred\0pencil");
  is_tainted($refused->error, 'error');
  my $challenge = server('SCRAM-SHA-256', getsecret => sub { 'pencil' });
  is_tainted($challenge->server_start('n,,n=fred,r=abc'), 'a message that repeats what the peer said');
  my $first = server('LOGIN', checkpass => sub { 1 });
  is_clean($first->server_start(undef), 'a message before the peer has said anything');
};

subtest 'a client' => sub {
  my $conn = client('SCRAM-SHA-1', user => 'fred', pass => 'pencil');
  is_clean($conn->client_start, 'the first message');
  $conn->client_step('e=evil-words');
  like($conn->error, qr/evil-words/, 'the error repeats what the server said');
  is_tainted($conn->error, 'error');
  is_clean($conn->property('authcid'), "the program's own name");
  my @realms;
  my $digest = client('DIGEST-MD5', user => 'fred', pass => 'x', realm => sub { my ($self, @arg) = @_; @realms = map { tainted($_) } @arg; return 'b' });
  $digest->client_start;
  is_tainted($digest->client_step('realm="a",realm="b",nonce="OA6MG9tEQGm2hh",qop="auth",algorithm=md5-sess'), 'an answer');
  is_deeply(\@realms, [1, 1], 'offered realms are tainted');
  is_tainted($digest->property('realm'), 'the realm');
};

subtest 'tainted values of the program' => sub {
  my $conn = client('PLAIN', user => "fred$TAINT", pass => 'x');
  is_tainted($conn->client_start, 'a message with a tainted name');
  is_tainted($conn->property('authcid'), 'property');
  $conn = client('PLAIN', user => 'fred', pass => sub { "x$TAINT" });
  is_tainted($conn->client_start, 'a message with a tainted password');
  my $server = server('PLAIN', checkpass => sub { 1 });
  my $name = "example.org$TAINT";
  $server->property(realm => $name);
  is_tainted($server->property('realm'), 'an option');
  is_clean(server('PLAIN', checkpass => sub { 1 })->property('host'), 'an option of another connection');
  $name = "h$TAINT";
  my $sasl = Authen::SASL->new(mechanism => 'PLAIN', callback => { checkpass => sub { 1 } });
  is_tainted($sasl->server_new('imap', $name)->host, 'the host');
  is_tainted($sasl->server_new('imap', 'h', { realm => $name })->property('realm'), 'an option in the hash');
};

subtest 'layers' => sub {
  my $plain = client('PLAIN', user => 'fred', pass => 'x');
  is_tainted($plain->decode('x'), 'decoded without a layer');
  is_clean($plain->encode('x'), 'encoded');
  my $text = "x$TAINT";
  is_tainted($plain->encode($text), 'encoded from a tainted text');
  my ($client, $server) = (client('DIGEST-MD5', user => 'fred', pass => 'pencil'), server('DIGEST-MD5', getsecret => sub { 'pencil' }));
  my $message = $server->server_start('');
  $client->client_start;
  $client->client_step($server->server_step($client->client_step($message)));
  cmp_ok($client->property('ssf') || 0, '>', 0, 'there is a layer');
  is_tainted($server->decode($client->encode('x')), 'decoded');
};

done_testing;
