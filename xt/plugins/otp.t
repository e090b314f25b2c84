# OTP, which only a plugin has: a secret is made, is used up login by login, and is refused when it is used again; against
# ourselves and against libsasl2's client. The state stands in a sasldb.

use strict;
use warnings;

use File::Temp ();
use Test::More;

use Authen::SASL qw(Rust);
use Authen::SASL::Rust::Accounts ();
use Peer::Cyrus    ();
use Peer::Exchange qw(exchange);
use Peer::Ours     ();

my $PHRASE = 'a pass phrase of fred';
my $folder = File::Temp->newdir;
my $accounts = Authen::SASL::Rust::Accounts->new(cyrus => {auxprop_plugin => 'sasldb', sasldb_path => "$folder/sasldb"});
Authen::SASL::Rust->plugins(load => 'otp');

sub server {
  my (%option) = @_;
  my $conn = Authen::SASL->new(mechanism => 'OTP')->server_new('imap', 'localhost', {accounts => $accounts, %option});
  return bless {conn => $conn, role => 'server', convention => 'return value'}, 'Peer::Ours';
}

sub client {
  my ($phrase) = @_;
  my $sasl = Authen::SASL->new(mechanism => 'OTP', callback => {user => 'fred', pass => $phrase});
  return bless {conn => $sasl->client_new('imap', 'localhost'), role => 'client', convention => 'return value'}, 'Peer::Ours';
}

sub theirs { return Peer::Cyrus->client(mechanism => 'OTP', user => 'fred', password => $PHRASE, service => 'imap', host => 'localhost') }

my $nowhere = Authen::SASL->new(mechanism => 'OTP')->server_new('imap', 'localhost');
is $nowhere->setpass('fred', $PHRASE, 1), 0, 'without accounts no secret can be stored';
like $nowhere->error, qr/can't store properties.*\(SASL_[A-Z]+\)/, 'and the plugin says so';

my $unknown = server();
my $end = exchange(client($PHRASE), $unknown, initial_response => 1, success_data => 0);
is $end->{server}{state}, 'fail', 'who has no secret';
like $end->{server}{error}, qr/\AOTP server: .*\(SASL_BADAUTH\)\z/, 'is refused as one with a wrong phrase is';

is server()->{conn}->setpass('fred', $PHRASE, 1), 1, 'a secret is made';
is server()->{conn}->setpass('', $PHRASE, 1), 0, 'but for nobody none';

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

# What somebody has heard of a login does not help in the next.
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

is server()->{conn}->setpass('fred', undef), 1, 'the secret is taken away';
$end = exchange(client($PHRASE), server(), initial_response => 1, success_data => 0);
is $end->{server}{state}, 'fail', 'and fred is out';

done_testing;
