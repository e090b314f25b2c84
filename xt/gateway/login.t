# Clients log in to a beanstalkd through sasl-gate, and work there.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use IO::Socket::UNIX ();
use Server::Beanstalkd ();
use Server::JobTalk qw(connect_to login say_raw heard heard_line all_heard job_works);
use Server::SaslGate ();
use Server::Trial qw(trial);

my @SCRAM = map { "SCRAM-$_" } qw(SHA-1 SHA-224 SHA-256 SHA-384 SHA-512 SHA3-512);
my $beanstalkd = Server::Beanstalkd->start;
my $gate = Server::SaslGate->start(
  backend => "127.0.0.1:$beanstalkd->{port}",
  users => {
    fred => ['pencil', @SCRAM],
    "j\xc3\xbcrgen" => ["gr\xc3\xbc\xc3\x9fe", 'SCRAM-SHA-256'],
    'only-one' => ['stone', 'SCRAM-SHA-1'],
  },
  lines => "mechanisms = '@SCRAM PLAIN LOGIN ANONYMOUS'\nplaintext = true\n",
  limits => "failures_per_address = 1000\n",
);
my $address = "127.0.0.1:$gate->{port}";
my $unix = $gate->dir . '/socket';

for my $place ($address, $unix) {
  for my $mechanism (@SCRAM, 'PLAIN', 'LOGIN') {
    trial "$mechanism at $place" => sub {
      my ($socket, $auth) = login(connect_to($place), mechanism => $mechanism, user => 'fred', pass => 'pencil');
      ok $socket, 'the login succeeds' or return diag $auth->error, $gate->log_text;
      is $auth->mechanism, $mechanism, 'by the mechanism asked for';
      is job_works($socket), '', 'a job is put, reserved and deleted';
    };
    for my $case ([user => 'fred', pass => 'crayon'], [user => 'nobody', pass => 'pencil'], [user => 'fred', pass => ' ']) {
      trial "$mechanism at $place, @$case" => sub {
        my $raw = connect_to($place);
        my ($socket, $auth) = login($raw, mechanism => $mechanism, @$case);
        ok !$socket, 'the login is refused';
        like $auth->error, qr/UNAUTHORIZED/, 'with the server\'s word';
        say_raw($raw, "stats\r\n");
        is heard($raw, 14), "UNAUTHORIZED\r\n", 'and commands are refused';
      };
    }
  }
}

trial 'names and passwords beyond ASCII' => sub {
  my ($socket, $auth) = login(connect_to($address), user => "j\x{fc}rgen", pass => "gr\x{fc}\x{df}e", mechanism => 'SCRAM-SHA-256');
  ok $socket, 'the login succeeds' or diag $auth->error;
};

trial 'the strongest mechanism, left to the client' => sub {
  my ($socket, $auth) = login(connect_to($address), user => 'fred', pass => 'pencil');
  is $auth->mechanism, 'SCRAM-SHA3-512', 'is taken';
};

trial 'ANONYMOUS' => sub {
  my ($socket, $auth) = login(connect_to($address), mechanism => 'ANONYMOUS');
  ok $socket && job_works($socket) eq '', 'works where it is offered' or diag $auth->error;
};

trial 'another authorization identity' => sub {
  my ($socket) = login(connect_to($address), mechanism => 'PLAIN', user => 'fred', authname => 'only-one', pass => 'pencil');
  ok !$socket, 'is refused';
  ($socket) = login(connect_to($address), mechanism => 'PLAIN', user => 'fred', authname => 'fred', pass => 'pencil');
  ok $socket, 'one\'s own is not';
};

# A client cannot distinguish an unknown user from a known one with a wrong password, or with verifiers for another hash.
trial 'unknown users' => sub {
  my %seen;
  for my $user (qw(fred only-one nobody)) {
    my @server_first;
    for my $try (1, 2) {
      my $socket = connect_to($address);
      my $first = "n,,n=$user,r=abcdefgh";
      say_raw($socket, 'auth-start SCRAM-SHA-256 ' . length($first) . "\r\n$first\r\n");
      my $text = heard_line($socket) . heard_line($socket);
      my ($nonce, $salt, $count) = $text =~ /r=([^,]+),s=([^,]+),i=(\d+)/ or return fail "a challenge: $text";
      push @server_first, "$salt $count";
      my $final = "c=biws,r=$nonce,p=" . 'A' x 43 . '=';
      say_raw($socket, 'auth-step ' . length($final) . "\r\n$final\r\nquit\r\n");
      is all_heard($socket), "UNAUTHORIZED\r\n", "$user: the outcome";
    }
    is $server_first[0], $server_first[1], "$user has one salt";
    my ($salt, $count) = split / /, $server_first[0];
    $seen{length($salt) . " $count"}++;
  }
  is scalar(keys %seen), 1, 'all of them have salts of one length and one count' or diag explain \%seen;
};

