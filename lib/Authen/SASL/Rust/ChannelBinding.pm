package Authen::SASL::Rust::ChannelBinding;

# Where a connection's channel binding data come from. Loaded by connections that bind.

use strict;
use warnings;
use Carp ();

our @CARP_NOT = ('Authen::SASL::Rust::Connection');

my %from_tls = (
  'tls-exporter' => \&_exporter,
  'tls-server-end-point' => \&_server_end_point,
  'tls-unique' => \&_unique,
);

# The data by type: of the property channel_binding, or else of the callback, or else of the TLS handle.
sub of {
  my ($conn, $given, $callback, $tls) = @_;
  return _own_data($conn, $given, 'property') if defined $given;
  return _own_data($conn, $callback, 'callback') if defined $callback;
  return {} unless defined $tls;
  my $ssl = _ssl_of($tls);
  return { map { my $data = $from_tls{$_}->($conn, $ssl); defined $data ? ($_ => $data) : () } keys %from_tls };
}

# A hash, or code that is called with each type that may be wanted. A type without data is left out.
sub _own_data {
  my ($conn, $source, $what) = @_;
  my ($code, @own) = ref $source eq 'ARRAY' ? @$source : $source;
  if (ref $code eq 'CODE') {
    my $offered = $conn->_get('offered_bindings');
    my @types = defined $offered ? grep { length } split /[\s,]+/, $offered : keys %from_tls;
    $source = { map { ($_ => scalar $code->($conn, @own, $_)) } @types };
  }
  ref $source eq 'HASH' or Carp::croak("channel_binding: a hash of types and data, or code, was expected as $what");
  my %data = map { defined $source->{$_} ? ($_ => $source->{$_}) : () } keys %$source;
  for my $type (sort keys %data) {
    Carp::croak("channel_binding: the data of $type is a reference, and bytes were expected") if ref $data{$type};
    utf8::downgrade($data{$type}, 1)
      or Carp::croak("channel_binding: the data of $type holds wide characters, and bytes were expected");
  }
  return \%data;
}

# The strength of the cipher, in bits.
sub tls_bits {
  my ($tls) = @_;
  return Net::SSLeay::get_cipher_bits(_ssl_of($tls)) || 0;
}

sub _ssl_of {
  my ($tls) = @_;
  my $is_handle = ref $tls && eval { $tls->isa('IO::Socket::SSL') };
  Carp::croak('tls: an IO::Socket::SSL handle was expected') unless $is_handle;
  my $ssl = eval { $tls->_get_ssl_object };
  Carp::croak('tls: this handle has finished no TLS handshake')
    unless $ssl && Net::SSLeay::get_cipher_bits($ssl);
  return $ssl;
}

my ($TLS_1_2, $TLS_1_3) = (0x0303, 0x0304);

# RFC 9266: exported with an empty context, 32 bytes; before TLS 1.3 only with the extended master secret.
sub _exporter {
  my ($conn, $ssl) = @_;
  return undef unless defined &Net::SSLeay::export_keying_material;
  return undef if Net::SSLeay::version($ssl) < $TLS_1_3 && !_has_extended_master_secret($ssl);
  return Net::SSLeay::export_keying_material($ssl, 32, 'EXPORTER-Channel-Binding', '');
}

# SSL_get_extms_support is a macro: SSL_ctrl with SSL_CTRL_GET_EXTMS_SUPPORT, which is 122.
sub _has_extended_master_secret {
  my ($ssl) = @_;
  return Net::SSLeay::ctrl($ssl, 122, 0, 0) == 1;
}

# RFC 5929 section 3: the first Finished message of the latest handshake. The client sends it, or, where a session was
# resumed, the server. TLS 1.3 defines none (RFC 8446 appendix C.5).
sub _unique {
  my ($conn, $ssl) = @_;
  return undef if Net::SSLeay::version($ssl) > $TLS_1_2;
  my $server_first = Net::SSLeay::session_reused($ssl) ? 1 : 0;
  my $is_server = $conn->_side ? 1 : 0;
  my $finished = '';
  if ($server_first == $is_server) { Net::SSLeay::get_finished($ssl, $finished) }
  else { Net::SSLeay::get_peer_finished($ssl, $finished) }
  return length $finished ? $finished : undef;
}

