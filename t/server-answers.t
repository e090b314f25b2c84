# A server's callbacks: answers by return value and by continuation, immediately, later, twice, too late, never.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use TwoSides qw(client server exchange);
use MIME::Base64 qw(decode_base64);

my $PLAIN = "\0fred\0pencil";

subtest 'checkpass' => sub {
  my @seen;
  my $conn = server('PLAIN', checkpass => [sub { push @seen, [@_[0 .. 2], ref $_[3]]; $_[2]{pass} eq 'pencil' }, 'own']);
  is_deeply([$conn->server_start("wilma\0fred\0pencil")], [], 'the password is right, the authzid another');
  my ($self, $own, $question, $answer) = @{ $seen[0] };
  is($self, $conn, 'the connection');
  is($own, 'own', 'its own value');
  is_deeply($question, { user => 'fred', pass => 'pencil', authname => 'wilma' }, 'the question');
  is($answer, 'CODE', 'the continuation');
  like($conn->error, qr/'fred' may not act as 'wilma' \(the authorize callback decides\) \(SASL_NOAUTHZ\)/, 'authorization');
  is_deeply([$conn->server_start($PLAIN)], [''], 'true by return value');
  is_deeply([$conn->server_start("\0fred\0rubber")], [], 'false by return value');
  $conn->property(realm => 'example.org');
  $conn->server_start($PLAIN);
  is($seen[-1][2]{realm}, 'example.org', "the server's realm is in the question");
  for my $case ([0, 0], ['', 0], [undef, 0], ['0', 0], ['0E0', 1], [1, 1], ['no', 1]) {
    my ($value, $right) = @$case;
    my $conn = server('PLAIN', checkpass => sub { $value });
    $conn->server_start($PLAIN);
    is(!!$conn->is_success, !!$right, "Perl's truth: " . (defined $value ? "'$value'" : 'undef'));
  }
  my $nothing = server('PLAIN', checkpass => sub { return });
  is_deeply([$nothing->server_start($PLAIN)], [], 'returning nothing is no');
  my $both = server('PLAIN', checkpass => sub { 1 }, getsecret => sub { die 'not asked' });
  is_deeply([$both->server_start($PLAIN)], [''], 'checkpass is asked before getsecret');
};

subtest 'empty passwords' => sub {
  for my $callback (qw(checkpass getsecret)) {
    my $asked = 0;
    my $conn = server('PLAIN', $callback => sub { $asked++; return $callback eq 'checkpass' ? 1 : '' });
    is_deeply([$conn->server_start("\0fred\0")], [], "PLAIN with $callback refuses one");
    is($asked, 0, 'unasked');
  }
  my $login = server('LOGIN', checkpass => sub { 1 });
  $login->server_start;
  $login->server_step('fred');
  is_deeply([$login->server_step('')], [], 'LOGIN refuses one');
  for my $mechanism (qw(CRAM-MD5 DIGEST-MD5 SCRAM-SHA-256)) {
    my ($client, $server) = exchange(client($mechanism, user => 'fred', pass => 'x'), server($mechanism, getsecret => sub { '' }));
    ok(!$server->is_success && defined $server->error, "$mechanism: with an empty stored password no login succeeds");
  }
};

