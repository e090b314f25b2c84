package XMPP::Stream;

# The part of an XMPP client (RFC 6120) that a login needs.

use strict;
use warnings;
use IO::Socket::INET ();
use IO::Socket::SSL  qw(SSL_VERIFY_NONE);
use MIME::Base64     qw(decode_base64 encode_base64);

# Connects and does STARTTLS. Options: port, version of TLS, from (a name that is sent once TLS protects it).
sub new {
  my ($class, %option) = @_;
  my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $option{port}) or die "connect: $!";
  my $self = bless {socket => $socket, buffer => ''}, $class;
  $self->open_stream;
  $self->send(q(<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>));
  $self->receive(qr/<proceed[^>]*>/);
  IO::Socket::SSL->start_SSL($socket, SSL_verify_mode => SSL_VERIFY_NONE, SSL_version => $option{version})
    or die "STARTTLS: $IO::Socket::SSL::SSL_ERROR\n";
  $self->open_stream($option{from});
  return $self;
}

sub socket     { return $_[0]{socket} }
sub mechanisms { return $_[0]{features} =~ m{<mechanism>([^<]+)</mechanism>}g }

sub features { return $_[0]{features} }

sub open_stream {
  my ($self, $from) = @_;
  $from = defined $from ? "from='$from' " : '';
  $self->send(qq(<?xml version='1.0'?><stream:stream to='localhost' ${from}version='1.0' )
    . q(xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>));
  $self->{features} = $self->receive(qr{.*?</stream:features>}s);
  return;
}

sub send {
  my ($self, $text) = @_;
  local $SIG{PIPE} = 'IGNORE';
  print { $self->{socket} } $text;
  $self->{socket}->flush;
  return;
}

# Reads up to the end of the pattern.
sub receive {
  my ($self, $pattern) = @_;
  while (1) {
    return $1 if $self->{buffer} =~ s/\A.*?($pattern)//s;
    my $got = sysread $self->{socket}, $self->{buffer}, 4096, length $self->{buffer};
    die "the server has hung up after '$self->{buffer}'\n" unless $got;
  }
}

# Runs the exchange; returns the server's last stanza. on_path may change our messages.
sub authenticate {
  my ($self, $conn, $on_path) = @_;
  $on_path ||= sub { $_[0] };
  my $xmlns   = q(xmlns='urn:ietf:params:xml:ns:xmpp-sasl');
  my $message = $conn->client_start;
  die $conn->error . "\n" unless defined $message;
  $message = encode_base64($on_path->($message), '');
  $self->send("<auth $xmlns mechanism='" . $conn->mechanism . "'>$message</auth>");
  while (1) {
    my $answer = $self->receive(qr{<(challenge|success|failure)\b[^>]*?(?:/>|>.*?</\g{-1}>)}s);
    return $answer if $answer =~ /\A<failure/;
    my ($data) = $answer =~ />([^<]*)</;
    my $reply = $conn->client_step(decode_base64(defined $data ? $data : ''));
    return $answer if $answer =~ /\A<success/;
    die $conn->error . "\n" unless defined $reply;
    $self->send("<response $xmlns>" . encode_base64($on_path->($reply), '') . '</response>');
  }
}

1;
