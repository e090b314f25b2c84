# OTP of a plugin, which is preferred to our own: a secret is made, each login uses up a password, and a used one is refused; against
# ourselves and against libsasl2's client. The state is in a sasldb.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use Digest::MD5 qw(md5);
use File::Temp  ();
use Test::More;

use Authen::SASL qw(Rust);
use Authen::SASL::Rust::Accounts ();
use Peer::Cyrus    ();
use Peer::Exchange qw(exchange);
use Peer::Ours     ();

my $PHRASE = 'a pass phrase of fred';
my $folder = File::Temp->newdir;
my $accounts = Authen::SASL::Rust::Accounts->new(cyrus => {auxprop_plugin => 'sasldb', sasldb_path => "$folder/sasldb"});
Authen::SASL::Rust->plugins(load => 'otp', prefer => 'plugins');

sub server {
  my (%option) = @_;
  my $conn = Authen::SASL->new(mechanism => 'OTP')->server_new('imap', 'localhost', {accounts => $accounts, %option});
  return bless {conn => $conn, role => 'server', convention => 'return value'}, 'Peer::Ours';
}

sub listed {
  my (@option) = @_;
  my $conn = Authen::SASL->new(mechanism => 'PLAIN OTP', callback => {checkpass => sub { 0 }})->server_new('imap', 'localhost', @option);
  return sort $conn->listmech;
}

sub client {
  my ($phrase) = @_;
  my $sasl = Authen::SASL->new(mechanism => 'OTP', callback => {user => 'fred', pass => $phrase});
  return bless {conn => $sasl->client_new('imap', 'localhost'), role => 'client', convention => 'return value'}, 'Peer::Ours';
}

sub theirs { return Peer::Cyrus->client(mechanism => 'OTP', user => 'fred', password => $PHRASE, service => 'imap', host => 'localhost') }

is eval { Authen::SASL->new(mechanism => 'OTP')->server_new('imap', 'localhost') }, undef, 'without accounts no secret can be stored';
like $@, qr/OTP: the plugin does not offer it here: .*\(SASL_NOMECH\)/, 'and the plugin says so';
is_deeply [listed()], ['PLAIN'], 'so OTP is not listed';
is_deeply [listed({accounts => $accounts})], ['OTP', 'PLAIN'], 'but where there are accounts that can be written to';

my $unknown = server();
my $end = exchange(client($PHRASE), $unknown, initial_response => 1, success_data => 0);
is $end->{server}{state}, 'fail', 'who has no secret';
like $end->{server}{error}, qr/\AOTP server: .*\(SASL_BADAUTH\)\z/, 'is refused as one with a wrong phrase is';

is server()->{conn}->setpass('fred', $PHRASE, 1), 1, 'a secret is made';
is server()->{conn}->setpass('', $PHRASE, 1), 0, 'but without a user none';

my @sequence;
for my $round (['our client', \&client], ["libsasl2's client", \&theirs], ['our client once more', \&client]) {
  my ($name, $make) = @$round;
  my $end = exchange($make->($PHRASE), server(), initial_response => 1, success_data => 0);
  is $end->{problem}, undef, "$name: it comes to an end";
  is $end->{server}{state}, 'done', 'the server accepts' or diag explain $end;
  is $end->{server}{authcid}, 'fred', 'and says who it is';
  my ($challenge) = grep { /\AS: otp-/ } @{$end->{transcript}};
  push @sequence, $challenge =~ /\AS: otp-md5 (\d+) /;
}
is_deeply \@sequence, [$sequence[0], $sequence[0] - 1, $sequence[0] - 2], 'the sequence goes down with each login';

# Recorded messages of a login do not help in the next.
{
  my ($client, $server) = (client($PHRASE)->{conn}, server()->{conn});
  my $first = $client->client_start;
  my $answer = $client->client_step($server->server_start($first));
  $server->server_step($answer);
  ok $server->is_success, 'a login that is overheard';
  my $again = server()->{conn};
  $again->server_start($first);
  is $again->server_step($answer), undef, 'its answer is refused';
  like $again->error, qr/\AOTP server: .*\(SASL_BADAUTH\)\z/, 'as a wrong one is';
}
$end = exchange(client('another pass phrase'), server(), initial_response => 1, success_data => 0);
is $end->{server}{state}, 'fail', 'so is a wrong phrase';
$end = exchange(client($PHRASE), server(), initial_response => 1, success_data => 0);
is $end->{server}{state}, 'done', 'after which the right one is accepted: nothing stays locked';
server()->{conn}->server_start(client($PHRASE)->{conn}->client_start);
$end = exchange(client($PHRASE), server(), initial_response => 1, success_data => 0);
is $end->{server}{state}, 'done', 'nor after a client that went away';

