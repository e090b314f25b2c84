package Authen::SASL::Rust::Accounts;

use strict;
use warnings;
use Authen::SASL::Rust;
use Carp ();

our $SECONDS = 30;

# The core's accounts belong to one thread.
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
  Carp::croak("cyrus: there is no $service.conf where Cyrus' configuration files are") unless defined $text;
  return split /\0/, $text;
}

sub configuration {
  my ($class, $service) = @_;
  my $text = _configuration($service);
  return defined $text ? split /\0/, $text : ();
}

# One object for each file, however many connections name it: the file is read once.
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

sub setpass {
  my ($self, $user, $password, %arg) = @_;
  my ($mechanism, $iterations, $create) = delete @arg{qw(mechanism iterations create)};
  my $unknown = Authen::SASL::Rust::_unknown(\%arg, qw(mechanism iterations create));
  Carp::croak("setpass: $unknown") if defined $unknown;
  Carp::croak('setpass: a password is needed') unless defined $password;
  Carp::croak('iterations: a number from 4096 to 100000000 was expected')
    if defined $iterations && $iterations !~ /\A[1-9][0-9]{0,8}\z/;
  my $expected = !defined $create ? 2 : $create ? 0 : 1;
  $self->_set($user, $password, $mechanism, $iterations || 0, $expected);
  return 1;
}

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

Authen::SASL::Rust::Accounts - the users of a server, in a file or behind a daemon

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

    # No callbacks: the accounts answer.
    my $server = Authen::SASL->new(mechanism => 'SCRAM-SHA-256 PLAIN')
        ->server_new('imap', 'mail.example.org', { accounts => $accounts });
    $server->mechanism('PLAIN');
    $server->server_start("\0fred\0pencil");
    print 'welcome, ', $server->property('user'), "\n" if $server->is_success;      # prints welcome, fred

=head1 DESCRIPTION

A server asks its callbacks, L<Authen::SASL::Rust::Callbacks>. Where it has no callback for a question, its accounts
answer: an object of this class, which is handed to C<server_new> as the option C<accounts>. The option C<users>, with the
name of a file, stands for C<< Authen::SASL::Rust::Accounts->new(users => $file) >>; such an object is made
once in a process. Any number of connections may share one object.

Callbacks go before accounts, each for its own question. If there is C<getsecret>, or C<checkpass> for PLAIN and LOGIN,
the accounts are not asked for passwords; C<authorize> and C<canonuser> work beside them.

Accounts answer at once: while they read a file or wait for a daemon, the program waits.

=head1 A FILE OF USERS

    # people
    #salt-key:7mhkvCBhzvnBhVDkp1iTrZ5oD2BlVXQyZ5qUoqr7QXE=
    fred:SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=
    anna:!SCRAM-SHA-256$4096:...

Text in UTF-8, a name and a stored key to a line; C<#> begins a comment. The keys are SCRAM's verifiers, as
L<Authen::SASL::Rust::Callbacks/VERIFIERS> has them, so nobody can log in with what stands in the file, but whoever reads it can try passwords, and
pose as the server. A user has one line for each hash. An exclamation mark before the key disables the user. Names
are prepared with SASLprep (RFC 4013), and property C<user> is the prepared name; they hold no colon, and have at most 1024
bytes.

The file serves SCRAM of the hashes that somebody has, PLAIN and LOGIN; not CRAM-MD5 and DIGEST-MD5, which need
passwords. L<sasl-rust-passwd> makes and changes it, and so do the methods below; the gateway C<sasl-gate> reads the same format.

=over

=item *

It is refused, with the reason in C<error>, if others may read or write it, if it belongs neither to the user of the program nor to
root, if it is no regular file, longer than 64 MiB, or if a line is wrong. A group may read it (mode 640). It may stand behind
symbolic links, as a Secret of Kubernetes does; then it can be read, and changed only by its own name.

=item *

A change holds from the next log-in on, by whatever program it was made.

=item *

Writers replace the whole file, one after the other: a reader, or a machine that fails, sees the file before or after. The lock that
they take is the file F<.NAME.lock> beside it, which stays there; nobody else can open it, not even a group that may read the users. Whoever
changes it by hand, in an editor, should not do so while programs do.

=item *

An unknown or disabled user walks the same way as a wrong password. The stored key that it seems to have looks like those of most users. What
those are made of stands in the line C<#salt-key:>, or is the option C<salt_key>.

=back

=head1 SASLAUTHD

    my $accounts = Authen::SASL::Rust::Accounts->new(saslauthd => '/run/saslauthd/mux');

Cyrus' daemon checks passwords against the system's (shadow, PAM), LDAP or an IMAP server. So only PLAIN and LOGIN can be
served. The name is cut at its last C<@>: what follows is the realm, else the property C<realm> is. The service of C<server_new> is that of PAM.

A daemon that knows no realms (PAM without C<saslauthd -r>) would let C<fred@victim.org> in with fred's password. Where the
property C<realm> is set, a name of another domain is unknown; a name that ends with C<@> always is. The same holds for the plugins of
L</CYRUS SASL>, whose statements and filters may ignore the realm.

A daemon that is not there, answers neither OK nor NO, or takes longer than C<timeout> (30 seconds) fails
the exchange with a reason of its own, not as a wrong password. A user name, password, service or realm of more than 256 bytes, or with a
NUL, is refused without asking.

