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
my $shared = 0;

sub import {
  my ($class, @wish) = @_;
  my ($unknown) = grep { $_ ne ':shared' } @wish;
  Carp::croak("unknown import $unknown: only ':shared' can be asked for") if defined $unknown;
  $shared = @wish;
  @Authen::SASL::Plugins = (__PACKAGE__);
}

# Programs and modules that name another backend would take this one out again, silently: their imports load what
# they name, and change nothing else (docs/decisions/0013-other-backends.md).
{
  my $import = \&Authen::SASL::import;
  no warnings 'redefine';
  *Authen::SASL::import = sub {
    my ($class, @names) = @_;
    my $chosen = grep { $_ eq __PACKAGE__ } @Authen::SASL::Plugins;
    goto &$import if $shared || !$chosen || !@names || grep { defined && /\A(?:Authen::SASL::)?Rust\z/ } @names;
    local @Authen::SASL::Plugins = @Authen::SASL::Plugins;
    local $@;
    eval { $import->($class, @names) };    # it dies where nothing of it is installed, which nobody needs now
    return;
  };
}

# True while Authen::SASL asks this backend first.
sub in_use { return @Authen::SASL::Plugins && $Authen::SASL::Plugins[0] eq __PACKAGE__ ? 1 : 0 }

# All mechanisms that there are, as a list or as one string.
sub global_listmech {
  my @names = split / /, _usable();
  return wantarray ? @names : join ' ', @names;
}

# What is wrong with the arguments that are left of a call: none of them has a known name. undef if none is left.
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
  Carp::croak('scram_verifier: a password is needed') unless defined $password;
  $mechanism = 'SCRAM-SHA-256' unless defined $mechanism;
  $iterations = 4096 unless defined $iterations;
  Carp::croak('scram_verifier: iterations: a number from 4096 to 100000000 was expected')
    unless $iterations =~ /\A[0-9]{1,9}\z/ && $iterations >= 4096 && $iterations <= 100_000_000;
  return _make_verifier($mechanism, $password, $salt, $iterations, defined $spelling ? $spelling : 'rfc5803');
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
  # Both forms of a mechanism have the same key. Of another name the core would not know that it is a key's.
  return undef unless $hash->{mechanism} =~ /\ASCRAM-([A-Z0-9-]+)\z/i;
  my $name = $1;
  require MIME::Base64;
  my ($salt, $stored, $server) =
    map { my $bytes = $_; utf8::downgrade($bytes, 1) or return undef; MIME::Base64::encode_base64($bytes, '') }
    @{$hash}{qw(salt stored_key server_key)};
  return "{SCRAM-$name}$hash->{iterations},$salt,$stored,$server";
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
names it: C<use Authen::SASL qw(Rust Perl)>. L</OTHER BACKENDS> has the programs that name another one.

This page has what concerns the whole. The others:

    Authen::SASL::Rust::Cookbook         Net::SMTP, Net::LDAP, Mail::IMAPClient, XMPP, a server of one's own: short answers
    Authen::SASL::Rust::Connection       the methods and properties of a connection
    Authen::SASL::Rust::Callbacks        what a connection asks its program; stored keys; answers that come later
    Authen::SASL::Rust::Accounts         servers whose users stand in a file, behind saslauthd, or as Cyrus SASL has them
    Authen::SASL::Rust::Error            the codes of failures, what to do, and the exception
    Authen::SASL::Rust::ChannelBinding   the -PLUS mechanisms
    Authen::SASL::Rust::Kerberos         Kerberos and Active Directory
    Authen::SASL::Rust::Layer            a handle with a security layer
    Authen::SASL::Rust::Plugins          mechanisms of Cyrus SASL's plugins
    Authen::SASL::Rust::AuthLine         the AUTH line protocol, for beanstalkd and the like

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

it can ask to act as C<authname>, where that differs from C<user> (client): LOGIN, CRAM-MD5, XOAUTH2 and GSS-SPNEGO cannot. That holds for
plain values: what a code reference returns is not known before the choice, and where it differs, the exchange of such a mechanism fails;

