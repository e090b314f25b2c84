# The AUTH line protocol: both sides against each other, and against faulty peers.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use Authen::SASL::Rust::AuthLine;

# Kerberos needs a realm: see xt/kerberos.
my @ALL = grep { !/\AGS/ } split / /, Authen::SASL::Rust->global_listmech;

sub client_sasl {
  my (%arg) = @_;
  my $mechanism = delete $arg{mechanism};
  my %callback = (user => 'fred', pass => 'pencil', token => 'abc', ht_token => 'abc', %arg);
  return Authen::SASL->new(defined $mechanism ? (mechanism => $mechanism) : (), callback => \%callback);
}

sub server_sasl {
  my ($mechanism) = @_;
  return Authen::SASL->new(mechanism => $mechanism, callback => {
    getsecret => sub { $_[1]{user} eq 'fred' ? 'pencil' : undef },
    checktoken => sub { $_[1]{token} eq 'abc' ? 'fred' : undef },
    ht_tokens => sub { $_[1]{user} eq 'fred' ? 'abc' : undef },
    otp_state => sub { $_[1]{user} eq 'fred' ? "md5\t0009\tte1234\t27a5f6cf366df446\t" . '0' x 20 : undef },    # of the pass phrase pencil
    otp_replace => sub { 1 },
  });
}

sub client { return Authen::SASL::Rust::AuthLine->client(sasl => client_sasl(@_)) }

sub server {
  my ($mechanism) = @_;
  return Authen::SASL::Rust::AuthLine->server(sasl => server_sasl($mechanism), options => { external_id => 'fred' });
}

# Runs both sides to the end, with messages in pieces of at most so many bytes.
sub talk {
  my ($client, $server, $piece) = @_;
  my ($up, $down) = ($client->begin, '');
  while (length $up || length $down) {
    $down .= $server->feed(substr $up, 0, $piece, '') if length $up;
    $up .= $client->feed(substr $down, 0, $piece, '') if length $down;
  }
  return;
}

for my $mechanism (grep { !/-(?:PLUS|EXPR|UNIQ|ENDP)\z/ } @ALL) {
  for my $piece (1, 3, 10_000) {
    my ($client, $server) = (client(mechanism => $mechanism), server($mechanism));
    talk($client, $server, $piece);
    ok $client->is_done, "$mechanism by $piece: the client is in" or diag $client->error;
    ok $server->is_done, '... and the server knows' or diag $server->error;
    is $client->mechanism, $mechanism, '... by this mechanism';
    is $server->user, $mechanism eq 'ANONYMOUS' ? 'anonymous' : 'fred', '... as the right user';
  }
  next if $mechanism =~ /\A(?:ANONYMOUS|EXTERNAL)\z/;
  for my $wrong ([pass => 'crayon', token => 'x', ht_token => 'x'], [user => 'nobody', token => 'x']) {
    my ($client, $server) = (client(mechanism => $mechanism, @$wrong), server($mechanism));
    talk($client, $server, 10_000);
    ok $client->is_failed && !$client->is_done, "$mechanism: @$wrong are refused";
    like $client->error, qr/\A\Q$mechanism\E client: .*SASL_BADAUTH|UNAUTHORIZED/, '... with a reason';
    ok !$server->is_done && $server->failures == 1, '... on the server too' or diag $server->error;
  }
}

{
  my $client = client();
  my $server = server('PLAIN SCRAM-SHA-256 ANONYMOUS');
  talk($client, $server, 10_000);
  is $client->mechanism, 'SCRAM-SHA-256', 'the strongest that is offered is taken';
}

# RFC 5802 section 6: if no -PLUS was offered, a client that supports channel binding says so, and detects a server that
# supports it too.
for my $offered ('SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS SCRAM-SHA-256') {
  my %binds = (options => { channel_binding => { 'tls-exporter' => 'x' x 32 } });
  my $client = Authen::SASL::Rust::AuthLine->client(sasl => client_sasl(), %binds);
  my $server = Authen::SASL::Rust::AuthLine->server(sasl => server_sasl($offered), %binds);
  talk($client, $server, 10_000);
  ok $client->is_done && $server->is_done, "$offered: who could bind is in" or diag $client->error, $server->error;
  is $client->mechanism, (split / /, $offered)[0], '... by the best that is offered';
}

