# Users whom a server's account store knows as disabled, and whose identity something else proves: a token, a certificate, or a
# callback's own secret. Each is refused as with a wrong credential. xt/kerberos/ours.t has those with a ticket.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use Authen::SASL::Rust::Accounts;
use File::Temp qw(tempdir);

my $file = tempdir(CLEANUP => 1) . '/users';
my $accounts = Authen::SASL::Rust::Accounts->new(users => $file);
$accounts->setpass($_, 'of the store') for qw(fred gone);
$accounts->disable('gone');
my $PHRASE = 'This is a test.';
my %otp;

# The callbacks accept everybody whose credential is `pencil`, a token or certificate of the name, or the pass phrase.
my %callback = (
  checkpass => sub { $_[1]{pass} eq 'pencil' },
  getsecret => sub { 'pencil' },
  checktoken => sub { $_[1]{token} =~ /\Aof-(.+)\z/ ? pack("H*", $1) : undef },
  ht_tokens => sub { 'secret-token:pencil' },
  otp_state => sub { $otp{ $_[1]{user} } ||= Authen::SASL::Rust->otp_state(phrase => $PHRASE) },
  otp_replace => sub { $otp{ $_[1]{user} } = $_[1]{new}; 1 },
);

sub of { return "of-" . unpack "H*", $_[0] }

# By mechanism and callback: what a client has for a user, and what it has with a wrong credential.
my %proof = (
  (map { ("$_ checktoken" => [sub { (token => of($_[0])) }, sub { (token => 'stolen') }]) } qw(OAUTHBEARER XOAUTH2)),
  (map { ("$_ checkpass" => [sub { (pass => 'pencil') }, sub { (pass => 'crayon') }]) } qw(PLAIN LOGIN)),
  (map { ("$_ getsecret" => [sub { (pass => 'pencil') }, sub { (pass => 'crayon') }]) }
      qw(PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256)),
  'HT-SHA-256-NONE ht_tokens' => [sub { (ht_token => 'secret-token:pencil') }, sub { (ht_token => 'secret-token:crayon') }],
  'OTP otp_state' => [sub { (pass => $PHRASE) }, sub { (pass => 'This is a text.') }],
  'EXTERNAL' => [sub { () }],
);

sub server {
  my ($kind, $user, $option, %more) = @_;
  my ($mechanism, @used) = split ' ', $kind;
  push @used, 'otp_replace' if "@used" eq 'otp_state';
  my %option = (accounts => $accounts, externalssf => 256, $mechanism eq 'EXTERNAL' ? (external_id => $user) : (), %$option);
  my %own = map { $_ => $callback{$_} } @used;
  return Authen::SASL->new(mechanism => $mechanism, callback => { %own, %more })->server_new('imap', 'h', \%option);
}

# A whole exchange. Returns the server and what the client has got, without random values.
sub login {
  my ($kind, $user, $right, $option, %more) = @_;
  my ($mechanism) = split ' ', $kind;
  my $server = server($kind, $user, $option || {}, %more);
  my %has = $proof{$kind}[$right ? 0 : 1]->($user);
  my $client = Authen::SASL->new(mechanism => $mechanism, callback => { user => $mechanism eq 'EXTERNAL' ? '' : $user, %has })
    ->client_new('imap', 'h', { externalssf => 256 });
  my ($from_client) = $client->client_start;
  my @got;
  my ($answer) = $server->server_start($from_client);
  while (defined $answer) {
    push @got, $answer;
    ($from_client) = $client->client_step($answer);
    last if !defined $from_client;
    last if !$server->need_step;
    ($answer) = $server->server_step($from_client);
  }
  s/(r=|nonce=")[^,"]*/$1/g, s/s=[^,]*/s=/, s/<[^>]*>/<>/, s/otp-md5 \d+ \w+/otp-md5/ for @got;
  return ($server, join("\n", @got, 'code ' . $server->code));
}

