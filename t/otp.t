# OTP through the Perl API: a state that callbacks return and replace, a pass phrase or the answer of a user, and attacks.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Digest::MD5 qw(md5);
use Test::More;
use Authen::SASL qw(Rust);

my $PHRASE = 'a pass phrase of fred';

# Independent of the core.
sub fold { my ($left, $right) = unpack 'a8 a8', $_[0]; return $left ^ $right }

sub otp {
  my ($phrase, $seed, $sequence) = @_;
  my $otp = fold(md5(lc($seed) . $phrase));
  $otp = fold(md5($otp)) for 1 .. $sequence;
  return unpack 'H*', $otp;
}

sub state_of { return Authen::SASL::Rust->otp_state(phrase => $PHRASE, seed => 'he1234', sequence => 50, @_) }

my (%state, @asked);

sub server {
  my (%arg) = @_;
  my $option = delete $arg{option} || { externalssf => 256 };
  return Authen::SASL->new(mechanism => 'OTP', callback => {
    otp_state => sub { my ($conn, $query) = @_; push @asked, ['state', $query]; $state{ $query->{user} } },
    otp_replace => sub {
      my ($conn, $query) = @_;
      push @asked, ['replace', $query];
      return 0 unless defined $state{ $query->{user} } && $state{ $query->{user} } eq $query->{old};
      $state{ $query->{user} } = $query->{new};
      return 1;
    },
    %arg,
  })->server_new('imap', 'mail.example.org', $option);
}

sub client {
  my ($callback, %option) = @_;
  return Authen::SASL->new(mechanism => 'OTP', callback => { user => 'fred', %$callback })->client_new('imap', 'mail.example.org', \%option);
}

# Runs both sides; returns the challenge and the response.
sub login {
  my ($client, $server) = @_;
  my $challenge = $server->server_start($client->client_start);
  return unless defined $challenge;
  my $response = $client->client_step($challenge);
  $server->server_step($response) if defined $response;
  return ($challenge, $response);
}

subtest 'each login uses up a password' => sub {
  $state{fred} = state_of();
  for my $sequence (49, 48) {
    @asked = ();
    my ($client, $server) = (client({ pass => $PHRASE }), server());
    my @said = login($client, $server);
    is_deeply(\@said, ["otp-md5 $sequence he1234 ext", 'hex:' . otp($PHRASE, 'he1234', $sequence)], 'challenge and response');
    ok($client->is_success && $server->is_success && !$server->need_step, 'success') or diag($server->error);
    is($server->property('user'), 'fred', 'the user');
    is($state{fred}, "md5\t00$sequence\the1234\t" . otp($PHRASE, 'he1234', $sequence) . "\t" . '0' x 20, 'the state');
    is_deeply([map { $_->[0] } @asked], ['state', 'replace'], 'two questions');
    is_deeply([sort keys %{ $asked[0][1] }], [qw(authname authzid mechanism user)], 'what the first contains');
    is_deeply([sort keys %{ $asked[1][1] }], [qw(authname new old user)], 'what the second contains');
  }
};

subtest 'attacks' => sub {
  $state{fred} = state_of();
  my (undef, $response) = login(client({ pass => $PHRASE }), server());
  my $after = $state{fred};
  my %planted = (
    'a replay' => $response,
    'one digit changed' => 'hex:0' . substr(otp($PHRASE, 'he1234', 48), 1),
    'a later password' => 'hex:' . otp($PHRASE, 'he1234', 47),
    'of another phrase' => 'hex:' . otp('another pass phrase', 'he1234', 48),
    'no form' => otp($PHRASE, 'he1234', 48),
    'nothing' => '',
    'a NUL' => "hex:\0",
    'long' => 'hex:' . '0' x 600,
    'a chain without the current password' => 'init-hex:' . otp($PHRASE, 'he1234', 47) . ':md5 499 ev1234:' . otp('evil phrase', 'ev1234', 499),
  );
  for my $name (sort keys %planted) {
    my $server = server();
    $server->server_start("\0fred");
    is($server->server_step($planted{$name}), undef, $name);
    ok(!$server->is_success && $server->code < 0, 'refused');
    unlike($server->error, qr/[0-9a-f]{16}/, 'no password in the error');
    is($state{fred}, $after, 'and nothing has changed');
  }
  my @server = map { server() } 1, 2;
  $_->server_start("\0fred") for @server;
  my $right = 'hex:' . otp($PHRASE, 'he1234', 48);
  $_->server_step($right) for @server;
  is_deeply([map { $_->is_success ? 1 : 0 } @server], [1, 0], 'of two parallel logins with one password one succeeds');
  like($server[1]->error, qr/another exchange has changed the state of OTP since the challenge \(SASL_BADAUTH\)/, 'and the other says why');
};

