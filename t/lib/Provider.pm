package Provider;

# An OAuth authorization server made by a test: a small web server on loopback, in a process of its own. What it answers is code
# of the test, by the first part of the path; it keeps state from request to request. The requests are written to a file.

use strict;
use warnings;
use File::Temp ();
use IO::Socket::INET ();
use JSON::PP ();
use POSIX ();

my $SECONDS = 300;

# start(name => code, ...): code($request, \%state) returns an object, which is sent as JSON with status 200; or [status, object];
# or [status, type, text]; or [status, type, text, \%header]; or code, which is called with the socket in one more process.
sub start {
  my ($class, %answer) = @_;
  my $socket = IO::Socket::INET->new(Listen => 20, LocalAddr => '127.0.0.1', LocalPort => 0) or die "listen: $@";
  my $log = File::Temp->new;
  my $pid = fork // die "fork: $!";
  if (!$pid) {
    setpgrp;             # so that answers under way end with it
    alarm $SECONDS;      # in case the test is killed
    $SIG{ALRM} = 'DEFAULT';
    $SIG{CHLD} = $SIG{PIPE} = 'IGNORE';
    eval { serve($socket, $log->filename, \%answer) };
    print STDERR "provider: $@" if $@;
    POSIX::_exit(1);
  }
  return bless { pid => $pid, owner => $$, log => $log, port => $socket->sockport }, $class;
}

sub url { my ($self, $path) = @_; return "http://127.0.0.1:$self->{port}/$path" }

# The requests under this name, in their order: hashes of method, path, form and header.
sub requests {
  my ($self, $name) = @_;
  open my $in, '<', $self->{log}->filename or die "log: $!";
  return grep { $_->{path} =~ m{\A/(?:\.well-known/[^/]+/)?\Q$name\E(?:/|\z)} } map { JSON::PP::decode_json($_) } <$in>;
}

sub serve {
  my ($socket, $log, $answers) = @_;
  my (%state, @held);
  while (1) {
    my $client = $socket->accept or next;
    my $request = received($client) or next;
    open my $out, '>>', $log or die "log: $!";
    print {$out} JSON::PP->new->canonical->utf8->encode($request), "\n";
    close $out;
    my ($name) = $request->{path} =~ m{\A/(?:\.well-known/[^/]+/)?([^/]+)};
    my $code = $answers->{$name};
    my $answer = $code ? $code->($request, $state{$name} ||= {}) : [404, { error => 'none here' }];
    if (ref $answer eq 'CODE') {
      my $pid = fork // die "fork: $!";
      if (!$pid) { alarm $SECONDS; $answer->($client); POSIX::_exit(0) }
    }
    else { print {$client} response($answer) }
    close $client;
  }
}

sub received {
  my ($client) = @_;
  my ($method, $path, %header, $body) = ();
  (defined(my $line = <$client>)) or return;
  ($method, $path) = $line =~ m{\A(\S+) (\S+) HTTP/1\.1\r\n} or return;
  while (defined($line = <$client>) && $line =~ /\A([^:]+): *(.*?)\r\n/) { $header{ lc $1 } = $2 }
  read $client, $body, $header{'content-length'} || 0;
  return { method => $method, path => $path, header => \%header, form => form($body) };
}

sub form {
  my ($text) = @_;
  return { map { s/%([0-9A-Fa-f]{2})/chr hex $1/ger } map { /\A([^=]*)=(.*)\z/s } split /&/, $text // '' };
}

sub response {
  my ($answer) = @_;
  $answer = [200, $answer] if ref $answer eq 'HASH';
  my ($status, $type, $text, $header) = @$answer;
  ($type, $text) = ('application/json', JSON::PP::encode_json($type)) if ref $type;
  return join "\r\n", "HTTP/1.1 $status Whatever", "Content-Type: $type", 'Content-Length: ' . length $text,
    (map { "$_: $header->{$_}" } keys %{ $header || {} }), 'Connection: close', '', $text;
}

sub stop {
  my ($self) = @_;
  return if !$self->{pid} || $self->{owner} != $$;
  local ($?, $!);
  kill KILL => -$self->{pid}, $self->{pid};
  waitpid delete $self->{pid}, 0;
  return;
}

sub DESTROY { $_[0]->stop; return }

1;
