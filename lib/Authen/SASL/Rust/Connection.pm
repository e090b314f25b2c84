package Authen::SASL::Rust::Connection;

use strict;
use warnings;
use Carp ();

our $VERSION = '1.0';

# An error names the line that called Authen::SASL.
our @CARP_NOT = ('Authen::SASL', 'Authen::SASL::Rust');

# A handle of the core belongs to one thread and cannot be serialized. A copy in another thread, or one made by Storable, returns the
# mechanism and the error, because the methods name and error of Authen::SASL read them; its other methods die.
sub STORABLE_freeze { return $_[0]->_words }
sub STORABLE_thaw { $_[0]->_be_copy($_[2]); return }

sub service { return $_[0]->_get('service') }
sub host { return $_[0]->_get('host') }

# The current mechanism, as the program spelled it. A server with several mechanisms sets the one that the client chose.
sub mechanism {
  my ($self, $name) = @_;
  if (@_ > 1) {
    $self->_pick($name) or Carp::croak('mechanism: not in the list of mechanisms');
  }
  return $self->_get('mechanism') unless $self->_is_copy;
  my ($known) = split /\0/, $self->_words;
  return defined $known && length $known ? $known : undef;
}

# Answers of callbacks, by callback name, except secrets.
sub answer {
  my ($self, $name) = @_;
  return undef
    if !defined $name
    || $name =~ /\A(?:pass|password|token|ht_tokens?|scram_keys|challenge|otp_state|getsecret|checkpass)\z/;
  my %property = (
    user => 'authcid', username => 'authcid', authcid => 'authcid', auth => 'authcid',
    authname => 'authzid', authzid => 'authzid', realm => 'realm',
  );
  my $value = $property{$name} ? $self->_get($property{$name}) : undef;
  # On a server these names are the client's: a callback of the same name does not identify the client.
  return $value if defined $value || $property{$name} && $self->_side;
  my $callback = $self->_callbacks->{$name};
  return ref $callback ? undef : $callback;
}

sub user { return $_[0]->answer('user') }

sub callback {
  my ($self, @arg) = @_;
  return $self->_callbacks->{ $arg[0] } if @arg == 1;
  my %new = @arg;
  my $callbacks = $self->_callbacks;
  @{$callbacks}{ keys %new } = values %new;
  $self->_callbacks_changed if %new;
  $self->_default_realm if defined $new{realm} && $self->_side;
  $self->_bind if exists $new{channel_binding};
  return $callbacks;
}

# A callback that is called: code, or an object that overloads &{}.
sub _is_code {
  my ($callback) = @_;
  return 0 if !ref $callback;
  return 1 if ref $callback eq 'CODE';
  require Scalar::Util;
  return 1 if Scalar::Util::reftype($callback) eq 'CODE';
  require overload;
  return defined Scalar::Util::blessed($callback) && overload::Method($callback, '&{}') ? 1 : 0;
}

# The callback realm of a server returns the default realm.
sub _default_realm {
  my ($self) = @_;
  my $realm = $self->_callbacks->{realm};
  ($realm, my @own) = @$realm if ref $realm eq 'ARRAY';
  $realm = $realm->($self, @own) if _is_code($realm);
  $self->_set(realm => $realm) if defined $realm;
  return;
}

sub property {
  my ($self, @arg) = @_;
  if (@arg == 1) {
    my $name = $arg[0];
    return undef unless defined $name;
    if ($self->{property} && exists $self->{property}{$name}) {
      # A program may store a value of its own under these names. After a login they are what it has proved and found.
      return $self->{property}{$name} unless $name =~ /\A(?:user|authzid|mechanism|auxprop:.+)\z/s && $self->is_success;
    }
    return $self->_get($name) unless $name =~ /\Aauxprop:(.+)/s;
    my @values = $self->_auxprop($1);
    return wantarray ? @values : $values[0];
  }
  Carp::croak('property: names and values in pairs were expected') if @arg % 2;
  while (my ($name, $value) = splice @arg, 0, 2) {
    $self->_set_property($name, $value);
  }
  return 1;
}

