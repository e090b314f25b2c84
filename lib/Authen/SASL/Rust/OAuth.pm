package Authen::SASL::Rust::OAuth;

use strict;
use warnings;
use Authen::SASL::Rust ();
use Authen::SASL::Rust::OAuth::Discovery;
use Authen::SASL::Rust::OAuth::Error;
use Authen::SASL::Rust::OAuth::File;
use Authen::SASL::Rust::OAuth::Login;
use Authen::SASL::Rust::OAuth::Providers;
use Authen::SASL::Rust::OAuth::Request;
use Carp ();
use Digest::SHA qw(sha256);
use Hash::Util::FieldHash qw(fieldhash);
use overload '&{}' => sub { $_[0]->callback }, bool => sub { 1 }, fallback => 1;

our $VERSION = '1.0';

my $ERROR = 'Authen::SASL::Rust::OAuth::Error';

# Seconds between two renewals because of refusals.
my $PAUSE = 60;

# The settings of a client. A token file keeps them beside the tokens, so that a program needs only the file's name.
my @CLIENT = qw(
  authorization_endpoint ca_file client_auth client_id client_secret device_authorization_endpoint extra flow host issuer
  scope token_endpoint
);
my @OWN = qw(file login_hint login_seconds prompt provider renew_before tenant timeout);
my %ENDPOINT =
  (device => 'device_authorization_endpoint', code => 'authorization_endpoint', client_credentials => undef);

# The token that a connection has been given: when the connection fails, this is the token that the server has refused.
fieldhash my %given;

sub new {
  my ($class, %arg) = @_;
  my %self = (timeout => 30, renew_before => 60, login_seconds => 300, token => {});
  my %client;
  for my $name (@OWN) { my $value = delete $arg{$name}; $self{$name} = $value if defined $value }
  for my $name (@CLIENT) { my $value = delete $arg{$name}; $client{$name} = $value if defined $value }
  my $unknown = Authen::SASL::Rust::_unknown(\%arg, @OWN, @CLIENT);
  Carp::croak("new: $unknown") if defined $unknown;
  _check(\%self, \%client);

  if (defined $self{provider}) {
    my $settings = Authen::SASL::Rust::OAuth::Providers::settings(@self{qw(provider tenant)}, $client{flow});
    %client = (%$settings, %client);
    my $device = delete $client{device};
    Carp::croak("flow: $self{provider} does not allow its mail scope in the device flow; use the flow code")
      if $client{flow} eq 'device' && !$device;
  }
  # Without a client of its own, the program uses the one in the file.
  $self{has_client} = grep { defined $client{$_} } qw(client_id issuer token_endpoint);
  if ($self{has_client} || !defined $self{file} && %client) {
    Carp::croak('new: a client_id is required') if !defined $client{client_id};
    Carp::croak('new: a provider, an issuer or a token_endpoint is required')
      if !grep { defined $client{$_} } qw(issuer token_endpoint);
  }
  Carp::croak('new: a provider and a client_id, or a file, are required') if !%client && !defined $self{file};
  $self{store} = Authen::SASL::Rust::OAuth::File->new($self{file}, 2 * $self{timeout} + 5) if defined $self{file};
  return bless { %self, client => \%client }, $class;
}

