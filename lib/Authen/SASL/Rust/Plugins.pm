package Authen::SASL::Rust::Plugins;

use strict;
use warnings;
use Carp ();

our $VERSION = '1.0';

# Parses the value of "plugins => ..." into a hash; undef if no plugins are requested.
sub _wish {
  my ($value) = @_;
  return undef if !$value;
  return {} if !ref $value && $value eq '1';
  return { load => [split ' ', $value] } if !ref $value;
  return { load => $value } if ref $value eq 'ARRAY';
  return {%$value} if ref $value eq 'HASH';
  Carp::croak('plugins: 0, 1, names or a hash was expected');
}

# Loads plugins for one connection, or for all new ones.
sub _load {
  my ($conn, $value) = @_;
  my $wish = _wish($value);
  if (!$wish) {
    Authen::SASL::Rust::_no_plugins($conn);
    return;
  }
  my ($path, $load, $prefer, $options) = delete @{$wish}{qw(path load prefer options)};
  my $unknown = Authen::SASL::Rust::_unknown($wish, qw(path load prefer options));
  Carp::croak("plugins: $unknown") if defined $unknown;
  $path = join ':', @$path if ref $path eq 'ARRAY';
  my @names = !defined $load ? () : ref $load eq 'ARRAY' ? @$load : split ' ', $load;
  Carp::croak('plugins: load: names were expected')
    if defined $load && grep { !defined || !/\A[\w-]+\z/ } @names, @names ? () : undef;
  $prefer = defined $prefer ? $prefer : 'own';
  Carp::croak('plugins: prefer: own or plugins was expected') if $prefer !~ /\A(?:own|plugins)\z/;
  Carp::croak('plugins: options: a hash was expected') if defined $options && ref $options ne 'HASH';
  my $pairs = '';

  for my $name (sort keys %{ $options || {} }) {
    Carp::croak("plugins: options: $name: a text without NUL was expected")
      if grep { !defined || ref || /\0/ } $name, $options->{$name};
    $pairs .= "$name\0$options->{$name}\0";
  }
  my @report =
    _read(Authen::SASL::Rust::_plugins($conn, $path, @names ? join(' ', @names) : undef, $prefer eq 'plugins', $pairs));
  for my $name (@names) {
    my ($found) = grep { lc $_->{plugin} eq lc $name } @report;
    Carp::croak("plugins: $name: " . ($found && $found->{error} || 'it has no mechanisms'))
      if !$found || !@{ $found->{client} } && !@{ $found->{server} };
  }
  return @report;
}

sub _report { return _read(Authen::SASL::Rust::_known_plugins()) }

# Converts the core's report to one hash per plugin.
sub _read {
  my @field = split /\0/, $_[0], -1;
  my (@plugins, %known);
  while (@field > 4) {
    my ($name, $file, $what, $text) = splice @field, 0, 4;
    my $plugin = $known{"$name\0$file"} ||= do {
      push @plugins, { plugin => $name, file => $file, client => [], server => [], error => undef };
      $plugins[-1];
    };
    if ($what eq 'refused') {
      $plugin->{error} = join '; ', grep { defined } $plugin->{error}, $text;
    }
    else { push @{ $plugin->{$what} }, $text }
  }
  return @plugins;
}

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::Plugins - mechanisms from Cyrus SASL plugins

=head1 SYNOPSIS

    use Authen::SASL qw(Rust);

    Authen::SASL::Rust->plugins(load => 'ntlm');                # for all connections made from now on

    my $conn = Authen::SASL->new(mechanism => 'NTLM', callback => { user => 'fred', pass => 'pencil' })
        ->client_new('imap', 'mail.example.org');

=head1 DESCRIPTION

Cyrus SASL keeps its mechanisms in shared objects (plugins). This module can load them without libsasl2. A plugin
mechanism then has the same callbacks, deferred answers, errors, properties and security layers as the mechanisms of
L<Authen::SASL::Rust>. On Debian, the packages C<libsasl2-modules> (NTLM among others), C<libsasl2-modules-otp> and
C<libsasl2-modules-gssapi-mit> contain plugins.

Nothing is loaded unless it is requested, in one of three ways. Loading a plugin runs its code.

=over

=item Authen::SASL::Rust->plugins(...)

All connections that are made from now on.

=item client_new($service, $host, { plugins => ... })

This connection; also the property C<plugins>.

=item AUTHEN_SASL_RUST_PLUGINS=otp,ntlm

In the environment, for programs that request none themselves; 1 for all.

=back

The value is one of: 0, no plugins; 1, all installed plugins; names, as one string with blanks or as an array; or the
following arguments, which the option takes as a hash:

=over

=item load

Names, as a string or an array. The name of a plugin is its file name without "lib", up to the first dot: F<libotp.so> is otp.
Default: all.

=item path

Directories, as an array or a string with colons. Default: those of C<SASL_PATH> in the environment, or else the system's
(F</usr/lib/x86_64-linux-gnu/sasl2> or the like).

=item prefer

C<plugins>: a plugin mechanism takes precedence over our own of the same name. C<own>, the default: our own does.

=item options

A hash of plugin options, such as C<otp_mda>; the manual of Cyrus SASL (F<options.html>) lists them.

=back

If a named plugin cannot be used, the call dies with the reason, and the plugins that were loaded before stay loaded. When all plugins are
requested, unusable ones are skipped and listed in the result.

In a program that runs with more rights than its user (setuid, setgid, capabilities), C<SASL_PATH> and
C<AUTHEN_SASL_RUST_PLUGINS> are ignored.

=head2 What is returned

    @plugins = Authen::SASL::Rust->plugins(...)
    @plugins = Authen::SASL::Rust->plugins