# Few connections need these, and compiling them takes a third of the time of loading this module.
sub _set_option { require Authen::SASL::Rust::Options; goto &Authen::SASL::Rust::Options::_set_option }
sub _set_property { require Authen::SASL::Rust::Options; goto &Authen::SASL::Rust::Options::_set_property }
sub _options { require Authen::SASL::Rust::Options; goto &Authen::SASL::Rust::Options::_options }
sub _bind { require Authen::SASL::Rust::Options; goto &Authen::SASL::Rust::Options::_bind }
sub _trace { require Authen::SASL::Rust::Options; goto &Authen::SASL::Rust::Options::_trace }
sub checkpass { require Authen::SASL::Rust::Passwords; goto &Authen::SASL::Rust::Passwords::checkpass }
sub setpass { require Authen::SASL::Rust::Passwords; goto &Authen::SASL::Rust::Passwords::setpass }

# The mechanisms that this side may use, strongest first, as a list or as a string with a prefix, separator
# and suffix.
sub listmech {
  my ($self, $prefix, $separator, $suffix) = @_;
  my @names = split / /, Authen::SASL::Rust::_usable($self);
  return @names if wantarray && @_ < 2;
  $_ = defined $_ ? $_ : '' for $prefix, $suffix;
  return $prefix . join(defined $separator ? $separator : ' ', @names) . $suffix;
}

sub global_listmech { return Authen::SASL::Rust->global_listmech }

# A name or password as UTF-8 (Authen::SASL::Rust, CHARACTERS).
sub _encoded {
  my ($text) = @_;
  utf8::encode($text) if utf8::is_utf8($text) || !utf8::decode(my $encoded = $text);
  return $text;
}

sub _acceptable { return 1 }

# Without a security layer the data is sent unchanged.
sub securesocket {
  my ($self, $handle) = @_;
  return $handle unless $self->_layered;
  require Authen::SASL::Rust::Layer;
  return Authen::SASL::Rust::Layer->over($self, $handle);
}

sub tiesocket {
  my ($self, $handle) = @_;
  return $handle unless $self->_layered;
  require Authen::SASL::Rust::Layer;
  return Authen::SASL::Rust::Layer->onto($self, $handle);
}

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::Connection - one side of a SASL exchange

=head1 SYNOPSIS

=for program

    use strict;
    use warnings;
    use Authen::SASL qw(Rust);

    my $sasl = Authen::SASL->new(mechanism => 'PLAIN', callback => { user => 'fred', pass => 'pencil' });
    my $conn = $sasl->client_new('imap', 'mail.example.org', { minssf => 128, externalssf => 256 });

    my $message = $conn->client_start;
    die $conn->error unless defined $message;
    print length $message, "\n";                          # prints 12
    print $conn->is_success ? "done\n" : "not yet\n";     # prints done

=head1 DESCRIPTION

C<client_new> and C<server_new> of L<Authen::SASL> return an object of this class. It can be used for any number of exchanges, one after the
other. L<Authen::SASL::Rust> describes the mechanisms and how one is chosen, L<Authen::SASL::Rust::Callbacks> the callbacks, and
L<Authen::SASL::Rust::Error> the errors.

=head1 THE EXCHANGE

A message is a string of bytes. B<Absent is not empty>: for protocols that distinguish a missing initial response from
an empty one, the property C<message_absent> says which one it is.

On success each of the four steps returns exactly one element: the message for the peer, or an empty string if there is
none. On failure it returns an empty list, which is undef in scalar context, and C<error> is set. There is one
exception: a last message for the peer is returned although C<error> is already set (SCRAM's C<e=>, the client's single
byte 0x01 of OAUTHBEARER). So check C<error>, and then send the returned message if it is defined.

A step after the end returns an empty list and changes nothing.

=head2 client_start

    $message = $conn->client_start

Begins a new exchange. It may be called at any time, and keeps nothing of the previous exchange. If a property or
callback has changed, it chooses the mechanism again. Returns the initial response. If the server sends first, the
return value is C<''> and C<message_absent> is true.

An empty message is a message. Net::SMTP and Net::POP3 treat it as absent and do not send it. The server then sends an empty
challenge, and C<client_step> returns the empty message again.

