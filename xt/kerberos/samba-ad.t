# A real Active Directory, Samba's: our client in Net::LDAP by ticket and by password, and our server with a key from it.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Apart qw(dc1.ad.example.test);
use Test::More;
use utf8;

use Authen::SASL     qw(Rust);
use Encode           qw(encode);
use Net::LDAP        qw(LDAP_INSUFFICIENT_ACCESS LDAP_STRONG_AUTH_REQUIRED LDAP_SUCCESS);
use Peer::Cyrus      ();
use Peer::Heimdal    ();
use Peer::LayerCells qw(agree layer_works);
use Peer::Packaged   qw(why_absent);
use Server::SambaAd  ();
use TLS::Certificate ();

for my $package ('samba-ad-dc,samba', 'faketime') {
  if (my $why = why_absent($package)) { plan skip_all => $why }
}

my $PASSWORD = 'Kuchen+Torte2';
my $USERS = "CN=Users,$Server::SambaAd::BASE";
my $certificate = TLS::Certificate->new;
my $ad = Server::SambaAd->start(certificate => $certificate);

# client($mechanism, user, password, property => value, ...): a client of the directory.
sub client {
  my ($mechanism, $user, $pass, %property) = @_;
  my $sasl = Authen::SASL->new(mechanism => $mechanism, callback => {user => $user, pass => $pass});
  return $sasl->client_new('ldap', $Server::SambaAd::HOST, {kerberos_password => 1, %property});
}

sub bind_as {
  my ($mechanism, $user, $pass, %property) = @_;
  my $tls = delete $property{ldaps};
  my $ldap = Net::LDAP->new($tls ? "ldaps://$Server::SambaAd::HOST" : $ad->uri, verify => 'none', timeout => 20) or die $@;
  $property{tls} = $ldap->socket if $tls && $tls eq 'bound';
  my $conn = client($mechanism, $user, $pass, %property);
  return ($ldap, $ldap->bind('', sasl => $conn), $conn);
}

# Runs a program to its end; returns its exit status and output.
sub run_program {
  my (@command) = @_;
  my $pid = open my $out, '-|';
  die "fork: $!" unless defined $pid;
  if (!$pid) {
    open STDERR, '>&', \*STDOUT or die "dup: $!";
    exec @command or die "$command[0]: $!";
  }
  my $said = join '', <$out>;
  close $out;
  return ($? >> 8, $said);
}

my @perl = ($^X, map {"-I$_"} grep { !ref } @INC);

# Accounts, made as a program would: Active Directory takes a password only over an encrypted connection.
my ($admin, $bound, $conn) = bind_as('GSSAPI', 'Administrator', $Server::SambaAd::PASSWORD);
is $bound->code, LDAP_SUCCESS, 'Administrator logs in' or BAIL_OUT($conn->error || $bound->error);
is $conn->property('ssf'), 256, 'the connection is encrypted';

sub succeeds {
  my ($title, $message) = @_;
  return is $message->code, LDAP_SUCCESS, $title || diag $message->error;
}

sub add_account {
  my ($name, %attribute) = @_;
  my $text = encode('UTF-8', $name);
  my %all = (objectClass => 'user', sAMAccountName => $text, unicodePwd => encode('UTF-16LE', qq{"$PASSWORD"}), userAccountControl => 512, %attribute);
  succeeds("account $text", $admin->add("CN=$text,$USERS", attrs => [%all]));
  return;
}

# Whether the connection is that user's: an account may change its own telephone number, but no other's.
sub belongs_to {
  my ($ldap, $name) = @_;
  my ($own, $other) = map {
    $ldap->modify('CN=' . encode('UTF-8', $_) . ",$USERS", replace => [telephoneNumber => '+49 30 ' . int rand 1e6])
  } $name, 'service';
  succeeds('who it is', $own);
  return is $other->code, LDAP_INSUFFICIENT_ACCESS, 'and nobody else';
}

my %special = (
  fred    => {},
  größe   => {unicodePwd => encode('UTF-16LE', '"Törtchen+2"')},
  renew   => {pwdLastSet => 0},
  hours   => {logonHours => "\0" x 21},
  gone    => {accountExpires => '116444736000000000'},    # 1970
  closed  => {},
  locked  => {},
  service => {servicePrincipalName => 'ldap/localhost', 'msDS-SupportedEncryptionTypes' => 24},
  'fred2' => {objectClass => 'computer', sAMAccountName => 'fred2$', userAccountControl => 4096},
);
add_account($_, %{$special{$_}}) for sort keys %special;
succeeds('an account is disabled', $admin->modify("CN=closed,$USERS", replace => [userAccountControl => 514]));
succeeds('three wrong passwords lock an account', $admin->modify($Server::SambaAd::BASE,
  replace => [lockoutThreshold => 3, lockoutDuration => -18_000_000_000, lockOutObservationWindow => -18_000_000_000]));

my $ticket = $ad->ccache('fred', $PASSWORD);

