# The Kerberos plugins in our host, in a test realm: against libsasl2 in another process, and against our own mechanism.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use Test::More;

use Authen::SASL   qw(Rust);
use Peer::Cyrus    ();
use Peer::Exchange qw(exchange);
use Peer::Ours     ();
use Server::Kdc    ();

my $kdc = Server::Kdc->start(principals => [qw(fred imap/localhost)]);
$ENV{KRB5_KTNAME} = $kdc->keytab('imap/localhost');
$ENV{KRB5CCNAME}  = $kdc->ccache('fred');

my @loaded = Authen::SASL::Rust->plugins(load => 'gssapiv2 gs2', prefer => 'plugins');
my %has = map { $_ => 1 } map { @{$_->{client}} } @loaded;
is_deeply [grep { !$has{$_} } qw(GS2-KRB5 GS2-KRB5-PLUS GSS-SPNEGO GSSAPI)], [], 'the plugins are there';

sub ours {
  my ($role, $mechanism, %property) = @_;
  my $make = "${role}_new";
  my $allow = delete $property{allow};
  my %callback = (authname => delete $property{authzid});
  $callback{authorize} = sub { return $_[2] eq $allow } if $allow;
  my $sasl = Authen::SASL->new(mechanism => $mechanism, callback => \%callback);
  my $conn = $sasl->$make('imap', 'localhost', \%property);
  return bless {conn => $conn, role => $role, convention => 'return value'}, 'Peer::Ours';
}

# The other side: libsasl2, or our own mechanism.
sub peer {
  my ($kind, $role, $mechanism, $data, %theirs) = @_;
  return ours($role, $mechanism, %theirs, plugins => 0) if $kind eq 'our own';
  return Peer::Cyrus->$role(mechanism => $mechanism, service => 'imap', host => 'localhost', success_data => $data, %theirs);
}

# Text in both directions, if there is a layer.
sub talks {
  my ($mine, $other) = @_;
  for my $length (1, 1000) {
    my $text = 'x' x $length;
    my ($frame) = $mine->{conn}->encode($text);
    my $got = $other->can('unseal')
      ? $other->unseal(pack 'N/a*', $frame)->{message} : ($other->{conn}->decode($frame))[0];
    return 0 if !defined $got || $got ne $text;
    my $back = $other->can('seal')
      ? unpack('N/a*', $other->seal($text)->{message}) : ($other->{conn}->encode($text))[0];
    my ($heard) = $mine->{conn}->decode($back);
    return 0 if !defined $heard || $heard ne $text;
  }
  return 1;
}

sub cell {
  my ($title, $our_role, $kind, $mechanism, $ours, $theirs, $ssf) = @_;
  my $their_role = $our_role eq 'client' ? 'server' : 'client';
  subtest "$title, a plugin as our $our_role, $kind $their_role" => sub {
    my $mine = ours($our_role, $mechanism, %$ours);
    my $conn = $mine->{conn};
    my $other = peer($kind, $their_role, $mechanism, 1, %$theirs);
    no warnings qw(once redefine);
    local (*Peer::Ours::end, *Peer::Process::end) = (sub { }, sub { });    # the layer is tried after the exchange
    my $end = exchange($our_role eq 'client' ? ($mine, $other) : ($other, $mine), initial_response => 1, success_data => 1);
    my $good = is($end->{problem}, undef, 'the exchange came to an end')
      & is($end->{server}{state}, 'done', 'the server accepts')
      & is($end->{client}{state}, 'done', 'the client is content');
    $good &= is($conn->property('ssf'), $ssf, 'the strength');
    $good &= is($conn->property('user'), $ours->{allow} || 'fred', 'who it is') if $our_role eq 'server';
    $good &&= ok talks($mine, $other), 'the layer carries text both ways' if $ssf;
    $good or diag explain $end;
  };
  return;
}

for my $kind ('libsasl2', 'our own') {
  for my $role (qw(client server)) {
    for my $mechanism (qw(GSSAPI GSS-SPNEGO)) {
      for my $layer (['no layer', 0, 0, 0], ['integrity', 1, 1, 1], ['confidentiality', 2, 4096, 256]) {
        my ($name, $least, $most, $ssf) = @$layer;
        my %limits = (minssf => $least, maxssf => $most);
        next if $mechanism eq 'GSS-SPNEGO' && $most == 1;    # see below
        cell("$mechanism, $name", $role, $kind, $mechanism, {%limits}, {%limits}, $ssf);
      }
    }
    cell('GSSAPI, authzid', $role, $kind, 'GSSAPI', {maxssf => 0, $role eq 'client' ? 'authzid' : 'allow', 'barney'},
      {maxssf => 0, $role eq 'client' ? 'allow' : 'authzid', 'barney'}, 0);
  }
}
cell('GS2-KRB5', $_, 'libsasl2', 'GS2-KRB5', {maxssf => 0}, {}, 0) for qw(client server);

# The GSS-SPNEGO plugin negotiates encryption although the maximum is integrity. libsasl2 permits that. When the plugin is
# fixed, this fails; then remove the line above.
{
  my %limits = (minssf => 1, maxssf => 1);
  my ($client, $server) = (ours('client', 'GSS-SPNEGO', %limits), ours('server', 'GSS-SPNEGO', %limits));
  my $end = exchange($client, $server, initial_response => 1, success_data => 1);
  like $end->{server}{error} || $end->{client}{error}, qr/has negotiated a stronger layer than maxssf allows \(SASL_TOOWEAK\)/,
    'GSS-SPNEGO, integrity: more than was asked for is refused';
}

# Without a ticket the plugin reports the reason.
{
  local $ENV{KRB5CCNAME} = 'FILE:/no/such/cache';
  my $client = ours('client', 'GSSAPI')->{conn};
  is $client->client_start, undef, 'no ticket, no message';
  like $client->error, qr/\AGSSAPI client: .*(?:[Cc]redential|No Kerberos).*\(SASL_FAIL\)\z/, 'and the reason of Kerberos';
}

done_testing;
