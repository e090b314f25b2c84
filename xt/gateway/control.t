# The control socket of sasl-gate: sasl-gate sessions and sasl-gate kick, who may use them, and those who misuse the socket.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use Encode ();
use File::Copy ();
use IO::Select ();
use IO::Socket::INET ();
use IO::Socket::UNIX ();
use POSIX ();
use Server::Beanstalkd ();
use Server::JobTalk qw(connect_to login logs_in say_raw heard_line all_heard job_works);
use Server::SaslConnect ();
use Server::SaslGate ();
use Server::Trial qw(trial utf8);
use Time::HiRes qw(sleep time);

my $beanstalkd = Server::Beanstalkd->start;
my $backend = "127.0.0.1:$beanstalkd->{port}";
my @NAMES = map { utf8($_) } "j\x{f6}rg", 'an na', q{$(touch pwned); 'x' "y" `z` \\ | & *}, "\x{13e}ubica";
my %users = map { $_ => ['pencil'] } 'fred', @NAMES;
my $gate = Server::SaslGate->start(
  backend => $backend, users => \%users, control => 1, lines => "unix_users = { $> = 'worker' }\n",
  limits => "failures_per_address = 1000\n"
);
my $address = "127.0.0.1:$gate->{port}";

sub as { my ($name, $to) = @_; return (login(connect_to($to || $address), user => Encode::decode('UTF-8', $name), pass => 'pencil'))[0] }

# A client of the Unix socket, which needs no password.
sub worker {
  my ($which) = @_;
  my $socket = connect_to(($which || $gate)->dir . '/socket');
  say_raw($socket, "auth-start EXTERNAL 0\r\n\r\n");
  return $socket;
}

sub control_socket {
  my ($which) = @_;
  my ($path) = glob(($which || $gate)->control . '/*');
  return IO::Socket::UNIX->new(Peer => $path) || die "$path: $!";
}

# What the gateway answers to these bytes, until it closes.
sub answer {
  my ($bytes, $and_end) = @_;
  my $socket = control_socket();
  say_raw($socket, $bytes);
  shutdown $socket, 1 if $and_end;
  return all_heard($socket);
}

my $fred = as('fred');

trial 'sessions' => sub {
  is job_works($fred), '', 'a client works';
  my @list = @{ $gate->sessions_of->{fred} };
  is scalar(@list), 1, 'it has one session';
  my ($session, $pid) = ($list[0], $gate->pid);
  like delete $session->{id}, qr/\A$pid-\d+\z/, 'with the process in its ID';
  cmp_ok delete $session->{bytes_in}, '>', 30, 'with what it has sent';
  cmp_ok delete $session->{bytes_out}, '>', 30, '... and was sent';
  cmp_ok delete $session->{seconds}, '<', 60, 'with its age';
  my $peer = $fred->sockhost . ':' . $fred->sockport;
  is_deeply $session, { user => 'fred', mechanism => 'SCRAM-SHA-256', peer => $peer, backend => 'default' }, 'and the rest';
  my ($status, $table) = $gate->operator('sessions');
  is $status, 0, 'the table';
  like $table, qr/\AID +SECONDS +BYTES IN +BYTES OUT +MECHANISM +BACKEND +PEER +USER\n$pid-\d+ .* SCRAM-SHA-256 +default +\Q$peer\E  "fred"\n\z/,
    '... has it in one line';
  my ($other) = $gate->run($gate->binary, 'sessions', '--config', $gate->dir . '/gate.toml') =~ /"(fred)"/;
  is $other, 'fred', 'the folder is found in the configuration too';
};

trial 'kick' => sub {
  for my $name (@NAMES) {
    my @in = map { as($name) } 1, 2;
    is scalar(grep { defined } @in), 2, "$name is in twice" or next;
    is_deeply [$gate->operator('kick', $name)], [0, "sessions ended: 2\n"], '... and is kicked';
    is all_heard($_), '', '... so the connection ends' for @in;
    is $gate->sessions_of->{$name}, undef, '... and is not listed';
  }
  is job_works($fred), '', 'the others stay';
  ok !-e 'pwned', 'no shell has read a name';
  is $gate->metric('sessions_ended_total{reason="kicked"}'), 2 * @NAMES, 'they are counted by their reason';
  ok $gate->logs('user="an na" backend="default" bytes_in=0 bytes_out=0 seconds=0 reason="kicked"'), 'the log has the reason';
  ok $gate->logs("uid=$> what=\"an na\" sessions=2"), '... and the operator';
  my $in = as($NAMES[0]);
  is_deeply [$gate->operator('kick', "jo\xcc\x88rg")], [0, "sessions ended: 1\n"], 'names are prepared as in a login';
  ok as($NAMES[0]), 'who was kicked may come again';
};

