# The contents of error texts, and what they never contain.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use Digest::MD5 qw(md5_hex);
use MIME::Base64 qw(encode_base64);

my $SECRET = 'Tr0ub4dor-marked';
my (@errors, @warnings);
$SIG{__WARN__} = sub { push @warnings, @_ };

# A connection whose errors are collected.
sub make {
  my ($side, $mechanism, $callback, @options) = @_;
  my $method = "${side}_new";
  my $conn = eval { Authen::SASL->new(mechanism => $mechanism, callback => $callback)->$method('imap', 'h', @options) };
  push @errors, $@ unless $conn;
  return $conn;
}

sub collect { my ($conn) = @_; push @errors, $conn->error if defined $conn->error; return $conn->error }

sub failed {
  my ($side, $mechanism, $callback, @messages) = @_;
  my $conn = make($side, $mechanism, $callback) or return $errors[-1];
  if ($side eq 'server') { $conn->server_start(shift @messages); $conn->server_step($_) for @messages }
  else { $conn->client_start; $conn->client_step($_) for @messages }
  return collect($conn);
}

sub client_message { my ($mechanism, %callback) = @_; return scalar make('client', $mechanism, \%callback)->client_start }

my %client = (user => 'fred', pass => $SECRET);
my %server = (getsecret => sub { $SECRET });

