# Net::LDAP with Kerberos on a slapd: each layer, and ten thousand entries over it.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;

use Authen::SASL      qw(Rust);
use Net::LDAP         qw(LDAP_SUCCESS);
use Net::LDAP::Extension::WhoAmI ();
use Server::Kdc       ();
use Server::Slapd     ();
use TLS::Certificate  ();

use constant ENTRIES => 10_000;

my $kdc = Server::Kdc->start(principals => [qw(fred wilma ldap/localhost)]);
$ENV{KRB5_KTNAME} = $kdc->keytab('ldap/localhost');
my $slapd = Server::Slapd->start(users => {fred => 'of no use here'}, crowd => ENTRIES);
(my $uri = $slapd->uri) =~ s/127\.0\.0\.1/localhost/;

# The properties are set on the connection before Net::LDAP binds with it.
sub bind_with {
  my ($mechanism, %property) = @_;
  my $ldap = Net::LDAP->new($uri, timeout => 20) or die "$uri: $@";
  my $conn = Authen::SASL->new(mechanism => $mechanism)->client_new('ldap', 'localhost', \%property)
    or die "$mechanism: no connection";
  return ($ldap, $ldap->bind('', sasl => $conn), $conn);
}

my $fred = $kdc->ccache('fred');
for my $mechanism (qw(GSSAPI GSS-SPNEGO)) {
  for my $layer (['no layer', 0, 0], ['integrity', 1, 1], ['confidentiality', 4096, 256]) {
    my ($name, $most, $ssf) = @$layer;
    subtest "$mechanism, $name" => sub {
      my ($ldap, $bind, $conn) = bind_with($mechanism, ccache => $fred, maxssf => $most);
      is $bind->code, LDAP_SUCCESS, 'bind succeeds' or return diag $bind->error, ' ', $conn->error || '';
      is $conn->property('ssf'), $ssf, 'the strength';
      is $ldap->who_am_i->response, 'dn:' . $slapd->dn('fred'), 'who am I';
      my $found = $ldap->search(base => $Server::Slapd::CROWD, scope => 'one', filter => '(cn=*)');
      is $found->code, LDAP_SUCCESS, 'search is answered' or diag $found->error;
      is $found->count, ENTRIES, 'all entries came';
      is_deeply [sort { $a <=> $b } map { $_->get_value('cn') =~ /(\d+)/ } $found->entries], [1 .. ENTRIES], 'each of them once';
      ok $slapd->logs(sprintf 'mech=%s bind_ssf=%d', $mechanism, $ssf), 'the server has the same strength';
    };
  }
}

subtest 'another user, from the environment, by default properties' => sub {
  local $ENV{KRB5CCNAME} = $kdc->ccache('wilma');
  my $ldap = Net::LDAP->new($uri, timeout => 20) or die $@;
  my $bind = $ldap->bind('', sasl => Authen::SASL->new(mechanism => 'GSSAPI'));
  is $bind->code, LDAP_SUCCESS, 'bind succeeds' or diag $bind->error;
  is $ldap->who_am_i->response, 'dn:' . $slapd->dn('wilma'), 'who am I';
};

subtest 'a password in place of a ticket' => sub {
  $kdc->admin('addprinc -pw Kuchen barney');
  my $ldap = Net::LDAP->new($uri, timeout => 20) or die $@;
  my $sasl = Authen::SASL->new(mechanism => 'GSSAPI', callback => {user => 'barney', pass => 'Kuchen'});
  my $bind = $ldap->bind('', sasl => $sasl->client_new('ldap', 'localhost', {kerberos_password => 1}));
  is $bind->code, LDAP_SUCCESS, 'bind succeeds' or diag $bind->error;
  is $ldap->who_am_i->response, 'dn:' . $slapd->dn('barney'), 'who am I';
};

# eg/directory-search: its exit status and output.
sub search_with {
  my (@arg) = @_;
  my $pid = open my $out, '-|';
  die "fork: $!" if !defined $pid;
  if (!$pid) {
    open STDERR, '>&', \*STDOUT or die "dup: $!";
    exec $^X, (map {"-I$_"} grep { !ref } @INC), 'eg/directory-search', @arg or die "exec: $!";
  }
  my $said = join '', <$out>;
  close $out;
  return ($? >> 8, $said);
}

subtest 'eg/directory-search' => sub {
  local $ENV{KRB5CCNAME} = $fred;
  my @search = ('--uri', $uri, '--base', $Server::Slapd::BASE, '(uid=fred)', 'uid');
  for my $mechanism ('GSSAPI', 'GSS-SPNEGO') {
    my ($status, $said) = search_with('--mechanism', $mechanism, @search);
    is $status, 0, 'it ends well';
    my $expected = "# bound by $mechanism as fred\@EXAMPLE.TEST, 256 bits\n" . $slapd->dn('fred') . "\n  uid: fred\n";
    is $said, $expected, 'the entry that only fred may read';
  }
  my (undef, $crowd) = search_with('--uri', $uri, '--base', $Server::Slapd::CROWD, '(objectClass=device)', 'cn');
  is scalar(() = $crowd =~ /^  cn: member \d+$/mg), ENTRIES, 'all entries, on several pages';
  my %once = map { $_ => 1 } $crowd =~ /^  cn: (member \d+)$/mg;
  is scalar(keys %once), ENTRIES, 'each once';
  local $ENV{KRB5CCNAME} = 'FILE:/nonexistent/none';
  my ($status, $said) = search_with(@search);
  isnt $status, 0, 'without a ticket';
  is scalar(() = $said =~ /\bGSSAPI: /g), 1, 'and says it once';
  like $said, qr/^directory-search: .*GSSAPI: .*run kinit/, 'it says what is missing';
};

# As Active Directory demands: no layer inside TLS, and the context bound to the server's certificate.
subtest 'StartTLS' => sub {
  my $certificate = TLS::Certificate->new;
  my $tls = Server::Slapd->start(users => {fred => 'of no use here'}, certificate => $certificate, binding => 'tls-endpoint');
  (my $there = $tls->uri) =~ s/127\.0\.0\.1/localhost/;
  for my $case (map { my $name = $_; map { [$name, @$_] } [], [maxssf => 0] } qw(GSSAPI GSS-SPNEGO)) {
    my ($mechanism, @property) = @$case;
    my $ldap = Net::LDAP->new($there, timeout => 20) or die "$there: $@";
    my $start = $ldap->start_tls(verify => 'none');
    is $start->code, LDAP_SUCCESS, 'StartTLS' or return diag $start->error;
    my $conn = Authen::SASL->new(mechanism => $mechanism)
      ->client_new('ldap', 'localhost', {ccache => $fred, tls => $ldap->socket, @property});
    my $bind = $ldap->bind('', sasl => $conn);
    is $bind->code, LDAP_SUCCESS, "@$case: bind succeeds" or return diag $bind->error, ' ', $conn->error || '';
    is $conn->property('ssf'), 0, 'without a layer';
    is $ldap->who_am_i->response, 'dn:' . $tls->dn('fred'), 'who am I';
  }
  local $ENV{KRB5CCNAME} = $fred;
  my ($status, $said) = search_with('--uri', $there, '--starttls', '--cafile', $certificate->certificate,
    '--base', $Server::Slapd::BASE, '(uid=fred)', 'uid');
  is $status, 0, 'eg/directory-search ends well';
  is $said, "# bound by GSSAPI as fred\@EXAMPLE.TEST, TLS\n" . $tls->dn('fred') . "\n  uid: fred\n", 'and finds fred';
};

done_testing;
