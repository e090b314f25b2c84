# Names and passwords beyond ASCII: a server's callbacks, properties and errors have octets, as in Authen::SASL::Perl, or
# characters if the option is set. Programs may pass either.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Digest::SHA qw(sha256_hex);
use Test::More;
use Authen::SASL qw(Rust);
use Authen::SASL::Rust::Accounts;
use TwoSides qw(exchange);

my ($USER, $PASSWORD) = ("ren\xC3\xA9e", "cr\xC3\xA8me \xE2\x82\xAC");                # as on the wire
my ($USER_CHARACTERS, $PASSWORD_CHARACTERS) = ("ren\x{E9}e", "cr\x{E8}me \x{20AC}");

sub server {
  my ($mechanism, $options, %callback) = @_;
  return Authen::SASL->new(mechanism => $mechanism, callback => {%callback})->server_new('imap', 'h', $options);
}

# Either these bytes without the flag, or characters.
sub is_octets { my ($got, $expected, $name) = @_; ok(defined $got && $got eq $expected && !utf8::is_utf8($got), $name) or diag explain $got }

subtest 'a checkpass that hashes' => sub {
  my %hash = ($USER => sha256_hex($PASSWORD), crypt => crypt("\xC3\xA9t\xC3\xA9", '$6$saltsalt$'));
  my $digest = sub { my ($conn, $query) = @_; my $hash = $hash{ $query->{user} }; return defined $hash && $hash eq sha256_hex($query->{pass}) };
  my $conn = server('PLAIN', {}, checkpass => $digest);
  $conn->server_start("\0$USER\0$PASSWORD");
  ok($conn->is_success, 'Digest::SHA: the right password') or diag $conn->error;
  my $crypt = sub { my ($conn, $query) = @_; return crypt($query->{pass}, $hash{crypt}) eq $hash{crypt} };
  for my $case (["\xC3\xA9t\xC3\xA9", 1], ["\xE2\x82\xAC", ''], ["\xF0\x9F\x94\x91", '']) {
    my $conn = server('PLAIN', {}, checkpass => $crypt);
    ok(eval { $conn->server_start("\0fred\0$case->[0]"); 1 }, 'crypt lives') or diag $@;
    is(!!$conn->is_success, $case->[1], 'and decides');
    is(!!(eval { $conn->checkpass('fred', $case->[0]) }), $case->[1], 'the method checkpass too');
    utf8::decode(my $characters = $case->[0]);
    is(!!(eval { $conn->checkpass('fred', $characters) }), $case->[1], 'with characters');
  }
};

# The arguments of a server's callbacks in one exchange, by name.
sub asked {
  my ($options) = @_;
  my %seen;
  my $see = sub { my ($name, $value) = @_; return sub { my ($conn, @arg) = @_; $seen{$name} = [grep { ref $_ ne 'CODE' } @arg]; return $value } };
  my $conn = server('PLAIN', $options, checkpass => $see->('checkpass', 1), authorize => $see->('authorize', 0), canonuser => sub { $seen{canonuser} = [@_[1 .. 4]] if $_[1] eq 'AUTHZID'; $_[4] },
    setpass => $see->('setpass', 1));
  $conn->server_start("\xC3\xA9\0$USER\0$PASSWORD");
  $conn->setpass($USER_CHARACTERS, $PASSWORD_CHARACTERS);
  $seen{error} = $conn->error;
  my $token = server('OAUTHBEARER', $options, checktoken => $see->('checktoken', $USER_CHARACTERS));
  $token->server_start("n,a=$USER,\x01auth=Bearer abc\x01\x01");
  $seen{user} = $token->property('user');
  my $secret = server('SCRAM-SHA-256', $options, getsecret => $see->('getsecret', undef));
  $secret->server_start("n,,n=$USER,r=abc");
  return \%seen;
}