trial 'commands behind the last message are not lost' => sub {
  my $socket = connect_to($address);
  my $body = "x" x 3000;
  say_raw($socket, "auth-start PLAIN 12\r\n\0fred\0pencil\r\nput 0 0 60 3000\r\n$body\r\npeek-ready\r\nquit\r\n");
  my $heard = all_heard($socket);
  like $heard, qr/\AOK\r\nINSERTED (\d+)\r\nFOUND \1 3000\r\nx{3000}\r\n\z/, 'and are answered in order';
  my ($in) = login(connect_to($address), user => 'fred', pass => 'pencil');
  my ($id) = $heard =~ /INSERTED (\d+)/;
  say_raw($in, "delete $id\r\n");
  is heard($in, 9), "DELETED\r\n", 'the job was there';
};

trial 'a big body, both ways' => sub {
  my ($socket, $auth) = login(connect_to($address), user => 'fred', pass => 'pencil');
  is job_works($socket, join '', map { chr $_ % 256 } 1 .. 65_000), '', 'arrives whole';
};

trial 'a socket that does not block' => sub {
  my $raw = connect_to($address);
  $raw->blocking(0);
  my ($socket, $auth) = login($raw, user => 'fred', pass => 'pencil');
  ok $socket, 'logs in' or return diag $auth->error;
  ok !$socket->blocking, 'and still does not block';
  is job_works($socket), '', 'and works';
  $raw = connect_to($address);
  $raw->blocking(0);
  ($socket, $auth) = login($raw, user => 'fred', pass => 'crayon');
  like $auth->error, qr/UNAUTHORIZED/, 'a refusal is heard on one too';
  my $silent = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die "no socket: $@";
  $raw = connect_to('127.0.0.1:' . $silent->sockport);
  $raw->blocking(0);
  my $hasty = Authen::SASL::Rust::AuthLine->client(sasl => Authen::SASL->new(callback => { user => 'fred', pass => 'x' }));
  ok !$hasty->login($raw, timeout => 0.3), 'a server that is silent is not waited for';
  like $hasty->error, qr/no answer in time/, '... longer than was said';
};

trial 'the client half-closes' => sub {
  my ($socket) = login(connect_to($address), user => 'fred', pass => 'pencil');
  say_raw($socket, "list-tube-used\r\n");
  shutdown $socket, 1;
  is all_heard($socket), "USING default\r\n", 'and still hears the answer';
};

trial 'the example' => sub {
  my $said = $gate->run($^X, '-Mblib', 'eg/beanstalk-client', $address, 'fred', 'pencil', 'a body');
  like $said, qr/\Alogged in by SCRAM-SHA3-512\nINSERTED (\d+)\nRESERVED \1 6\nDELETED\n\z/, 'logs in and works';
  ok !eval { $gate->run($^X, '-Mblib', 'eg/beanstalk-client', $address, 'fred', 'crayon'); 1 }, 'fails with a wrong password';
  like $@, qr/the server refused: UNAUTHORIZED/, 'and says why';
};

like $gate->metric('relaying_connections'), qr/\A\d+\z/, 'the metrics are served';
cmp_ok $gate->metric('logins_total'), '>', 15, 'they count logins';
cmp_ok $gate->metric('login_failures_total'), '>', 40, 'and failures';
ok $gate->metric_becomes(relaying_connections => 0), 'and see connections end';
unlike $gate->log_text, qr/pencil|crayon|stone|SCRAM-SHA-256\$/, 'no password and no key is logged';
like $gate->log_text, qr/authenticated.*user="fred".*mechanism="PLAIN"/, 'a login is logged';
like $gate->log_text, qr/authenticated.*user="anonymous".*mechanism="ANONYMOUS"/, 'so is an anonymous client, by the name that the rules use';

done_testing;
