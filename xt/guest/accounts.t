# The secrets that our guest's servers accept: verifiers that it has made, verifiers of others, tokens; and the function tables
# that it can be called with.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use File::Temp      ();
use Peer::Compiler  ();
use Peer::Cyrus     ();
use Peer::Guest     ();
use Peer::Verifier ();
use Test::More;

my $pair = Peer::Compiler->build('cyrus-pair', 'sasl2', 'pthread');
my $folder = File::Temp->newdir;
$ENV{PATH} = "$ENV{PATH}:/usr/sbin:/sbin";
$ENV{SASL_PATH} = Peer::Guest::folder('sasldb');

# The results for right password, wrong password, unknown user, and no password.
sub in {
  my ($sasldb, $mechanism) = @_;
  open my $from, '-|', 'timeout', 60, $pair, 'users', $sasldb, $mechanism or die "cannot run $pair: $!\n";
  return join ' ', map { /^(right|wrong|unknown|no password): fred is in, as fred$/ ? $1 : () } <$from>;
}

sub saslpasswd2 {
  my ($sasldb, $password, @option) = @_;
  open my $to, '|-', 'saslpasswd2', '-p', @option, '-f', "$folder/$sasldb", '-u', 'localhost', 'fred' or die "saslpasswd2: $!\n";
  print {$to} $password;
  close $to or die "saslpasswd2 failed\n";
  return;
}

sub kept {
  my ($sasldb) = @_;
  return [sort map { /^fred\@localhost: (\S+)/ ? $1 : () } qx{sasldblistusers2 -f $folder/$sasldb}];
}

saslpasswd2('verifier', 'sesame', '-c', '-n');
is_deeply kept('verifier'), ['authPassword'], 'saslpasswd2 -n keeps a verifier and no password';
is in("$folder/verifier", 'SCRAM-SHA-256'), 'right', 'which is enough for its mechanism';
is in("$folder/verifier", $_), '', "and nothing for $_" for qw(SCRAM-SHA-1 DIGEST-MD5 PLAIN);
{
  local $ENV{SASL_PATH} = Peer::Guest::installed('libscram.so') =~ s{/[^/]+\z}{}r;
  is in("$folder/verifier", 'SCRAM-SHA-256'), 'right', "libsasl2's own SCRAM takes it too";
}
saslpasswd2('verifier', 'sesame', '-c');
is_deeply kept('verifier'), ['userPassword'], 'a password takes its place';
is in("$folder/verifier", $_), 'right', "and is enough for $_" for qw(SCRAM-SHA-256 SCRAM-SHA-1 DIGEST-MD5 PLAIN);
saslpasswd2('verifier', '', '-d');
is_deeply kept('verifier'), [], 'who is deleted has nothing';

# A verifier in place of the password, as other programs store it.
saslpasswd2('other', Peer::Verifier->of('SCRAM-SHA-256', 'sesame'), '-c');
is in("$folder/other", 'SCRAM-SHA-256'), 'right', 'a verifier of another maker';
is in("$folder/other", 'CRAM-MD5'), '', 'is not a password';

# Tokens, if requested: sasl_checkpass checks them.
my $sasldb = Peer::Cyrus::_user_file('fred', 'sesame', 'localhost');
for my $mechanism (qw(OAUTHBEARER XOAUTH2)) {
  is in($sasldb, $mechanism), '', "$mechanism: a server has it only if it is named";
  local $ENV{CHOICE} = $mechanism;
  is in($sasldb, $mechanism), 'right', "$mechanism: a good token";
  my $said = qx{$pair users $sasldb $mechanism};
  my $detail = qr/SASL\(-1\): .*\Q$mechanism\E client: the server refused: /;
  like $said, qr/^wrong: refused; client: $detail.*; server: SASL\(-13\): /m, 'a bad one: the client answers the error object, and the server ends it';
}

# The fault of a stored secret is only logged: some servers send sasl_errdetail to the client, which must not reveal whether a user exists.
my $stored = 'the stored secret (property userPassword or authPassword) is';
for my $case (
  (map { ["$folder/other", $_, "$stored a SCRAM verifier, and this mechanism needs the password itself"] } qw(CRAM-MD5 DIGEST-MD5)),
  ["$folder/other", 'SCRAM-SHA-1', "$stored a verifier with another hash than the mechanism's"],
  (map { [$sasldb, $_] } qw(SCRAM-SHA-256 DIGEST-MD5 PLAIN)),
  )
{
  my ($users, $mechanism, $reason) = @$case;
  local $ENV{LOUD} = 1;
  my $said = qx{$pair users $users $mechanism 2>&1};
  my %server = $said =~ /^(right|wrong|unknown): refused; .*; server: (.*)$/mg;
  like $server{unknown}, qr/authentication failed: wrong password or unknown user\z/, "$mechanism: an unknown user";
  is $server{wrong}, $server{unknown}, 'a wrong password';
  next if !$reason;
  is $server{right}, $server{unknown}, 'a user whose stored secret is unusable';
  like $said, qr/^2 \Q$mechanism\E server: .*\Q$reason\E/m, 'the log has the reason';
}

# A program that logs failures with SASL_USERNAME must get the name, whether the client's authzid is itself or absent.
for my $mechanism (qw(SCRAM-SHA-256 DIGEST-MD5 PLAIN)) {
  for my $authzid ('', 'fred') {
    local $ENV{AUTHZID} = $authzid;
    my $said = qx{$pair users $sasldb $mechanism};
    like $said, qr/^right: fred is in, as fred$/m, "$mechanism, to act as '$authzid'";
    like $said, qr/^wrong tried: fred, as fred$/m, 'a failure has both names';
  }
}

# The function tables of libsasl2 2.1 and 2.2.
my $slots = Peer::Compiler->build('cyrus-slots', 'sasl2', 'dl');
my $said = qx{$slots @{[Peer::Guest::built()]} 2>&1};
is $?, 0, 'the program ends well' or diag $said;
my ($old, $new) = $said =~ /\Atable 0: .*?\n(.*)table 1: .*?\n(.*)\z/s;
is $new, $old, 'both tables are understood';
for my $line (
  'log 1 saslrust: this libsasl2 supports plugin version 3; 4 is needed', 'version 3: -23', 'nothing: -7 -7',
  'getopt saslrust rust_mech_list', 'servers: 0 4 1', 'clients: 0 4 1', 'new 0 1', 'getcallback 0x4002',
  'seterror SCRAM-SHA3-512 client: no authentication identity (callback SASL_CB_AUTHNAME)', 'step -7 0', 'again -5'
  )
{
  like $old, qr/^\Q$line\E$/m, $line;
}

done_testing;
