package Authen::SASL::Rust;

use strict;
use warnings;
use Authen::SASL ();
use Authen::SASL::Rust::Connection;
use Carp ();
use XSLoader;

our $VERSION = '1.0';

# The option die_on_failure of connections that are made without it: for callers that give no options.
our $DIE_ON_FAILURE = 0;

XSLoader::load(__PACKAGE__, $VERSION);

# Authen::SASL tries the next plugin when client_new dies: another backend would then send the password
# that our policy refused to send. So loading this plugin makes it the only one.
my $shared = 0;

sub import {
  my ($class, @wish) = @_;
  my ($unknown) = grep { $_ ne ':shared' } @wish;
  Carp::croak("unknown import $unknown: only ':shared' is allowed") if defined $unknown;
  $shared = @wish;
  @Authen::SASL::Plugins = (__PACKAGE__);
}

# Programs and modules that name another backend would silently deselect this one. So their imports load the backend
# that they name, but change nothing else (docs/decisions/0013-other-backends.md).
{
  my $import = \&Authen::SASL::import;
  no warnings 'redefine';
  *Authen::SASL::import = sub {
    my ($class, @names) = @_;
    my $chosen = grep { $_ eq __PACKAGE__ } @Authen::SASL::Plugins;
    goto &$import if $shared || !$chosen || !@names || grep { defined && /\A(?:Authen::SASL::)?Rust\z/ } @names;
    local @Authen::SASL::Plugins = @Authen::SASL::Plugins;
    local $@;
    eval { $import->($class, @names) };    # dies if that backend is not installed, which does no harm here
    return;
  };
}

# True while Authen::SASL asks this backend first.
sub in_use { return @Authen::SASL::Plugins && $Authen::SASL::Plugins[0] eq __PACKAGE__ ? 1 : 0 }

# All supported mechanisms, as a list or as one string.
sub global_listmech {
  my @names = split / /, _usable();
  return wantarray ? @names : join ' ', @names;
}

# The error text for the remaining arguments of a call, whose names are all unknown. undef if none remain.
sub _unknown {
  my ($arg, @known) = @_;
  return undef unless %$arg;
  my @each = map { my $near = _nearest($_, join(' ', @known), 0); defined $near ? "$_ (did you mean $near?)" : $_ }
    sort keys %$arg;
  return 'unknown argument ' . join ', ', @each;
}

sub scram_verifier {
  my ($class, %arg) = @_;
  my $mechanism = delete $arg{mechanism};
  my $password = delete $arg{password};
  my ($salt, $iterations, $spelling) = delete @arg{qw(salt iterations spelling)};
  my $unknown = _unknown(\%arg, qw(mechanism password salt iterations spelling));
  Carp::croak("scram_verifier: $unknown") if defined $unknown;
  Carp::croak('scram_verifier: a password is required') unless defined $password;
  $mechanism = 'SCRAM-SHA-256' unless defined $mechanism;
  Carp::croak('scram_verifier: iterations: a number from 4096 to 100000000 was expected')
    if defined $iterations && !($iterations =~ /\A[0-9]{1,9}\z/ && $iterations >= 4096 && $iterations <= 100_000_000);
  return _make_verifier($mechanism, $password, $salt, $iterations || 0, defined $spelling ? $spelling : 'rfc5803');
}

sub otp_state { my ($class, %arg) = @_; return _otp_state('otp_state: ', %arg) }

# The prefix of an error names the method that the program has called.
sub _otp_state {
  my ($prefix, %arg) = @_;
  my ($phrase, $hash, $seed, $host, $sequence) = delete @arg{qw(phrase hash seed host sequence)};
  my $unknown = _unknown(\%arg, qw(phrase hash seed host sequence));
  Carp::croak("$prefix$unknown") if defined $unknown;
  Carp::croak("${prefix}a phrase is required") unless defined $phrase;
  $sequence = 499 unless defined $sequence;
  Carp::croak("${prefix}sequence: a number from 2 to 9999 was expected") unless $sequence =~ /\A[1-9][0-9]{0,3}\z/;
  return _make_otp_state($prefix, $phrase, $hash, $seed, $host, $sequence);
}

