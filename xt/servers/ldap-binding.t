# Net::LDAP on slapd over StartTLS with channel binding. OpenLDAP 2.5 calls its type `ldap`; the data is a standard type's name,
# a colon, and that type's data.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL     ($ENV{SASL_BACKEND} || 'Rust');
use Net::LDAP        qw(LDAP_SUCCESS);
use Net::LDAP::Extension::WhoAmI ();
use Authen::SASL::Rust::ChannelBinding ();
use Server::Slapd    ();
use Server::Trial    qw(trial);
use TLS::Certificate ();
use TLS::Pair        ();

my $certificate = TLS::Certificate->new(digest => 'sha384');

# slapd's own name for each of its two kinds, and the standard type.
my %standard = ('tls-unique' => 'tls-unique', 'tls-endpoint' => 'tls-server-end-point');

sub binding_of {
  my ($kind, $handle) = @_;
  my $data = Authen::SASL::Rust::ChannelBinding->from_tls($handle, 'client');
  return {ldap => "$standard{$kind}:" . $data->{$standard{$kind}}};
}

sub bind_over_tls {
  my ($slapd, $version, $mechanism, $password, $data) = @_;
  my $ldap = Net::LDAP->new($slapd->uri, timeout => 20) or die "$@";
  my $tls  = $ldap->start_tls(verify => 'none', sslversion => $version);
  die 'StartTLS: ' . $tls->error if $tls->code;
  my $sasl = Authen::SASL->new(mechanism => $mechanism, callback => {user => 'fred', pass => $password});
  my $conn = $sasl->client_new('ldap', 'localhost', {channel_binding => $data->($ldap->socket(sasl_layer => 0))});
  my $bind = $ldap->bind('', sasl => $conn);
  return ($ldap, $bind, $conn);
}

for my $kind (sort keys %standard) {
  my $slapd = Server::Slapd->start(users => {fred => 'pencil'}, certificate => $certificate, binding => $kind);
  for my $version (qw(tlsv1_2 tlsv1_3)) {
    next if "$kind $version" eq 'tls-unique tlsv1_3';
    my $own = sub { return binding_of($kind, @_) };
    for my $mechanism (qw(SCRAM-SHA-1-PLUS SCRAM-SHA-256-PLUS)) {
      trial "$kind, $version, $mechanism" => sub {
        my ($ldap, $bind, $conn) = bind_over_tls($slapd, $version, $mechanism, 'pencil', $own);
        is $bind->code, LDAP_SUCCESS, 'bind succeeds' or diag $bind->error;
        ok $conn->is_success, 'the server has proved itself' or diag $conn->error;
        is $ldap->who_am_i->response, 'dn:' . $slapd->dn('fred'), 'and knows us';
      };

      trial "$kind, $version, $mechanism, a man in the middle" => sub {
        my $his = TLS::Pair->new(version => $version eq 'tlsv1_2' ? 'TLSv1_2' : 'TLSv1_3',
          certificate => TLS::Certificate->new, here => 'client');
        my ($ldap, $bind, $conn) = bind_over_tls($slapd, $version, $mechanism, 'pencil',
          sub { return binding_of($kind, $his->handle) });
        isnt $bind->code, LDAP_SUCCESS, 'bind is refused';
        note $bind->error;
        ok !$conn->is_success, 'no success here';
        is $ldap->who_am_i->response, '', 'and no user is logged in';
      };
    }

    trial "$kind, $version, -PLUS stripped" => sub {
      my ($ldap, $bind, $conn) = bind_over_tls($slapd, $version, 'SCRAM-SHA-256 PLAIN', 'pencil', $own);
      isnt $bind->code, LDAP_SUCCESS, 'the server refuses y';
      note $bind->error;
      ok !$conn->is_success, 'no success here';
    };

    trial "$kind, $version, a type that it has not" => sub {
      my ($ldap, $bind, $conn) = bind_over_tls($slapd, $version, 'SCRAM-SHA-256-PLUS', 'pencil',
        sub { return {'tls-server-end-point' => $certificate->end_point('sha384')} });
      isnt $bind->code, LDAP_SUCCESS, 'bind is refused';
      note $bind->error;
    };
  }
  $slapd->stop;
}

done_testing;