# Dies for a value that cannot be used.
sub _check {
  my ($self, $client) = @_;
  for my $name (grep { $_ ne 'extra' } keys %$client) {
    Carp::croak("$name: a string was expected") if ref $client->{$name} || !length $client->{$name};
    # Characters, as JSON has them.
    utf8::decode($client->{$name} = Authen::SASL::Rust::Connection::_encoded($client->{$name}));
  }
  for my $name (grep { defined $client->{$_} } grep { /_endpoint\z|\Aissuer\z/ } @CLIENT) {
    my $unfit = Authen::SASL::Rust::OAuth::Request::unfit_url($client->{$name});
    Carp::croak("$name: $unfit") if defined $unfit;
  }
  for my $name (qw(timeout renew_before login_seconds)) {
    Carp::croak("$name: a number of seconds was expected") unless $self->{$name} =~ /\A[0-9]{1,9}\z/;
  }
  Carp::croak('timeout: it may not be 0') unless $self->{timeout} > 0;
  Carp::croak('extra: a hash was expected') if defined $client->{extra} && ref $client->{extra} ne 'HASH';
  Carp::croak('prompt: code was expected') if defined $self->{prompt} && ref $self->{prompt} ne 'CODE';
  Carp::croak('flow: one of ' . join(', ', sort keys %ENDPOINT) . ' was expected')
    if defined $client->{flow} && !exists $ENDPOINT{ $client->{flow} };
  Carp::croak('client_auth: basic or post was expected')
    if defined $client->{client_auth} && $client->{client_auth} !~ /\A(?:basic|post)\z/;
  Carp::croak('tenant: the name or number of a directory was expected')
    if defined $self->{tenant} && $self->{tenant} !~ /\A[A-Za-z0-9.-]+\z/;
  my $providers = \%Authen::SASL::Rust::OAuth::Providers::PROVIDERS;
  Carp::croak('provider: one of ' . join(', ', sort keys %$providers) . ' was expected')
    if defined $self->{provider} && !$providers->{ $self->{provider} };
  return;
}

# The callback as plain code, for other backends of Authen::SASL too. It gets the connection.
sub callback {
  my ($self) = @_;
  return sub { return $self->token($_[0]) };
}

sub token {
  my ($self, $conn) = @_;
  my $token = $self->_held;
  if (!$self->_is_usable($token)) {
    $self->_client(0);    # what can fail without the lock
    $token = $self->_locked(sub { return $self->_renewed });
  }
  $self->{last} = $token->{access_token};
  $given{$conn} = $token->{access_token} if ref $conn;
  return $token->{access_token};
}

# Called by a connection whose server has refused the token, or by the program. The next call of `token` renews.
sub refused {
  my ($self, $conn) = @_;
  my $token = ref $conn ? delete $given{$conn} : $self->{last};
  $self->{refused} = sha256($token) if defined $token;
  return;
}

sub _is_refused {
  my ($self, $token) = @_;
  return defined $token && defined $self->{refused} && sha256($token) eq $self->{refused};
}

sub retry {
  my ($self, $code) = @_;
  delete $self->{last};
  my ($result, $done);
  eval { $result = $code->(); $done = 1 };
  my ($error, $token) = ($@, $self->{last});
  my $refused = defined $token && ($done ? !$result : $self->_is_refused($token));
  $self->refused if $refused;
  return scalar $code->() if $refused && $self->token ne $token;
  die $error if !$done;
  return $result;
}

sub login {
  my ($self) = @_;
  my $client = $self->_client(1);
  my $flow = $client->{flow};
  my $endpoint = $ENDPOINT{$flow};
  Carp::croak("login: the flow $flow needs a prompt") if $endpoint && !$self->{prompt};
  $ERROR->throw('discovery', "the flow $flow needs a $endpoint, and none is known")
    if $endpoint && !defined $client->{$endpoint};
  # The user is not asked in vain: a file that cannot be used is found first.
  $self->_locked(sub { $self->_read; $self->_write });
  my $token = $flow eq 'client_credentials' ? $self->_machine_token : $self->_logged_in($client);
  $self->_locked(sub { $self->_write->($token) });
  return 1;
}

sub _logged_in {
  my ($self, $client) = @_;
  my ($request, $prompt) = ($self->_request, $self->{prompt});
  return _token('device token', Authen::SASL::Rust::OAuth::Login::device($request, $client, $prompt), {})
    if $client->{flow} eq 'device';
  my %client = (%$client, login_hint => $self->{login_hint});
  return _token(
    'authorization code',
    Authen::SASL::Rust::OAuth::Login::code($request, \%client, $prompt, $self->{login_seconds}), {}
  );
}

