package Authen::SASL::Rust::ChannelBinding;

# Finds the channel binding data of a connection. Loaded only by connections that use channel binding.

use strict;
use warnings;
use Carp ();
use Scalar::Util ();

our $VERSION = '1.0';

our @CARP_NOT = ('Authen::SASL::Rust::Connection');

my %from_tls = (
  'tls-exporter' => \&_exporter,
  'tls-server-end-point' => \&_server_end_point,
  'tls-unique' => \&_unique,
);

# The data by type: from the property channel_binding, or else from the callback, or else from the TLS handle.
sub _of {
  my ($conn, $given, $callback, $tls) = @_;
  return _own_data($conn, $given, 'property') if defined $given;
  return _own_data($conn, $callback, 'callback') if defined $callback;
  return defined $tls ? __PACKAGE__->from_tls($tls, $conn->_side ? 'server' : 'client') : {};
}

sub from_tls {
  my ($class, $tls, $side) = @_;
  Carp::croak('from_tls: client or server was expected') unless defined $side && $side =~ /\A(?:client|server)\z/;
  my $ssl = _ssl_of($tls);
  my $is_server = $side eq 'server' ? 1 : 0;
  return { map { my $data = $from_tls{$_}->($ssl, $is_server); defined $data ? ($_ => $data) : () } keys %from_tls };
}

# A hash, or code that is called with each type that may be needed. Types without data are omitted.
sub _own_data {
  my ($conn, $source, $what) = @_;
  my ($code, @own) = ref $source eq 'ARRAY' ? @$source : $source;
  if (Authen::SASL::Rust::Connection::_is_code($code)) {
    my $offered = $conn->_get('offered_bindings');
    my @types = defined $offered ? grep { length } split /[\s,]+/, $offered : keys %from_tls;
    $source = { map { ($_ => scalar $code->($conn, @own, $_)) } @types };
  }
  ref $source eq 'HASH' or Carp::croak("channel_binding: a hash of types and data, or code, was expected as $what");
  my %data = map { defined $source->{$_} ? ($_ => $source->{$_}) : () } keys %$source;
  for my $type (sort keys %data) {
    Carp::croak("channel_binding: the data of $type is a reference, but bytes were expected") if ref $data{$type};
    utf8::downgrade($data{$type}, 1)
      or Carp::croak("channel_binding: the data of $type contains wide characters, but bytes were expected");
  }
  return \%data;
}

# The key length of the cipher in bits, and whether this side has a certificate.
sub _tls_facts {
  my ($tls) = @_;
  my $ssl = _ssl_of($tls);
  return (Net::SSLeay::get_cipher_bits($ssl) || 0, Net::SSLeay::get_certificate($ssl) ? 1 : 0);
}

# The handle of a stream: Mojo::IOLoop::Stream has it as handle, IO::Async::Stream as read_handle.
sub _handle_of {
  my ($tls) = @_;
  return undef unless Scalar::Util::blessed($tls);
  return $tls if $tls->isa('IO::Socket::SSL');
  for my $method (qw(handle read_handle)) {
    my $handle = $tls->can($method) && eval { $tls->$method } or next;
    return $handle if Scalar::Util::blessed($handle) && $handle->isa('IO::Socket::SSL');
  }
  return undef;
}

# An SSL of Net::SSLeay is an address, which cannot be checked: it comes by its name, so that no other number is taken for one.
sub _raw_ssl {
  my ($tls) = @_;
  return undef unless ref $tls eq 'HASH' && keys %$tls == 1 && defined $tls->{ssl};
  Carp::croak('tls: ssl is no SSL of Net::SSLeay') unless $tls->{ssl} =~ /\A[1-9][0-9]{3,19}\z/;
  require Net::SSLeay;
  return $tls->{ssl};
}

sub _ssl_of {
  my ($tls) = @_;
  my $raw = _raw_ssl($tls);
  my $handle = defined $raw ? undef : _handle_of($tls);
  Carp::croak(
    'tls: an IO::Socket::SSL handle was expected, or a stream that has one, or { ssl => $ssl } of Net::SSLeay')
    unless defined $raw || $handle;
  my $ssl = defined $raw ? $raw : eval { $handle->_get_ssl_object };
  Carp::croak('tls: the TLS handshake of this handle has not finished')
    unless $ssl && Net::SSLeay::get_cipher_bits($ssl);
  return $ssl;
}

my ($TLS_1_2, $TLS_1_3) = (0x0303, 0x0304);

