package Server::JobTalk;

# The requests that the gateway tests send to a beanstalkd, and to the gateway in front of it.

use strict;
use warnings;
use Authen::SASL::Rust::AuthLine;
use Exporter 'import';
use IO::Select ();
use IO::Socket::INET ();
use IO::Socket::UNIX ();

our @EXPORT_OK = qw(connect_to login logs_in say_raw heard heard_line all_heard job_works);

sub connect_to {
  my ($address) = @_;
  my $socket = $address =~ m{^/}
    ? IO::Socket::UNIX->new(Peer => $address)
    : IO::Socket::INET->new(PeerAddr => $address, Timeout => 10);
  return $socket || die "$address: $@";
}

# Returns the client side and its handle, authenticated or not.
sub login {
  my ($socket, %arg) = @_;
  my $options = delete $arg{options} || {};
  my $mechanism = delete $arg{mechanism};
  my $sasl = Authen::SASL->new(defined $mechanism ? (mechanism => $mechanism) : (), callback => {%arg});
  my $auth = Authen::SASL::Rust::AuthLine->client(sasl => $sasl, options => $options);
  my $in = $auth->login($socket, timeout => 20);
  return ($in, $auth);
}

# Whether these can log in at this address.
sub logs_in {
  my ($address, %arg) = @_;
  my ($socket) = login(connect_to($address), %arg);
  return $socket ? 1 : '';
}

sub say_raw {
  my ($socket, $bytes) = @_;
  local $SIG{PIPE} = 'IGNORE';
  while (length $bytes) {
    my $size = syswrite $socket, $bytes;
    return unless $size;
    substr $bytes, 0, $size, '';
  }
  return 1;
}

# Reads exactly so many bytes, or what has arrived until the end or within ten seconds.
sub heard {
  my ($socket, $size) = @_;
  my $all = '';
  while (length $all < $size && IO::Select->new($socket)->can_read(10)) {
    sysread($socket, $all, $size - length $all, length $all) or last;
  }
  return $all;
}

# Reads a line with its end, or the part that has arrived.
sub heard_line {
  my ($socket) = @_;
  my $line = '';
  until ($line =~ /\n\z/) {
    my $byte = heard($socket, 1);
    return $line unless length $byte;
    $line .= $byte;
  }
  return $line;
}

# Reads everything until the peer closes; undef if it does not close in time.
sub all_heard {
  my ($socket, $seconds) = @_;
  my $all = '';
  while (IO::Select->new($socket)->can_read($seconds || 10)) {
    my $size = sysread $socket, $all, 65_536, length $all;
    return $all unless $size;
  }
  return undef;
}

# Puts, reserves and deletes a job; returns an empty string, or the error.
sub job_works {
  my ($socket, $body) = @_;
  $body = "quit\r\n\0\xff" unless defined $body;
  say_raw($socket, 'put 0 0 60 ' . length($body) . "\r\n$body\r\n") or return 'put cannot be sent';
  my $said = heard_line($socket);
  my ($id) = $said =~ /\AINSERTED (\d+)\r\n/ or return "put: $said";
  say_raw($socket, "reserve-job $id\r\n");
  ($said = heard_line($socket)) eq "RESERVED $id " . length($body) . "\r\n" or return "reserve: $said";
  heard($socket, 2 + length $body) eq "$body\r\n" or return 'the body is another one';
  say_raw($socket, "delete $id\r\n");
  return ($said = heard_line($socket)) eq "DELETED\r\n" ? '' : "delete: $said";
}

1;
