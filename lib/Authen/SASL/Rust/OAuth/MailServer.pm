package Authen::SASL::Rust::OAuth::MailServer;

# The dialogue with an IMAP (RFC 9051) or SMTP (RFC 5321, RFC 4954) server up to the end of the login, for sasl-rust-token.

use strict;
use warnings;
use Authen::SASL::Rust::OAuth::Error;
use IO::Socket::INET ();
use MIME::Base64 qw(decode_base64 encode_base64);

our $VERSION = '1.0';

my $LINE = 65_536;

# connect(protocol => 'imap' or 'smtp', host, port, tls => 'tls', 'starttls' or 'plain', ca_file, seconds)
sub connect {
  my ($class, %arg) = @_;
  my $address = $arg{host} =~ /:/ ? "[$arg{host}]" : $arg{host};
  my %peer = (PeerHost => $arg{host}, PeerPort => $arg{port}, Timeout => $arg{seconds});
  my $socket = (eval { require IO::Socket::IP; 1 } ? 'IO::Socket::IP' : 'IO::Socket::INET')->new(%peer)
    or die "cannot connect to $address:$arg{port}: $@\n";
  binmode $socket;
  my $self = bless { %arg, socket => $socket, tag => 0 }, $class;
  $self->_start_tls if $arg{tls} eq 'tls';
  my $greeting = $self->_line;
  die 'the server does not greet: ' . shown($greeting) . "\n"
    if $greeting !~ ($arg{protocol} eq 'imap' ? qr/\A\* OK/i : qr/\A220[ -]/);
  $self->_rest($greeting) if $arg{protocol} eq 'smtp';

  if ($arg{tls} eq 'starttls') {
    $self->_hello if $arg{protocol} eq 'smtp';
    my ($yes, $reply) = $self->_command('STARTTLS');
    die 'the server refuses STARTTLS: ' . shown($reply) . "\n" if !$yes;
    $self->_start_tls;
  }
  $self->{offers} = { map { uc $_ => 1 } $self->_offers };
  return $self;
}

sub shown { return Authen::SASL::Rust::OAuth::Error::printable($_[0]) }

sub _start_tls {
  my ($self) = @_;
  eval { require IO::Socket::SSL; 1 } or die "TLS needs IO::Socket::SSL\n";
  IO::Socket::SSL->start_SSL(
    $self->{socket},
    SSL_verify_mode => IO::Socket::SSL::SSL_VERIFY_PEER(), SSL_hostname => $self->{host},
    SSL_verifycn_name => $self->{host}, SSL_verifycn_scheme => $self->{protocol}, Timeout => $self->{seconds},
    defined $self->{ca_file} ? (SSL_ca_file => $self->{ca_file}) : (),
  ) or die "no TLS with $self->{host}: " . shown(IO::Socket::SSL::errstr()) . "\n";
  return;
}

# One line, without its end. The program's alarm limits the time.
sub _line {
  my ($self) = @_;
  my $line = '';
  while ($line !~ /\n/) {
    my $read = sysread $self->{socket}, $line, 1, length $line;
    die "the server has closed the connection\n" if !$read;
    die "the server sends a line of more than $LINE bytes\n" if length $line > $LINE;
  }
  $line =~ s/\r?\n\z//;
  return $line;
}

sub _send {
  my ($self, $line) = @_;
  local $SIG{PIPE} = 'IGNORE';
  local ($\, $,);
  print { $self->{socket} } "$line\r\n" or die "the server has closed the connection\n";
  return;
}

# The further lines of a reply of SMTP; all but the last have a hyphen after the number.
sub _rest {
  my ($self, $line) = @_;
  my @lines = $line;
  push @lines, $self->_line while $lines[-1] =~ /\A[0-9]{3}-/;
  return @lines;
}

# Sends a command. Returns whether it has succeeded, the last line, and the lines before.
sub _command {
  my ($self, $text) = @_;
  if ($self->{protocol} eq 'smtp') {
    $self->_send($text);
    my @lines = $self->_rest($self->_line);
    return ($lines[-1] =~ /\A[23]/ ? 1 : 0, $lines[-1], @lines);
  }
  my $tag = 'a' . ++$self->{tag};
  $self->_send("$tag $text");
  my @lines = $self->_line;
  push @lines, $self->_line until $lines[-1] =~ /\A(?:\Q$tag\E |\+)/;
  return ($lines[-1] =~ /\A(?:\Q$tag\E OK|\+)/i ? 1 : 0, $lines[-1], @lines);
}

sub _hello { return $_[0]->_command('EHLO localhost') }

sub _offers {
  my ($self) = @_;
  my (undef, undef, @lines) = $self->{protocol} eq 'smtp' ? $self->_hello : $self->_command('CAPABILITY');
  return map { /\A250[ -]AUTH[ =](.*)/i ? split ' ', $1 : () } @lines if $self->{protocol} eq 'smtp';
  return map {
    /\A\* CAPABILITY (.*)/i ? map { /\AAUTH=(.+)/i ? $1 : () } split ' ', $1 : ()
  } @lines;
}

# A connection of those of the object's mechanisms that the server has.
sub connection {
  my ($self, $wanted, %callback) = @_;
  my @names = grep { $self->{offers}{ uc $_ } } split ' ', $wanted;
  die "the server offers none of $wanted; it offers " . shown(join ' ', sort keys %{ $self->{offers} }) . "\n"
    if !@names;
  my $sasl = Authen::SASL->new(mechanism => "@names", callback => {%callback});
  return $sasl->client_new($self->{protocol}, $self->{host}, $self->{tls} eq 'plain' ? () : { tls => $self->{socket} });
}

# Logs in. Returns whether the server has accepted, and its reply.
sub login {
  my ($self, $conn) = @_;
  my $message = $conn->client_start;
  die $conn->error . "\n" if !defined $message;
  my ($yes, $reply) = $self->_command(($self->{protocol} eq 'smtp' ? 'AUTH ' : 'AUTHENTICATE ') . $conn->mechanism);
  for (1 .. 5) {
    my ($challenge) = $reply =~ ($self->{protocol} eq 'smtp' ? qr/\A334 ?(.*)/ : qr/\A\+ ?(.*)/)
      or return ($yes, $reply);
    my $answer = defined $message ? $message : $conn->client_step(decode_base64($challenge));
    undef $message;
    $self->_send(defined $answer ? encode_base64($answer, '') : '*');
    my @lines = $self->{protocol} eq 'smtp' ? $self->_rest($self->_line) : $self->_line;
    my $last = $self->{protocol} eq 'smtp' ? qr/\A[0-9]{3}/ : qr/\A(?:a$self->{tag} |\+)/;
    push @lines, $self->_line until $lines[-1] =~ $last;
    $reply = $lines[-1];
    $yes = $reply =~ ($self->{protocol} eq 'smtp' ? qr/\A235/ : qr/\Aa$self->{tag} OK/i) ? 1 : 0;
  }
  die "the server sends one challenge after the other\n";
}

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::OAuth::MailServer - the login at a mail server

=head1 DESCRIPTION

The dialogue with an IMAP or SMTP server for L<sasl-rust-token>. Programs do not need this module.

=cut