# RFC 5929 section 4: the server's certificate, hashed as its signature is, MD5 and SHA-1 raised to SHA-256.
# Nothing where the signature has no hash (Ed25519), or one that is unknown here.
sub _server_end_point {
  my ($conn, $ssl) = @_;
  my $is_server = $conn->_side;
  my $certificate = $is_server ? Net::SSLeay::get_certificate($ssl) : Net::SSLeay::get_peer_certificate($ssl);
  return undef unless $certificate;
  my $pem = Net::SSLeay::PEM_get_string_X509($certificate);
  Net::SSLeay::X509_free($certificate) unless $is_server;     # a server only borrows its own
  return end_point_data($pem);
}

# Hashes by the object identifiers of signatures and of the hashes themselves (RFC 4055, 5754, 5758).
my %hash_of = (
  '2a864886f70d010104' => 'sha256', '2a864886f70d010105' => 'sha256',     # md5 and sha1 with RSA
  '2a864886f70d01010b' => 'sha256', '2a864886f70d01010c' => 'sha384',
  '2a864886f70d01010d' => 'sha512', '2a864886f70d01010e' => 'sha224',
  '2a8648ce3d0401' => 'sha256', '2a8648ce3d040301' => 'sha224',           # ECDSA; the first with sha1
  '2a8648ce3d040302' => 'sha256', '2a8648ce3d040303' => 'sha384', '2a8648ce3d040304' => 'sha512',
  '2a8648ce380403' => 'sha256', '608648016503040301' => 'sha224', '608648016503040302' => 'sha256',   # DSA
  '2b0e03021a' => 'sha256', '608648016503040204' => 'sha224', '608648016503040201' => 'sha256',
  '608648016503040202' => 'sha384', '608648016503040203' => 'sha512',
);
my $RSASSA_PSS = '2a864886f70d01010a';

sub end_point_data {
  my ($pem) = @_;
  my ($base64) = $pem =~ /-----BEGIN [A-Z0-9 ]*CERTIFICATE-----(.*?)-----END/s or return undef;
  require Digest::SHA;
  require MIME::Base64;
  my $der = MIME::Base64::decode_base64($base64);
  my @signature = _elements((_elements((_elements($der))[0]))[1]);        # Certificate's signatureAlgorithm
  my $oid = unpack 'H*', $signature[0];
  if ($oid eq $RSASSA_PSS) {
    # RSASSA-PSS-params: [0] hashAlgorithm, SHA-1 by default
    my ($explicit) = @signature > 1 ? grep { /\A\xa0/ } _elements($signature[1], 1) : ();
    $oid = $explicit ? unpack 'H*', (_elements((_elements((_elements($explicit))[0]))[0]))[0] : '2b0e03021a';
  }
  my $hash = $hash_of{$oid} or return undef;
  return Digest::SHA->new($hash)->add($der)->digest;
}

# The contents of the DER elements in a string; with $whole the elements with their headers.
sub _elements {
  my ($der, $whole) = @_;
  my @found;
  my $at = 0;
  while ($at + 2 <= length $der) {
    my $begin = $at;
    my $length = ord substr $der, $at + 1, 1;
    $at += 2;
    if ($length > 0x80) {
      my $size = $length & 0x7f;
      $length = 0;
      $length = $length << 8 | ord for split //, substr $der, $at, $size;
      $at += $size;
    }
    push @found, $whole ? substr $der, $begin, $at + $length - $begin : substr $der, $at, $length;
    $at += $length;
  }
  return @found;
}

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::ChannelBinding - where channel binding data come from

=head1 DESCRIPTION

This is no interface for programs. L<Authen::SASL::Rust::Connection/Channel binding> describes the properties
C<channel_binding> and C<tls> that it serves.

=cut