# The user has the one-time passwords, on paper or in a device, and the program does not have the pass phrase (RFC 2289,
# RFC 2444).
sub one_time_password {
  my ($phrase, $challenge) = @_;
  my ($sequence, $seed) = $challenge =~ /\Aotp-md5 (\d+) (\S+)/ or die "no challenge of OTP: $challenge";
  my $folded = fold(md5(lc($seed) . $phrase));
  $folded = fold(md5($folded)) for 1 .. $sequence;
  return 'hex:' . unpack 'H*', $folded;
}
sub fold { my ($left, $right) = unpack 'a8 a8', $_[0]; return $left ^ $right }
is one_time_password('This is a test.', 'otp-md5 99 TeSt ext'), 'hex:50fe1962c4965880', 'RFC 2289, appendix C';

sub prompted {
  my ($answer, %callback) = @_;
  my $sasl = Authen::SASL->new(mechanism => 'OTP', callback => {user => 'fred', challenge => $answer, %callback});
  return bless {conn => $sasl->client_new('imap', 'localhost'), role => 'client', convention => 'return value'}, 'Peer::Ours';
}
my %other = (
  'our server' => \&server,
  "libsasl2's server" => sub { Peer::Cyrus->server(mechanism => 'OTP', service => 'imap', host => 'localhost', sasldb => "$folder/sasldb") },
);
for my $name (sort keys %other) {
  my @asked;
  my $answer = sub { my ($conn, @about) = @_; push @asked, \@about; return one_time_password($PHRASE, $about[0]) };
  $end = exchange(prompted($answer), $other{$name}->(), initial_response => 1, success_data => 0);
  is $end->{problem}, undef, "a one-time password, $name: it comes to an end";
  is $end->{server}{state}, 'done', 'and is accepted' or diag explain $end;
  is scalar @asked, 1, 'the program is asked once';
  my ($challenge, $prompt, $echo) = @{$asked[0]};
  like $challenge, qr/\Aotp-md5 \d+ \w+/, 'with the challenge';
  like $prompt, qr/one-time password/, 'and words for the user';
  ok $echo, 'what is typed may be seen: it is good for once';
  $end = exchange(prompted(sub { one_time_password('another phrase', $_[1]) }), $other{$name}->(), initial_response => 1, success_data => 0);
  isnt $end->{server}{state}, 'done', 'a wrong one is not accepted';
}
{
  my $phrase = 0;
  $end = exchange(prompted(sub { one_time_password($PHRASE, $_[1]) }, pass => sub { $phrase++; $PHRASE }), server(),
    initial_response => 1, success_data => 0);
  is $end->{server}{state}, 'done', 'with both callbacks' or diag explain $end;
  is $phrase, 0, 'the pass phrase is left alone';
  my ($client, $server) = (prompted(sub { undef })->{conn}, server()->{conn});
  is $client->client_step($server->server_start($client->client_start)), undef, 'who has no answer';
  like $client->error, qr/\AOTP client: no answer to the challenge \(callback challenge\)/, 'gets the reason';
  ($client, $server) = (prompted(sub { die "no paper\n" })->{conn}, server()->{conn});
  is eval { $client->client_step($server->server_start($client->client_start)); 1 }, undef, 'a callback that dies';
  is $@, "no paper\n", 'is heard';
  is eval { prompted(undef); 1 }, undef, 'neither a phrase nor one-time passwords';
  like $@, qr/OTP: there is no callback pass or challenge/, 'are known to be missing before anything is sent';
}

is server()->{conn}->setpass('fred', undef), 1, 'the secret is taken away';
$end = exchange(client($PHRASE), server(), initial_response => 1, success_data => 0);
is $end->{server}{state}, 'fail', 'and fred is out';

done_testing;
