package Peer::Exchange;

# Carries the messages of one exchange between two parties as a protocol would (RFC 4422, section 3), and returns the result of
# both sides.
#
# A party has `start` and `step`; each takes a message (undef: there is none)
# and returns {state => 'more' | 'done' | 'fail', message, error, ...}.

use strict;
use warnings;

use Exporter qw(import);
use POSIX    ();

our @EXPORT_OK = qw(exchange);

use constant TIME_LIMIT => 20;    # time limit of an exchange, in seconds
use constant MAX_TURNS => 12;    # no mechanism here needs more than six

# Options: initial_response (false: the protocol has none, the server is started without one), success_data (false: the protocol
# has none, the last message is sent as a challenge with an empty response), on_path (a sub that may modify the server's
# messages).
sub exchange {
  my ($client, $server, %option) = @_;
  my $end = eval { _within_time(sub { _carry($client, $server, %option) }) };
  my $problem = $@;
  $_->end for $client, $server;
  return $end || {problem => $problem, client => {state => 'died'}, server => {state => 'died'}};
}

sub _carry {
  my ($client, $server, %option) = @_;
  my $on_path = $option{on_path} || sub { $_[0] };
  my %end = (client => $client->start, server => {state => 'not reached'}, transcript => []);
  return \%end if $end{client}{state} eq 'fail';
  my $held = $end{client}{message};
  _note(\%end, C => $held);
  $end{server} = $server->start($option{initial_response} ? $held : undef);
  undef $held if $option{initial_response};

  for (1 .. MAX_TURNS) {
    my $sent = $end{server}{message};
    $sent = $on_path->($sent) if defined $sent;
    _note(\%end, S => $sent);
    return \%end if $end{server}{state} ne 'more' && !defined $sent;
    if (defined $held) {
      ($end{client}{message}, $held) = ($held, undef);
    }
    else {
      $end{client} = $client->step(defined $sent ? $sent : '');
      _note(\%end, C => $end{client}{message});
    }
    if ($end{server}{state} ne 'more') {
      _last_message_answered(\%end, $server) if !$option{success_data};
      return \%end;
    }
    return \%end if $end{client}{state} eq 'fail' && !defined $end{client}{message};
    $end{server} = $server->step(defined $end{client}{message} ? $end{client}{message} : '');
  }
  die "the exchange does not end\n";
}

# Without success data the protocol sends the last message as a challenge and passes the client's empty response to the server.
# A library that has already ended needs no such step; ours must accept it.
sub _last_message_answered {
  my ($end, $server) = @_;
  return if $end->{server}{state} ne 'done' || !$server->can('bears_empty_answer');
  $end->{server}{after_the_end} = $server->bears_empty_answer;
  return;
}

sub _note {
  my ($end, $side, $message) = @_;
  push @{$end->{transcript}}, defined $message ? "$side: $message" : "$side  (no message)";
  return;
}

# POSIX::sigaction's handlers run at once: a Perl handler would wait until a
# library's endless loop returns.
sub _within_time {
  my ($work) = @_;
  my $action = POSIX::SigAction->new(sub { die "no end after " . TIME_LIMIT . " seconds\n" });
  my $before = POSIX::SigAction->new;
  POSIX::sigaction(POSIX::SIGALRM(), $action, $before);
  alarm TIME_LIMIT;
  my @result = eval { $work->() };
  my $problem = $@;
  alarm 0;
  POSIX::sigaction(POSIX::SIGALRM(), $before);
  die $problem if $problem;
  return $result[0];
}

1;