# RFC 9266: exported with an empty context, 32 bytes; before TLS 1.3 only with the extended master secret.
sub _exporter {
  my ($ssl) = @_;
  return undef unless defined &Net::SSLeay::export_keying_material;
  return undef if Net::SSLeay::version($ssl) < $TLS_1_3 && !_has_extended_master_secret($ssl);
  return Net::SSLeay::export_keying_material($ssl, 32, 'EXPORTER-Channel-Binding', '');
}

# SSL_get_extms_support is a macro: SSL_ctrl with SSL_CTRL_GET_EXTMS_SUPPORT, which is 122.
sub _has_extended_master_secret {
  my ($ssl) = @_;
  return Net::SSLeay::ctrl($ssl, 122, 0, 0) == 1;
}

# RFC 5929 section 3: the first Finished message of the latest handshake. The client sends it, or the server if a
# session was resumed. TLS 1.3 defines none (RFC 8446 appendix C.5).
sub _unique {
  my ($ssl, $is_server) = @_;
  return undef if Net::SSLeay::version($ssl) > $TLS_1_2;
  my $server_first = Net::SSLeay::session_reused($ssl) ? 1 : 0;
  my $finished = '';
  if ($server_first == $is_server) { Net::SSLeay::get_finished($ssl, $finished) }
  else { Net::SSLeay::get_peer_finished($ssl, $finished) }
  return length $finished ? $finished : undef;
}

# RFC 5929 section 4: the server's certificate, hashed with the hash of its signature; MD5 and SHA-1 are replaced by
# SHA-256. undef if the hash is unknown, or if the signature names none: for Ed25519 and Ed448 the RFC defines no data, and
# implementations differ (GnuTLS takes SHA-512, others SHA-256 or nothing).
sub _server_end_point {
  my ($ssl, $is_server) = @_;
  my $certificate = $is_server ? Net::SSLeay::get_certificate($ssl) : Net::SSLeay::get_peer_certificate($ssl);
  return undef unless $certificate;
  my $pem = Net::SSLeay::PEM_get_string_X509($certificate);
  Net::SSLeay::X509_free($certificate) unless $is_server;    # a server only borrows its own
  return _end_point_data($pem);
}

# Hashes by the object identifiers of signatures and of the hashes themselves (RFC 4055, 5754, 5758).
my %hash_of = (
  '2a864886f70d010104' => 'sha256', '2a864886f70d010105' => 'sha256',    # md5 and sha1 with RSA
  '2a864886f70d01010b' => 'sha256', '2a864886f70d01010c' => 'sha384',
  '2a864886f70d01010d' => 'sha512', '2a864886f70d01010e' => 'sha224',
  '2a8648ce3d0401' => 'sha256', '2a8648ce3d040301' => 'sha224',          # ECDSA; the first with sha1
  '2a8648ce3d040302' => 'sha256', '2a8648ce3d040303' => 'sha384', '2a8648ce3d040304' => 'sha512',
  '2a8648ce380403' => 'sha256', '2b0e03021a' => 'sha256',                # sha1 with DSA, and sha1
);
# NIST has them in one arc: hashes below 2, signatures with DSA, ECDSA (SHA-3) and RSA (SHA-3) below 3.
my @SHA3 = qw(sha3-224 sha3-256 sha3-384 sha3-512);
my %arc = (
  '2a864886f70d0101' => { 15 => 'sha512-224', 16 => 'sha512-256' },      # with RSA (RFC 8017)
  '6086480165030402' => {
    1 => 'sha256', 2 => 'sha384', 3 => 'sha512', 4 => 'sha224', 5 => 'sha512-224', 6 => 'sha512-256',
    map({ 7 + $_ => $SHA3[$_] } 0 .. 3)
  },
  '6086480165030403' => {
    1 => 'sha224', 2 => 'sha256', 3 => 'sha384', 4 => 'sha512',
    map({ (5 + $_ => $SHA3[$_], 9 + $_ => $SHA3[$_], 13 + $_ => $SHA3[$_]) } 0 .. 3)
  },
);
for my $arc (keys %arc) {
  $hash_of{ $arc . sprintf '%02x', $_ } = $arc{$arc}{$_} for keys %{ $arc{$arc} };
}
my $RSASSA_PSS = '2a864886f70d01010a';