# The plugins of Cyrus SASL that new connections may use.
sub plugins {
  my ($class, @wish) = @_;
  require Authen::SASL::Rust::Plugins;
  return Authen::SASL::Rust::Plugins::_report() if !@wish;
  return Authen::SASL::Rust::Plugins::_load(undef, @wish == 1 ? $wish[0] : {@wish});
}

# Converts the verifier that getsecret returned as a hash to the text that the core reads; undef if it is not a verifier.
sub _verifier_text {
  my ($hash) = @_;
  for my $field (qw(mechanism iterations salt stored_key server_key)) {
    return undef unless defined $hash->{$field} && !ref $hash->{$field};
  }
  # A mechanism and its -PLUS form share one verifier. The core recognizes verifiers by names that begin with SCRAM.
  return undef unless $hash->{mechanism} =~ /\ASCRAM-([A-Z0-9-]+)\z/i;
  my $name = $1;
  require MIME::Base64;
  my ($salt, $stored, $server) =
    map { my $bytes = $_; utf8::downgrade($bytes, 1) or return undef; MIME::Base64::encode_base64($bytes, '') }
    @{$hash}{qw(salt stored_key server_key)};
  return "{SCRAM-$name}$hash->{iterations},$salt,$stored,$server";
}

# What SCRAM keys are for programs and for the core. Few connections have any.
sub _scram_keys_text { require Authen::SASL::Rust::ScramKeys; goto &Authen::SASL::Rust::ScramKeys::_text }
sub _scram_keys_hash { require Authen::SASL::Rust::ScramKeys; goto &Authen::SASL::Rust::ScramKeys::_hash }

