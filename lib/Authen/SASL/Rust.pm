package Authen::SASL::Rust;

use strict;
use warnings;
use Authen::SASL ();
use Authen::SASL::Rust::Connection;
use Carp ();
use XSLoader;

our $VERSION = '0.1';

# The option die_on_failure of connections that are made without it: for callers that give no options.
our $DIE_ON_FAILURE = 0;

XSLoader::load(__PACKAGE__, $VERSION);

# Authen::SASL tries the next plugin when client_new dies: another backend would then send the password
# that our policy refused. So loading this one makes it the only one.
sub import {
  @Authen::SASL::Plugins = (__PACKAGE__);
}

# All mechanisms that there are, as a list or as one string.
sub global_listmech {
  my @names = split / /, _usable();
  return wantarray ? @names : "@names";
}

sub scram_verifier {
  my ($class, %arg) = @_;
  my $mechanism = delete $arg{mechanism};
  my $password = delete $arg{password};
  my ($salt, $iterations, $spelling) = delete @arg{qw(salt iterations spelling)};
  Carp::croak('scram_verifier: unknown argument ' . join ', ', sort keys %arg) if %arg;
  Carp::croak('scram_verifier: a password is needed') unless defined $password;
  $mechanism = 'SCRAM-SHA-256' unless defined $mechanism;
  $iterations = 4096 unless defined $iterations;
  Carp::croak('scram_verifier: iterations: a number from 4096 to 100000000 was expected')
    unless $iterations =~ /\A[0-9]{1,9}\z/ && $iterations >= 4096 && $iterations <= 100_000_000;
  return _make_verifier($mechanism, $password, $salt, $iterations, defined $spelling ? $spelling : 'postgresql');
}

# The plugins of Cyrus SASL that new connections may use.
sub plugins {
  my ($class, @wish) = @_;
  require Authen::SASL::Rust::Plugins;
  return Authen::SASL::Rust::Plugins::_report() if !@wish;
  return Authen::SASL::Rust::Plugins::_load(undef, @wish == 1 ? $wish[0] : {@wish});
}

# getsecret's hash as the one text that the core reads; undef if it is none.
sub _stored_key {
  my ($hash) = @_;
  for my $field (qw(mechanism iterations salt stored_key server_key)) {
    return undef unless defined $hash->{$field} && !ref $hash->{$field};
  }
  require MIME::Base64;
  my ($salt, $stored, $server) =
    map { my $bytes = $_; utf8::downgrade($bytes, 1) or return undef; MIME::Base64::encode_base64($bytes, '') }
    @{$hash}{qw(salt stored_key server_key)};
  return "$hash->{mechanism}\$$hash->{iterations}:$salt\$$stored:$server";
}

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust - SASL authentication, client and server, on a Rust core

=head1 SYNOPSIS

=for program

    use strict;
    use warnings;
    use Authen::SASL qw(Rust);

    my $client = Authen::SASL->new(
        mechanism => 'SCRAM-SHA-256 PLAIN',
        callback  => { user => 'fred', pass => 'pencil' },
    )->client_new('smtp', 'mail.example.org');

    my %stored = (fred => Authen::SASL::Rust->scram_verifier(password => 'pencil'));
    my $server = Authen::SASL->new(
        mechanism => 'SCRAM-SHA-256',
        callback  => { getsecret => sub { my ($conn, $query) = @_; $stored{ $query->{user} } } },
    )->server_new('smtp', 'mail.example.org');

    # Here the messages go from hand to hand; a program sends and receives them.
    my $to_client = $server->server_start($client->client_start);
    while ($client->need_step) {
        my $to_server = $client->client_step($to_client);
        die $client->error if $client->error;
        $to_client = $server->server_step($to_server) if $server->need_step;
    }

    print $client->mechanism, "\n";         # prints SCRAM-SHA-256
    print $server->property('user'), "\n";  # prints fred

=head1 DESCRIPTION

