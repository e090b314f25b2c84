# A plugin's questions behave like those of our own mechanisms: callbacks that die, answer later or never; recursive steps;
# canonical names; programs that drop a connection in the middle.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use Test::More;

use Authen::SASL qw(Rust);

Authen::SASL::Rust->plugins(load => 'plain crammd5 scram ntlm', prefer => 'plugins');

sub client {
  my ($mechanism, %callback) = @_;
  return Authen::SASL->new(mechanism => $mechanism, callback => {user => 'fred', pass => 'pencil', %callback})
    ->client_new('imap', 'localhost');
}

sub server {
  my ($mechanism, %callback) = @_;
  return Authen::SASL->new(mechanism => $mechanism, callback => \%callback)->server_new('imap', 'localhost');
}

# The client's messages up to the one that makes the server ask.
sub asking {
  my ($server, $mechanism) = @_;
  my $client = client($mechanism);
  return $client->client_start if $mechanism eq 'PLAIN';
  my $first = $client->client_start;
  my $challenge = $server->server_start($client->property('message_absent') ? undef : $first);
  return $client->client_step($challenge);
}

my $PLAIN = "\0fred\0pencil";

subtest 'a callback dies' => sub {
  for my $round (1 .. 3) {
    my $server = server('PLAIN', checkpass => sub { die {reason => 'the disk is full'} });
    is eval { $server->server_start($PLAIN); 1 }, undef, 'the exception passes';
    is_deeply $@, {reason => 'the disk is full'}, 'as it was';
    like $server->error, qr/\APLAIN server: callback checkpass died/, 'and the exchange has failed';
    ok !$server->is_success && !$server->need_step, 'for good';
    $server->callback(checkpass => sub { 1 });
    ok defined $server->server_start($PLAIN) && $server->is_success, 'a new one on the same connection goes well';
  }
};

subtest 'a callback leaves by exit' => sub {
  my $pid = fork;
  die "fork: $!" if !defined $pid;
  if (!$pid) {
    open STDERR, '>', '/dev/null';
    server('PLAIN', checkpass => sub { exit 7 })->server_start($PLAIN);
    require POSIX;
    POSIX::_exit(0);
  }
  waitpid $pid, 0;
  is $?, 7 << 8, 'and the program ends so';
};

subtest 'an answer that comes later' => sub {
  for my $mechanism (qw(PLAIN CRAM-MD5 NTLM)) {
    my ($answer, @heard);
    my $callback = $mechanism eq 'PLAIN' ? 'checkpass' : 'getsecret';
    my $server = server($mechanism, $callback => sub { $answer = $_[-1]; return });
    my $message = asking($server, $mechanism);
    my $method = $mechanism eq 'PLAIN' ? 'server_start' : 'server_step';
    $server->$method($message, sub { push @heard, [@_] });
    is scalar @heard, 0, "$mechanism: nothing yet";
    ok $server->need_step && !$server->is_success, 'the connection waits';
    is $server->server_step('x'), undef, 'another step';
    like $server->error, qr/still waits for the answer of a callback/, 'is refused';
    $answer->($mechanism eq 'PLAIN' ? 1 : 'pencil');
    is scalar @heard, 1, 'then the continuation is called once';
    ok $server->is_success, 'and fred is in' or diag $server->error;
    $answer->(0);
    ok $server->is_success, 'a second answer changes nothing';
  }
};

subtest 'an answer that never comes' => sub {
  for my $end ('the continuation is dropped', 'the connection is dropped', 'started again') {
    my (@kept, $times);
    my $server = server('PLAIN', checkpass => sub { push @kept, $_[-1]; return });
    $server->server_start($PLAIN, sub { $times++ });
    if ($end eq 'the continuation is dropped') {
      @kept = ();
      is $times, 1, "$end: the program hears of it";
      like $server->error, qr/neither called its continuation nor kept it/, 'with the reason';
    }
    elsif ($end eq 'started again') {
      $server->server_start($PLAIN, sub { $times += 10 });
      $kept[0]->(1);
      ok !$server->is_success, 'the old answer is ignored';
      $kept[1]->(1);
      ok $server->is_success, 'the new one counts';
      is $times, 10, 'once';
    }
    else {
      undef $server;
      $kept[0]->(1);
      is $times, undef, "$end: no continuation is called";
    }
  }
};