# Converts what ht_tokens returned to a list of tokens; one undef if it is something else. An expired token, or one that was issued
# for another mechanism, becomes an empty string, which matches nothing and keeps the place of the others.
sub _ht_tokens {
  my ($answer, $mechanism) = @_;
  return unless defined $answer;
  my @tokens;
  for my $entry (ref $answer eq 'ARRAY' ? @$answer : $answer) {
    my %of = ref $entry eq 'HASH' ? %$entry : (token => $entry);
    my $unknown = grep { !/\A(?:token|mechanism|expires)\z/ } keys %of;
    return undef if $unknown || grep({ ref } values %of) || !defined $of{token} || $of{token} =~ /\0/;
    return undef if defined $of{expires} && $of{expires} !~ /\A[0-9]+(?:\.[0-9]*)?\z/;
    my $pinned = defined $of{mechanism} && uc $of{mechanism} ne $mechanism;
    push @tokens, $pinned || defined $of{expires} && $of{expires} <= time ? '' : $of{token};
  }
  return @tokens;
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

    # Here the messages are passed directly; a real program sends and receives them.
    my $to_client = $server->server_start($client->client_start);
    while ($client->need_step) {
        my $to_server = $client->client_step($to_client);
        die $client->error if $client->error;
        $to_client = $server->server_step($to_server) if $server->need_step;
    }

    print $client->mechanism, "\n";         # prints SCRAM-SHA-256
    print $server->property('user'), "\n";  # prints fred

=head1 DESCRIPTION

Authen::SASL::Rust is a plugin for L<Authen::SASL>: the framework that Net::SMTP, Net::POP3, Net::LDAP, Mail::IMAPClient
and others use to log in, and that Perl servers use to authenticate clients. The protocols are written in Rust and
linked into the Perl extension. At run time they need no shared library and no other program.

A program loads the plugin in one of three ways:

    use Authen::SASL qw(Rust);
    use Authen::SASL::Rust;
    PERL5OPT=-MAuthen::SASL::Rust program arguments

The last sets a variable in the environment, and the program need not be edited.

Each way makes it the B<only> plugin. Authen::SASL tries the next plugin when C<client_new> of one dies, so another
plugin would send the password that this one refused to send. A program that wants a second plugin names it:
C<use Authen::SASL qw(Rust Perl)>. For programs that name another backend, see L</OTHER BACKENDS>.

This page covers what all parts have in common. The other pages:

=over

=item L<Authen::SASL::Rust::Cookbook>

Complete clients and servers.

=item L<Authen::SASL::Rust::Migration>

Moving from Authen::SASL::Perl, ::XS and ::Cyrus.

=item L<Authen::SASL::Rust::Troubleshooting>

Error texts: what each means, and what to do.

=item L<Authen::SASL::Rust::Connection>

The methods and properties of a connection.

=item L<Authen::SASL::Rust::Callbacks>

What a connection asks its program; verifiers.

=item L<Authen::SASL::Rust::OAuth>

OAuth tokens for clients: log in once, renew, share.

=item L<Authen::SASL::Rust::OAuth::Verifier>

Checks OAuth tokens on a server.

=item L<Authen::SASL::Rust::Accounts>

Account stores: a file, saslauthd, Cyrus SASL.

=item L<Authen::SASL::Rust::UpgradeTask>

XMPP: stronger SCRAM verifiers from clients that have logged in.

=item L<Authen::SASL::Rust::Error>

Error codes, and the exception.

=item L<Authen::SASL::Rust::ChannelBinding>

The -PLUS mechanisms.

=item L<Authen::SASL::Rust::Kerberos>

Kerberos and Active Directory.

=item L<Authen::SASL::Rust::Layer>

A handle with a security layer.

=item L<Authen::SASL::Rust::Plugins>

Mechanisms from Cyrus SASL plugins.

=item L<Authen::SASL::Rust::AuthLine>

The AUTH line protocol, for beanstalkd.

=back

=head1 MECHANISMS

All of them work on both sides.

    name            rank  first   standard flags     client        server
    GSSAPI            83  client  RFC 4752 p a m n c none          keytab
    GSS-SPNEGO        82  client  -        p a m n c none          keytab
    GS2-KRB5          81  client  RFC 5801 p a m n c none          keytab
    HT2-SHA-512-NONE  58  client  draft    d m n     user ht_token ht_tokens
    HT2-SHA-256-NONE  58  client  draft    d m n     user ht_token ht_tokens
    HT-SHA-512-NONE   58  client  draft    d m n     user ht_token ht_tokens
    HT-SHA-256-NONE   58  client  draft    d m n     user ht_token ht_tokens
    SCRAM-SHA3-512    57  client  draft    p a m n   user pass     getsecret
    SCRAM-SHA-512     56  client  draft    p a m n   user pass     getsecret
    SCRAM-SHA-384     55  client  -        p a m n   user pass     getsecret
    SCRAM-SHA-256     54  client  RFC 7677 p a m n   user pass     getsecret
    SCRAM-SHA-224     53  client  -        p a m n   user pass     getsecret
    SCRAM-SHA-1       52  client  RFC 5802 p a m n   user pass     getsecret
    DIGEST-MD5        30  server  RFC 2831 p m n     user pass     getsecret
    CRAM-MD5          20  server  RFC 2195 p n       user pass     getsecret
    EXTERNAL          20  client  RFC 4422 p d n     none          external_id
    OAUTHBEARER       13  client  RFC 7628 n         token         checktoken
    XOAUTH2           12  client  -        n         user token    checktoken
    PLAIN             10  client  RFC 4616 n         user pass     checkpass
    LOGIN             10  server  -        n         user pass     checkpass
    OTP                5  client  RFC 2444 p n f     user pass     otp_state
    ANONYMOUS          0  client  RFC 4505 p         none          none

The forms with channel binding have a rank that is 20 higher: C<-PLUS> of the SCRAM mechanisms; C<-EXPR>, C<-UNIQ> and C<-ENDP> in place of
C<-NONE> of the HT mechanisms, which then satisfy C<p> and C<a> too. C<GS2-KRB5-PLUS> has the rank 84.

"First" is the side that sends first. The last two columns are the callbacks that each side needs. A server with PLAIN or LOGIN may have
C<getsecret> instead of C<checkpass>. C<keytab> and C<external_id> are not callbacks but properties
(L<Authen::SASL::Rust::Connection/keytab>, L<Authen::SASL::Rust::Connection/external_id>).

The flags are the security flags that a mechanism satisfies: C<p> noplaintext, C<a> noactive, C<d> nodictionary, C<m>
mutual_auth, C<n> noanonymous, C<c> pass_credentials, C<f> forward_secrecy (in the sense of libsasl2: what an attacker has read of a login
by OTP cannot be used for the next one).

OTP has the lowest rank of those with a password because its pass phrase comes from C<pass> too and each login uses up a one-time
password: name it alone, or give the callback C<challenge> and no C<pass>. See L<Authen::SASL::Rust::Callbacks/ONE-TIME PASSWORDS>.

B<Deprecated>, for peers that support nothing better: LOGIN (never standardized), CRAM-MD5, and DIGEST-MD5 (made
historic by RFC 6331). XOAUTH2 is not a standard; some large mail services use it. A dash or "draft" under "standard"
means that no RFC defines that name.

=head2 How the mechanism is chosen

The caller gives a list of names to C<< Authen::SASL->new(mechanism => ...) >>. Any character that cannot be part of a
name separates two names. A mechanism of this list is a candidate if

=over

=item *

it satisfies every security flag in C<secflags>. Any mechanism satisfies C<noplaintext> if C<externalssf> is above 0,
because the connection is then protected by TLS (the property C<tls> sets C<externalssf>);

=item *

C<minssf> is at most the sum of C<externalssf> and the SSF of the mechanism's strongest security layer (256 for GSSAPI
and GSS-SPNEGO, 128 for DIGEST-MD5, 0 for the others);

