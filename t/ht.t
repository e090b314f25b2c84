# HT and HT2 through the Perl API: a token in place of the password, several of them per user, their expiry and their mechanism.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);

my ($OLD, $NEW) = ('secret-token:old-5NWqBzTVxkQ', 'secret-token:new-Jb1PYQkd8Rw');
my $NONE = 'HT-SHA-256-NONE';

sub sasl { my ($list, %callback) = @_; return Authen::SASL->new(mechanism => $list, callback => {%callback}) }

sub client {
  my ($mechanism, $token, %option) = @_;
  return sasl($mechanism, user => 'fred', ht_token => $token)->client_new('xmpp', 'h', \%option);
}

sub server {
  my ($mechanism, $tokens, %option) = @_;
  return sasl($mechanism, ht_tokens => ref $tokens eq 'CODE' ? $tokens : sub { $tokens })->server_new('xmpp', 'h', \%option);
}

# Runs both sides; the client gets the server's answer, if there is one.
sub login {
  my ($client, $server) = @_;
  my $initial = $client->client_start;
  my ($answer) = $server->server_start($initial);
  $client->client_step($answer) if defined $answer;
  return $client->is_success && $server->is_success ? 1 : 0;
}

subtest 'both families, each hash, with and without channel binding' => sub {
  my %binding = (channel_binding => { map { $_ => "data of $_" } qw(tls-exporter tls-unique tls-server-end-point) });
  for my $mechanism (grep { /\AHT/ } Authen::SASL::Rust->global_listmech) {
    my ($client, $server) = (client($mechanism, $NEW, %binding), server($mechanism, $NEW, %binding));
    ok(login($client, $server), $mechanism) or diag(map { $_->error || () } $client, $server);
    is($server->property('user'), 'fred', 'the user');
    is($server->property('ht_token_index'), 0, 'the token');
    my $other = server($mechanism, $NEW, channel_binding => { map { $_ => 'another TLS connection' } keys %{ $binding{channel_binding} } });
    is(login(client($mechanism, $NEW, %binding), $other), $mechanism =~ /NONE/ ? 1 : 0, 'another TLS connection');
  }
};

subtest 'tokens of a user' => sub {
  my $index = sub {
    my ($tokens, $mechanism) = @_;
    my $server = server($mechanism || $NONE, $tokens);
    login(client($mechanism || $NONE, $NEW), $server);
    return $server->property('ht_token_index');
  };
  is($index->([$NEW, $OLD]), 0, 'the first of two');
  is($index->([$OLD, $NEW]), 1, 'the second of two');
  is($index->({ token => $NEW }), 0, 'a hash');
  is($index->({ token => $NEW, expires => time + 100 }), 0, 'valid for some time');
  is($index->({ token => $NEW, expires => time + 100.5 }), 0, 'a fraction of a second is allowed');
  is($index->({ token => $NEW, expires => undef, mechanism => undef }), 0, 'no limits');
  is($index->([$OLD, { token => $OLD, expires => 1 }, { token => $NEW, mechanism => 'ht-sha-256-none' }]), 2, 'a mixture');
  is($index->($_), undef, 'none') for undef, '', [], [''], $OLD, { token => $NEW, expires => time }, { token => $NEW, expires => 0 };
  is($index->({ token => $NEW, mechanism => 'HT-SHA-512-NONE' }), undef, 'the token of another mechanism');
  is($index->({ token => $NEW, mechanism => 'HT2-SHA-256-NONE' }, 'HT2-SHA-256-NONE'), 0, 'of this one');
  is($index->([($OLD) x 15, $NEW]), 15, 'sixteen tokens');
};