# What a person may see.
sub info {
  my ($self) = @_;
  my $token = $self->_held;
  my $client = $self->_client(0);
  return {
    (map { $_ => $client->{$_} } qw(client_id flow issuer scope token_endpoint)),
    defined $token->{scope} ? (scope => $token->{scope}) : (),
    expires => $token->{expires}, received => $token->{received},
    valid => defined $token->{access_token} && !_has_expired($token) ? 1 : 0,
    renewable => defined $token->{refresh_token} || ($client->{flow} || '') eq 'client_credentials' ? 1 : 0,
  };
}

sub _request {
  my ($self) = @_;
  my $client = $self->{known} || $self->{client};
  return Authen::SASL::Rust::OAuth::Request->new(timeout => $self->{timeout}, ca_file => $client->{ca_file});
}

# The settings of the client: the program's, else the token file's, completed by those of the issuer.
sub _client {
  my ($self, $logs_in) = @_;
  if (!$self->{has_client} && !$self->{known}) {
    $self->_read or $ERROR->throw('token file', $self->{store}->name . ': there is no such file; log in first');
  }
  my $client = $self->{known} ||= { %{ $self->{client} } };
  my @flows = !$logs_in ? () : defined $client->{flow} ? $client->{flow} : qw(code device);
  my @needed = ('token_endpoint', grep { defined } @ENDPOINT{@flows});
  Authen::SASL::Rust::OAuth::Discovery::complete($self->_request, $client)
    if defined $client->{issuer} && grep { !defined $client->{$_} } @needed;
  $ERROR->throw('discovery', 'the issuer names no token_endpoint') if !defined $client->{token_endpoint};
  $client->{flow} = defined $client->{device_authorization_endpoint} ? 'device' : 'code' if !defined $client->{flow};
  return $client;
}

# The object in the token file, or undef. A refresh token is sent only to the endpoint that has issued it: so a program without
# settings of its own takes those of the file each time, since the file may be another client's by now.
sub _read {
  my ($self) = @_;
  my $object = $self->{store} && $self->{store}->read or return undef;
  my ($stored, $client) = ($object->{client}, $self->{client});
  for my $name (qw(client_id issuer token_endpoint)) {
    next unless defined $client->{$name} && defined $stored->{$name};
    $ERROR->throw('token file', $self->{store}->name . ": it belongs to another client ($name); choose another file")
      if $client->{$name} ne $stored->{$name};
  }
  $self->{known} = { $self->{has_client} ? %{ $self->{known} || {} } : (), %$stored, %$client };
  return $object;
}

sub _held {
  my ($self) = @_;
  return $self->{token} if !$self->{store};
  my $object = $self->_read;
  return $object ? $object->{token} : {};
}

sub _locked {
  my ($self, $code) = @_;
  return $self->{store} ? $self->{store}->locked($code) : $code->();
}

# Opens the file to be written, and returns code that writes a token to it. Without a call nothing is changed.
sub _write {
  my ($self) = @_;
  my $store = $self->{store} or return sub { return $self->{token} = $_[0] };
  my $handle = $store->prepare;
  return sub {
    my ($token) = @_;
    my %client = map { $_ => $self->{known}{$_} } grep { defined $self->{known}{$_} } @CLIENT;
    $store->write($handle, { client => \%client, token => $token });
    return $token;
  };
}

sub _has_expired {
  my ($token, $margin) = @_;
  return defined $token->{expires} && $token->{expires} - ($margin || 0) <= time;
}

# A token is renewed some seconds before its end, at most half of its life. One that was renewed because the last one was refused
# is not renewed for that reason at once again: if the server refuses each token, the provider must not be asked each time.
sub _is_usable {
  my ($self, $token) = @_;
  return 0 if !defined $token->{access_token};
  my $life = ($token->{expires} || 0) - ($token->{received} || 0);
  my $margin = $self->{renew_before} < $life / 2 ? $self->{renew_before} : $life / 2;
  return 0 if _has_expired($token, $margin);
  return 1 if !$self->_is_refused($token->{access_token});
  return $token->{after_refusal} && time - $token->{received} < $PAUSE;
}

