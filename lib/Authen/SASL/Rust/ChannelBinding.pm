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

# The strength of the cipher, in bits, and whether this side has a certificate.
sub _tls_facts {
  my ($tls) = @_;
  my $ssl = _ssl_of($tls);
  return (Net::SSLeay::get_cipher_bits($ssl) || 0, Net::SSLeay::get_certificate($ssl) ? 1 : 0);
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

# RFC 5929 section 3: the first Finished message of the latest handshake. The client sends it, or, where a session was
# resumed, the server. TLS 1.3 defines none (RFC 8446 appendix C.5).
sub _unique {
  my ($ssl, $is_server) = @_;
  return undef if Net::SSLeay::version($ssl) > $TLS_1_2;
  my $server_first = Net::SSLeay::session_reused($ssl) ? 1 : 0;
  my $finished = '';
  if ($server_first == $is_server) { Net::SSLeay::get_finished($ssl, $finished) }
  else { Net::SSLeay::get_peer_finished($ssl, $finished) }
  return length $finished ? $finished : undef;
}

# RFC 5929 section 4: the server's certificate, hashed as its signature is, MD5 and SHA-1 raised to SHA-256.
# Nothing where the signature has no hash (Ed25519), or one that is unknown here.
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
  '2a8648ce380403' => 'sha256', '608648016503040301' => 'sha224', '608648016503040302' => 'sha256',    # DSA
  '2b0e03021a' => 'sha256', '608648016503040204' => 'sha224', '608648016503040201' => 'sha256',
  '608648016503040202' => 'sha384', '608648016503040203' => 'sha512',
);
my $RSASSA_PSS = '2a864886f70d01010a';