sub _end_point_data {
  my ($pem) = @_;
  my ($base64) = $pem =~ /-----BEGIN [A-Z0-9 ]*CERTIFICATE-----(.*?)-----END/s or return undef;
  require Digest::SHA;
  require MIME::Base64;
  my $der = MIME::Base64::decode_base64($base64);
  my @signature = _elements((_elements((_elements($der))[0]))[1]) or return undef;    # Certificate's signatureAlgorithm
  my $oid = unpack 'H*', $signature[0];
  if ($oid eq $RSASSA_PSS) {
    # RSASSA-PSS-params: [0] hashAlgorithm, SHA-1 by default
    my ($explicit) = @signature > 1 ? grep { /\A\xa0/ } _elements($signature[1], 1) : ();
    my ($named) = $explicit ? _elements((_elements((_elements($explicit))[0]))[0]) : "\x2b\x0e\x03\x02\x1a";
    $oid = defined $named ? unpack 'H*', $named : '';
  }
  my $hash = $hash_of{$oid} or return undef;
  return Digest::SHA->new($hash =~ tr/-//dr)->add($der)->digest if $hash !~ /\Asha3/;
  # Perl has no SHA-3 itself; OpenSSL has it from 1.1.1 on.
  my $type = eval { require Net::SSLeay; Net::SSLeay::EVP_get_digestbyname($hash) } or return undef;
  return Net::SSLeay::EVP_Digest($der, $type);
}

# The contents of the DER elements in a string; with $whole the elements with their headers.
sub _elements {
  my ($der, $whole) = @_;
  return if !defined $der;
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
    last if $at + $length > length $der;
    push @found, $whole ? substr $der, $begin, $at + $length - $begin : substr $der, $at, $length;
    $at += $length;
  }
  return @found;
}

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::ChannelBinding - bind a login to the TLS connection that it runs on

=head1 SYNOPSIS

    my $conn = Authen::SASL->new(
        mechanism => 'SCRAM-SHA-256-PLUS SCRAM-SHA-256',
        callback  => { user => 'fred', pass => 'pencil' },
    )->client_new('imap', 'mail.example.org', { tls => $socket });     # an IO::Socket::SSL handle

=head1 DESCRIPTION

TLS protects a login as long as the client accepts only the right certificate. Channel binding protects it even if an
attacker has a certificate that the client trusts: both sides mix data of their TLS connection into the proof of the
password, and with a man in the middle, who has two connections, these data differ. The names of mechanisms with channel
binding end in C<-PLUS>: all of the SCRAM family, as client and as server, and GS2-KRB5-PLUS. The HT mechanisms bind to the one type that the
name tells: C<-EXPR> to tls-exporter, C<-UNIQ> to tls-unique, C<-ENDP> to tls-server-end-point. GSSAPI and GSS-SPNEGO bind to
tls-server-end-point if they have its data, under the same name.

A side that has channel binding data and finds a C<-PLUS> mechanism in its list chooses that mechanism. The data come
from the first of these sources that is given:

=over

=item 1.

the property or option C<channel_binding>: a hash of types and data, or code that returns the data. The data are bytes,
at least one. A type is one of the TLS types below, or any other name of letters, digits, dots and hyphens;

=item 2.

the callback C<channel_binding>, in the same form;

=item 3.

the property or option C<tls>: an L<IO::Socket::SSL> handle after its handshake, or an object of a derived class, such
as Net::SMTP after C<starttls>; a Mojo::IOLoop::Stream or an IO::Async::Stream over one; or C<< { ssl => $ssl } >> with an SSL of
Net::SSLeay, such as C<< $handle->{tls} >> of AnyEvent::Handle. An SSL is an address: a wrong one crashes the program. It also sets C<externalssf> to the key length of the cipher in bits, unless the program
sets C<externalssf> itself. The connection does not keep the handle open.

=back

Code is called as C<< code($conn, $type) >> (with an array reference, its own values are inserted in between) when the
connection is made or the property is set, once for each type of C<offered_bindings>, or else for each TLS type. Undef
means that there is no data of that type.

=head2 Types

=over

=item tls-exporter

RFC 9266. Always with TLS 1.3; with TLS 1.2 if both sides support the extended master secret.

=item tls-server-end-point

RFC 5929: the server's certificate, hashed with the hash of its signature: SHA-2, SHA-512/224, SHA-512/256, SHA-3 (with OpenSSL 1.1.1 or newer),
also with RSASSA-PSS; SHA-256 instead of MD5 and SHA-1. Not for Ed25519 and Ed448, whose signatures specify no hash.

=item tls-unique

RFC 5929: up to TLS 1.2.

=back

A client with data of several types prefers the types that servers support. With TLS 1.2 and older, if C<tls-unique> data is available, the
order is C<tls-unique>, C<tls-server-end-point>, C<tls-exporter> (RFC 5802 section 6.1, RFC 9266 section 2): Prosody 0.12, Dovecot 2.4,
ejabberd and Exim support no exporter there. Prosody 13 supports C<tls-exporter> and C<tls-server-end-point>. With TLS 1.3 the order is
C<tls-exporter>, C<tls-server-end-point>. Other types follow in the order of their names. If the protocol announces the server's types, set
C<offered_bindings> to them. A server accepts any of its types that the client names.

