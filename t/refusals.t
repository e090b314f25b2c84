# The effects of a wrong password: for the stock Net::SMTP, for the user, and in the logs of the servers in eg/.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Loopback ();
use Test::More;
use Authen::SASL qw(Rust);
use File::Temp qw(tempfile);
use IO::Socket::INET;
use MIME::Base64 qw(decode_base64 encode_base64);
use Net::SMTP;

my @perl = ($^X, map { "-I$_" } grep { !ref } @INC);

# Starts a server of eg/; returns its process, log and port.
sub start {
  my ($program) = @_;
  my $pid = open(my $log, '-|', @perl, $program) or die "$program: $!";
  local $SIG{ALRM} = sub { die "$program says nothing\n" };
  alarm 60;
  my $line = <$log>;
  alarm 0;
  my ($port) = ($line || '') =~ /:([0-9]+)$/ or return;
  return { pid => $pid, log => $log, port => $port };
}

sub stop {
  my ($server) = @_;
  kill 'TERM', $server->{pid};
  my $rest = do { local $/; readline $server->{log} };
  close $server->{log};
  return $rest;
}

# Sends one line as a client, and returns the reply.
sub client_of {
  my ($server) = @_;
  my $socket = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$server->{port}", Timeout => 20) or die "connect: $@";
  return sub {
    my ($line) = @_;
    return close $socket unless defined $line;
    local $SIG{ALRM} = sub { die "no answer\n" };
    alarm 60;
    print $socket "$line\r\n" if length $line;
    my $reply = <$socket>;
    alarm 0;
    return $reply;
  };
}

my $alone = Loopback::missing();

subtest 'eg/mail-server and Net::SMTP' => sub {
  plan skip_all => $alone if $alone;
  my $server = start('eg/mail-server');
  my @warnings;
  local $SIG{__WARN__} = sub { push @warnings, @_ };
  for my $who (['fred', 'rubber'], ['nobody', 'pencil']) {
    my $smtp = Net::SMTP->new('127.0.0.1', Port => $server->{port}, Timeout => 60) or die "connect: $@";
    ok(!$smtp->auth(@$who), "$who->[0]: no login");
    is($smtp->code, 535, 'by the reply that every client knows');
    is_deeply(\@warnings, [], 'and without a warning of perl');
    $smtp->quit;
  }

  # The first program of README.md, with another password.
  open my $readme, '<', 'README.md' or die "README.md: $!";
  my ($program) = do { local $/; <$readme> } =~ /^```perl\n(.*?)^```/ms;
  $program =~ s/2525/$server->{port}/ and $program =~ s/pencil/rubber/ or die 'README.md has another program';
  my ($file, $name) = tempfile(UNLINK => 1);
  print $file "BEGIN { open STDERR, '>&', \\*STDOUT or die }\n$program";
  close $file or die "$name: $!";
  open my $out, '-|', @perl, $name or die "perl: $!";
  is(do { local $/; <$out> }, "5.7.8 authentication failed\n\n", 'README.md: the reason, and no warning');
  close $out;

  my $say = client_of($server);
  $say->('');
  like($say->('AUTH PLAIN '), qr/^334 /, "a blank after the mechanism's name is taken");
  like($say->('AGZyZWQAcGVuY2ls'), qr/^235 /, 'and the login goes on');
  my $scram = 'AUTH SCRAM-SHA-256 ' . encode_base64('n,,n=fred,r=abc', '');
  $say = client_of($server);
  $say->('');
  for my $end ('*', 'no base64', '*') {
    like($say->($scram), qr/^334 /, 'a login that has begun');
    like($say->($end), qr/^501 /, "... and ended by '$end'");
  }
  like($say->(''), qr/^421 /, 'is one that has failed');
  $say = client_of($server);
  $say->('');
  like($say->($scram), qr/^334 /, 'begun once more');
  $say->(undef);
  $say = client_of($server);
  like($say->(''), qr/^220 /, '... by one that hangs up');
  my $log = stop($server);
  is(scalar(() = $log =~ /: refused: .*the peer ended the exchange before its end/g), 4, 'the log has what was begun');
  is(scalar(() = $log =~ /: refused: SCRAM-SHA-256 server: authentication failed/g), 3, 'the log has each refusal');
};

