# What a server reveals before a client has proved anything: no name, and no difference between users.
use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use Authen::SASL::Rust::Accounts;
use File::Temp qw(tempdir);
use MIME::Base64 qw(decode_base64 encode_base64);

my $folder = tempdir(CLEANUP => 1);
my $file = "$folder/users";
my $accounts = Authen::SASL::Rust::Accounts->new(users => $file);
$accounts->setpass($_, 'pencil') for qw(fred anna);
$accounts->disable('anna');

sub server {
  my ($mechanism, $callbacks, %option) = @_;
  return Authen::SASL->new(mechanism => $mechanism, callback => $callbacks)->server_new('imap', 'mail.example.org', \%option);
}

sub client {
  my ($mechanism, $user, $password) = @_;
  return Authen::SASL->new(mechanism => $mechanism, callback => { user => $user, pass => $password })
    ->client_new('imap', 'mail.example.org');
}

# The server's messages up to the end.
sub exchange {
  my ($server, $client) = @_;
  my @said;
  my $message = $client->client_start;
  $message = $client->property('message_absent') ? $server->server_start : $server->server_start($message);
  while (defined $message) {
    push @said, $message;
    last if $server->error || $server->is_success;
    $message = $client->client_step($message);
    last if !defined $message;
    $message = $server->server_step($message);
  }
  return @said;
}

# All names that a connection returns.
sub names {
  my ($conn) = @_;
  my %told = map { $_ => $conn->property($_) } qw(user authcid authuser authzid);
  %told = (%told, 'user()' => scalar $conn->user, map { +"answer $_" => $conn->answer($_) } qw(user authcid auth authname authzid));
  return join ' ', map { "$_=$told{$_}" } grep { defined $told{$_} } sort keys %told;
}

my %stored = (fred => 'pencil');
my $get = sub { return $stored{ $_[1]{user} } };
my %sources = (
  'a users\' file' => [{}, users => $file],
  getsecret => [{ getsecret => $get }],
  'getsecret and canonuser' => [{ getsecret => $get, canonuser => sub { return lc $_[-1] } }],
  'canonuser and checkpass' => [{ checkpass => sub { "$_[1]{user} $_[1]{pass}" eq 'fred pencil' }, canonuser => sub { return lc $_[-1] } }],
  'a client\'s callback' => [{ getsecret => $get, user => 'fred', authname => 'fred' }],
);

subtest 'no name before the proof' => sub {
  for my $source (sort keys %sources) {
    my ($callbacks, %option) = @{ $sources{$source} };
    for my $mechanism (qw(PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-256)) {
      my $make = sub { return eval { server($mechanism, $callbacks, %option) } };
      $make->() or next;    # the source does not support it
      for my $case (['fred', 'rubber'], ['nobody', 'pencil'], ['anna', 'pencil']) {
        my ($user, $password) = @$case;
        my $server = $make->();
        is(names($server), '', "$mechanism, $source: no name before the exchange");
        my $client = client($mechanism, $user, $password);
        my $message = $client->client_start;
        $message = $client->property('message_absent') ? $server->server_start : $server->server_start($message);
        for (1 .. 4) {
          is(names($server), '', "$mechanism, $source, $user: no name in the middle") if !$server->error;
          last if !defined $message || $server->error;
          $message = $client->client_step($message);
          $message = defined $message ? $server->server_step($message) : undef;
        }
        ok($server->error && !$server->is_success, "$mechanism, $source, $user: refused");
        is(names($server), '', 'and no name');
        is($server->property('claimed_user'), $user, 'but the claim is known');
        $server->server_start;
        is($server->property('claimed_user'), undef, 'for this exchange alone');
      }
      my $server = $make->();
      exchange($server, client($mechanism, 'fred', 'pencil'));
      ok($server->is_success, "$mechanism, $source: the right password") or diag $server->error;
      is($server->$_, 'fred', 'has a name') for 'user';
      is($server->property($_), 'fred', "$_ as well") for qw(user authcid authuser claimed_user);
    }
  }
  my $refused = server('PLAIN', { getsecret => $get });
  $refused->server_start("root\0fred\0pencil");
  like($refused->error, qr/may not act as/, 'the right password, and another identity');
  is(names($refused), '', 'is no name');
  is($refused->property('claimed_user'), 'fred', 'but a claim');
  ok(!eval { $refused->property(claimed_user => 'x'); 1 }, 'which cannot be set');
};

subtest 'a refused token' => sub {
  for my $case (['OAUTHBEARER', "n,a=fred,\1auth=Bearer abc\1\1", "\1"], ['XOAUTH2', "user=fred\1auth=Bearer abc\1\1", '']) {
    my ($mechanism, $message, $dummy) = @$case;
    my $server = server($mechanism, { checktoken => sub { return { status => 'invalid_token' } } });
    is($server->property('pending_error'), undef, "$mechanism: nothing is pending before it");
    like($server->server_start($message), qr/status/, 'the client hears of it');
    ok($server->need_step && !$server->error, 'and is to answer');
    like($server->property('pending_error'), qr/\A$mechanism server: the token was refused/, 'yet the server knows the end');
    is($server->property('claimed_user'), 'fred', 'and who tried');
    $server->server_step($dummy);
    like($server->error, qr/the token was refused/, 'which comes');
    is($server->property('pending_error'), undef, 'and is pending no more');
  }
};

