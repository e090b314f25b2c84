# SCRAM-...-PLUS of Debian's plugin in our host, on each side, against our own mechanism, against itself, and against libsasl2
# with the same plugin in another process.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use MIME::Base64 qw(encode_base64);
use Test::More;

use Peer::Cyrus    ();
use Peer::Exchange qw(exchange);
use Peer::Ours     ();

my @account = (user => 'fred', password => 'pencil', service => 'imap', host => 'localhost');
my $DATA    = join '', map { chr } 0 .. 31;    # a NUL, and bytes that are not text
my %hosted  = (plugins => {load => 'scram', prefer => 'plugins'});

# One side of an exchange: a peer, its channel binding data, and whether it has any.
my %make = (
  hosted => sub { my ($role, $mechanism, %bind) = @_; return ours($role, $mechanism, %hosted, %bind) },
  own    => sub { my ($role, $mechanism, %bind) = @_; return ours($role, $mechanism, plugins => 0, %bind) },
  libsasl2 => sub {
    my ($role, $mechanism, %bind) = @_;
    my ($type) = keys %{$bind{channel_binding} || {}};
    my @data = $type ? (binding => $type, binding_data => encode_base64($bind{channel_binding}{$type}, '')) : ();
    return Peer::Cyrus->$role(@account, mechanism => $mechanism, @data, success_data => 1);
  },
);

sub ours {
  my ($role, $mechanism, %option) = @_;
  return Peer::Ours->$role(@account, mechanism => $mechanism, convention => 'return value', options => \%option);
}

sub bound_to { my ($type, $data) = @_; return (channel_binding => {$type => defined $data ? $data : $DATA}) }

# client and server: [peer, mechanism, channel binding data]
sub run_pair {
  my ($client, $server) = @_;
  my @sides = map {
    my ($role, $peer, $mechanism, @bind) = @$_;
    $make{$peer}->($role, $mechanism, @bind);
  } ['client', @$client], ['server', @$server];
  return exchange(@sides, initial_response => 1, success_data => 1);
}

sub ends {
  my ($end, $state, $name) = @_;
  my @states = map { $end->{$_}{state} } qw(client server);
  my $as_wanted = $state eq 'done' ? "@states" eq 'done done' : !grep { $_ eq 'done' } $states[1];
  ok($as_wanted && !$end->{problem}, $name)
    or diag(join "\n", $end->{problem} // '', map { "$_: $end->{$_}{state} " . ($end->{$_}{error} // '') } qw(client server));
  return;
}

my @pairs = (['hosted', 'hosted'], ['hosted', 'own'], ['own', 'hosted'], ['hosted', 'libsasl2'], ['libsasl2', 'hosted']);
for my $hash (qw(1 256 512)) {
  my $plus = "SCRAM-SHA-$hash-PLUS";
  for my $pair (@pairs) {
    my ($client, $server) = @$pair;
    my $name = "$plus, client $client, server $server";
    for my $type (qw(tls-exporter tls-server-end-point)) {
      my $end = run_pair([$client, $plus, bound_to($type)], [$server, $plus, bound_to($type)]);
      ends($end, 'done', "$name: both bind to $type");
      like($end->{transcript}[0], qr/\AC: p=\Q$type\E,/, 'and it is on the wire');
      is($end->{server}{authcid}, 'fred', 'the server knows who it is');
    }
    my $end = run_pair([$client, $plus, bound_to('tls-exporter')], [$server, $plus, bound_to('tls-exporter', 'x' x 32)]);
    ends($end, 'fail', "$name: other data on each side, as with a man in the middle");
    $end = run_pair([$client, $plus, bound_to('tls-unique')], [$server, $plus, bound_to('tls-exporter')]);
    ends($end, 'fail', "$name: another type on each side");
  }
}

# A list from which an attacker has removed -PLUS: the client supports channel binding, and says so. libsasl2's client does not:
# it says n.
for my $pair (@pairs) {
  my ($client, $server) = @$pair;
  my $end;
  if ($client ne 'libsasl2') {
    my @offered = $server eq 'libsasl2' ? () : (offered_mechanisms => 'SCRAM-SHA-256-PLUS SCRAM-SHA-256');
    $end = run_pair([$client, 'SCRAM-SHA-256', bound_to('tls-exporter')],
      [$server, 'SCRAM-SHA-256', bound_to('tls-exporter'), @offered]);
    like($end->{transcript}[0], qr/\AC: y,/, "client $client, server $server, a stripped -PLUS: the client says y");
    ends($end, 'fail', 'and the server refuses');
    if (@offered) {
      $end = run_pair([$client, 'SCRAM-SHA-256', bound_to('tls-exporter')], [$server, 'SCRAM-SHA-256', bound_to('tls-exporter')]);
      like($end->{transcript}[0], qr/\AC: y,/, 'a server that has offered none');
      ends($end, 'done', 'lets the client in');
    }
  }
  $end = run_pair([$client, 'SCRAM-SHA-256'], [$server, 'SCRAM-SHA-256', bound_to('tls-exporter')]);
  like($end->{transcript}[0], qr/\AC: n,/, 'a client that cannot bind says n');
  ends($end, 'done', 'and is accepted');
}

# The host checks again what a plugin's server has accepted: without channel binding no -PLUS exchange may continue.
for my $policy ('allow', 'require') {
  my $server = ours('server', 'SCRAM-SHA-256-PLUS', %hosted, bound_to('tls-exporter'), channel_binding_policy => $policy);
  my $end = exchange(ours('client', 'SCRAM-SHA-256', plugins => 0), $server, initial_response => 1, success_data => 1);
  ends($end, 'fail', "policy $policy: a client that binds to nothing, at a -PLUS");
  like($end->{server}{error}, qr/\ASCRAM-SHA-256-PLUS server: .*\(SASL_[A-Z]+\)\z/, 'gets the reason as text');
}
for my $role (qw(client server)) {
  my %callback = (user => 'fred', pass => 'pencil', getsecret => sub { 'pencil' });
  my $new = "${role}_new";
  my $made = eval { Authen::SASL->new(mechanism => 'SCRAM-SHA-256-PLUS', callback => \%callback)->$new('imap', 'localhost', {%hosted}) };
  is($made, undef, "$role: a -PLUS without data");
  like($@, qr/SCRAM-SHA-256-PLUS: there is no channel binding data/, 'is not offered');
  my $conn = Authen::SASL->new(mechanism => 'SCRAM-SHA-256 SCRAM-SHA-256-PLUS PLAIN', callback => \%callback)
    ->$new('imap', 'localhost', {%hosted, bound_to('tls-exporter'), channel_binding_policy => 'require'});
  $conn->mechanism('SCRAM-SHA-256-PLUS') if $role eq 'server';
  is($conn->mechanism, 'SCRAM-SHA-256-PLUS', 'with data it is what a list gives');
}

done_testing;
