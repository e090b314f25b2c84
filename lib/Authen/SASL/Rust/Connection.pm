package Authen::SASL::Rust::Connection;

use strict;
use warnings;
use Carp ();

# An error is blamed on the line that called Authen::SASL.
our @CARP_NOT = ('Authen::SASL', 'Authen::SASL::Rust');

# A handle of the core belongs to one thread, and cannot be stored. A copy, in another thread or by Storable, tells the mechanism and
# the error, since name and error of Authen::SASL ask for them; its other methods die.
sub STORABLE_freeze { return $_[0]->_words }
sub STORABLE_thaw { $_[0]->_be_copy($_[2]); return }

sub service { return $_[0]->_get('service') }
sub host { return $_[0]->_get('host') }

# The mechanism that runs, as the program spelled it. A server that was given several is told here which one the client chose.
sub mechanism {
  my ($self, $name) = @_;
  if (@_ > 1) {
    $self->_pick($name) or Carp::croak('mechanism: this is none of the mechanisms that were named');
  }
  return $self->_get('mechanism') unless $self->_is_copy;
  my ($known) = split /\0/, $self->_words;
  return defined $known && length $known ? $known : undef;
}

# Answers to callbacks, by the callbacks' names, as far as they are no secrets.
sub answer {
  my ($self, $name) = @_;
  return undef if !defined $name || $name =~ /\A(?:pass|password|token|getsecret|checkpass)\z/;
  my %property = (
    user => 'authcid', username => 'authcid', authcid => 'authcid', auth => 'authcid',
    authname => 'authzid', authzid => 'authzid', realm => 'realm',
  );
  my $value = $property{$name} ? $self->_get($property{$name}) : undef;
  # A server's names are the client's: a callback of the same name is no answer to who that is.
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

# What a server's callback realm gives is its default realm.
sub _default_realm {
  my ($self) = @_;
  my $realm = $self->_callbacks->{realm};
  ($realm, my @own) = @$realm if ref $realm eq 'ARRAY';
  $realm = $realm->($self, @own) if ref $realm eq 'CODE';
  $self->_set(realm => $realm) if defined $realm;
  return;
}

# Properties whose place is the core; read-only ones cannot be set.
my %read_only =
  map { $_ => 1 } qw(ssf maxout mechname authcid authuser claimed_user pending_error message_absent delegated);

sub property {
  my ($self, @arg) = @_;
  if (@arg == 1) {
    my $name = $arg[0];
    return undef unless defined $name;
    return $self->{property}{$name} if $self->{property} && exists $self->{property}{$name};
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

# Options that Perl code takes, and names that are stored, since Authen::SASL::XS or Authen::SASL::Perl know them.
my @taken = qw(accounts auxprop channel_binding characters die_on_failure plugins tls users);
my @stored = qw(authsource optctx peername sockname COMPAT_CYRUSLIB_REPLY_MASK_BUG);
my %perl_knows = map { $_ => 1 } @taken, @stored, keys %read_only;

# The known name that is meant, if it resembles one. A program may have properties of its own, so there it must be closer.
sub _meant {
  my ($name, $own) = @_;
  return Authen::SASL::Rust::_nearest($name, join(' ', @taken, @stored, Authen::SASL::Rust::_option_names()), $own);
}

# One of the hash that client_new or server_new was given: a mistyped name must not switch a protection off.
sub _set_option {
  my ($self, $name, $value) = @_;
  if (!$perl_knows{$name} && !Authen::SASL::Rust::_knows($name)) {
    my $meant = _meant($name, 0);
    Carp::croak("unknown option $name" . (defined $meant ? "; did you mean $meant?" : ''));
  }
  return $self->_set_property($name, $value);
}

sub _set_property {
  my ($self, $name, $value) = @_;
  # Programs for Authen::SASL::Perl set it before an exchange; there too the exchange then sets the real one.
  return if $name eq 'maxout' && defined $value && $value =~ /\A[0-9]+\z/;
  if ($read_only{$name}) {
    # Net::LDAP sets ssf to 0 where it is 0: what changes nothing does not hurt.
    return if ($value || 0) eq ($self->_get($name) || 0);
    Carp::croak("property $name cannot be set");
  }
  if ($name eq 'die_on_failure' || $name eq 'characters') {
    my $method = "_$name";
    $self->$method($value ? 1 : 0);
    $self->{property}{$name} = $value ? 1 : 0;
  }
  elsif ($name eq 'channel_binding' || $name eq 'tls') {
    $self->_bind($name => $value);
  }
  elsif ($name eq 'plugins') {
    require Authen::SASL::Rust::Plugins;
    Authen::SASL::Rust::Plugins::_load($self, $value);
    $self->{property}{plugins} = $value;
  }
  elsif ($name eq 'accounts' || $name eq 'users') {
    $self->_set_accounts($name => $value);
  }
  elsif ($name eq 'sockname' || $name eq 'peername') {
    $self->_unix_peer(_is_unix($value)) unless $self->_side;
    $self->{property}{$name} = $value;
  }
  elsif ($self->_set($name, ref $value eq 'ARRAY' && $name =~ /\A(?:offered_|auxprop\z)/ ? join(' ', @$value) : $value))
  {
    delete $self->{property}{$name} if $self->{property};
    # Perhaps a packed address: given back as it was.
    $self->{property}{$name} = $value if $name =~ /\Aip(?:local|remote)port\z/;
    $self->_bind if $name eq 'offered_bindings';    # code is asked for what is offered
  }
  else {
    my $meant = $perl_knows{$name} ? undef : _meant($name, 1);
    Carp::carp("property $name is stored and has no effect; did you mean $meant?") if defined $meant;
    $self->{property}{$name} = $value;
  }
  return;
}

# True for the packed address of a Unix socket, as sockname and peername of IO::Socket give it.
sub _is_unix {
  my ($address) = @_;
  require Socket;
  return 0 if !defined $address || ref $address || length $address < 2;
  return (eval { Socket::sockaddr_family($address) } || 0) == Socket::AF_UNIX() ? 1 : 0;
}

# Who answers where there is no callback: an object, or the users' file of that name.
sub _set_accounts {
  my ($self, $name, $value) = @_;
  Carp::croak("$name: only a server has accounts") unless $self->_side;
  delete @{ $self->{property} }{qw(accounts users)} if $self->{property};
  return $self->_use_accounts unless defined $value;
  require Authen::SASL::Rust::Accounts;
  my $accounts = $name eq 'users' ? Authen::SASL::Rust::Accounts->_of_file($value) : $value;
  $self->_use_accounts($accounts);
  $self->{property}{accounts} = $accounts;
  $self->{property}{$name} = $value;
  return;
}

# Takes the channel binding data anew, where a source of them changes.
sub _bind {
  my ($self, @change) = @_;
  my %from = ($self->{property} ? %{ $self->{property} } : (), @change);
  my $callback = $self->_callbacks->{channel_binding};
  if (!grep { defined } @from{qw(channel_binding tls)}, $callback) {
    $self->_unbind;
    $self->_tls(0, 0);
  }
  else {
    require Authen::SASL::Rust::ChannelBinding;
    my $data = Authen::SASL::Rust::ChannelBinding::_of($self, $from{channel_binding}, $callback, $from{tls});
    my @tls = defined $from{tls} ? Authen::SASL::Rust::ChannelBinding::_tls_facts($from{tls}) : (0, 0);
    $self->_unbind;
    $self->_add_binding($_, $data->{$_}) for sort keys %$data;
    $self->_tls(@tls);
  }
  my ($name, $value) = @change or return;
  if (defined $value) {
    $self->{property}{$name} = $value;
    # The handle is the program's to close.
    if ($name eq 'tls') { require Scalar::Util; Scalar::Util::weaken($self->{property}{tls}) }
  }
  else { delete $self->{property}{$name} }
  return;
}

# The arguments of client_new and server_new after the host: nothing, security flags as a string, a hash
# of options, or "ip;port" of this side and of the other.
sub _options {
  my ($self, $options, $remote) = @_;
  $options = '' unless defined $options;
  if (ref $options) {
    Carp::croak('options: a hash was expected') unless eval { keys %$options; 1 };
    $self->_set_option($_, $options->{$_}) for sort keys %$options;
  }
  elsif ($options =~ /\A[0-9a-fA-F.:]*;[0-9]+\z/) {
    $self->property(iplocalport => $options);
  }
  else {
    $self->_set('secflags', _flags($options));
  }
  $self->property(ipremoteport => $remote) if defined $remote && !ref $remote && $remote =~ /;[0-9]+\z/;
  return;
}

# Authen::SASL::Perl ignores words that are no security flags. One that resembles a flag, or forbids something, is refused by
# the core all the same: it may be a mistyped one.
sub _flags {
  my ($text) = @_;
  my @flags = qw(noplaintext noactive nodictionary noanonymous forward_secrecy pass_credentials mutual_auth);
  my (@kept, @ignored);
  for my $word (split /[^A-Za-z0-9_]+/, $text) {
    my $resembles = $word =~ /\Ano/i || defined Authen::SASL::Rust::_nearest($word, join(' ', @flags), 0);
    push @{ $resembles ? \@kept : \@ignored }, grep { length } $word;
  }
  Carp::carp('ignored, since no security flag resembles it: ' . join ' ', @ignored) if @ignored;
  return join ' ', @kept;
}

# The mechanisms that this side may use, the strongest first; or a string with a prefix, separator and suffix.
sub listmech {
  my ($self, $prefix, $separator, $suffix) = @_;
  my @names = split / /, Authen::SASL::Rust::_usable($self);
  return @names if wantarray && @_ < 2;
  $_ = defined $_ ? $_ : '' for $prefix, $suffix;
  return $prefix . join(defined $separator ? $separator : ' ', @names) . $suffix;
}

sub global_listmech { return Authen::SASL::Rust->global_listmech }

# Asks the application's own callbacks, checkpass before getsecret, or the accounts, outside of any exchange.
sub checkpass {
  my ($self, $user, $pass) = @_;
  return 0 unless defined $user && length $user && defined $pass && length $pass;
  my $callback = $self->_callbacks->{checkpass};
  if (!$callback) {
    return $self->_compare($user, $pass) if defined $self->_callbacks->{getsecret};
    my $accounts = $self->property('accounts') or return 0;
    return $accounts->check($user, $pass, service => scalar $self->service, realm => scalar $self->_get('realm'));
  }
  my ($code, @own) = ref $callback eq 'ARRAY' ? @$callback : $callback;
  my @answer;
  my %query = (user => $self->_text($user), pass => $self->_text($pass), authname => '');
  my $returned = $code->($self, @own, \%query, sub { @answer = $_[0] unless @answer });
  my $verdict = @answer ? $answer[0] : $returned;
  return 0 if ref $verdict && !do { require overload; overload::Overloaded($verdict) };
  return $verdict ? 1 : 0;
}

# Compares with what getsecret gives, as PLAIN does: for stored keys and unknown users by the same rules and with the same work.
sub _compare {
  my ($self, $user, $pass) = @_;
  my %callback;
  for my $name (qw(getsecret canonuser)) {
    my $given = $self->_callbacks->{$name};
    my ($code, @own) = ref $given eq 'ARRAY' ? @$given : $given;
    $callback{$name} = ref $code eq 'CODE' ? sub { shift; $code->($self, @own, @_) } : $code if defined $code;
  }
  my $plain = Authen::SASL->new(mechanism => 'PLAIN', callback => \%callback);
  $plain = Authen::SASL::Rust->server_new($plain, $self->service, $self->host);
  $plain->property(
    realm => $self->_get('realm'), iterations => $self->_get('iterations'),
    characters => $self->property('characters'), die_on_failure => 0
  );
  my @bytes = map { _encoded("$_") } $user, $pass;
  return 0 if grep { /\0/ } @bytes;
  $plain->server_start(join "\0", '', @bytes);
  # What getsecret gave may be unusable; that is no wrong password here, where no client learns of it.
  Carp::croak('checkpass: ' . $plain->error) if $plain->error && $plain->error !~ /: wrong password or unknown user \(/;
  return $plain->is_success ? 1 : 0;
}

# A name or password as UTF-8 (Authen::SASL::Rust, CHARACTERS).
sub _encoded {
  my ($text) = @_;
  utf8::encode($text) if utf8::is_utf8($text) || !utf8::decode(my $encoded = $text);
  return $text;
}

sub setpass {
  my ($self, $user, $password, $flags) = @_;
  my $done = $self->_setpass($user, $password, $flags || 0);
  return $done if $done >= 0;
  my $callback = $self->_callbacks->{setpass};
  if (!$callback) {
    my $accounts = $self->property('accounts') or return 0;
    return _set_in($accounts, $user, $password, $flags);
  }
  my ($code, @own) = ref $callback eq 'ARRAY' ? @$callback : $callback;
  return $code->($self, @own, $self->_text($user), $self->_text($password), $flags) ? 1 : 0;
}

# Cyrus' flags: 1 makes a user who is not there, 2 disables one.
sub _set_in {
  my ($accounts, $user, $password, $flags) = @_;
  return $accounts->setpass($user, $password) unless defined $flags;
  Carp::croak("setpass: accounts know the flags 1 and 2, and these are $flags") unless $flags =~ /\A[0-3]\z/;
  return $accounts->disable($user) if $flags & 2;
  return $accounts->setpass($user, $password, $flags & 1 ? () : (create => 0));
}

sub _acceptable { return 1 }

# Without a security layer the data travels as it is.
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

An object of this class is made by C<client_new> or C<server_new> of L<Authen::SASL>. It serves any number of
exchanges, one after the other. L<Authen::SASL::Rust> has the mechanisms and their choice, L<Authen::SASL::Rust::Callbacks> what is asked, and
L<Authen::SASL::Rust::Error> what can go wrong.

=head1 THE EXCHANGE

A message is a string of bytes. B<Absent is not empty>: in a protocol that can tell a missing initial response
from an empty one, the property C<message_absent> says which it is.

On success each of the four steps returns exactly one element: the message for the peer, or an empty string
where there is none. On failure it returns an empty list, which is undef in scalar context, and C<error> is
set. One exception: a last message that the peer must hear is returned although C<error> is set already
(SCRAM's C<e=>, the client's single byte 0x01 of OAUTHBEARER). So: ask C<error>, then send what was returned,
if it is defined.

A step after the end returns an empty list and changes nothing.

=head2 client_start

    $message = $conn->client_start

Begins an exchange, at any time, with everything fresh; chooses the mechanism anew if a property or callback
changed. Returns the initial response. Where the server goes first the return value is C<''> and
C<message_absent> is true.

An empty message is a message. Net::SMTP and Net::POP3 take it for none and do not send it; the server then asks by an empty
challenge, and C<client_step> gives the empty message once more.

=head2 client_step

    $message = $conn->client_step($challenge)

Takes the server's challenge and returns the answer. Data that the server sends with its success (SCRAM's
C<v=>) is given to C<client_step> too; the client has succeeded only after that. Called on a new connection it
starts first.

=head2 server_start

    $message = $conn->server_start($initial)
    $conn->server_start($initial, sub { my ($message) = @_; ... })

Begins an exchange. C<$initial> is the client's initial response, undef if there was none: where the client
must go first, the answer is then an empty challenge.

With a continuation nothing is returned; it gets the message, or nothing where there is none, at once or when
the callbacks have answered. See L<Authen::SASL::Rust::Callbacks/DEFERRED ANSWERS>.

=head2 server_step

    $message = $conn->server_step($response)
    $conn->server_step($response, sub { my ($message) = @_; ... })

Takes the client's response and returns the next challenge, or the data that goes with success. In a protocol
that has no place for data with its success (SMTP, POP3) it is sent as one more challenge; the client's empty
response to it is given to C<server_step>, which returns C<''>.

=head2 abandon

    $conn->abandon

Ends an exchange whose peer has ended it: by the protocol's word for that (C<*> in SMTP, POP3 and IMAP), by another
AUTH command, or by going away. C<error> then has the reason. An exchange that ends without C<is_success> has failed, whatever
ended it: a server that counts failures counts it. Without an exchange under way it does nothing.

=head2 need_step

True while the peer's next message is needed, or an answer of a callback.

=head2 is_success

True once this side has verified all that it can verify. A SCRAM client needs the server's proof for that; a
server is successful when it returns its own.

=head2 error

Undef while all is well, else one string that says what went wrong, see L<Authen::SASL::Rust::Error/CODES>. It is octets unless the
property C<characters> is set.

=head2 code

0, or the negative number of the error.

=head2 The other side's methods

C<client_start> and C<client_step> of a server, and C<server_start> and C<server_step> of a client, die.

=head1 THE CONNECTION

=head2 mechanism

    $name = $conn->mechanism
    $conn->mechanism($name)

The name of the mechanism, as the list that the program gave spells it; undef while a server that was given several has not
been told. The second form tells it; it dies if C<$name> is none of those that the server was given. Upper and lower case are
the same. The property C<mechname> has the name as it is registered.

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

The name of the service, as given.

=head2 host

The name of the host, as given.

=head2 user

Client: the authentication identity. Server: the same, once it is proved; until then, and after a failure, undef. It
is C<answer('user')>.

=head2 answer

    $value = $conn->answer($name)

What the callback of that name answered, or on a server what the client has proved: C<user> (also C<username>), C<authname>, C<realm>.
A callback that is a plain string is returned as it is. Never a password, token or stored key.

=head2 callback

    $value = $conn->callback($name)
    $conn->callback($name => $value, ...)

Reads or replaces callbacks of this connection. It has a copy of those of the Authen::SASL object. A client whose Authen::SASL
object has none at all may get all of them here, before C<client_start>.

=head2 listmech

    @names = $conn->listmech
    $text  = $conn->listmech($prefix, $separator, $suffix)

The mechanisms of the caller's list that this side may use, the strongest first. As a string the separator is
a space if not given.

=head2 global_listmech

As in L<Authen::SASL::Rust/global_listmech>.

=head2 checkpass

    $yes = $conn->checkpass($user, $password)

Server: asks the callback C<checkpass>, or where there is none compares with what C<getsecret> gives, or asks the accounts,
outside of any exchange. 1 or 0; 0 if there is none of the three, and for an empty name or password. It dies with the reason if
accounts have no answer, or if C<getsecret> gives what cannot be used or keeps its continuation; with C<checkpass>, 0 is returned then.

=head2 setpass

    $yes = $conn->setpass($user, $password, $flags)

Server: a plugin's mechanism that keeps secrets of its own makes and stores one (L<Authen::SASL::Rust::Plugins>). Else it
hands the three on to the callback C<setpass>, or where there is none to the accounts
(L<Authen::SASL::Rust::Accounts/setpass>). 1 or 0; 0 if there is neither. Accounts that cannot set it die with the reason.

$flags are Cyrus'. Accounts take 1, which makes a user who is not there yet, and 2, which disables one instead; without 1 the
user must be known. If $flags is undef, or missing, a user who is not there is made.

=head2 encode, decode

    $data = $conn->encode($data)
    $data = $conn->decode($data)

One message through the security layer, without the four bytes of length that stand before it on the wire (C<securesocket>
deals with those). Without a layer (C<ssf> is 0) the data is returned unchanged. An empty list on failure: C<encode>
takes C<maxout> bytes at most; a frame that was changed, repeated or comes out of order is an error that ends the layer
for good. The data are bytes: a wide character dies.

=head2 securesocket, tiesocket

    $handle = $conn->securesocket($handle)

C<securesocket> returns a handle over the given one, with the security layer; without a layer the given handle itself. The
handle carries bytes: a layer C<:utf8> or C<:encoding>, which C<PERL_UNICODE> or the pragma C<open> has put on the given one, is taken away.
L<Authen::SASL::Rust::Layer> has what the handle can do. C<tiesocket> puts the layer on the given handle itself.

=head2 property

    $value = $conn->property($name)
    $conn->property($name => $value, ...)

Reads or sets properties. A wrong value dies with the name and the range; undef puts the default back. An
unknown name is stored and returned, for programs that keep their own; one that is nearly the name of a property gives a warning.

=head1 PROPERTIES

The options of C<client_new> and C<server_new> have the same names. An option with any other name dies.

=head2 Policy

    secflags                security flags that are demanded, separated by spaces: noplaintext noactive nodictionary
                            noanonymous forward_secrecy pass_credentials mutual_auth
    minssf                  least strength that must be reached, in bits; 0
    maxssf                  most strength of a layer; see below
    externalssf             strength that TLS or the socket gives already; 0. Set it to 1 or more under TLS
    min_iterations          client: fewest SCRAM iterations accepted; 4096
    max_iterations          client: most SCRAM iterations accepted; 2000000
    digest_md5_utf8         client: 1 makes DIGEST-MD5 hash characters beyond ASCII in UTF-8, as Dovecot, GNU SASL and
                            Authen::SASL::Perl do and the standard does not; 0
    iterations              server: count for plain passwords and unknown users, 4096 to 100000000; 4096
    salt_key                server: what the salts of plain passwords and unknown users are derived from, at least 16 bytes. Not
                            set: random, made when the module is loaded, for the process, its forks and threads. It cannot be
                            read. fake_salt_key is its old name
    auxprop                 server: the properties to look up once a user has logged in, separated by spaces
    channel_binding_policy  disable, allow or require; allow
    plugins                 plugins of Cyrus SASL whose mechanisms may be used; see Authen::SASL::Rust::Plugins
    characters              1: names, passwords and errors are given to the program as decoded strings; 0: as octets (UTF-8)
    die_on_failure          1: a failed step dies with an Authen::SASL::Rust::Error; $Authen::SASL::Rust::DIE_ON_FAILURE, or 0
    maxbuf                  longest frame of a layer that this side receives, 0 to 16777215; 65536. Below 17: no layer; more: 16777215
                            GSS-SPNEGO tells nobody: there this side sends no longer ones (nor above 65536) and takes any
    no_integrity, no_confidentiality   server: no layer, or none that enciphers

Where neither C<minssf> nor C<maxssf> is set, C<maxssf> is 0 for services whose programs know no layer (acap http imap
jabber jabber-client lmtp managesieve nntp pop pop3 sieve smtp submission xmpp, and no service at all), else 4294967295: an
LDAP client gets the strongest layer that the server offers. To have a layer in the others, set one of the two:

    my $conn = $sasl->client_new('imap', 'mail.example.org', { maxssf => 256 });
    # ... the exchange ...
    $socket = $conn->securesocket($socket);

A layer that C<minssf> demands and cannot be had fails the exchange. C<minssf> and C<maxssf> include C<externalssf>.

=head2 Names

    service, serverfqdn     as given to client_new or server_new; host is the same as serverfqdn
    realm                   server: the realm of DIGEST-MD5, the host if not set; and of names with @, see Accounts. Client: the realm used
    external_id             server: the identity that TLS or the socket has proved, for EXTERNAL
    iplocalport, ipremoteport   addresses and ports of this side and of the peer, ip;port

=head2 Accounts of a server

    accounts                who answers where there is no callback: an object of Authen::SASL::Rust::Accounts
    users                   the same: a users' file, by its name
    auxprop                 names of properties of the user that are looked up after a log-in: a string with spaces, or an array
    auxprop:NAME            to be read: the values of such a property, the first as a scalar. A users' file has none

=head2 Kerberos

    ccache                  client: the credentials cache, FILE:/tmp/krb5cc_1000 for instance; KRB5CCNAME, or the system's
    keytab                  server: where its keys are; KRB5_KTNAME, or the system's. Client: keys to get tickets with
    principal               whose credentials are used. Not set: a client's default ones; a server's for service and host
    delegate                client: 1 lets the server act in its name, with a ticket that may be forwarded; 0
    delegated_ccache        server: the credentials cache in which it stores what the client delegates, FILE:/run/app/fred for
                            instance. Not set: nothing is kept

What was in the cache C<delegated_ccache> is overwritten, once the client is authorized; nobody else can read a file. If it cannot be
written the exchange fails. A client that delegates nothing is as welcome as any, and the cache stays as it was: the property
C<delegated> tells. A server that cannot do without adds C<< secflags => 'pass_credentials' >>, which refuses such a client.

=head2 Channel binding

    channel_binding         data by type, or code that gives them
    tls                     an IO::Socket::SSL handle from which binding data and externalssf are taken
    offered_mechanisms      what the server offers; checked by SCRAM against the server's own word
    offered_bindings        types of channel binding that the server offers

L<Authen::SASL::Rust::ChannelBinding> describes them, with examples.

=head2 Of the exchange, to be read only

    user                    server: whom to act as; the authorization identity, or else the authentication identity
    authuser, authcid       the authentication identity
    authzid                 the authorization identity, if one was named
    claimed_user            server: the authentication identity that the client claims, proved or not, for a log of failed
                            logins. It is the client's text: escape it
    pending_error           server: what this exchange will fail with, whatever the client answers. A refused OAuth token is known
                            here while need_step is still true
    mechname                the mechanism
    message_absent          1 if the last step had no message for the peer, 0 if it had one, even an empty one
    ssf                     after success, the strength of the layer: 0 none, 1 integrity, else bits of the key, at most 256
    maxout                  most bytes of plaintext in one frame; undef without a layer. A number that is set has no effect
    delegated               server, after success: 1 if the client has delegated credentials and they are in delegated_ccache, else 0

A server's C<user>, C<authuser>, C<authcid> and C<authzid> are undef until C<is_success>.

=head2 Stored only

C<authsource>, C<optctx>, C<peername>, C<sockname> and C<COMPAT_CYRUSLIB_REPLY_MASK_BUG>, which Authen::SASL::XS and Authen::SASL::Perl
know, are taken as options too. Any other name is stored by C<property> alone.

=head1 SEE ALSO

L<Authen::SASL::Rust>, L<Authen::SASL::Rust::Accounts>, L<Authen::SASL::Rust::Error>

=cut
