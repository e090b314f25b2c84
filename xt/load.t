# 1,000 simultaneous logins on eg/event-server, while its directory answers late, twice, too late, never, or dies: each ends as
# it should, and afterwards no connection and no memory is leaked.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use Boundary::Memory qw(resident);
use File::Spec;
use IO::Async::Loop;
use IO::Async::Stream;
use IO::Handle;
use IO::Socket::INET;
use JSON::PP qw(decode_json encode_json);
use MIME::Base64 qw(decode_base64 encode_base64);
use Net::POP3;
use POSIX ();
use Scalar::Util qw(weaken);
use Socket qw(AF_UNIX PF_UNSPEC SOCK_STREAM);
use Time::HiRes qw(sleep time);

my @PERL = ($^X, map { "-I$_" } grep { !ref } @INC);

# A process with 1,000 sockets needs more file handles than some shells allow.
my $HANDLES = 2_000;
if (POSIX::sysconf(POSIX::_SC_OPEN_MAX()) < $HANDLES) {
  die "1,000 logins need $HANDLES handles, see ulimit -n\n" if $ENV{LOAD_TEST_HANDLES}++;
  exec 'sh', '-c', 'ulimit -n "$0" && exec "$@"', $HANDLES, @PERL, $0 or die "sh: $!";
}

my $PATIENCE = 240;                     # timeout of the server in seconds, until all others have been answered
my $HURRY = 0.2;                        # timeout after that
my $SPREAD = 1.5;                       # range of the delays of the answers, in seconds
my ($OK, $NO, $LATER) = ('+OK welcome', '-ERR [AUTH] no', '-ERR [SYS/TEMP] try again later');
my $SILENT = '-ERR [SYS/TEMP] no answer, try again later, closed';
my $EARLY = '-ERR wait for the reply, closed';
my $GONE = '';                          # the client leaves before any reply

# The kinds of logins: number, the client's mechanism and password, the result, and the behaviour of the directory.
my %kind = (
  right => [210, 'SCRAM-SHA-256', 'pencil', $OK, \&answer],
  plain => [140, 'PLAIN', 'pencil', $OK, \&answer],
  wrong => [100, 'SCRAM-SHA-256', 'rubber', $NO, \&answer],
  unwelcome => [60, 'PLAIN', 'rubber', $NO, \&answer],
  unknown => [40, 'SCRAM-SHA-256', 'pencil', $NO, sub { answer(@_[0, 1], undef, @_[3, 4]) }],
  # A secret that is no use is answered as an unknown user is.
  malformed => [20, 'SCRAM-SHA-256', 'pencil', $NO, sub { answer(@_[0, 1], 'SCRAM-SHA-256$x', @_[3, 4]) }],
  never => [40, 'SCRAM-SHA-256', 'pencil', $SILENT, \&forget],
  never_plain => [30, 'PLAIN', 'pencil', $SILENT, \&forget],
  left => [60, 'SCRAM-SHA-256', 'pencil', $GONE, \&forget],
  late => [40, 'SCRAM-SHA-256', 'pencil', $GONE, \&answer_when_gone],
  late_plain => [30, 'PLAIN', 'pencil', $GONE, \&answer_when_gone],
  dies => [30, 'SCRAM-SHA-256', 'pencil', $LATER, \&die_now],
  dies_plain => [30, 'PLAIN', 'pencil', $LATER, \&die_now],
  dies_later => [40, 'PLAIN', 'pencil', $LATER, \&die_later],
  impatient => [20, 'PLAIN', 'pencil', $EARLY, \&forget],
  dropped => [30, 'SCRAM-SHA-256', 'pencil', $LATER, sub { return }],
  yes_no => [30, 'PLAIN', 'pencil', $OK, sub { answer_both(@_[0 .. 4]) }],
  no_yes => [25, 'PLAIN', 'pencil', $NO, sub { answer_both(@_[0, 1, 3, 2, 4]) }],
  yes_then_no => [25, 'SCRAM-SHA-256', 'pencil', $OK, \&answer_twice],
);
my %immediate = map { $_ => 1 } qw(dies dies_plain dropped);
sub total { my $n = 0; $n += $kind{$_}[0] for @_; return $n }
my $ALL = total(keys %kind);