=head2 client_step

    $message = $conn->client_step($challenge)

Takes the server's challenge and returns the response. Pass data that the server sends with its success (SCRAM's C<v=>)
to C<client_step> too; the client has succeeded only after that. On a new connection, C<client_step> starts the exchange
first.

=head2 server_start

    $message = $conn->server_start($initial)
    $conn->server_start($initial, sub { my ($message) = @_; ... })

Begins an exchange. C<$initial> is the client's initial response, or undef if there was none. If it is undef and the
client must send first, the result is an empty challenge.

With a continuation, the method returns nothing. The continuation gets the message, or no argument if there is none,
immediately or when the callbacks have answered. See L<Authen::SASL::Rust::Callbacks/DEFERRED ANSWERS>.

=head2 server_step

    $message = $conn->server_step($response)
    $conn->server_step($response, sub { my ($message) = @_; ... })

Takes the client's response and returns the next challenge, or the data that goes with success. In a protocol that
cannot carry data with its success (SMTP, POP3), send it as one more challenge. Pass the client's empty response to
C<server_step>, which returns C<''>.

=head2 abandon

    $conn->abandon

Ends an exchange that the peer has ended: by cancelling it (C<*> in SMTP, POP3 and IMAP), by another AUTH command, or by
closing the connection. C<error> then has the reason. An exchange that ends without C<is_success> has failed, whatever ended
it: a server that counts failures should count it. If no exchange is in progress, the method does nothing.

=head2 need_step

True while the connection waits for the peer's next message, or for the answer of a callback.

=head2 is_success

True once this side has verified everything that it can verify. A SCRAM client needs the server's proof for that; a
SCRAM server succeeds when it returns its own proof.

=head2 error

Undef if there is no error; otherwise one string that says what went wrong, see L<Authen::SASL::Rust::Error/CODES>. The string is
octets unless the property C<characters> is set.

=head2 code

0, or the negative number of the error.

=head2 Methods of the other side

C<client_start> and C<client_step> die on a server, and C<server_start> and C<server_step> die on a client.

=head1 THE CONNECTION

=head2 mechanism

    $name = $conn->mechanism
    $conn->mechanism($name)

The name of the mechanism, spelled as in the program's list. It is undef on a server with several mechanisms until one is
set. The second form sets it, and dies if C<$name> is not in the server's list. Case does not matter. The property
C<mechname> has the registered name.

=for program

    use strict;
    use warnings;
    use Authen::SASL qw(Rust);

    my $server = Authen::SASL->new(mechanism => 'SCRAM-SHA-256 PLAIN', callback => { getsecret => sub { 'pencil' } })
        ->server_new('smtp', 'mail.example.org');
    print scalar $server->listmech('AUTH '), "\n";     # prints AUTH SCRAM-SHA-256 PLAIN
    $server->mechanism('PLAIN');
    $server->server_start("\0fred\0pencil");
    print $server->property('user'), "\n";             # prints fred

=head2 service

The service name that was passed to client_new or server_new.

=head2 host

The host name that was passed to client_new or server_new.

=head2 user

Client: the authcid. Server: the authcid once it is proved; undef until then and after a failure. It is the same as
C<answer('user')>.

=head2 answer

    $value = $conn->answer($name)

The answer of the callback with that name, or on a server the value that the client has proved: C<user> (also C<username>),
C<authname>, C<realm>. A callback that is a plain string is returned unchanged. The method never returns a password, token or
verifier.

=head2 callback

    $value = $conn->callback($name)
    $conn->callback($name => $value, ...)

Reads or replaces callbacks of this connection. The connection has a copy of the callbacks of the Authen::SASL object. If that
object has no callbacks, a client may set all of them here, before C<client_start>.

=head2 listmech

    @names = $conn->listmech
    $text  = $conn->listmech($prefix, $separator, $suffix)

The mechanisms of the caller's list that this side may use, strongest first. In the string form, the default separator
is a space.

=head2 global_listmech

The same as L<Authen::SASL::Rust/global_listmech>.

=head2 checkpass

    $yes = $conn->checkpass($user, $password)