subtest 'whatever proves the identity' => sub {
  for my $kind (sort keys %proof) {
    my ($in) = login($kind, 'fred', 1);
    ok($in->is_success, "$kind: an active user") or diag $in->error;
    ($in) = login($kind, 'nobody', 1);
    ok($in->is_success, "$kind: a user whom the store does not know") or diag $in->error;
    my ($server, $got) = login($kind, 'gone', 1);
    ok(!$server->is_success, "$kind: a disabled user");
    is($server->property('user'), undef, '... is nobody');
    my ($mechanism) = split ' ', $kind;
    like($server->error, qr/^\Q$mechanism\E server: authentication failed: .*: the user is disabled \(the client .*\) \(SASL_BADAUTH\)/,
      '... which the operator sees');
    ok(!$server->_is_unavailable, '... and is not told to try again');
    next if !$proof{$kind}[1];
    is($got, (login($kind, 'gone', 0))[1], '... the client gets what it gets for a wrong credential');
    is($got, (login($kind, 'fred', 0))[1], '... and what an active user gets then');
  }
};

subtest 'names' => sub {
  my @kinds = ('EXTERNAL', 'OAUTHBEARER checktoken', 'PLAIN checkpass', 'HT-SHA-256-NONE ht_tokens');
  for my $kind (@kinds) {
    my ($server) = login($kind, "g\xC2\xADone", 1);
    like($server->error, qr/the user is disabled/, "$kind: a name that SASLprep changes to that of a disabled user");
    ($server) = login($kind, 'GONE', 1, {}, canonuser => sub { lc $_[4] });
    like($server->error, qr/the user is disabled/, "$kind: or canonuser does");
    ($server) = login($kind, 'gone', 1, {}, canonuser => sub { 'fred' });
    is($server->property('user'), 'fred', "$kind: the canonical name counts") or diag $server->error;
    ($server) = login($kind, 'fred', 1, {}, canonuser => sub { undef });
    ok(!$server->is_success && $server->code == -13, "$kind: a name without a canonical form") or diag $server->error;
  }
  my $authorized = 0;
  my %other = (authorize => sub { $authorized++; 1 });
  my $server = server('OAUTHBEARER checktoken', undef, {}, %other);
  is($server->server_start("n,a=fred,\cAauth=Bearer " . of("gone") . "\cA\cA"), '{"status":"invalid_token"}', 'a token of a disabled user for another one');
  $server->server_step("\cA");
  like($server->error, qr/the user is disabled/, '... is refused');
  $server = server('EXTERNAL', 'gone', {}, %other);
  is_deeply([$server->server_start('fred')], [], 'a certificate too');
  is($authorized, 0, 'and authorize is not asked');
  $server = server('EXTERNAL', 'fred', {}, %other);
  $server->server_start('gone');
  is($server->property('user'), 'gone', 'whether fred may act as a disabled user is for authorize to decide');
  is($authorized, 1, 'which is asked');
};

subtest 'a store that cannot be asked' => sub {
  chmod 0666, $file or die "$file: $!";
  for my $kind (sort keys %proof) {
    for my $right (1, $proof{$kind}[1] ? 0 : ()) {
      my ($server) = login($kind, 'fred', $right);
      next if $kind =~ /checktoken/ && !$right;     # nobody is named
      ok(!$server->is_success, "$kind: nobody gets in");
      ok($server->_is_unavailable, '... and may try again') or diag $server->error;
      like($server->error, qr/^\S+ server: .*\Q$file\E: .* \(SASL_UNAVAIL\)/, '... with the reason');
    }
  }
  chmod 0600, $file or die "$file: $!";
  my ($server) = login('EXTERNAL', 'fred', 1);
  ok($server->is_success, 'when it is back, he is in');
  $accounts->enable('gone');
  ok((login($_, 'gone', 1))[0]->is_success, "$_: enabled again") for 'EXTERNAL', 'OAUTHBEARER checktoken', 'PLAIN checkpass';
};

subtest 'one connection after the other' => sub {
  my $server = server('OAUTHBEARER checktoken', undef, {});
  $accounts->disable('gone');
  $server->server_start("n,,\cAauth=Bearer " . of("gone") . "\cA\cA");
  is($server->server_step("\cA"), undef, 'a disabled user');
  $server->server_start("n,,\cAauth=Bearer " . of("fred") . "\cA\cA");
  is($server->property('user'), 'fred', 'then another one in the same connection');
  $server->server_start("n,,\cAauth=Bearer " . of("gone") . "\cA\cA");
  ok(!$server->is_success, 'and the disabled one again');
};

done_testing;
