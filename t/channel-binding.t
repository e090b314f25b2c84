# Channel binding through the Perl API, both sides in one process.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);

my $LIST = 'PLAIN SCRAM-SHA-1 SCRAM-SHA-256-PLUS SCRAM-SHA-256';
my %data = ('tls-exporter' => 'e' x 32, 'tls-server-end-point' => "\0\xff" x 16, 'tls-unique' => 'u' x 12, ldap => "x\0y");

sub client_of {
  my ($list, $options, %callback) = @_;
  return Authen::SASL->new(mechanism => $list, callback => { user => 'fred', pass => 'pencil', %callback })
    ->client_new('imap', 'mail.example.org', $options);
}

sub server_of {
  my ($list, $options, %callback) = @_;
  return Authen::SASL->new(mechanism => $list, callback => { getsecret => sub { 'pencil' }, %callback })
    ->server_new('imap', 'mail.example.org', $options);
}

# Carries messages; on_path gets the sender and the message, and may change it. Returns all messages.
sub exchange {
  my ($client, $server, $on_path) = @_;
  $on_path ||= sub { $_[1] };
  my @said = scalar $client->client_start;
  $server->mechanism($client->mechanism) unless $server->mechanism;     # the client may have chosen again
  while (defined $said[-1] && @said < 6) {
    my $message = $on_path->(@said % 2 ? 'client' : 'server', $said[-1]);
    my $answer
      = @said == 1 ? $server->server_start($message)
      : @said % 2 ? $server->server_step($message)
      : $client->client_step($message);
    push @said, $answer;
    last if $client->is_success || !defined $answer || (@said % 2 && !$client->need_step);
  }
  return @said;
}

sub succeeds {
  my ($client, $server, $flag, $name) = @_;
  my @said = exchange($client, $server);
  ok($client->is_success && $server->is_success, $name)
    or diag(join "\n", map { defined ? $_ : 'undef' } $client->error, $server->error);
  like($said[0], qr/\A\Q$flag\E,,n=fred,/, "$name: it says $flag");
  return;
}

sub fails {
  my ($client, $server, $client_error, $server_error, $name, $on_path) = @_;
  exchange($client, $server, $on_path);
  ok(!$client->is_success && !$server->is_success, "$name: no success on either side");
  like($client->error, $client_error, "$name: the client's error") if $client_error;
  like($server->error, $server_error, "$name: the server's error") if $server_error;
  return;
}

sub dies_like {
  my ($code, $pattern, $name) = @_;
  my $died = !eval { $code->(); 1 };
  ok($died && $@ =~ $pattern, $name) or diag($died ? $@ : 'it lives');
  return;
}

subtest 'each type, on its own' => sub {
  for my $type (sort keys %data) {
    my $options = { channel_binding => { $type => $data{$type} } };
    my $client = client_of($LIST, $options);
    is($client->mechanism, 'SCRAM-SHA-256-PLUS', "$type: with data -PLUS wins");
    succeeds($client, server_of('SCRAM-SHA-256-PLUS', $options), "p=$type", $type);
  }
};

subtest 'each hash' => sub {
  for my $hash (qw(SHA-1 SHA-224 SHA-256 SHA-384 SHA-512 SHA3-512)) {
    my @side = ("SCRAM-$hash-PLUS", { channel_binding => { 'tls-exporter' => 'data' } });
    succeeds(client_of(@side), server_of(@side), 'p=tls-exporter', $hash);
  }
};