# What a correct server sends.
my $LOGIN = "auth-start PLAIN 12\r\n\0fred\0pencil\r\n";
my @SERVER = (
  ["auth-list-mechanisms\r\n", "OK 19\r\nSCRAM-SHA-256 PLAIN\r\n"],
  ["auth-start PLAIN\r\nauth-step 12\r\n\0fred\0pencil\r\n", "CONTINUE 0\r\n\r\nOK\r\n"],
  ["auth-start PLAIN 0\r\n\r\n$LOGIN", "UNAUTHORIZED\r\nOK\r\n"],
  ["auth-start CRAM-MD5\r\nauth-step 0\r\n\r\n", "UNAUTHORIZED\r\nUNAUTHORIZED\r\n"],
  ["auth-frobnicate 3\r\nquit\r\n$LOGIN", "UNKNOWN_COMMAND\r\n"],
  ["put 0 0 60 40\r\n$LOGIN", "UNAUTHORIZED\r\n"],
  ["auth-step 99999999\r\n", "TOO_BIG\r\n"],
  ["auth-start PLAIN 11\r\n\0fred\0pencil\r\n", "EXPECTED_CRLF\r\n"],
  map { ["$_\r\n$LOGIN", "BAD_FORMAT\r\n"] } 'auth-start', 'auth-start plain', 'auth-start PLAIN -1',
    'auth-start PLAIN 01', 'auth-start  3', 'auth-step', 'auth-step -1', 'auth-step 1 1', 'auth-list-mechanisms x',
    'auth-start ' . 'A' x 33, 'x' x 223, "auth-step 1\n",
);
for my $case (@SERVER) {
  my ($said, $heard) = @$case;
  for my $piece (1, 10_000) {
    my $server = server('SCRAM-SHA-256 PLAIN');
    my ($rest, $out) = ($said, '');
    $out .= $server->feed(substr $rest, 0, $piece, '') while length $rest;
    (my $name = substr $said, 0, 40) =~ s/[^ -~]/?/g;
    is $out, $heard, "$name: by $piece";
  }
}
# An unknown name in the list of a server that can offer nothing now, because its users' file is world-writable.
{
  require File::Temp;
  my $folder = File::Temp->newdir;
  require Authen::SASL::Rust::Accounts;
  Authen::SASL::Rust::Accounts->new(users => "$folder/users")->setpass('fred', 'pencil', create => 1);
  my $sasl = Authen::SASL->new(mechanism => 'NTLM SCRAM-SHA-256');
  my $server = Authen::SASL::Rust::AuthLine->server(sasl => $sasl, options => { users => "$folder/users" });
  chmod 0666, "$folder/users" or die "$folder/users: $!";
  is eval { $server->feed("auth-start NTLM 0\r\n\r\n") }, "UNAUTHORIZED\r\n", 'an unknown mechanism by name' or diag $@;
  is $server->error, 'NTLM is not offered', '... which is not offered';
  ok $server->need_more && $server->failures == 1, '... is one failure';
}
# An error in a line is reported at the end of the line, not after data that it may not announce.
for my $line ('auth-start plain 5', 'auth-start PL:AIN 99999999', 'auth-start ' . 'A' x 33 . ' 5', 'auth-start PLAIN 5 5') {
  is server('PLAIN')->feed("$line\r\n"), "BAD_FORMAT\r\n", "$line: at once";
}
{
  my $server = server('PLAIN');
  is $server->feed("${LOGIN}put 0 0 60 5\r\nhe"), "OK\r\n", 'commands may follow at once';
  is $server->rest, "put 0 0 60 5\r\nhe", '... and are not lost';
  ok !eval { $server->feed("\x{263a}"); 1 }, 'characters are not bytes';
}