=item *

its channel binding is possible: a name that ends in C<-PLUS> needs channel binding data, an HT mechanism data of its own type, and only
such names qualify if C<channel_binding_policy> is C<require> (see L<Authen::SASL::Rust::ChannelBinding>);

=item *

the callbacks that it needs exist, or an account store that replaces them. The choice does not call them;

=item *

it can send an authzid, if C<authname> differs from C<user> (client): LOGIN, CRAM-MD5, XOAUTH2, HT and GSS-SPNEGO cannot. This rule applies to
plain values only. The result of a code reference is not known at the time of the choice; if it then differs, the exchange fails with such
a mechanism;

=item *

EXTERNAL: a server knows who the client is (C<external_id>). A client that has a password, and whose list has mechanisms that use it, needs
a sign that something outside SASL proves its identity: a certificate of its own in C<tls>; C<externalssf> if no C<tls> is given; or a
C<sockname> or C<peername> of a Unix socket. So a server that offers EXTERNAL to every client does not stop such a client from using its
password;

=item *

the Kerberos mechanisms: the system has a GSS-API library, and there is a ticket (client) or a keytab with a key for the
service (server). So a list like C<GSSAPI SCRAM-SHA-256> falls back to SCRAM if there is no ticket.

=back

The candidate with the highest rank is chosen; of two with the same rank, the one that the caller named first. If there
is no candidate, C<client_new> and C<server_new> die, and the error text gives the reason for each name. An empty list,
or one without a valid name, has no candidates: it never means "all mechanisms".

A client makes the choice in C<client_new>, and again in C<client_start> if a property or callback has changed since. A
server with several mechanisms must be given the one that the client named: call C<< $conn->mechanism($name) >> before
C<server_start>.

