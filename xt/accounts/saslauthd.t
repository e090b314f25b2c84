# Servers with Cyrus SASL's saslauthd as account store: the real one, in front of a Dovecot, and fake ones. libsasl2's own
# client shows what has to be sent.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use Authen::SASL::Rust::Accounts;
use File::Temp qw(tempdir);
use IO::Socket::UNIX ();
use Peer::Compiler ();
use Server::Dovecot ();
use Server::Saslauthd ();
use Time::HiRes qw(time);

my $folder = tempdir(CLEANUP => 1);
my $dovecot =
  Server::Dovecot->start(users => { fred => 'pencil', "j\x{fc}rgen" => "cr\x{e8}me", spacy => 'a "quoted" \\ one' });
my $daemon = Server::Saslauthd->start(imap => $dovecot->{imap});
my $REFUSED = qr/^\w+ server: authentication failed: wrong password or unknown user \(SASL_BADAUTH\)\z/;

sub server {
  my ($mechanism, $accounts, %option) = @_;
  return Authen::SASL->new(mechanism => $mechanism)->server_new('imap', 'h', { accounts => $accounts, %option });
}

subtest 'the real one' => sub {
  my $accounts = Authen::SASL::Rust::Accounts->new(saslauthd => $daemon->mux, timeout => 20);
  for my $mechanism (qw(PLAIN LOGIN)) {
    for my $case (['fred', 'pencil', 1], ['fred', 'crayon', 0], ['nobody', 'pencil', 0], ["j\xfcrgen", "cr\xe8me", 1]) {
      my ($user, $password, $right) = @$case;
      my $client = Authen::SASL->new(mechanism => $mechanism, callback => { user => $user, pass => $password })
        ->client_new('imap', 'h');
      my $server = server($mechanism, $accounts);
      my $message = $server->server_start($client->client_start);
      while ($server->need_step) { $message = $server->server_step($client->client_step($message)) }
      is(!!$server->is_success, !!$right, "$mechanism, $user: " . ($right ? 'in' : 'refused')) or diag $server->error;
      $right
        ? is($server->property('user'), do { utf8::encode(my $octets = $user); $octets }, 'under that name')
        : like($server->error, $REFUSED, 'as a wrong password');
    }
  }
  ok($daemon->logs('[user=fred] [service=imap]'), 'the daemon was asked');
  is($accounts->check('spacy', 'a "quoted" \\ one', service => 'imap'), 1, 'check');
  is($accounts->check('spacy', 'a "quoted"', service => 'imap'), 0, 'check: no');
  is($accounts->check('fred', $_), 0, 'nothing that the daemon would misread')
    for "pencil\0", "pencil\0x", '', 'x' x 1000;
  is($accounts->check($_, 'pencil'), 0, 'in a name too') for "fred\0", '', 'x' x 1000;
};

# Starts a fake daemon that serves connections with the code, one after the other; returns its process.
sub false_daemon {
  my ($path, $serve) = @_;
  my $listener = IO::Socket::UNIX->new(Local => $path, Listen => 5) or die "$path: $!";
  my $pid = fork // die "fork: $!";
  return $pid if $pid;
  alarm 60;
  while (my $connection = $listener->accept) { $serve->($connection) }
  exit 0;
}

subtest 'what is sent' => sub {
  my $libsasl2 = Peer::Compiler->build('cyrus-checkpass', 'sasl2');
  my $mux = "$folder/tells";
  my $pid = false_daemon(
    $mux,
    sub {
      my ($connection) = @_;
      sysread $connection, my $request, 5000;
      open my $out, '>', "$folder/request" or die $!;
      print $out $request;
      close $out;
      print $connection "\0\2OK";
    }
  );
  my $request = sub { open my $in, '<', "$folder/request" or return; local $/; return unpack 'H*', scalar <$in> };
  my @cases = (
    ['imap', undef, 'fred', 'pencil'], ['imap', undef, 'fred@home', 'pencil'], ['smtp', undef, 'a@b@c', 'p w'],
    ['imap', 'home', 'fred', 'pencil'], ['imap', 'home', 'fred@home', 'pencil'],
    ['imap', undef, "j\xc3\xbcrgen", "cr\xc3\xa8me"],
    ['imap', undef, 'x' x 200, 'y' x 250]
  );
  for my $case (@cases) {
    my ($service, $realm, $user, $password) = @$case;
    open my $theirs, '-|', $libsasl2, $mux, $service, defined $realm ? $realm : '-', $user, $password or die $!;
    is(scalar <$theirs>, "0\n", "libsasl2 asks for $user");
    close $theirs;
    my $expected = $request->();
    unlink "$folder/request";
    my $accounts = Authen::SASL::Rust::Accounts->new(saslauthd => $mux);
    is($accounts->check($user, $password, service => $service, realm => $realm), 1, 'and so do we');
    is($request->(), $expected, 'in the same bytes');
  }
  kill TERM => $pid;
  waitpid $pid, 0;
};

subtest 'false ones' => sub {
  local $SIG{PIPE} = 'DEFAULT';
  my $number = 0;
  my $take = sub { sysread $_[0], my $request, 5000 };
  my @cases = (
    ['gone before it reads', sub { close $_[0] }, qr/SASL_UNAVAIL/],
    [
      'gone after it has read', sub { $take->(@_); close $_[0] }, qr/ended in the middle of its answer \(SASL_UNAVAIL\)/
    ],
    ['half an answer', sub { $take->(@_); print { $_[0] } "\0\2O" }, qr/ended in the middle/],
    ['another length', sub { $take->(@_); print { $_[0] } "\0\12OK" }, qr/ended in the middle/],
    [
      'neither OK nor NO', sub { $take->(@_); print { $_[0] } "\0\3YES" },
      qr/answered neither OK nor NO: YES \(SASL_UNAVAIL\)/
    ],
    ['OK in small letters', sub { $take->(@_); print { $_[0] } "\0\2ok" }, qr/answered neither/],
    ['no answer', sub { $take->(@_); sleep 5 }, qr/no answer within 0\.5 seconds \(SASL_UNAVAIL\)/],
    ['NO', sub { $take->(@_); print { $_[0] } "\0\12NO because" }, $REFUSED],
  );
  for my $case (@cases) {
    my ($what, $serve, $why) = @$case;
    my $mux = "$folder/false-" . $number++;
    my $pid = false_daemon($mux, $serve);
    my $server = server('PLAIN', Authen::SASL::Rust::Accounts->new(saslauthd => $mux, timeout => 0.5));
    my $begin = time;
    is_deeply([$server->server_start("\0fred\0pencil")], [], "$what: refused");
    like($server->error, $why, 'with its own reason');
    cmp_ok(time - $begin, '<', 3, 'in time');
    kill TERM => $pid;
    waitpid $pid, 0;
  }
  my $server = server('PLAIN', Authen::SASL::Rust::Accounts->new(saslauthd => "$folder/false-0"));
  $server->server_start("\0fred\0pencil");
  like($server->error, qr/it cannot be reached: Connection refused.* \(SASL_UNAVAIL\)/, 'no process listens any more');
};

done_testing;