subtest 'the return value, and the continuation' => sub {
  my $conn = server('PLAIN', checkpass => sub { $_[2]->(0); return 1 });
  is_deeply([$conn->server_start($PLAIN)], [], 'a called $cb beats the return value');
  $conn = server('PLAIN', checkpass => sub { $_[2]->(1); return 0 });
  is_deeply([$conn->server_start($PLAIN)], [''], 'both ways');
  $conn = server('PLAIN', checkpass => sub { $_[2]->(0); $_[2]->(1); return 1 });
  is_deeply([$conn->server_start($PLAIN)], [], 'the first answer holds');
  $conn = server('PLAIN', checkpass => sub { $_[2]->(); return 1 });
  is_deeply([$conn->server_start($PLAIN)], [], 'no argument is no');

  my @got;
  $conn = server('PLAIN', checkpass => sub { return 1 });
  is_deeply([$conn->server_start($PLAIN, sub { push @got, [@_] })], [], 'with a continuation: an empty list');
  is_deeply(\@got, [[]], 'it gets nothing, once');
  like($conn->error, qr/neither called its continuation nor kept it/, 'and the return value is not taken');
  @got = ();
  $conn = server('PLAIN', checkpass => sub { $_[2]->(1); return 0 });
  is_deeply([$conn->server_start($PLAIN, sub { push @got, [@_, $conn->is_success] })], [], 'answered at once');
  is_deeply(\@got, [[1]], 'the continuation gets nothing, since there is no message, and sees the success');
  @got = ();
  $conn = server('PLAIN', getsecret => sub { die 'not asked' });
  $conn->server_start(undef, sub { push @got, [@_] });
  is_deeply(\@got, [['']], 'it gets a message that needs no callback');
  my $kept;
  $conn = server('PLAIN', checkpass => sub { $kept = $_[2]; return 1 });
  is_deeply([$conn->server_start($PLAIN)], [], 'a kept $cb does not count as true if no continuation could get a later answer');
  like($conn->error, qr/kept its continuation to answer later/, 'and the error says so');
  $kept->(1);
  ok(!$conn->is_success, 'nor is it then');
};

subtest 'deferred answers' => sub {
  my ($later, @got);
  my $conn = server('PLAIN', checkpass => sub { $later = $_[2]; return });
  is_deeply([$conn->server_start($PLAIN, sub { push @got, [@_] })], [], 'an empty list');
  is_deeply(\@got, [], 'and nothing yet');
  ok($conn->need_step && !$conn->is_success, 'need_step stays true');
  is($conn->error, undef, 'no error');
  is_deeply([$conn->server_step('x')], [], 'another step is refused');
  like($conn->error, qr/still waits for the answer of a callback/, 'with a clear error');
  is($conn->code, -7, 'and its code');
  my @busy;
  is_deeply([$conn->server_step('x', sub { push @busy, [@_, $conn->code, $conn->need_step] })], [], 'one with a continuation');
  is_deeply(\@busy, [[-7, 1]], 'which is called at once, with nothing, and sees the error');
  ok($conn->need_step && !@got, 'the first exchange goes on');
  $later->(1);
  is_deeply(\@got, [[]], 'the answer: nothing to send, once');
  is(scalar @busy, 1, 'and only to the step that asked');
  ok($conn->is_success && !$conn->need_step, 'success');
  is($conn->error, undef, 'the complaint is gone');
  $later->(0);
  $later->(1);
  is(scalar @got, 1, 'a second answer is ignored');
  ok($conn->is_success, 'and changes nothing');

  my $old;
  $conn->server_start($PLAIN, sub { push @got, ['old'] });
  $old = $later;
  @got = ();
  $conn->server_start("\0wilma\0x", sub { push @got, ['new'] });
  $old->(1);
  is_deeply(\@got, [], 'an answer to an exchange that a new one has replaced is ignored');
  ok(!$conn->is_success, 'it authenticates no user');
  $later->(0);
  is_deeply(\@got, [['new']], 'the new one has its own');
  ok(!$conn->is_success, 'which is no');

  $conn->server_start($PLAIN, sub { push @got, ['gone'] });
  @got = ();
  undef $conn;
  is(eval { $later->(1); 1 }, 1, 'an answer after the connection is gone');
  is_deeply(\@got, [], 'is ignored');
};

subtest 'deferred answers of a longer exchange' => sub {
  my ($later, @sent);
  my $server = server('SCRAM-SHA-256', getsecret => sub { $later = $_[2]; return });
  my $client = client('SCRAM-SHA-256', user => 'fred', pass => 'pencil');
  my $next = sub { push @sent, @_ };
  $server->server_start($client->client_start, $next);
  is(scalar @sent, 0, 'waits');
  $later->('pencil');
  like($sent[0], qr/^r=/, 'the message comes through the continuation');
  $server->server_step($client->client_step($sent[0]), $next);
  like($sent[1], qr/^v=/, 'the next, without a question, at once');
  is_deeply([$client->client_step($sent[1])], [''], 'the client is content');
  ok($server->is_success, 'the server too');

  my @questions;
  my $conn = server('PLAIN', getsecret => sub { push @questions, $_[2]; return }, authorize => sub { $_[2] eq 'wilma' });
  my $done = 0;
  $conn->server_start("wilma\0fred\0pencil", sub { $done++ });
  $questions[0]->('pencil');
  is($done, 1, 'further questions follow the answer');
  ok($conn->is_success, 'and are heard');
};

