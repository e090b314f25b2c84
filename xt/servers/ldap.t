# Net::LDAP on our own slapd, with `use Authen::SASL qw(Rust)`.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL ($ENV{SASL_BACKEND} || 'Rust');
use Net::LDAP qw(LDAP_SUCCESS LDAP_INVALID_CREDENTIALS);
use Net::LDAP::Extension::WhoAmI ();
use LDAP::BareBind ();
use Server::Slapd ();
use Server::Trial qw(trial utf8 %PASSWORD);

my $slapd = Server::Slapd->start(users => \%PASSWORD);

# Returns the connected client, the bind's answer and the Authen::SASL object.
sub bind_as {
  my ($mechanism, %option) = @_;
  my $uri = delete $option{uri} || $slapd->uri;
  my $sasl = Authen::SASL->new(mechanism => $mechanism, callback => {%option});
  my $ldap = LDAP::BareBind->new($uri, timeout => 20) or die "$uri: $@";
  return ($ldap, $ldap->bind('', sasl => $sasl), $sasl);
}

# The identity that the server has for us: as it reports it, and by what it shows.
sub identity_is {
  my ($ldap, $user) = @_;
  my $dn = utf8($slapd->dn($user));
  my $whoami = $ldap->who_am_i;
  is $whoami->code, LDAP_SUCCESS, 'whoami is answered' or diag $whoami->error;
  is $whoami->response, "dn:$dn", 'whoami returns the name';
  my $found = $ldap->search(base => $Server::Slapd::BASE, scope => 'one', filter => '(objectClass=*)');
  is $found->code, LDAP_SUCCESS, 'search is answered' or diag $found->error;
  is_deeply [map { $_->dn } $found->entries], [$dn], 'the entry of this user alone is visible';
  return;
}

my @MECHANISMS = qw(PLAIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-512);

for my $mechanism (@MECHANISMS) {
  for my $user (sort keys %PASSWORD) {
    for my $form ('characters', $user =~ /^[ -~]*$/ ? () : 'UTF-8 bytes') {
      my $spell = sub { return $form eq 'characters' ? $_[0] : utf8($_[0]) };
      trial "$mechanism, " . utf8($user) . " in $form" => sub {
        my ($ldap, $bind, $sasl) =
          bind_as($mechanism, user => $spell->($user), pass => $spell->($PASSWORD{$user}));
        is $bind->code, LDAP_SUCCESS, 'bind succeeds' or diag $bind->error;
        is $sasl->name, $mechanism, 'the mechanism asked for is used';
        is $sasl->error, undef, 'no error is left';
        identity_is($ldap, $user);
      };
    }
  }

  trial "$mechanism, wrong password" => sub {
    my ($ldap, $bind) = bind_as($mechanism, user => 'fred', pass => 'crayon');
    is $bind->code, LDAP_INVALID_CREDENTIALS, 'bind is refused as invalid credentials';
    like $bind->error, qr/^SASL\(-13\): \S/, 'the server reports the reason';
    note $bind->error;
    is $ldap->who_am_i->response, '', 'no user is logged in';
  };

  trial "$mechanism, unknown user" => sub {
    my ($ldap, $bind) = bind_as($mechanism, user => 'nobody', pass => 'pencil');
    isnt $bind->code, LDAP_SUCCESS, 'bind is refused';
    like $bind->error, qr/^SASL\(-\d+\): \S/, 'the server reports the reason';
    note $bind->error;
  };

  trial "$mechanism, on a connection of the caller's" => sub {
    my $sasl = Authen::SASL->new(
      mechanism => $mechanism,
      callback => { user => [sub { return $_[1] }, 'fred'], pass => sub { return 'pencil' } }
    );
    my $conn = $sasl->client_new('ldap', 'localhost');
    my $ldap = LDAP::BareBind->new($slapd->uri, timeout => 20) or die $@;
    my $bind = $ldap->bind('', sasl => $conn);
    is $bind->code, LDAP_SUCCESS, 'bind succeeds' or diag $bind->error;
    ok $conn->is_success, 'the connection has verified what it can';
    ok !$conn->need_step, 'and waits for nothing';
    is $conn->mechanism, $mechanism, 'it names its mechanism';
    identity_is($ldap, 'fred');
  };
}