# The behaviours of the directory: arguments are the connection, its continuation, the right answer, a wrong one, and a delay.
my ($server, @forgotten, %seen);
sub later { my ($seconds, $code) = @_; $server->later($seconds, $code); return }
sub answer { my (undef, $answer, $right, undef, $delay) = @_; return later($delay, sub { $answer->($right) }) }
sub forget { my (undef, $answer) = @_; push @forgotten, $answer; return }
sub die_now { $seen{died}++; die "the directory is out of order\n" }

sub die_later {
  my (undef, $answer, undef, undef, $delay) = @_;
  return later($delay, sub { $answer = undef; die_now() });
}

sub answer_both {
  my (undef, $answer, $first, $second, $delay) = @_;
  return later($delay, sub { $answer->($first); $answer->($second) });
}

sub answer_twice {
  my (undef, $answer, $right, $wrong, $delay) = @_;
  later($delay, sub { $answer->($right) });
  return later($delay + 0.5, sub { $answer->($wrong); $seen{second}++ });
}

sub answer_when_gone {
  my ($conn, $answer, $right) = @_;
  weaken $conn if $conn;
  my $try;
  $try = sub {
    return later(0.1, $try) if $conn;
    $answer->($right);
    $seen{too_late}++;
    undef $try;
    return;
  };
  return $try->();
}

# The server, in a separate process that takes our commands.

my $live = 0;
my @hoard;