subtest 'the lock of a connection that others can read' => sub {
  $state{fred} = state_of();
  my ($first, $second) = map { server(option => {}) } 1, 2;
  ok(defined $first->server_start("\0fred"), 'a challenge');
  is($second->server_start("\0fred"), undef, 'for one exchange at a time');
  like($second->error, qr/OTP server: another exchange of this user is in progress \(RFC 2289 section 9\) \(SASL_TRYAGAIN\)/, 'the reason');
  is(server()->server_start("\0fred"), undef, 'a lock is respected under TLS too');
  $first->server_step('hex:0011223344556677');
  ok(!$first->is_success, 'a wrong password');
  $second = server(option => {});
  login(client({ pass => $PHRASE }), $second);
  ok($second->is_success, 'releases the lock') or diag($second->error);

  $state{fred} =~ s/\d+\z/sprintf '%020d', time - 1/e;
  login(client({ pass => $PHRASE }), $second = server(option => {}));
  ok($second->is_success, 'a lock of the past is none');
};

subtest 'unknown users' => sub {
  my $challenge = sub {
    my ($user, $key) = @_;
    my $server = server(option => { externalssf => 256, salt_key => $key || 'a key of sixteen bytes' });
    my $said = $server->server_start("\0$user");
    $server->server_step('hex:0011223344556677');
    return ($said, $server->error);
  };
  $state{fred} = state_of();
  my ($known, $error) = $challenge->('fred');
  my ($anna, $other) = $challenge->('anna');
  like($anna, qr/\Aotp-md5 [34]\d\d ma\d{4} ext\z/, 'a challenge like any other');
  my ($new) = Authen::SASL::Rust->otp_state(phrase => $PHRASE, host => 'mail.example.org') =~ /\t(\w+)\t[[:xdigit:]]{16}\t/;
  like($new, qr/\Ama\d{4}\z/, 'such as a state begins with that is made for the host');
  is($other, $error, 'the error is that of a wrong password');
  is(($challenge->('anna'))[0], $anna, 'always the same');
  isnt(($challenge->('eve'))[0], $anna, 'another for another name');
  isnt(($challenge->('anna', 'another key of 16 bytes'))[0], $anna, 'or with another key');
  $state{eve} = state_of(sequence => 2) =~ s/\t0002\t/\t0001\t/r;
  my ($ended, $why) = $challenge->('eve');
  isnt($ended, undef, 'a chain that has ended gets a challenge too');
  like($why, qr/the state of OTP \(callback otp_state and otp_replace\) has no one-time password left/, 'the operator sees why it fails');
  $state{eve} = 'hunter2';
  (undef, $why) = $challenge->('eve');
  ok($why =~ /is malformed/ && $why !~ /hunter2/, 'text that is no state') or diag($why);
  $state{eve} = 'x' x 65_537;
  (undef, $why) = $challenge->('eve');
  like($why, qr/the state of OTP \(.*\) must not be longer than 65536 bytes/, 'a very long text');
  $state{eve} = [1];
  (undef, $why) = $challenge->('eve');
  like($why, qr/callback otp_state returned a reference that is not a state/, 'a reference');
};

subtest 'a new chain' => sub {
  $state{fred} = state_of(sequence => 11);
  my @sequence;
  for (1 .. 3) {
    login(client({ pass => $PHRASE }, otp_renew => 10), my $server = server());
    ok($server->is_success, 'success') or diag($server->error);
    push @sequence, [(split /\t/, $state{fred})[1, 2]];
  }
  is_deeply($sequence[0], ['0010', 'he1234'], 'not yet');
  is($sequence[1][0], '0499', 'begun');
  like($sequence[1][1], qr/\Ama\d{4}\z/, 'with another seed');
  is_deeply($sequence[2], ['0498', $sequence[1][1]], 'and used');
  is(eval { client({ pass => $PHRASE }, otp_renew => 10_000); 1 }, undef, 'an option has a range');
  like($@, qr/otp_renew: a number from 0 to 9999 was expected/, 'which is named');
};