# Under the lock: another program may have renewed the token meanwhile.
sub _renewed {
  my ($self) = @_;
  my $token = $self->_held;
  return $token if $self->_is_usable($token);
  my $client = $self->_client(0);
  my $lives = defined $token->{access_token} && !_has_expired($token);
  if (!defined $token->{refresh_token} && $client->{flow} ne 'client_credentials') {
    return $token if $lives;
    my $what =
      defined $token->{access_token}
      ? 'the token has expired, and the provider has given no refresh token'
      : 'there is no token';
    $ERROR->throw('refresh', "$what; log in first");
  }
  my $refused = $self->_is_refused($token->{access_token});
  my $write = $self->_write;
  my $new = eval { defined $token->{refresh_token} ? $self->_refreshed($token) : $self->_machine_token };
  if (!$new) {
    return $token if $lives && !$refused;    # it is good for some more seconds
    die $@;
  }
  $new->{after_refusal} = 1 if $refused;
  return $write->($new);
}

sub _refreshed {
  my ($self, $token) = @_;
  my $client = $self->_client(0);
  my $form = { grant_type => 'refresh_token', refresh_token => $token->{refresh_token} };
  return _token('refresh', $self->_request->post('refresh', $client->{token_endpoint}, $form, $client), $token);
}

# RFC 6749 section 4.4
sub _machine_token {
  my ($self) = @_;
  my ($step, $client) = ('client credentials', $self->_client(0));
  my $form = { grant_type => 'client_credentials', scope => $client->{scope} };
  return _token($step, $self->_request->post($step, $client->{token_endpoint}, $form, $client), {});
}

# A token response (RFC 6749 section 5.1). A provider that rotates refresh tokens sends a new one with each refresh; otherwise
# the old one stays.
sub _token {
  my ($step, $answer, $old) = @_;
  my ($access, $type, $refresh, $scope) =
    map { ref $_ ? undef : $_ } @{$answer}{qw(access_token token_type refresh_token scope)};
  $ERROR->throw($step, 'the response has no access_token') if !defined $access || !length $access;
  $ERROR->throw($step, 'the token is not a bearer token') if !defined $type || lc $type ne 'bearer';
  $ERROR->throw($step, 'the access_token contains a character that no bearer token may contain (RFC 6750 section 2.1)')
    unless $access =~ m{\A[A-Za-z0-9._~+/-]+=*\z};
  my $life = Authen::SASL::Rust::OAuth::Login::seconds($answer->{expires_in});
  $refresh = $old->{refresh_token} if !defined $refresh || !length $refresh;
  $scope = $old->{scope} if !defined $scope;
  my %token = (
    access_token => $access, received => time, expires => defined $life ? time + $life : undef,
    refresh_token => $refresh,
    scope => $scope,
  );
  return { map { $_ => $token{$_} } grep { defined $token{$_} } keys %token };
}

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::OAuth - OAuth tokens for mail programs: log in once, renew, share

=head1 SYNOPSIS

Once, for instance by the command L<sasl-rust-token>:

    mkdir -m 700 ~/.mail
    sasl-rust-token --provider google --client-id ID --secret get ~/.mail/fred

Then in each program:

    use Authen::SASL qw(Rust);
    use Authen::SASL::Rust::OAuth;

    my $oauth = Authen::SASL::Rust::OAuth->new(file => "$ENV{HOME}/.mail/fred");
    my $sasl  = Authen::SASL->new(
        mechanism => 'XOAUTH2',                # one that the server offers
        callback  => { user => 'fred@example.org', token => $oauth },
    );
    my $smtp = $oauth->retry(sub {
        my $smtp = Net::SMTP->new('smtp.example.org', SSL => 1) or die "cannot connect: $@\n";
        return $smtp->auth($sasl) ? $smtp : undef;
    }) or die 'not logged in';

=head1 DESCRIPTION

Mail services accept OAuth tokens in place of passwords, by OAUTHBEARER (RFC 7628) or XOAUTH2. A token lives for about an hour. An object of
this class gets tokens from the provider, renews them, keeps them in a file, and is the callback C<token> of a client.