subtest 'octets everywhere' => sub {
  my $seen = asked({});
  is_octets($seen->{checkpass}[0]{user}, $USER, 'checkpass: user');
  is_octets($seen->{checkpass}[0]{pass}, $PASSWORD, 'checkpass: password');
  is_octets($seen->{authorize}[0], $USER, 'authorize: authcid');
  is_octets($seen->{authorize}[1], "\xC3\xA9", 'authorize: authzid');
  is_octets($seen->{canonuser}[3], "\xC3\xA9", 'canonuser');
  is_octets($seen->{checktoken}[0]{user}, $USER, 'checktoken');
  is_octets($seen->{getsecret}[0]{user}, $USER, 'getsecret');
  is_octets($seen->{setpass}[0], $USER, 'setpass: user');
  is_octets($seen->{setpass}[1], $PASSWORD, 'setpass: password');
  is_octets($seen->{user}, $USER, 'property user');
  like($seen->{error}, qr/'\Q$USER\E'/, 'error');
  ok(!utf8::is_utf8($seen->{error}), 'without a flag');
};

subtest 'option characters' => sub {
  my $seen = asked({ characters => 1 });
  is($seen->{checkpass}[0]{user}, $USER_CHARACTERS, 'checkpass: user');
  is($seen->{checkpass}[0]{pass}, $PASSWORD_CHARACTERS, 'checkpass: password');
  is($seen->{authorize}[0], $USER_CHARACTERS, 'authorize');
  is($seen->{canonuser}[3], "\xE9", 'canonuser');
  is($seen->{checktoken}[0]{user}, $USER_CHARACTERS, 'checktoken');
  is($seen->{getsecret}[0]{user}, $USER_CHARACTERS, 'getsecret');
  is($seen->{setpass}[1], $PASSWORD_CHARACTERS, 'setpass');
  is($seen->{user}, $USER_CHARACTERS, 'property user');
  like($seen->{error}, qr/'\Q$USER_CHARACTERS\E'/, 'error');
  my $conn = server('PLAIN', {}, checkpass => sub { 1 });
  is($conn->property('characters'), undef, 'not set');
  $conn->property(characters => 1);
  is($conn->property('characters'), 1, 'set later');
  $conn->server_start("\0$USER\0x");
  is($conn->property('user'), $USER_CHARACTERS, 'and heeded');
  $conn->property(characters => 0);
  is_octets($conn->property('user'), $USER, 'and taken back');
};

subtest 'either form is taken' => sub {
  my %form = (octets => [$USER, $PASSWORD], characters => [$USER_CHARACTERS, $PASSWORD_CHARACTERS]);
  for my $mechanism (qw(PLAIN SCRAM-SHA-256)) {
    for my $client (sort keys %form) {
      for my $server (sort keys %form) {
        my ($user, $pass) = @{ $form{$client} };
        my (undef, $done) = exchange(
          Authen::SASL->new(mechanism => $mechanism, callback => { user => $user, pass => $pass })->client_new('imap', 'h'),
          server($mechanism, {}, getsecret => sub { $form{$server}[1] }));
        ok($done->is_success, "$mechanism: client $client, server $server") or diag $done->error;
        is_octets($done->property('user'), $USER, 'user');
      }
    }
  }
};

subtest 'a client' => sub {
  my $conn = Authen::SASL->new(mechanism => 'PLAIN', callback => { user => $USER_CHARACTERS, pass => 'x' })->client_new('imap', 'h');
  is_octets($conn->client_start, "\0$USER\0x", 'message');
  is_octets($conn->property('authcid'), $USER, 'property');
  is_octets($conn->user, $USER, 'user');
  $conn->property(characters => 1);
  is($conn->user, $USER_CHARACTERS, 'as characters');
};

subtest 'accounts' => sub {
  require File::Temp;
  my $accounts = Authen::SASL::Rust::Accounts->new(users => File::Temp::tempdir(CLEANUP => 1) . '/users');
  $accounts->setpass($USER_CHARACTERS, $PASSWORD);
  ok($accounts->check($_->[0], $_->[1]), 'check') for [$USER, $PASSWORD], [$USER_CHARACTERS, $PASSWORD_CHARACTERS];
  is_octets(($accounts->list)[0]{user}, $USER, 'list');
};

done_testing;
