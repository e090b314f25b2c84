package Authen::SASL::Rust::Plugins;

use strict;
use warnings;
use Carp ();

# What "plugins => ..." asks for, as a hash; undef if it is none.
sub _wish {
  my ($value) = @_;
  return undef if !$value;
  return {} if !ref $value && $value eq '1';
  return { load => [split ' ', $value] } if !ref $value;
  return { load => $value } if ref $value eq 'ARRAY';
  return {%$value} if ref $value eq 'HASH';
  Carp::croak('plugins: 0, 1, names or a hash was expected');
}

# Opens plugins for a connection, or for all new ones.
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

# The core's report as one hash for each plugin.
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

Authen::SASL::Rust::Plugins - mechanisms of Cyrus SASL's plugins

=head1 SYNOPSIS

    use Authen::SASL qw(Rust);

    Authen::SASL::Rust->plugins(load => ['otp', 'ntlm']);       # for all connections from now on

    my $conn = Authen::SASL->new(mechanism => 'OTP', callback => { user => 'fred', pass => 'a pass phrase' })
        ->client_new('imap', 'mail.example.org');

=head1 DESCRIPTION

Cyrus SASL keeps its mechanisms in shared objects. They run here too, without libsasl2: a mechanism that only a plugin
has is one more mechanism, with the same callbacks, deferred answers, errors, properties and layers as those of
L<Authen::SASL::Rust>. On Debian the packages C<libsasl2-modules> (NTLM among others), C<libsasl2-modules-otp> and
C<libsasl2-modules-gssapi-mit> bring some.

Nothing is loaded unless it is asked for, in one of three ways. To load a plugin is to run its code.

    Authen::SASL::Rust->plugins(...)                  all connections that are made from now on
    client_new($service, $host, { plugins => ... })   this connection; also the property plugins
    AUTHEN_SASL_RUST_PLUGINS=otp,ntlm                 the environment of a program that does not ask itself; 1 for all

What is asked for is one of: 0, no plugins; 1, all that there are; names, as one string with blanks or as an array; or these
arguments, for the option in a hash:

    load     names, as a string or an array. A plugin's name is its file's without lib, up to the first dot: libotp.so is
             otp. Not given: all
    path     folders, as an array or a string with colons. Not given: those of the environment's SASL_PATH, else the system's
             (/usr/lib/x86_64-linux-gnu/sasl2 or the like)
    prefer   plugins: a plugin's mechanism is taken before our own of the same name. own: after it, which is the default
    options  a hash of options that plugins ask for, such as otp_mda; Cyrus' manual (options.html) names them

A plugin that was named and cannot be used dies with the reason, and what was loaded before stays. Of all that there are, those that cannot be used are
skipped, and told by the return value.

In a program that runs with more rights than its user's (setuid, setgid, capabilities) neither C<SASL_PATH> nor
C<AUTHEN_SASL_RUST_PLUGINS> is looked at.

=head2 What is returned

    @plugins = Authen::SASL::Rust->plugins(...)       loads, and tells
    @plugins = Authen::SASL::Rust->plugins            tells what new connections may use

One hash for each plugin: C<plugin>, its name; C<file>; C<client> and C<server>, arrays of mechanisms; C<error>, what is wrong
with it, or undef. A folder that cannot be read is such a hash with an empty name.

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

B<Client.> A plugin's prompts are answered by C<user>, C<authname>, C<pass> and C<realm>. Which of them a mechanism cannot do
without, the plugin says.

Where the user answers to what the server shows, there is C<challenge>: code that is called with the connection, the server's challenge,
words for the user, and true if what is typed may be seen. It returns the answer; undef gives up. With it OTP asks for a one-time
password, in the spelling of RFC 2444 (C<hex:5bf0 75d9 959d 036f> or C<word:BOND FOGY DRAB NE RISE MART>), and needs no pass phrase:

    my $sasl = Authen::SASL->new(mechanism => 'OTP', callback => {
        user      => 'fred',
        challenge => sub { my ($conn, $challenge) = @_; print "$challenge? "; chomp(my $line = <STDIN>); $line },
    });

If there is C<pass> too, the plugin of OTP takes C<challenge>.

B<Server.> What a plugin asks for while it works is asked of the same callbacks as ever: C<getsecret> where it wants a password,
C<checkpass> where it wants a verdict (PLAIN, LOGIN), C<canonuser> and C<authorize>. They may answer later. Other properties of a
user, such as the state of OTP, come from the accounts (L<Authen::SASL::Rust::Accounts>) and are stored there.

C<< $conn->setpass($user, $password, $flags) >> on a server whose mechanism is a plugin's with secrets of its own (OTP) makes that secret and stores
it in the accounts. An undefined password takes it away. 1 if it was done, else 0, and C<error> tells why. $flags are Cyrus': 1 creates a user.

B<Both.> C<log> is called with the connection, a level from 1 (errors) to 6 and a line, for each line that plugins have logged
in a step, at its end. The option C<log_level> says up to which level; 1 if it is not given. Without the callback nothing is logged.

=head1 THE CHOICE

A server's plugin may rule out its mechanism for a connection (C<mech_avail> of saslplug.h). It is asked where mechanisms are listed or
chosen, and such a mechanism is left out with the plugin's reason: OTP where the accounts cannot store its secrets.

=head1 DIFFERENCES

Errors end with the SASL code that the plugin gave, and have its own words for the reason. The properties C<minssf>, C<maxssf>,
C<maxbuf>, C<iplocalport> and C<ipremoteport> are handed to it, and what it agrees on is held to the limits. The plugin of GSS-SPNEGO
takes encryption where C<maxssf> is 1; that is refused.

A plugin that serves SCRAM refuses an unknown user at once, and so tells who has an account; our own mechanism does not. Plugins prepare
no names and passwords (SASLprep).

=head1 LIMITS

A plugin works within the step that calls it. One that reads a file, asks a directory or sleeps keeps the whole program waiting, an
event loop included; only what it asks of callbacks may be answered later. A plugin that never returns is never stopped.

A message of a plugin has at most 1 MiB, a name 4096 bytes. What a plugin calls back for is refused where it comes from a thread of
the plugin's own, or for a connection that is gone.

Not there: HTTP (C<http_request>), C<idle> and C<user_query>, which none of Debian's plugins has, and the credentials that a client has lent to a GSSAPI plugin
(C<client_creds>), which our own GSSAPI stores (C<delegated_ccache>). C<mech_free> is not called, as nothing is unloaded.

A client that asks for channel binding where the server has no data for it is refused before the plugin sees its message
(CVE-2026-132138). The mechanism SRP is used only if its plugin is named in C<load> (CVE-2026-129483).

Plugins are loaded on systems with ELF (Linux, BSD) that have this layout of Cyrus SASL 2.1. On macOS, and on processors such as s390x,
C<load> and a Cyrus configuration that names auxprop plugins fail with C<this build cannot load the plugins of Cyrus SASL>. Plugins are never unloaded. A file that
everybody may write to, that is damaged, of another version, or calls libsasl2's functions itself is refused. A program that runs as root also
refuses a file, or a folder, that belongs to another user or that a group may write to.

=head1 SEE ALSO

L<Authen::SASL::Rust>, L<Authen::SASL::Rust::Connection>; F<docs/decisions/0007-plugins.md> in the distribution;
F<eg/cyrus-plugins>.

=head1 LICENSE

That of L<Authen::SASL::Rust>.

=cut