subtest 'eg/event-server' => sub {
  plan skip_all => $alone if $alone;
  plan skip_all => 'IO::Async is not installed' unless eval { require IO::Async::Loop; 1 };
  my $server = start('eg/event-server') or return fail('it starts');
  my $scram = sub {
    my ($password) = @_;
    return Authen::SASL->new(mechanism => 'SCRAM-SHA-256', callback => { user => 'fred', pass => $password })->client_new('pop', 'h');
  };
  my $say = client_of($server);
  $say->('');
  for my $count (1 .. 3) {
    my $client = $scram->('rubber');
    my ($challenge) = $say->('AUTH SCRAM-SHA-256 ' . encode_base64($client->client_start, '')) =~ /^\+ (\S+)/;
    my $reply = $say->(encode_base64($client->client_step(decode_base64($challenge)), ''));
    like($reply, qr/^-ERR \[AUTH\]/, "wrong password $count: refused at once");
  }
  is($say->(''), undef, 'after three the connection is closed');

  $say = client_of($server);
  $say->('');
  $say->('AUTH SCRAM-SHA-256 ' . encode_base64($scram->('rubber')->client_start, ''));
  $say->(undef);
  $say = client_of($server);
  like($say->(''), qr/^\+OK/, 'the next one');
  my $log = stop($server);
  is(scalar(() = $log =~ /^refused: SCRAM-SHA-256 server: authentication failed/mg), 3, 'each refusal is in the log');
  is(scalar(() = $log =~ /^refused: the login was not finished$/mg), 1, 'and a client that hangs up in the middle');
};

subtest 'eg/event-server, and a directory that is away' => sub {
  plan skip_all => 'IO::Async is not installed' unless eval { require IO::Async::Loop; 1 };
  require './eg/event-server';
  require Authen::SASL::Rust::Accounts;
  my $away = Authen::SASL::Rust::Accounts->new(saslauthd => '/nonexistent/mux', timeout => 0.5);
  my $conn = Authen::SASL->new(mechanism => 'PLAIN')->server_new('pop', 'h', { accounts => $away });
  $conn->server_start("\0fred\0pencil");
  is($conn->code, -24, 'it cannot be asked');
  my @said;
  my $session = bless { conn => $conn, failures => 0, server => { log => sub { } } }, 'EventServer::Session';
  no warnings qw(redefine once);
  local *EventServer::Session::reply = sub { push @said, $_[1]; return };
  $session->finish(1);
  is_deeply(\@said, ['-ERR [SYS/TEMP] try again later'], 'which is not a mistake of the client');
};

subtest 'what the user sees' => sub {
  my $server = Authen::SASL->new(mechanism => 'SCRAM-SHA-256', callback => { getsecret => sub { 'pencil' } })->server_new('imap', 'h');
  my $client = Authen::SASL->new(mechanism => 'SCRAM-SHA-256', callback => { user => 'fred', pass => 'rubber' })->client_new('imap', 'h');
  $client->client_step($server->server_step($client->client_step($server->server_start($client->client_start))));
  is($client->error, 'SCRAM-SHA-256 client: the server refused: invalid-proof (wrong password or unknown user) (SASL_BADAUTH)', 'SCRAM');
  my $token = Authen::SASL->new(mechanism => 'XOAUTH2', callback => { user => 'fred', token => 'abc' })->client_new('imap', 'h');
  $token->client_start;
  $token->client_step('{"status":"400","schemes":"Bearer","error_description":"The token expired."}');
  like($token->error, qr/^XOAUTH2 client: the server refused: 400: The token expired\. \(/, "XOAUTH2: the server's words");
};

done_testing;
