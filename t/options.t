# The third argument of client_new and server_new in all its forms, and the properties with their ranges.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use Authen::SASL::Rust::Accounts;
use Authen::SASL::Rust::AuthLine;

sub sasl { return Authen::SASL->new(mechanism => 'PLAIN ANONYMOUS', callback => { user => 'fred', pass => 'x' }) }
sub client { return sasl()->client_new('imap', 'mail.example.org', @_) }

sub server {
  return Authen::SASL->new(mechanism => 'PLAIN', callback => { checkpass => sub { 1 } })->server_new('imap', 'h', @_);
}

sub message_of(&) {
  my ($code) = @_;
  return eval { $code->(); 1 } ? 'nothing died' : $@;
}

subtest 'third argument: nothing' => sub {
  is(client(@$_)->mechanism, 'PLAIN', @$_ ? defined $_->[0] ? "'$_->[0]'" : 'undef' : 'none') for [], [undef], [0], ['0'], [''];
};

subtest 'third argument: security flags' => sub {
  for my $flags ('noplaintext', 'NOPLAINTEXT', 'noplaintext, noplaintext', ' noplaintext ') {
    is(client($flags)->mechanism, 'ANONYMOUS', "'$flags'");
  }
  my @known = qw(noplaintext noactive nodictionary noanonymous forward_secrecy pass_credentials mutual_auth);
  for my $flag (@known) {
    is(server({ secflags => $flag, externalssf => 1, maxssf => 9 })->property('secflags'), $flag, "$flag is known")
      if $flag eq 'noplaintext' || $flag eq 'noanonymous';
    like(message_of { client($flag . ' noanonymous noplaintext') }, qr/no mechanism is usable/, "$flag is understood");
  }
  like(message_of { client('noplaintext nonsense') }, qr/secflags: noplaintext, noactive, .* was expected/, 'an unknown one dies');
  like(message_of { server('nonsense') }, qr/secflags: /, 'on a server too');
  for my $typed ('noplaintxt', 'NoPlainText2', 'no_active', 'mutual', 'forward', 'pass_credential', 'noanonymus', 'nosuch') {
    like(message_of { client($typed) }, qr/secflags: noplaintext, .* was expected/, "$typed may be a mistyped one");
  }
  for my $word ('yann', '1', 'stranger') {
    my @warnings;
    local $SIG{__WARN__} = sub { push @warnings, @_ };
    is(client("$word noplaintext")->mechanism, 'ANONYMOUS', "$word is none: the others count");
    like("@warnings", qr/^ignored, since no security flag resembles it: $word at /, 'and a warning tells');
    like(message_of { client({ secflags => $word }) }, qr/secflags: .* was expected/, 'as an option it dies');
  }
};

subtest 'third argument: a hash' => sub {
  my $conn = client({ secflags => 'noplaintext', maxbuf => 1000, sockname => 'packed' });
  is($conn->mechanism, 'ANONYMOUS', 'flags as secflags');
  is($conn->property('maxbuf'), 1000, 'a property');
  is($conn->property('sockname'), 'packed', 'one that is stored only');
  is(server({ no_integrity => 1, no_confidentiality => 0 })->property('no_integrity'), 1, "DJabberd's option");
  is(server({})->mechanism, 'PLAIN', 'an empty hash');
  like(message_of { client({ minssf => 'lots' }) }, qr/minssf: a number from 0 to 4294967295 was expected/, 'a wrong value dies');
  like(message_of { client($_) }, qr/a hash was expected/, 'no ' . ref) for [], \'x', sub { };
  tie my %tied, 'TiedOptions';
  is(client(\%tied)->property('maxbuf'), 4321, 'a tied hash');
};

{
  package TiedOptions;
  sub TIEHASH { my ($class, $name) = @_; return bless { name => defined $name ? $name : 'maxbuf' }, $class }
  sub FETCH { return 4321 }
  sub FIRSTKEY { return $_[0]{name} }
  sub NEXTKEY { return undef }
}

