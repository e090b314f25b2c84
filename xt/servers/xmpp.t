# A login to Prosody over STARTTLS with channel binding. Version 0.12 only supports tls-unique, and lists no types; version 13
# has tls-exporter for TLS 1.3.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL     ($ENV{SASL_BACKEND} || 'Rust');
use Server::Prosody  ();
use Server::Trial    qw(trial);
use TLS::Certificate ();
use TLS::Pair        ();
use XMPP::Stream     ();

my $certificate = TLS::Certificate->new;
my $prosody = Server::Prosody->start(users => {fred => 'pencil'}, certificate => $certificate);

sub client_of {
  my ($list, $password, %option) = @_;
  return Authen::SASL->new(mechanism => $list, callback => {user => 'fred', pass => $password})
    ->client_new('xmpp', 'localhost', {%option});
}

sub stream { return XMPP::Stream->new(port => $prosody->port, version => $_[0]) }

for my $mechanism (qw(SCRAM-SHA-1-PLUS SCRAM-SHA-256-PLUS)) {
  trial "TLS 1.2, $mechanism" => sub {
    my $stream = stream('TLSv1_2');
    my $conn = client_of($mechanism, 'pencil', tls => $stream->socket, offered_bindings => 'tls-unique');
    like $stream->authenticate($conn), qr/\A<success/, 'the server accepts';
    ok $conn->is_success, 'and has proved itself' or diag $conn->error;
  };

  trial "TLS 1.2, $mechanism, wrong password" => sub {
    my $stream = stream('TLSv1_2');
    my $conn = client_of($mechanism, 'crayon', tls => $stream->socket, offered_bindings => 'tls-unique');
    like $stream->authenticate($conn), qr/\A<failure.*not-authorized/, 'the server refuses';
    ok !$conn->is_success, 'no success here';
  };

  # The client's TLS ends at the attacker, with its certificate; the server has a separate connection with the attacker.
  trial "TLS 1.2, $mechanism, a man in the middle" => sub {
    my $his    = TLS::Pair->new(version => 'TLSv1_2', certificate => TLS::Certificate->new, here => 'client');
    my $stream = stream('TLSv1_2');
    my $conn   = client_of($mechanism, 'pencil', tls => $his->handle, offered_bindings => 'tls-unique');
    like $stream->authenticate($conn), qr/\A<failure/, 'the server refuses';
    ok !$conn->is_success, 'no success here';
  };
}

trial 'TLS 1.2, the list of the server' => sub {
  my $stream = stream('TLSv1_2');
  my $list   = join ' ', $stream->mechanisms;
  like $list, qr/SCRAM-SHA-256-PLUS/, 'it offers -PLUS';
  my $conn = client_of($list, 'pencil', tls => $stream->socket, offered_bindings => 'tls-unique',
    channel_binding_policy => 'require');
  is $conn->mechanism, 'SCRAM-SHA-256-PLUS', 'which is chosen';
  like $stream->authenticate($conn), qr/\A<success/, 'the server accepts';
  ok $conn->is_success, 'and has proved itself';
};

trial 'TLS 1.2, -PLUS stripped from the list' => sub {
  my $stream = stream('TLSv1_2');
  my $list = join ' ', grep { !/-PLUS/ } $stream->mechanisms;
  my $conn = client_of($list, 'pencil', tls => $stream->socket);
  like $stream->authenticate($conn), qr/\A<failure/, 'the server refuses y';
  ok !$conn->is_success, 'no success here';

  my $again = stream('TLSv1_2');
  $conn = client_of($list, 'pencil', tls => $again->socket);
  like $again->authenticate($conn, sub { my ($text) = @_; $text =~ s/\Ay,,/n,,/; return $text }), qr/\A<failure/,
    'and a y that was made n on the way';
  ok !$conn->is_success, 'no success here either';
};

my $binds = $prosody->binds_tls13;
$binds or trial 'TLS 1.3, where this server offers no -PLUS' => sub {
  my $stream = stream('TLSv1_3');
  my $list   = join ' ', $stream->mechanisms;
  unlike $list, qr/-PLUS/, 'it offers none';
  my $conn = client_of($list, 'pencil', tls => $stream->socket);
  like $stream->authenticate($conn), qr/\A<success/, 'y is the truth, and the server accepts';
  ok $conn->is_success, 'and has proved itself';
  my $died = !eval { client_of($list, 'pencil', tls => $stream->socket, channel_binding_policy => 'require'); 1 };

$binds and trial 'TLS 1.3, where this server offers -PLUS' => sub {
  my $stream = stream('TLSv1_3');
  my $list   = join ' ', $stream->mechanisms;
  like $list, qr/SCRAM-SHA-256-PLUS/, 'it offers it';
  my $conn = client_of($list, 'pencil', tls => $stream->socket, channel_binding_policy => 'require');
  is $conn->mechanism, 'SCRAM-SHA-256-PLUS', 'which is chosen';
  like $stream->authenticate($conn), qr/\A<success/, 'the server accepts';
  ok $conn->is_success, 'and has proved itself' or diag $conn->error;

  my $wrong = stream('TLSv1_3');
  $conn = client_of('SCRAM-SHA-256-PLUS', 'crayon', tls => $wrong->socket);
  like $wrong->authenticate($conn), qr/\A<failure.*not-authorized/, 'a wrong password is refused';

  # The client's TLS ends at the attacker, with its certificate; the server has a separate connection with the attacker.
  my $his    = TLS::Pair->new(version => 'TLSv1_3', certificate => TLS::Certificate->new, here => 'client');
  my $middle = stream('TLSv1_3');
  $conn = client_of('SCRAM-SHA-256-PLUS', 'pencil', tls => $his->handle);
  like $middle->authenticate($conn), qr/\A<failure/, 'so is a man in the middle';
  ok !$conn->is_success, 'no success here';

  my $stripped = stream('TLSv1_3');
  $list = join ' ', grep { !/-PLUS/ } $stripped->mechanisms;
  $conn = client_of($list, 'pencil', tls => $stripped->socket);
  like $stripped->authenticate($conn), qr/\A<failure/, 'and a list without -PLUS';
  ok !$conn->is_success, 'no success here either';
};
  ok $died && $@ =~ /SCRAM-SHA-256: channel binding is required/, 'a client that requires it goes no further';
};

done_testing;