=item *

of EXTERNAL: a server knows who the client is (C<external_id>). A client that has a password, and a list with mechanisms that use
it, needs a sign that something outside SASL proves who it is: a certificate of its own in C<tls>, C<externalssf> where no C<tls> is given,
or a C<sockname> or C<peername> of a Unix socket. So a server that offers EXTERNAL to everybody does not keep it from its password;

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

Kerberos and Active Directory have a page of their own, L<Authen::SASL::Rust::Kerberos>.

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
C<secflags>); or, as with Authen::SASL::XS, C<"ip;port"> of this side, followed by that of the other side.

A wrong value dies, and so does an option that does not exist: a mistyped name must not switch a protection off in silence. The
text has the nearest name. An unknown flag of C<secflags> dies too; in a string of flags, a word that resembles none of them is
ignored with a warning, since Authen::SASL::Perl ignores such words.

=head2 global_listmech

    @names = Authen::SASL::Rust->global_listmech
    $names = Authen::SASL::Rust->global_listmech

The names of all mechanisms that this version knows, as a list or as one string with spaces.

=head2 in_use

    $first = Authen::SASL::Rust->in_use

1 if Authen::SASL asks this backend first, else 0. C<@Authen::SASL::Plugins> holds the whole list.

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
    spelling     rfc5803 if not given, which is what PostgreSQL stores and libsasl2 reads; dovecot is another

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

    user => 'fred'                  the value itself
    user => \&code                  called as code($conn)
    user => [\&code, 1, 2, 3]       called as code($conn, 1, 2, 3)

A client answers C<user> and C<pass>, or C<token>; a server C<getsecret>, which gives the password or a stored key of a user, or
C<checkpass>, which says whether a password is right. L<Authen::SASL::Rust::Callbacks> has them all, stored keys, and answers that come later.

=head1 OTHER BACKENDS

Many programs and modules name the backend that they were written with: C<use Authen::SASL qw(Perl)>. Among them are git
send-email, sieve-connect, Net::Sieve, sendxmpp, AnyEvent::XMPP and mutt_ldap_query. In Authen::SASL the last such line of a
process decides for all of it. Once this backend was chosen, such a line is not obeyed: the module that it names is loaded, but
the connections stay ours. So C<PERL5OPT=-MAuthen::SASL::Rust> reaches these programs too, and a module that a program loads does
not send the password past the program's C<secflags>.

    use Authen::SASL::Rust;           # or: use Authen::SASL qw(Rust);
    use Net::Sieve;                   # says qw(Perl); the connections are ours

=over

=item *

A list that names Rust is obeyed as it stands, with its order: C<use Authen::SASL qw(Perl Rust)>.

=item *

C<use Authen::SASL::Rust ':shared'> chooses this backend and leaves the rest to Authen::SASL: every later import counts.
In the environment this is C<PERL5OPT=-MAuthen::SASL::Rust=:shared>.

=item *

A backend that was chosen earlier is replaced by C<use Authen::SASL::Rust>. C<use Authen::SASL::Rust ()> and C<require> choose
nothing.

=item *

A program that writes to C<@Authen::SASL::Plugins>, or calls another backend by its name, C<< Authen::SASL::Perl->client_new(...) >>,
gets what it asks for. C<in_use> tells about the former.

=item *

perl ignores C<PERL5OPT> and C<PERL5LIB> in programs that run with taint checks (C<-T>, in the first line of the program or on the
command line, or set-user-ID). Those have to be edited, or started as C<perl -T -MAuthen::SASL::Rust PROGRAM>.

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
DIGEST-MD5 hashes as Latin-1 what fits Latin-1, as its standard demands. GNU SASL, Dovecot and Authen::SASL::Perl hash the name, or both,
in UTF-8: a server takes that too, and the option C<digest_md5_utf8> makes a client do it.

