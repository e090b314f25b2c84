package Authen::SASL::Rust::Accounts;

use strict;
use warnings;
use Authen::SASL::Rust;
use Carp ();

our $VERSION = '1.0';

our $SECONDS = 30;

# The account store of the core belongs to one thread.
sub CLONE_SKIP { return 1 }

my %kinds = (
  cyrus => ['path'],
  users => [],
  saslauthd => ['timeout'],
);

sub new {
  my ($class, %arg) = @_;
  my ($kind, @more) = grep { exists $kinds{$_} } sort keys %arg;
  if (!defined $kind || @more) {
    my $unknown = Authen::SASL::Rust::_unknown(defined $kind ? {} : \%arg, sort keys %kinds);
    Carp::croak('new: one of '
        . join(', ', sort keys %kinds)
        . ' was expected'
        . (defined $unknown ? ", and not the $unknown" : ''));
  }
  my $where = delete $arg{$kind};
  my %option;
  for my $name (@{ $kinds{$kind} }) { $option{$name} = delete $arg{$name} }
  my $unknown = Authen::SASL::Rust::_unknown(\%arg, sort(keys %kinds), @{ $kinds{$kind} });
  Carp::croak("new: $unknown") if defined $unknown;
  my $self = bless {}, $class;

  if ($kind eq 'users') {
    Carp::croak('users: the name of a file was expected') if !defined $where || ref $where;
    $self->_users($where);
  }
  elsif ($kind eq 'cyrus') {
    my ($path, $options) = ($option{path}, ref $where eq 'HASH' ? {%$where} : { _service($class, $where) });
    $path = join ':', @$path if ref $path eq 'ARRAY';
    for my $name (keys %$options) {
      Carp::croak("cyrus: $name: a text without NUL was expected")
        if grep { !defined || ref || /\0/ } $name, $options->{$name};
    }
    $self->_cyrus($path, join '', map { "$_\0$options->{$_}\0" } sort keys %$options);
  }
  else {
    Carp::croak('saslauthd: the name of a socket was expected') if !defined $where || ref $where;
    my $seconds = defined $option{timeout} ? $option{timeout} : $SECONDS;
    Carp::croak('timeout: a number of seconds was expected') unless $seconds =~ /\A[0-9]+(?:\.[0-9]+)?\z/;
    $self->_saslauthd($where, $seconds);
  }
  return $self;
}

sub _service {
  my ($class, $service) = @_;
  Carp::croak('cyrus: a hash of options, or the name of a service, was expected') if !defined $service || ref $service;
  my $text = _configuration($service);
  Carp::croak("cyrus: no $service.conf in the directories of Cyrus SASL's configuration files") unless defined $text;
  return split /\0/, $text;
}

sub configuration {
  my ($class, $service) = @_;
  my $text = _configuration($service);
  return defined $text ? split /\0/, $text : ();
}

# One object per file, however many connections name it: the file is read once.
my %of_file;

sub _of_file {
  my ($class, $file) = @_;
  require File::Spec;
  my $name = File::Spec->rel2abs($file);
  return $of_file{$name} ||= $class->new(users => $name);
}

sub CLONE { %of_file = () }

sub check {
  my ($self, $user, $password, %arg) = @_;
  my ($service, $realm) = delete @arg{qw(service realm)};
  my $unknown = Authen::SASL::Rust::_unknown(\%arg, qw(service realm));
  Carp::croak("check: $unknown") if defined $unknown;
  return $self->_check($user, $password, $service, $realm) ? 1 : 0;
}

sub error { return $_[0]->_error }

sub setpass {
  my ($self, $user, $password, %arg) = @_;
  my ($mechanism, $iterations, $create) = delete @arg{qw(mechanism iterations create)};
  my $unknown = Authen::SASL::Rust::_unknown(\%arg, qw(mechanism iterations create));
  Carp::croak("setpass: $unknown") if defined $unknown;
  Carp::croak('setpass: a password is required') unless defined $password;
  Carp::croak('iterations: a number from 4096 to 100000000 was expected')
    if defined $iterations && $iterations !~ /\A[1-9][0-9]{0,8}\z/;
  my $expected = !defined $create ? 2 : $create ? 0 : 1;
  $self->_set($user, $password, $mechanism, $iterations || 0, $expected);
  return 1;
}

sub setotp {
  my ($self, $user, $phrase, %arg) = @_;
  $self->_store_otp($user, Authen::SASL::Rust::_otp_state('', %arg, phrase => $phrase));
  return 1;
}