It needs no module beyond those that come with perl. An C<https> provider needs IO::Socket::SSL; certificates are always verified. C<http> is
accepted for loopback addresses only.

The client (C<client_id>) has to be registered with the provider, as a program on the user's own machine ("desktop" or "native"
application).

=head1 LOGGING IN

The user logs in once, in a browser, and allows the access. There are three ways, called flows:

=over

=item device

The program shows a URL and a code; the user opens the URL anywhere and types the code (RFC 8628).

=item code

The program shows a URL, which is opened in a browser on this machine. The browser is sent back to a loopback port, where the program
waits (RFC 8252, with PKCE by S256: RFC 7636).

=item client_credentials

No user: the program itself has access, by its C<client_secret> (RFC 6749 section 4.4).

=back

    my $oauth = Authen::SASL::Rust::OAuth->new(
        provider  => 'microsoft',
        client_id => $id,
        file      => "$ENV{HOME}/.mail/fred",
        prompt    => sub {
            my ($shown) = @_;
            print "Open $shown->{verification_uri} and type $shown->{user_code}\n" if $shown->{flow} eq 'device';
            print "Open $shown->{url}\n" if $shown->{flow} eq 'code';
        },
    );
    $oauth->login;

In the flow C<code>, any web page can send requests to the loopback port. Those without the right C<state> are refused, and the program goes
on waiting.

=head1 RENEWAL

=over

=item *

A token is renewed C<renew_before> seconds before it expires, or in the second half of its life if that is shorter. The renewal uses the
refresh token; a provider that gives a new refresh token with each renewal ("rotation") is supported. In the flow C<client_credentials> the
program asks for another token. If the renewal fails, the token is used, unless it has expired or was refused.

=item *

A token is also renewed after the server has refused it: a connection of Authen::SASL::Rust notifies the object when its server refuses the
token in the exchange, so the next login uses another token. Some servers, Microsoft's SMTP among them, say nothing in the exchange and only
refuse in the protocol (535, C<NO>). The connection does not see that: use C<retry>, or call C<refused>.

=item *

After such a renewal, the token is not renewed for the same reason for one minute, so that a server that refuses every token does not cause a
request to the provider for each login.

=item *

The callback never starts a login with a browser. Without a usable token it dies, and the text says that the user must log in first.

=back

=head1 THE TOKEN FILE

The file holds the tokens and the settings of the client, the C<client_secret> included, as a JSON object. Whoever can read it can read the
user's mail.

=over

=item *

It is created with mode 600. A file that others can read or write, that belongs to another user, that is not a regular file or is a symbolic
link, is refused, with the reason.

=item *

Any number of programs may share it. A program renews the token under a lock, F<.NAME.lock> in the same directory, and the others use the new
token. The lock file is never removed.

=item *

It is replaced as a whole: a program that is killed leaves the old or the new file. The new file is opened before the refresh token is sent, so
that a renewal whose result cannot be stored is not begun.

=item *

Tokens are sent only to the endpoint that the file names. A program that gives other settings than those in the file (C<client_id>,
C<issuer>, C<token_endpoint>) gets an error.

=back

Without C<file> the tokens are kept in the object.

=head1 METHODS

The methods die with an L<Authen::SASL::Rust::OAuth::Error>, which names the step and the provider's reason and contains no secret. Programming
errors die with a text.

=for program

    use strict;
    use warnings;
    use Authen::SASL qw(Rust);
    use Authen::SASL::Rust::OAuth;

    my $oauth  = Authen::SASL::Rust::OAuth->new(file => '/nonexistent/fred');
    my $client = Authen::SASL->new(mechanism => 'XOAUTH2', callback => { user => 'fred', token => $oauth })
        ->client_new('imap', 'mail.example.org');
    print $@ if !eval { $client->client_start };
    # prints OAuth, token file: /nonexistent/fred: there is no such file; log in first

=head2 new

    $oauth = Authen::SASL::Rust::OAuth->new(file => $file)
    $oauth = Authen::SASL::Rust::OAuth->new(provider => 'google', client_id => $id, ...)