Server: checks a password outside of any exchange. It calls the callback C<checkpass>; without it, it compares with the result of
C<getsecret>; without both, it uses the account store. Returns 1 or 0; 0 if there is none of the three, and for an empty name or
password. C<canonuser> is called as in an exchange. The method dies with the reason if the account store is unavailable, or if
C<getsecret> returns a reference or keeps its continuation; if C<checkpass> does so, 0 is returned. If the stored secret of the user is
unusable (L<Authen::SASL::Rust::Callbacks/VERIFIERS>), the result is also 0, and the callback C<log> receives the reason.

=head2 setpass

    $yes = $conn->setpass($user, $password, $flags)

Server: sets a password. If there is an account store, a mechanism that keeps its own secrets makes and stores one: OTP
(L<Authen::SASL::Rust::Callbacks/ONE-TIME PASSWORDS>), and mechanisms of plugins (L<Authen::SASL::Rust::Plugins>). Otherwise the three arguments are passed to the callback C<setpass>, or if there is
none, to the account store (L<Authen::SASL::Rust::Accounts/setpass>). Returns 1 or 0; 0 if there is neither. If the
account store cannot set the password, the method dies with the reason.

$flags are those of Cyrus SASL. An account store accepts 1, which creates a user that does not exist, and 2, which disables
the user instead. Without 1 the user must exist. If $flags is undef or omitted, a missing user is created.

=head2 encode, decode

    $data = $conn->encode($data)
    $data = $conn->decode($data)

Encodes or decodes one message of the security layer, without the four length bytes that precede it on the wire
(C<securesocket> handles those). Without a layer (C<ssf> is 0) the data is returned unchanged. On failure the methods
return an empty list. C<encode> accepts at most C<maxout> bytes. A frame that was changed or repeated, or that arrives out
of order, is an error after which the layer cannot be used. The data are bytes: a wide character dies.

=head2 securesocket, tiesocket

    $handle = $conn->securesocket($handle)

C<securesocket> returns a new handle that applies the security layer to the given handle; without a layer it returns the given handle. The
handle carries bytes: an I/O layer C<:utf8> or C<:encoding>, which C<PERL_UNICODE> or the pragma C<open> may have put on the given handle,
is removed. L<Authen::SASL::Rust::Layer> describes the methods of the handle. C<tiesocket> installs the layer on the given handle itself.

=head2 property

    $value = $conn->property($name)
    $conn->property($name => $value, ...)

Reads or sets properties. An invalid value dies with the name and the valid range; undef restores the default. An unknown name is
stored and returned, for programs that keep their own properties; a name that resembles a known property gives a warning.

=head1 PROPERTIES

The options of C<client_new> and C<server_new> have the same names. An option with any other name dies.

=head2 Policy

=over

=item secflags

The required security flags, separated by spaces: noplaintext noactive nodictionary noanonymous forward_secrecy pass_credentials
mutual_auth. L<Authen::SASL::Rust/MECHANISMS> shows which mechanism satisfies which of them.

=item minssf

The minimum SSF (security strength factor, in bits) that the connection must reach; default 0. It includes L</externalssf>. If it demands
a layer that is not available, the exchange fails.

=item maxssf

The maximum SSF of the connection. It includes L</externalssf>.

If neither C<minssf> nor C<maxssf> is set, C<maxssf> is 0 for services whose programs know no security layer (acap http
imap jabber jabber-client lmtp managesieve nntp pop pop3 sieve smtp submission xmpp, and no service name). For all others
it is 4294967295: an LDAP client gets the strongest layer that the server offers. To get a layer with one of the services
above, set one of the two properties:

    my $conn = $sasl->client_new('imap', 'mail.example.org', { maxssf => 256 });
    # ... the exchange ...
    $socket = $conn->securesocket($socket);

=item externalssf

The SSF that TLS or the socket already provides; default 0. Set it to 1 or more under TLS. The property L</tls> sets it.

=item min_iterations

Client: the minimum accepted SCRAM iterations; default 4096.

=item max_iterations

