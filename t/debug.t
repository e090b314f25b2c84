# The trace (debug): choice, messages with their fields, failures and times, but no secrets.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use File::Temp qw(tempfile);
use MIME::Base64 qw(decode_base64 encode_base64);

# Returns what is printed to standard error meanwhile.
sub printed(&) {
  my ($code) = @_;
  my ($file) = tempfile(UNLINK => 1);
  open my $kept, '>&', \*STDERR or die "dup: $!";
  open STDERR, '>&', $file or die "dup: $!";
  my $lived = eval { $code->(); 1 };
  my $why = $@;
  open STDERR, '>&', $kept or die "dup: $!";
  die $why unless $lived;
  seek $file, 0, 0;
  local $/;
  return scalar <$file>;
}

# The same, with T for each time.
sub traced(&) {
  my $text = &printed(@_);
  $text =~ s/\d+\.\d ms/T ms/g;
  return $text;
}

sub sasl { my ($list, $debug, %callback) = @_; return Authen::SASL->new(mechanism => $list, callback => \%callback, debug => $debug) }

my %client = (user => 'fred', pass => 'rubber-and-pencil');
my %server = (getsecret => sub { 'another-secret' });

my $exchange = sub {
  my ($debug) = @_;
  my $client = sasl('PLAIN scram-sha-256', $debug, %client)->client_new('imap', 'h');
  my $server = sasl('SCRAM-SHA-256', $debug, %server)->server_new('imap', 'h');
  $client->client_step($server->server_step($client->client_step($server->server_start($client->client_start))));
};
for my $debug (1, 5) {
  is(traced { $exchange->($debug) }, <<'TRACE', "debug => $debug: a wrong password");
Authen::SASL::Rust client SCRAM-SHA-256: chosen from: PLAIN scram-sha-256
Authen::SASL::Rust client SCRAM-SHA-256: of the list, PLAIN: usable, rank 10; SCRAM-SHA-256: usable, rank 54
Authen::SASL::Rust server SCRAM-SHA-256: chosen from: SCRAM-SHA-256
Authen::SASL::Rust server SCRAM-SHA-256: of the list, SCRAM-SHA-256: usable, rank 54
Authen::SASL::Rust client SCRAM-SHA-256: sends an initial response of 44 bytes (in T ms), client-first-message: gs2-cbind-flag=n n=fred r=(32 bytes)
Authen::SASL::Rust server SCRAM-SHA-256: receives an initial response of 44 bytes (after T ms), client-first-message: gs2-cbind-flag=n n=fred r=(32 bytes)
Authen::SASL::Rust server SCRAM-SHA-256: sends a challenge of 100 bytes (in T ms), server-first-message: r=(64 bytes) s=(16 bytes) i=4096
Authen::SASL::Rust client SCRAM-SHA-256: receives a challenge of 100 bytes (after T ms), server-first-message: r=(64 bytes) s=(16 bytes) i=4096
Authen::SASL::Rust client SCRAM-SHA-256: sends a response of 120 bytes (in T ms), client-final-message: c=(3 bytes) r=(64 bytes) p=(secret)
Authen::SASL::Rust server SCRAM-SHA-256: receives a response of 120 bytes (after T ms), client-final-message: c=(3 bytes) r=(64 bytes) p=(secret)
Authen::SASL::Rust server SCRAM-SHA-256: sends a challenge of 15 bytes (in T ms), server-final-message: e=invalid-proof
Authen::SASL::Rust server SCRAM-SHA-256 failed: SCRAM-SHA-256 server: authentication failed: wrong password or unknown user (SASL_BADAUTH)
Authen::SASL::Rust client SCRAM-SHA-256: receives a challenge of 15 bytes (after T ms), server-final-message: e=invalid-proof
Authen::SASL::Rust client SCRAM-SHA-256 failed: SCRAM-SHA-256 client: the server refused: invalid-proof (wrong password or unknown user) (SASL_BADAUTH)
TRACE
}
is(printed { $exchange->($_) }, '', 'nothing where debug is not set') for 0, undef, '';

is(traced {
  my $client = sasl('PLAIN', 1, %client)->client_new('imap', 'h');
  my $server = sasl('PLAIN LOGIN', 1, checkpass => sub { 1 })->server_new('imap', 'h');
  $server->mechanism('PLAIN');
  $server->server_start;
  $server->server_step($client->client_start);
}, <<'TRACE', 'PLAIN, without an initial response');
Authen::SASL::Rust client PLAIN: chosen from: PLAIN
Authen::SASL::Rust client PLAIN: of the list, PLAIN: usable, rank 10
Authen::SASL::Rust server: the client chooses from: PLAIN LOGIN
Authen::SASL::Rust server: of the list, PLAIN: usable, rank 10; LOGIN: usable, rank 10
Authen::SASL::Rust server PLAIN: starts without an initial response (after T ms)
Authen::SASL::Rust server PLAIN: sends a challenge of 0 bytes (in T ms)
Authen::SASL::Rust client PLAIN: sends an initial response of 23 bytes (in T ms), message: authzid= authcid=fred passwd=(secret)
Authen::SASL::Rust client PLAIN succeeded
Authen::SASL::Rust server PLAIN: receives a response of 23 bytes (after T ms), message: authzid= authcid=fred passwd=(secret)
Authen::SASL::Rust server PLAIN succeeded
TRACE