subtest 'an option that does not exist' => sub {
  my %nearest = (
    sec_flags => 'secflags', SecFlags => 'secflags', min_ssf => 'minssf', channel_binding_polcy => 'channel_binding_policy',
    channelbinding => 'channel_binding', offered_mechanism => 'offered_mechanisms', die_on_fail => 'die_on_failure', TLS => 'tls',
    plugin => 'plugins', user_file => undef, colour => undef, '' => undef, 'maxbuf ' => 'maxbuf',
  );
  for my $name (sort keys %nearest) {
    my $hint = defined $nearest{$name} ? quotemeta "; did you mean $nearest{$name}?" : '';
    my $text = qr/^unknown option \Q$name\E$hint at /;
    like(message_of { client({ secflags => 'noplaintext', $name => 1 }) }, $text, "'$name'");
    like(message_of { server({ $name => undef }) }, $text, 'on a server, without a value');
    like(message_of { client({ $name => \'x' }) }, $text, 'with a reference for a value');
    tie my %tied, 'TiedOptions', $name;
    like(message_of { client(\%tied) }, $text, 'from a tied hash');
  }
  my $sent = eval { client({ sec_flags => 'noplaintext' })->client_start };
  is($sent, undef, 'no password is sent');
  for my $name (qw(authsource optctx peername sockname COMPAT_CYRUSLIB_REPLY_MASK_BUG)) {
    is(client({ $name => 'x' })->property($name), 'x', "$name is taken: other backends know it");
  }
  is(client({ $_ => undef })->mechanism, 'PLAIN', "$_ is taken") for split ' ', Authen::SASL::Rust::_option_names();

  my @warnings;
  local $SIG{__WARN__} = sub { push @warnings, @_ };
  my $conn = client();
  for my $name (qw(sec_flags max_buf channel_binding_polcy die_on_failures)) {
    @warnings = ();
    $conn->property($name => 'x');
    is($conn->property($name), 'x', "property $name is stored");
    like("@warnings", qr/^property $name is stored and has no effect; did you mean \w+\? at .*options\.t line/, 'and a warning tells');
  }
  @warnings = ();
  $conn->property(colour => 'blue', iteration_count => 1, sock => 2, userid => 3, user => 4, optctx => 5, sockname => 6);
  is("@warnings", '', "a program's own names need no warning");
};

subtest 'arguments that do not exist' => sub {
  for my $case (
    [sub { Authen::SASL::Rust->plugins(lod => 'otp') }, qr/^plugins: unknown argument lod \(did you mean load\?\) at /],
    [sub { Authen::SASL::Rust->plugins({ paths => '/x' }) }, qr/^plugins: unknown argument paths \(did you mean path\?\) at /],
    [sub { Authen::SASL::Rust->scram_verifier(password => 'x', iteration => 5000) }, qr/unknown argument iteration \(did you mean iterations\?\)/],
    [sub { Authen::SASL::Rust->scram_verifier(password => 'x', colour => 1) }, qr/unknown argument colour at /],
    [sub { Authen::SASL::Rust::Accounts->new(user => '/x') }, qr/one of cyrus, saslauthd, users was expected, and not the unknown argument user \(did you mean users\?\)/],
    [sub { Authen::SASL::Rust::Accounts->new(saslauthd => '/x', time_out => 1) }, qr/^new: unknown argument time_out \(did you mean timeout\?\) at /],
    [sub { Authen::SASL::Rust::AuthLine->client(sasl => sasl(), hosts => 'h') }, qr/^client: unknown argument hosts \(did you mean host\?\) at /],
    [sub { Authen::SASL::Rust::AuthLine->server(sasl => sasl(), onreply => 1) }, qr/^server: unknown argument onreply \(did you mean on_reply\?\) at /],
  ) {
    my ($code, $text) = @$case;
    like(&message_of($code), $text, $text);
  }
};

