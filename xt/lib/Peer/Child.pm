package Peer::Child;

# A peer that is a separate program, with its input and output connected to us by two pipes: the base class for such peers.

use strict;
use warnings;
use IO::Handle ();
use POSIX      ();

# Runs the command; sets pid, to, from. Its standard error goes to the handle `errors`, or else to its output.
sub run {
  my ($self, %arg) = @_;
  pipe my $in, my $to or die "pipe: $!";
  pipe my $from, my $out or die "pipe: $!";
  my $pid = fork;
  die "fork: $!" unless defined $pid;
  if (!$pid) {
    local $SIG{__DIE__};
    close $_ for $to, $from;
    open STDIN, '<&', $in or POSIX::_exit(126);
    open STDOUT, '>&', $out or POSIX::_exit(126);
    open STDERR, '>&', $arg{errors} || $out or POSIX::_exit(126);
    %ENV = (%ENV, %{ $arg{env} || {} });
    exec { $arg{command}[0] } @{ $arg{command} } or do {
      print STDERR "cannot run $arg{command}[0]: $!\n";
      POSIX::_exit(127);
    };
  }
  close $_ for $in, $out;
  $to->autoflush(1);
  @$self{qw(pid to from)} = ($pid, $to, $from);
  return $self;
}

sub end {
  my ($self) = @_;
  my $pid = delete $self->{pid} or return;
  close $_ for delete @$self{qw(to from)};
  local ($?, $!);
  kill TERM => $pid;
  waitpid $pid, 0;
  return;
}

sub DESTROY { $_[0]->end }

1;
