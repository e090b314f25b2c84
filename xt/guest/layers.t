# The DIGEST-MD5 layers of our guest against libsasl2's own, libgsasl's, and the Perl module's.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use Test::More;

use Peer::Cyrus      ();
use Peer::Gsasl      ();
use Peer::Guest      ();
use Peer::LayerCells qw(layer_works frames_are_guarded);

my %strength = ('auth-int' => 1, 'rc4-40' => 40, des => 55, 'rc4-56' => 56, '3des' => 112, rc4 => 128);
my $any = {maxssf => 256, maxbuf => 65_536};

sub only { my ($ssf, %more) = @_; return {minssf => $ssf, maxssf => $ssf, %more} }

for my $role (qw(client server)) {
  for my $cipher (sort keys %strength) {
    layer_works("the guest, $cipher", 'Peer::Guest', $role, $strength{$cipher}, only($strength{$cipher}), $any);
  }
  frames_are_guarded('the guest, rc4', 'Peer::Guest', $role, only(128), $any);
  layer_works('the guest, short frames', 'Peer::Guest', $role, 128, only(128, maxbuf => 1000), {maxssf => 256, maxbuf => 256});
}

# Both sides after the exchange, each in a program of a different implementation.
sub agreed {
  my ($client, $server, $theirs, $ours) = @_;
  my %both = (mechanism => 'DIGEST-MD5', service => 'ldap', host => 'localhost', user => 'fred', password => 'pencil');
  my ($from, $to) = ($client->client(%both, %$theirs), $server->server(%both, %$ours, success_data => 1));
  my $answer = $from->start;
  my $sent = $to->start;
  for (1 .. 3) {
    $answer = $from->step($sent->{message} // '');
    last if $answer->{state} ne 'more';
    $sent = $to->step($answer->{message} // '');
    last if $sent->{state} eq 'fail';
  }
  is "$answer->{state} $sent->{state}", 'done done', 'the exchange' or diag explain $answer, $sent;
  return ($from, $to);
}

for my $case (
  ['Peer::Guest', 'Peer::Cyrus', 1, 40, 55, 56, 128], ['Peer::Cyrus', 'Peer::Guest', 1, 40, 55, 56, 128],
  ['Peer::Guest', 'Peer::Guest', 112], ['Peer::Guest', 'Peer::Gsasl', 1], ['Peer::Gsasl', 'Peer::Guest', 1],
  )
{
  my ($client, $server, @strengths) = @$case;
  for my $ssf (@strengths) {
    subtest join(' to ', map { $_->name } $client, $server) . ", strength $ssf" => sub {
      my %limits = map { $_ => $_ eq 'Peer::Gsasl' ? {maxssf => $ssf} : only($ssf, maxbuf => 4096) } $client, $server;
      my ($from, $to) = agreed($client, $server, $limits{$client}, $limits{$server});
      for my $way ([$from, $to], [$to, $from]) {
        my ($one, $other) = @$way;
        for my $length (1, 1000, 3000) {
          my $text = substr 'readable ' x $length, 0, $length;
          my $sealed = $one->seal($text);
          is $sealed->{state}, 'more', "$length bytes are encoded" or diag explain $sealed;
          unlike $sealed->{message}, qr/readable/, 'and cannot be read' if $ssf > 1;
          is $other->unseal($sealed->{message})->{message}, $text, 'and decoded as they were';
        }
      }
      $_->end for $from, $to;
    };
  }
}

done_testing;
