package TLS::Pair;

# A real TLS connection on the loopback: this process holds one end, a child
# the other, which reports its channel binding data and then echoes.

use strict;
use warnings;
use IO::Socket::SSL qw(SSL_VERIFY_NONE);
use MIME::Base64 qw(decode_base64 encode_base64);
use Net::SSLeay  ();
use POSIX        ();

# Options: version (TLSv1_2, TLSv1_3), certificate, here (client or server: the end of this process).
sub new {
  my ($class, %option) = @_;
  my %end = (
    client => {SSL_verify_mode => SSL_VERIFY_NONE, SSL_version => $option{version}, %{$option{client} || {}}},
    server => {
      SSL_server => 1, SSL_version => $option{version}, SSL_cert_file => $option{certificate}->certificate,
      SSL_key_file => $option{certificate}->key,
    },
  );
  my $listener = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die "listen: $!";
  my $there    = $option{here} eq 'client' ? 'server' : 'client';
  my $open     = sub {
    my ($side) = @_;
    my $raw = $side eq 'server' ? $listener->accept
      : IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $listener->sockport);
    return IO::Socket::SSL->start_SSL($raw || die("$side: $!"), %{$end{$side}})
      || die "$side: $IO::Socket::SSL::SSL_ERROR\n";
  };
  my $pid = fork;
  die "fork: $!" unless defined $pid;
  if (!$pid) {
    alarm 60;
    eval {
      my $handle = $open->($there);
      print {$handle} join(' ', map { encode_base64($_, '') } _data($handle, $there)), "\n";
      while (defined(my $line = <$handle>)) { print {$handle} $line }
    };
    warn $@ if $@;
    POSIX::_exit(0);
  }
  my $self = bless {pid => $pid, handle => $open->($option{here})}, $class;
  my $line = readline $self->{handle};
  die "no report from the other end\n" unless defined $line;
  my %theirs;
  @theirs{qw(tls-exporter tls-unique)} = map { decode_base64($_) } split / /, $line;
  $self->{theirs} = {map { length $theirs{$_} ? ($_ => $theirs{$_}) : () } keys %theirs};
  return $self;
}

# Uses only Net::SSLeay's functions: the handshakes here are full ones.
sub _data {
  my ($handle, $side) = @_;
  my $ssl      = $handle->_get_ssl_object;
  my $exporter = Net::SSLeay::export_keying_material($ssl, 32, 'EXPORTER-Channel-Binding', '');
  my $finished = '';
  if ($handle->get_sslversion eq 'TLSv1_3') { }
  elsif ($side eq 'client') { Net::SSLeay::get_finished($ssl, $finished) }
  else                      { Net::SSLeay::get_peer_finished($ssl, $finished) }
  return ($exporter, $finished);
}

sub handle { return $_[0]{handle} }
sub theirs { return $_[0]{theirs} }

sub DESTROY {
  my ($self) = @_;
  local ($?, $!);
  close delete $self->{handle} if $self->{handle};
  waitpid $self->{pid}, 0;
  return;
}

1;