B<With TLS 1.3 some servers offer -PLUS although they cannot do it>: ejabberd 23.01, and Exim 4.96 with GNU SASL, support only C<tls-unique>
there, and use a message for it that TLS 1.3 does not define for this purpose. The server then refuses the type or the data. No type works
with these servers; set C<channel_binding_policy> to C<disable>. Do that only for a server that you know to behave so: to the client, a man
in the middle looks the same.

OpenLDAP 2.5 and 2.6 use their own type, C<ldap>. With C<sasl-cbinding tls-endpoint> in F<slapd.conf>:

    use Authen::SASL::Rust::ChannelBinding;

    my $data = Authen::SASL::Rust::ChannelBinding->from_tls($socket, 'client')->{'tls-server-end-point'};
    my $conn = $sasl->client_new('ldap', 'ldap.example.org',
        { channel_binding => { ldap => "tls-server-end-point:$data" } });

=head2 Policy

The property C<channel_binding_policy> is C<disable>, C<allow> or C<require>:

=over

=item disable

No -PLUS mechanism. The client says that it does not support channel binding.

=item allow

Channel binding if both sides support it; the default.

=item require

Only channel binding: every other mechanism, and every message without it, is refused.

=back

With C<allow> a login uses channel binding only if the client's list names a C<-PLUS> mechanism. To detect an attacker
who shortens the list, a client that has data but saw no C<-PLUS> says so in its first message, and a server that offers
C<-PLUS> then refuses; the errors on both sides give this reason. This has a consequence: B<a client that has C<tls> and
names only C<SCRAM-SHA-256> is refused by every correct server that offers SCRAM-SHA-256-PLUS>. Name both, or pass the
server's list, or set C<offered_mechanisms>, or set C<disable>.

A server offers C<-PLUS> if C<listmech> names a C<-PLUS> mechanism: its list contains one, there is channel binding data,
and the policy is not C<disable>. So a server whose list has no C<-PLUS> accepts clients that say that they saw none,
whether it has data or not. A server object that is made for the one mechanism that the client chose does not know what
else was offered: set C<offered_mechanisms>, which is used instead of C<listmech>.

=head2 What the server offers

Two properties hold the lists that the server offers, as a string with names separated by spaces or as a reference to an
array. A server sets its own lists; a client sets the lists that it received, complete and unchanged.

=over

=item offered_mechanisms

All mechanisms that the server offers.

=item offered_bindings

All channel binding types that it offers, if the protocol lists them (XMPP: XEP-0440). Only these are used. Undef (no such list) is not
the same as an empty list.

=back

A SCRAM server with C<offered_mechanisms> adds a hash of both lists to its first message (C<h=>, XEP-0474, SASL SCRAM Downgrade Protection,
version 0.5.0); a client with C<offered_mechanisms> compares the hash with the lists that it received and refuses a difference. A server
that sends no hash is accepted. The proofs cover the hash, with C<-PLUS> and without. If C<-PLUS> is offered, but the client has no data of
a type in C<offered_bindings>, the client says that it does not support channel binding, and goes on only if the server's hash confirms both
lists. Versions of XEP-0474 before 0.4.0 hash the lists in another way; with such a server leave C<offered_mechanisms> unset. Each side must
know the exact list, so pass the complete list, not one filtered by a library.

=head1 EXAMPLE

A login to an XMPP server. C<@mechanisms> and C<@types> were read from its stream features after STARTTLS:

    my $conn = Authen::SASL->new(
        mechanism => "@mechanisms",
        callback  => { user => 'fred', pass => 'pencil' },
    )->client_new('xmpp', 'example.org', {
        tls                => $socket,
        offered_mechanisms => \@mechanisms,
        @types ? (offered_bindings => \@types) : (),
        secflags           => 'noplaintext',
    });

    my $first = $conn->client_start;
    die $conn->error unless defined $first;
    print {$socket} "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='", $conn->mechanism, "'>",
        encode_base64($first, ''), '</auth>';

=head1 METHODS

=head2 from_tls

    $data = Authen::SASL::Rust::ChannelBinding->from_tls($handle, 'client')

Returns a reference to a hash with the channel binding data of a TLS connection by type, as far as IO::Socket::SSL and
Net::SSLeay provide it. The second argument says which side of the TLS connection the handle is, C<client> or C<server>;
the property C<tls> assumes that it is the same as the SASL side. $handle is what C<tls> takes. Dies if it is something else, or if its
handshake has not finished.

=head1 SEE ALSO

L<Authen::SASL::Rust>, L<Authen::SASL::Rust::Connection>; RFC 5056, RFC 5802 section 6, RFC 5929, RFC 9266,
XEP-0440, XEP-0474.

=cut
