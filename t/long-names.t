# Names that callbacks and properties give: a name of more than 4096 bytes ends the exchange, and the error names the callback.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);

my $LIMIT = 4096;
my $bearer = "n,,\cAauth=Bearer abc\cA\cA";
my %plain = (checkpass => sub { 1 }, authorize => sub { 1 });

sub server {
  my ($mechanism, $callback, $option, @message) = @_;
  my $server = Authen::SASL->new(mechanism => $mechanism, callback => $callback)->server_new('imap', 'h', $option);
  $server->server_start(@message);
  return $server;
}

sub client {
  my ($mechanism, %callback) = @_;
  my $client = Authen::SASL->new(mechanism => $mechanism, callback => { user => 'fred', pass => 'pencil', %callback })->client_new('imap', 'h');
  $client->client_start;
  return $client;
}

# By the callback: what makes an exchange with a name of this callback, and what the error says.
my @cases = (
  ['canonuser', 'the name', sub { my ($name) = @_; server('PLAIN', { %plain, canonuser => sub { $name } }, {}, "\0fred\0pencil") }],
  ['canonuser', 'the name of EXTERNAL', sub { my ($name) = @_; server('EXTERNAL', { canonuser => sub { $name } }, { external_id => 'fred' }, '') }],
  ['canonuser', 'the name to act as', sub {
    my ($name) = @_;
    server('PLAIN', { %plain, canonuser => sub { $_[1] eq 'AUTHZID' ? $name : $_[4] } }, {}, "wilma\0fred\0pencil");
  }],
  ['canonuser', "a token's name", sub { my ($name) = @_; server('OAUTHBEARER', { checktoken => sub { 'fred' }, canonuser => sub { $name } }, {}, $bearer) }],
  ['checktoken', 'the name', sub { my ($name) = @_; server('OAUTHBEARER', { checktoken => sub { $name } }, {}, $bearer) }],
  ['checktoken', 'the name, and XOAUTH2', sub { my ($name) = @_; server('XOAUTH2', { checktoken => sub { $name } }, {}, "user=fred\cAauth=Bearer abc\cA\cA") }, 'other'],
  ['external_id', 'the property', sub { my ($name) = @_; server('EXTERNAL', {}, { external_id => $name }, '') }],
  ['canonuser', "a client's", sub { my ($name) = @_; client('PLAIN', canonuser => sub { $name }) }],
  ['canonuser', "a client's name to act as", sub { my ($name) = @_; client('PLAIN', authname => 'wilma', canonuser => sub { $_[1] eq 'AUTHZID' ? $name : $_[4] }) }],
  ['canonuser', "a client's, for EXTERNAL", sub { my ($name) = @_; client('EXTERNAL', canonuser => sub { $name }) }],
  map({ my $name = $_; [$name, "a client's", sub { my ($value) = @_; client($name eq 'authzid' ? 'EXTERNAL' : 'PLAIN', $name => sub { $value }) }] }
    qw(user authname authzid)),
);

for my $case (@cases) {
  my ($callback, $what, $exchange, $other) = @$case;
  for my $length ($LIMIT + 1, 65_536, $callback eq 'external_id' ? () : 5_000_000) {
    my $conn = $exchange->('x' x $length);
    ok(!$conn->is_success, "$callback, $what: $length bytes");
    is($conn->code, -7, '... SASL_BADPARAM: the peer is not to blame');
    like($conn->error, qr/\A\S+ (?:server|client): [^:]*\b$callback\b[^:]* is longer than 4096 bytes/, '... the error names it');
    cmp_ok(length $conn->error, '<', 300, '... and does not repeat it');
  }
  my $umlauts = $exchange->("\x{fc}" x ($LIMIT / 2 + 1));
  like($umlauts->error, qr/is longer than 4096 bytes/, '... bytes are counted');
  next if $other;
  my $conn = $exchange->('x' x $LIMIT);
  is($conn->error, undef, '... the longest one');
  is($conn->property('user') // '', 'x' x $LIMIT, '... is used') if $what =~ /\Athe/;
}

for my $field (qw(scope openid-configuration)) {
  my $server = server('OAUTHBEARER', { checktoken => sub { return { $field => 'x' x 65_536 } } }, {}, $bearer);
  like($server->error, qr/the token check \(callback checktoken\) makes an error object that is longer than 65536 bytes/, "$field of an error object");
}

done_testing;