# An exchange that ends without success is a failure, whatever ended it.
{
  my $wrong = "auth-start OAUTHBEARER 20\r\nn,,\1auth=Bearer no\1\1\r\n";
  my $scram = "auth-start SCRAM-SHA-256 15\r\nn,,n=fred,r=abc\r\n";
  my $token = qr/the token was refused/;
  my $abandoned = qr/the peer ended the exchange before its end/;
  for my $case (
    ['refused tokens without an answer', $wrong x 3, 3, $token],
    ['a refused token that the client answers', "${wrong}auth-step 1\r\n\1\r\n", 1, $token],
    ['a refused token and quit', "${wrong}quit\r\n", 1, $token],
    ['a refused token and no more', $wrong, 1, $token],
    ['a refused token and a command', "${wrong}stats\r\n", 1],
    ['a refused token and no AUTH', "${wrong}auth-step x\r\n", 1],
    ['SCRAM, begun twice', $scram x 2, 2, $abandoned],
    ['SCRAM, begun, and PLAIN', $scram . $LOGIN, 1, $abandoned],
    ['nothing', '', 0], ['a login', $LOGIN, 0],
    ['a login in two messages', "auth-start PLAIN\r\nauth-step 12\r\n\0fred\0pencil\r\n", 0],
  ) {
    my ($what, $said, $failures, $error) = @$case;
    for my $piece (1, 10_000) {
      my $server = server('OAUTHBEARER SCRAM-SHA-256 PLAIN');
      my $rest = $said;
      $server->feed(substr $rest, 0, $piece, '') while length $rest;
      $server->hang_up for 1, 2;
      is $server->failures, $failures, "$what: $failures failures";
      like $server->error, $error, '... and the reason' if $error;
      ok $server->is_done || $server->is_closed, '... and over';
    }
  }
  my $owed;
  my $sasl = Authen::SASL->new(mechanism => 'PLAIN', callback => { getsecret => sub { $owed = $_[2]; return } });
  my $server = Authen::SASL::Rust::AuthLine->server(sasl => $sasl, on_reply => sub { fail 'there is no client to reply to' });
  $server->feed($LOGIN);
  $server->hang_up;
  $owed->('pencil');
  ok !$server->is_done && $server->failures == 1, 'a client that goes while an answer is under way is not in';
}

# How a client handles faulty servers.
my $OFFER = "OK 13\r\nSCRAM-SHA-256\r\n";
for my $case (
  ["UNKNOWN_COMMAND\r\n", qr/does not support AUTH.*plain beanstalkd/],
  ["OK\r\n", qr/unexpected reply from the server: 'OK'/],
  ["OK 5\r\nPLAIN\r\n", qr/the server offers PLAIN, and SCRAM-SHA-256 is wanted/],
  ["OK 0\r\n\r\n", qr/the server offers none/],
  ["${OFFER}OK\r\n", qr/^SCRAM-SHA-256 client: outcome: the server ended without its proof \(SASL_BADSERV\)$/],
  ["${OFFER}OK 0\r\n\r\n", qr/SCRAM-SHA-256 client/],
  ["${OFFER}UNAUTHORIZED\r\n", qr/^SCRAM-SHA-256 client: the server refused: UNAUTHORIZED \(SASL_BADAUTH\)$/],
  ["${OFFER}INTERNAL_ERROR\r\n", qr/is temporarily unavailable/],
  ["${OFFER}CONTINUE -1\r\n", qr/number of bytes/],
  ["HELLO\e[1m\r\n", qr/reply from the server: 'HELLO\?\[1m'/],
  ['x' x 300, qr/longer than 224/],
  ["OK 99999999\r\n", qr/limit is 65536/],
) {
  my ($said, $error) = @$case;
  my $client = client(mechanism => 'SCRAM-SHA-256');
  $client->begin;
  $client->feed($said);
  ok $client->is_failed, 'the client fails';
  like $client->error, $error, '... with the right reason';
}

{
  my $client = client(mechanism => 'PLAIN');
  $client->begin;
  $client->feed("OK 5\r\nPLAIN\r\n");
  $client->feed("CONTINUE 0\r\n\r\n");
  is $client->error, 'PLAIN client: the server sent a challenge after the end of the exchange (SASL_BADPROT)', 'a challenge too many';
}