Authen::SASL::Rust is a plugin for L<Authen::SASL>: the framework that Net::SMTP, Net::POP3, Net::LDAP,
Mail::IMAPClient and others use to log in, and that servers in Perl use to let clients in. The protocols are
written in Rust and are linked into the Perl extension; no shared library and no other program is needed at
run time.

A program loads it in one of three ways:

    use Authen::SASL qw(Rust);
    use Authen::SASL::Rust;
    PERL5OPT=-MAuthen::SASL::Rust       in the environment; no line of the program changes

Each makes it the B<only> plugin. Authen::SASL tries the next plugin when C<client_new> of one dies, so
another plugin would send the password that this one refused to send. A program that wants a second plugin
names it: C<use Authen::SASL qw(Rust Perl)>.

This page has what concerns the whole; L<Authen::SASL::Rust::Connection> has the methods and properties of a
connection, L<Authen::SASL::Rust::Accounts> servers whose users stand in a file or behind saslauthd,
L<Authen::SASL::Rust::ChannelBinding> the C<-PLUS> mechanisms, and L<Authen::SASL::Rust::Error> the
exception.

=head1 MECHANISMS

All of them work on both sides.

    name              rank  who begins  standard    flags     callbacks of a client  callbacks of a server
    GSSAPI              83  client      RFC 4752    p a m n c none (Kerberos)        none (property keytab)
    GSS-SPNEGO          82  client      -           p a m n c none (Kerberos)        none (property keytab)
    GS2-KRB5            81  client      RFC 5801    p a m n c none (Kerberos)        none (property keytab)
    SCRAM-SHA3-512      57  client      draft       p a m n   user pass              getsecret
    SCRAM-SHA-512       56  client      draft       p a m n   user pass              getsecret
    SCRAM-SHA-384       55  client      -           p a m n   user pass              getsecret
    SCRAM-SHA-256       54  client      RFC 7677    p a m n   user pass              getsecret
    SCRAM-SHA-224       53  client      -           p a m n   user pass              getsecret
    SCRAM-SHA-1         52  client      RFC 5802    p a m n   user pass              getsecret
    DIGEST-MD5          30  server      RFC 2831    p m n     user pass              getsecret
    CRAM-MD5            20  server      RFC 2195    p n       user pass              getsecret
    EXTERNAL            20  client      RFC 4422    p d n     none                   none (property external_id)
    OAUTHBEARER         13  client      RFC 7628    n         token                  checktoken
    XOAUTH2             12  client      -           n         user token             checktoken
    PLAIN               10  client      RFC 4616    n         user pass              checkpass or getsecret
    LOGIN               10  server      -           n         user pass              checkpass or getsecret
    ANONYMOUS            0  client      RFC 4505    p         none                   none

The flags are those that a mechanism satisfies: C<p> noplaintext, C<a> noactive, C<d> nodictionary, C<m>
mutual_auth, C<n> noanonymous, C<c> pass_credentials. No mechanism here satisfies forward_secrecy.

B<Deprecated>, for peers that have nothing better: LOGIN (never standardized), CRAM-MD5, and DIGEST-MD5 (made
historic by RFC 6331). XOAUTH2 is not a standard; some large mail services speak it. A dash or "draft" under
"standard" means that no RFC defines that name.

=head2 How the mechanism is chosen

The caller gives a list of names to C<< Authen::SASL->new(mechanism => ...) >>; anything that cannot be part
of a name separates them. Of this list a mechanism is a candidate if

=over

=item *

it satisfies every security flag that is demanded (C<secflags>). C<noplaintext> is satisfied by any mechanism
where C<externalssf> is above 0, since then TLS is below (the property C<tls> sets it);

=item *

C<minssf> is not above C<externalssf> and the strongest layer of the mechanism together (256 for GSSAPI
and GSS-SPNEGO, 128 for DIGEST-MD5, else 0);

=item *