subtest 'what a callback may do' => sub {
  my @seen;
  my $server = server('SCRAM-SHA-256', getsecret => sub {
    my ($conn, $query) = @_;
    push @seen, $query->{user}, $query->{mechanism}, $conn->mechanism, $conn->host;
    $conn->server_step('x');
    push @seen, $conn->error;
    return 'pencil';
  });
  my $client = client('SCRAM-SHA-256');
  my $challenge = $server->server_start($client->client_start);
  is_deeply [@seen[0 .. 3]], ['fred', 'SCRAM-SHA-256', 'SCRAM-SHA-256', 'localhost'], 'it knows what it is asked';
  like $seen[4], qr/still waits/, 'and cannot step';
  my $last = $server->server_step($client->client_step($challenge));
  ok defined $client->client_step($last) && $client->is_success && $server->is_success, 'the exchange goes on';
};

subtest 'canonical names' => sub {
  my @asked;
  my %callback = (
    canonuser => sub { my ($conn, $kind, undef, undef, $name) = @_; push @asked, "$kind $name"; return lc $name },
    getsecret => sub { push @asked, "secret $_[1]{user}"; return $_[1]{user} eq 'fred' ? 'pencil' : undef },
  );
  my $server = server('CRAM-MD5', %callback);
  my $client = client('CRAM-MD5', user => 'FRED');
  my $challenge = $server->server_start;
  ok defined $server->server_step($client->client_step($challenge)), 'the name is made canonical' or diag $server->error;
  is $server->property('user'), 'fred', 'and is the name that the server returns';
  is_deeply \@asked, ['AUTHID FRED', 'secret fred'], 'each was asked once';
  $server = server('CRAM-MD5', %callback, canonuser => sub { undef });
  $challenge = $server->server_start;
  is $server->server_step(client('CRAM-MD5')->client_step($challenge)), undef, 'a name without a user';
  like $server->error, qr/wrong password or unknown user \(SASL_BADAUTH\)/, 'is refused';
};

subtest 'what is missing' => sub {
  my $died = !eval { Authen::SASL->new(mechanism => 'NTLM', callback => {user => 'fred'})->client_new('imap', 'h') };
  ok $died, 'no password';
  like $@, qr/NTLM: there is no callback pass/, 'is known before anything is sent';
  my $client = client('NTLM', pass => sub { undef });
  $client->client_start;
  is $client->client_step("NTLMSSP\0\2\0\0\0" . "\0" x 40), undef, 'undef for a password';
  like $client->error, qr/\ANTLM client: /, 'is an error';
  my $server = server('PLAIN', getsecret => sub { undef });
  is $server->server_start($PLAIN), undef, 'an unknown user';
  like $server->error, qr/\APLAIN server: .*\(SASL_BADAUTH\)\z/, 'is refused as a wrong password is';
  unlike $server->error, qr/pencil/, 'without telling the secret';
  $server = server('PLAIN', getsecret => sub { 'pencil' });
  is $server->server_start('no NUL in it'), undef, 'a damaged message';
  like $server->error, qr/\APLAIN server: .*\(SASL_BADPROT\)\z/, 'is one';
};

subtest 'the log' => sub {
  my @lines;
  my %log = (log => sub { my ($conn, $level, $line) = @_; push @lines, "$level " . $conn->mechanism . " $line" });
  my $login = sub {
    my ($level) = @_;
    my $options = {plugins => {load => 'digestmd5', prefer => 'plugins', options => {log_level => $level}}};
    my $server = Authen::SASL->new(mechanism => 'DIGEST-MD5', callback => {getsecret => sub { 'pencil' }, %log})
      ->server_new('imap', 'localhost', $options);
    my $client = client('DIGEST-MD5');
    $client->client_start;
    my $challenge = $server->server_start;
    $server->server_step($client->client_step($challenge));
    return $server;
  };
  ok $login->(5)->is_success, 'a login that is logged';
  ok scalar(grep { /\A5 DIGEST-MD5 .*step/ } @lines), 'line by line' or diag explain \@lines;
  unlike "@lines", qr/pencil/, 'without the secret';
  @lines = ();
  ok $login->(1)->is_success, 'errors alone';
  is_deeply \@lines, [], 'of which there are none';
  $log{log} = sub { die "the log is full\n" };
  is eval { $login->(5); 1 }, undef, 'a log that dies';
  is $@, "the log is full\n", 'is heard';
  %log = ();
  ok $login->(5)->is_success, 'without the callback nothing happens';

  my $owed;
  %log = (log => sub { push @lines, $_[2] }, getsecret => sub { $owed = $_[2]; return });
  my $server = Authen::SASL->new(mechanism => 'DIGEST-MD5', callback => {%log})->server_new('imap', 'localhost',
    {plugins => {load => 'digestmd5', prefer => 'plugins', options => {log_level => 5}}});
  my $client = client('DIGEST-MD5');
  $client->client_start;
  $server->server_step($client->client_step($server->server_start), sub { });
  ok $owed && @lines, 'a line while an answer is owed';
  undef $owed;
  like $server->error, qr/callback getsecret .*continuation/, '... does not take the blame when it never comes';
};

done_testing;
