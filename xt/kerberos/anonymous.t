# An anonymous ticket (RFC 8062): MIT's library treats it like any other client, our server does not.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;

use Authen::SASL     qw(Rust);
use Peer::Exchange   qw(exchange);
use Peer::Heimdal    ();
use Peer::OurLayer   ();
use Server::Kdc      ();
use TLS::Certificate ();

my $kdc = Server::Kdc->start(
  principals => [qw(fred ldap/localhost WELLKNOWN/ANONYMOUS)], certificate => TLS::Certificate->new);
$ENV{KRB5_KTNAME} = $kdc->keytab('ldap/localhost');
my %cache = (fred => $kdc->ccache('fred'), nobody => $kdc->anonymous_ccache);
like $kdc->run($kdc->program('klist'), '-c', $cache{nobody}), qr/principal: WELLKNOWN\/ANONYMOUS\@/, 'the ticket is anonymous';

for my $mechanism (qw(GSSAPI GSS-SPNEGO GS2-KRB5)) {
  for my $server ('Peer::OurLayer', 'Peer::Heimdal') {
    next if $server eq 'Peer::Heimdal' && $mechanism eq 'GS2-KRB5';    # it accepts no client at all
    for my $who (sort keys %cache) {
      my $client = Peer::OurLayer->client(mechanism => $mechanism, ccache => $cache{$who});
      my $end = exchange($client, $server->server(mechanism => $mechanism), initial_response => 1, success_data => 1);
      my $title = "$mechanism, $server, $who";
      is $end->{server}{state}, $who eq 'fred' ? 'done' : 'fail', $title or diag explain $end->{server};
      like $end->{server}{error}, qr/^\Q$mechanism\E server: the client is anonymous.* \(SASL_BADAUTH\)\z/, 'and says why'
        if $who eq 'nobody';
    }
  }
}

done_testing;
