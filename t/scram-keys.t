# SCRAM keys in place of a password: a client logs in with them, gets them after a login, and so does a server that logs in behind as the
# same user.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);

my $NAME     = 'SCRAM-SHA-256';
my $VERIFIER = Authen::SASL::Rust->scram_verifier(password => 'pencil');

sub sasl { my ($list, %callback) = @_; return Authen::SASL->new(mechanism => $list, callback => {%callback}) }

sub client {
  my ($callback, $list, %option) = @_;
  return sasl($list || $NAME, user => 'fred', %$callback)->client_new('imap', 'h', \%option);
}

sub server {
  my ($callback, $list, %option) = @_;
  $callback = { getsecret => sub { $_[1]{user} eq 'fred' ? $VERIFIER : undef }, %$callback };
  return sasl($list || $NAME, %$callback)->server_new('imap', 'h', \%option);
}

# Runs both sides to the end. True if both succeed.
sub login {
  my ($client, $server) = @_;
  my $said = $client->client_start;
  for (1 .. 2) {
    last unless defined $said;
    my ($answer) = $_ == 1 ? $server->server_start($said) : $server->server_step($said);
    last unless defined $answer;
    $said = $client->client_step($answer);
  }
  return $client->is_success && $server->is_success ? 1 : 0;
}

# The keys of a login with the password.
sub keys_of {
  my ($verifier, $list, %option) = @_;
  my @kept;
  my $client = client({ pass => 'pencil', keep_scram_keys => sub { push @kept, $_[1] } }, $list, %option);
  login($client, server({ getsecret => sub { $verifier } }, $list, %option)) or die $client->error;
  return @kept;
}

my ($keys) = keys_of($VERIFIER);

subtest 'a client keeps the keys once the server has proved itself' => sub {
  my @kept;
  my $client = client({ pass => 'pencil', keep_scram_keys => [sub { push @kept, [@_]; 0 }, 'own'] });
  my $server = server({});
  my $last = $server->server_step($client->client_step($server->server_start($client->client_start)));
  is(scalar @kept, 0, 'not before');
  $client->client_step($last);
  ok($client->is_success, 'whatever the callback returns');
  is(scalar @kept, 1, 'once');
  is_deeply([$kept[0][0], $kept[0][1]], [$client, 'own'], 'the callback gets the connection and its own values');
  is($kept[0][2]{user}, 'fred', 'the user');
  is_deeply([sort keys %{ $kept[0][2] }], [qw(client_key iterations mechanism salt server_key text user)], 'all fields');
  is_deeply([@{ $kept[0][2] }{qw(mechanism iterations)}, length $kept[0][2]{client_key}], [$NAME, 4096, 32], 'their values');
  my $stored = { getsecret => sub { { mechanism => $NAME, iterations => 4096, salt => $keys->{salt},
    stored_key => 'x' x 32, server_key => $keys->{server_key} } } };
  @kept = ();
  ok(!login(client({ pass => 'pencil', keep_scram_keys => sub { push @kept, 1 } }), server($stored)), 'a refused login');
  for my $forged ('v=' . 'A' x 43 . '=', 'e=other-error', '', 'x') {
    $client = client({ pass => 'pencil', keep_scram_keys => sub { push @kept, 1 } });
    $client->client_step(server({})->server_start($client->client_start));
    $client->client_step($forged);
    ok(!$client->is_success, "the server says '$forged'");
  }
  is_deeply(\@kept, [], 'keeps nothing');
};

