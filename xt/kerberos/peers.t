# GSSAPI, GSS-SPNEGO and GS2-KRB5: our client and server against Cyrus libsasl2's and GNU SASL's, in a test realm.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;

use Authen::SASL   qw(Rust);
use MIME::Base64   qw(encode_base64);
use Peer::Cyrus    ();
use Peer::Exchange qw(exchange);
use Peer::Gsasl    ();
use Peer::Ours     ();
use Server::Kdc    ();

my $kdc = Server::Kdc->start(principals => [qw(fred imap/localhost)]);
my $keytab = $ENV{KRB5_KTNAME} = $kdc->keytab('imap/localhost');
my $cache  = $ENV{KRB5CCNAME}  = $kdc->ccache('fred');

sub ours {
  my ($role, $mechanism, %property) = @_;
  my %callback = (authname => delete $property{authzid});
  my $allow = delete $property{allow};
  $callback{authorize} = sub { return $_[2] eq $allow } if $allow;
  my $sasl = Authen::SASL->new(mechanism => $mechanism, callback => \%callback);
  my $make = "${role}_new";
  my $conn = $sasl->$make('imap', 'localhost', \%property) or die $sasl->error;
  return bless {conn => $conn, role => $role, convention => 'return value'}, 'Peer::Ours';
}

sub cell {
  my ($title, $our_role, $peer, $mechanism, $ours, $theirs, $ssf) = @_;
  my $their_role = $our_role eq 'client' ? 'server' : 'client';
  for my $data (1, 0) {
    subtest "$title, our $our_role, " . $peer->name . "'s $their_role, success data $data" => sub {
      my $mine = ours($our_role, $mechanism, %$ours);
      my $conn = $mine->{conn};
      my $other = $peer->$their_role(
        mechanism => $mechanism, service => 'imap', host => 'localhost', success_data => $data, %$theirs);
      my $end = exchange($our_role eq 'client' ? ($mine, $other) : ($other, $mine),
        initial_response => 1, success_data => $data);
      my $good = is($end->{problem}, undef, 'the exchange came to an end')
        & is($end->{server}{state}, 'done', 'the server accepts')
        & is($end->{client}{state}, 'done', 'the client is content');
      $good &= is($conn->property('ssf'), $ssf, 'the strength');
      $good &= is($conn->property('user'), $ours->{allow} || 'fred', 'who it is') if $our_role eq 'server';
      $good or diag(explain($end), $other->diagnostics);
    };
  }
  return;
}

my @layers = (['no layer', 0, 0, 0], ['integrity', 1, 1, 1], ['confidentiality', 2, 4096, 256]);
for my $mechanism (qw(GSSAPI GSS-SPNEGO)) {
  for my $layer (@layers) {
    my ($name, $least, $most, $ssf) = @$layer;
    my %limits = (minssf => $least, maxssf => $most);
    cell("$mechanism, $name", $_, 'Peer::Cyrus', $mechanism, {%limits}, {%limits}, $ssf) for qw(client server);
  }
}

for my $mechanism (qw(GSSAPI GS2-KRB5)) {
  my ($asks, $allows) = ({authzid => 'barney'}, {allow => 'barney'});
  cell("$mechanism, authzid", 'client', 'Peer::Cyrus', $mechanism, {maxssf => 0, %$asks}, $allows, 0);
  cell("$mechanism, authzid", 'server', 'Peer::Cyrus', $mechanism, {maxssf => 0, %$allows}, {user => 'fred', %$asks}, 0);
}
cell('GS2-KRB5', $_, 'Peer::Cyrus', 'GS2-KRB5', {maxssf => 0}, {}, 0) for qw(client server);

# Channel binding. libsasl2's GSSAPI uses the data as OpenLDAP passes it, with the type in front.
my $end_point = 'tls-server-end-point';
sub bound { return {maxssf => 0, channel_binding => {$end_point => $_[0] x 32}} }
my %taken = (
  'GS2-KRB5-PLUS' => sub { return {binding => $end_point, binding_data => encode_base64($_[0] x 32, '')} },
  'GSSAPI' => sub { return {binding => 'ldap', binding_data => encode_base64("$end_point:" . $_[0] x 32, '')} },
);
for my $mechanism (sort keys %taken) {
  for my $role (qw(client server)) {
    cell("$mechanism, bound", $role, 'Peer::Cyrus', $mechanism, bound('a'), $taken{$mechanism}->('a'), 0);
    my $mine = ours($role, $mechanism, %{bound('a')});
    my $their_role = $role eq 'client' ? 'server' : 'client';
    my $other = Peer::Cyrus->$their_role(
      mechanism => $mechanism, service => 'imap', host => 'localhost', success_data => 1, %{$taken{$mechanism}->('b')});
    my $end = exchange($role eq 'client' ? ($mine, $other) : ($other, $mine), initial_response => 1, success_data => 1);
    is $end->{server}{state}, 'fail', "$mechanism, our $role, another channel than libsasl2's: refused" or diag explain $end;
    like $end->{server}{error}, qr/SASL_BADBINDING/, 'with the reason' if $role eq 'server';
  }
}

# GNU SASL has no layers.
for my $mechanism (qw(GSSAPI GS2-KRB5)) {
  my %theirs = (client => {user => 'fred@EXAMPLE.TEST'}, server => {user => 'fred', authzid => 'fred'});
  cell($mechanism, $_, 'Peer::Gsasl', $mechanism, {maxssf => 0}, $theirs{$_}, 0) for qw(client server);
  # It repeats the server's maximum frame length, although it chooses no layer.
  cell("$mechanism, a layer is offered", 'server', 'Peer::Gsasl', $mechanism, {maxssf => 256}, $theirs{server}, 0);
}

done_testing;