subtest 'the choice' => sub {
  like(printed { eval { sasl('GSS-NONE LOGIN', 1, user => 'fred')->client_new('imap', 'h') } },
    qr/\AAuthen::SASL::Rust client: no mechanism is usable: GSS-NONE: not supported; LOGIN: there is no callback pass/, 'none');
  like(printed {
    my $client = sasl('SCRAM-SHA-256 SCRAM-SHA-256-PLUS', 1, %client)->client_new('imap', 'h');
    $client->property(channel_binding => { 'tls-exporter' => 'data' });
    $client->client_start;
  }, qr/SCRAM-SHA-256-PLUS: there is no channel binding data .*\n.*client SCRAM-SHA-256-PLUS: chosen again: of the list, SCRAM-SHA-256: usable, rank 54; SCRAM-SHA-256-PLUS: usable, rank 74\n.*p=tls-exporter/,
    'again, when it starts');
};

subtest 'where it goes' => sub {
  my (@lines, $text);
  my $one = sub {
    my ($debug) = @_;
    return Authen::SASL->new(mechanism => 'PLAIN', callback => \%client)->client_new('imap', 'h', { debug => $debug })->client_start;
  };
  is(printed { $one->(sub { push @lines, @_ }) }, '', 'code');
  is(scalar @lines, 4, 'gets lines');
  like($lines[2], qr/\AAuthen::SASL::Rust client PLAIN: sends an initial response of 23 bytes.*\(secret\)\z/, 'without an end of line');
  open my $handle, '>', \$text or die "memory: $!";
  is(printed { local ($\, $,) = ('!', '?'); $one->($handle) }, '', 'a handle');
  close $handle or die "memory: $!";
  is($text =~ tr/\n//, 4, 'gets lines with their ends');
  unlike($text, qr/[!?]/, "whatever print's variables are");
  like(printed { $one->(\*STDERR) }, qr/sends an initial response/, 'a glob');
  like(printed { $one->(*STDERR) }, qr/sends an initial response/, 'and without a reference');
  @lines = ();
  printed { sasl('PLAIN', sub { push @lines, @_ }, %client)->client_new('imap', 'h') };
  is(scalar @lines, 2, 'code in Authen::SASL');
  for my $wrong ({}, [], \'x') {
    ok(!eval { $one->($wrong); 1 }, 'another reference');
    like($@, qr/\Adebug: 1, 0, a code reference or a handle was expected at \Q$0\E/, 'is refused');
  }
  like(printed { local $ENV{AUTHEN_SASL_RUST_DEBUG} = 1; $one->() }, qr/\AAuthen::SASL::Rust client/, 'the environment');
  is(printed { local $ENV{AUTHEN_SASL_RUST_DEBUG} = $_; $one->() }, '', 'no trace') for '', 0;
  is(printed { local $ENV{AUTHEN_SASL_RUST_DEBUG} = 1; $one->(0) }, '', 'an option that is false wins');
  my $conn = Authen::SASL->new(mechanism => 'PLAIN', callback => \%client)->client_new('imap', 'h');
  is($conn->property('debug'), undef, 'the property');
  like(printed { $conn->property(debug => 1); $conn->client_start; $conn->property(debug => 0); $conn->client_start }, qr/\A(?:.*\n){2}\z/,
    'can be changed');
};

subtest 'code that misbehaves changes nothing' => sub {
  no warnings 'exiting';
  my $conn;
  for my $code (sub { die "a string\n" }, sub { last }, sub { $conn->property(debug => 0) }, sub { undef $conn }, sub { $_[0] = 'x'; $! = 1 },
    sub { $conn->client_start if $conn; $conn->client_step('x') if $conn }) {
    $conn = Authen::SASL->new(mechanism => 'PLAIN', callback => \%client)->client_new('imap', 'h', { debug => $code });
    my $again = $conn;
    local $@ = 'before';
    is($again->client_start, "\0fred\0rubber-and-pencil", 'the message') or diag($again->error);
    is($@, 'before', '$@ is unchanged');
  }
};

# Every secret of every mechanism's exchange, as it is, in base64 and in hexadecimal digits, also of damaged messages.
subtest 'no secret' => sub {
  my ($PASSWORD, $TOKEN, $HT_TOKEN) = ('Tr0ub4dor-marked-pw', 'vF9dft4qmTc2Nvb3RlckBhbHRh-marked', 'secret-token:fast-marked-Q3c1bmQ');
  my %binding = map { $_ => "data of $_, which is no secret" } qw(tls-exporter tls-unique tls-server-end-point);
  my @kerberos = grep { /\AGS/ } Authen::SASL::Rust->global_listmech;
  my $OTP = Authen::SASL::Rust->otp_state(phrase => $PASSWORD);
  my ($said, %messages) = (0);
  for my $mechanism (grep { !/\AGS/ } Authen::SASL::Rust->global_listmech) {
    my $verifier = $mechanism =~ /\A(SCRAM-.*?)(?:-PLUS)?\z/
      ? Authen::SASL::Rust->scram_verifier(password => $PASSWORD, mechanism => $1, salt => 'saltsalt') : undef;
    for my $stored ($PASSWORD, $verifier || (), 'wrong-Tr0ub4dor-stored') {
      for my $damage (sub { $_[0] }, sub { $_[0] . $_[0] }, sub { substr $_[0], 0, length($_[0]) - 1 }, sub { scalar reverse $_[0] }, sub { "\0$_[0]" },
        sub { "x=$_[0],y" }, sub { '{"status":"' . $_[0] . '"}' }) {
        my @lines;
        my %option = (debug => sub { push @lines, @_ }, $mechanism =~ /-(?:PLUS|EXPR|UNIQ|ENDP)\z/ ? (channel_binding => \%binding) : ());
        my $client = Authen::SASL->new(mechanism => $mechanism, callback =>
          { user => 'fred', pass => $PASSWORD, token => $TOKEN, ht_token => $HT_TOKEN })->client_new('imap', 'h', \%option);
        my $server = Authen::SASL->new(mechanism => $mechanism, callback => {
          getsecret => sub { $stored }, checktoken => sub { $stored eq $PASSWORD ? 'fred' : undef },
          ht_tokens => sub { $stored eq $PASSWORD ? $HT_TOKEN : 'x' },
          otp_state => sub { $OTP }, otp_replace => sub { 1 },
        })->server_new('imap', 'h', { %option, external_id => 'fred' });
        my @said;
        my $message = $client->client_start;
        my $absent  = $client->property('message_absent');
        push @said, $message unless $absent;
        ($message) = $server->server_start($absent ? undef : $damage->($message));
        for (1 .. 4) {
          last unless defined $message;
          push @said, $message;
          ($message) = $client->client_step($damage->($message));
          last unless defined $message;
          push @said, $message;
          ($message) = $server->server_step($damage->($message));
        }
        my @secret = ($PASSWORD, $TOKEN, $HT_TOKEN, $stored, $mechanism =~ /\AHT/ ? substr($said[0], -20) : ());
        for my $text (@said) {
          push @secret, $1 while $text =~ /(?:\A|[,=" \0])([0-9a-f]{32})\b/g;                     # digests
          push @secret, $2, eval { decode_base64($2) } while $text =~ /(?:\A|,)([prvs])=([A-Za-z0-9+\/]{8,}=*)/g;
          push @secret, $1 while $text =~ /nonce="([^"]{8,})"/g;
          push @secret, $text =~ /([0-9a-f]{16})/g if $mechanism eq 'OTP';
          push @secret, substr $text, -20 if $mechanism =~ /\AHT/ && length $text > 20;
        }
        push @secret, $verifier =~ /[\$:]([^\$:]{20,})/g if $verifier;
        my $trace = join "\n", @lines;
        my @shown = grep { length && index($trace, $_) >= 0 }
          map { my $secret = $_; ($secret, (map { encode_base64(substr($secret, $_), '') =~ s/..?=*\z//r } 0 .. 2), unpack('H*', $secret), uc unpack 'H*', $secret) } @secret;
        is_deeply(\@shown, [], "$mechanism") or diag($trace);
        $said += @said;
        $messages{$1}++ while $trace =~ /ms\), ([^:,\n]+)(?::|$)/mg;
      }
    }
  }
  cmp_ok($said, '>', 500, "$said messages");
  is_deeply([sort keys %messages], [sort
    'client-first-message', 'server-first-message', 'client-final-message', 'server-final-message', 'initiator-msg', 'responder-msg', 'message',
    'prompt', 'user name', 'password', 'challenge', 'response', 'digest-challenge', 'digest-response', 'response-auth', 'error object',
    'dummy client response', 'initial client response', 'first message'], 'each kind of message has its name');
};

my $all = printed {
  $exchange->(1);
  sasl("PLAIN \e[31m" . 'x' x 1000, 1, %client)->client_new('imap', 'h')->client_start;
  eval { sasl('NOSUCH', 1, %client)->client_new('imap', 'h') };
};
unlike($all, qr/rubber|pencil|another|\e|\x00/, 'no password, no control character');
ok((grep { length > 600 } split /\n/, $all) == 0, 'no line without an end');

done_testing;
