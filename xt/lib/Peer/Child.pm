package Peer::Child;

# A peer that is a program of its own, with its input and output at our ends of two pipes: what those who speak with one
# inherit.

use strict;
use warnings;
use IO::Handle ();
use POSIX      ();

# Runs the command: pid, to, from. What it says of errors goes to the handle `errors`, else to where its output goes.
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