trial 'one session' => sub {
  my @in = (as('fred'), as('fred'));
  my @id = map { $_->{id} } sort { $a->{id} =~ s/.*-//r <=> $b->{id} =~ s/.*-//r } @{ $gate->sessions_of->{fred} };
  is_deeply [$gate->operator('kick', '--session', $id[1])], [0, "sessions ended: 1\n"], 'is ended by its ID';
  is all_heard($in[0]), '', 'it is that one';
  is job_works($_), '', 'the others of its user stay' for $fred, $in[1];
  is_deeply [$gate->operator('kick', '--session', $id[1])], [1, "sasl-gate: there is no session $id[1]\n"], 'it is not there again';
  my $other = $id[0] =~ s/\d+/1/r;
  is_deeply [$gate->operator('kick', '--session', $other)], [1, "sasl-gate: there is no session $other\n"], 'nor one of another process';
};

trial 'a client that sends, and one that does not read' => sub {
  my $flood = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die "no socket: $@";
  my $other = Server::SaslGate->start(backend => '127.0.0.1:' . $flood->sockport, control => 1);
  my $client = as('fred', "127.0.0.1:$other->{port}") or die 'no login';
  my $server = $flood->accept;
  $server->blocking(0);
  while (IO::Select->new($server)->can_write(0.3)) { syswrite $server, 'x' x 65_536 or last }
  is_deeply [$other->operator('kick', 'fred')], [0, "sessions ended: 1\n"], 'is kicked';
  $server->blocking(1);
  is all_heard($server, 5), '', 'the backend sees the end';
  my $all = all_heard($client, 5);
  ok defined $all && $all =~ /\Ax+\z/, 'the client too, after what was sent to it before';
  is $other->metric('relaying_connections'), 0, 'nothing is left';

  # A socket that is closed with bytes that were not read resets the connection.
  my $sender = as('fred', "127.0.0.1:$other->{port}") or die 'no login';
  my $deaf = $flood->accept;
  $sender->blocking(0);
  while (IO::Select->new($sender)->can_write(0.3)) { syswrite $sender, 'x' x 65_536 or last }
  is_deeply [$other->operator('kick', 'fred')], [0, "sessions ended: 1\n"], 'a client whose bytes are not taken is kicked';
  ok(IO::Select->new($sender)->can_read(5), '... and sees it');
  is sysread($sender, my $bytes, 10), 0, '... as the end, and not as a reset' or diag $!;
};

trial 'during the login' => sub {
  my $silent = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die "no socket: $@";
  my $password = $gate->write_secret('backend-password', "pencil\n");
  my $other = Server::SaslGate->start(
    backend => '127.0.0.1:' . $silent->sockport, control => 1, limits => "backend_seconds = 30\n",
    lines => "unix_users = { $> = 'worker' }\n", tables => "[backend_login]\nuser = 'gate'\npassword_file = '$password'\n"
  );
  my $socket = worker($other);
  my $at_backend = $silent->accept;
  is scalar @{ $other->sessions_of->{worker} }, 1, 'a client whose backend is not connected yet is listed';
  is_deeply [$other->operator('kick', 'worker')], [0, "sessions ended: 1\n"], '... and is kicked';
  is all_heard($socket), "INTERNAL_ERROR\r\n", '... which its reply says';
  ok $other->logs('reason="kicked" ended before the backend was connected') || $other->logs('ended before the backend was connected'), '... and the log';
  is $other->metric($_), 0, "$_ is 0" for qw(login_failures_total logins_total relaying_connections);
};

trial 'errors in words' => sub {
  my @cases = (
    [['kick', 'nobody'], qr/\Asasl-gate: "nobody" has no session\n\z/, 'a user who is not connected'],
    [['kick', ''], qr/"" is not a user name/, 'no name'],
    [['kick', "x\ny"], qr/"x\\ny" is not a user name/, 'two lines'],
    [['kick', '--session', '12'], qr/expected an ID such as 4242-17/, 'a wrong ID'],
    [['kick'], qr/required arguments.*USER/s, 'no user'],
    [['kick', 'fred', '--session', '1-1'], qr/cannot be used with/, 'both'],
    [['kick', 'x' x 20_000], qr/refused: the request is too long/, 'a very long name'],
  );
  for my $case (@cases) {
    my ($words, $expected, $what) = @$case;
    my ($status, $output) = $gate->operator(@$words);
    is $status, 1, "$what fails";
    like $output, $expected, '... in words';
  }
  my $nowhere = $gate->dir . '/nowhere';
  ok !eval { $gate->run($gate->binary, 'sessions', '--control', $nowhere) }, 'a folder that does not exist';
  like $@, qr/\Q$nowhere\E: there is no such folder; does a gateway run with this setting of control\?/, '... in words';
  mkdir $nowhere;
  IO::Socket::UNIX->new(Local => "$nowhere/1", Listen => 1) or die "$nowhere: $!";
  ok !eval { $gate->run($gate->binary, 'sessions', '--control', $nowhere) }, 'a socket that nobody serves';
  like $@, qr/\Q$nowhere\E: no gateway answers there/, '... in words';
  my $config = $gate->write_file('no-control.toml', "users = '/u'\n");
  ok !eval { $gate->run($gate->binary, 'sessions', '--config', $config) }, 'a configuration without it';
  like $@, qr/no-control.toml: control is not set/, '... in words';
  ok !eval { $gate->run('/bin/sh', '-c', '"$@" > /dev/full', 'sh', $gate->binary, 'sessions', '--control', $gate->control) }, 'a full disk';
  like $@, qr/standard output: No space left/, '... in words';
};

# nobody gets in by the folder, nor by the socket if the folder is opened.
trial 'another user' => sub {
  my $copy = $gate->dir . '/sasl-gate';
  File::Copy::copy($gate->binary, $copy) or die "$copy: $!";
  chmod 0755, $copy or die "$copy: $!";
  my @as_nobody = ('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', $copy, 'sessions', '--control', $gate->control);
  my $mode = sub { sprintf '%04o', (stat $_[0])[2] & 07777 };
  my ($socket) = glob $gate->control . '/*';
  is_deeply [$mode->($gate->control), $mode->($socket)], ['0700', '0600'], 'the modes';
  ok !eval { $gate->run(@as_nobody) }, 'cannot enter the folder';
  like $@, qr/permission denied; run this as the gateway's user or as root/, '... in words';
  chmod 0755, $gate->control;
  ok !eval { $gate->run(@as_nobody) }, 'cannot open the socket';
  like $@, qr/ermission denied/, '... in words';
  chmod 0666, $socket;
  ok !eval { $gate->run(@as_nobody) }, 'is refused where the modes are wrong';
  like $@, qr/refused: only the gateway's user and root may use this socket/, '... in words';
  ok $gate->logs('another user is refused at the control socket uid=65534'), '... and the log has it';
  my $run = sub { eval { $gate->run($gate->binary, '--users', $gate->dir . '/users', '--listen', '127.0.0.1:' . $gate->free_port, '--control', $_[0]) }; return $@ };
  like $run->($gate->control), qr/control: others can enter it \(chmod 700\)|control: .*: others can enter it \(chmod 700\)/, 'a gateway does not start with such a folder';
  chmod 0600, $socket;
  chmod 0700, $gate->control;
  my $strange = $gate->dir . '/strange';
  mkdir $strange, 0700;
  chown 65_534, -1, $strange;
  like $run->($strange), qr/it does not belong to the user of this program/, '... nor with that of another user';
  like $run->($gate->dir . '/users'), qr/not a folder/, '... nor with a file';
  like $run->('control'), qr/absolute path/, '... nor with a relative path';
  is ref $gate->sessions_of, 'HASH', 'the right user is served';
};

trial 'bytes that are no request' => sub {
  for my $case (
    ["sessions\r\n", qr/\Aerror unknown request\n\z/], ["\n", qr/\Aerror unknown request\n\z/], ["kick user \n", qr/\Aerror no user\n\z/],
    ["kick session 1\n", qr/\Aerror not the ID/], ["\xff\xfe\n", qr/\Aerror not UTF-8\n\z/], ["\0\0\0\0\n", qr/\Aerror unknown/],
    ["sessions\nkick user fred\n", qr/\Aerror more than one request\n\z/], ['x' x 40_000, qr/\A(?:error the request is too long\n)?\z/],
    [join('', map { chr } grep { $_ != 10 } 0 .. 255) . "\n", qr/\Aerror not UTF-8/],
    )
  {
    like answer($case->[0]), $case->[1], 'is an error';
  }
  is answer('sessio', 1), "error the request has no end\n", 'a part of a request, and the end';
  is job_works($fred), '', 'nobody was kicked';
};

# 1,000 sessions, and operators who are slow.
trial 'many' => sub {
  my @many = map { worker() } 1 .. 1000;
  is scalar(grep { heard_line($_) eq "OK\r\n" } @many), 1000, '1,000 clients are in';
  my $list = $gate->sessions_of;
  is scalar @{ $list->{worker} }, 1000, '... and are listed';
  is scalar keys %{ { map { $_->{id} => 1 } @{ $list->{worker} } } }, 1000, '... each with its own ID';
  my @slow = map { my $socket = control_socket(); say_raw($socket, "sessions\n"); $socket } 1 .. 30;
  my @silent = map { control_socket() } 1 .. 30;
  my @partial = map { my $socket = control_socket(); say_raw($socket, 'sess'); $socket } 1 .. 30;
  my $begin = time;
  is job_works($fred), '', 'operators who do not read or write hold up no relay';
  ok as('fred'), '... and no login';
  is scalar @{ $gate->sessions_of->{worker} }, 1000, '... and no other operator';
  cmp_ok time - $begin, '<', 5, '... at once';
  my $cut = grep { my $all = all_heard($_); defined $all && $all !~ /^ok \d+\n\z/m } @slow;
  cmp_ok $cut, '>=', 14, "of too many operators the oldest are disconnected ($cut)";
  is_deeply [$gate->operator('kick', 'worker')], [0, "sessions ended: 1000\n"], 'all are kicked';
  is scalar(grep { my $all = all_heard($_); defined $all && $all eq '' } @many), 1000, '... and end';
  ok $gate->metric_becomes(relaying_connections => scalar map { @$_ } values %{ $gate->sessions_of }), 'the rest stay';
};

# The order of the sockets in the folder is accidental, so there are many of the broken ones.
trial 'processes that do not answer' => sub {
  my @broken = map { $gate->control . "/$_" } 1 .. 16;
  my @sockets = map { IO::Socket::UNIX->new(Local => $_, Listen => 5) || die "$_: $!" } @broken;
  my $answers = fork;
  die "fork: $!" if !defined $answers;
  if (!$answers) {
    my $select = IO::Select->new(@sockets);
    while (my @asked = $select->can_read(60)) {
      for my $socket (map { scalar $_->accept } @asked) { readline $socket }
    }
    POSIX::_exit(0);
  }
  close $_ for @sockets;
  my @in = map { as('an na') } 1, 2;
  my ($status, $printed) = $gate->operator('sessions');
  is $status, 1, 'the list of sessions is not complete';
  like $printed, qr/"an na"$/m, '... but has those of the process that answers';
  like $printed, qr{\Q$_\E: the answer is not complete}, "... and the reason for $_" for @broken[0, 15];
  like [$gate->operator('kick', 'an na')]->[1], qr/^sessions ended: 2$/m, 'and a user is kicked there';
  is all_heard($_), '', '... and ends' for @in;
  kill TERM => $answers;
  waitpid $answers, 0;
  unlink @broken;
};

# Its clients have no names.
trial 'a sidecar' => sub {
  my $folder = $gate->dir . '/of-sidecar';
  my $password = $gate->write_secret('of-sidecar-password', "pencil\n");
  my $sidecar = Server::SaslConnect->start(backend => $address, options => ['--user', 'fred', '--password-file', $password, '--control', $folder]);
  my @in = map { connect_to("127.0.0.1:$sidecar->{port}") } 1, 2;
  is job_works($_), '', 'its clients work' for @in;
  my @lines = split /\n/, $gate->run($gate->binary, 'sessions', '--json', '--control', $folder);
  is scalar @lines, 2, '... and are listed';
  like $lines[0], qr/"user":null,"mechanism":null,"peer":"127\.0\.0\.1:\d+","backend":"\Q$address\E"/, '... with the gateway, and without a user';
  my $peer = $in[0]->sockhost . ':' . $in[0]->sockport;
  my ($id) = map { /"id":"([^"]+)"/ ? $1 : () } grep { /"\Q$peer\E"/ } @lines;
  is $gate->run($gate->binary, 'kick', '--control', $folder, '--session', $id), "sessions ended: 1\n", 'one is kicked';
  is all_heard($in[0]), '', '... and ends';
  is job_works($in[1]), '', 'the other one stays';
};