subtest 'the order of preference' => sub {
  # TLS before 1.3 is recognized by tls-unique, which TLS 1.3 does not have.
  my %of = (
    'TLS 1.2' => [qw(tls-unique tls-server-end-point tls-exporter another ldap)],
    'TLS 1.3' => [qw(tls-exporter tls-server-end-point another ldap)],
  );
  my %all = (%data, another => 'a');
  for my $tls (sort keys %of) {
    for my $first (0 .. $#{ $of{$tls} }) {
      my ($type, @worse) = @{ $of{$tls} }[$first .. $#{ $of{$tls} }];
      next if $tls eq 'TLS 1.2' && $first && grep { $_ eq 'tls-exporter' } @worse;
      my $server = server_of($LIST, { channel_binding => {%all} });
      my %left = map { $_ => $all{$_} } $type, @worse;
      succeeds(client_of($LIST, { channel_binding => \%left }), $server, "p=$type", "$tls: $type");
    }
  }
};

subtest 'the list of a server' => sub {
  for my $list ('250-AUTH PLAIN SCRAM-SHA-1 SCRAM-SHA-1-PLUS', '* CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=SCRAM-SHA-1-PLUS') {
    is(client_of($list, { channel_binding => {%data} })->mechanism, 'SCRAM-SHA-1-PLUS', $list);
    isnt(client_of($list)->mechanism, 'SCRAM-SHA-1-PLUS', "$list, without data");
  }
  my $server = server_of($LIST, { channel_binding => {%data} });
  is($server->listmech, 'SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1 PLAIN',
    'listmech of a server with data');
  is(server_of($LIST)->listmech, 'SCRAM-SHA-256 SCRAM-SHA-1 PLAIN', 'listmech of one without');
};

subtest 'the three flags' => sub {
  my $bound = { channel_binding => { 'tls-exporter' => 'data' } };
  succeeds(client_of($LIST), server_of($LIST), 'n', 'no data on both sides');
  succeeds(client_of('SCRAM-SHA-256'), server_of($LIST, $bound), 'n', 'data on the server alone');
  succeeds(client_of('SCRAM-SHA-256', $bound), server_of($LIST), 'y', 'data on the client alone, -PLUS not offered');
  succeeds(client_of($LIST, $bound), server_of($LIST, $bound), 'p=tls-exporter', 'data on both sides');
};

# RFC 5802 section 6: y is a downgrade only where this server offered -PLUS.
subtest 'a server that offers no -PLUS takes y, whatever data it has' => sub {
  my $bound = { channel_binding => { 'tls-exporter' => 'data' } };
  my $picked = sub { my ($server) = @_; $server->mechanism('SCRAM-SHA-256'); return $server };
  for my $list ('SCRAM-SHA-256', 'SCRAM-SHA-256 PLAIN', 'SCRAM-SHA-256 GS2-KRB5-PLUS', 'NO-SUCH-PLUS SCRAM-SHA-256') {
    my $server = server_of($list, $bound);
    unlike("@{[$server->listmech]}", qr/-PLUS/, "$list: it offers no -PLUS");
    succeeds(client_of('SCRAM-SHA-256', $bound), $picked->($server), 'y', $list);
  }
  for my $late ($bound, { channel_binding => undef }) {
    my $server = $picked->(server_of('SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN', { channel_binding => { 'tls-unique' => 'x' } }));
    $server->property(%$late);
    my $reply = $server->server_start('y,,n=fred,r=abcdefgh');
    my $offered = defined $late->{channel_binding};
    ($offered ? \&is : \&isnt)->($reply, 'e=server-does-support-channel-binding', 'data that change later count: '
        . ($offered ? 'other ones' : 'none'));
  }
  for my $list ('SCRAM-SHA-256', 'SCRAM-SHA-256 PLAIN') {
    fails(client_of('SCRAM-SHA-256', $bound),
      $picked->(server_of($list, { %$bound, offered_mechanisms => 'SCRAM-SHA-256-PLUS SCRAM-SHA-256' })),
      qr/server-does-support-channel-binding/, qr/SASL_BADBINDING/, "$list: but offered_mechanisms names one");
  }
  # The same in lower case, which denotes the same mechanisms.
  fails(client_of('scram-sha-256', $bound), $picked->(server_of('scram-sha-256-plus scram-sha-256', $bound)), undef,
    qr/SASL_BADBINDING/, 'a list in lower case');
};

subtest 'a stripped -PLUS' => sub {
  my $bound = { channel_binding => { 'tls-exporter' => 'data' } };
  fails(client_of('SCRAM-SHA-256 PLAIN', $bound), server_of($LIST, $bound),
    qr/server-does-support-channel-binding.*SASL_/, qr/the list of mechanisms was changed on the way.*SASL_BADBINDING/, 'y');
  my $flag_to_n = sub { my ($from, $text) = @_; $text =~ s/\Ay,,/n,,/ if $from eq 'client'; return $text };
  fails(client_of('SCRAM-SHA-256 PLAIN', $bound), server_of($LIST, $bound), qr/SASL_/, qr/SASL_BADBINDING/,
    'y made n on the way', $flag_to_n);
  fails(client_of('SCRAM-SHA-256', {}), server_of('SCRAM-SHA-256', { %$bound, channel_binding_policy => 'allow' }),
    qr/SASL_/, qr/SASL_BADBINDING/, 'n made y on the way',
    sub { my ($from, $text) = @_; $text =~ s/\An,,/y,,/ if $from eq 'client'; return $text });
};

subtest 'a man in the middle' => sub {
  my @mine = ('SCRAM-SHA-256-PLUS', { channel_binding => { 'tls-server-end-point' => 'his certificate' } });
  my @theirs = ('SCRAM-SHA-256-PLUS', { channel_binding => { 'tls-server-end-point' => 'my certificate' } });
  fails(client_of(@mine), server_of(@theirs), qr/channel-bindings-dont-match/,
    qr/the channel binding does not match.*SASL_BADBINDING/, 'other data');
  require MIME::Base64;
  my $bound = MIME::Base64::encode_base64('p=tls-server-end-point,,my certificate', '');
  fails(client_of(@mine), server_of(@theirs), undef, qr/SASL_BADAUTH/, 'data replaced on the way',
    sub { my ($from, $text) = @_; $text =~ s/\Ac=[^,]+/c=$bound/; return $text });
  fails(client_of(@mine), server_of(@theirs), undef, qr/SASL_BADPROT/, 'p= made n on the way',
    sub { my ($from, $text) = @_; $text =~ s/\Ap=[^,]+/n/; return $text });
};

subtest 'types that are not known to the other side' => sub {
  fails(
    client_of('SCRAM-SHA-256-PLUS', { channel_binding => { ldap => 'x' } }),
    server_of('SCRAM-SHA-256-PLUS', { channel_binding => { 'tls-unique' => 'x' } }),
    qr/unsupported-channel-binding-type.*set offered_bindings.*set channel_binding_policy to disable.*SASL_BADBINDING/, qr/no channel binding data of the type.*SASL_BADBINDING/, 'ldap'
  );
};

subtest 'channel_binding_policy' => sub {
  my %bound = (channel_binding => { 'tls-exporter' => 'data' });
  for my $side (\&client_of, \&server_of) {
    my $name = $side == \&client_of ? 'client' : 'server';
    dies_like(sub { $side->('SCRAM-SHA-256 PLAIN', { %bound, channel_binding_policy => 'require' }) },
      qr/SCRAM-SHA-256: channel binding is required.*PLAIN: channel binding is required/, "$name: require, and no -PLUS");
    dies_like(sub { $side->($LIST, { channel_binding_policy => 'require' }) },
      qr/SCRAM-SHA-256-PLUS: there is no channel binding data/, "$name: require, and no data");
    dies_like(sub { $side->('SCRAM-SHA-1-PLUS', { %bound, channel_binding_policy => 'disable' }) },
      qr/SCRAM-SHA-1-PLUS: channel binding is disabled/, "$name: disable, and only -PLUS");
    is($side->($LIST, { %bound, channel_binding_policy => 'require' })->listmech, 'SCRAM-SHA-256-PLUS',
      "$name: require leaves -PLUS alone");
    dies_like(sub { $side->($LIST, { channel_binding_policy => 'maybe' }) },
      qr/channel_binding_policy: disable, allow or require was expected/, "$name: a policy that is none");
  }
  my $client = client_of($LIST, { %bound, channel_binding_policy => 'disable' });
  is($client->mechanism, 'SCRAM-SHA-256', 'disabled at first');
  succeeds($client, server_of($LIST), 'n', 'disabled, the client says nothing of its data');

  $client->property(channel_binding_policy => 'require');
  succeeds($client, server_of($LIST, {%bound}), 'p=tls-exporter', 'a property changed before client_start');
  is($client->mechanism, 'SCRAM-SHA-256-PLUS', 'and the mechanism with it');

  $client->property(channel_binding => undef);
  is_deeply([$client->client_start], [], 'required, and the data are gone');
  like($client->error, qr/there is no channel binding data/, 'which the error says');

  my $server = server_of('SCRAM-SHA-256', {});
  $server->property(%bound, channel_binding_policy => 'require');
  is_deeply([$server->server_start('n,,n=fred,r=abc')], [], 'a server that requires starts no mechanism without');
  like($server->error, qr/channel binding is required/, 'which the error says');
};

subtest 'data: option, property and callback, hash and code' => sub {
  my @asked;
  my $give = sub { my ($conn, @arg) = @_; push @asked, [ref $conn, @arg]; return $data{ $arg[-1] } };
  my $is_bound = sub {
    my ($client, $type, $name) = @_;
    is($client->mechanism, 'SCRAM-SHA-256-PLUS', "$name: -PLUS is chosen");
    succeeds($client, server_of($LIST, { channel_binding => {%data} }), "p=$type", $name);
  };
  $is_bound->(client_of($LIST, { channel_binding => $give }), 'tls-unique', 'code as an option');
  my @all = map { ['Authen::SASL::Rust::Connection', $_] } qw(tls-exporter tls-server-end-point tls-unique);
  is_deeply([sort { $a->[1] cmp $b->[1] } @asked], \@all, 'it gets the connection and the type');

  @asked = ();
  $is_bound->(client_of($LIST, {}, channel_binding => [$give, 'own']), 'tls-unique', 'array as a callback');
  is_deeply($asked[0], ['Authen::SASL::Rust::Connection', 'own', $asked[0][2]], 'with its own values in between');
  $is_bound->(client_of($LIST, {}, channel_binding => { ldap => $data{ldap} }), 'ldap', 'hash as a callback');
  $is_bound->(client_of($LIST, { channel_binding => { ldap => $data{ldap} } }, channel_binding => {%data}),
    'ldap', 'the option wins over the callback');
  $is_bound->(client_of($LIST, { offered_bindings => 'ldap', channel_binding => $give }), 'ldap',
    'code is asked for the types that are offered');
  $is_bound->(client_of($LIST, { channel_binding => sub { $_[1] eq 'tls-unique' ? $data{'tls-unique'} : undef } }),
    'tls-unique', 'code that knows one type');

  my $client = client_of($LIST);
  is($client->mechanism, 'SCRAM-SHA-256', 'without data');
  my $given = { 'tls-unique' => $data{'tls-unique'} };
  $client->property(channel_binding => $given);
  is($client->property('channel_binding'), $given, 'the property reads back');
  exchange($client, server_of($LIST, { channel_binding => {%data} }));
  ok($client->is_success && $client->mechanism eq 'SCRAM-SHA-256-PLUS', 'property, and a new choice at client_start');
  $client->property(channel_binding => undef);
  is($client->property('channel_binding'), undef, 'taken back');
  $client->callback(channel_binding => {%data});
  exchange($client, server_of($LIST, { channel_binding => {%data} }));
  ok($client->is_success && $client->mechanism eq 'SCRAM-SHA-256-PLUS', 'a callback set later');

  my $server = server_of($LIST, {}, channel_binding => $give);
  succeeds(client_of($LIST, { channel_binding => {%data} }), $server, 'p=tls-unique', 'code on the server');

  my $upgraded = "\xff\xfe";
  utf8::upgrade($upgraded);
  succeeds(
    client_of('SCRAM-SHA-1-PLUS', { channel_binding => { ldap => $upgraded } }),
    server_of('SCRAM-SHA-1-PLUS', { channel_binding => { ldap => "\xff\xfe" } }),
    'p=ldap', 'bytes are bytes, however Perl keeps them'
  );
};

subtest 'wrong values die' => sub {
  my @wrong = (
    ['a string', 'data', qr/channel_binding: a hash of types and data, or code, was expected/],
    ['an array without code', ['x'], qr/channel_binding: a hash/],
    ['no data', { 'tls-unique' => '' }, qr/channel_binding: data of at least one byte for each type was expected/],
    ['a comma in a type', { 'a,b' => 'x' }, qr/channel_binding: types of letters, digits, dots and hyphens was expected/],
    ['no type', { '' => 'x' }, qr/channel_binding: types of letters/],
    ['a wide character', { 'tls-unique' => "\x{100}" }, qr/channel_binding: the data of tls-unique contains wide characters/],
    ['a reference', { 'tls-unique' => [] }, qr/channel_binding: the data of tls-unique is a reference/],
    ['code that gives a reference', sub { {} }, qr/channel_binding: the data of tls-[a-z-]+ is a reference/],
    ['code that dies', sub { die "no TLS\n" }, qr/\Ano TLS$/m],
  );
  for (@wrong) {
    my ($name, $value, $pattern) = @$_;
    dies_like(sub { client_of($LIST, { channel_binding => $value }) }, $pattern, "$name, as an option");
    dies_like(sub { client_of($LIST, {}, channel_binding => $value) }, $pattern, "$name, as a callback");
    my $client = client_of($LIST);
    dies_like(sub { $client->property(channel_binding => $value) }, $pattern, "$name, as a property");
    is($client->property('channel_binding'), undef, "$name, is not kept");
    exchange($client, server_of($LIST));
    ok($client->is_success, "$name, and the connection lives on without");
  }
  for my $value ('socket', \*STDIN, {}, bless({}, 'Foreign')) {
    dies_like(sub { client_of($LIST, { tls => $value }) }, qr/tls: an IO::Socket::SSL handle was expected/, "tls => $value");
  }
};

subtest 'what is offered (XEP-0474, XEP-0440)' => sub {
  my %bound = (channel_binding => {%data});
  my @offers = (offered_mechanisms => ['SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS'], offered_bindings => ['tls-unique', 'ldap']);
  my @said = exchange(my $client = client_of($LIST, { %bound, @offers }), my $server = server_of($LIST, { %bound, @offers }));
  ok($client->is_success && $server->is_success, 'the same offers on both sides') or diag($client->error);
  like($said[0], qr/\Ap=tls-unique,/, 'the client binds to the best type that is offered');
  like($said[1], qr/,i=4096,h=[A-Za-z0-9+\/]{43}=\z/, 'the server sends the hash');
  is($client->property('offered_bindings'), 'tls-unique ldap', 'a list reads back as a string');
  succeeds(client_of($LIST, {%bound}), server_of($LIST, { %bound, offered_mechanisms => $LIST }), 'p=tls-unique',
    'a client that was not told checks nothing');
  succeeds(client_of($LIST, { %bound, offered_mechanisms => $LIST }), server_of($LIST, {%bound}), 'p=tls-unique',
    'a server that was not told sends nothing');
  fails(client_of($LIST, { %bound, offered_mechanisms => 'SCRAM-SHA-256-PLUS' }),
    server_of($LIST, { %bound, offered_mechanisms => $LIST }),
    qr/offered other mechanisms or channel binding types.*SASL_BADBINDING/, undef, 'other offers');
  fails(client_of($LIST, { %bound, offered_mechanisms => $LIST }),
    server_of($LIST, { %bound, offered_mechanisms => 'SCRAM-SHA-256-PLUS' }), undef, qr/SASL_BADAUTH/,
    'the hash taken out on the way', sub { my ($from, $text) = @_; $text =~ s/,h=[^,]+//; return $text });

  succeeds(client_of('SCRAM-SHA-256', { %bound, offered_mechanisms => $LIST }), server_of($LIST, {%bound}), 'n',
    'a client that takes a mechanism without -PLUS knowingly');
  # No common type: the client sends n, and requires the server's confirmation.
  my @other = (offered_mechanisms => $LIST, offered_bindings => 'other');
  succeeds(client_of($LIST, { %bound, @other }), server_of($LIST, { %bound, @other }), 'n', 'no common type, and the hash says so');
  for (['the server sends no hash', [@other], []], ['the client knows no list', [offered_bindings => 'other'], [@other]]) {
    my ($name, $of_client, $of_server) = @$_;
    fails(client_of($LIST, { %bound, @$of_client }), server_of($LIST, { %bound, @$of_server }),
      qr/names no channel binding type.*SASL_BADBINDING/, undef, "no common type, and $name");
  }
  fails(client_of($LIST, { %bound, @other }), server_of($LIST, { %bound, offered_mechanisms => $LIST }),
    qr/offered other mechanisms or channel binding types/, undef, 'types of which the server knows nothing');
  fails(client_of('SCRAM-SHA-256', { %bound, offered_bindings => 'other' }), server_of($LIST, {%bound}),
    qr/server-does-support-channel-binding/, qr/changed on the way/, 'other types, and -PLUS stripped');
  succeeds(client_of('SCRAM-SHA-256', {%bound}), server_of('SCRAM-SHA-256', { %bound, offered_mechanisms => 'SCRAM-SHA-256' }),
    'y', 'a server that offers no -PLUS, although it could');
  dies_like(sub { client_of('SCRAM-SHA-256-PLUS', { %bound, offered_bindings => 'other' }) },
    qr/no channel binding data of a type that is offered/, 'no common type, and only -PLUS');
  dies_like(sub { client_of($LIST, { offered_mechanisms => ' ' }) }, qr/offered_mechanisms: names of mechanisms/,
    'an empty list of mechanisms');
  dies_like(sub { client_of($LIST, { offered_mechanisms => {} }) }, qr/offered_mechanisms: a string/, 'a hash');
};

ok(!$INC{'IO/Socket/SSL.pm'} && !$INC{'Net/SSLeay.pm'}, 'IO::Socket::SSL was not loaded for any of this');

done_testing;
