# SCRAM keys with GNU SASL: a salted password, which both sides take in place of the password, and the keys of a login at its server.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use lib 'xt/lib';
use Test::More;
use MIME::Base64 qw(encode_base64);
use Authen::SASL qw(Rust);
use Authen::SASL::Rust::UpgradeTask;
use Peer::Exchange qw(exchange);
use Peer::Gsasl ();
use Peer::Ours ();

sub run {
  my ($client, $server) = @_;
  my @side = map { $_->isa('Authen::SASL::Rust::Connection') ? bless({ conn => $_, convention => 'return value' }, 'Peer::Ours') : $_ } $client, $server;
  $side[$_]{role} = (qw(client server))[$_] for grep { $side[$_]->isa('Peer::Ours') } 0, 1;
  my $end = exchange(@side, initial_response => 1, success_data => 1);
  is($end->{problem}, undef, 'the exchange came to an end');
  return;
}

for my $mechanism (qw(SCRAM-SHA-1 SCRAM-SHA-256)) {
  my $salt   = 'twelve bytes';
  my $salted = Authen::SASL::Rust::UpgradeTask->of_name("UPGR-$mechanism")->salted_password(password => 'pencil', salt => $salt, iterations => 4096);
  my %where  = (mechanism => $mechanism, service => 'imap', host => 'localhost', user => 'fred');

  my $verifier = Authen::SASL::Rust->scram_verifier(password => 'pencil', mechanism => $mechanism, salt => $salt);
  my $server = sub { Authen::SASL->new(mechanism => $mechanism, callback => { getsecret => sub { $verifier } })->server_new('imap', 'localhost') };
  for my $hex (unpack('H*', $salted), '00' x length $salted) {
    my $ours = $server->();
    run(Peer::Gsasl->client(%where, 'salted-password' => $hex), $ours);
    is($ours->is_success ? 1 : 0, $hex =~ /[^0]/ ? 1 : 0, "$mechanism: its client with a salted password") or diag $ours->error;
  }

  my $client = sub { Authen::SASL->new(mechanism => $mechanism, callback => { user => 'fred', @_ })->client_new('imap', 'localhost') };
  my $theirs = sub { Peer::Gsasl->server(%where, password => 'pencil', salt => encode_base64($salt, '')) };
  my $kept;
  my %salted = (mechanism => $mechanism, iterations => 4096, salt => $salt, salted_password => $salted);
  for my $callback ({ scram_keys => \%salted }, { pass => 'pencil', keep_scram_keys => sub { $kept = $_[1]{text} } }) {
    my $ours = $client->(%$callback);
    run($ours, $theirs->());
    ok($ours->is_success, "$mechanism: its server, our client") or diag $ours->error;
  }
  my $ours = $client->(scram_keys => $kept);
  run($ours, $theirs->());
  ok($ours->is_success, "$mechanism: with the keys that were kept") or diag $ours->error;
  $ours = $client->(scram_keys => $kept);
  run($ours, Peer::Gsasl->server(%where, password => 'pencil'));
  like($ours->error, qr/the server has another salt/, "$mechanism: a random salt needs the password");
}

done_testing;
