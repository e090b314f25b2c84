# Our side with Heimdal's library against our side with MIT's, in a realm of MIT's KDC: both roles, each layer.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;

use Peer::Exchange      qw(exchange);
use Peer::Heimdal       ();
use Peer::HiddenLibrary ();
use Peer::LayerCells    qw(agree layer_works);
use Peer::OurLayer      ();
use Server::Kdc         ();

my $kdc = Server::Kdc->start(principals => [qw(fred ldap/localhost)]);
$ENV{KRB5_KTNAME} = $kdc->keytab('ldap/localhost');
$ENV{KRB5CCNAME} = $kdc->ccache('fred');

# The library that a process has loaded; 'none' before one was needed.
sub library_of {
  my ($pid) = @_;
  open my $maps, '<', "/proc/$pid/maps" or die "/proc/$pid/maps: $!";
  my %open = map { $_ => 1 } map { m{/(libgssapi(?:_krb5)?)\.so[\d.]*$} } <$maps>;
  return join ' ', sort keys %open;
}

subtest 'the libraries' => sub {
  my ($we, $they) = agree('Peer::Heimdal', 'client', {mechanism => 'GSSAPI'}, {});
  is library_of($they->{pid}), 'libgssapi', 'the other process has opened Heimdal alone';
  is library_of($$), 'libgssapi_krb5', 'this one only MIT\'s, as usual';
  $_->end for $we, $they;
};

my @results = Peer::HiddenLibrary->crate_tests(Peer::HiddenLibrary->folder('libgssapi_krb5.so.2'),
  qw(--package authen-sasl-kerberos --lib));
is $?, 0, "the crate's own tests pass with Heimdal";
is scalar(@results), 1, 'they ran' or diag @results;

for my $mechanism (qw(GSSAPI GSS-SPNEGO)) {
  for my $role (qw(client server)) {
    for my $layer (['integrity', 1, 1], ['confidentiality', 2, 256]) {
      my ($kind, $least, $ssf) = @$layer;
      my %limits = (minssf => $least, maxssf => $ssf);
      layer_works("Heimdal, $mechanism, $kind", 'Peer::Heimdal', $role, $ssf, {%limits, mechanism => $mechanism}, {%limits});
    }
  }
}

for my $mechanism (qw(GSSAPI GSS-SPNEGO GS2-KRB5)) {
  for my $role (qw(client server)) {
    next if $mechanism eq 'GS2-KRB5' && $role eq 'client';    # see below
    subtest "our $role, Heimdal, $mechanism without a layer" => sub {
      my ($we, $they) = eval { agree('Peer::Heimdal', $role, {mechanism => $mechanism, maxssf => 0}, {maxssf => 0}) };
      ok $we, 'both sides are content' or return diag $@;
      like $_->agreed, qr/\A0 /, 'there is none' for $we, $they;
      $_->end for $we, $they;
    };
  }
}

# Heimdal's names from SPNEGO have no local form, so they stay complete.
for my $case (['GSSAPI', 'fred'], ['GSS-SPNEGO', 'fred@EXAMPLE.TEST']) {
  my ($mechanism, $name) = @$case;
  my $end = exchange(Peer::OurLayer->client(mechanism => $mechanism), Peer::Heimdal->server(mechanism => $mechanism),
    initial_response => 1, success_data => 1);
  is $end->{server}{authcid}, $name, "who it is, $mechanism" or diag explain $end;
}

# Heimdal 7 does not report whether a client used channel binding, so a GS2 server must not use it.
ok !eval { agree('Peer::Heimdal', 'client', {mechanism => 'GS2-KRB5'}, {}); 1 }, 'a server of GS2-KRB5 on Heimdal 7 refuses';
like $@, qr/GS2-KRB5 server: token: the library does not confirm .* \(SASL_BADBINDING\)/, 'and says why';

# It takes the names of its files only from the environment.
for my $case (
  ['client', {ccache => $ENV{KRB5CCNAME}}, qr/knows of no ccache and keytab but its own/],
  ['server', {keytab => $ENV{KRB5_KTNAME}}, qr/knows of no ccache and keytab but its own/],
  ['server', {delegated_ccache => 'FILE:/nonexistent/none'}, qr/stores no credentials in a cache by its name/],
) {
  my ($role, $property, $reason) = @$case;
  my $ours = $role eq 'client' ? 'server' : 'client';
  ok !eval { agree('Peer::Heimdal', $ours, {mechanism => 'GSSAPI'}, $property); 1 }, "Heimdal's $role, @{[keys %$property]}";
  like $@, $reason, 'cannot be had there';
}

# A ticket by password.
$kdc->admin('addprinc -pw pencil wilma');
$kdc->admin('addprinc -pw "not pencil" barney');
{
  local $ENV{KRB5CCNAME} = 'FILE:/nonexistent/none';
  my %ours = (mechanism => 'GSSAPI', keytab => $ENV{KRB5_KTNAME});
  my ($we, $they) = eval { agree('Peer::Heimdal', 'server', {%ours}, {kerberos_password => 1, principal => 'wilma'}) };
  ok $we, 'Heimdal gets a ticket with a password' or diag $@;
  is $we->name('user'), 'wilma', '... of that principal' if $we;
  $_->end for grep { $_ } $we, $they;
  ok !eval { agree('Peer::Heimdal', 'server', {%ours}, {kerberos_password => 1, principal => 'barney'}); 1 }, 'a wrong password';
  like $@, qr/the password is wrong \(SASL_BADAUTH\)/, '... is told';
  ok !eval { agree('Peer::Heimdal', 'server', {%ours}, {kerberos_password => 1, principal => 'nobody'}); 1 }, 'an unknown principal';
  like $@, qr/the KDC does not know the client.* \(SASL_BADAUTH\)/, '... is told';
}

# Failures, in Heimdal's texts and codes.
for my $case (
  ['no ticket', 'server', {}, KRB5CCNAME => 'FILE:/nonexistent/none', qr/GSSAPI: looking for credentials: .*run kinit/],
  ['no keytab', 'client', {}, KRB5_KTNAME => 'FILE:/nonexistent/none', qr/GSSAPI: looking for credentials.*: .*klist -k/],
) {
  my ($title, $ours, $property, $variable, $value, $reason) = @$case;
  # Only the other process must lack it: ours names its own.
  my %mine = $ours eq 'client' ? (ccache => $ENV{KRB5CCNAME}) : (keytab => $ENV{KRB5_KTNAME});
  local $ENV{$variable} = $value;
  ok !eval { agree('Peer::Heimdal', $ours, {mechanism => 'GSSAPI', %mine}, $property); 1 }, "Heimdal: $title";
  like $@, $reason, 'it says what to try';
}

done_testing;
