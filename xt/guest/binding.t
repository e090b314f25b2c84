# SCRAM-...-PLUS of our guest with equal and with different data on the two sides.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use Test::More;

use MIME::Base64   qw(encode_base64);
use Peer::Cyrus    ();
use Peer::Exchange qw(exchange);
use Peer::Gsasl    ();
use Peer::Guest    ();

my %account = (user => 'fred', password => 'sesame', service => 'imap', host => 'localhost');

sub data { return encode_base64($_[0] x 32, '') }

# The channel binding of each side: type and data.
sub bound {
  my ($class, $type, $data) = @_;
  return $class eq 'Peer::Gsasl' ? ($type => $data) : (binding => $type, binding_data => $data);
}

for my $pair (
  ['Peer::Guest', 'Peer::Guest'], ['Peer::Guest', 'Peer::Cyrus'], ['Peer::Cyrus', 'Peer::Guest'],
  ['Peer::Guest', 'Peer::Gsasl'], ['Peer::Gsasl', 'Peer::Guest'],
  )
{
  my ($client, $server) = @$pair;
  my $who = join ' to ', map { $_->name } @$pair;
  for my $case (
    ['the same data', 'SCRAM-SHA-256-PLUS', data('a'), data('a'), 'p=tls-exporter,', 'done'],
    ['other data', 'SCRAM-SHA-256-PLUS', data('a'), data('b'), 'p=tls-exporter,', 'fail'],
    # libsasl2 decides what a client says about a list without -PLUS; this is its decision.
    ['a name without -PLUS', 'SCRAM-SHA-1', data('a'), data('a'), 'n,', 'done'],
    ['a server without data', 'SCRAM-SHA-256-PLUS', data('a'), undef, 'p=tls-exporter,', 'fail'],
    ['a client without data', 'SCRAM-SHA-1', undef, undef, 'n,', 'done'],
    )
  {
    my ($title, $mechanism, $ours, $theirs, $begins, $ends) = @$case;
    # libgsasl's client says y if it has data.
    next if $client eq 'Peer::Gsasl' && $title eq 'a name without -PLUS';
    my ($from, $to) = (
      $client->client(%account, mechanism => $mechanism, $ours ? bound($client, 'tls-exporter', $ours) : ()),
      $server->server(
        %account, mechanism => $mechanism, success_data => 1, $theirs ? bound($server, 'tls-exporter', $theirs) : ()
      )
    );
    my $end = exchange($from, $to, initial_response => 1, success_data => 1);
    is $end->{problem}, undef, "$who, $title: comes to an end";
    like $end->{transcript}[0], qr/\AC: \Q$begins\E/, "$who, $title: says $begins";
    my @states = map { $end->{$_}{state} } qw(client server);
    is $ends eq 'done' ? "@states" : scalar(grep { $_ eq 'done' } @states), $ends eq 'done' ? 'done done' : 0, "$who, $title: $ends"
      or diag explain $end;
  }
}

# A server that has data of another type is asked for the client's, as libsasl2 2.2 does it.
for my $client (qw(Peer::Guest Peer::Gsasl)) {
  for my $case (
    ['the client\'s type', 'done', asked_binding => 'tls-exporter', asked_data => data('a')],
    ['other data', 'fail', asked_binding => 'tls-exporter', asked_data => data('b')],
    ['no such data', 'fail', asked_binding => 'tls-unique', asked_data => data('a')],
  ) {
    my ($title, $ends, @asked) = @$case;
    my $mechanism = 'SCRAM-SHA-256-PLUS';
    my $from = $client->client(%account, mechanism => $mechanism, bound($client, 'tls-exporter', data('a')));
    my $to = Peer::Guest->server(%account, mechanism => $mechanism, success_data => 1, @asked,
      bound('Peer::Guest', 'tls-server-end-point', data('e')));
    my $end = exchange($from, $to, initial_response => 1, success_data => 1);
    is $end->{problem}, undef, $client->name . ", asked for $title: comes to an end";
    like $end->{transcript}[0], qr/\AC: p=tls-exporter,/, 'bound by tls-exporter';
    my @states = map { $end->{$_}{state} } qw(client server);
    is $ends eq 'done' ? "@states" : scalar(grep { $_ eq 'done' } @states), $ends eq 'done' ? 'done done' : 0, $ends
      or diag explain $end;
  }
}

done_testing;