The first form loads plugins and returns the list, the second returns the plugins that new connections may use.

The list has one hash per plugin: C<plugin>, its name; C<file>; C<client> and C<server>, arrays of mechanisms; C<error>, the
reason why it cannot be used, or undef. A directory that cannot be read is reported as such a hash with an empty name.

=for program

    use strict;
    use warnings;
    use Authen::SASL qw(Rust);

    my ($folder) = Authen::SASL::Rust->plugins(path => '/no/such/folder');
    print "$folder->{file}: $folder->{error}\n" =~ /(.*?cannot be read)/, "\n";
    # prints /no/such/folder: the folder cannot be read

    eval { Authen::SASL::Rust->plugins(path => '/no/such/folder', load => 'otp') };
    print $@ =~ /(plugins: otp: .*?) at/, "\n";
    # prints plugins: otp: there is no such file in the folders of plugins

=head1 CALLBACKS

B<Client.> The callbacks C<user>, C<authname>, C<pass> and C<realm> answer a plugin's prompts. The plugin says which of them
its mechanism requires.

If the user has to respond to a challenge that the server displays, use C<challenge>: code that is called with the connection, the
server's challenge, a prompt for the user, and a flag that is true if the typed text may be echoed. It returns the response; undef gives
up. With this callback the OTP plugin asks for a one-time password, in the format of RFC 2444 (C<hex:5bf0 75d9 959d 036f> or
C<word:BOND FOGY DRAB NE RISE MART>), and needs no pass phrase:

    Authen::SASL::Rust->plugins(load => 'otp', prefer => 'plugins');
    my $sasl = Authen::SASL->new(mechanism => 'OTP', callback => {
        user      => 'fred',
        challenge => sub { my ($conn, $challenge) = @_; print "$challenge? "; chomp(my $line = <STDIN>); $line },
    });

If there is also C<pass>, the OTP plugin uses C<challenge>. Without C<prefer> our own OTP is used instead, which has the same callback and the
same state in the account store.

B<Server.> A plugin uses the same callbacks as our own mechanisms: C<getsecret> to get a password, C<checkpass> to have one
checked (PLAIN, LOGIN), C<canonuser> and C<authorize>. They may answer later. Other properties of a user, such as the state of
OTP, are read from and written to the account store (L<Authen::SASL::Rust::Accounts>).

On a server whose mechanism comes from a plugin that has its own secrets (OTP), C<< $conn->setpass($user, $password, $flags) >> makes that
secret and stores it in the account store. An undefined password removes it. The method returns 1 on success, else 0, and C<error> has the
reason. $flags are those of Cyrus SASL: 1 creates a user.

B<Both.> At the end of a step, C<log> is called for each line that plugins have logged in it, with the connection, a level from 1
(errors) to 6, and the line. The plugin option C<log_level> (argument C<options>) is the highest level that is logged; default 1. Without
the callback nothing is logged.

=head1 THE CHOICE

A server plugin can declare its mechanism unavailable for a connection (C<mech_avail> of saslplug.h). It is asked when mechanisms are
listed or chosen. Such a mechanism is left out, with the plugin's reason. For example, OTP is left out if the account store cannot
store its secrets.

=head1 DIFFERENCES

Errors end with the SASL code that the plugin returned, and give the reason in its words. The plugin receives the properties
C<minssf>, C<maxssf>, C<maxbuf>, C<iplocalport> and C<ipremoteport>, and the layer that it negotiates is checked against the limits.
The GSS-SPNEGO plugin negotiates encryption although C<maxssf> is 1; that is refused.

A server plugin for SCRAM refuses an unknown user immediately, and so reveals who has an account; our own mechanism does not. Plugins do
not prepare names and passwords with SASLprep.

=head1 LIMITS

=over

=item Time

A plugin runs within the step that calls it. If it reads a file, queries a directory or sleeps, the whole program waits, including
its event loop; only callbacks may answer later. A plugin that never returns is never stopped.

=item Sizes

A message of a plugin has at most 1 MiB, and a name at most 4096 bytes.

=item Threads

A callback from the plugin is refused if it comes from a thread that the plugin started, or belongs to a connection that no longer exists.

=item Functions of saslplug.h

C<http_request>, C<idle> and C<user_query>, which no Debian plugin uses, are refused. The credentials that a client has delegated to a GSSAPI
plugin (C<client_creds>) are not passed on; our own GSSAPI mechanism stores them
(L<delegated_ccache|Authen::SASL::Rust::Connection/delegated_ccache>). C<mech_free> is not called, because plugins are never unloaded.

=item Known vulnerabilities

A client that uses channel binding is refused before the plugin sees its message if the server has no channel binding
data (CVE-2026-132138). The mechanism SRP is used only if its plugin is named in C<load> (CVE-2026-129483).

=item Systems

Plugins can be loaded on systems with ELF (Linux, BSD) that have this layout of Cyrus SASL 2.1. On macOS, and on processors such as s390x,
C<load> and a Cyrus configuration that names auxprop plugins fail with C<this build cannot load the plugins of Cyrus SASL>.

=item Files

A file is refused if it is world-writable, damaged, of another version, or if it calls functions of libsasl2 itself. A
program that runs as root also refuses a file or directory that belongs to another user or that is group-writable.

=back

=head1 SEE ALSO

L<Authen::SASL::Rust>, L<Authen::SASL::Rust::Connection>; F<docs/decisions/0007-plugins.md> in the distribution;
F<eg/cyrus-plugins>.

=head1 LICENSE

That of L<Authen::SASL::Rust>.

=cut
