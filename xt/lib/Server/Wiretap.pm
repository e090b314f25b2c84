package Server::Wiretap;

# The traffic between a client and a server, byte for byte: a TCP proxy in front of the server, in a separate process, that
# writes both directions to files. It ends with the test, however the test ends.

use strict;
use warnings;
use File::Temp ();
use IO::Select ();
use IO::Socket::INET ();
use POSIX ();

# before(address of the server)
sub before {
  my ($class, $server) = @_;
  my $folder = File::Temp->newdir;
  my $listener = IO::Socket::INET->new(Listen => 8, LocalAddr => '127.0.0.1') or die "no free port: $@";
  pipe my $life, my $hold or die "pipe: $!";
  my $pid = fork;
  die "fork: $!" unless defined $pid;
  if (!$pid) {
    close $hold;
    my $done = eval { forward($listener, $server, $life, "$folder"); 1 };
    warn $@ unless $done;
    POSIX::_exit($done ? 0 : 1);
  }
  return bless { folder => $folder, pid => $pid, owner => $$, hold => $hold, port => $listener->sockport }, $class;
}

sub uri { return "ldap://127.0.0.1:$_[0]{port}" }

# The bytes that the client has sent, and those that the server has sent.
sub sent { return $_[0]->_recorded('sent') }
sub received { return $_[0]->_recorded('received') }

sub _recorded {
  my ($self, $name) = @_;
  open my $file, '<:raw', "$self->{folder}/$name" or die "$name: $!";
  local $/;
  return scalar readline($file) // '';
}

sub forward {
  my ($listener, $server, $life, $folder) = @_;
  $SIG{PIPE} = 'IGNORE';
  my %record;
  for my $name (qw(sent received)) {
    open $record{$name}, '>:raw', "$folder/$name" or die "$name: $!";
    $record{$name}->autoflush(1);
  }
  my $select = IO::Select->new($listener, $life);
  my (%other, %name);
  while (1) {
    for my $ready ($select->can_read) {
      return if $ready == $life;
      if ($ready == $listener) {
        my $client = $listener->accept or next;
        my $above = IO::Socket::INET->new(PeerAddr => $server) or die "$server: $@";
        @other{$client, $above} = ($above, $client);
        @name{$client, $above} = qw(sent received);
        $select->add($client, $above);
        next;
      }
      my $to = $other{$ready} or next;
      my $bytes = '';
      if (sysread $ready, $bytes, 65536) {
        print { $record{ $name{$ready} } } $bytes;
        pass_on($to, $bytes);
        next;
      }
      $select->remove($ready, $to);
      delete @other{$ready, $to};
      close $_ for $ready, $to;
    }
  }
  return;
}

sub pass_on {
  my ($to, $bytes) = @_;
  while (length $bytes) {
    my $written = syswrite $to, $bytes;
    return unless defined $written;
    substr $bytes, 0, $written, '';
  }
  return;
}

sub DESTROY {
  my ($self) = @_;
  return if $self->{owner} != $$;
  close $self->{hold};
  kill TERM => $self->{pid};
  local ($?, $!);
  waitpid $self->{pid}, 0;
  return;
}

1;