What a program gets is octets: UTF-8, without Perl's flag. That holds for the arguments of callbacks, the properties, C<answer>,
C<user> and C<error>; so C<crypt> and Digest::SHA work in a C<checkpass>, as they do with Authen::SASL::Perl. With the option
C<< characters => 1 >> a connection gives decoded strings instead:

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

Under C<-T>, whatever came from the peer is tainted: the arguments of a server's callbacks, the names, C<error>, messages, and what
C<decode> returns. So is what was made of a tainted value of the program.

Messages of an exchange are bytes, in and out. A wide character in one dies. They are not encoded in base64:
SMTP, IMAP and POP3 want that from the program, LDAP does not.

=head1 ERRORS

C<< $conn->error >> is undef while all is well, else one string: mechanism and side, what happened, and the name of a code. It never
holds a secret. C<< $conn->code >> is the number of that code. L<Authen::SASL::Rust::Error> has the codes, what to do
about them, and how a failure becomes an exception, which programs need that log in through Net::SMTP.

To see what happens, set C<debug> of Authen::SASL: C<< Authen::SASL->new(debug => 1, ...) >> prints to standard error which mechanism
was chosen, which messages are sent and received, with their lengths, and how it ended. Nothing of a message is printed, so
no password either. C<< Net::SMTP->new(..., Debug => 1) >> sets it too.

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
the last step. For Net::SMTP and others that ignore a failed step, see
L<Authen::SASL::Rust::Error/CALLERS THAT IGNORE FAILURES>.

=item *

A server's unknown user walks the same way as a wrong password, in the same time, with a stable made-up salt.
Forks and threads share those salts if the module is loaded before them. Set C<salt_key> to keep them over a restart and the
same on several hosts, or in processes that each load the module. Give your stored keys the iteration count of the option
C<iterations> and salts of 16 bytes: otherwise a made-up user can be told from a real one by them.

=item *

A user whose stored secret is unusable for the mechanism (a malformed key, a key of another hash, a key where the password is
needed) is answered as an unknown one. The callback C<log> and the server's C<error> have the reason: never send C<error> to the
client.

=item *

A server's C<user> is undef until the client has proved it. C<< $conn->property('claimed_user') >> is for logs of failed logins.

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

A connection belongs to the thread that made it. A copy in another thread, or one by Storable, tells the C<mechanism> and the
C<error> of its original; its other methods die. It holds no secret of the exchange. After C<fork>
both processes may use their own copy; they share no nonce that is made afterwards.

=back

=head1 DIFFERENCES

=head2 From Authen::SASL::Perl

=over

=item *

Callbacks of a server get octets, as there; C<< characters => 1 >> gives decoded strings. Values that are given may be either.

=item *

C<need_step> becomes false, and C<is_success> true, when this side has nothing to wait for. Of the mechanisms with one message, that
is so in Authen::SASL::Perl 2.16 for PLAIN only.

So a loop that asks C<is_success> after each step must send the step's message first: LOGIN and CRAM-MD5 succeed with the
message that is still to be sent, where Authen::SASL::Perl waits for one more step.

=item *

In a string of security flags, a word that resembles a flag dies; other unknown words are ignored with a warning. In the options hash
unknown names die.

=item *

A failed step returns an empty list (undef in scalar context). A step with nothing to send returns an empty
string, and the property C<message_absent> tells it from an empty message.

=item *

C<listmech>, C<global_listmech>, C<checkpass> and C<setpass> exist, the property C<user> of a server is whom to act as, and an
unsuitable authorization identity is refused unless C<authorize> allows it.

=item *

SCRAM and the OAuth mechanisms, which Authen::SASL::Perl 2.16 does not have. CRAM-MD5 has a server side.

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

L<Authen::SASL>, L<Authen::SASL::Rust::Cookbook>, L<Authen::SASL::Rust::Connection>, L<sasl-rust-passwd>; RFC 4422 (SASL), RFC 5802
(SCRAM). The programs in F<eg/> run as they stand.

=head1 LICENSE

This library is free software; you may redistribute it and modify it under the same terms as Perl itself.

=cut