C<login> writes the arguments from C<client_id> to C<ca_file> to the token file, so that other programs need to give only C<file>.

=over

=item client_id

Required, unless the file has it.

=item client_secret

The client's secret, if it has one.

=item client_auth

How the client sends its secret: C<basic> (in a header, the default) or C<post> (in the form).

=item issuer

The provider's URL: its endpoints are taken from its metadata (RFC 8414, or OpenID Connect).

=item token_endpoint

=item device_authorization_endpoint

=item authorization_endpoint

URLs, for providers without metadata.

=item scope

The requested scopes, separated by spaces.

=item flow

C<device>, C<code> or C<client_credentials>. The default is the provider's, else C<device> if it has that endpoint.

=item extra

A hash of additional parameters for the authorization request.

=item host

Flow C<code>: the loopback address in the spelling that the provider requires, for instance C<localhost>. The default is C<127.0.0.1>.

=item ca_file

The certificate authorities for https; default: the system's.

=item provider

C<google> or C<microsoft>: sets the endpoints, the scope for mail, the flow, and what else the provider needs. Other arguments override that.

=item tenant

Microsoft: the directory. The default is C<common>.

=item file

The token file. Its directory must exist.

=item prompt

Code that tells the user how to log in. Its argument is a hash with C<flow> and C<expires_in>. For the flow C<device> it also contains C<user_code>,
C<verification_uri> and C<verification_uri_complete> (which may be undef), for the flow C<code> C<url> and C<redirect_uri>.

=item login_hint

Flow C<code>: the user's address. Some providers enter it into their login form.

=item login_seconds

Flow C<code>: how many seconds to wait for the browser. The default is 300.

=item renew_before

How many seconds before its expiry a token is renewed. The default is 60.

=item timeout

Seconds for each request to the provider. The default is 30.

=back

Google allows its mail scope only in the flow C<code>. An unknown argument dies.

=head2 login

    $oauth->login

Gets the first tokens. It calls C<prompt>, and waits until the user has logged in. Returns 1.

=head2 token

    $token = $oauth->token
    $token = $oauth->token($conn)

The token, renewed if necessary. The second form is what the callback does: if that connection's server refuses the token, the connection
calls C<refused>.

=head2 callback

    $code = $oauth->callback

The callback as a code reference. An object of this class can be called like code itself, so C<< token => $oauth >> is enough for
Authen::SASL::Rust; other backends of Authen::SASL need C<< token => $oauth->callback >>.

=head2 refused

    $oauth->refused
    $oauth->refused($conn)

Tells the object that the server has refused the last token, or the one of this connection. Nothing is sent; the next call of C<token> gets a
new token.

=head2 retry

    $result = $oauth->retry(sub { ... })

Calls the code, which logs in and returns a true value on success. If it returns a false value after it has asked for a token, or if it dies and
a connection had its token refused, the token is renewed and the code is called a second time. Returns the result of the last call. If the
token cannot be renewed, the code is not called again.

=head2 info

    $info = $oauth->info

A hash without secrets, for display: C<client_id>, C<flow>, C<issuer>, C<scope>, C<token_endpoint>; C<received> and C<expires> (seconds since
1970, or undef); C<valid> (1 if the token has not expired) and C<renewable> (1 if it can be renewed without the user).

=head1 SECURITY

=over

=item *

The provider's address comes from the program or the token file, never from a mail server: the URL in a server's error object
(C<openid-configuration>) is not fetched.

=item *

Redirects are not followed. A response is at most 256 KiB long, and each request has a deadline, however slowly the server answers.

=item *

No secret is in an error text, even if the provider repeats one in its description.

=back

=head1 SEE ALSO

L<sasl-rust-token>, L<Authen::SASL::Rust::Cookbook/OAuth, at a mail service>, L<Authen::SASL::Rust::Callbacks>; RFC 6749 (OAuth 2.0), RFC 6750
(bearer tokens), RFC 7628 (OAUTHBEARER), RFC 9700 (security of OAuth)

=cut
