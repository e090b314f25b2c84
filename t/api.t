# The methods and what they return: in list and in scalar context, at each point of an exchange.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use TwoSides qw(client server);

my %fred = (user => 'fred', pass => 'pencil');
my $PLAIN = "\0fred\0pencil";
sub pencil { return $_[1]{user} eq 'fred' ? 'pencil' : undef }

subtest 'methods' => sub {
  can_ok(ref client('PLAIN', %fred), qw(
    client_start client_step server_start server_step need_step property mechanism service host is_success
    error code answer callback encode decode securesocket tiesocket listmech global_listmech checkpass setpass user
    _order _acceptable
  ));
  can_ok('Authen::SASL::Rust', qw(client_new server_new global_listmech));
  isa_ok(client('PLAIN', %fred), 'Authen::SASL::Rust::Connection');
};

subtest 'a client that ends with its message' => sub {
  my $conn = client('PLAIN', %fred);
  is($conn->service, 'imap', 'service');
  is($conn->host, 'mail.example.org', 'host');
  is($conn->mechanism, 'PLAIN', 'mechanism');
  ok($conn->need_step, 'need_step before the start');
  ok(!$conn->is_success, 'no success yet');
  is_deeply([$conn->client_start], [$PLAIN], 'one element in list context');
  ok(!$conn->need_step, 'PLAIN ends with its message: need_step does not stay true');
  ok($conn->is_success, 'and is a success');
  is_deeply([$conn->error], [undef], 'error: one undef, in list context too');
  is($conn->code, 0, 'code');
  is($conn->property('message_absent'), 0, 'there was a message');
  is(scalar $conn->client_start, $PLAIN, 'scalar context, and a new exchange on the same object');
  is($conn->_order, 10, 'rank');
  ok($conn->_acceptable, '_acceptable');
};

subtest 'mechanisms that end with the message of the client' => sub {
  my %both = (%fred, authname => 'fred', token => 'abc');
  for my $case (['PLAIN'], ['EXTERNAL'], ['ANONYMOUS'], ['XOAUTH2'], ['OAUTHBEARER'], ['CRAM-MD5', '<1.2@h>'], ['LOGIN', 'User', 'Pass']) {
    my ($mechanism, @challenges) = @$case;
    my $conn = client($mechanism, %both);
    $conn->client_start;
    for my $challenge (@challenges) {
      ok($conn->need_step && !$conn->is_success, "$mechanism: not yet");
      $conn->client_step($challenge);
    }
    ok(!$conn->need_step && $conn->is_success, "$mechanism: done, need_step does not stay true");
  }
};

subtest 'absent is not empty' => sub {
  my $login = client('LOGIN', %fred);
  is_deeply([$login->client_start], [''], 'the server speaks first: one element all the same');
  ok($login->property('message_absent'), 'absent');
  ok($login->need_step, 'and waits for the server');
  is($login->client_step('Username:'), 'fred', 'its first answer');
  ok(!$login->property('message_absent'), 'is there');

  my $external = client('EXTERNAL');
  is_deeply([$external->client_start], [''], 'EXTERNAL without an identity');
  ok(!$external->property('message_absent'), 'is an empty message');

  my $server = server('PLAIN', getsecret => \&pencil);
  is_deeply([$server->server_start(undef)], [''], 'no initial response where the client goes first: an empty challenge');
  ok(!$server->property('message_absent'), 'which is sent');
  ok($server->need_step, 'the response is needed');
  is_deeply([$server->server_step($PLAIN)], [''], 'success without data');
  ok($server->property('message_absent'), 'there is none');
  ok($server->is_success && !$server->need_step, 'success');
  is_deeply([server('PLAIN', getsecret => \&pencil)->server_start], [''], 'without an argument there is no initial response');
};

subtest 'failure' => sub {
  my $server = server('PLAIN', getsecret => \&pencil);
  is_deeply([$server->server_start("\0fred\0rubber")], [], 'an empty list');
  is(scalar $server->server_start("\0fred\0rubber"), undef, 'undef in scalar context');
  ok(!$server->is_success && !$server->need_step, 'no success, and it is over');
  my @error = $server->error;
  is(scalar @error, 1, 'one string in list context');
  is("@error", 'PLAIN server: authentication failed: wrong password or unknown user (SASL_BADAUTH)', 'error');
  is($server->code, -13, 'code');
  is_deeply([$server->server_step($PLAIN)], [], 'a step after the end');
  is($server->error, $error[0], 'changes neither error');
  ok(!$server->is_success, 'nor is_success');
  is_deeply([$server->server_start($PLAIN)], [''], 'a new start');
  is($server->error, undef, 'begins with everything fresh');
  is($server->code, 0, 'code too');
  ok($server->is_success, 'and succeeds');
  is_deeply([$server->server_step('')], [], 'a step after success: nothing');
  ok($server->is_success, 'which stays');
  is($server->error, undef, 'without an error');
};