subtest 'a login with keys, of each hash, in each form' => sub {
  for my $hash (qw(SHA-1 SHA-224 SHA-256 SHA-384 SHA-512 SHA3-512)) {
    my $verifier = Authen::SASL::Rust->scram_verifier(password => 'pencil', mechanism => "SCRAM-$hash", iterations => 4096);
    my ($keys) = keys_of($verifier, "SCRAM-$hash");
    for my $list ("SCRAM-$hash", "SCRAM-$hash-PLUS") {
      my %option = (channel_binding => { 'tls-exporter' => 'x' x 32 });
      my $client = client({ scram_keys => $keys }, $list, %option);
      ok(login($client, server({ getsecret => sub { $verifier } }, $list, %option)), $list) or diag $client->error;
    }
  }
  my %field = map { $_ => $keys->{$_} } qw(mechanism iterations salt client_key server_key);
  my %wide = %field;
  utf8::upgrade($_) for @wide{qw(salt client_key server_key)};
  my ($other) = keys_of(Authen::SASL::Rust->scram_verifier(password => 'pencil', mechanism => 'SCRAM-SHA-1'), 'SCRAM-SHA-1');
  my $calls = 0;
  my %form = (
    'text' => $keys->{text}, 'fields' => \%field, 'upgraded' => \%wide, 'several' => [$other, $keys], 'several texts' => [map { $_->{text} } $keys, $other],
    'lines' => "$other->{text}\n$keys->{text}\n", 'code' => sub { $calls++; $keys }, 'code for a text' => [sub { $_[1] }, $keys->{text}],
    'lower case' => { %field, mechanism => 'scram-sha-256-plus' },
  );
  for my $form (sort keys %form) {
    my $client = client({ scram_keys => $form{$form} });
    ok(login($client, server({})), $form) or diag $client->error;
  }
  is($calls, 1, 'code is called once');
  my $salted = pack 'H*', 'c4a49510323ab4f952cac1fa99441939e78ea74d6be81ddf7096e87513dc615d';    # RFC 7677, computed with Python's hashlib
  my $salt = pack 'H*', '5b6d99689d12358eeca04b141236fa81';
  my $verifier = Authen::SASL::Rust->scram_verifier(password => 'pencil', salt => $salt);
  my $client = client({ scram_keys => { mechanism => $NAME, iterations => 4096, salt => $salt, salted_password => $salted } });
  ok(login($client, server({ getsecret => sub { $verifier } })), 'a salted password') or diag $client->error;
};