subtest 'the answer of a user' => sub {
  $state{fred} = state_of();
  my @shown;
  my $answer = sub {
    my ($conn, $challenge, $prompt, $echo) = @_;
    @shown = ($challenge, $prompt, $echo);
    return uc otp($PHRASE, 'he1234', $challenge =~ /(\d+) he/) =~ s/(....)/$1 /gr;
  };
  my ($client, $server) = (client({ challenge => $answer, pass => sub { die 'the phrase is not needed' } }), server());
  login($client, $server);
  ok($server->is_success, 'as a calculator shows it') or diag($server->error || $client->error);
  is_deeply(\@shown, ['otp-md5 49 he1234 ext', 'Please enter your one-time password', 1], 'what the user is shown');
  $client = client({ challenge => sub { undef } });
  login($client, server());
  like($client->error, qr/OTP client: no answer to the challenge \(callback challenge\)/, 'the user gives up');
  $client = client({ challenge => sub { 'my phrase, no password' } });
  login($client, server());
  like($client->error, qr/is no one-time password: 16 hexadecimal digits or six words/, 'the user types something else');
  unlike($client->error, qr/my phrase/, 'which is not repeated');
  is(eval { client({}); 1 }, undef, 'neither phrase nor user');
  like($@, qr/OTP: there is no callback pass or challenge/, 'is known before anything is sent');
};

subtest 'the choice' => sub {
  my $chosen = sub {
    my ($list, %callback) = @_;
    return Authen::SASL->new(mechanism => $list, callback => { user => 'fred', %callback })->client_new('imap', 'h')->mechanism;
  };
  is($chosen->('OTP PLAIN SCRAM-SHA-256', pass => 'x'), 'SCRAM-SHA-256', 'OTP is not preferred');
  is($chosen->('OTP PLAIN', pass => 'x'), 'PLAIN', 'nor to PLAIN: a password is no pass phrase');
  is($chosen->('OTP PLAIN', challenge => sub { }), 'OTP', 'with challenge alone it is');
  for my $one (qw(otp_state otp_replace)) {
    is(eval { Authen::SASL->new(mechanism => 'OTP', callback => { $one => sub { } })->server_new('imap', 'h'); 1 }, undef, "$one alone");
    like($@, qr/there is no callback otp_state and otp_replace/, 'is not enough');
  }
};

subtest 'deferred answers' => sub {
  $state{fred} = state_of();
  my @waiting;
  my $server = server(
    otp_state   => sub { push @waiting, [$_[2], $state{fred}]; return },
    otp_replace => sub { push @waiting, [$_[2], 1]; return },
  );
  my @said;
  $server->server_start("\0fred", sub { push @said, @_ });
  is(scalar @waiting, 1, 'the state is awaited');
  $waiting[0][0]->($waiting[0][1]);
  like($said[0], qr/\Aotp-md5 49 /, 'the challenge');
  $server->server_step('hex:' . otp($PHRASE, 'he1234', 49), sub { push @said, 'end' });
  ok(!$server->is_success && @waiting == 2, 'no success before the state is replaced');
  $waiting[1][0]->($waiting[1][1]);
  ok($server->is_success, 'success');
};

subtest 'otp_state' => sub {
  like(state_of(seed => undef, sequence => undef), qr/\Amd5\t0499\tot\d{4}\t[0-9a-f]{16}\t0{20}\z/, 'defaults');
  is((split /\t/, state_of(hash => 'SHA1'))[0], 'sha1', 'the other hash');
  for my $case (
    [{ phrase => undef }, 'a phrase is required'], [{ phrase => 'too short' }, '10 to 63 characters'], [{ phrase => 'x' x 64 }, '10 to 63 characters'],
    [{ phrase => "umlaute: \xe4\xf6\xfc" }, 'printable characters of ASCII only'], [{ hash => 'md4' }, 'md5 or sha1'],
    [{ seed => 'a-b' }, '1 to 16 letters and digits'], [{ seed => '' }, '1 to 16 letters and digits'], [{ sequence => 1 }, '2 to 9999'],
    [{ sequence => 10_000 }, '2 to 9999'], [{ sequence => 'x' }, '2 to 9999'], [{ phrases => 'x' }, 'unknown argument phrases'],
  ) {
    my ($arg, $words) = @$case;
    is(eval { state_of(%$arg); 1 }, undef, $words);
    like($@, qr/\Aotp_state: .*\Q$words\E.* at \Q$0\E/, 'the reason');
  }
};

done_testing;
