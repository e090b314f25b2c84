# Authen::SASL::Rust::OAuth and web servers that misbehave: what they send, and what they never send.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL::Rust::OAuth;
use IO::Socket::INET;
use Loopback ();
use Provider;
use Time::HiRes qw(sleep time);

if (my $alone = Loopback::missing()) { plan skip_all => $alone }

my $SECONDS = 1;
# valgrind (dev/valgrind) makes the processor some thirty times as slow.
my $most = ($ENV{LD_PRELOAD} || '') =~ /vgpreload/ ? 30 : 5;
my $token = '{"access_token":"x","token_type":"Bearer"}';
my $elsewhere = 0;

my %answers = (
  garbage => sub { [200, 'application/json', '{"access_token":"x', {}] },
  binary => sub { [200, 'application/json', "\x00\xff\xfe" x 100] },
  html => sub { [200, 'text/html', '<html><body>Please log in to this network</body></html>'] },
  'html-error' => sub { [403, 'text/html', '<html>Forbidden</html>'] },
  array => sub { [200, 'application/json', "[$token]"] },
  deep => sub { [200, 'application/json', '[' x 10_000] },
  empty => sub { [200, 'application/json', ''] },
  broken => sub { [500, 'text/plain', 'stack trace'] },
  'broken-json' => sub { [503, { error => 'temporarily_unavailable' }] },
  strange => sub { [400, { error => { code => 7 } }] },
  redirect => sub { [307, 'text/plain', '', { Location => 'http://' . $_[0]{header}{host} . '/target/token' }] },
  target => sub { [200, 'application/json', $token] },
  huge => sub { [200, 'application/json', $token . ' ' x 1_000_000] },
  'huge-header' => sub { [200, 'application/json', $token, { 'X-Long' => 'x' x 100_000 }] },
  'no-http' => sub { sub { print { $_[0] } "220 mail.example.org ESMTP\r\n"; close $_[0] } },
  closed => sub { sub { close $_[0] } },
  silent => sub { sub { sleep 60 } },
  # One byte at a time, each within the timeout.
  'slow-head' => sub { sub { $_[0]->autoflush; for (1 .. 400) { print { $_[0] } $_ == 1 ? "HTTP/1.1 200 OK\r\nX: " : 'x'; sleep 0.1 } } },
  'slow-body' => sub { sub { my $s = $_[0]; $s->autoflush; print $s "HTTP/1.1 200 OK\r\n\r\n"; for (1 .. 400) { print $s ' '; sleep 0.1 } } },
  # A long description, with a secret that this client has sent.
  talkative => sub { [400, { error => 'invalid_client', error_description => 'pencil ' . "\e[2J\x{202e}x" x 1000 }] },
);
my $provider = Provider->start(%answers);

sub failure {
  my ($name, %arg) = @_;
  my $oauth = Authen::SASL::Rust::OAuth->new(
    client_id => 'x', client_secret => 'pencil', flow => 'client_credentials', token_endpoint => $provider->url("$name/token"),
    timeout => $SECONDS, %arg
  );
  local $SIG{ALRM} = sub { die "it hangs\n" };
  alarm 30;
  my $began = time;
  my $result = eval { $oauth->token };
  my $error = $@;
  alarm 0;
  is($result, undef, "$name: no token");
  isa_ok($error, 'Authen::SASL::Rust::OAuth::Error', $name) or diag $error;
  like("$error", qr/\AOAuth, client credentials: [\x20-\x7e]{1,600}\n\z/, "$name: one line that names the step");
  unlike("$error", qr/pencil/, "$name: no secret");
  cmp_ok(time - $began, '<', $most, "$name: in time");
  return "$error";
}

my $where = qr{http://127\.0\.0\.1:\d+};
for my $case (
  [garbage => qr{$where/garbage/token answered with status 200, but without a JSON object}],
  [binary => qr/without a JSON object/], [html => qr/without a JSON object/], [array => qr/without a JSON object/],
  [deep => qr/without a JSON object/], [empty => qr/without a JSON object/],
  ['html-error' => qr/answered with status 403 and without an OAuth error/],
  [broken => qr/answered with status 500 and without an OAuth error/], [strange => qr/status 400 and without an OAuth error/],
  ['broken-json' => qr/the provider refused: temporarily_unavailable \(the provider is temporarily unavailable\)$/],
  [redirect => qr/answered with a redirect \(status 307\), which is not followed/],
  [huge => qr/exceeds the maximum/], ['huge-header' => qr/Line size exceeds the maximum/],
  ['no-http' => qr{/no-http/token: }], [closed => qr{/closed/token: }],
  [silent => qr/no answer within 1 seconds/], ['slow-head' => qr/no answer within 1 seconds/], ['slow-body' => qr/no answer within 1 seconds/],
  [talkative => qr/invalid_client .*: \[hidden\] \?\[2J\?x/],
) {
  my ($name, $text) = @$case;
  like(failure($name), $text, "$name: in words");
}
# A document that is fetched is not followed either.
my $discovers = Authen::SASL::Rust::OAuth->new(client_id => 'x', flow => 'client_credentials', issuer => $provider->url('redirect'));
is(eval { $discovers->token }, undef, 'an issuer that redirects');
like($@, qr/\AOAuth, discovery: .* answered with a redirect \(status 307\), which is not followed$/, 'in words');
is(scalar $provider->requests('target'), 0, 'nothing was carried elsewhere by a redirect');

my $free = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1');
my $port = $free->sockport;
close $free;
like(failure('nobody', token_endpoint => "http://127.0.0.1:$port/token"), qr/Connection refused/, 'nobody listens');

# https is verified: a certificate that nobody has signed is refused, and without IO::Socket::SSL there is no connection.
subtest 'https' => sub {
  my $text = failure('plain', token_endpoint => $provider->url('silent/token') =~ s/^http:/https:/r);
  like($text, eval { require IO::Socket::SSL; 1 } ? qr/SSL|no answer within 1 seconds/ : qr/IO::Socket::SSL/, 'no TLS there');
};

done_testing;