=head1 CYRUS SASL

    my $accounts = Authen::SASL::Rust::Accounts->new(cyrus => { auxprop_plugin => 'sasldb', sasldb_path => '/etc/sasldb2' });
    my $accounts = Authen::SASL::Rust::Accounts->new(cyrus => 'imap');      # what /etc/sasl2/imap.conf says

Users as servers with Cyrus' libsasl2 have them, by the same options, plugins and configuration files, without
libsasl2: passwords of F<sasldb>, of a database or a directory serve SCRAM, DIGEST-MD5, CRAM-MD5, PLAIN and LOGIN. The options are those of
L<https://www.cyrusimap.org/sasl/sasl/options.html>:

    pwcheck_method      auxprop, saslauthd, auxprop-hashed: one, or several that are tried in turn; auxprop
    auxprop_plugin      names of plugins: sasldb, sql, ldapdb; all that there are
    canon_user_plugin   the plugin that makes names canonical; none
    mech_list           mechanisms that may be offered, each with and without -PLUS; all. It holds for all mechanisms of the server,
                        those too that ask for no password or are served by a callback
    saslauthd_path      the socket; /run/saslauthd/mux
    sasldb_path, sql_select, ldapdb_uri, ...       what the plugins ask for

A hash has options; a string is the name of a service, whose F<SERVICE.conf> is looked for in the folders of C<SASL_CONF_PATH> (not if the program has
more rights than its caller), else in F</etc/sasl2>, F</etc/sasl>, F</usr/lib/x86_64-linux-gnu/sasl2> (or what the machine is) and
F</usr/lib/sasl2>, as Debian's libsasl2 does. The first file counts. Plugins are loaded
from the folders of C<path> (an array, or a string with colons), else as L<Authen::SASL::Rust::Plugins> says. A plugin that is
named and cannot be loaded dies here. Names of plugins, methods and mechanisms may be in upper or lower case. C<auto_transition> is refused:
passwords of users who log in are not stored.

The statements of the plugin C<sql> must have C<%u>, C<%r> and C<%v> within text literals in single quotes (C<'%u'>), and neither comments nor backslashes; else
they are refused. A name or password with a quote or backslash is handed to the database in hexadecimal. A realm with one is refused,
and so is the host of a server without C<realm>, which stands for it.

The properties of users come from there, too:

    my $server = Authen::SASL->new(mechanism => 'PLAIN')
        ->server_new('imap', 'mail.example.org', { accounts => $accounts, auxprop => ['mail', '*cmusaslsecretOTP'] });
    # ... the exchange ...
    my @mail = $server->property('auxprop:mail');

A name with a star is a property of who has logged in, one without of whom to act as, if that is another.

Where a user has both a stored key (C<authPassword>) and a password, SCRAM takes the key that fits, and CRAM-MD5, DIGEST-MD5 and NTLM the
password.

A password that is stored as a hash (C<{SSHA}>, C<{SMD5}>, C<{CRYPT}> and the like) is refused, with the name of the hash in C<error>.
libsasl2's C<auxprop> compares such a value as it stands, so nobody gets in but who knows the hash's text; its C<auxprop-hashed> let
everybody in with some plugins and was taken out in 2.1.28. Here C<auxprop-hashed> takes SCRAM verifiers alone. Let saslauthd compare
what is hashed otherwise.

=head1 METHODS

They die with the reason, and the name of a code in parentheses, if they cannot do what they should.

=head2 new

    $accounts = Authen::SASL::Rust::Accounts->new(users => $file)
    $accounts = Authen::SASL::Rust::Accounts->new(saslauthd => $socket, timeout => 5)
    $accounts = Authen::SASL::Rust::Accounts->new(cyrus => \%options, path => \@folders)
    $accounts = Authen::SASL::Rust::Accounts->new(cyrus => $service, path => \@folders)

The file need not be there yet.

=head2 configuration

    %options = Authen::SASL::Rust::Accounts->configuration($service)

The options in the service's configuration file; nothing if there is none. A file that cannot be read, or is wrong, dies.

=head2 check

    $yes = $accounts->check($user, $password, service => 'imap', realm => 'example.org')

Is this the user's password? 1 or 0. Both arguments that are named may be missing.

=head2 setpass

    $accounts->setpass($user, $password, mechanism => 'SCRAM-SHA-256 SCRAM-SHA-1', iterations => 10_000, create => 1)

Sets a password. With C<create> true the user must be new, with 0 known; without it, either will do. A new user gets a
key for C<mechanism> (SCRAM-SHA-256) with C<iterations> (4096); one that is known keeps both unless they are given, and
stays disabled if it is.

=head2 delete, disable, enable

    $accounts->delete($user)
    $accounts->disable($user)
    $accounts->enable($user)

Only C<delete> works beyond a file of users: it takes the password away.

=head2 list

    for my $user ($accounts->list) {
        print "$user->{user}: ", join(' ', sort keys %{ $user->{mechanisms} }), $user->{disabled} ? " (disabled)\n" : "\n";
    }

All users, in the file's order: C<user> (octets, as property C<user> is), C<disabled> (0 or 1), and C<mechanisms>, the iterations by mechanism.

=head1 SEE ALSO

L<sasl-rust-passwd>, L<Authen::SASL::Rust>, L<Authen::SASL::Rust::Connection>

=cut