subtest 'a start in the middle' => sub {
  my $server = server('LOGIN', getsecret => \&pencil);
  $server->server_start;
  $server->server_step('wilma');
  ok($server->need_step, 'half way');
  like($server->server_start, qr/user ?name/i, 'from the beginning');
  $server->server_step('fred');
  is_deeply([$server->server_step('pencil')], [''], 'the first name is forgotten');
  is($server->property('user'), 'fred', 'user');
};

subtest 'a last message together with the error' => sub {
  my $client = client('OAUTHBEARER', user => 'fred', token => 'vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==');
  my $server = server('OAUTHBEARER', checktoken => sub { return { status => 'invalid_token', scope => 'mail' } });
  my $challenge = $server->server_start($client->client_start);
  like($challenge, qr/"status":"invalid_token"/, 'the error object is a challenge');
  ok(!defined $server->error && $server->need_step, 'the server has no error yet');
  is_deeply([$client->client_step($challenge)], ["\x01"], "the client's single 0x01");
  like($client->error, qr/^OAUTHBEARER client: the server refused: .*invalid_token/, 'error is set already');
  ok(!$client->is_success && !$client->need_step, 'no success any more');
  is_deeply([$server->server_step("\x01")], [], 'the server');
  like($server->error, qr/^OAUTHBEARER server: the token was refused \(SASL_BADAUTH\)$/, 'has its error with it');

  my $scram = server('SCRAM-SHA-256', getsecret => \&pencil);
  my $peer = client('SCRAM-SHA-256', %fred, pass => 'rubber');
  my @last = $scram->server_step($peer->client_step($scram->server_start($peer->client_start)));
  is_deeply(\@last, ['e=invalid-proof'], "SCRAM's e= is returned");
  like($scram->error, qr/^SCRAM-SHA-256 server: authentication failed/, 'with error set');
  is_deeply([$peer->client_step($last[0])], [], 'the client has nothing to say to it');
  like($peer->error, qr/invalid-proof/, 'and repeats it in its error');
};

subtest 'a server that speaks last' => sub {
  my $server = server('SCRAM-SHA-256', getsecret => \&pencil);
  my $client = client('SCRAM-SHA-256', %fred);
  my $final = $client->client_step($server->server_start($client->client_start));
  ok(!$client->is_success && $client->need_step, 'a SCRAM client has not succeeded before v=');
  my $proof = $server->server_step($final);
  like($proof, qr/^v=/, 'server-final-message');
  ok($server->is_success && !$server->need_step, 'the server is successful when it emits v=');
  is_deeply([$server->server_step('')], [''], 'one empty step, for protocols without success data');
  is_deeply([$server->server_step('')], [], 'one only');
  ok($server->is_success, 'success stays');
  is_deeply([$client->client_step($proof)], [''], 'the client verifies it');
  ok($client->property('message_absent'), 'and has no more to say');
  ok($client->is_success && !$client->need_step, 'success');

  $server->server_start($client->client_start);
  $client->client_start;
  ok(!$client->is_success, 'a new exchange has no success of the old one');

  my $digest = server('DIGEST-MD5', getsecret => \&pencil);
  my $md5 = client('DIGEST-MD5', %fred);
  $md5->client_start;
  my $rspauth = $digest->server_step($md5->client_step($digest->server_start));
  like($rspauth, qr/^rspauth=/, 'DIGEST-MD5: rspauth');
  ok($digest->is_success && !$digest->need_step, 'the server is successful when it emits it');
  ok(!$md5->is_success && $md5->need_step, 'the client is not before it has it');
  is_deeply([$digest->server_step('')], [''], 'one empty step');
  is_deeply([$md5->client_step($rspauth)], [''], 'the client takes it');
  ok($md5->is_success, 'success');
};

subtest 'a rejected proof of the server' => sub {
  for my $last ('v=' . 'A' x 43 . '=', 'v=', '', 'e=other-error', 'x', undef) {
    my $server = server('SCRAM-SHA-256', getsecret => \&pencil);
    my $client = client('SCRAM-SHA-256', %fred);
    $client->client_step($server->server_start($client->client_start));
    is_deeply([$client->client_step($last)], [], 'no message: ' . (defined $last ? "'$last'" : 'undef'));
    ok(!$client->is_success && !$client->need_step, 'no success');
    ok(defined $client->error && $client->code < 0, 'but an error');
    $client->property(die_on_failure => 1);
    $client->client_step($server->server_start($client->client_start));
    ok(!eval { $client->client_step($last); 1 }, 'a caller that ignores results hears of it by die_on_failure');
  }
};

subtest 'callers who leave something out' => sub {
  my $conn = client('PLAIN', %fred);
  is($conn->client_step(''), $PLAIN, 'client_step without client_start begins');
  ok($conn->is_success, 'and counts');
  my $sasl = Authen::SASL->new(mechanism => 'PLAIN', callback => {%fred});
  my $bare = $sasl->client_new;
  is($bare->client_start, $PLAIN, 'client_new without arguments');
  ok(!length $bare->host, 'there is no host then');
  my $server = server('PLAIN', getsecret => \&pencil);
  is_deeply([$server->server_step($PLAIN)], [], 'server_step without server_start');
  like($server->error, qr/server_step was called before server_start \(SASL_NOTINIT\)/, 'is an error');
};