The maximum accepted SCRAM iterations; default 2000000. A client refuses a server that asks for more. A server whose client sends the password
(PLAIN, LOGIN) does not compare it with a verifier of more: a user who stores his own verifier could keep it busy for minutes.

=item iterations

Server: the SCRAM iterations for plain passwords and unknown users, 4096 to 100000000; default 4096, and 10000 for SHA-384, SHA-512 and
SHA3-512. If it is not set and the server has seen the verifier of a user, the count of the first one of that hash is used instead, so that it
does not tell which users exist.

=item salt_key

=item fake_salt_key

Server: the key from which the salts of plain passwords and unknown users are derived, at least 16 bytes. The default is random, is made when
the module is loaded, and holds for the process, its forks and threads. It cannot be read. fake_salt_key is its old name.

=item digest_md5_utf8

Client: 1 makes DIGEST-MD5 hash characters beyond ASCII in UTF-8. Dovecot, GNU SASL and Authen::SASL::Perl do so, the standard does not;
default 0.

=item characters

1: the program gets names, passwords and errors as decoded strings; 0, the default: as octets (UTF-8). See L<Authen::SASL::Rust/CHARACTERS>.

=item debug

1 prints a trace to standard error; a handle or a code reference gets its lines instead. See L<Authen::SASL::Rust/A trace>. The default is
the value of C<AUTHEN_SASL_RUST_DEBUG> in the environment, or that of Authen::SASL's C<debug>.

=item die_on_failure

1: a failed step dies with an L<Authen::SASL::Rust::Error>. The default is the value of C<$Authen::SASL::Rust::DIE_ON_FAILURE>, or 0.

=item plugins

The Cyrus SASL plugins whose mechanisms may be used, see L<Authen::SASL::Rust::Plugins>.

=item otp_renew

OTP, client with C<pass>: below this sequence number the client begins a new chain of one-time passwords with the same pass phrase and another
seed (C<init-hex> of RFC 2243). 0 to 9999; the default 0 means never. See L<Authen::SASL::Rust::Callbacks/ONE-TIME PASSWORDS>.

=item maxbuf

The maximum frame of a layer that this side receives, 0 to 16777215; default 65536. Below 17: no layer; above the range: 16777215.
GSS-SPNEGO does not send it to the peer: there it limits the frames that this side sends (65536 at most), and frames of any length are
accepted.

=item no_integrity

Server: no security layer.

=item no_confidentiality

Server: no security layer that encrypts.

=back

=head2 Names

=over

=item service

The service name, as passed to C<client_new> or C<server_new>.

=item serverfqdn

=item host

The host name, as passed to C<client_new> or C<server_new>. host is the same as serverfqdn.

=item realm

Server: the realm for DIGEST-MD5, default the host, and for names with C<@>, see L<Authen::SASL::Rust::Accounts>. Client: the realm that was
used.

=item external_id

Server: the identity that TLS or the socket has proved, for EXTERNAL.

=item iplocalport

=item ipremoteport

The local and the remote address and port, as C<"ip;port">.

=back

=head2 Accounts of a server

=over

=item accounts

The account store, used if there is no callback: an object of L<Authen::SASL::Rust::Accounts>.

=item users

The same: the name of a users' file.

=item upgrade

The minimum strength of stored verifiers: a SCRAM mechanism, or one and its iterations from 4096 up to 2000000, for instance
C<SCRAM-SHA-512 100000>. By default nothing is upgraded.

If a user who logs in by PLAIN or LOGIN has a weaker verifier, the server makes a new one. It has the stronger of the two hashes and the
higher of the two counts, and is stored by the callback C<setverifier> (L<Authen::SASL::Rust::Callbacks/setverifier>), or in the users'
file. SCRAM does not show the password to the server, so a login by SCRAM upgrades a user only if C<getsecret> returns the password itself;
for XMPP see L<Authen::SASL::Rust::UpgradeTask>. See L<Authen::SASL::Rust::Cookbook/Move users to SCRAM-SHA-512 without asking them>.

=item auxprop

The names of user properties to look up after a login: a string with spaces, or an array. The property C<auxprop:NAME> then has the values;
in scalar context the first one. A users' file has none.