sub serve {
  my ($control) = @_;
  my $new = \&Authen::SASL::Rust::server_new;
  no warnings 'redefine', 'once';
  local *Authen::SASL::Rust::server_new = sub { my $conn = &$new; $live++; return $conn };
  local *Authen::SASL::Rust::Connection::DESTROY = sub { $live-- };
  require './eg/event-server';

  my $loop = IO::Async::Loop->new;
  my $verifier = Authen::SASL::Rust->scram_verifier(password => 'pencil');
  my $wrong = Authen::SASL::Rust->scram_verifier(password => 'rubber');
  my ($hoards, @waiting) = (0);
  my $expected = $ALL - total(keys %immediate);

  # No query is answered before all clients have sent one: so all of them wait at the same time.
  my $ask = sub {
    my ($conn, $query, $answer, @values) = @_;
    my ($name, $number) = $query->{user} =~ /\A(\w+)-(\d+)\z/ or die "who is $query->{user}?\n";
    my $directory = $kind{$name}[4];
    push @hoard, $conn if $hoards;
    $seen{asked}++;
    return $directory->($conn, $answer, @values) if $immediate{$name};
    weaken(my $weak = $conn);
    push @waiting, sub { $directory->($weak, $answer, @values, $number / $ALL * $SPREAD) };
    $seen{at_once} = @waiting;
    if (@waiting == $expected) { $_->() for splice @waiting }
    return;
  };
  $server = EventServer->new(
    loop => $loop,
    patience => $PATIENCE,
    log => sub { my ($what) = $_[0] =~ /\A(\w+: [^:']*)/; $what =~ s/ fred|(?<=welcome): .*//; $seen{$what}++ },
    callback => {
      getsecret => sub { $ask->(@_, $verifier, $wrong) },
      checkpass => sub { my $right = $_[1]{pass} eq 'pencil'; $ask->(@_, $right, !$right) },
    },
  );
  local $SIG{__WARN__} = sub { $_[0] eq "the directory is out of order\n" ? $seen{warned}++ : warn @_ };
  my $port = $server->listen(0);
  my %command = (
    port => sub { $port },
    state => sub {
      delete $_->{conn} for values %{ $server->{sasl} };     # Authen::SASL keeps the last connection that it made
      my $sessions = keys %{ $server->{session} };
      return { live => $live, sessions => $sessions, forgotten => scalar @forgotten, seen => \%seen };
    },
    hurry => sub { $server->{patience} = $HURRY; $_->be_patient for values %{ $server->{session} } },
    next => sub { $server->{patience} = $PATIENCE; @forgotten = (); %seen = () },
    hoard => sub { $hoards = 1 },
  );
  my $stream = IO::Async::Stream->new(
    handle => $control,
    on_read => sub {
      my ($self, $buffer) = @_;
      $self->write(encode_json([scalar $command{$1}->()]) . "\n") while $$buffer =~ s/\A(\w+)\n//;
      return 0;
    },
    on_closed => sub { POSIX::_exit(0) },    # the test is over
  );
  $loop->add($stream);
  $loop->run;
  return;
}

socketpair my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "socketpair: $!";
my $child = fork;
die "fork: $!" unless defined $child;
if (!$child) {
  close $ours;
  eval { serve($theirs); 1 } or warn $@;
  POSIX::_exit(1);
}
close $theirs;
$ours->autoflush(1);
local $SIG{ALRM} = sub { die "it hangs\n" };
alarm 300;

sub tell_server {
  my ($command) = @_;
  print $ours "$command\n";
  my $line = <$ours>;
  die "the server is gone\n" unless defined $line;
  return decode_json($line)->[0];
}

# The clients, all in this process. Each records its last reply, or '' if it left before one.

my $PORT = tell_server('port');

sub client {
  my ($loop, $name, $number, $greeted, $done) = @_;
  my (undef, $mechanism, $password, $end) = @{ $kind{$name} };
  my $conn = Authen::SASL->new(mechanism => $mechanism, callback => { user => "$name-$number", pass => $password })
    ->client_new('pop', 'localhost');
  my $socket = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$PORT") or die "connect: $@";
  my ($result, $bye) = ('');
  my $stream = IO::Async::Stream->new(
    handle => $socket,
    on_read => sub {
      my ($self, $buffer) = @_;
      while ($$buffer =~ s/\A([^\r\n]*)\r\n//) {
        my $line = $1;
        if ($line eq '+OK ready') { $greeted->() }
        elsif ($line =~ /\A\+ (.*)/) {
          my $message = $conn->client_step(decode_base64($1));
          $self->write(encode_base64(defined $message ? $message : '', '') . "\r\n");
        }
        elsif (!$bye) {
          $result = $line;
          next if $end =~ /, closed\z/;       # by the server
          # A server that accepts a second answer would have changed the result by then.
          $bye = $name eq 'yes_then_no' ? 1 : 2;
          $bye == 1 ? $loop->watch_time(after => 1, code => sub { $self->write("STAT\r\n") if $self->loop })
            : $self->write("QUIT\r\n");
        }
        elsif ($bye++ == 1) { $result .= ", $line" if $line ne '+OK 0 0'; $self->write("QUIT\r\n") }
      }
      return 0;
    },
    on_read_eof => sub { $result .= ', closed' unless $bye },
    on_read_error => sub { $result .= ', read error' },
    on_write_error => sub { $result .= ', write error' },
    on_closed => sub {
      my $proved = $mechanism eq 'PLAIN' || $conn->is_success ? '' : ', without a proof';
      $done->($name, $result eq $OK ? $result . $proved : $result);
    },
  );
  $loop->add($stream);
  return sub {
    $stream->write("AUTH $mechanism " . encode_base64($conn->client_start, '') . "\r\n");
    $stream->write("NOOP\r\n") if $end eq $EARLY;
    $loop->watch_time(after => 0.2 + $number / $ALL, code => sub { $stream->close_now }) if $end eq $GONE;
  };
}

sub play_round {
  my $loop = IO::Async::Loop->really_new;
  my ($number, $left, $absent, %result, @start) = (0, $ALL, $ALL);
  my $silent = total(grep { $kind{$_}[3] eq $SILENT } keys %kind);
  my @names = map { ($_) x $kind{$_}[0] } sort keys %kind;
  # Neighbours are of different kinds. No login begins before all clients are connected.
  my $greeted = sub { $_->() for !--$absent ? splice @start : () };
  for my $name (map { $names[$_ * 7 % $ALL] } 0 .. $ALL - 1) {
    push @start, client($loop, $name, $number++, $greeted, sub {
      $result{ $_[0] }{ $_[1] }++;
      tell_server('hurry') if --$left == $silent;
      $loop->stop unless $left;
    });
  }
  $loop->run;
  return \%result;
}

# The server's state after it has noticed that all clients are gone and its directory has answered.
sub settled {
  my $end = time + 60;
  while (1) {
    my $state = tell_server('state');
    my ($late, $second) = map { $_ || 0 } @{ $state->{seen} }{qw(too_late second)};
    my $done = !$state->{sessions} && $late == total(qw(late late_plain)) && $second == total('yes_then_no');
    return $state if $done || time > $end;
    sleep 0.05;
  }
}

is($ALL, 1_000, 'logins');
my %expected = map { $_ => { $kind{$_}[3] => $kind{$_}[0] } } keys %kind;
my @resident;
for my $round (1 .. 3) {
  my $begin = time;
  my $result = play_round();
  my $state = settled();
  is_deeply($result, \%expected, "round $round: each login ends as it should") or diag explain $result;
  is($state->{seen}{asked}, $ALL, 'each has asked the directory');
  is($state->{seen}{at_once}, $ALL - total(keys %immediate), 'all others than the immediate ones waited at once');
  my @welcome = grep { $kind{$_}[3] eq $OK } keys %kind;
  is($state->{seen}{welcome}, total(@welcome), 'the server has welcomed so many') or diag explain $state;
  is($state->{seen}{too_late}, total(qw(late late_plain)), 'so many answers came when the connection was gone');
  is($state->{seen}{second}, total('yes_then_no'), 'so many second answers came later than the first');
  is($state->{seen}{died}, total(qw(dies dies_plain dies_later)), 'so many callbacks have died');
  is($state->{seen}{warned}, total('dies_later'), 'those outside of a step with a warning');
  is($state->{forgotten}, total(qw(never never_plain left impatient)), 'what is never called is still kept');
  is($state->{sessions}, 0, 'no session is left');
  is($state->{live}, 0, 'nor a connection');
  tell_server('next');
  push @resident, resident($child);
  note sprintf '%.1f s, %d KiB', time - $begin, $resident[-1] / 1024;
}
my $bound = 512 * 1024;
cmp_ok($resident[2] - $resident[0], '<', $bound, 'the memory of the third round is that of the first');

# The control: if connections were kept, the memory would grow from the next round on.
tell_server('hoard');
for (1, 2) { play_round(); tell_server('next') }
# Clients that left may still be unread.
my ($end, $kept) = time + 60;
sleep 0.05 while ($kept = tell_server('state')->{live}) < 2 * $ALL && time < $end;
is($kept, 2 * $ALL, 'a connection that is kept would be counted');
cmp_ok(resident($child) - $resident[2], '>', $bound, 'and its memory seen');
note sprintf '%d KiB', resident($child) / 1024;

subtest 'Net::POP3' => sub {
  close $ours;
  waitpid $child, 0;
  is($?, 0, 'the server ends with its test');
  my $pid = open my $out, '-|', @PERL, 'eg/event-server', '--delay', '0.1' or die "eg/event-server: $!";
  my ($port) = <$out> =~ /\Alistening on 127\.0\.0\.1:(\d+)$/ or die 'eg/event-server does not print its port';
  for my $case ('SCRAM-SHA-256 pencil', 'SCRAM-SHA-256 rubber', 'PLAIN pencil', 'PLAIN rubber') {
    my ($mechanism, $password) = split / /, $case;
    my $right = $password eq 'pencil' ? 1 : 0;
    my $pop = Net::POP3->new('127.0.0.1', Port => $port, Timeout => 20);
    next unless ok($pop, 'a connection');
    my $sasl = Authen::SASL->new(mechanism => $mechanism, callback => { user => 'fred', pass => $password });
    is($pop->auth($sasl) ? 1 : 0, $right, $case);
    is_deeply([$pop->popstat], $right ? [0, 0] : [], 'and then');
    $pop->quit;
  }
  kill TERM => $pid;
  like(join('', <$out>), qr/^welcome: fred\n.*^refused: PLAIN server: .*^stopped\n\z/ms, 'its log');
  ok(close $out, 'SIGTERM ends it well');
};

done_testing;