subtest 'without a security layer' => sub {
  my $conn = client('PLAIN', %fred);
  $conn->client_start;
  is($conn->property('ssf'), 0, 'ssf');
  my $data = join '', map { chr } 0 .. 255;
  is($conn->encode($data), $data, 'encode');
  is($conn->decode($data), $data, 'decode');
  is($conn->securesocket(\*STDOUT), \*STDOUT, 'securesocket gives the handle back');
  is($conn->tiesocket(\*STDOUT), \*STDOUT, 'tiesocket too');
};

subtest 'answer and user' => sub {
  my $conn = client('PLAIN', %fred, authname => 'wilma', language => 'de');
  is($conn->user, 'fred', 'before the start: the callback');
  $conn->client_start;
  is($conn->answer('user'), 'fred', 'answer by the name of a callback');
  is($conn->answer('authname'), 'wilma', 'authname');
  is($conn->answer('language'), 'de', 'any other');
  is($conn->answer($_), undef, "never $_") for qw(pass password token getsecret);
  my $server = server('PLAIN', checkpass => sub { 1 });
  $server->server_start("\0barney\0x");
  is($server->answer('user'), 'barney', 'on a server');
  is($server->user, 'barney', 'user');
};

subtest 'checkpass and setpass outside of an exchange' => sub {
  my @seen;
  my $conn = server('PLAIN',
    checkpass => [sub { push @seen, [@_[1, 2]]; return $_[2]{pass} eq 'pencil' }, 'own'],
    setpass => sub { push @seen, [@_[1 .. 3]]; return 1 });
  is($conn->checkpass('fred', 'pencil'), 1, 'right');
  is_deeply($seen[0], ['own', { user => 'fred', pass => 'pencil', authname => '' }], 'its own value, then the question');
  is($conn->checkpass('fred', 'rubber'), 0, 'wrong');
  is($conn->checkpass('fred', ''), 0, 'an empty password is refused unasked');
  is(scalar @seen, 2, 'indeed');
  is($conn->setpass('fred', 'new', 4), 1, 'setpass');
  is_deeply($seen[2], ['fred', 'new', 4], '($conn, $user, $password, $flags)');
  my $late = server('PLAIN', checkpass => sub { $_[2]->(undef); $_[2]->(1); return 1 });
  is($late->checkpass('fred', 'x'), 0, 'the first answer holds');
  my $stored;
  is(server('PLAIN', checkpass => sub { $stored = $_[2] })->checkpass('fred', 'x'), 0, 'a kept continuation does not count as true');
  is(server('PLAIN', getsecret => \&pencil)->setpass('fred', 'x'), 0, 'without the callback');
};

subtest 'die_on_failure' => sub {
  for my $way (
    ['a property', sub { my $c = server('PLAIN', getsecret => \&pencil); $c->property(die_on_failure => 1); $c }],
    ['an option', sub {
      Authen::SASL->new(mechanism => 'PLAIN', callback => { getsecret => \&pencil })
        ->server_new('imap', 'h', { die_on_failure => 1 });
    }],
  ) {
    my ($name, $make) = @$way;
    my $conn = $make->();
    ok($conn->property('die_on_failure'), "$name: it can be read");
    is(eval { $conn->server_start("\0fred\0rubber"); 1 }, undef, 'a failure dies');
    my $error = $@;
    isa_ok($error, 'Authen::SASL::Rust::Error');
    like($error, qr/^PLAIN server: authentication failed/, 'it stringifies');
    is($error->message, $conn->error, 'message');
    is($error->code, -13, 'code');
    is($error->mechanism, 'PLAIN', 'mechanism');
    is_deeply([$conn->server_start($PLAIN)], [''], 'success does not die');
    $conn->property(die_on_failure => 0);
    is_deeply([$conn->server_start("\0fred\0rubber")], [], 'switched off');
  }
  my $conn = client('OAUTHBEARER', token => 'abc');
  $conn->property(die_on_failure => 1);
  $conn->client_start;
  is(eval { $conn->client_step('{"status":"invalid_token"}'); 1 }, undef, 'a last message dies too');
  is($@->response, "\x01", 'and is in the exception');
};

subtest 'scram_verifier' => sub {
  my $text = Authen::SASL::Rust->scram_verifier(password => 'pencil', salt => 'sodium chloride!', iterations => 5000);
  like($text, qr/\ASCRAM-SHA-256\$5000:c29kaXVtIGNobG9yaWRlIQ==\$[^:]+:[^:]+\z/, 'its spelling');
  my $server = server('SCRAM-SHA-256', getsecret => sub { $text });
  my $client = client('SCRAM-SHA-256', %fred);
  $client->client_step($server->server_step($client->client_step($server->server_start($client->client_start))));
  ok($client->is_success && $server->is_success, 'both sides take it');
  for my $wrong ([], [password => 'x', nonsense => 1], [password => 'x', iterations => 10], [password => 'x', mechanism => 'NO']) {
    is(eval { Authen::SASL::Rust->scram_verifier(@$wrong); 1 }, undef, "refused: @$wrong");
    like($@, qr/^scram_verifier: /, 'by name');
  }
};

done_testing;