subtest 'what it offers' => sub {
  my $ldap = Net::LDAP->new($ad->uri) or die $@;
  my @names = $ldap->root_dse(attrs => ['supportedSASLMechanisms'])->get_value('supportedSASLMechanisms');
  is_deeply [sort @names], [qw(GSS-SPNEGO GSSAPI NTLM)], 'its mechanisms';
  is client("@names", 'fred', $PASSWORD)->mechanism, 'GSSAPI', 'our choice';
};

for my $mechanism (qw(GSSAPI GSS-SPNEGO)) {
  for my $layer (['signed', 1, 1], ['sealed', 4096, 256]) {
    my ($name, $most, $ssf) = @$layer;
    for my $by (['a password', 'fred', $PASSWORD], ['a ticket', undef, undef, ccache => $ticket, kerberos_password => 0]) {
      my ($how, @login) = @$by;
      subtest "$mechanism, $name, by $how" => sub {
        my ($ldap, $bind, $conn) = bind_as($mechanism, @login, maxssf => $most);
        is $bind->code, LDAP_SUCCESS, 'bind succeeds' or return diag $conn->error || $bind->error;
        is $conn->property('ssf'), $ssf, 'the strength';
        belongs_to($ldap, 'fred');
        my $own = $ldap->search(base => $USERS, filter => '(sAMAccountName=fred)', attrs => ['cn']);
        is_deeply [map { $_->get_value('cn') } $own->entries], ['fred'], 'a search';
      };
    }
  }

  my ($ldap, $bind, $conn) = bind_as($mechanism, 'größe', 'Törtchen+2');
  is $bind->code, LDAP_SUCCESS, "$mechanism: a name and a password beyond ASCII" or diag $conn->error || $bind->error;
  belongs_to($ldap, 'größe');

  (undef, $bind) = bind_as($mechanism, 'fred', $PASSWORD, maxssf => 0);
  is $bind->code, LDAP_STRONG_AUTH_REQUIRED, "$mechanism: without a layer it refuses";
  like $bind->error, qr/Sign or Seal are required/, 'and says why';

  for my $case (
    ['fred', 'wrong', qr/the password is wrong/, 'SASL_BADAUTH'],
    ['nobody', $PASSWORD, qr/the KDC does not know the client/, 'SASL_BADAUTH'],
    ['renew', $PASSWORD, qr/the password has expired, or must be changed/, 'SASL_EXPIRED'],
    ['closed', $PASSWORD, qr/the account is disabled/, 'SASL_DISABLED'],
    ['gone', $PASSWORD, qr/the account is disabled, locked or expired/, 'SASL_DISABLED'],
    ['hours', $PASSWORD, qr/may not log in at this time/, 'SASL_DISABLED'],
    ['fred@ad.example.test', $PASSWORD, qr/most realms are in capitals/, 'SASL_FAIL'],
  ) {
    my ($user, $pass, $reason, $code) = @$case;
    (undef, $bind) = bind_as($mechanism, $user, $pass);
    like $bind->error, qr/\A\Q$mechanism\E client: .*$reason.*\($code\)\z/, "$mechanism: $user with '$pass'";
  }
}

like +(bind_as('GSSAPI', 'locked', 'wrong'))[1]->error, qr/the password is wrong/, "a wrong password, $_" for 1 .. 3;
for my $pass ('wrong', $PASSWORD) {
  like +(bind_as('GSSAPI', 'locked', $pass))[1]->error, qr/the account is disabled, locked .*SASL_DISABLED/, 'then it is locked';
}

# Thousands of entries through the layer, and the same by OpenLDAP's programs.
subtest 'the schema' => sub {
  my @search = ("CN=Schema,CN=Configuration,$Server::SambaAd::BASE", '(objectClass=attributeSchema)', 'cn');
  local @ENV{qw(KRB5CCNAME LDAPSASL_NOCANON)} = ($ticket, 'on');
  my ($status, $theirs) = run_program(qw(ldapsearch -N -Q -LLL -o ldif-wrap=no -E pr=500/noprompt -Y GSSAPI -H), $ad->uri, '-b', @search);
  my @expected = sort $theirs =~ /^cn: (.*)/mg;
  cmp_ok scalar(@expected), '>', 1000, 'ldapsearch finds them' or diag $theirs;
  for my $mechanism (qw(GSSAPI GSS-SPNEGO)) {
    ($status, my $ours) = run_program(@perl, 'eg/directory-search', '--mechanism', $mechanism, '--uri', $ad->uri, '--base', @search);
    is_deeply [sort $ours =~ /^  cn: (.*)/mg], \@expected, "eg/directory-search finds the same by $mechanism" or diag $ours;
  }
};

subtest 'the password itself, for comparison' => sub {
  for my $case ([$ad->uri, LDAP_STRONG_AUTH_REQUIRED], ["ldaps://$Server::SambaAd::HOST", LDAP_SUCCESS]) {
    my ($uri, $code) = @$case;
    my $ldap = Net::LDAP->new($uri, verify => 'none') or die $@;
    is $ldap->bind('fred@ad.example.test', password => $PASSWORD)->code, $code, $uri;
    belongs_to($ldap, 'fred') if $code == LDAP_SUCCESS;
  }
};