# The program's values of $" and $, must not matter.
subtest 'the list separator of the program' => sub {
  for my $separator ('', ', ', "\n-") {
    local ($", $,) = ($separator, $separator);
    my $conn = server({ offered_mechanisms => ['SCRAM-SHA-256', 'PLAIN'], offered_bindings => ['tls-exporter', 'tls-unique'] });
    is($conn->property('offered_mechanisms'), 'SCRAM-SHA-256 PLAIN', 'an array as a list');
    is($conn->property('offered_bindings'), 'tls-exporter tls-unique', 'another');
    is(scalar(Authen::SASL::Rust->global_listmech), join(' ', Authen::SASL::Rust->global_listmech), 'global_listmech as a string');
    is(scalar(client()->listmech), 'PLAIN ANONYMOUS', 'listmech as a string');
    like(message_of { Authen::SASL::Rust->plugins(path => '/no/such', load => [qw(otp ntlm)]) }, qr/^plugins: otp: /, 'names of plugins');
    my $line = Authen::SASL::Rust::AuthLine->client(sasl => Authen::SASL->new(callback => { user => 'fred', pass => 'x' }));
    $line->begin;
    like($line->feed("OK 14\r\nCRAM-MD5 PLAIN\r\n"), qr/\Aauth-start CRAM-MD5/, 'the mechanisms of an AUTH line server');
    Authen::SASL::Rust->plugins(0);
  }
};

subtest 'third argument: addresses, as XS has them' => sub {
  my $conn = client('192.0.2.1;1234', '192.0.2.2;143');
  is($conn->property('iplocalport'), '192.0.2.1;1234', 'local');
  is($conn->property('ipremoteport'), '192.0.2.2;143', 'remote');
  is($conn->mechanism, 'PLAIN', 'and no flags');
  is(client('2001:db8::1;1234')->property('iplocalport'), '2001:db8::1;1234', 'IPv6');
  is(server('', '192.0.2.2;143')->property('ipremoteport'), '192.0.2.2;143', 'the remote one alone');
  is(server(undef, '192.0.2.2;143')->property('ipremoteport'), '192.0.2.2;143', 'together with undef');
};

subtest 'property' => sub {
  my $conn = client();
  ok($conn->property(minssf => 0, maxssf => 128, colour => 'blue'), 'several at once');
  is($conn->property('maxssf'), 128, 'maxssf');
  is($conn->property('nosuch'), undef, 'one that was never set');
  is($conn->property(undef), undef, 'no name');
  like(message_of { $conn->property('a', 'b', 'c') }, qr/names and values in pairs/, 'an odd count');
  is($conn->property('service'), 'imap', 'service');
  is($conn->property('serverfqdn'), 'mail.example.org', 'serverfqdn');
  $conn->property(serverfqdn => 'other.example.org', service => 'pop');
  is($conn->host . ' ' . $conn->service, 'other.example.org pop', 'are those of the methods');
  for my $name (qw(sockname peername authsource iplocalport ipremoteport)) {
    my $packed = join '', map { chr } 0, 2, 200 .. 203, 0;
    $conn->property($name => $packed);
    is($conn->property($name), $packed, "$name, bytes and all");
  }
  $conn->property(anything => \my $reference);
  is($conn->property('anything'), \$reference, 'unknown names take references');
  $conn->property(anything => undef);
  is($conn->property('anything'), undef, 'and undef');
  is($conn->property('mechname'), 'PLAIN', 'mechname');
  $conn->client_start;
  is($conn->property('ssf'), 0, 'ssf');
  is($conn->property('authuser'), 'fred', 'authuser');
  is($conn->property('user'), 'fred', 'user');
  is($conn->property('authzid'), undef, 'authzid');
  is(eval { $conn->property(maxout => 65536) }, 1, 'maxout may be set');
  is($conn->property('maxout'), undef, 'without effect');
  for my $name (qw(ssf maxout mechname authcid authuser)) {
    next if $name eq 'maxout' && like(message_of { $conn->property(maxout => 'many') }, qr/property maxout cannot be set/, 'no other text');
    like(message_of { $conn->property($name => 1) }, qr/property $name cannot be set/, "$name is read only");
  }
};

# Programs use these names for values of their own, too.
subtest 'a stored value does not replace what a login has proved' => sub {
  for my $case (['fred', 'pencil', user => 'fred'], ['fred', 'x', user => 'own'], ['fred', 'pencil', authzid => undef],
    ['fred', 'pencil', mechanism => 'PLAIN'], ['fred', 'pencil', realm => 'own']) {
    my ($user, $password, $name, $expected) = @$case;
    my $sasl = Authen::SASL->new(mechanism => 'PLAIN', callback => { checkpass => sub { $_[1]{pass} eq 'pencil' } });
    my $conn = $sasl->server_new('imap', 'h');
    $conn->property($name => 'own');
    is($conn->property($name), 'own', "$name before the login");
    $conn->server_start("\0$user\0$password");
    is($conn->property($name), $expected, '... and after it');
  }
};

subtest 'ranges' => sub {
  my %default = (
    minssf => 0, externalssf => 0, maxbuf => 65536, min_iterations => 4096, max_iterations => 2_000_000, iterations => 4096,
    secflags => '', channel_binding_policy => 'allow', no_integrity => 0, no_confidentiality => 0,
  );
  my %good = (
    minssf => [0, 56, 4294967295], maxssf => [0, 256], externalssf => [0, 256], maxbuf => [0, 65536, 16777215],
    min_iterations => [1, 4096], max_iterations => [1, 4294967295], iterations => [4096, 100_000_000],
    channel_binding_policy => [qw(disable allow require)], secflags => ['noactive mutual_auth'], realm => ['', 'example.org'],
    no_integrity => [1, 0], no_confidentiality => [1, 0], external_id => ['CN=fred'],
  );
  my $wide = client();
  $wide->property(maxbuf => 2**24);
  is($wide->property('maxbuf'), 16777215, 'maxbuf: more than a frame can be long counts as that');
  my %wrong = (
    minssf => [-1, 'x', '', 4294967296, 1.5], maxssf => [-1, '1 ', '0x10'], externalssf => ['-0', 'yes'],
    maxbuf => [4294967296, -1], min_iterations => [0], max_iterations => [0, 'inf'], iterations => [0, 4095, 100_000_001],
    channel_binding_policy => ['maybe', '', 1], secflags => ['none'], salt_key => ['short', ''],
  );
  for my $name (sort keys %good) {
    my $conn = client();
    is($conn->property($name), $default{$name}, "$name: default") if exists $default{$name};
    for my $value (@{ $good{$name} }) {
      $conn->property($name => $value);
      is($conn->property($name), $value, "$name: $value");
    }
    $conn->property($name => undef);
    is($conn->property($name), $default{$name}, "$name: undef puts the default back") if exists $default{$name};
  }
  for my $name (sort keys %wrong) {
    my $conn = client();
    my $before = $conn->property($name);
    for my $value (@{ $wrong{$name} }, [], {}, \'x', sub { }) {
      like(message_of { $conn->property($name => $value) }, qr/^$name: .*was expected/, "$name: '$value' dies with name and range");
    }
    is($conn->property($name), $before, "$name: and changes nothing");
  }
  like(message_of { client()->property(realm => []) }, qr/^realm: a string or a number was expected/, 'no reference for realm');
};

subtest 'what is kept secret' => sub {
  my $conn = server({ salt_key => 'sixteen bytes at least' });
  is($conn->property($_), undef, "$_ is not given back") for qw(salt_key fake_salt_key);
};

subtest 'external_id' => sub {
  my $start = sub {
    my ($message, %option) = @_;
    my $conn = Authen::SASL->new(mechanism => 'EXTERNAL ANONYMOUS', callback => {})->server_new('imap', 'h', \%option);
    $conn->mechanism('EXTERNAL');
    $conn->server_start($message);
    return $conn;
  };
  my $conn = $start->('', external_id => 'fred');
  ok($conn->is_success, 'an EXTERNAL server trusts it');
  is($conn->property('user'), 'fred', 'user');
  ok($start->('fred', external_id => 'fred')->is_success, 'the client may repeat it');
  ok(!$start->('wilma', external_id => 'fred')->is_success, 'but not act for another');
  ok(!$start->('fred')->is_success, 'without it the login fails');
};

subtest 'iterations' => sub {
  my $exchange = sub {
    my ($server_option, $client_option) = @_;
    my $sasl = Authen::SASL->new(mechanism => 'SCRAM-SHA-256', callback => { user => 'fred', pass => 'x', getsecret => sub { 'x' } });
    my ($client, $server) = ($sasl->client_new('imap', 'h', $client_option), $sasl->server_new('imap', 'h', $server_option));
    my $message = $server->server_start($client->client_start);
    $client->client_step($message);
    return ($message, $client->error);
  };
  my ($message, $error) = $exchange->({ iterations => 5000 }, {});
  like($message, qr/,i=5000\z/, 'the server names them');
  is($error, undef, 'and the client takes them');
  my $unknown = Authen::SASL->new(mechanism => 'SCRAM-SHA-256', callback => { getsecret => sub { undef } })
    ->server_new('imap', 'h', { iterations => 6000 });
  like(scalar $unknown->server_start('n,,n=nobody,r=abc'), qr/,i=6000\z/, 'for unknown users too');
  (undef, $error) = $exchange->({}, { min_iterations => 5000 });
  like($error, qr/4096 iterations are fewer than the least acceptable, 5000/, 'min_iterations');
  (undef, $error) = $exchange->({ iterations => 10000 }, { max_iterations => 9999 });
  like($error, qr/10000 iterations are more than the most acceptable, 9999/, 'max_iterations');
};

subtest 'salt_key' => sub {
  my $salt = sub {
    my ($user, %option) = @_;
    my $conn = Authen::SASL->new(mechanism => 'SCRAM-SHA-256', callback => { getsecret => sub { undef } })
      ->server_new('imap', 'h', \%option);
    return $conn->server_start("n,,n=$user,r=clientnonce") =~ /,s=([^,]+),/ ? $1 : $conn->error;
  };
  my %key = (salt_key => 'sixteen bytes at least');
  is($salt->('fred', %key), $salt->('fred', fake_salt_key => $key{salt_key}), 'its old name means the same');
  is($salt->('fred', %key), $salt->('fred', %key), 'the salt of an unknown user is stable');
  isnt($salt->('fred', %key), $salt->('wilma', %key), 'and another for another user');
  isnt($salt->('fred', %key), $salt->('fred', salt_key => 'another key altogether'), 'and by another key');
  is($salt->('fred'), $salt->('fred'), 'without a key: stable in this process');
  my $ours = $salt->('fred');
  my $pid = open(my $child, '-|') // die "fork: $!";
  if (!$pid) { print $salt->('fred'); close STDOUT; require POSIX; POSIX::_exit(0) }
  is(scalar <$child>, $ours, 'and in its forks');
  close $child;
};

subtest 'plugins that cannot be had' => sub {
  my $wish = sub { my @arg = @_; return eval { Authen::SASL::Rust->plugins(@arg); 1 } ? 'lives' : $@ };
  is($wish->(path => '/no/such/folder'), 'lives', 'a missing directory is only reported');
  my $before = [Authen::SASL::Rust->plugins];
  is($before->[0]{file}, '/no/such/folder', 'in the report');
  like($wish->(path => '/another/one', load => 'otp'), qr/^plugins: otp: /, 'a name that cannot be had dies');
  is_deeply([Authen::SASL::Rust->plugins], $before, 'and what there was before stays');
  like($wish->(options => $_), qr/^plugins: options: a hash was expected/, 'no options') for 'x', [];
  is($wish->(0), 'lives', 'none');
  is_deeply([Authen::SASL::Rust->plugins], [], 'indeed');
};

done_testing;