subtest 'dropped continuations' => sub {
  my @got;
  my $conn = server('PLAIN', checkpass => sub { return });
  $conn->server_start($PLAIN, sub { push @got, [@_] });
  is_deeply(\@got, [[]], 'at once: the continuation gets nothing');
  like($conn->error, qr/^PLAIN server: callback checkpass neither called its continuation nor kept it/, 'error');
  ok(!$conn->need_step, 'it is over');

  my $later;
  @got = ();
  $conn = server('PLAIN', checkpass => sub { $later = $_[2]; return });
  $conn->server_start($PLAIN, sub { push @got, [@_] });
  ok($conn->need_step, 'kept');
  undef $later;
  ok(!$conn->need_step, 'dropped later: it is over');
  like($conn->error, qr/nor kept it/, 'with an error');
  is_deeply(\@got, [[]], 'and the continuation hears of it, once');
  $conn->server_start($PLAIN, sub { push @got, [@_] });
  $later->(1);
  ok($conn->is_success, 'the connection can begin again');
  undef $later;
  is(scalar @got, 2, 'a continuation that was called is dropped silently');

  @got = ();
  my @box;
  $conn = server('PLAIN', checkpass => sub { push @box, \$_[2]; return });
  $conn->server_start($PLAIN, sub { push @got, [@_] });
  ok($conn->need_step, 'a reference to it keeps it too');
  ${ $box[0] }->(1);
  ok($conn->is_success, 'and serves');

  @got = ();
  my $warning = '';
  local $SIG{__WARN__} = sub { $warning .= "@_" };
  $conn = server('PLAIN', checkpass => sub { $later = $_[2]; return });
  $conn->server_start($PLAIN, sub { die "from a destructor\n" });
  local $@ = 'untouched';
  undef $later;
  is($@, 'untouched', 'a continuation that dies then leaves $@ alone');
  like($warning, qr/\(in cleanup\) from a destructor/, 'and is a warning');
};

subtest 'array callbacks' => sub {
  my @seen;
  my $see = sub { @seen = @_; $seen[-1] = ref $seen[-1] if ref $seen[-1] eq 'CODE'; return };
  my $conn = server('PLAIN', getsecret => [$see, 'own', 2]);
  $conn->server_start($PLAIN);
  is_deeply(\@seen, [$conn, 'own', 2, { user => 'fred', authname => '', authzid => '', mechanism => 'PLAIN' }, 'CODE'], 'connection, own values, question, continuation');
  $conn = server('PLAIN', checkpass => sub { 1 }, authorize => [$see, 'own']);
  $conn->server_start("wilma$PLAIN");
  is_deeply(\@seen, [$conn, 'own', 'fred', 'wilma', undef], 'authorize');
  $conn = server('PLAIN', checkpass => sub { 1 }, canonuser => [$see, 'own']);
  $conn->server_start($PLAIN);
  is_deeply(\@seen, [$conn, 'own', 'AUTHID', undef, 1024, 'fred'], 'canonuser');
};