sub delete_otp { $_[0]->_store_otp($_[1], undef); return 1 }

sub delete { $_[0]->_delete($_[1]); return 1 }

sub disable { $_[0]->_disable($_[1]); return 1 }
sub enable { $_[0]->_enable($_[1]); return 1 }

sub list {
  my ($self) = @_;
  my @users;
  for my $line (split /\n/, $self->_list) {
    my ($user, $disabled, %iterations) = split /\t/, $line;
    push @users, { user => $user, disabled => $disabled, mechanisms => \%iterations };
  }
  return @users;
}

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::Accounts - account stores for servers: a file, saslauthd, Cyrus SASL

=head1 SYNOPSIS

=for program

    use strict;
    use warnings;
    use Authen::SASL qw(Rust);
    use Authen::SASL::Rust::Accounts;
    use File::Temp qw(tempdir);

    my $file     = tempdir(CLEANUP => 1) . '/users';
    my $accounts = Authen::SASL::Rust::Accounts->new(users => $file);
    $accounts->setpass('fred', 'pencil');

    # No callbacks: the account store is used.
    my $server = Authen::SASL->new(mechanism => 'SCRAM-SHA-256 PLAIN')
        ->server_new('imap', 'mail.example.org', { accounts => $accounts });
    $server->mechanism('PLAIN');
    $server->server_start("\0fred\0pencil");
    print 'welcome, ', $server->property('user'), "\n" if $server->is_success;      # prints welcome, fred

=head1 DESCRIPTION

A server calls its callbacks, L<Authen::SASL::Rust::Callbacks>. Where it has no callback, it uses its account store: an
object of this class, passed to C<server_new> as the option C<accounts>. The option C<users> with the name of a file is
short for C<< Authen::SASL::Rust::Accounts->new(users => $file) >>; one such object is made per file and process. Any
number of connections may share one object.

Each callback takes precedence over the account store. If there is C<getsecret>, or C<checkpass> for PLAIN and LOGIN,
the account store is not asked for passwords. C<authorize> and C<canonuser> can be used together with it.

A user whom the account store knows as disabled is refused, whatever proves the identity: also a token (C<checktoken>, C<ht_tokens>), a
certificate or another identity from outside SASL (EXTERNAL), a Kerberos ticket, or the secret of a callback. The client gets what it gets for a
wrong credential; C<error> has the reason. If the store cannot be asked, nobody gets in, and the error is SASL_UNAVAIL. Only
L</A FILE OF USERS> knows who is disabled; saslauthd and the plugins of Cyrus SASL cannot tell. A user who is not in the store, but has
proved the identity without it, is let in: often only people have accounts, and machines have tokens or certificates. So disable a user who still
has a token or certificate; do not only delete the account. To let nobody in without an account, return undef from C<canonuser> for such a
name.

An account store blocks: while it reads a file or waits for a daemon, the program waits.

=head1 A FILE OF USERS

    # people
    #salt-key:7mhkvCBhzvnBhVDkp1iTrZ5oD2BlVXQyZ5qUoqr7QXE=
    fred:SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=
    fred:OTP md5 0498 ot1234 9e876134d90499dd 00000000000000000000
    anna:!SCRAM-SHA-256$4096:...

The file is UTF-8 text. Each line has a name and a SCRAM verifier (L<Authen::SASL::Rust::Callbacks/VERIFIERS>); C<#> begins a comment. A
verifier cannot be used to log in, but whoever reads the file can guess passwords and can pose as the server. A user has one line per hash.
A line with C<OTP> is the state of a chain of one-time passwords: the hash, the sequence number, the seed, the password that was used
last, and the time until which a login has locked the user. A user may have it with verifiers or without. An exclamation mark after the colon
disables a line; a user is disabled if all lines of the user are. Names are prepared with SASLprep (RFC 4013), and the property C<user> is the
prepared name. Names contain no colon and have at most 1024 bytes.

With this file a server can offer PLAIN, LOGIN, SCRAM with the hashes for which some user has a verifier, and OTP if some user has a
chain. It cannot offer
CRAM-MD5 and DIGEST-MD5, which need passwords. L<sasl-rust-passwd> and the methods below create and change the file; the gateway
C<sasl-gate> reads the same format.

=over

=item *

The file is refused, with the reason in C<error>, if others may read or write it, if its owner is neither the user of the program
nor root, if it is not a regular file, if it is longer than 64 MiB, or if a line is invalid. A group may read it (mode 640). The
name may be a symbolic link, as in a Kubernetes Secret: through it the file can be read, but it can be changed only by its real
name.

