# FAST (XEP-0484) at Prosody with mod_sasl2_fast: SCRAM once, then the token by HT-SHA-256-NONE and, over TLS 1.2, -UNIQ.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL     qw(Rust);
use MIME::Base64     qw(decode_base64 encode_base64);
use Peer::Packaged   qw(why_absent);
use Server::Prosody  ();
use Server::Trial    qw(trial);
use TLS::Certificate ();
use XMPP::Stream     ();

my $absent = why_absent('prosody-modules');
plan(skip_all => $absent) if defined $absent;

my $prosody = Server::Prosody->start(users => {fred => 'pencil'}, certificate => TLS::Certificate->new, modules => ['sasl2', 'sasl2_fast']);

sub stream { return XMPP::Stream->new(port => $prosody->port, version => $_[0], from => 'fred@localhost') }

sub client_of {
  my ($stream, $mechanism, %callback) = @_;
  return Authen::SASL->new(mechanism => $mechanism, callback => {user => 'fred', %callback})
    ->client_new('xmpp', 'localhost', {tls => $stream->socket, offered_bindings => 'tls-unique'});
}

# Runs the exchange of SASL2 (XEP-0388) with these elements beside the initial response; returns the server's last element.
sub authenticate {
  my ($stream, $conn, $inside) = @_;
  my $xmlns   = q(xmlns='urn:xmpp:sasl:2');
  my $initial = encode_base64($conn->client_start, '');
  $stream->send("<authenticate $xmlns mechanism='" . $conn->mechanism . "'><initial-response>$initial</initial-response>"
    . "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'/>$inside</authenticate>");
  while (1) {
    my $answer = $stream->receive(qr{<(challenge|success|failure)\b[^>]*?(?:/>|>.*?</\g{-1}>)}s);
    return $answer if $answer =~ /\A<failure/;
    my ($data) = $answer =~ m{(?:\A<challenge[^>]*|<additional-data)>([^<]*)<};
    my $reply = $conn->client_step(decode_base64(defined $data ? $data : ''));
    return $answer if $answer =~ /\A<success/;
    $stream->send("<response $xmlns>" . encode_base64($reply, '') . '</response>');
  }
}

my $FAST = q(<fast xmlns='urn:xmpp:fast:0'/>);

for my $mechanism (qw(HT-SHA-256-NONE HT-SHA-256-UNIQ)) {
  my $token;
  trial "$mechanism: a token after SCRAM" => sub {
    my $stream = stream('TLSv1_2');
    like $stream->features, qr/<mechanism>\Q$mechanism\E</, 'the server offers it';
    my $conn   = client_of($stream, 'SCRAM-SHA-1-PLUS', pass => 'pencil');
    my $answer = authenticate($stream, $conn, "<request-token xmlns='urn:xmpp:fast:0' mechanism='$mechanism'/>");
    ok $conn->is_success, 'SCRAM' or diag $conn->error, $answer;
    ($token) = $answer =~ /<token\b[^>]*\btoken='([^']+)'/;
    ok defined $token, 'a token' or diag $answer;
  };

  for my $login (1, 2) {
    trial "$mechanism: login $login with the token" => sub {
      my $stream = stream('TLSv1_2');
      my $conn   = client_of($stream, $mechanism, ht_token => $token, pass => 'unused');
      like authenticate($stream, $conn, $FAST), qr/\A<success/, 'the server accepts';
      ok $conn->is_success, 'and has proved itself' or diag $conn->error;
    };
  }

  trial "$mechanism: another token" => sub {
    my $stream = stream('TLSv1_2');
    my $conn   = client_of($stream, $mechanism, ht_token => "$token.");
    like authenticate($stream, $conn, $FAST), qr/\A<failure/, 'the server refuses';
    ok !$conn->is_success, 'no success here';
  };

  trial "$mechanism: a changed proof of the server" => sub {
    my $stream = stream('TLSv1_2');
    my $conn   = client_of($stream, $mechanism, ht_token => $token);
    my $answer = authenticate($stream, $conn, $FAST);
    my ($proof) = $answer =~ m{<additional-data>([^<]*)<};
    my $again = client_of($stream, $mechanism, ht_token => $token);
    $again->client_start;
    $again->client_step(decode_base64($proof) ^ ("\0" x 31 . "\1"));
    like $again->error, qr/the server's proof is wrong/, 'is noticed';
  };
}

trial 'HT-SHA-256-UNIQ: the TLS connection of somebody else' => sub {
  my ($stream, $other) = map { stream('TLSv1_2') } 1, 2;
  my $conn = client_of($stream, 'SCRAM-SHA-1-PLUS', pass => 'pencil');
  my ($token) = authenticate($stream, $conn, "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-UNIQ'/>") =~ /\btoken='([^']+)'/;
  my $bound = client_of(stream('TLSv1_2'), 'HT-SHA-256-UNIQ', ht_token => $token);
  like authenticate($other, $bound, $FAST), qr/\A<failure/, 'the server refuses';
};

done_testing;