subtest 'getsecret' => sub {
  my $derive = sub { Authen::SASL::Rust->scram_verifier(password => 'pencil', salt => 'sixteen bytes...', @_) };
  my $text = $derive->(mechanism => 'SCRAM-SHA-256');
  my ($iterations, $salt, $stored, $server_key) = $text =~ /\$(\d+):([^\$]+)\$([^:]+):(.+)/;
  my %hash = (mechanism => 'SCRAM-SHA-256', iterations => $iterations, map { $_->[0] => decode_base64($_->[1]) }
    ['salt', $salt], ['stored_key', $stored], ['server_key', $server_key]);
  my $asked;
  for my $case (
    ['the password', 'pencil'], ['a verifier', $text], ["Dovecot's spelling", "{SCRAM-SHA-256}$iterations,$salt,$stored,$server_key"],
    ['a hash', \%hash],
  ) {
    my ($name, $secret) = @$case;
    for my $mechanism (qw(SCRAM-SHA-256 PLAIN)) {
      my ($client, $server) = exchange(
        client($mechanism, user => 'fred', pass => 'pencil', authname => 'fred'),
        server($mechanism, getsecret => sub { $asked = $_[1]; return $secret }));
      ok($server->is_success && $client->is_success, "$mechanism with $name") or diag $server->error, $client->error;
      is_deeply($asked, { user => 'fred', authname => 'fred', authzid => 'fred', mechanism => $mechanism }, 'the question');
      ($client, $server) = exchange(
        client($mechanism, user => 'fred', pass => 'rubber'), server($mechanism, getsecret => sub { $secret }));
      ok(!$server->is_success, 'a wrong password fails');
      my $got = 0;
      $server = server($mechanism, getsecret => sub { $_[2]->($secret); return 'rubber' });
      $client = client($mechanism, user => 'fred', pass => 'pencil');
      $server->server_start($client->client_start, sub { $got++; $server->server_step($client->client_step($_[0])) if @_ });
      ok($server->is_success, 'by continuation too');
    }
  }
  my (undef, $unknown) = exchange(client('PLAIN', user => 'fred', pass => 'x'), server('PLAIN', getsecret => sub { undef }));
  like($unknown->error, qr/wrong password or unknown user/, 'undef is an unknown user');
  my %bad = (
    'malformed' => 'SCRAM-SHA-256$4096:salt$StoredKey', 'of another hash' => $derive->(mechanism => 'SCRAM-SHA-1'),
    "malformed in Dovecot's spelling" => '{SCRAM-SHA-256}4096,x', 'a hash without a salt' => { %hash, salt => undef },
    'a hash with a wide character' => { %hash, stored_key => "\x{263A}" }, 'an array' => [], 'a reference to a string' => \'pencil',
  );
  for my $name (sort keys %bad) {
    my $secret = $bad{$name};
    my $pass = ref $secret ? 'pencil' : $secret;
    my (undef, $server) = exchange(
      client('SCRAM-SHA-256', user => 'fred', pass => $pass), server('SCRAM-SHA-256', getsecret => sub { $secret }));
    ok(!$server->is_success, "$name: no success");
    is($server->code, $unknown->code, 'and the code of an unknown user');
    like($server->error, qr/getsecret.*answered as for a wrong password/, 'but its own error');
  }
};