sub _end_point_data {
  my ($pem) = @_;
  my ($base64) = $pem =~ /-----BEGIN [A-Z0-9 ]*CERTIFICATE-----(.*?)-----END/s or return undef;
  require Digest::SHA;
  require MIME::Base64;
  my $der = MIME::Base64::decode_base64($base64);
  my @signature = _elements((_elements((_elements($der))[0]))[1]);    # Certificate's signatureAlgorithm
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

Authen::SASL::Rust::ChannelBinding - bind a login to the TLS connection that it runs on

=head1 SYNOPSIS

    my $conn = Authen::SASL->new(
        mechanism => 'SCRAM-SHA-256-PLUS SCRAM-SHA-256',
        callback  => { user => 'fred', pass => 'pencil' },
    )->client_new('imap', 'mail.example.org', { tls => $socket });     # an IO::Socket::SSL handle

=head1 DESCRIPTION

TLS protects a login as long as the client checks the right certificate. Channel binding protects it also where
somebody has a certificate that the client trusts: both sides mix data of their TLS connection into the proof of
the password, and a man in the middle, who has two connections, makes them differ. The mechanisms that bind have
names that end in C<-PLUS>: all of the SCRAM family, as client and as server.

A side that has binding data and finds a C<-PLUS> mechanism in its list chooses it. The data come from the first
of these that is given:

=over

=item 1.

the property or option C<channel_binding>: a hash of types and data, or code that returns the data. Data are
bytes, at least one. Types are those of TLS below, or any other name of letters, digits, dots and hyphens;

=item 2.

the callback C<channel_binding>, of the same form;

=item 3.

the property or option C<tls>: an L<IO::Socket::SSL> handle after its handshake, also the object of a class that
is derived from it, such as Net::SMTP's after C<starttls>. It also sets C<externalssf> to the bits of the cipher,
unless the program sets that itself. The connection does not keep the handle open.

=back

Code is called as C<< code($conn, $type) >> (an array reference puts its own values in between) when the
connection is made or the property set, once for each type of C<offered_bindings>, or else of TLS. Undef means
that there are no data of that type.

=head2 Types

    tls-exporter            RFC 9266. Always with TLS 1.3; with TLS 1.2 if both sides have the extended master secret
    tls-server-end-point    RFC 5929: the hash of the server's certificate. Not for Ed25519, whose signatures name no hash
    tls-unique              RFC 5929: up to TLS 1.2

A client that has several prefers those that servers have, too. Before TLS 1.3, where C<tls-unique> tells that it is, that is
C<tls-unique>, then C<tls-server-end-point>, then C<tls-exporter> (RFC 5802 section 6.1, RFC 9266 section 2): Prosody 0.12, Dovecot 2.4, ejabberd and
Exim have no exporter there. Prosody 13 has C<tls-exporter> and C<tls-server-end-point>. With TLS 1.3 it is C<tls-exporter>, then C<tls-server-end-point>. Other types follow by their names.
C<offered_bindings> names those that the server has, where the protocol tells. A server takes whichever of its types the
client names.

B<With TLS 1.3 some servers offer -PLUS and cannot keep it>: ejabberd 23.01, and Exim 4.96 with GNU SASL, know C<tls-unique> alone there, by
which they mean a message that TLS 1.3 does not define as one. The server then refuses the type or the data. No type helps with these; set
C<channel_binding_policy> to C<disable>. Do that only for a server that you know to be of this kind: a man in the middle looks the
same from the client.

OpenLDAP 2.5 and 2.6 have a type of their own, C<ldap>. With C<sasl-cbinding tls-endpoint> in F<slapd.conf>:

    use Authen::SASL::Rust::ChannelBinding;

    my $data = Authen::SASL::Rust::ChannelBinding->from_tls($socket, 'client')->{'tls-server-end-point'};
    my $conn = $sasl->client_new('ldap', 'ldap.example.org',
        { channel_binding => { ldap => "tls-server-end-point:$data" } });

=head2 Policy

The property C<channel_binding_policy> is C<disable>, C<allow> or C<require>:

    disable     no -PLUS mechanism; the client says that it cannot bind
    allow       where both sides can; this is what holds if nothing is set
    require     nothing else: every other mechanism, and every message that does not bind, is refused

With C<allow> a login is bound only if the list that the client was given names a C<-PLUS> mechanism. So that
nobody can shorten the list on the way, a client that has data and saw no C<-PLUS> says so, and a server that
offers it refuses: the error on both sides speaks of it. This has a consequence: B<a client that is given C<tls>
and names C<SCRAM-SHA-256> alone is refused by every honest server that offers SCRAM-SHA-256-PLUS>. Name both, or
hand over the server's list, or set C<offered_mechanisms>, or C<disable>.

A server offers C<-PLUS> when C<listmech> names one: its list of mechanisms has one, there are data, and the policy is not
C<disable>. So a server whose list has no C<-PLUS> takes honest clients that say so, with data or without. A server that is
made for the one mechanism that the client chose does not know what else was offered: set C<offered_mechanisms>, which is
used in place of C<listmech>.

=head2 What the server offers

Two properties, strings with names separated by spaces or references to arrays, tell a side what the server
offers: the server gives its own lists, the client those that have arrived, complete and unchanged.

    offered_mechanisms    all mechanisms that the server offers
    offered_bindings      all types that it offers, in a protocol that lists them (XMPP by XEP-0440). Only these are
                          used. Undef (no such list) is not the same as an empty one

A SCRAM server with C<offered_mechanisms> adds a hash of both lists to its first message (C<h=>, XEP-0474, SASL
SCRAM Downgrade Protection, version 0.5.0); a client with C<offered_mechanisms> compares it with what has arrived
and refuses a difference. A server that sends no hash is not refused. The proofs cover the hash, with C<-PLUS> and
without. A client with data of other types than C<offered_bindings>, where C<-PLUS> is offered, says that it cannot
bind and goes on only if the server's hash confirms both lists. Versions of XEP-0474 before 0.4.0 hash the lists in another way; with a server of that kind leave
C<offered_mechanisms> unset. Either side must know the list exactly, so set nothing that a library has filtered.

=head1 EXAMPLE

A log-in to an XMPP server. C<@mechanisms> and C<@types> were read from its stream features after STARTTLS:

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

A reference to a hash with the binding data of a TLS connection by type, as far as IO::Socket::SSL and
Net::SSLeay give them. The second argument says which side of TLS the handle is, C<client> or C<server>; the
property C<tls> takes it to be the same as that of SASL. Dies if the handle is none or has finished no handshake.

=head1 SEE ALSO

L<Authen::SASL::Rust>, L<Authen::SASL::Rust::Connection>; RFC 5056, RFC 5802 section 6, RFC 5929, RFC 9266,
XEP-0440, XEP-0474.

=cut