# Since 4.21 Samba takes Kerberos under TLS if it is bound to the connection, as Windows does; before, it refuses it.
subtest 'under TLS' => sub {
  my ($major, $minor) = ($ad->run($ad->program('samba'), '--version'))[0] =~ /(\d+)\.(\d+)/;
  my $binds = $major > 4 || $minor >= 21;
  for my $mechanism (qw(GSSAPI GSS-SPNEGO)) {
    my ($ldap, $bind) = bind_as($mechanism, 'fred', $PASSWORD, ldaps => 'bound');
    is $bind->code == LDAP_SUCCESS, $binds, "$mechanism: a bound login" or diag $bind->error;
    belongs_to($ldap, 'fred') if $binds;
    like $bind->error, qr/Sign or Seal are required/, 'it says what it misses' if !$binds;
    (undef, $bind) = bind_as($mechanism, 'fred', $PASSWORD, ldaps => 'unbound', maxssf => 0);
    isnt $bind->code, LDAP_SUCCESS, "$mechanism: without the binding it refuses";
    (undef, $bind) = bind_as($mechanism, 'fred', $PASSWORD, ldaps => 'unbound');
    like $bind->error, qr/not allowed if TLS|\A80090346: /, "$mechanism: a layer inside TLS it refuses";
  }
};

# A clock that is ten minutes off.
subtest 'clocks' => sub {
  my $login = 'use Authen::SASL qw(Rust); my $c = Authen::SASL->new(mechanism => $ARGV[0], callback => {user => "fred", pass => $ARGV[1]})'
    . '->client_new("ldap", $ARGV[2], {kerberos_password => 1}); $c->client_start; print $c->error || "in time"';
  my $obstinate = $ad->krb5_conf('kdc_timesync = 0');
  for my $off (qw(-10m +10m)) {
    my @clock = ($ad->program('faketime'), '-f', $off, @perl);
    for my $mechanism (qw(GSSAPI GSS-SPNEGO)) {
      my @login = (@clock, '-e', $login, $mechanism, $PASSWORD, $Server::SambaAd::HOST);
      is +(run_program(@login))[1], 'in time', "$mechanism by password, $off: the library takes the KDC's time";
      local $ENV{KRB5_CONFIG} = $obstinate;
      like +(run_program(@login))[1], qr/the clocks of client, server and KDC differ.*SASL_FAIL/, '... unless it may not';
    }
    local $ENV{KRB5CCNAME} = $ticket;
    my ($status, $said) = run_program(@clock, 'eg/directory-search', '--uri', $ad->uri, '(cn=fred)');
    isnt $status, 0, "by ticket, $off";
    like $said, qr/^directory-search: GSSAPI .*(?:the clocks of client, server and KDC differ|set the clocks right)/, 'it says why';
  }
};

# Our server, with the key of an account.
my $keytab = $ad->keytab('ldap/localhost');
for my $mechanism (qw(GSSAPI GSS-SPNEGO)) {
  my %ours = (mechanism => $mechanism, keytab => $keytab, minssf => 256, maxssf => 256);
  {
    local $ENV{KRB5CCNAME} = $ticket;
    layer_works("libsasl2's $mechanism client by ticket", 'Peer::Cyrus', 'server', 256, {%ours}, {minssf => 256, maxssf => 256, maxbuf => 65_536});
  }
  my @sides = eval { agree('Peer::Heimdal', 'server', {%ours}, {kerberos_password => 1, password => $PASSWORD}) };
  # Heimdal 7 gets no credentials of SPNEGO with a password.
  is scalar(@sides), $mechanism eq 'GSSAPI' ? 2 : 0, "our $mechanism client on Heimdal, by password" or diag $@;
  like $@, qr/GSS-SPNEGO client: getting a ticket by password for fred: No credentials/, 'it says so' if !@sides;
  $_->end for @sides;
}

# The same account under more than one name.
sub name_at_server {
  my ($user, %property) = @_;
  my $client = Authen::SASL->new(mechanism => 'GSSAPI', callback => {user => $user, pass => $PASSWORD})
    ->client_new('ldap', 'localhost', {kerberos_password => 1});
  my $server = Authen::SASL->new(mechanism => 'GSSAPI')->server_new('ldap', 'localhost', {keytab => $keytab, %property});
  my $message = $server->server_start($client->client_start);
  while ($client->need_step && !$server->error) {
    $message = $client->client_step($message);
    $message = $server->server_step($message) if $server->need_step;
  }
  return $client->error || $server->error || $server->property('user');
}
is name_at_server('fred'), 'fred', 'our server knows fred';
is name_at_server('FRED'), 'FRED', 'the directory ignores case and leaves it as it is';
is name_at_server('fred2'), 'fred2', 'a computer, fred2$, also has the name fred2';

done_testing;
