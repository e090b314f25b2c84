package Authen::SASL::Rust::OAuth::Verifier;

use strict;
use warnings;
use Authen::SASL::Rust ();
use Authen::SASL::Rust::OAuth::Error;
use Authen::SASL::Rust::OAuth::JWT;
use Authen::SASL::Rust::OAuth::Keys;
use Authen::SASL::Rust::OAuth::Request;
use Carp ();
use Digest::SHA qw(sha256);
use JSON::PP ();
use Scalar::Util ();
use overload '&{}' => sub { $_[0]->callback }, bool => sub { 1 }, fallback => 1;

our $VERSION = '1.0';

my @ARGUMENTS = qw(
  algorithms audience ca_file cache client_auth client_id client_secret configuration introspection issuer keys leeway scope
  timeout type user
);
my $STEP = 'token';
my $MAX_CACHED = 10_000;
my $MAX_NAME = 4096;    # that of the core

sub new {
  my ($class, %arg) = @_;
  my %self = (cache => 60, leeway => 60, timeout => 10, user => 'sub', algorithms => [qw(RS256 ES256)], cached => {});
  for my $name (@ARGUMENTS) { my $value = delete $arg{$name}; $self{$name} = $value if defined $value }
  my $unknown = Authen::SASL::Rust::_unknown(\%arg, @ARGUMENTS);
  Carp::croak("new: $unknown") if defined $unknown;
  Carp::croak('new: either keys or introspection is required')
    unless defined $self{keys} xor defined $self{introspection};
  for my $name (qw(cache leeway timeout)) {
    Carp::croak("$name: a number of seconds was expected") unless $self{$name} =~ /\A[0-9]{1,9}\z/;
  }
  Carp::croak('timeout: it may not be 0') unless $self{timeout} > 0;
  for
    my $name (grep { defined $self{$_} } qw(client_id client_secret configuration introspection issuer keys type user))
  {
    Carp::croak("$name: a string was expected") if ref $self{$name} || !length $self{$name};
  }
  Carp::croak('client_auth: basic or post was expected')
    if defined $self{client_auth} && $self{client_auth} !~ /\A(?:basic|post)\z/;
  $self{$_} = [ref $self{$_} eq 'ARRAY' ? @{ $self{$_} } : $self{$_}]
    for grep { defined $self{$_} } qw(algorithms audience);
  $self{scope} = [map { split ' ' } ref $self{scope} eq 'ARRAY' ? @{ $self{scope} } : $self{scope}]
    if defined $self{scope};
  my @urls = grep { defined $self{$_} && ($_ ne 'keys' || $self{keys} =~ m{://}) } qw(introspection keys);
  for my $name (@urls) {
    my $unfit = Authen::SASL::Rust::OAuth::Request::unfit_url($self{$name});
    Carp::croak("$name: $unfit") if defined $unfit;
  }
  $self{request} = Authen::SASL::Rust::OAuth::Request->new(timeout => $self{timeout}, ca_file => $self{ca_file});
  _prepare_keys(\%self) if defined $self{keys};
  return bless \%self, $class;
}

sub _prepare_keys {
  my ($self) = @_;
  my %known = map { $_ => 1 } Authen::SASL::Rust::OAuth::JWT::algorithms();
  Carp::croak('algorithms: at least one is required') if !@{ $self->{algorithms} };
  for my $name (@{ $self->{algorithms} }) {
    Carp::croak(
      'algorithms: some of ' . join(', ', sort keys %known) . ' were expected; none and HMAC are never accepted')
      if !defined $name || !$known{$name};
  }
  # Without them, a token that the issuer has made for another service, or another issuer's, would be accepted here.
  for my $name (qw(issuer audience)) { Carp::croak("$name: it is required with keys") if !defined $self->{$name} }
  my $missing = Authen::SASL::Rust::OAuth::JWT::missing();
  Carp::croak($missing) if defined $missing;
  $self->{allowed} = { map { $_ => 1 } @{ $self->{algorithms} } };
  $self->{key_set} = Authen::SASL::Rust::OAuth::Keys->new($self->{keys}, $self->{request});
  return;
}

sub callback {
  my ($self) = @_;
  return sub { my ($conn, $query) = @_; return $self->_answer($conn, $query) };
}

sub verify {
  my ($self, $token) = @_;
  delete $self->{error};
  my $user = eval { $self->_user($self->_claims($token)) };
  return $user if defined $user;
  $self->{error} = $@;
  return undef;
}

sub error { my $error = $_[0]{error}; return defined $error ? ref $error ? $error->message : $error : undef }

# The identity, or the error object: RFC 7628 section 3.2.2.
sub _answer {
  my ($self, $conn, $query) = @_;
  my $user = $self->verify($query->{token});
  return $user if defined $user;
  my $log = $conn->callback('log');
  my ($code, @own) = ref $log eq 'ARRAY' ? @$log : $log;
  $code->($conn, @own, 1, 'checktoken: ' . $self->error) if ref $code;
  my $error = $self->{error};
  my $status = ref $error
    && ($error->code || '') =~ /\A(?:invalid_token|insufficient_scope)\z/ ? $error->code : 'temporarily_unavailable';
  return {
    status => $status, defined $self->{scope} ? (scope => join ' ', @{ $self->{scope} }) : (),
    defined $self->{configuration} ? ('openid-configuration' => $self->{configuration}) : (),
  };
}

sub _refuse {
  my ($why, $code) = @_;
  return Authen::SASL::Rust::OAuth::Error->throw($STEP, $why, code => $code || 'invalid_token');
}

sub _claims {
  my ($self, $token) = @_;
  _refuse('it is empty') if !defined $token || ref $token || !length $token;
  return Authen::SASL::Rust::OAuth::JWT::claims($token, @{$self}{qw(key_set allowed type)}) if $self->{key_set};
  my ($cached, $digest) = ($self->{cached}, sha256($token));
  my $entry = $cached->{$digest};
  return $entry->{claims} if $entry && $entry->{until} > time;
  my $claims = $self->{request}
    ->post('introspection', $self->{introspection}, { token => $token, token_type_hint => 'access_token' }, $self);
  %$cached = map { $_ => $cached->{$_} } grep { $cached->{$_}{until} > time } keys %$cached
    if keys %$cached >= $MAX_CACHED;
  delete $cached->{ (keys %$cached)[0] } if keys %$cached >= $MAX_CACHED;
  $cached->{$digest} = { until => time + $self->{cache}, claims => $claims } if $self->{cache};
  return $claims;
}

# What is the same for both kinds of tokens. The claims of a cached answer are checked each time: the token may have expired since.
sub _user {
  my ($self, $claims) = @_;
  my $signed = defined $self->{key_set};
  if (!$signed) {
    # RFC 7662 section 2.2: a boolean, and no text that perl would take for true.
    my $active = $claims->{active};
    _refuse('the provider says that it is not active')
      unless ref $active && Scalar::Util::blessed($active) && JSON::PP::is_bool($active) && $active;
    my $type = $claims->{token_type};
    _refuse('it is not a bearer token') if defined $type && (ref $type || lc $type ne 'bearer');
  }
  my ($now, $leeway) = (time, $self->{leeway});
  my ($expires, $begins, $issued) = map { _time($claims, $_) } qw(exp nbf iat);
  _refuse('it has no expiry (exp)') if $signed && !defined $expires;
  _refuse('it has expired') if defined $expires && $expires + $leeway <= $now;
  _refuse('it is not valid yet (nbf)') if defined $begins && $begins - $leeway > $now;
  _refuse('it was issued in the future (iat)') if defined $issued && $issued - $leeway > $now;
  if (defined $self->{issuer}) {
    _refuse('it comes from another issuer')
      unless defined $claims->{iss} && !ref $claims->{iss} && $claims->{iss} eq $self->{issuer};
  }
  if (defined $self->{audience}) {
    my %for =
      map { $_ => 1 } grep { defined && !ref } ref $claims->{aud} eq 'ARRAY' ? @{ $claims->{aud} } : $claims->{aud};
    _refuse('it is meant for another service (aud)') unless grep { $for{$_} } @{ $self->{audience} };
  }
  $self->_check_scope($claims);
  my $user = $claims->{ $self->{user} };
  _refuse("it names no user ($self->{user})") if !defined $user || ref $user || !length $user;
  _refuse("its user ($self->{user}) contains a control character") if $user =~ /[\x00-\x1f\x7f]/;
  utf8::encode($user) if utf8::is_utf8($user);
  _refuse("its user ($self->{user}) is longer than $MAX_NAME bytes") if length $user > $MAX_NAME;
  # The provider may give "anna" and "an\xADna" to two people, so the second one must not become the first.
  my $unfit = (undef, qw(changes forbids))[Authen::SASL::Rust::_saslprep($user)];
  _refuse("its user ($self->{user}) is not a valid user name: SASLprep $unfit it") if defined $unfit;
  return $user;
}

sub _time {
  my ($claims, $name) = @_;
  my $value = $claims->{$name};
  return undef if !defined $value;
  _refuse("its $name is not a number of seconds") if ref $value || $value !~ /\A[0-9]{1,12}(?:\.[0-9]+)?\z/;
  return $value;
}

# RFC 8693 section 4.2; Microsoft calls it scp, others send an array.
sub _check_scope {
  my ($self, $claims) = @_;
  return if !defined $self->{scope};
  my ($scope) = grep { defined } @{$claims}{qw(scope scp)};
  my %has = map { $_ => 1 } map { defined && !ref ? split ' ' : () } ref $scope eq 'ARRAY' ? @$scope : $scope;
  my @lacks = grep { !$has{$_} } @{ $self->{scope} };
  _refuse('it does not have the scope ' . join(' ', @lacks), 'insufficient_scope') if @lacks;
  return;
}

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::OAuth::Verifier - check OAuth tokens on a server

=head1 SYNOPSIS

    use Authen::SASL qw(Rust);
    use Authen::SASL::Rust::OAuth::Verifier;

    my $verifier = Authen::SASL::Rust::OAuth::Verifier->new(
        keys     => 'https://login.example.org/keys',
        issuer   => 'https://login.example.org',
        audience => 'imap.example.org',
        scope    => 'imap',
        user     => 'email',
    );
    my $sasl = Authen::SASL->new(mechanism => 'OAUTHBEARER XOAUTH2', callback => { checktoken => $verifier });

=head1 DESCRIPTION

An object of this class is the callback C<checktoken> of a server (L<Authen::SASL::Rust::Callbacks>). It checks the client's token in one of two
ways:

=over

=item *

C<keys>: the token is signed by the provider (JWT, RFC 7519), and is checked with the provider's public keys. This needs CryptX (Debian:
libcryptx-perl); without it, C<new> dies and says so.

=item *

C<introspection>: the provider is asked about each token (RFC 7662). This needs no further module, except IO::Socket::SSL for https.

=back

It blocks: while the provider is asked, the program waits, at most C<timeout> seconds for each request.

=for program

    use strict;
    use warnings;
    use Authen::SASL qw(Rust);
    use Authen::SASL::Rust::OAuth::Verifier;

    my $verifier = Authen::SASL::Rust::OAuth::Verifier->new(introspection => 'http://127.0.0.1:1/introspect');
    my $server   = Authen::SASL->new(mechanism => 'OAUTHBEARER', callback => { checktoken => $verifier })
        ->server_new('imap', 'mail.example.org');
    print $server->server_start("n,a=fred,\x01auth=Bearer vF9dft4qmT\x01\x01"), "\n";
    print $verifier->error =~ /^(OAuth, introspection: .*?): /, "\n";
    # prints {"status":"temporarily_unavailable"}
    # prints OAuth, introspection: http://127.0.0.1:1/introspect

=head1 WHAT IS CHECKED

=over

=item *

The signature, by an algorithm of C<algorithms> and a key of the key set that fits this algorithm: its type, curve, C<use>, C<alg> and
C<key_ops>; RSA keys have at least 2048 bits. C<none> and HMAC are never accepted. Keys that the token itself contains or points to (C<jwk>,
C<jku>, C<x5u>) are ignored, and a header with C<crit> is refused. With introspection: C<active> is true, and C<token_type>,
if it is there, is C<Bearer>.

=item *

C<iss> is C<issuer>, and C<aud> is or contains one of C<audience>. With C<keys> both arguments are required; with introspection they are
checked if they are given.

=item *

C<exp>, C<nbf> and C<iat>, with C<leeway>. A signed token must have C<exp>.

=item *

Each word of C<scope> is in the token's C<scope> (or C<scp>).

=item *

The claim C<user> is the identity. It must be prepared already: a name that SASLprep (RFC 4013) forbids or would change is refused, as it could
stand for another user. If the client names another one, the callback C<authorize> decides.

=back

A client whose token is refused gets the error object of RFC 7628: the status C<invalid_token> or C<insufficient_scope>, the C<scope> that is needed,
and C<configuration>. If the provider or its keys cannot be reached, the status is C<temporarily_unavailable>. The client does not get the reason;
C<error> has it, and the callback C<log>, if there is one: C<($conn, $level, $text)>, level 1.

=head1 METHODS

=head2 new

=over

=item keys

The key set (JWKS, RFC 7517): a URL, or the name of a file. A file that others can write is refused.

=item issuer

The issuer; required with keys.

=item audience

The name of this service, or an array of names; required with keys.

=item algorithms

An array of RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA; default RS256 ES256.

=item type

The type (typ) that tokens must have, for instance at+jwt (RFC 9068); default: none, JWT or at+jwt.

=item introspection

The URL of the provider's introspection endpoint.

=item client_id

=item client_secret

=item client_auth

This server's own registration with the provider, for introspection; the arguments are those of Authen::SASL::Rust::OAuth.

=item cache

Seconds for which an answer is used, at most until the token expires; default 60, 0 for never.

=item user

The claim that names the user; default sub.

=item scope

The required scopes, separated by spaces, or an array.

=item leeway

Seconds by which clocks may differ; default 60.

=item configuration

The URL that the error object names as openid-configuration.

=item timeout

Seconds for each request; default 10.

=item ca_file

The certificate authorities for https; default: the system's.

=back

A URL begins with C<https://>, or with C<http://> for loopback addresses. An unknown argument dies.

A key set from a URL is fetched when it is first needed, then every hour, and when a token names a key (C<kid>) that it does not have, but not more
than once in 30 seconds. If it cannot be fetched again, the keys stay in use for a day. A file is read again when it has changed.

A token that is revoked is therefore accepted until its cached answer expires. At most 10,000 answers are kept, by the hash of the token.

=head2 verify

    $user = $verifier->verify($token)

The identity that the token names (octets), or undef if it is refused.

=head2 error

    $reason = $verifier->error

The reason of the last refusal; undef after a success. It is meant for the log.

=head2 callback

    $code = $verifier->callback

The callback as a code reference. The object itself can be called too.

=head1 SEE ALSO

L<Authen::SASL::Rust::Callbacks>, L<Authen::SASL::Rust::OAuth>; RFC 7519 and RFC 8725 (JWT), RFC 7662 (introspection), RFC 7628 (OAUTHBEARER)

=cut
