# Forms and names of a client's callbacks, and the encoding of characters.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Tie::Hash ();
use Authen::SASL qw(Rust);
use TwoSides qw(client);
use Digest::MD5 qw(md5 md5_hex);

# RFC 2104, for keys of less than a block.
sub hmac_md5_hex {
  my ($data, $key) = @_;
  $key .= "\0" x (64 - length $key);
  return md5_hex(($key ^ "\x5c" x 64) . md5(($key ^ "\x36" x 64) . $data));
}

# The message of PLAIN: authzid, authcid and password.
sub plain { return [split /\0/, scalar client('PLAIN', @_)->client_start, -1] }

subtest 'three types' => sub {
  is_deeply(plain(user => 'fred', pass => 'pencil'), ['', 'fred', 'pencil'], 'strings');
  my @seen;
  my $conn = client('PLAIN', user => sub { @seen = @_; return 'fred' }, pass => 'pencil');
  is($conn->client_start, "\0fred\0pencil", 'a code reference');
  is_deeply(\@seen, [$conn], 'is called with the connection');
  $conn = client('PLAIN', user => [sub { @seen = @_; return 'fred' }, 1, 2, 3], pass => 'pencil');
  is($conn->client_start, "\0fred\0pencil", 'an array');
  is_deeply(\@seen, [$conn, 1, 2, 3], 'is called with the connection, then its other values');
  my $context;
  client('PLAIN', user => 'fred', pass => sub { $context = wantarray; 'x' })->client_start;
  is($context, '', 'in scalar context');
  my $array = [sub { $_[1] = 'changed'; return 'fred' }, 'a', 'b'];
  client('PLAIN', user => $array, pass => 'x')->client_start;
  is($array->[1], 'a', "the array's values are copies");
  for my $wrong (['a hash', {}], ['a reference', \'fred'], ['an empty array', []], ['an array of strings', ['fred']]) {
    my $conn = client('PLAIN', user => $wrong->[1], pass => 'x');
    is_deeply([$conn->client_start], [], "$wrong->[0] is refused");
    like($conn->error, qr/^PLAIN client: callback user is an? \w+.*; a string, a code reference, or an array that begins with one was expected/,
      'and the error says so');
  }
  my $undef = client('PLAIN', user => 'fred', pass => sub { return });
  is_deeply([$undef->client_start], [], 'a callback that returns nothing');
  like($undef->error, qr/^PLAIN client: no password \(callback pass/, 'is named');
};

subtest 'each exchange asks again' => sub {
  my @names = qw(fred wilma);
  my $conn = client('PLAIN', user => sub { shift @names }, pass => 'x');
  is($conn->client_start, "\0fred\0x", 'first');
  is($conn->client_start, "\0wilma\0x", 'second');
};

subtest 'names' => sub {
  my %all = (authcid => 'authcid', auth => 'auth', user => 'user', authzid => 'authzid', authname => 'authname',
    pass => 'pass', password => 'password');
  my $without = sub { my %some = %all; delete @some{@_}; return plain(%some) };
  is_deeply($without->(), ['authzid', 'authcid', 'pass'], 'the standard names win');
  is_deeply($without->('authcid'), ['authzid', 'auth', 'pass'], 'then auth');
  is_deeply($without->('authcid', 'auth'), ['authzid', 'user', 'pass'], 'then user');
  is_deeply($without->('authzid'), ['authname', 'authcid', 'pass'], 'authname');
  is_deeply($without->('authzid', 'authname', 'authcid'), ['user', 'auth', 'pass'], 'with auth, user is the authzid as in XS');
  is_deeply($without->('authzid', 'authname', 'auth', 'authcid'), ['', 'user', 'pass'], 'alone, it is the authcid');
  is_deeply($without->('pass'), ['authzid', 'authcid', 'password'], 'password');
  is_deeply(plain(user => 'fred', pass => 'x', authname => ''), ['', 'fred', 'x'], 'an empty authzid is none');
};

subtest 'names by mechanism' => sub {
  my $message = sub { scalar client(@_)->client_start };
  is($message->('EXTERNAL', authzid => 'a', user => 'u'), 'a', 'EXTERNAL sends authzid if given');
  is($message->('EXTERNAL', user => 'u'), 'u', 'else user');
  is($message->('EXTERNAL'), '', 'else nothing');
  is($message->('ANONYMOUS', authname => 'trace'), 'trace', 'ANONYMOUS sends authname');
  is($message->('ANONYMOUS'), '', 'or nothing');
  is($message->('XOAUTH2', user => 'fred', token => 'abc'), "user=fred\x01auth=Bearer abc\x01\x01", 'XOAUTH2');
  is($message->('OAUTHBEARER', authzid => 'fred', token => 'abc', host => 'h', port => 143),
    "n,a=fred,\x01host=h\x01port=143\x01auth=Bearer abc\x01\x01", 'OAUTHBEARER with its optional keys');
};

subtest 'pass as the token' => sub {
  for my $list ('OAUTHBEARER', 'XOAUTH2', 'XOAUTH2 OAUTHBEARER', 'oauthbearer, xoauth2') {
    like(scalar client($list, user => 'fred', pass => 'abc')->client_start, qr/auth=Bearer abc\x01/,
      "it serves where every mechanism named is an OAuth one: $list");
  }
  like(scalar client('OAUTHBEARER', user => 'fred', pass => 'abc', token => 'def')->client_start, qr/Bearer def/, 'token wins');
  is(client('PLAIN XOAUTH2 OAUTHBEARER', user => 'fred', pass => 'x')->mechanism, 'PLAIN', 'not together with others');
  is(client('PLAIN XOAUTH2 OAUTHBEARER', user => 'fred', pass => 'x', token => 'y')->mechanism, 'OAUTHBEARER',
    'a token makes them candidates');
};

subtest 'serv and realm of DIGEST-MD5' => sub {
  my $conn = client('DIGEST-MD5', user => 'fred', pass => 'x', serv => 'cluster', realm => 'b');
  $conn->client_start;
  my $message = $conn->client_step('realm="a",realm="b",nonce="OA6MG9tEQGm2hh",qop="auth",algorithm=md5-sess,charset=utf-8');
  like($message, qr{digest-uri="imap/mail\.example\.org/cluster"}, 'serv is the serv-name');
  like($message, qr/realm="b"/, 'realm as a string');
};

subtest 'language is accepted' => sub {
  is_deeply(plain(user => 'fred', pass => 'x', language => sub { die }), ['', 'fred', 'x'], 'and not called');
};

subtest 'canonuser' => sub {
  my @asked;
  my $conn = client('PLAIN', user => 'Fred', authname => 'Wilma', pass => 'x',
    canonuser => sub { my ($c, @arg) = @_; push @asked, \@arg; return lc $arg[3] });
  is($conn->client_start, "wilma\0fred\0x", 'gives the canonical names');
  is_deeply(\@asked, [['AUTHID', undef, 1024, 'Fred'], ['AUTHZID', undef, 1024, 'Wilma']], 'is asked for each');
};

subtest 'a second set of callbacks' => sub {
  my $conn = client('PLAIN', user => 'fred', pass => 'x');
  $conn->callback(pass => 'y', user => sub { 'wilma' });
  is($conn->client_start, "\0wilma\0y", 'callback sets them');
  is($conn->callback('pass'), 'y', 'and reads them');
  my $sasl = Authen::SASL->new(mechanism => 'PLAIN', callback => { user => 'fred', pass => 'x' });
  my $first = $sasl->client_new('imap', 'h');
  $sasl->callback(user => 'wilma');
  is($first->client_start, "\0fred\0x", 'the object keeps those that it was made with');
  is($sasl->client_new('imap', 'h')->client_start, "\0wilma\0x", 'the next one has the others');
};

# A connection keeps the names that it knows without a hash, as long as no other name and no reader needs one.
subtest 'in whatever form they are kept' => sub {
  my %all = (user => 'fred', authname => 'wilma', pass => 'x', host => undef, log => sub { }, canonuser => sub { lc $_[4] });
  for my $more ([], [own => 1], ['' => 1], ["J\xFCrgen" => 1], ["\x{5B89}" => 1], ['userr' => 1], [use => 1]) {
    my $conn = client('PLAIN', %all, user => 'FRED', @$more);
    is($conn->client_start, "wilma\0fred\0x", join ' ', 'all are found beside', length $more->[0] || 'none');
    is($conn->callback($more->[0]), 1, 'and the other one is kept') if @$more;
    is_deeply([sort keys %{ $conn->callback }], [sort keys %all, @$more ? $more->[0] : ()], 'the hash has all names');
    is($conn->client_start, "wilma\0fred\0x", 'and the same values');
    $conn->callback->{pass} = 'y';
    delete $conn->callback->{authname};
    is($conn->client_start, "\0fred\0y", 'the hash is the one that is used');
  }
  tie my %tied, 'Tie::StdHash';
  %tied = %all;
  my $tied = Authen::SASL->new(mechanism => 'PLAIN');
  $tied->{callback} = \%tied;
  is($tied->client_new('imap', 'h')->client_start, "wilma\0fred\0x", 'from a tied hash');
  # A value that changes the hash while it is read.
  my %changing = (user => 'fred', pass => 'x');
  my $changing = Authen::SASL->new(mechanism => 'PLAIN');
  $changing->{callback} = \%changing;
  tie $changing{user}, 'Adding', \%changing;
  local $SIG{__WARN__} = sub { };    # perl's own warning of that
  # Perl may pass over one of its names then.
  like(eval { $changing->client_new('imap', 'h')->client_start } || $@, qr/\A\0fred\0x\z|there is no callback pass/,
    'from a hash that grows meanwhile');
  my $freed = 0;
  my $held = bless [\$freed], 'Freed';
  my $conn = client('PLAIN', user => sub { $held ? 'fred' : '' }, pass => 'x');
  undef $held;
  $conn->client_start;
  undef $conn;
  ok($freed, 'they are freed with the connection');
};

# A value that adds callbacks to the hash when it is read.
package Adding {
  sub TIESCALAR { my ($class, $hash) = @_; return bless [$hash], $class }
  sub FETCH { my ($self) = @_; $self->[0]{$_} = 'h' for qw(host realm port own); return 'fred' }
}
package Freed { sub DESTROY { ${ $_[0][0] } = 1 } }

subtest 'characters' => sub {
  my $encoded = "J\xC3\xBCrgen";
  my ($flagged, $latin1) = ("J\xFCrgen", "J\xFCrgen");
  utf8::upgrade($flagged);
  utf8::downgrade($latin1);
  is_deeply(plain(user => $flagged, pass => $flagged), ['', $encoded, $encoded], "with Perl's flag: characters");
  is_deeply(plain(user => $latin1, pass => $latin1), ['', $encoded, $encoded], 'without, and no UTF-8: Latin-1');
  is_deeply(plain(user => $encoded, pass => $encoded), ['', $encoded, $encoded], 'valid UTF-8: encoded already');
  is_deeply(plain(user => sub { $flagged }, pass => [sub { $latin1 }]), ['', $encoded, $encoded], 'from callbacks too');
  is_deeply(plain(user => "\x{5B89}", pass => "\x{1F511}"), ['', "\xE5\xAE\x89", "\xF0\x9F\x94\x91"], 'beyond Latin-1');
  ok(utf8::is_utf8($flagged) && !utf8::is_utf8($latin1), "the program's scalars stay as they were");
  my $message = client('PLAIN', user => $flagged, pass => 'x')->client_start;
  ok(!utf8::is_utf8($message), 'tokens are bytes');
  my $conn = client('PLAIN', user => $encoded, pass => 'x');
  $conn->client_start;
  is($conn->property('authcid'), $encoded, 'names come back as octets');
};

subtest 'numbers and NUL' => sub {
  my $number = 1234;
  is_deeply(plain(user => 42, pass => sub { $number }), ['', '42', '1234'], 'numbers');
  is_deeply(plain(user => 1.5, pass => 0), ['', '1.5', '0'], 'fractions and zero');
  for my $mechanism (qw(PLAIN LOGIN)) {
    my $conn = client($mechanism, user => 'fred', pass => "a\0b");
    my $last = $conn->client_start;
    $last = $conn->client_step($_) for $mechanism eq 'LOGIN' ? ('Username:', 'Password:') : ();
    is($last, undef, "$mechanism: a NUL in a password does not cut it short");
    like($conn->error, qr/the password \(callback pass\) holds a NUL character/, 'but reaches the mechanism, which cannot carry it');
  }
  my $hmac = hmac_md5_hex('<1@h>', "a\0b");
  my $cram = client('CRAM-MD5', user => 'fred', pass => "a\0b");
  $cram->client_start;
  is($cram->client_step('<1@h>'), "fred $hmac", 'a mechanism that can carry it does');
};

subtest 'tokens are bytes' => sub {
  my $conn = client('LOGIN', user => 'fred', pass => 'x');
  $conn->client_start;
  is(eval { $conn->client_step("Us\x{E9}r\x{2013}"); 1 }, undef, 'a wide character croaks');
  like($@, qr/^Wide character/, 'as Perl says it');
  ok($conn->need_step && !defined $conn->error, 'and the exchange can go on');
  my $upgraded = 'Username:';
  utf8::upgrade($upgraded);
  is($conn->client_step($upgraded), 'fred', 'an upgraded string of bytes is the same bytes');
  ok(utf8::is_utf8($upgraded), 'and stays upgraded');
  my @seen;
  my $server = Authen::SASL->new(mechanism => 'ANONYMOUS', callback => {})->server_new('imap', 'h');
  my $trace = "\xC3\xBC";
  utf8::upgrade($trace);
  is_deeply([$server->server_start($trace)], [''], 'upgraded bytes of UTF-8');
  is_deeply([$server->server_start("\xFC")], [], 'are not Latin-1');
};

done_testing;