=item *

A change takes effect at the next login, whichever program made it.

=item *

With the option C<upgrade> of a server (L<Authen::SASL::Rust::Connection/upgrade>), users get stronger verifiers when they log in by PLAIN
or LOGIN. The program must be allowed to write the file and its directory. A login does not wait for another writer; in that case the next
login stores the verifier.

=item *

A login with OTP uses up a one-time password, so the program must be allowed to write the file and its directory. Of two logins with the same
password one succeeds, in whichever processes they are. Without TLS (C<externalssf> 0), a user is locked for two minutes at most while a
login is in progress, as RFC 2289 requires. A new password does not change the chain, and a new chain not the password.

=item *

Writers replace the whole file, one after the other: a reader sees the file before or after a change, even if the machine fails. Writers
lock the file F<.NAME.lock> in the same directory, which is never removed. No other user can open it, not even a group that may read the
users' file. Do not edit the file by hand while programs change it.

=item *

An unknown or disabled user costs the same work and gets the same answers as a wrong password. Its mock credential has the parameters of the
users' verifiers; if these differ, each set of parameters is as frequent among unknown users as among known ones. Mock credentials are derived from the option
C<salt_key>, or else from the line C<#salt-key:>, or else from the first verifier in the file.

=back

=head1 SASLAUTHD

    my $accounts = Authen::SASL::Rust::Accounts->new(saslauthd => '/run/saslauthd/mux');

saslauthd, the daemon of Cyrus SASL, checks passwords with the system (shadow, PAM), LDAP or an IMAP server. So a server can offer only
PLAIN and LOGIN. The name is split at its last C<@>: the part after it is the realm. Without C<@>, the realm is the property C<realm>. The
service of C<server_new> is the PAM service.

A daemon that ignores realms (PAM without C<saslauthd -r>) would accept C<fred@victim.org> with fred's password. Therefore, if the
property C<realm> is set, a name with another domain is unknown. A name that ends with C<@> is always unknown. The same rules apply to
the plugins of L</CYRUS SASL>, whose statements and filters may ignore the realm.

If the daemon cannot be reached, answers neither OK nor NO, or takes longer than C<timeout> (30 seconds), the exchange fails with that
reason, not as a wrong password. A user name, password, service or realm that has more than 256 bytes or contains a NUL is refused
without asking the daemon.

=head1 CYRUS SASL

    my $accounts = Authen::SASL::Rust::Accounts->new(cyrus => { auxprop_plugin => 'sasldb', sasldb_path => '/etc/sasldb2' });
    my $accounts = Authen::SASL::Rust::Accounts->new(cyrus => 'imap');      # what /etc/sasl2/imap.conf says

The accounts of a server that uses Cyrus SASL's libsasl2, through the same options, plugins and configuration files, but without libsasl2.
With passwords from F<sasldb>, a database or a directory, a server can offer SCRAM, DIGEST-MD5, CRAM-MD5, PLAIN and LOGIN. The options are
those of L<https://www.cyrusimap.org/sasl/sasl/options.html>:

=over

=item pwcheck_method

C<auxprop>, C<saslauthd>, C<auxprop-hashed>: one, or several that are tried in turn; default C<auxprop>.

=item auxprop_plugin

Names of plugins: C<sasldb>, C<sql>, C<ldapdb>; default all installed plugins.

=item canon_user_plugin

The plugin that canonicalizes names; default none.

=item mech_list

The mechanisms that may be offered, each with and without C<-PLUS>; default all. It applies to all mechanisms of the server, including
those that need no password or that use a callback.

=item saslauthd_path

The socket; default F</run/saslauthd/mux>.

=item sasldb_path, sql_select, ldapdb_uri, ...

Options of the plugins.

=back