subtest 'text' => sub {
  my @case = (
    ['server', 'PLAIN', \%server, ["\0fred\0wrong"], qr/^PLAIN server: authentication failed: wrong password or unknown user \(SASL_BADAUTH\)$/],
    ['server', 'PLAIN', { getsecret => sub { undef } }, ["\0fred\0$SECRET"], qr/^PLAIN server: authentication failed: wrong password or unknown user \(SASL_BADAUTH\)$/],
    ['server', 'PLAIN', \%server, ["fred"], qr/^PLAIN server: message: the authentication identity is missing \(SASL_BADPROT\)$/],
    ['server', 'PLAIN', \%server, ["\0fred\0\xFF"], qr/^PLAIN server: message: the password is not valid UTF-8 \(SASL_BADPROT\)$/],
    ['server', 'SCRAM-SHA-256', \%server, ['m=x,n=fred'], qr/^SCRAM-SHA-256 server: client-first-message: .* \(SASL_BADPROT\)$/],
    ['client', 'SCRAM-SHA-256', \%client, ['r=another,s=QUJD,i=4096'], qr/^SCRAM-SHA-256 client: server-first-message: the nonce .* \(SASL_BADPROT\)$/],
    ['client', 'DIGEST-MD5', \%client, ['nonce'], qr/^DIGEST-MD5 client: .*challenge.* \(SASL_BADPROT\)$/],
    ['client', 'PLAIN', { user => '', pass => $SECRET }, [], qr/^PLAIN client: the authentication identity \(callback user or authcid\) is empty \(SASL_BADPARAM\)$/],
    ['client', 'PLAIN', { user => sub { undef }, pass => $SECRET }, [], qr/^PLAIN client: no .*\(callback user.* \(SASL_BADPARAM\)$/],
    ['client', 'PLAIN', { user => "a\0b", pass => $SECRET }, [], qr/^PLAIN client: the authentication identity \(callback user or authcid\) holds a NUL character \(SASL_BADPARAM\)$/],
    ['server', 'PLAIN', { getsecret => sub { [] } }, ["\0fred\0x"], qr/^PLAIN server: authentication failed: callback getsecret returned a reference that is not a SCRAM verifier \(a hash reference with mechanism, iterations, salt, stored_key and server_key\) \(the client is answered as for a wrong password\) \(SASL_BADAUTH\)$/],
  );
  for my $case (@case) {
    my ($side, $mechanism, $callback, $messages, $expected) = @$case;
    like(failed($side, $mechanism, $callback, @$messages), $expected, "$mechanism $side");
  }
};

subtest 'a value of the application is named with its callback' => sub {
  my %scram = map { ("SCRAM-$_" => []) } qw(SHA-1 SHA-224 SHA-256 SHA-384 SHA-512 SHA3-512);
  my %challenge = (%scram, PLAIN => [], LOGIN => ['User Name', 'Password'], 'CRAM-MD5' => ['<1@h>'], 'DIGEST-MD5' => ['nonce="a",algorithm=md5-sess,qop="auth"']);
  cmp_ok(scalar keys %challenge, '>', 8, 'mechanisms');
  for my $mechanism (sort keys %challenge) {
    my $error = failed('client', $mechanism, { user => 'fred', pass => '' }, @{ $challenge{$mechanism} });
    is($error, "$mechanism client: the password (callback pass) is empty (SASL_BADPARAM)", "$mechanism: password");
    $error = failed('client', $mechanism, { user => sub { undef }, pass => $SECRET }, @{ $challenge{$mechanism} });
    is($error, "$mechanism client: no authentication identity (callback user or authcid) (SASL_BADPARAM)", "$mechanism: name");
  }
  for my $case (
    ['XOAUTH2', { user => 'fred', token => '' }, 'token (callback token) is empty'],
    ['OAUTHBEARER', { token => 'a b' }, 'token (callback token) holds a character'],
    ['OAUTHBEARER', { token => 'a', host => "\x{e9}" }, 'host (callback host) holds a character'],
    ['OAUTHBEARER', { token => 'a', port => 'imap' }, 'port (callback port) is no number'],
    ['OAUTHBEARER', { token => 'a', user => "a\cA" }, 'authentication identity (callback user or authcid) holds a control'],
    ['OAUTHBEARER', { token => 'a', authname => "a\cA" }, 'authorization identity (callback authname or authzid) holds a control'],
    ['ANONYMOUS', { authname => 'x' x 256 }, 'trace (callback authname) is longer'],
    ['DIGEST-MD5', { user => 'fred', pass => 'x', realm => "a\n" }, 'realm (callback realm) holds a control', @{ $challenge{'DIGEST-MD5'} }],
  ) {
    my ($mechanism, $callback, $expected, @messages) = @$case;
    like(failed('client', $mechanism, $callback, @messages), qr/^$mechanism client: the \Q$expected\E/, "$mechanism: $expected");
  }
  like(
    failed('server', 'XOAUTH2', { checktoken => sub { "\x{D800}" } }, "user=fred\cAauth=Bearer abc\cA\cA"),
    qr/^XOAUTH2 server: the identity \(callback checktoken\) is not valid UTF-8/, 'checktoken'
  );
};

subtest 'no mechanism sends a name with a NUL' => sub {
  my %client = (user => 'fred', pass => 'x', token => 'a', ht_token => 'a');
  my %challenge = (LOGIN => ['User Name'], 'CRAM-MD5' => ['<1@h>'], 'DIGEST-MD5' => ['nonce="a",algorithm=md5-sess,qop="auth"']);
  my ($authcid, $authzid) = ('authentication identity (callback user or authcid)', 'authorization identity (callback authname or authzid)');
  for my $case (
    ['EXTERNAL', 'user', 'identity (callback authzid, user or authname)'],
    (map { [$_, 'user', $authcid] } qw(PLAIN LOGIN OTP CRAM-MD5 DIGEST-MD5 SCRAM-SHA-256 HT-SHA-256-NONE HT2-SHA-256-NONE OAUTHBEARER XOAUTH2)),
    (map { [$_, 'authname', $authzid] } qw(ANONYMOUS PLAIN OTP DIGEST-MD5 SCRAM-SHA-256 OAUTHBEARER)),
  ) {
    my ($mechanism, $callback, $expected) = @$case;
    like(
      failed('client', $mechanism, { %client, $callback => "fr\0ed" }, @{ $challenge{$mechanism} || [] }),
      qr/^$mechanism client: the \Q$expected\E holds a NUL character \(SASL_BADPARAM\)$/, "$mechanism, $callback"
    );
  }
};

subtest 'where the peer speaks in our error' => sub {
  for my $object ("{\"status\":\"\x1b[31m\n\xFF" . 'x' x 5000 . '"}', '{"status":"\\u001b[31m\\n' . 'x' x 5000 . '"}', "\x1b[31m\n") {
    my $text = failed('client', 'OAUTHBEARER', { token => $SECRET }, $object);
    unlike($text, qr/[^\x20-\x7e]/, 'no control characters');
    cmp_ok(length $text, '<', 400, 'cut to a sane length');
  }
  like(failed('client', 'OAUTHBEARER', { token => $SECRET }, '{"status":"insufficient_scope","scope":"mail"}'), qr/insufficient_scope/, 'but its status is reported');
  my $message = client_message('OAUTHBEARER', token => $SECRET);
  unlike(failed('client', 'OAUTHBEARER', { token => $SECRET }, $_), qr/$SECRET/, 'an echo of the token is not')
    for $message, "{\"status\":\"$SECRET\"}", "{\"status\":\"x\",\"scope\":\"Bearer $SECRET\"}";
};

subtest 'damaged messages of every mechanism' => sub {
  my %both = (%client, %server, token => $SECRET, ht_token => $SECRET, authname => 'fred', checktoken => sub { undef }, ht_tokens => sub { $SECRET },
    otp_state => sub { Authen::SASL::Rust->otp_state(phrase => "$SECRET, a pass phrase") }, otp_replace => sub { 1 });
  for my $mechanism (grep { !/\AGS/ } Authen::SASL::Rust->global_listmech) {
    next if $mechanism =~ /-(?:PLUS|EXPR|UNIQ|ENDP)\z/;
    my @transcript = transcript($mechanism, %both);
    my $failures = 0;
    for my $n (0 .. $#transcript) {
      my $message = $transcript[$n];
      for my $damaged ('', $message . $message, substr($message, 0, length($message) / 2), "$message,x", scalar reverse($message), "\xFF$message") {
        my @replaced = @transcript;
        $replaced[$n] = $damaged;
        $failures += replay($mechanism, \%both, \@replaced);
      }
    }
    cmp_ok($failures, '>', 0, "$mechanism: $failures failures") unless $mechanism =~ /^(?:ANONYMOUS)\z/;
  }
};

# Runs an exchange that fails at its end or succeeds, and returns the messages.
sub transcript {
  my ($mechanism, %callback) = @_;
  my $client = make('client', $mechanism, \%callback);
  my $server = make('server', $mechanism, \%callback, { external_id => 'fred' });
  my @messages;
  my $message = $client->client_start;
  if ($client->property('message_absent')) { $message = $server->server_start(undef) }
  else { push @messages, $message; $message = $server->server_start($message) }
  for (1 .. 4) {
    last unless defined $message && ($client->need_step || length $message);
    push @messages, $message;
    $message = $client->client_step($message);
    last unless defined $message && $server->need_step;
    push @messages, $message;
    $message = $server->server_step($message);
  }
  return @messages;
}

# Passes all messages to both sides, and collects the errors.
sub replay {
  my ($mechanism, $callback, $messages) = @_;
  my $failures = 0;
  for my $side (qw(client server)) {
    my $conn = make($side, $mechanism, $callback, { external_id => 'fred' }) or next;
    if ($side eq 'server') { $conn->server_start($messages->[0]) } else { $conn->client_start }
    my $step = "${side}_step";
    for my $message (@$messages) { $conn->$step($message) }
    $failures++ if defined collect($conn);
  }
  return $failures;
}

subtest 'wrong passwords' => sub {
  for my $mechanism (grep { !/-PLUS|\AGS|\AHT|OTP|ANONYMOUS|EXTERNAL|OAUTH/ } Authen::SASL::Rust->global_listmech) {
    for my $secret ($SECRET, Authen::SASL::Rust->scram_verifier(password => $SECRET), { iterations => $SECRET }) {
      my $client = make('client', $mechanism, { user => 'fred', pass => 'not it' });
      my $server = make('server', $mechanism, { getsecret => sub { $secret } });
      my $message = $client->client_start;
      $message = $server->server_start($client->property('message_absent') ? undef : $message);
      for (1 .. 4) {
        last unless defined $message && $client->need_step;
        $message = $client->client_step($message);
        last unless defined $message && $server->need_step;
        $message = $server->server_step($message);
      }
      ok(!$server->is_success, "$mechanism: no success");
      ok(defined collect($server), 'the server says why');
      collect($client);
    }
  }
};

subtest 'values that cannot be used' => sub {
  my $object = bless { secret => $SECRET }, 'Plain::Object';
  for my $callback (
    { user => "$SECRET\0", pass => $SECRET }, { user => 'fred', pass => "$SECRET\0" }, { user => 'fred', pass => [$SECRET] },
    { user => 'fred', pass => { $SECRET => 1 } }, { user => 'fred', pass => sub { \$SECRET } }, { user => 'fred', pass => $object },
    { user => 'fred', pass => "$SECRET\x{D800}" }, { user => 'fred', pass => "$SECRET\x{7}" }, { user => 'fred', pass => "$SECRET\x{2FF}\x{5D0}a" },
    { user => 'fred', token => "$SECRET\n" }, { token => "$SECRET\x{263A}" }, { user => "fr\x01ed", token => $SECRET },
  ) {
    failed('client', $_, $callback, 'Username:', 'Password:') for qw(PLAIN LOGIN SCRAM-SHA-256 CRAM-MD5 DIGEST-MD5 OAUTHBEARER XOAUTH2);
  }
  for my $secret ("SCRAM-SHA-256\$$SECRET", "{SCRAM-SHA-256}$SECRET", "SCRAM-SHA-256\$4096:$SECRET\$x:y", [$SECRET], { salt => $SECRET }) {
    failed('server', 'PLAIN', { getsecret => sub { $secret } }, "\0fred\0$SECRET");
    failed('server', 'SCRAM-SHA-256', { getsecret => sub { $secret } }, "n,,n=fred,r=abc");
  }
  my $conn = make('server', 'PLAIN', \%server);
  for my $option ([salt_key => substr $SECRET, 0, 15], [minssf => $SECRET], [secflags => $SECRET], [channel_binding_policy => $SECRET]) {
    push @errors, eval { $conn->property(@$option); 1 } ? () : $@;
  }
  push @errors, eval { Authen::SASL::Rust->scram_verifier(password => $SECRET, mechanism => 'NONE'); 1 } ? () : $@;
  push @errors, eval { Authen::SASL::Rust->scram_verifier(password => $SECRET, spelling => 'none'); 1 } ? () : $@;
  push @errors, eval { Authen::SASL::Rust->scram_verifier(password => "$SECRET\x{7}"); 1 } ? () : $@;
  make('client', 'NOSUCH', \%client);
  make('client', 'PLAIN', \%client, 'noplaintext');
  $conn = make('client', 'PLAIN', \%client);
  $conn->property(die_on_failure => 1);
  $conn->callback(user => '');
  ok(!eval { $conn->client_start; 1 }, 'an exception');
  push @errors, "$@", $@->message;
  is_deeply([grep { defined && index($_, $SECRET) >= 0 } %{$@}], [], 'holds no secret in any of its fields');
};

subtest 'no secret in any of them' => sub {
  cmp_ok(scalar @errors, '>', 300, scalar(@errors) . ' errors were collected');
  my @hidden = ($SECRET, substr($SECRET, 0, 15), scalar reverse($SECRET), encode_base64($SECRET, ''), md5_hex($SECRET), unpack('H*', $SECRET));
  for my $hidden (@hidden) {
    my @telling = grep { index($_, $hidden) >= 0 } @errors, @warnings;
    is_deeply(\@telling, [], "none holds $hidden");
  }
  # An exception names its line; the name of a directory may look like a digest.
  my @digest = grep { s/^(.*) at (.+?) line \d+\.?$/-e $2 ? $1 : $&/mer =~ /[0-9a-f]{32}|[A-Za-z0-9+\/]{27,}=/ } @errors;
  is_deeply(\@digest, [], 'nor a digest');
  my @strange = grep { !/^(?:[A-Z0-9_-]+ )?(?:client|server): .+ \(SASL_[A-Z]+\)$/m && !/^\w+: .+ was expected|^scram_verifier: / } @errors;
  is_deeply(\@strange, [], 'all name side and code');
  is_deeply(\@warnings, [], 'no warnings');
};

done_testing;
