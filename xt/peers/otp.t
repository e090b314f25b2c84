# OTP: our client and server against those of libsasl2's plugin, on one sasldb that both change; and the chains of a generator in Tcl.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

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
my %cyrus = (mechanism => 'OTP', service => 'imap', host => 'localhost');

sub ours {
  my ($side, $callback, $option) = @_;
  my $new = "${side}_new";
  my $conn = Authen::SASL->new(mechanism => 'OTP', callback => $callback)->$new('imap', 'localhost', $option);
  return bless {conn => $conn, role => $side, convention => 'return value'}, 'Peer::Ours';
}

sub our_server { return ours(server => {}, {accounts => $accounts, @_}) }
sub our_client { return ours(client => {user => 'fred', pass => $PHRASE}, {@_}) }
sub their_client { return Peer::Cyrus->client(%cyrus, user => 'fred', password => shift || $PHRASE) }
sub their_server { return Peer::Cyrus->server(%cyrus, sasldb => "$folder/sasldb") }
sub run { return exchange(@_, initial_response => 1, success_data => 0) }
sub challenge { my ($end) = @_; return (map { /\AS: (otp-.*)/ ? $1 : () } @{$end->{transcript}})[0] }

is our_server()->{conn}->setpass('fred', $PHRASE, 1), 1, 'we make a state';
my $sequence = 499;
for my $pair (['their client, our server', \&their_client, \&our_server], ['our client, their server', \&our_client, \&their_server],
  ['ours alone', \&our_client, \&our_server], ['theirs once more', \&their_client, \&our_server],
  ['under TLS', \&their_client, sub { our_server(externalssf => 256) }]) {
  my ($name, $client, $server) = @$pair;
  my $end = run($client->(), $server->());
  is $end->{problem}, undef, "$name: it ends";
  is $end->{server}{state}, 'done', 'the server accepts' or diag explain $end;
  is $end->{client}{state}, 'done', 'the client is content';
  my $number = $sequence -= 1;
  like challenge($end), qr/\Aotp-md5 $number lo\d{4} ext\z/, 'each login uses up a password, whoever serves it';
}
my $end = run(their_client('another pass phrase'), our_server());
is $end->{server}{state}, 'fail', 'their client with a wrong phrase';
like $end->{server}{error}, qr/\(SASL_BADAUTH\)\z/, 'is refused';
$end = run(ours(client => {user => 'fred', pass => 'another pass phrase'}, {}), their_server());
is $end->{server}{state}, 'fail', 'so is ours';

$end = run(our_client(otp_renew => 9999), their_server());
is $end->{server}{state}, 'done', 'we begin a new chain at their server' or diag explain $end;
$end = run(their_client(), our_server());
is $end->{server}{state}, 'done', 'which their client continues at ours' or diag explain $end;
like challenge($end), qr/\Aotp-md5 498 /, 'from its beginning';

# The lock of one is respected by the other.
my $begun = our_server();
ok defined $begun->{conn}->server_start("\0fred"), 'we begin an exchange';
my $theirs = their_server();
my $said = $theirs->start("\0fred");
is $said->{state}, 'fail', 'they refuse another meanwhile' or diag explain $said;
$theirs->end;
$begun->{conn}->server_step('hex:0011223344556677');
$theirs = their_server();
is $theirs->start("\0fred")->{state}, 'more', 'after that they begin one';
my $conn = our_server()->{conn};
is $conn->server_start("\0fred"), undef, 'and we refuse';
like $conn->error, qr/\(SASL_TRYAGAIN\)\z/, 'for the time being';
$theirs->end;

# The same in a users' file, for their client.
{
  my $users = Authen::SASL::Rust::Accounts->new(users => "$folder/users");
  $users->setotp('fred', $PHRASE, hash => $_) for qw(md5 sha1);
  for my $option ({}, {externalssf => 256}) {
    my $number = 498 - keys %$option;
    my $server = sub { ours(server => {}, {accounts => $users, %$option}) };
    my $done = run(their_client(), $server->());
    is $done->{server}{state}, 'done', 'their client, our users\' file' or diag explain $done;
    like challenge($done), qr/\Aotp-sha1 $number ot\d{4} ext\z/, 'the challenge';
    my $wrong = run(their_client('another pass phrase'), $server->());
    is $wrong->{server}{state}, 'fail', 'a wrong phrase';
  }
}

SKIP: {
  my $script = "$folder/chain.tcl";
  my @cases = map { my $hash = $_; map { [$hash, "phrase no. $_, of $hash", "Seed$_", 7 * $_] } 1 .. 5 } qw(md5 sha1);
  open my $out, '>', $script or die "$script: $!";
  print {$out} "package require otp\n";
  print {$out} "puts [otp::otp-$_->[0] -hex -count $_->[3] -seed [string tolower $_->[2]] {$_->[1]}]\n"
    . "puts [otp::otp-$_->[0] -words -count $_->[3] -seed [string tolower $_->[2]] {$_->[1]}]\n" for @cases;
  close $out or die "$script: $!";
  my @lines = qx{tclsh $script 2>&1};
  skip 'the packages tcl and tcllib are needed', 1 if @lines != 2 * @cases;
  chomp @lines;
  for my $case (@cases) {
    my ($hash, $phrase, $seed, $count) = @$case;
    my ($hex, $words) = splice @lines, 0, 2;
    my $state = Authen::SASL::Rust->otp_state(phrase => $phrase, hash => $hash, seed => $seed, sequence => $count + 1);
    my $client = ours(client => {user => 'fred', pass => $phrase}, {})->{conn};
    $client->client_start;
    is $client->client_step("otp-$hash $count $seed ext"), "hex:$hex", "$hash $count: our generator and Tcl's";
    for my $form ("hex:$hex", "word:$words") {
      my $server = ours(server => {otp_state => sub { $state }, otp_replace => sub { 1 }}, {})->{conn};
      $server->server_start("\0fred");
      $server->server_step($form);
      ok $server->is_success, "$form is accepted" or diag $server->error;
    }
  }
}

done_testing;