# A server without AUTH would interpret the data of auth-start as commands.
for my $case (["OK 5\r\nPLAIN\r\n", 1], ["UNKNOWN_COMMAND\r\n", ''], ["OK\r\n", ''], ["OK 5\r\nLOGIN\r\n", '']) {
  my ($reply, $starts) = @$case;
  my $client = client(mechanism => 'PLAIN');
  is $client->begin, "auth-list-mechanisms\r\n", 'a client asks for the list';
  my ($last, @before) = reverse map { $client->feed($_) } split //, $reply;
  is join('', @before), '', '... says nothing before it has it whole';
  is $last =~ /\Aauth-start PLAIN 12\r\n/ ? 1 : $last, $starts, '... and nothing more to a server that does not know it';
}

# An application that answers later.
{
  my ($answer, $later);
  my $server = Authen::SASL::Rust::AuthLine->server(
    sasl => Authen::SASL->new(mechanism => 'PLAIN', callback => { checkpass => sub { $answer = $_[2]; return } }),
    on_reply => sub { $later .= $_[0]->output },
  );
  is $server->feed("${LOGIN}stats\r\n"), '', 'no reply before the answer';
  ok $answer, '... for which the application was asked';
  $answer->(1);
  is $later, "OK\r\n", 'the reply comes with the answer';
  ok $server->is_done, '... the client is in';
  is $server->rest, "stats\r\n", '... and what follows was kept';
}

# A client that sends more while the application's answer is pending: one request waits, more are refused.
for my $more (224 + 65536 + 2, 224 + 65536 + 3) {
  my ($answer, $later) = (undef, '');
  my $server = Authen::SASL::Rust::AuthLine->server(
    sasl => Authen::SASL->new(mechanism => 'PLAIN', callback => { checkpass => sub { $answer = $_[2]; return } }),
    on_reply => sub { $later .= $_[0]->output },
  );
  $server->feed($LOGIN);
  my $fits = $more == 224 + 65536 + 2;
  is $server->feed('x' x $more), $fits ? '' : "TOO_BIG\r\n", "$more bytes while an answer is under way";
  is $server->feed('x'), $fits ? "TOO_BIG\r\n" : '', '... and one more';
  ok $server->is_failed, '... are too many';
  like $server->error, qr/more than one request/, '... which it says';
  is length $server->{in}, 0, '... and keeps nothing of';
  $answer->(1);
  is $later, '', 'an answer that comes then changes nothing';
  ok $server->is_failed && !$server->is_done, '... neither does it let the client in';
}

