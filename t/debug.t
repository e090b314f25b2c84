# debug of Authen::SASL: choice, messages and failures on standard error, but no secrets.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use File::Temp qw(tempfile);

# Returns what is printed to standard error meanwhile.
sub printed(&) {
  my ($code) = @_;
  my ($file) = tempfile(UNLINK => 1);
  open my $kept, '>&', \*STDERR or die "dup: $!";
  open STDERR, '>&', $file or die "dup: $!";
  my $lived = eval { $code->(); 1 };
  my $why = $@;
  open STDERR, '>&', $kept or die "dup: $!";
  die $why unless $lived;
  seek $file, 0, 0;
  local $/;
  return scalar <$file>;
}

sub sasl { my ($list, $debug, %callback) = @_; return Authen::SASL->new(mechanism => $list, callback => \%callback, debug => $debug) }

my %client = (user => 'fred', pass => 'rubber-and-pencil');
my %server = (getsecret => sub { 'another-secret' });

my $exchange = sub {
  my ($debug) = @_;
  my $client = sasl('PLAIN scram-sha-256', $debug, %client)->client_new('imap', 'h');
  my $server = sasl('SCRAM-SHA-256', $debug, %server)->server_new('imap', 'h');
  $client->client_step($server->server_step($client->client_step($server->server_start($client->client_start))));
};
for my $debug (1, 5) {
  is(printed { $exchange->($debug) }, <<'TRACE', "debug => $debug: a wrong password");
Authen::SASL::Rust client SCRAM-SHA-256: chosen from: PLAIN scram-sha-256
Authen::SASL::Rust server SCRAM-SHA-256: chosen from: SCRAM-SHA-256
Authen::SASL::Rust client SCRAM-SHA-256: sends an initial response of 44 bytes
Authen::SASL::Rust server SCRAM-SHA-256: receives an initial response of 44 bytes
Authen::SASL::Rust server SCRAM-SHA-256: sends a challenge of 100 bytes
Authen::SASL::Rust client SCRAM-SHA-256: receives a challenge of 100 bytes
Authen::SASL::Rust client SCRAM-SHA-256: sends a response of 120 bytes
Authen::SASL::Rust server SCRAM-SHA-256: receives a response of 120 bytes
Authen::SASL::Rust server SCRAM-SHA-256: sends a challenge of 15 bytes
Authen::SASL::Rust server SCRAM-SHA-256 failed: SCRAM-SHA-256 server: authentication failed: wrong password or unknown user (SASL_BADAUTH)
Authen::SASL::Rust client SCRAM-SHA-256: receives a challenge of 15 bytes
Authen::SASL::Rust client SCRAM-SHA-256 failed: SCRAM-SHA-256 client: the server refused: invalid-proof (wrong password or unknown user) (SASL_BADAUTH)
TRACE
}
is(printed { $exchange->($_) }, '', 'nothing where debug is not set') for 0, undef, '';

my $plain = printed {
  my $client = sasl('PLAIN', 1, %client)->client_new('imap', 'h');
  my $server = sasl('PLAIN LOGIN', 1, checkpass => sub { 1 })->server_new('imap', 'h');
  $server->mechanism('PLAIN');
  $server->server_start;
  $server->server_step($client->client_start);
};
is($plain, <<'TRACE', 'PLAIN, without an initial response');
Authen::SASL::Rust client PLAIN: chosen from: PLAIN
Authen::SASL::Rust server: the client chooses from: PLAIN LOGIN
Authen::SASL::Rust server PLAIN: starts without an initial response
Authen::SASL::Rust server PLAIN: sends a challenge of 0 bytes
Authen::SASL::Rust client PLAIN: sends an initial response of 23 bytes
Authen::SASL::Rust client PLAIN succeeded
Authen::SASL::Rust server PLAIN: receives a response of 23 bytes
Authen::SASL::Rust server PLAIN succeeded
TRACE

my $all = printed {
  $exchange->(1);
  sasl("PLAIN \e[31m" . 'x' x 1000, 1, %client)->client_new('imap', 'h')->client_start;
  eval { sasl('NOSUCH', 1, %client)->client_new('imap', 'h') };
};
unlike($all, qr/rubber|pencil|another|\e|\x00/, 'no password, no control character');
ok((grep { length > 600 } split /\n/, $all) == 0, 'no line without an end');
is(printed { sasl('PLAIN', sub { die }, %client)->client_new('imap', 'h') }, '', 'a reference is not a level');

done_testing;