A hash contains options. A string is the name of a service: its file F<SERVICE.conf> is looked for in the directories of C<SASL_CONF_PATH>
(which is ignored if the program has more rights than its caller), or else in F</etc/sasl2>, F</etc/sasl>,
F</usr/lib/x86_64-linux-gnu/sasl2> (or the directory of the machine's architecture) and F</usr/lib/sasl2>, as Debian's libsasl2 does. The
first file found is used. Plugins are loaded from the directories of C<path> (an array, or a string with colons), or else from those that
L<Authen::SASL::Rust::Plugins> describes. If a named plugin cannot be loaded, C<new> dies. Names of plugins, methods and mechanisms are not
case-sensitive. The option C<auto_transition> is refused: passwords of users who log in are not stored.

In the statements of the plugin C<sql>, C<%u>, C<%r> and C<%v> must be within single-quoted text literals (C<'%u'>), and there must be no
comments and no backslashes; otherwise they are refused. A name or password with a quote or backslash is passed to the database in
hexadecimal. A realm with a quote or backslash is refused; if the server has no C<realm>, the same applies to its host name, which is then
the realm.

User properties come from the same plugins:

    my $server = Authen::SASL->new(mechanism => 'PLAIN')
        ->server_new('imap', 'mail.example.org', { accounts => $accounts, auxprop => ['mail', '*cmusaslsecretOTP'] });
    # ... the exchange ...
    my @mail = $server->property('auxprop:mail');

A name with a star is a property of the user who has logged in (authcid). A name without a star is a property of the
identity to act as (authzid), which is the same user if the client named no other.

If a user has both a verifier (C<authPassword>) and a password, SCRAM uses the matching verifier, and CRAM-MD5, DIGEST-MD5 and NTLM use
the password.

A password that is stored as a hash (C<{SSHA}>, C<{SMD5}>, C<{CRYPT}> and the like) is refused, with the name of the hash in C<error>.
libsasl2's C<auxprop> compares the password with the text of such a value, so only someone who knows the hash itself gets in. Its
C<auxprop-hashed> accepted any password with some plugins and was removed in 2.1.28. Here C<auxprop-hashed> accepts SCRAM verifiers
only. Use saslauthd for other hashes.

=head1 METHODS

On failure the methods die with the reason, followed by the name of an error code in parentheses.

=head2 new

    $accounts = Authen::SASL::Rust::Accounts->new(users => $file)
    $accounts = Authen::SASL::Rust::Accounts->new(saslauthd => $socket, timeout => 5)
    $accounts = Authen::SASL::Rust::Accounts->new(cyrus => \%options, path => \@folders)
    $accounts = Authen::SASL::Rust::Accounts->new(cyrus => $service, path => \@folders)

The file need not exist yet.

=head2 configuration

    %options = Authen::SASL::Rust::Accounts->configuration($service)

Returns the options in the service's configuration file, or an empty list if there is no file. Dies if the file cannot be
read or is invalid.

=head2 check

    $yes = $accounts->check($user, $password, service => 'imap', realm => 'example.org')

Checks the user's password. Returns 1 or 0. Both named arguments are optional. If the stored secret of this user is unusable, for example
because it is a hash, the result is also 0, and C<error> has the reason: an exception would reveal that the user exists.

=head2 error

    $reason = $accounts->error

Returns the reason why the last method call failed, with the name of a code in parentheses. Undef after a success and after a wrong
password. It is meant for the log; do not send it to the client.

=head2 setpass

    $accounts->setpass($user, $password, mechanism => 'SCRAM-SHA-256 SCRAM-SHA-1', iterations => 10_000, create => 1)

Sets a password. If C<create> is true, the user must not exist; if it is 0, the user must exist; without it, both are
accepted. A new user gets a verifier for C<mechanism> (default SCRAM-SHA-256) with C<iterations> (default 4096, and 10000 for SHA-384, SHA-512
and SHA3-512). An existing user keeps both unless they are given, and stays disabled if it was.

=head2 setotp

    $accounts->setotp($user, $phrase)
    $accounts->setotp($user, $phrase, hash => 'sha1', seed => 'ho1234', sequence => 999)

Begins a chain of one-time passwords for the user, who need not exist. The pass phrase has 10 to 63 characters of ASCII. The other
arguments are those of L<Authen::SASL::Rust/otp_state>. A users' file and F<sasldb> can store it.

=head2 delete_otp

    $accounts->delete_otp($user)

Removes the chain; a user who has nothing else is removed.

=head2 delete, disable, enable

    $accounts->delete($user)
    $accounts->disable($user)
    $accounts->enable($user)

With account stores other than a users' file, only C<delete> works: it removes the password.

=head2 list

    for my $user ($accounts->list) {
        print "$user->{user}: ", join(' ', sort keys %{ $user->{mechanisms} }), $user->{disabled} ? " (disabled)\n" : "\n";
    }

All users, in the order of the file. Each is a hash of C<user> (octets, like the property C<user>), C<disabled> (0 or 1), and C<mechanisms>,
the iterations by mechanism, for OTP the number of one-time passwords that are left.

=head1 SEE ALSO

L<sasl-rust-passwd>, L<Authen::SASL::Rust>, L<Authen::SASL::Rust::Connection>

=cut