subtest 'authorize' => sub {
  my $start = sub {
    my ($authzid, %callback) = @_;
    my $conn = server('PLAIN', checkpass => sub { 1 }, %callback);
    $conn->property(realm => 'example.net');
    $conn->server_start("$authzid\0fred\0x");
    return $conn;
  };
  ok($start->($_)->is_success, "allowed by default, with checkpass: '$_'")
    for '', 'fred', 'fred@example.net', 'fred@mail.example.org';
  for my $other ('wilma', 'Fred', 'fred@', 'fred@example.com', 'fredx', 'xfred@example.net', 'fred@example.net ') {
    my $conn = $start->($other);
    ok(!$conn->is_success, "refused by default: '$other'");
    is($conn->code, -14, 'SASL_NOAUTHZ');
  }
  my @asked;
  ok($start->('wilma', authorize => sub { @asked = @_; 1 })->is_success, 'the callback decides: yes');
  is_deeply([@asked[1 .. $#asked]], ['fred', 'wilma', 'example.net'], 'what it is asked');
  for my $no (0, '', undef, []) {
    ok(!$start->('wilma', authorize => sub { $no })->is_success, 'no: ' . (defined $no ? "'$no'" : 'undef'));
  }
  my $conn = $start->('wilma', authorize => sub { 1 });
  is($conn->property('user'), 'wilma', 'property user is the authzid');
  is($conn->property('authuser'), 'fred', 'authuser who it is');
};

subtest 'canonuser' => sub {
  my @asked;
  my $conn = server('PLAIN', checkpass => sub { $_[1]{user} eq 'fred' },
    canonuser => sub { push @asked, [@_[1 .. 4]]; return lc $_[4] });
  $conn->server_start("FRED\0Fred\0x");
  ok($conn->is_success, 'equal once canonical');
  is_deeply(\@asked, [['AUTHID', undef, 1024, 'Fred'], ['AUTHZID', undef, 1024, 'FRED']], 'asked for both names');
  is($conn->property('authcid'), 'fred', 'the canonical name counts');
  for my $no ('', undef) {
    my $conn = server('PLAIN', checkpass => sub { 1 }, canonuser => sub { $no });
    $conn->server_start($PLAIN);
    ok(!$conn->is_success, 'a name that has no canonical form is refused');
  }
};

subtest 'checktoken' => sub {
  my $asked;
  my $start = sub {
    my ($callback, @client) = @_;
    my $conn = server('OAUTHBEARER', checktoken => sub { $asked = $_[1]; $callback->(@_) });
    my $message = client('OAUTHBEARER', token => 'abc', @client)->client_start;
    return ($conn, scalar $conn->server_start($message));
  };
  my ($conn, $message) = $start->(sub { 'fred' }, authzid => 'fred', host => 'h', port => 993);
  is($message, '', 'an identity accepts');
  is_deeply($asked, { token => 'abc', user => 'fred', host => 'h', port => 993 }, 'the question');
  is($conn->property('authcid'), 'fred', 'it is the one that was authenticated');
  ($conn, $message) = $start->(sub { 'wilma' }, authzid => 'fred');
  is($conn->code, -14, 'another one than the client names is not authorized');
  ($conn, $message) = $start->(sub {
    return { status => 'insufficient_scope', scope => 'mail', 'openid-configuration' => 'https://h/x' };
  });
  is($message, '{"status":"insufficient_scope","scope":"mail","openid-configuration":"https://h/x"}', 'an error object refuses');
  for my $no (undef, '') {
    ($conn, $message) = $start->(sub { $no });
    is($message, '{"status":"invalid_token"}', 'no identity refuses');
  }
  ($conn, $message) = $start->(sub { $_[2]->('fred'); return });
  ok($conn->is_success, 'by continuation');
  {
    package Meddler;
    use overload '""' => sub { my ($hash) = @{ $_[0] }; $hash->{status} = 'B' x 5_000; return 'mail' };
  }
  ($conn, $message) = $start->(sub {
    my %object = (status => 'A' x 5_000);
    $object{scope} = bless [\%object], 'Meddler';
    return \%object;
  });
  is($message, '{"status":"' . 'A' x 5_000 . '","scope":"mail"}', 'an object that changes the hash while it is read');
  ($conn, $message) = $start->(sub { [] });
  ok(!$conn->is_success && $conn->code == -7, 'a plain reference is an error');
};

subtest 'realm' => sub {
  my @offered;
  my $client = client('DIGEST-MD5', user => 'fred', pass => 'pencil', realm => sub { @offered = @_[1 .. $#_]; $_[2] });
  $client->client_start;
  my $message = $client->client_step('realm="one",realm="two",nonce="OA6MG9tEQGm2hh",qop="auth",algorithm=md5-sess,charset=utf-8');
  is_deeply(\@offered, ['one', 'two'], 'gets the list of offered realms');
  like($message, qr/realm="two"/, 'returns one');
  my $asked;
  my ($peer, $server) = exchange(
    client('DIGEST-MD5', user => 'fred', pass => 'pencil'),
    server('DIGEST-MD5', realm => 'example.net', getsecret => sub { $asked = $_[1]; 'pencil' }));
  ok($peer->is_success && $server->is_success, 'on a server');
  is($asked->{realm}, 'example.net', 'it is the default realm');
  for my $realm (sub { 'example.net' }, [sub { $_[1] }, 'example.net']) {
    like(scalar server('DIGEST-MD5', realm => $realm, getsecret => sub { 'x' })->server_start, qr/realm="example\.net"/, 'of each type');
  }
  my $late = server('DIGEST-MD5', getsecret => sub { 'x' });
  $late->callback(realm => 'example.net');
  like(scalar $late->server_start, qr/realm="example\.net"/, 'or set later');
};

done_testing;