=for program

    use strict;
    use warnings;
    use Authen::SASL qw(Rust);

    my $sasl = Authen::SASL->new(mechanism => 'NTLM PLAIN', callback => { user => 'fred', pass => 'pencil' });
    print $sasl->client_new('imap', 'mail.example.org')->mechanism, "\n";      # prints PLAIN

    eval { $sasl->client_new('imap', 'mail.example.org', 'noplaintext') };
    print "$_\n" for $@ =~ /NTLM: ([^;]+)/, $@ =~ /PLAIN: ([^(]+) \(/;
    # prints not supported
    # prints it does not satisfy the security flag noplaintext

For Kerberos and Active Directory see L<Authen::SASL::Rust::Kerberos>.

=head1 CLASS METHODS

=head2 client_new, server_new

    $conn = $sasl->client_new($service, $host, $options, ...)
    $conn = $sasl->server_new($service, $host, $options, ...)

Call these on the Authen::SASL object, which passes the call on. They return an L<Authen::SASL::Rust::Connection>, or
die.

C<$service> is the registered service name of the protocol: C<imap>, C<smtp>, C<ldap>, ... C<$host> is the server's
name. Both may be omitted. DIGEST-MD5 sends and checks them.

C<$options> is one of: nothing (undef, 0, an empty string); a string of security flags, separated by spaces; a reference
to a hash of options, see L<Authen::SASL::Rust::Connection/PROPERTIES> (the flags are its C<secflags>); or, as with
Authen::SASL::XS, the local address as C<"ip;port">, followed by the remote address.

An invalid value dies, and so does an unknown option: a mistyped name must not silently switch off a protection. The error text
suggests the nearest name. An unknown flag in C<secflags> dies too. In a string of flags, a word that resembles no flag is
ignored with a warning, because Authen::SASL::Perl ignores such words.

=head2 global_listmech

    @names = Authen::SASL::Rust->global_listmech
    $names = Authen::SASL::Rust->global_listmech

The names of all mechanisms that this version supports, as a list or as one string with spaces.

=head2 in_use

    $first = Authen::SASL::Rust->in_use

1 if Authen::SASL asks this backend first, else 0. C<@Authen::SASL::Plugins> holds the whole list.

=head2 plugins

    @plugins = Authen::SASL::Rust->plugins(load => \@names, path => \@folders, ...)

Loads Cyrus SASL plugins. All connections that are made afterwards may use their mechanisms. See
L<Authen::SASL::Rust::Plugins>.

=head2 scram_verifier

    $text = Authen::SASL::Rust->scram_verifier(password => $password, ...)

Makes a SCRAM verifier of a password. Dies if an argument is missing, unknown or out of range. The arguments:

=over

=item password

Required; characters, see L</CHARACTERS>.

=item mechanism

Any SCRAM mechanism of the table; default SCRAM-SHA-256.

=item iterations

4096 to 100000000; default 4096, and 10000 for SHA-384, SHA-512 and SHA3-512.

=item salt

A string of 1 to 1023 bytes; default 16 random bytes.

=item spelling

The format: C<rfc5803> (the default), which PostgreSQL stores and libsasl2 reads, or C<dovecot>. C<postgresql> and C<openldap> are other
names of the first, C<gsasl> of the second.

=back

=for program

    use strict;
    use warnings;
    use Authen::SASL::Rust;

    my $text = Authen::SASL::Rust->scram_verifier(password => 'pencil', salt => 'sixteen bytes...');
    print "$_\n" for split /\$/, $text;
    # prints SCRAM-SHA-256
    # prints 4096:c2l4dGVlbiBieXRlcy4uLg==
    # prints O+7iEydBd9mlsNdJxgaBGtHrun0Z4Tf3Pnzu449pwHw=:dCSewtpeuMHDL7esX4kPY05JWdr/KZQO8DYlJqZSRFI=

=head2 otp_state

    $text = Authen::SASL::Rust->otp_state(phrase => $phrase, ...)

Makes the state that a server of OTP stores for a user: the beginning of a chain of one-time passwords. Dies if an argument is missing,
unknown or out of range. The arguments:

=over

=item phrase

Required: the pass phrase, 10 to 63 printable characters of ASCII (RFC 2289 section 6).

=item hash

C<md5> or C<sha1>; default C<md5>, which each client has.

=item sequence

The sequence number, 2 to 9999; default 499. The user can log in one time less than that.

=item seed

1 to 16 letters and digits; default two letters and four random digits. The same phrase and seed must not be used twice.

=item host

The host that the server is given (C<server_new>). The default seed begins with its first two letters, as the challenges for unknown
users do; without C<host>, an attacker can tell them from this user's.

=back

=for program

    use strict;
    use warnings;
    use Authen::SASL::Rust;

    my $state = Authen::SASL::Rust->otp_state(phrase => 'This is a test.', seed => 'TeSt', sequence => 99);
    print join(' ', split /\t/, $state), "\n";
    # prints md5 0099 test 50fe1962c4965880 00000000000000000000

=head1 CALLBACKS

    user => 'fred'                  the value itself
    user => \&code                  called as code($conn)
    user => [\&code, 1, 2, 3]       called as code($conn, 1, 2, 3)

A client has the callbacks C<user> and C<pass>, or C<token>, or C<scram_keys>. A server has C<getsecret>, which returns the password or a verifier of a user,
or C<checkpass>, which says whether a password is right. L<Authen::SASL::Rust::Callbacks> describes all callbacks, verifiers, and answers
that come later.

=head1 OTHER BACKENDS

Many programs and modules name the backend that they were written with: C<use Authen::SASL qw(Perl)>. Among them are git
send-email, sieve-connect, Net::Sieve, sendxmpp, AnyEvent::XMPP and mutt_ldap_query. In Authen::SASL the last such line decides
for the whole process. Once this backend has been chosen, such a line loads the module that it names, but the connections stay
ours. So C<PERL5OPT=-MAuthen::SASL::Rust> works for these programs too, and a module that a program loads cannot bypass the
program's C<secflags> and send the password.

    use Authen::SASL::Rust;           # or: use Authen::SASL qw(Rust);
    use Net::Sieve;                   # says qw(Perl); the connections are ours

=over

=item *

A list that names Rust is used unchanged, in its order: C<use Authen::SASL qw(Perl Rust)>.

=item *

C<use Authen::SASL::Rust ':shared'> chooses this backend and leaves the rest to Authen::SASL: every later import takes
effect. In the environment this is C<PERL5OPT=-MAuthen::SASL::Rust=:shared>.

=item *

C<use Authen::SASL::Rust> replaces a backend that was chosen earlier. C<use Authen::SASL::Rust ()> and C<require> choose
nothing.

=item *

A program that writes to C<@Authen::SASL::Plugins>, or calls another backend by its name, C<< Authen::SASL::Perl->client_new(...) >>,
gets the backend that it asks for. C<in_use> reports the first case.

=item *

perl ignores C<PERL5OPT> and C<PERL5LIB> in programs that run with taint checks (C<-T> in the first line of the program or on the
command line, or set-user-ID). Edit such programs, or start them with C<perl -T -MAuthen::SASL::Rust PROGRAM>.

=back

=for program

    use strict;
    use warnings;
    use Authen::SASL::Rust;
    use Authen::SASL qw(Perl);

    my $sasl = Authen::SASL->new(mechanism => 'PLAIN', callback => { user => 'fred', pass => 'pencil' });
    print ref $sasl->client_new('imap', 'mail.example.org'), "\n";    # prints Authen::SASL::Rust::Connection
    print Authen::SASL::Rust->in_use, "\n";                           # prints 1

=head1 SECURITY LAYERS

DIGEST-MD5 can protect the data that follows the login with a security layer: against changes (auth-int, SSF 1), or also against
eavesdropping (auth-conf, SSF 40 to 128). The properties C<minssf>, C<maxssf>, C<externalssf> and C<maxbuf> decide which layer is
used (L<Authen::SASL::Rust::Connection/maxssf>). Net::LDAP installs the layer on its socket itself:

    my $sasl = Authen::SASL->new(mechanism => 'DIGEST-MD5', callback => { user => 'fred', pass => 'pencil' });
    my $conn = $sasl->client_new('ldap', 'ldap.example.org', { minssf => 128 });
    my $ldap = Net::LDAP->new('ldap://ldap.example.org') or die "cannot connect: $@\n";
    my $bind = $ldap->bind('', sasl => $conn);
    die $conn->error || $bind->error, "\n" if $bind->code;
    print 'enciphered with ', $conn->property('ssf'), " bits\n";    # 128
    my $found = $ldap->search(base => 'dc=example,dc=org', filter => '(uid=fred)');

With a C<minssf> of 128, the bind fails if the server offers less. Without it, the strongest available layer is used, or none. In
OpenLDAP, C<sasl-secprops minssf=128> demands a layer. Other programs install the layer on their handle themselves:
L<Authen::SASL::Rust::Connection/securesocket, tiesocket>.

Under TLS, set C<externalssf>, and set C<maxssf> to 0: a second layer adds nothing.

=head1 CHARACTERS

User names and passwords are characters. A string with Perl's UTF-8 flag is used as it is. A string without the flag that is valid UTF-8
counts as already encoded (this is what @ARGV and files contain); any other string counts as Latin-1. Strings are encoded once, and
prepared with SASLprep (RFC 4013) if the mechanism's standard requires it. DIGEST-MD5 hashes a string in Latin-1 if it fits, as its
standard demands. GNU SASL, Dovecot and Authen::SASL::Perl hash the name, or both, in UTF-8: a server accepts that too, and the option
C<digest_md5_utf8> makes a client do the same.

A program receives octets: UTF-8, without Perl's flag. This applies to the arguments of callbacks, the properties, C<answer>,
C<user> and C<error>. So C<crypt> and Digest::SHA work in a C<checkpass>, as they do with Authen::SASL::Perl. With the option
C<< characters => 1 >> a connection returns decoded strings instead:

=for program

    use strict;
    use warnings;
    use Authen::SASL qw(Rust);

    my $sasl = Authen::SASL->new(mechanism => 'PLAIN', callback => { checkpass => sub { 1 } });
    for my $options ({}, { characters => 1 }) {
        my $server = $sasl->server_new('imap', 'mail.example.org', $options);
        $server->server_start("\0ren\xC3\xA9e\0pencil");
        print length $server->property('user'), "\n";
    }
    # prints 6
    # prints 5

Under C<-T>, all data from the peer is tainted: the arguments of a server's callbacks, the names, C<error>, messages, and the
result of C<decode>. Data that was computed from a tainted value of the program is tainted too.

Messages of an exchange are bytes, in both directions. A wide character in a message dies. Messages are not base64: in
SMTP, IMAP and POP3 the program encodes and decodes them, in LDAP it need not.

=head1 ERRORS

C<< $conn->error >> is undef if there is no error. Otherwise it is one string: the mechanism and side, what happened, and the name
of an error code. It never contains a secret. C<< $conn->code >> is the number of that code. L<Authen::SASL::Rust::Error> lists the
codes, L<Authen::SASL::Rust::Troubleshooting> the texts, both with what to do. The first also describes how to turn a failure into an exception, which programs need that log in through
Net::SMTP.

=head2 A trace

C<< Authen::SASL->new(debug => 1, ...) >>, the option or property C<debug> of a connection, or C<AUTHEN_SASL_RUST_DEBUG=1> in the
environment prints to standard error which mechanism was chosen and why not another one, each message that is sent or received, the result,
and times. C<< Net::SMTP->new(..., Debug => 1) >> sets C<debug> too. In place of 1 it may be a handle, or code that is called with each
line. A trace looks like this:

    Authen::SASL::Rust client SCRAM-SHA-256: chosen from: SCRAM-SHA-256 PLAIN
    Authen::SASL::Rust client SCRAM-SHA-256: of the list, SCRAM-SHA-256: usable, rank 54; PLAIN: usable, rank 10
    Authen::SASL::Rust client SCRAM-SHA-256: sends an initial response of 44 bytes (in 0.1 ms), client-first-message: gs2-cbind-flag=n n=fred r=(32 bytes)
    Authen::SASL::Rust client SCRAM-SHA-256: receives a challenge of 100 bytes (after 20.4 ms), server-first-message: r=(64 bytes) s=(16 bytes) i=4096

"In" is the time that this side has needed, with its callbacks; "after" is the time that it has waited. Names and options are shown, of other
fields the length, and of secrets only that they are there: a trace has no password, token, proof, verifier or nonce, in any form. It does
show user names, and the length of a message of PLAIN tells that of the password. L<Authen::SASL::Rust::Cookbook/WHY DOES MY LOGIN FAIL?>
explains how to read one.

=head1 SECURITY

F<docs/security.md> in the distribution says what is promised, against whom.

=over

=item *

PLAIN, LOGIN, OAUTHBEARER and XOAUTH2 send the password or token in clear text. Use them under TLS only. A client with
the flag C<noplaintext> never uses them, unless C<externalssf> says that the connection is protected by TLS.

=item *

Name the mechanisms that you want. If the list comes from the server over a connection without TLS, an attacker can
shorten it to its weakest mechanism.

=item *

A SCRAM or DIGEST-MD5 client has succeeded only when the B<server> has proved its identity: check C<is_success> after
the last step. For Net::SMTP and others that ignore a failed step, see
L<Authen::SASL::Rust::Error/CALLERS THAT IGNORE FAILURES>.

=item *

A server handles an unknown user like a wrong password: it does the same work, takes the same time, and sends a stable salt
from a mock credential. Forked processes and threads use the same mock salts if the module was loaded before them. Set
C<salt_key> to keep the mock salts across restarts, and to have the same ones on several hosts or in processes that each
load the module. Give all verifiers of a mechanism the same iteration count, and salts of 16 bytes: otherwise these two values distinguish a
mock credential from a real one. A mock credential has the count of the option C<iterations>, or if that is not set, of the first
verifier of its hash that the process has seen, or else the default count.

=item *

A user whose stored secret is unusable for the mechanism (a malformed verifier, one with another hash, or a verifier where the
mechanism needs the password) gets the same answers as an unknown user. The callback C<log> and the server's C<error> have the
reason: never send C<error> to the client.

=item *

A server's C<user> is undef until the client has proved that identity. To log failed logins, use
C<< $conn->property('claimed_user') >>.

=item *

A client refuses fewer than 4096 iterations (C<min_iterations>) and more than 2,000,000 (C<max_iterations>)
before it computes anything.

=item *

The Authen::SASL object caches keys that a SCRAM client has derived, at most 16, and only after the server has proved
them right. So the second connection of the same user needs no key derivation. The keys are wiped with the object.

=item *

Nonces and the salts of new verifiers are random bytes of the operating system. Secrets are wiped in the Rust part when they are no longer
needed; Perl's own copies are not.

=item *

A connection belongs to the thread that made it. A copy in another thread, or a copy made by Storable, returns the
C<mechanism> and the C<error> of its original; its other methods die. It holds no secret of the exchange. After C<fork> both
processes may use their own copy; nonces that are made after the fork differ.

=back

=head1 MIGRATION

L<Authen::SASL::Rust::Migration> says how to move a program, or a machine, from Authen::SASL::Perl, Authen::SASL::XS or
Authen::SASL::Cyrus to this backend and back, and what is different.

=head1 EXAMPLES

The manual names programs in F<eg/>. They are installed in the directory F<Rust/eg> beside this module, and run unchanged; their first lines
say how to call them. To start the mail server:

    perl "$(dirname "$(perldoc -l Authen::SASL::Rust)")/Rust/eg/mail-server" --port 2525

Before the installation, run C<perl -Mblib eg/mail-server --port 2525> in the directory where the module was built.

=head1 SEE ALSO

L<Authen::SASL>, L<Authen::SASL::Rust::Cookbook>, L<Authen::SASL::Rust::Connection>, L<sasl-rust-passwd>, L<sasl-rust-token>;
RFC 4422 (SASL), RFC 5802 (SCRAM).

=head1 AUTHOR

The Authen::SASL::Rust contributors.

=head1 COPYRIGHT AND LICENSE

Copyright 2026 the Authen::SASL::Rust contributors.

This library is free software; you may redistribute it and modify it under the same terms as Perl itself.
The Rust crates in it may also be used under the MIT License or the Apache License 2.0; F<LICENSE> says which files these are.

=cut