subtest 'a refusal' => sub {
  my %text;
  for my $tokens (undef, '', [], $OLD, { token => $NEW, expires => 1 }, [$OLD, $OLD]) {
    for my $mechanism ($NONE, 'HT2-SHA-256-NONE') {
      my ($client, $server) = (client($mechanism, $NEW), server($mechanism, $tokens));
      ok(!login($client, $server), 'no success');
      is($server->property('ht_token_index'), undef, 'no token');
      is($server->property('user'), undef, 'no user');
      is($server->property('claimed_user'), 'fred', 'but a name for the log');
      $text{ $server->error }++;
      $text{ $client->error }++ if defined $client->error;
    }
  }
  my $refused = 'server: authentication failed: wrong or expired token, unknown user, or another channel binding (SASL_BADAUTH)';
  is_deeply(\%text, {
    "$NONE $refused" => 6,
    "HT2-SHA-256-NONE $refused" => 6,
    'HT2-SHA-256-NONE client: the server refused: invalid-token (wrong or expired token, or unknown user) (SASL_BADAUTH)' => 6,
  }, 'one text for wrong, expired and unknown');
  my $client = client($NONE, $NEW);
  $client->client_start;
  $client->client_step(login_answer($OLD));
  like($client->error, qr/the server's proof is wrong.*SASL_BADSERV/, 'a server with another token');
  $client = client($NONE, $NEW);
  $client->client_start;
  ok(!$client->is_success && $client->need_step, 'no success before the proof');
};

sub login_answer {
  my ($token) = @_;
  return (server($NONE, $token)->server_start(client($NONE, $token)->client_start))[0];
}

subtest 'answers that are no tokens' => sub {
  for my $tokens (\'x', sub { }, { tokens => $NEW }, {}, { token => [$NEW] }, { token => $NEW, expires => 'soon' }, [undef], [[$NEW]],
    "a\0b", [$NEW, "\0"]) {
    my $server = server($NONE, sub { $tokens });
    ok(!login(client($NONE, $NEW), $server), 'no success');
    like($server->error, qr/callback ht_tokens returned neither a token nor an array of tokens/, 'the error names the callback');
    is($server->code, -13, 'the client sees a wrong token');
  }
  my $server = server($NONE, [($OLD) x 16, $NEW]);
  ok(!login(client($NONE, $NEW), $server), 'seventeen tokens');
  like($server->error, qr/the list of HT tokens \(callback ht_tokens\) holds more than 16 tokens/, 'are too many');
  my $long = server($NONE, ['x' x 65_537]);
  ok(!login(client($NONE, $NEW), $long), 'a very long token');
  like($long->error, qr/the list of HT tokens \(callback ht_tokens\) must not be longer than 65536 bytes/, 'is too long');
  my $died = !eval { sasl($NONE, ht_tokens => $NEW)->server_new('xmpp', 'h')->server_start(client($NONE, $NEW)->client_start); 1 };
  my $string = sasl($NONE, ht_tokens => $NEW)->server_new('xmpp', 'h');
  $string->server_start(client($NONE, $NEW)->client_start);
  ok(!$died, 'a string in place of code does not die');
  like($string->error, qr/callback ht_tokens is a string/, 'and is an error');
};

subtest 'neither password nor OAuth token' => sub {
  for my $mechanism (grep { /\AHT.*NONE/ } Authen::SASL::Rust->global_listmech) {
    ok(!eval { sasl($mechanism, user => 'fred', pass => $NEW, token => $NEW)->client_new('xmpp', 'h'); 1 }, "$mechanism client");
    like($@, qr/there is no callback ht_token\b/, 'with the reason');
    ok(!eval { sasl($mechanism, getsecret => sub { $NEW }, checkpass => sub { 1 }, checktoken => sub { 'fred' })->server_new('xmpp', 'h'); 1 },
      "$mechanism server");
    like($@, qr/there is no callback ht_tokens/, 'with the reason');
  }
  my $list = "$NONE SCRAM-SHA-256 PLAIN";
  my $choice = sub { sasl($list, user => 'fred', @_)->client_new('xmpp', 'h')->mechanism };
  is($choice->(pass => 'pencil', token => 'x'), 'SCRAM-SHA-256', 'without a token it is SCRAM');
  is($choice->(pass => 'pencil', ht_token => $NEW), $NONE, 'with one it is HT');
  ok(!eval { sasl($NONE, user => 'fred', authname => 'anna', ht_token => $NEW)->client_new('xmpp', 'h'); 1 }, 'no authzid');
  like($@, qr/cannot ask to act as another user/, 'with the reason');
};

subtest 'callbacks' => sub {
  my @asked;
  my $server = server('HT2-SHA-512-NONE', sub { push @asked, $_[1]; return [$OLD, $NEW] }, realm => 'example.org');
  my $client = sasl('HT2-SHA-512-NONE', user => sub { 'fred' }, ht_token => [sub { $_[1] }, $NEW])->client_new('xmpp', 'h');
  ok(login($client, $server), 'code, and code with own values');
  is_deeply(\@asked, [{ user => 'fred', authname => '', authzid => '', mechanism => 'HT2-SHA-512-NONE', realm => 'example.org' }],
    'what the server asks');

  my (@later, $message);
  $server = server($NONE, sub { my $reply = $_[2]; push @later, $reply; return });
  $client = client($NONE, $NEW);
  $server->server_start($client->client_start, sub { ($message) = @_ });
  ok($server->need_step && !defined $message, 'it waits');
  $later[0]->([$OLD, $NEW]);
  ok($server->is_success, 'an answer that comes later');
  $client->client_step($message);
  ok($client->is_success, 'and its proof');

  $server = sasl($NONE, ht_tokens => sub { $_[1]{user} eq 'fred@example.org' ? $NEW : undef }, canonuser => sub { "$_[4]\@example.org" })
    ->server_new('xmpp', 'h');
  ok(login(client($NONE, $NEW), $server), 'a canonical name');
  is($server->property('user'), 'fred@example.org', 'is the user');
};

subtest 'characters' => sub {
  my $token = "t\x{f6}ken \x{20ac}";
  utf8::encode(my $octets = $token);
  for my $pair ([$token, $octets], [$octets, $token], ["t\x{f6}ken", "t\x{c3}\x{b6}ken"]) {
    ok(login(client($NONE, $pair->[0]), server($NONE, [$OLD, $pair->[1]])), 'a token is UTF-8, however it is given');
  }
  ok(login(sasl($NONE, user => "ren\x{e9} \x{20ac}", ht_token => $NEW)->client_new('xmpp', 'h'), server($NONE, $NEW)), 'so is a name');
  for my $case (['', qr/the HT token \(callback ht_token\) is empty/], ["a\0b", qr/holds a NUL character/], [undef, qr/no HT token/]) {
    my $client = sasl($NONE, user => 'fred', ht_token => sub { $case->[0] })->client_new('xmpp', 'h');
    is($client->client_start, undef, 'an unusable token');
    like($client->error, $case->[1], 'is an error');
  }
};

done_testing;