there is channel binding data if its name ends in C<-PLUS>, and it does if C<channel_binding_policy> is
C<require>: see L<Authen::SASL::Rust::ChannelBinding>;

=item *

the callbacks that it needs exist, or accounts that answer in their place. They are not called for the choice;

=item *

of Kerberos' mechanisms: the system has a GSS-API library, and there is a ticket (client) or a keytab with a key for the
service (server). So a list like C<GSSAPI SCRAM-SHA-256> does without Kerberos where there is no ticket.

=back

The candidate with the highest rank wins; of two with the same rank, the one that the caller named first. If
none is left, C<client_new> and C<server_new> die and the text lists each name with its reason. An empty list,
or one of garbage, leaves none: it never means "all".

A client makes the choice in C<client_new>, and once more in C<client_start> if a property or callback changed
since. A server that was given several mechanisms waits to be told which one the client named: C<<
$conn->mechanism($name) >>, before C<server_start>.

=for program

    use strict;
    use warnings;
    use Authen::SASL qw(Rust);

    my $sasl = Authen::SASL->new(mechanism => 'NTLM PLAIN', callback => { user => 'fred', pass => 'pencil' });
    print $sasl->client_new('imap', 'mail.example.org')->mechanism, "\n";      # prints PLAIN

    eval { $sasl->client_new('imap', 'mail.example.org', 'noplaintext') };
    print "$_\n" for $@ =~ /NTLM: ([^;]+)/, $@ =~ /PLAIN: ([^(]+) \(/;
    # prints it is unknown here
    # prints it does not satisfy the security flag noplaintext

=head2 Kerberos and Active Directory

Nothing of Kerberos is needed to install this module. The library of the system, libgssapi_krb5.so.2 of MIT Kerberos or
libgssapi.so.3 of Heimdal, is opened when a Kerberos mechanism is asked for; where there is none, the error of C<client_new> says so.

To search an Active Directory, get a ticket (C<kinit fred@EXAMPLE.ORG>, with the realm in capitals), then

    use Authen::SASL qw(Rust);
    use Net::LDAP;

    my $ldap = Net::LDAP->new('dc1.example.org') or die $@;
    my $bind = $ldap->bind('', sasl => Authen::SASL->new(mechanism => 'GSSAPI'));
    die $bind->error if $bind->code;

The name that is given to C<< Net::LDAP->new >> is the one that the domain controller has in Kerberos: its full name, neither an alias
nor an address. All that follows goes through Kerberos' encryption. Over C<ldaps> or after C<start_tls>, where Active
Directory takes no second encryption and may ask for a channel binding, make the connection yourself and hand it the TLS socket:

    my $sasl = Authen::SASL->new(mechanism => 'GSSAPI');
    my $conn = $sasl->client_new('ldap', 'dc1.example.org', { tls => $ldap->socket });
    my $bind = $ldap->bind('', sasl => $conn);

C<GSS-SPNEGO> is Microsoft's own way, with the same tickets and the same result. F<eg/directory-search> does all of this.

The properties C<ccache>, C<keytab>, C<principal> and C<delegate> (L<Authen::SASL::Rust::Connection/Kerberos>) say which
credentials are used, if they are not the environment's (C<KRB5CCNAME>, C<KRB5_KTNAME>, C<KRB5_CLIENT_KTNAME>). A
client asks the callback C<authname> for the authorization identity. A password from C<pass> is ignored; a GSSAPI::Cred object,
which Authen::SASL::Perl takes there, is refused: name its cache in C<ccache>.

On a server C<authuser> is the local name of the principal, by the rules C<auth_to_local> of krb5.conf (C<fred@EXAMPLE.ORG> of the
default realm is C<fred>), or else the whole principal (always so with GSS-SPNEGO on Heimdal 7). A ticket that names
nobody (C<kinit -n>) is refused. C<canonuser> may change it and C<authorize> is asked as ever.

Heimdal 7 takes caches and keytabs from the environment alone: with it the properties C<ccache>, C<keytab> and C<delegated_ccache>
are refused, and so is every client by a server of GS2-KRB5.

To act further on in the client's name, a server names a credentials cache. The client must have a ticket that may be
forwarded (C<kinit -f>) and lend it (C<delegate>):

    my $ccache = "FILE:/run/app/$session";
    my $server = $sasl->server_new('http', 'www.example.org', { delegated_ccache => $ccache });
    # ... the exchange ...
    if ($server->property('delegated')) {
        my $conn = $sasl->client_new('ldap', 'dc1.example.org', { ccache => $ccache });
        my $bind = $ldap->bind('', sasl => $conn);
    }

=head1 CLASS METHODS

=head2 client_new, server_new

    $conn = $sasl->client_new($service, $host, $options, ...)
    $conn = $sasl->server_new($service, $host, $options, ...)

Called on the Authen::SASL object, which hands them on. They return an L<Authen::SASL::Rust::Connection>, or
die.

C<$service> is the registered name of the protocol: C<imap>, C<smtp>, C<ldap>, ... C<$host> is the server's
name. Both may be missing; DIGEST-MD5 sends and checks them.

C<$options> is one of: nothing (undef, 0, an empty string); a string of security flags, separated by spaces; a
reference to a hash of options, see L<Authen::SASL::Rust::Connection/PROPERTIES> (the flags are its
C<secflags>); or, as with Authen::SASL::XS, C<"ip;port"> of this side, followed by that of the other side. An
unknown flag or a wrong value dies.

=head2 global_listmech

    @names = Authen::SASL::Rust->global_listmech
    $names = Authen::SASL::Rust->global_listmech

The names of all mechanisms that this version knows, as a list or as one string with spaces.

=head2 plugins

    @plugins = Authen::SASL::Rust->plugins(load => \@names, path => \@folders, ...)

Loads plugins of Cyrus SASL, whose mechanisms all new connections may use from then on. See L<Authen::SASL::Rust::Plugins>.

=head2 scram_verifier

    $text = Authen::SASL::Rust->scram_verifier(password => $password, ...)

Makes the stored key of a password. Dies if an argument is missing, unknown or out of its range. The
arguments:

    password     needed; characters, see CHARACTERS
    mechanism    SCRAM-SHA-256 if not given; any SCRAM mechanism of the table
    iterations   4096 if not given; 4096 to 100000000
    salt         16 random bytes if not given; a string of bytes, not empty
    spelling     postgresql if not given; openldap is the same text, dovecot is another

=for program

    use strict;
    use warnings;
    use Authen::SASL::Rust;

    my $text = Authen::SASL::Rust->scram_verifier(password => 'pencil', salt => 'sixteen bytes...');
    print "$_\n" for split /\$/, $text;
    # prints SCRAM-SHA-256
    # prints 4096:c2l4dGVlbiBieXRlcy4uLg==
    # prints O+7iEydBd9mlsNdJxgaBGtHrun0Z4Tf3Pnzu449pwHw=:dCSewtpeuMHDL7esX4kPY05JWdr/KZQO8DYlJqZSRFI=

=head1 CALLBACKS

A callback is given by name in the hash C<callback> of C<< Authen::SASL->new >>, in one of three shapes:

    user => 'fred'                  the value itself
    user => \&code                  called as code($conn)
    user => [\&code, 1, 2, 3]       called as code($conn, 1, 2, 3)

Where a callback is asked something, the question's arguments follow the connection and the callback's own
values. A callback may die: the exception passes unchanged through the step that called it, and that exchange
has then failed. It may read properties of the connection; it may not step it (C<error> then says that the
connection waits for a callback).

=head2 Of a client

    user, authcid    the authentication identity: whose password it is
    authname, authzid  the authorization identity: whom to act as; not given or empty: oneself. ANONYMOUS: the trace
    pass, password   the password; a string, never empty
    token            the OAuth token
    auth             as user; beside it, user means the authorization identity, as with Authen::SASL::XS
    realm            DIGEST-MD5: called with the offered realms, returns one; undef takes the first
    serv             DIGEST-MD5: the serv-name
    host, port       OAUTHBEARER: its optional keys
    challenge        OTP and other mechanisms of plugins, see Authen::SASL::Rust::Plugins
    canonuser        called with 'AUTHID' or 'AUTHZID', a realm or undef, the longest length (1024), and the name;
                     returns the name to send
    language         accepted, and not used
    channel_binding  data of the TLS connection, see Authen::SASL::Rust::ChannelBinding

C<authcid> and C<authzid> win over the other names of the same value. C<pass> serves as the token only where
every mechanism that the caller named is an OAuth one. EXTERNAL sends C<authzid> if given, else C<user>, else
nothing.

=head2 Of a server

    getsecret    ($conn, \%query, $answer): the password or stored key of a user; undef for an unknown user
    checkpass    ($conn, \%query, $answer): is this the password? PLAIN and LOGIN only
    checktoken   ($conn, \%query, $answer): whose is this token? OAUTHBEARER and XOAUTH2
    authorize    ($conn, $authcid, $authzid, $realm): may the one act as the other?
    canonuser    ($conn, 'AUTHID' or 'AUTHZID', $realm, $maxlen, $name): the canonical name; undef refuses
    realm        ($conn): the default realm, as the property realm; a string will do
    setpass      ($conn, $user, $password, $flags): for the method setpass
    channel_binding  as a client's

C<%query> has C<user>, and as far as they are known C<authname> (the authorization identity asked for) and
C<realm>; for C<getsecret> also C<mechanism>, for C<checkpass> also C<pass>, for C<checktoken> also C<token>,
C<host> and C<port>.

C<checktoken> returns the identity as a string, or a reference to a hash that becomes the error object:
C<status> (C<invalid_token> if not given), C<scope>, C<openid-configuration>.

Without C<authorize> an identity may act only as itself, or as itself with C<@realm> or C<@host> of the server
behind it. Where C<checkpass> is missing, PLAIN and LOGIN ask C<getsecret> and compare.

A value that is missing, or a reference where text is expected, ends the exchange with an error that names the
callback. Empty passwords are refused on every server.

=head2 Stored keys

C<getsecret> may return a stored key instead of a password. With it nobody can log in, as long as no
dictionary gives the password, and the server does no key derivation. The spellings:

    SCRAM-SHA-256$4096:salt$StoredKey:ServerKey      PostgreSQL, OpenLDAP, RFC 5803
    {SCRAM-SHA-256}4096,salt,StoredKey,ServerKey     Dovecot, GNU SASL

Salt and keys are in base64. A reference to a hash is taken too, its values being bytes: C<mechanism>,
C<iterations>, C<salt>, C<stored_key>, C<server_key>.

A stored key serves the SCRAM mechanism that it was made for, and PLAIN and LOGIN. What begins like a stored
key and is malformed, or is of another hash than the mechanism's, is an error and never taken as a password.
CRAM-MD5 and DIGEST-MD5 need the password itself.

=for program

    use strict;
    use warnings;
    use Authen::SASL qw(Rust);

    my $key    = Authen::SASL::Rust->scram_verifier(password => 'pencil', spelling => 'dovecot');
    my $server = Authen::SASL->new(mechanism => 'PLAIN', callback => { getsecret => sub { $key } })
        ->server_new('imap', 'mail.example.org');

    $server->server_start("\0fred\0pencil");
    print $server->is_success ? "welcome\n" : "no\n";     # prints welcome
    $server->server_start("\0fred\0$key");
    print $server->is_success ? "welcome\n" : "no\n";     # prints no

=head2 Deferred answers

C<getsecret>, C<checkpass> and C<checktoken> may answer later, so that an event loop need not wait for a
directory. For that the program gives a continuation to C<server_start> and C<server_step>, and the callback
keeps its last argument:

=for program

    use strict;
    use warnings;
    use Authen::SASL qw(Rust);

    my @waiting;
    my $server = Authen::SASL->new(
        mechanism => 'PLAIN',
        callback  => {
            checkpass => sub {
                my ($conn, $query, $answer) = @_;
                push @waiting, sub { $answer->($query->{pass} eq 'pencil') };
                return;
            },
        },
    )->server_new('imap', 'mail.example.org');

    $server->server_start("\0fred\0pencil", sub {
        my ($message) = @_;         # nothing here: PLAIN ends without one
        print $server->is_success ? "welcome\n" : $server->error . "\n";
    });
    print "waiting\n" if $server->need_step;      # prints waiting

    $_->() for @waiting;                          # prints welcome

=over

=item *

With a continuation the step returns an empty list. The continuation is called exactly once, at once or later,
with the message, or with nothing where there is none.

=item *

While an answer is owed, C<need_step> stays true, another step changes nothing, and C<error> says that the
connection waits.

=item *

The first answer holds. One that comes twice, or after the connection is gone or was started again, is
ignored. An answer given by calling C<$answer> wins over the return value.

=item *

A continuation that is dropped without an answer fails the exchange, and the program's is called with nothing.

=item *

Without a continuation of the program, the callback's return value is the answer. A reference is never a yes,
and a callback that keeps its continuation all the same, to answer later, fails the exchange: nobody would hear it.

=back

F<eg/deferred-answers> is a whole event loop in a page, F<eg/event-server> a POP3 server on IO::Async.

=head1 SECURITY LAYERS

DIGEST-MD5 can protect what follows the log-in: against changes (auth-int, strength 1), or also against readers (auth-conf, 40 to 128
bits). Which layer it becomes, the properties C<minssf>, C<maxssf>, C<externalssf> and C<maxbuf> decide
(L<Authen::SASL::Rust::Connection/Policy>). Net::LDAP puts it over its socket by itself:

    my $sasl = Authen::SASL->new(mechanism => 'DIGEST-MD5', callback => { user => 'fred', pass => 'pencil' });
    my $conn = $sasl->client_new('ldap', 'ldap.example.org', { minssf => 128 });
    my $ldap = Net::LDAP->new('ldap://ldap.example.org') or die "cannot connect: $@\n";
    my $bind = $ldap->bind('', sasl => $conn);
    die $conn->error || $bind->error, "\n" if $bind->code;
    print 'enciphered with ', $conn->property('ssf'), " bits\n";    # 128
    my $found = $ldap->search(base => 'dc=example,dc=org', filter => '(uid=fred)');

With C<minssf> of 128 the bind fails on a server that offers less; without it the strongest layer that there is, or none, is taken.
OpenLDAP demands one by C<sasl-secprops minssf=128>. Other programs put the layer over their handle themselves:
L<Authen::SASL::Rust::Connection/securesocket, tiesocket>.

Under TLS, set C<externalssf>, and C<maxssf> to 0: a second layer gains nothing.

=head1 CHARACTERS

User names and passwords are characters. A string with Perl's UTF-8 flag is taken as it is. One without it
that is valid UTF-8 is taken as encoded already (this is what @ARGV and files give); any other is Latin-1.
They are encoded once, and prepared with SASLprep (RFC 4013) where the mechanism's standard asks for that.
DIGEST-MD5 hashes as Latin-1 what fits Latin-1, as its standard demands. Callbacks of a server get names and
passwords as characters.

Messages of an exchange are bytes, in and out. A wide character in one dies. They are not encoded in base64:
SMTP, IMAP and POP3 want that from the program, LDAP does not.

=head1 ERRORS

C<< $conn->error >> is undef while all is well, else one string: mechanism and side, what happened, and the
name of a code. It never holds a secret. C<< $conn->code >> is the number of that code, as in F<sasl.h>.

    name             number  means, typically                                what to do
    SASL_OK               0  all is well
    SASL_FAIL            -1  no random bytes; a defect of this library       report it
    SASL_NOMECH          -4  no mechanism is usable; a reason for each       name others, or add the callback it names
    SASL_BADPROT         -5  the peer's message is malformed, or breaks      look at the peer: the text names the
                             a rule                                          message and the field
    SASL_BADPARAM        -7  a callback is missing or gave what cannot       mend the callback or option that it names
                             be used; a stored key is malformed; a step
                             while an answer is owed
    SASL_BADMAC          -9  a frame of the security layer was changed       close the connection
    SASL_BADSERV        -10  the server could not prove that it knows        do not go on: it may be an impostor
                             the password
    SASL_NOTINIT        -12  server_step before server_start                 mend the program
    SASL_BADAUTH        -13  wrong password or unknown user; a token was     ask the user again
                             refused; the server refused, in its words
    SASL_NOAUTHZ        -14  right password, but the identity may not act    the authorize callback decides
                             as the other
    SASL_TOOWEAK        -15  the server names fewer iterations than          min_iterations, if you trust that server
                             min_iterations
    SASL_BADBINDING     -32  channel binding was demanded or does not        see Authen::SASL::Rust::ChannelBinding
                             match

Accounts and plugins that a server calls may also give these; the text says who failed at what:

    SASL_NOMEM               -2  out of memory
    SASL_BUFOVER             -3  a buffer is too small
    SASL_NOTDONE             -6  the exchange has not ended
    SASL_TRYAGAIN            -8  a failure that may pass
    SASL_WRONGMECH          -11  the mechanism does not do what was asked for
    SASL_ENCRYPT            -16  encryption is needed for this mechanism
    SASL_TRANS              -17  log in once in plain text, then the mechanism knows the user
    SASL_EXPIRED            -18  the password has expired
    SASL_DISABLED           -19  the account is disabled
    SASL_NOUSER             -20  there is no such user
    SASL_PWLOCK             -21  the password is locked
    SASL_NOCHANGE           -22  nothing was changed, or nothing can be
    SASL_BADVERS            -23  the versions do not match
    SASL_UNAVAIL            -24  the server that decides cannot be reached
    SASL_NOVERIFY           -26  the user has no verifier for this mechanism
    SASL_WEAKPASS           -27  the new password is too weak
    SASL_NOUSERPASS         -28  the user may set no password
    SASL_NEED_OLD_PASSWD    -29  the old password is needed too
    SASL_CONSTRAINT_VIOLAT  -30  the new value breaks a constraint
    SASL_CONFIGERR         -100  the configuration is wrong

"Wrong password" and "unknown user" are one text on purpose. With C<die_on_failure> a failure dies instead,
see L</Callers that ignore failures>. What is the program's own mistake always dies: an unknown option value, a
wide character in a message, a connection of another thread.

=head2 Callers that ignore failures

Net::SMTP, and others, look at the server's replies and not at what a step returns. An impostor that does not
know the password sends a made-up proof, then 235, and C<auth> returns true. So let a failed step die:

=over

=item *

with the option or property C<die_on_failure>, where the program makes the connection itself;

=item *

with the variable C<$Authen::SASL::Rust::DIE_ON_FAILURE>, where a module does. It is the default of that option
for each connection that C<client_new> and C<server_new> make while it is true.

=back

The exception is an L<Authen::SASL::Rust::Error>. It comes through the module, in the middle of a dialogue:
close that connection. A server that says 235 before it has sent its proof makes no step fail, since none is
taken any more. Therefore ask C<is_success> in the end. The Authen::SASL object has the connection:

    my $sasl = Authen::SASL->new(mechanism => 'SCRAM-SHA-256', callback => { user => $user, pass => $pass });
    my $in   = do {
        local $Authen::SASL::Rust::DIE_ON_FAILURE = 1;
        eval { $smtp->auth($sasl) } && $sasl->{conn}->is_success;
    };
    die 'not logged in: ', $@ || $sasl->error || 'the last reply was ' . $smtp->code if !$in;

C<< $smtp->auth($user, $pass) >> makes an object of its own, which cannot be asked afterwards; there the
variable is all the protection that there is.

=head1 SECURITY

=over

=item *

PLAIN, LOGIN, OAUTHBEARER and XOAUTH2 send the password or token readable. Use them under TLS only. A client
that says C<noplaintext> never does so, unless C<externalssf> tells that TLS is below.

=item *

Name the mechanisms that you want. A list that came from the server over a connection without TLS can be
shortened on the way to its weakest member.

=item *

A SCRAM or DIGEST-MD5 client has succeeded when the B<server> has proved itself: look at C<is_success> after
the last step. For Net::SMTP and others that ignore a failed step, see L</Callers that ignore failures>.

=item *

A server's unknown user walks the same way as a wrong password, in the same time, with a stable made-up salt.
Set C<fake_salt_key> to keep those salts over a restart and the same on several hosts, and give your stored
keys the iteration count of the option C<iterations> and salts of 16 bytes: otherwise a made-up user can be
told from a real one by them.

=item *

A client refuses fewer than 4096 iterations (C<min_iterations>) and more than 2,000,000 (C<max_iterations>)
before it computes anything.

=item *

Keys that a SCRAM client derived are remembered within the Authen::SASL object, at most 16, and only after the
server has proved them right: the second connection of the same user costs no derivation. They are wiped with
the object.

=item *

Nonces and salts come from the operating system. Secrets are wiped in the Rust part when they are no longer
needed; Perl's own copies are not.

=item *

A connection belongs to the thread that made it. In another thread it is dead: its methods die. After C<fork>
both processes may use their own copy; they share no nonce that is made afterwards.

=back

=head1 DIFFERENCES

=head2 From Authen::SASL::Perl

=over

=item *

C<need_step> becomes false, and C<is_success> true, when this side has nothing to wait for; there it stays
true after the only message of PLAIN and others.

=item *

A failed step returns an empty list (undef in scalar context). A step with nothing to send returns an empty
string, and the property C<message_absent> tells it from an empty message.

=item *

SCRAM checks the server's proof, the limits of iterations and the nonce; fewer than 4096 iterations are
refused.

=item *

C<code>, C<callback>, C<listmech>, C<global_listmech>, C<checkpass> and C<setpass> exist, the property C<user>
of a server is whom to act as, and an unsuitable authorization identity is refused unless C<authorize> allows
it.

=item *

LOGIN, SCRAM and the OAuth mechanisms have a server side.

=item *

The layer of a DIGEST-MD5 server uses the keys of its own direction, and the cipher that the client has named. Where
a program says nothing, only services whose programs know layers get one.

=back

=head2 From Authen::SASL::XS and Authen::SASL::Cyrus

=over

=item *

libsasl2 is not used, and nothing is read of its plugins, configuration files, F<sasldb> or saslauthd unless the program asks for it
(L<Authen::SASL::Rust::Accounts/CYRUS SASL>). A server asks its callbacks.

=item *

C<user> is the authentication identity, unless C<auth> is given too. Callbacks that die or exit are safe.

=item *

A client and a server may live in one process.

=back

=head1 SEE ALSO

L<Authen::SASL>, L<Authen::SASL::Rust::Connection>, L<Authen::SASL::Rust::Accounts>, L<Authen::SASL::Rust::Plugins>, L<sasl-rust-passwd>,
L<Authen::SASL::Rust::ChannelBinding>, L<Authen::SASL::Rust::Error>; RFC 4422 (SASL), RFC 5802 (SCRAM). The programs in F<eg/> run as they stand.

=head1 LICENSE

This library is free software; you may redistribute it and modify it under the same terms as Perl itself.

=cut