trial 'the strongest of the mechanisms that the server offers' => sub {
  my $ldap = LDAP::BareBind->new($slapd->uri, timeout => 20) or die $@;
  my $offered = join ' ', $ldap->root_dse(attrs => ['supportedSASLMechanisms'])->get_value('supportedSASLMechanisms');
  my $sasl = Authen::SASL->new(mechanism => $offered, callback => { user => 'fred', pass => 'pencil' });
  my $bind = $ldap->bind('', sasl => $sasl);
  is $bind->code, LDAP_SUCCESS, "bind succeeds among $offered" or diag $bind->error;
  is $sasl->name, 'SCRAM-SHA-512', 'by the strongest';
  identity_is($ldap, 'fred');
};

trial 'one connection, bound twice' => sub {
  my ($ldap, $bind) = bind_as('SCRAM-SHA-256', user => 'fred', pass => 'pencil');
  is $bind->code, LDAP_SUCCESS, 'first bind' or diag $bind->error;
  my $again = Authen::SASL->new(
    mechanism => 'PLAIN',
    callback => { user => "j\x{f6}rg", pass => $PASSWORD{"j\x{f6}rg"} }
  );
  is $ldap->bind('', sasl => $again)->code, LDAP_SUCCESS, 'second bind';
  identity_is($ldap, "j\x{f6}rg");
};

# The Authen::SASL object caches SCRAM's derived keys.
trial 'one Authen::SASL object for several connections' => sub {
  my $password = 'pencil';
  my $sasl = Authen::SASL->new(
    mechanism => 'SCRAM-SHA-256',
    callback => { user => 'fred', pass => sub { return $password } }
  );
  for my $try (1 .. 3) {
    my $ldap = LDAP::BareBind->new($slapd->uri, timeout => 20) or die $@;
    is $ldap->bind('', sasl => $sasl)->code, LDAP_SUCCESS, "bind $try";
    identity_is($ldap, 'fred');
  }
  $password = 'crayon';
  my $ldap = LDAP::BareBind->new($slapd->uri, timeout => 20) or die $@;
  is $ldap->bind('', sasl => $sasl)->code, LDAP_INVALID_CREDENTIALS, 'another password is not taken for the old one';
};

trial 'EXTERNAL over ldapi' => sub {
  my ($ldap, $bind, $sasl) = bind_as('EXTERNAL', uri => $slapd->ldapi_uri);
  is $bind->code, LDAP_SUCCESS, 'bind succeeds' or diag $bind->error;
  is $sasl->error, undef, 'no error is left';
  my ($uid, $gid) = ($>, $) + 0);
  is $ldap->who_am_i->response, "dn:gidNumber=$gid+uidNumber=$uid,cn=peercred,cn=external,cn=auth",
    'the identity is that of this process';
};

trial 'EXTERNAL with an identity that is not ours' => sub {
  my ($ldap, $bind) = bind_as('EXTERNAL', uri => $slapd->ldapi_uri, user => 'u:fred');
  isnt $bind->code, LDAP_SUCCESS, 'bind is refused';
  like $bind->error, qr/^SASL\(-\d+\): \S/, 'the server reports the reason';
  note $bind->error;
};

trial 'ANONYMOUS' => sub {
  my ($ldap, $bind, $sasl) = bind_as('ANONYMOUS', authname => 'trace@example.org');
  is $bind->code, LDAP_SUCCESS, 'bind succeeds' or diag $bind->error;
  is $sasl->error, undef, 'no error is left';
  ok $slapd->has_anonymous, 'the server has logged it';
  is $ldap->who_am_i->response, '', 'and knows no name';
  my $found = $ldap->search(base => $Server::Slapd::BASE, scope => 'one', filter => '(objectClass=*)');
  is $found->count, 0, 'and shows no entry of a user';
};

trial 'a mechanism that the server has not' => sub {
  my ($ldap, $bind) = bind_as('EXTERNAL', user => 'fred');
  isnt $bind->code, LDAP_SUCCESS, 'EXTERNAL without an outer identity is refused';
  like $bind->error, qr/\S/, 'with a reason';
  note $bind->error;
};

done_testing;
