# Contexts, names, credentials and buffers of the GSS-API library are released, on success and on failure.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;

use Authen::SASL qw(Rust);
use Boundary::Memory qw(resident);
use Server::Kdc  ();

my $kdc = Server::Kdc->start(principals => [qw(fred ldap/localhost)]);
$ENV{KRB5_KTNAME} = $kdc->keytab('ldap/localhost');
$ENV{KRB5CCNAME} = $kdc->ccache('fred', '-f');
my $delegated = 'FILE:' . $kdc->dir . '/delegated';
$ENV{KRB5RCACHENAME} = 'none:';

sub exchange {
  my ($mechanism, $service, $damage, $delegate) = @_;
  my $sasl = Authen::SASL->new(mechanism => $mechanism, callback => {});
  my $client = $sasl->client_new($service, 'localhost', {delegate => $delegate});
  my $server = $sasl->server_new('ldap', 'localhost', {delegated_ccache => $delegate ? $delegated : undef});
  my $message = $client->client_start;
  return 0 if $client->error;
  $message = substr $message, 0, 50 if $damage;
  $message = $server->server_start($message);
  while (!$server->error && $client->need_step) {
    $message = $client->client_step($message);
    last if $client->error || !$server->need_step;
    $message = $server->server_step($message);
  }
  return $client->is_success && $server->is_success ? 1 : 0;
}

for my $case (
  (map { ["$_ that succeeds", 1, $_, 'ldap', 0] } qw(GSSAPI GSS-SPNEGO GS2-KRB5)),
  (map { ["$_ with delegation", 1, $_, 'ldap', 0, 1] } qw(GSSAPI GSS-SPNEGO)),
  ['a damaged token', 0, 'GSSAPI', 'ldap', 1],
  ['a service that the KDC has not', 0, 'GSSAPI', 'nosuch', 0],
) {
  my ($title, $ends, @arg) = @$case;
  my $round = sub { my $good = 0; $good += exchange(@arg) for 1 .. 300; return $good };
  $round->() for 1, 2;
  my $before = resident();
  is $round->(), 300 * $ends, "$title: each ends as it should";
  cmp_ok resident() - $before, '<', 200 * 1024, "$title: less than 200 KiB more after 300 exchanges";
}

done_testing;