subtest 'keys that do not fit' => sub {
  my $kept = 0;
  my $try = sub {
    my ($keys, %callback) = @_;
    my $client = client({ scram_keys => $keys, keep_scram_keys => sub { $kept++ }, %callback });
    return login($client, server({})) ? 1 : $client->error;
  };
  my %case = (
    'another salt' => [{ %$keys, salt => 'other' }, qr/the server has another salt \(SASL_BADPARAM\)/],
    'another count' => [{ %$keys, iterations => 5000 }, qr/the server has 4096 iterations instead of 5000 \(/],
    'both' => [{ %$keys, iterations => 5000, salt => 'x' }, qr/the server has another salt, and 4096 iterations instead of 5000 \(/],
  );
  for my $case (sort keys %case) {
    my ($wrong, $words) = @{ $case{$case} };
    my $error = $try->($wrong);
    like($error, qr/\ASCRAM-SHA-256 client: the SCRAM keys \(callback scram_keys\) do not fit, and there is no password \(callback pass\): /, $case);
    like($error, $words, 'says which');
    is($try->($wrong, pass => 'pencil'), 1, 'the password is used in their place');
    like($try->($wrong, pass => 'rubber'), qr/wrong password/, 'and must be right');
  }
  is($kept, 3, 'then the keys of the server are handed over');
  is($try->($keys, pass => 'pencil'), 1, 'keys that fit are used without the password');
  is($try->($keys, pass => 'rubber'), 1, 'which need not be right');
  is($kept, 3, 'and not handed over again');

  for my $wrong ('', 'x', {}, [], [{}], { %$keys, salt => undef }, { %$keys, client_key => 'short' }, { %$keys, salt => "\x{100}" }, { %$keys, mechanism => 'PLAIN' },
    { %$keys, iterations => 'many' }, \'x', [$keys, 'x'], $VERIFIER, 'pencil') {
    for my $given ($wrong, sub { $wrong }) {
      my $client = eval { client({ scram_keys => $given }) };
      my $error = $client ? (login($client, server({})), $client->error)[1] : $@;
      like($error, qr/scram_keys|no password|no callback pass/, 'what is no keys is refused: ' . explain_one($wrong));
      unlike($error, qr/pencil|\Q$VERIFIER\E/, 'and not shown');
    }
  }
  my $client = client({ scram_keys => { %$keys, client_key => 'x' x 32 } });
  ok(!login($client, server({})), 'wrong keys');
  like($client->error, qr/the server refused: invalid-proof/, 'are refused by the server');
  $client = client({ scram_keys => { %$keys, server_key => 'x' x 32 } });
  my $server = server({});
  ok(!login($client, $server) && $server->is_success, 'a server without the ServerKey is not believed');
  like($client->error, qr/SASL_BADSERV/, 'with its code');
  ok(!login(client({ scram_keys => $keys }, $NAME, min_iterations => 5000), server({})), 'min_iterations holds');
};

sub explain_one { my ($text) = explain($_[0]); $text =~ s/\s+/ /g; $text =~ s/[^ -~]/?/g; return substr $text, 0, 60 }

subtest 'the choice of the mechanism' => sub {
  my $chosen = sub { my ($list, %callback) = @_; return eval { client(\%callback, $list)->mechanism } || $@ };
  my $list = 'SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN';
  is($chosen->($list, scram_keys => $keys), $NAME, 'the hash of the keys');
  is($chosen->($list, scram_keys => $keys, pass => 'pencil'), 'SCRAM-SHA-512', 'with a password, the strongest');
  is($chosen->($list, scram_keys => sub { $keys }), 'SCRAM-SHA-512', 'code may know keys of each hash');
  like($chosen->('SCRAM-SHA-512 PLAIN', scram_keys => $keys), qr/SCRAM-SHA-512: there is no callback pass; PLAIN: there is no callback pass/, 'no other');
  my $client = client({ scram_keys => sub { $_[0]->mechanism eq 'SCRAM-SHA-1' ? undef : $keys } }, 'SCRAM-SHA-1');
  is($client->client_start, undef, 'code without keys, and no password');
  like($client->error, qr/no password \(callback pass\)/, 'is missed when it is needed');
  $client = sasl($NAME)->client_new('imap', 'h');
  $client->callback(user => 'fred', scram_keys => $keys);
  ok(login($client, server({})), 'keys that are given to the connection');
};

subtest 'a server that logs in behind as the same user' => sub {
  my @got;
  my $keep = sub { push @got, $_[1] };
  my $front = server({ keep_scram_keys => $keep, canonuser => sub { lc $_[4] } });
  ok(login(sasl($NAME, user => 'FRED', pass => 'pencil')->client_new('imap', 'h'), $front), 'the login at the front');
  is(scalar @got, 1, 'the server has the keys');
  is($got[0]{user}, 'fred', 'with the canonical name');
  is_deeply({ %{ $got[0] } }, $keys, 'those of the client');
  my $client = client({ scram_keys => $got[0] });
  ok(login($client, server({})), 'the login behind') or diag $client->error;

  @got = ();
  ok(!login(client({ pass => 'rubber' }), server({ keep_scram_keys => $keep })), 'a wrong password');
  ok(!login(client({ pass => 'pencil', authname => 'root' }), server({ keep_scram_keys => $keep })), 'not authorized');
  ok(!login(sasl($NAME, user => 'anna', pass => 'pencil')->client_new('imap', 'h'), server({ keep_scram_keys => $keep })), 'unknown');
  is_deeply(\@got, [], 'no keys for anybody else');
  ok(login(client({ pass => 'pencil' }), server({ keep_scram_keys => $keep, getsecret => sub { 'pencil' } })), 'a stored password');
  is(scalar @got, 1, 'gives keys too');
};

subtest 'a receiver that fails' => sub {
  my $client = client({ pass => 'pencil', keep_scram_keys => sub { die "disk full\n" } });
  ok(!eval { login($client, server({})); 1 }, 'its exception');
  is($@, "disk full\n", 'passes unchanged');
  ok(!$client->is_success && defined $client->error, 'the exchange has failed');
  my $server = server({ keep_scram_keys => sub { die "disk full\n" } });
  ok(!eval { login(client({ pass => 'pencil' }), $server); 1 } && !$server->is_success && !defined $server->property('user'), 'on the server too');
  $server = server({ keep_scram_keys => 'text' });
  login(client({ pass => 'pencil' }), $server);
  like($server->error, qr/keep_scram_keys/, 'what is no code is an error');
};

subtest 'keys are shown nowhere' => sub {
  my @line;
  my %option = (debug => sub { push @line, @_ });
  my @secret = ($keys->{text}, split(/ /, $keys->{text}), map { ($_, unpack 'H*', $_) } @{$keys}{qw(client_key server_key)});
  @secret = grep { length > 20 && $_ !~ /\ASCRAM-SHA-256\z/ && $_ ne (split / /, $keys->{text})[2] } @secret;
  my $client = client({ scram_keys => $keys->{text} }, $NAME, %option);
  ok(login($client, server({ keep_scram_keys => sub { } }, $NAME, %option)), 'a login with a trace');
  my $wrong = client({ scram_keys => "$keys->{text} x" }, $NAME, %option);
  $wrong->client_start;
  push @line, $wrong->error, grep { defined } map { ($client->answer($_), $client->property($_)) } qw(scram_keys keep_scram_keys);
  my $all = join "\n", @line;
  cmp_ok(scalar @line, '>', 8, 'there are lines');
  is(index($all, $_), -1, 'no secret') for @secret;
  is(client({ ht_token => 'secret-token:x', pass => 'pencil' })->answer('ht_token'), undef, 'answer gives no token');
};

done_testing;