# If the account store is unavailable, the client has not failed, and may try again.
subtest 'accounts that cannot be asked' => sub {
  require Authen::SASL::Rust::Accounts;
  require File::Temp;
  my $folder = File::Temp->newdir;
  my $users = Authen::SASL::Rust::Accounts->new(users => "$folder/users");
  $users->setpass('fred', 'pencil', create => 1);
  my $away = Authen::SASL::Rust::Accounts->new(saslauthd => "$folder/mux", timeout => 0.5);
  for my $case (['a daemon', $away, 'PLAIN', qr/cannot be reached/], ['a file', $users, 'PLAIN', qr/\(os error 2\)/],
    ['a file', $users, 'SCRAM-SHA-256', qr/\(os error 2\)/])
  {
    my ($what, $accounts, $mechanism, $reason) = @$case;
    my $server = Authen::SASL::Rust::AuthLine->server(sasl => Authen::SASL->new(mechanism => $mechanism),
      options => { accounts => $accounts });
    my $client = client(mechanism => $mechanism);
    my $start = $client->feed($server->feed($client->begin));
    rename "$folder/users", "$folder/away";
    my $said = $server->feed($start);
    is $said, "INTERNAL_ERROR\r\n", "$what, $mechanism: what the client hears";
    $client->feed($said);
    rename "$folder/away", "$folder/users";
    like $client->error, qr/is temporarily unavailable \(INTERNAL_ERROR\)/, "$what, $mechanism: the client may come again";
    ok $server->is_failed && !$server->failures, '... has not failed';
    like $server->error, $reason, '... and the server knows why';
  }
  for my $unless ([], ['XOAUTH2']) {
    my $server = Authen::SASL::Rust::AuthLine->server(
      sasl => Authen::SASL->new(mechanism => "PLAIN @$unless", callback => { checktoken => sub { } }),
      options => { accounts => $users });
    rename "$folder/users", "$folder/away";
    my $said = $server->feed("auth-list-mechanisms\r\n");
    rename "$folder/away", "$folder/users";
    next if is $said, @$unless ? "OK 7\r\nXOAUTH2\r\n" : "INTERNAL_ERROR\r\n", "a list without @$unless" and @$unless;
    like $server->error, qr/\(os error 2\)/, 'of accounts that are away: the server knows why';
    ok $server->is_failed && !$server->failures, '... and nobody has failed';
    is $server->feed("auth-start PLAIN\r\n"), '', '... the dialogue is over';
  }
  for my $later (0, 1) {
    my $server = Authen::SASL::Rust::AuthLine->server(
      sasl => Authen::SASL->new(mechanism => 'PLAIN', callback => { checkpass => sub { die "no database\n" } }),
      $later ? (on_reply => sub { }) : (),
    );
    is eval { $server->feed($LOGIN); 1 }, undef, 'a callback that dies';
    is $@, "no database\n", '... gives its exception to the program';
    is $server->output, "INTERNAL_ERROR\r\n", '... and leaves a reply to the client';
    ok $server->is_failed && !$server->failures, '... which has not failed';
  }
  my $server = Authen::SASL::Rust::AuthLine->server(
    sasl => Authen::SASL->new(mechanism => 'PLAIN', callback => { checkpass => sub { die "no database\n" } }));
  $server->feed("auth-start PLAIN\r\n");
  ok !eval { $server->feed("auth-step 12\r\n\0fred\0pencil\r\n") }, 'a callback that dies in the second message';
  $server->hang_up;
  is $server->failures, 0, '... and a closed connection: no failure is counted';
};

subtest 'die_on_failure is for programs that have no error to ask for' => sub {
  my $server = Authen::SASL::Rust::AuthLine->server(
    sasl => Authen::SASL->new(mechanism => 'PLAIN', callback => { checkpass => sub { 0 } }),
    options => { die_on_failure => 1 },
  );
  is eval { $server->feed($LOGIN) }, "UNAUTHORIZED\r\n", 'a wrong password is one';
  is $server->failures, 1, '... and counted';
};

ok !eval { Authen::SASL::Rust::AuthLine->client(sasl => client_sasl(), nosuch => 1) }, 'unknown arguments die';
like $@, qr/nosuch/, '... by name';

subtest 'login, while signals come' => sub {
  require POSIX;
  require Socket;
  socketpair(my $near, my $far, Socket::AF_UNIX(), Socket::SOCK_STREAM(), Socket::PF_UNSPEC()) or die "socketpair: $!";
  binmode $far;    # PERL_UNICODE=D adds :utf8 to sockets; login handles that itself
  my $pid = fork;
  die "fork: $!" unless defined $pid;
  if (!$pid) {
    close $near;
    my $server = server('PLAIN');
    while ($server->need_more && sysread $far, my $bytes, 4096) {
      select undef, undef, undef, 0.3;
      syswrite $far, $server->feed($bytes);
    }
    POSIX::_exit(0);
  }
  close $far;
  my $signals = 0;
  local $SIG{ALRM} = sub { $signals++ };
  Time::HiRes::setitimer(Time::HiRes::ITIMER_REAL(), 0.05, 0.05);
  my $client = client(mechanism => 'PLAIN');
  ok $client->login($near, timeout => 30), 'they do not end it' or diag $client->error;
  Time::HiRes::setitimer(Time::HiRes::ITIMER_REAL(), 0);
  close $near;
  waitpid $pid, 0;
  cmp_ok $signals, '>', 1, 'signals that came';
};

done_testing;