subtest 'abandoned exchanges' => sub {
  for my $case (
    ['PLAIN'], ['LOGIN'], ['SCRAM-SHA-256', 'n,,n=fred,r=abc'], ['CRAM-MD5'],
    ['OAUTHBEARER', "n,,\1auth=Bearer abc\1\1", qr/the token was refused/]
  ) {
    my ($mechanism, $initial, $reason) = @$case;
    my $server = server($mechanism, { getsecret => $get, checktoken => sub { return { status => 'invalid_token' } } });
    $server->abandon;
    is($server->error, undef, "$mechanism: there is nothing to abandon");
    $server->server_start($initial);
    ok($server->need_step && !$server->error, 'under way');
    $server->abandon;
    like($server->error, $reason || qr/\A$mechanism server: exchange: the peer ended the exchange before its end/, 'a failure');
    ok(!$server->need_step && !$server->is_success, 'and an end');
  }
  my $owed;
  my $server = server('PLAIN', { getsecret => sub { $owed = $_[2]; return } });
  my @said;
  $server->server_start("\0fred\0pencil", sub { push @said, 'something' });
  $server->abandon;
  $owed->('pencil');
  ok(!$server->is_success && $server->error, 'an answer that comes too late is none');
  is("@said", '', 'nothing is said');
};

# A verifier with another name or other fields.
sub key_with {
  no warnings 'uninitialized';
  my (%change) = @_;
  my ($iterations, $salt, $stored, $key) =
    Authen::SASL::Rust->scram_verifier(password => 'pencil') =~ /\$(\d+):([^\$]+)\$([^:]+):(.*)/ or die;
  my %hash = (
    mechanism => 'SCRAM-SHA-256', iterations => $iterations, salt => decode_base64($salt),
    stored_key => decode_base64($stored), server_key => decode_base64($key), %change
  );
  my ($s, $k, $v) = map { encode_base64($_, '') } @hash{qw(salt stored_key server_key)};
  return (\%hash, "$hash{mechanism}\$$hash{iterations}:$s\$$k:$v");
}

subtest 'getsecret\'s hash is a key or an error, never a password' => sub {
  my $tries = sub {
    my ($hash, $password) = @_;
    my $server = server('PLAIN', { getsecret => sub { return $hash } });
    $server->server_start("\0fred\0$password");
    return $server->is_success ? 'in' : $server->error;
  };
  for my $name ('SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS', 'scram-sha-256', 'Scram-Sha-256-Plus') {
    my ($hash, $text) = key_with(mechanism => $name);
    is($tries->($hash, 'pencil'), 'in', "$name: the password");
    isnt($tries->($hash, $text), 'in', "$name: not the key's text");
    is($tries->($text, 'pencil'), 'in', "$name as text: the password");
    isnt($tries->($text, $text), 'in', "$name as text: not the key's text");
  }
  for my $change (
    (map { [mechanism => $_] } 'SHA-256', 'SCRAM-SHA-999', ' SCRAM-SHA-256', 'SCRAM-SHA256', 'SCRAM-', '', 'PLAIN', "SCRAM-SHA-256\n"),
    [iterations => 0], [iterations => 'many'], [iterations => '1,2'], [salt => ''], [stored_key => 'short'], [server_key => ''],
    (map { [$_ => undef] } qw(mechanism iterations salt stored_key server_key))
  ) {
    my ($name, $value) = @$change;
    my ($hash, $text) = key_with($name => $value);
    my $what = "$name " . (defined $value ? "'$value'" : 'undef');
    for my $password ('pencil', $text) {
      my $result = $tries->($hash, $password);
      like($result, qr/getsecret.*\(SASL_BADAUTH\)\z/, "$what is an error");
    }
  }
};

