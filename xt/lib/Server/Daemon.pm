package Server::Daemon;

# A third-party server, in its own temporary directory, on free loopback ports, for the lifetime of the object. A subclass
# configures it (`prepare`), and defines the command that runs it in the foreground (`command`) and the addresses that show that
# it is up (`addresses`).
#
# A keeper stops the server: a process that waits for the end of a pipe whose other end only the test holds. Whatever ends the
# test (its last line, a die, an alarm, kill -9), the pipe ends, and the keeper stops the server and removes the directory.

use strict;
use warnings;
use File::Path ();
use File::Temp ();
use IO::Socket::INET ();
use IO::Socket::UNIX ();
use POSIX ();
use Time::HiRes qw(sleep time);

my $START_TIMEOUT = 30;
my $STOP_TIMEOUT = 10;
my (%PIPES, @PORTS);

sub start {
  my ($class, %option) = @_;
  my $self = bless { %option, dir => File::Temp->newdir('sasl-server-XXXXXXXX', TMPDIR => 1) }, $class;
  chmod 0755, $self->dir or die $self->dir . ": $!";
  $self->prepare;
  $self->launch;
  $self->await;
  return $self;
}

sub dir { return $_[0]{dir}->dirname }
sub log { return $_[0]->dir . '/log' }

# A free port, below those that the system uses for outgoing connections. Tests run in parallel: a name in the system's abstract
# namespace reserves the port for this process and its keepers until all of them have ended.
sub free_port {
  for my $try (1 .. 1000) {
    my $port = 10_000 + int rand 22_000;
    my $mark = IO::Socket::UNIX->new(Local => "\0authen-sasl-rust-port-$port", Listen => 1) or next;
    IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', LocalPort => $port, ReuseAddr => 1) or next;
    push @PORTS, $mark;
    return $port;
  }
  die "no free port: $@";
}

# The path of a program of the server's package, which may be outside PATH.
sub program {
  my (undef, $name) = @_;
  for my $dir (split(/:/, $ENV{PATH} || ''), '/usr/sbin', '/usr/lib/dovecot') {
    return "$dir/$name" if -x "$dir/$name";
  }
  die "$name is missing: dev/install test installs it\n";
}

# Writes a file in the directory and returns its path.
sub write_file {
  my ($self, $name, $text) = @_;
  my $path = $self->dir . "/$name";
  open my $file, '>', $path or die "$path: $!";
  print {$file} $text;
  close $file or die "$path: $!";
  return $path;
}

# Runs a program to its end, and dies with its output if it fails.
sub run {
  my ($self, @command) = @_;
  my $pid = open my $output, '-|';
  die "fork: $!" unless defined $pid;
  if (!$pid) {
    open STDERR, '>&', \*STDOUT;
    exec { $command[0] } @command or warn "$command[0]: $!\n";
    POSIX::_exit(127);
  }
  my $text = join '', <$output>;
  close $output or die "@command failed: $text";
  return $text;
}

sub launch {
  my ($self) = @_;
  my @command = $self->command;
  pipe my $reader, my $writer or die "pipe: $!";
  my $keeper = fork;
  die "fork: $!" unless defined $keeper;
  if (!$keeper) {

    # This process must not hold the other keepers' pipes open.
    close $_ for values %PIPES, $writer;
    my $kept = eval { keep($reader, $self->log, @command) };
    warn $@ if $@;
    File::Path::remove_tree($self->dir) if $kept;
    POSIX::_exit($kept ? 0 : 1);
  }
  close $reader;
  $PIPES{$keeper} = $writer;
  @$self{qw(keeper owner)} = ($keeper, $$);
  return;
}

# Runs the keeper: starts the server in its own process group, waits for the end of the test or of the server, and stops the
# rest. Returns true if the server was still running at the end.
sub keep {
  my ($reader, $log, @command) = @_;
  $SIG{$_} = 'IGNORE' for qw(INT TERM HUP PIPE ALRM);
  my $server = fork;
  die "fork: $!" unless defined $server;
  if (!$server) {
    $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP PIPE ALRM);
    alarm 0;
    POSIX::setpgid(0, 0);
    open STDIN, '<', '/dev/null';
    open STDOUT, '>>', $log;
    open STDERR, '>&', \*STDOUT;
    exec { $command[0] } @command or warn "exec $command[0]: $!\n";
    POSIX::_exit(127);
  }

  # Closes the test's own output: if the keeper held it, prove would wait.
  open STDIN, '<', '/dev/null';
  open STDOUT, '>', '/dev/null';
  open STDERR, '>', '/dev/null';
  my $ended = sub { return waitpid($server, POSIX::WNOHANG()) == $server };
  my $bits = '';
  vec($bits, fileno $reader, 1) = 1;
  while (1) {
    return if $ended->();
    last if select(my $ready = $bits, undef, undef, 0.2);
  }
  kill TERM => $server;
  my $deadline = time + $STOP_TIMEOUT;
  until ($ended->()) {
    if (time > $deadline) {
      kill KILL => -$server;
      waitpid $server, 0;
      last;
    }
    sleep 0.02;
  }
  return 1;
}

# Waits until every address accepts a connection.
sub await {
  my ($self) = @_;
  my $deadline = time + $START_TIMEOUT;
  for my $address ($self->addresses) {
    until (reachable($address)) {
      my $gone = waitpid($self->{keeper}, POSIX::WNOHANG()) == $self->{keeper};
      if ($gone || time > $deadline) {
        my $why = $gone ? 'it ended' : "no answer on $address for $START_TIMEOUT seconds";
        die ref($self) . " does not start: $why\n" . $self->log_text;
      }
      sleep 0.05;
    }
  }
  return;
}

sub reachable {
  my ($address) = @_;
  return $address =~ m{^/}
    ? IO::Socket::UNIX->new(Peer => $address)
    : IO::Socket::INET->new(PeerAddr => $address, Timeout => 5);
}

sub log_text {
  my ($self) = @_;
  open my $file, '<', $self->log or return '';
  local $/;
  return scalar <$file>;
}

# Whether the server's log contains the text; the log may lag behind.
sub logs {
  my ($self, $text) = @_;
  for my $try (1 .. 100) {
    return 1 if index($self->log_text, $text) >= 0;
    sleep 0.05;
  }
  return;
}

sub stop {
  my ($self) = @_;
  return unless defined $self->{owner} && $self->{owner} == $$;
  my $keeper = delete $self->{keeper};
  return unless $keeper;
  close delete $PIPES{$keeper};
  local ($?, $!);
  waitpid $keeper, 0;
  return;
}

sub DESTROY {
  my ($self) = @_;

  # A forked child holds a copy of the object, and must not stop the server.
  $self->stop;
  return;
}

1;
