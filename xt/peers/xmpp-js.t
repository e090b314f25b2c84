# xmpp.js' client of HT-SHA-256-NONE against our server, and against what our client would say.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use Peer::XmppJs ();

my $absent = Peer::XmppJs::why_absent();
plan(skip_all => $absent) if defined $absent;
$SIG{ALRM} = sub { die "node does not answer\n" };
alarm 60;

my $peer = Peer::XmppJs->new;
my ($TOKEN, $OTHER) = ('secret-token:fast-Q3c1bmQgT2YgMTI4IGJpdHM', 'secret-token:fast-YW5vdGhlciB0b2tlbiBvZiBmcmVk');
my $mechanism = $peer->mechanism;

sub server {
  my (@tokens) = @_;
  return Authen::SASL->new(mechanism => $mechanism, callback => { ht_tokens => sub { $_[1]{user} eq 'fred' ? [@tokens] : undef } })
    ->server_new('xmpp', 'localhost');
}

for my $case ([$TOKEN], [$OTHER, $TOKEN]) {
  my $server = server(@$case);
  my $answer = $server->server_start($peer->response('fred', $TOKEN));
  ok($server->is_success, 'our server lets it in') or diag($server->error);
  is($server->property('user'), 'fred', 'by its name');
  is($server->property('ht_token_index'), $#$case, 'and its token');
  ok($peer->is_content($answer), 'it believes our proof');
  ok(!$peer->is_content($answer ^ ("\1" . "\0" x 31)), 'not a changed one');
}
for my $case (['fred', $OTHER], ['nobody', $TOKEN]) {
  my $server = server($TOKEN);
  ok(!defined $server->server_start($peer->response(@$case)), "our server refuses $case->[0]");
  like($server->error, qr/wrong or expired token/, 'with the reason');
}

for my $case (['fred', $TOKEN], ['fr.ed-1_2', "t\x{c3}\x{b6}ken"]) {
  my ($name, $token) = @$case;
  my $client = Authen::SASL->new(mechanism => $mechanism, callback => { user => $name, ht_token => $token })->client_new('xmpp', 'h');
  is(unpack('H*', $client->client_start), unpack('H*', $peer->response($name, $token)), 'our client says the same to the byte');
}

done_testing;