subtest 'an unusable secret shows to the operator alone' => sub {
  my ($sha_256) = Authen::SASL::Rust->scram_verifier(password => 'pencil');
  my $dialogue = sub {
    my ($mechanism, $secret) = @_;
    my @logged;
    my $server = server($mechanism, { getsecret => sub { return $secret }, log => sub { push @logged, $_[2] } });
    my $client = client($mechanism, 'fred', 'pencil');
    # Without the random parts.
    my @said = map { s/r=[^,]+|nonce="[^"]+"|<[^\@]+//r } exchange($server, $client);
    return (join("\n", @said, $server->code), $server->error, "@logged");
  };
  for my $case (
    [$sha_256, qw(SCRAM-SHA-1 SCRAM-SHA-512 CRAM-MD5 DIGEST-MD5)],
    ['SCRAM-SHA-256$4096:AAAA', qw(PLAIN LOGIN SCRAM-SHA-256 CRAM-MD5)],
    [{ mechanism => 'SCRAM-SHA-256' }, qw(PLAIN SCRAM-SHA-256 CRAM-MD5 DIGEST-MD5)],
    ["\t", 'SCRAM-SHA-256'],
    ['x' x 65_537, qw(PLAIN SCRAM-SHA-256 CRAM-MD5)],
  ) {
    my ($secret, @mechanisms) = @$case;
    for my $mechanism (@mechanisms) {
      my ($unknown) = $dialogue->($mechanism, undef);
      my ($dialogue, $error, $logged) = $dialogue->($mechanism, $secret);
      is($dialogue, $unknown, "$mechanism: the dialogue and code of an unknown user");
      like($error, qr/answered as for a wrong password/, 'and its own error');
      like($logged, qr/\A$mechanism server: user 'fred': /, 'which is logged');
      unlike("$error $logged", qr/pencil|\$4096:/, 'without the secret');
    }
  }
  for my $case (['anna', 'PLAIN', 'the user is disabled'], ['anna', 'SCRAM-SHA-256', 'the user is disabled']) {
    my ($user, $mechanism, $reason) = @$case;
    my ($server, $unknown) = map { server($mechanism, {}, users => $file) } 1, 2;
    my @said = map { s/[rs]=[^,]+//gr } exchange($server, client($mechanism, $user, 'pencil'));
    is("@said", join(' ', map { s/[rs]=[^,]+//gr } exchange($unknown, client($mechanism, 'nobody', 'pencil'))), "$mechanism: as unknown");
    is($server->code, $unknown->code, 'with the same code');
    like($server->error, qr/$reason/, 'and its own reason');
  }
};

# A separate program: in this process the key has already been made.
subtest 'mock salts are the same in forks if the module was loaded before' => sub {
  my $program = <<'END';
use Authen::SASL qw(Rust);
$| = 1;
for my $user (qw(fred nobody)) {
  for my $child (1 .. 4) {
    my $pid = fork // die "fork: $!";
    waitpid($pid, 0), next if $pid;
    my $conn = Authen::SASL->new(mechanism => 'SCRAM-SHA-256', callback => { getsecret => sub { } })->server_new('imap', 'h');
    my ($salt) = $conn->server_start("n,,n=$user,r=abc") =~ /s=([^,]+)/;
    print "$user $salt\n";
    require POSIX;
    POSIX::_exit(0);
  }
}
END
  my $run = sub {
    open my $out, '-|', $^X, (map { "-I$_" } @INC), '-e', $program or die $!;
    my %salts;
    while (<$out>) { my ($user, $salt) = split; $salts{$user}{$salt}++ }
    close $out or die "the program has failed: $?";
    return \%salts;
  };
  my ($one, $two) = ($run->(), $run->());
  is_deeply([values %{ $one->{$_} }], [4], "$_: one salt in four children") for qw(fred nobody);
  isnt((keys %{ $one->{fred} })[0], (keys %{ $one->{nobody} })[0], 'another for each name');
  isnt((keys %{ $one->{fred} })[0], (keys %{ $two->{fred} })[0], 'and for each process');
};

subtest 'a client does not choose its domain' => sub {
  require Digest::MD5;
  my $answer = sub {
    my ($challenge, $realm, $authzid) = @_;
    my ($nonce) = $challenge =~ /nonce="([^"]+)"/;
    my $a1 = Digest::MD5::md5("fred:$realm:pencil") . ":$nonce:abc:$authzid";
    my $response = Digest::MD5::md5_hex(
      Digest::MD5::md5_hex($a1) . ":$nonce:00000001:abc:auth:" . Digest::MD5::md5_hex('AUTHENTICATE:imap/x'));
    return qq(charset=utf-8,username="fred",realm="$realm",nonce="$nonce",nc=00000001,cnonce="abc",digest-uri="imap/x",)
      . qq(response=$response,qop=auth,authzid="$authzid");
  };
  for my $case (
    [undef, 'victim.org', 'fred@victim.org', 0], [undef, '', 'fred@', 0], [undef, 'victim.org', 'fred', 1],
    ['example.org', 'example.org', 'fred@example.org', 1], ['example.org', 'example.org', 'fred@victim.org', 0],
  ) {
    my ($own, $realm, $authzid, $in) = @$case;
    my $server = Authen::SASL->new(mechanism => 'DIGEST-MD5', callback => { getsecret => sub { 'pencil' } })
      ->server_new('imap', undef, defined $own ? { realm => $own } : {});
    $server->server_step($answer->($server->server_start, $realm, $authzid));
    my $what = (defined $own ? "realm $own" : 'no realm') . ", the client acts as $authzid in '$realm'";
    is($server->is_success ? 1 : 0, $in, $what) or diag $server->error;
    is($server->property('user'), $in ? $authzid : undef, 'as whom');
  }
};

done_testing;