trial 'a hand-over' => sub {
  my $two = Server::SaslGate->start(backend => $backend, supervised => 1, control => 1, limits => "drain_seconds = 60\n");
  my $place = "127.0.0.1:$two->{port}";
  my @in = (as('fred', $place));
  my ($old) = $two->processes;
  kill USR2 => $old or die "kill: $!";
  ok $two->logs('replaced by a new process'), 'there is a new process';
  push @in, as('fred', $place);
  my @pids = map { $_->{id} =~ s/-.*//r } @{ $two->sessions_of->{fred} };
  is_deeply [sort @pids], [sort $two->processes], 'the sessions of both processes are listed';
  is job_works($_), '', 'both work' for @in;
  is_deeply [$two->operator('kick', 'fred')], [0, "sessions ended: 2\n"], 'both are kicked';
  is all_heard($_), '', 'both end' for @in;
  for my $try (1 .. 100) { last if $two->processes == 1; sleep 0.05 }
  my ($new) = $two->processes;
  is_deeply [glob $two->control . '/*'], [$two->control . "/$new"], 'the socket of the old process is gone';
  kill KILL => $new;
  for my $try (1 .. 100) { last if !$two->processes; sleep 0.05 }
  like [$two->operator('sessions')]->[1], qr/no gateway answers there/, 'nor is that of a killed one used';
};

unlike $gate->log_text, qr/panicked|pencil/, 'no panic, no password in the log';

done_testing;