=back

=head2 Kerberos

=over

=item ccache

Client: the credential cache, for instance C<FILE:/tmp/krb5cc_1000>. The default is C<KRB5CCNAME>, or else the system's.

=item keytab

Server: the keytab. The default is C<KRB5_KTNAME>, or else the system's. Client: the keys for getting tickets.

=item principal

The principal whose credentials are used. By default a client uses the default credentials, and a server those for service and host.

=item kerberos_password

Client: 1 gets a ticket with the password from the callback C<pass> if there is no ticket; default 0. See
L<Authen::SASL::Rust::Kerberos/A password in place of kinit>.

=item delegate

Client: 1 lets the server act in the client's name, with a forwardable ticket; default 0.

=item delegated_ccache

Server: the credential cache that stores the client's delegated credentials, for instance C<FILE:/run/app/fred>. If it is not set, they are
discarded.

Once the client is authorized, this cache is overwritten. A cache file is readable by its owner only. If it cannot be written, the exchange
fails. A client that delegates no credentials is accepted too, and the cache is left unchanged: check the property L</delegated>. A server that
requires delegation adds C<< secflags => 'pass_credentials' >>, which refuses such a client.

=back

=head2 Channel binding

L<Authen::SASL::Rust::ChannelBinding> describes these in detail, with examples.

=over

=item channel_binding

The data by type, or code that returns it.

=item channel_binding_policy

disable, allow or require; default allow.

=item tls

An IO::Socket::SSL handle, a stream that has one, or C<< { ssl => $ssl } >> of Net::SSLeay, which supplies channel binding data and
C<externalssf>: L<Authen::SASL::Rust::ChannelBinding>.

=item offered_mechanisms

The mechanisms that the server offers; SCRAM compares them with the server's own list.

=item offered_bindings

The types of channel binding that the server offers.

=item tls_version

The version of TLS: four hexadecimal digits in lower case, such as C<0304> for TLS 1.3: with Net::SSLeay C<sprintf '%04x', Net::SSLeay::version($ssl)>. A
SCRAM server that has it sends it, and a client compares (XEP-0515): a man in the middle with another version on one of its sides is
detected. Set it on a server only if the protocol defines it, as XMPP does.

=back

=head2 Results of the exchange, read-only

A server's C<user>, C<authuser>, C<authcid> and C<authzid> are undef until C<is_success>. A program may store a value of its own as C<user>,
C<authzid> or C<auxprop:NAME>; a login replaces it.

=over

=item user

Server: the identity to act as: the authzid, or if there is none, the authcid.

=item authuser

=item authcid

The authentication identity (authcid).

=item authzid

The authorization identity (authzid), if the client sent one.

=item claimed_user

Server: the authcid that the client claims, proved or not, for a log of failed logins. The client chooses this text: escape it.

=item pending_error

Server: the error with which this exchange will fail, whatever the client sends next. A refused OAuth token is reported here while
C<need_step> is still true.

=item mechname

The registered name of the mechanism.

=item message_absent

1 if the last step had no message for the peer, 0 if it had one, even an empty one.

=item ssf

After success, the SSF of the layer: 0 none, 1 integrity, else bits of the key, at most 256.

=item maxout

The maximum bytes of plaintext in one frame; undef without a layer. Setting a number has no effect.

=item ht_token_index

Server, after success with an HT mechanism: which token of C<ht_tokens> the client has, counted from 0.

=item upgraded

Server, after success: 1 if a stronger verifier of the user was stored (option L</upgrade>), else 0.

=item delegated

Server, after success: 1 if the client has delegated credentials and they are in L</delegated_ccache>, else 0.

=back

=head2 Stored only

The names C<authsource>, C<optctx>, C<peername>, C<sockname> and C<COMPAT_CYRUSLIB_REPLY_MASK_BUG> of Authen::SASL::XS and
Authen::SASL::Perl are accepted as options too. Any other name is stored only by C<property>.

=head1 SEE ALSO

L<Authen::SASL::Rust>, L<Authen::SASL::Rust::Accounts>, L<Authen::SASL::Rust::Error>

=cut
