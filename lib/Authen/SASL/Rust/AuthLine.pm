package Authen::SASL::Rust::AuthLine;

use strict;
use warnings;
use Authen::SASL ();
use Authen::SASL::Rust ();
use Authen::SASL::Rust::Octets ();
use Carp ();
use IO::Select ();
use Time::HiRes ();

our $VERSION = '1.0';

my $LINE_LIMIT = 224;       # with its CRLF
my $TOKEN_LIMIT = 65_536;
my $BYTES = qr/0|[1-9][0-9]{0,8}/;

# A connection of the core belongs to one thread.
sub CLONE_SKIP { return 1 }

sub client {
  my ($class, %arg) = @_;
  my $self = $class->_new('client', \%arg);
  $self->{state} = 'new';
  $self->{waits} = 'list';
  return $self;
}

sub server {
  my ($class, %arg) = @_;
  my $reply = delete $arg{on_reply};
  my $self = $class->_new('server', \%arg);
  $self->{conn} = $self->_connection($self->{sasl});
  $self->{on_reply} = $reply;
  $self->{state} = 'more';
  return $self;
}

sub _new {
  my ($class, $side, $arg) = @_;
  my %default = (service => 'beanstalkd', host => 'localhost', options => {}, token_limit => $TOKEN_LIMIT);
  my $self = bless { %default, side => $side, in => '', out => '' }, $class;
  my $sasl = delete $arg->{sasl} or Carp::croak("$side: an Authen::SASL object is required (sasl)");
  $self->{sasl} = $sasl;
  for my $name (keys %default) {
    my $value = delete $arg->{$name};
    $self->{$name} = $value if defined $value;
  }
  my $unknown = Authen::SASL::Rust::_unknown($arg, 'sasl', sort(keys %default), $side eq 'server' ? 'on_reply' : ());
  Carp::croak("$side: $unknown") if defined $unknown;
  return $self;
}

sub _connection {
  my ($self, $sasl) = @_;
  my $make = "$self->{side}_new";
  # The protocol cannot carry a security layer. The peer must be told of a failure, which an exception would
  # prevent.
  return $sasl->$make($self->{service}, $self->{host}, { %{ $self->{options} }, maxssf => 0, die_on_failure => 0 });
}

sub connection { return $_[0]{conn} }
sub error { return $_[0]{error} }
sub is_done { return $_[0]{state} eq 'done' }
sub is_failed { return $_[0]{state} eq 'failed' }
sub is_closed { return $_[0]{state} =~ /\A(?:failed|closed)\z/ ? 1 : '' }
sub need_more { return $_[0]{state} eq 'more' }
sub mechanism { return $_[0]{conn} ? $_[0]{conn}->mechanism : undef }
sub user { return $_[0]->is_done ? $_[0]{conn}->property('user') : undef }

# Bytes that followed the dialogue.
sub rest {
  my ($self) = @_;
  return '' unless $self->is_done;
  my $rest = $self->{in};
  $self->{in} = '';
  return $rest;
}

# Bytes for the peer.
sub output {
  my ($self) = @_;
  my $out = $self->{out};
  $self->{out} = '';
  return $out;
}

sub begin {
  my ($self) = @_;
  if ($self->{state} eq 'new') {
    $self->{state} = 'more';
    $self->{out} .= "auth-list-mechanisms\r\n";
  }
  return $self->output;
}

# Takes bytes from the peer, returns bytes for it.
sub feed {
  my ($self, $bytes) = @_;
  Carp::croak('feed: bytes were expected, not characters') if !utf8::downgrade($bytes, 1);
  return $self->output if $self->is_closed;
  $self->{in} .= $bytes;
  $self->_read;
  # Data that a client sends while the application's answer is pending waits here: at most one request.
  $self->_broken('TOO_BIG', 'more than one request arrived while an answer was pending')
    if $self->{answering} && length $self->{in} > $LINE_LIMIT + $self->{token_limit} + 2;
  return $self->output;
}

sub _read {
  my ($self) = @_;
  while ($self->{state} eq 'more' && !$self->{answering}) {
    my ($line, $data) = $self->_message or return;
    my $take = "_$self->{side}_takes";
    $self->$take($line, $data);
  }
  return;
}

# Returns the next message: its line without the number of bytes, and the data; nothing if it is incomplete.
sub _message {
  my ($self) = @_;
  my $end = index $self->{in}, "\n";
  my $length = $end < 0 ? length $self->{in} : $end + 1;
  return $self->_broken('BAD_FORMAT', "a line is longer than $LINE_LIMIT bytes")
    if $length > $LINE_LIMIT || ($end < 0 && $length == $LINE_LIMIT);
  return if $end < 0;
  my $line = substr $self->{in}, 0, $length;
  return $self->_broken('BAD_FORMAT', 'a line does not end with CRLF') unless $line =~ s/\r\n\z//;
  my $announces =
    $self->{side} eq 'client' ? qr/\A(OK|CONTINUE) (.*)\z/s : qr/\A(auth-start [A-Z0-9_-]{1,32}|auth-step) (.*)\z/s;
  if ($line !~ $announces) {
    substr $self->{in}, 0, $length, '';
    return ($line, undef);
  }
  my ($head, $bytes) = ($1, $2);
  return $self->_broken('BAD_FORMAT', 'the number of bytes is not 1 to 9 digits without sign and leading zero')
    unless $bytes =~ /\A$BYTES\z/;
  return $self->_broken('TOO_BIG', "a token of $bytes bytes is announced, the limit is $self->{token_limit}")
    if $bytes > $self->{token_limit};
  return if length $self->{in} <= $length + $bytes;
  my $tail = substr $self->{in}, $length + $bytes, 2;
  return $self->_broken('EXPECTED_CRLF', 'the data is not followed by CRLF')
    unless $tail eq substr "\r\n", 0, length $tail;
  return if length $tail < 2;
  my $data = substr $self->{in}, $length, $bytes;
  substr $self->{in}, 0, $length + $bytes + 2, '';
  return ($head, $data);
}

sub _broken {
  my ($self, $word, $reason) = @_;
  if ($self->{side} eq 'server') {
    $self->{out} .= "$word\r\n";
    $self->_abandoned;
  }
  $self->_fail($self->{side} eq 'server' ? "the client's request: $reason" : "the server's reply: $reason");
  return;
}

sub _fail {
  my ($self, $reason) = @_;
  $self->{error} = $reason;
  $self->{state} = 'failed';
  $self->{in} = '';
  return;
}

sub _print {
  my ($self, $head, $data) = @_;
  $self->{out} .= defined $data ? "$head " . length($data) . "\r\n$data\r\n" : "$head\r\n";
  return;
}

# --- The client ---

sub _client_takes {
  my ($self, $line, $data) = @_;
  my $waits = $self->{waits};
  if ($line eq 'INTERNAL_ERROR' && !defined $data) {
    return $self->_fail('the server is temporarily unavailable (INTERNAL_ERROR)');
  }
  if ($waits eq 'list') {
    return $self->_choose($data) if $line eq 'OK' && defined $data;
    return $self->_fail('the server does not support AUTH (UNKNOWN_COMMAND): it is probably a plain beanstalkd')
      if $line eq 'UNKNOWN_COMMAND';
  }
  elsif ($line eq 'UNAUTHORIZED') {
    return $self->_fail($self->{refusal} || $self->_named('the server refused: UNAUTHORIZED', 'SASL_BADAUTH'));
  }
  elsif ($waits eq 'reply' && $line eq 'CONTINUE' && defined $data) {
    return $self->_step($data);
  }
  elsif ($waits eq 'reply' && $line eq 'OK') {
    return $self->_end($data);
  }
  return $self->_fail("unexpected reply from the server: '" . _printable($line) . "'");
}

# Replaces everything but printable ASCII: the text comes from the peer.
sub _printable {
  my ($line) = @_;
  $line =~ s/[^\x20-\x7e]/?/g;
  return substr $line, 0, 40;
}

sub _named {
  my ($self, $text, $code) = @_;
  return $self->{conn}->property('mechname') . " client: $text ($code)";
}

sub _choose {
  my ($self, $list) = @_;
  my @offered = grep { /\A[A-Z0-9_-]{1,20}\z/ } split / /, $list;
  my @usable = @offered;
  my $sasl = $self->{sasl};
  if (defined $sasl->mechanism) {
    my %wanted = map { uc $_ => 1 } split /[^A-Za-z0-9_-]+/, $sasl->mechanism;
    @usable = grep { $wanted{$_} } @offered;
    return $self->_fail('no mechanism is usable: the server offers ' . (@offered ? join(' ', @offered) : 'none')
        . ', and ' . _printable($sasl->mechanism) . ' is wanted') unless @usable;
  }
  my $chosen = Authen::SASL->new(mechanism => join(' ', @usable), callback => $sasl->callback);
  local $@;
  my $conn = eval { $self->_connection($chosen) };
  if (!$conn) {
    my ($reason) = ($@ || $chosen->error || 'no mechanism is usable') =~ /\A(.*)/;
    return $self->_fail($reason);
  }
  # The server offers channel binding, but the caller does not want it: the client must not say that the server does not
  # support it (RFC 5802 section 6).
  my $binds = sub { scalar grep { /-PLUS\z/ } @_ };
  if ($binds->(@offered) && !$binds->(@usable) && ($conn->property('channel_binding_policy') || '') eq 'allow') {
    $conn->property(channel_binding_policy => 'disable');
  }
  $self->{conn} = $conn;
  my $initial = $conn->client_start;
  return $self->_fail($conn->error) if $conn->error;
  $self->{waits} = 'reply';
  return $self->_print('auth-start ' . $conn->mechanism, $conn->property('message_absent') ? undef : $initial);
}

sub _step {
  my ($self, $challenge) = @_;
  my $conn = $self->{conn};
  my $late = sub {
    $self->_fail($self->_named('the server sent a challenge after the end of the exchange', 'SASL_BADPROT'));
  };
  return $late->() unless $conn->need_step || $conn->is_success;
  my $response = $conn->client_step($challenge);
  if ($conn->error) {
    # Some mechanisms send a last message after an error, which the server answers.
    return $self->_fail($conn->error) unless defined $response;
    @$self{qw(waits refusal)} = ('refusal', $conn->error);
  }
  return $late->() unless defined $response;
  return $self->_print('auth-step', $response);
}

sub _end {
  my ($self, $last) = @_;
  my $conn = $self->{conn};
  if (defined $last && !($conn->is_success && $last eq '')) {
    $conn->client_step($last);
    return $self->_fail($conn->error) if $conn->error;
  }
  return $self->_fail($self->_named('outcome: the server ended without its proof', 'SASL_BADSERV')) unless $conn->is_success;
  $self->{state} = 'done';
  return;
}

# Blocks on the handle until the client is authenticated, the login fails, or the time is over.
sub login {
  my ($self, $handle, %arg) = @_;
  my $layers = Authen::SASL::Rust::Octets::take($handle);
  my $in;
  my $lived = eval { $in = $self->_login($handle, %arg); 1 };
  my $why = $@;
  Authen::SASL::Rust::Octets::put_back($handle, $layers);
  die $why unless $lived;
  return $in ? $handle : ();
}

sub _login {
  my ($self, $handle, %arg) = @_;
  my $timeout = exists $arg{timeout} ? $arg{timeout} : 30;
  my $deadline = defined $timeout ? Time::HiRes::time() + $timeout : undef;
  my $out = $self->begin;
  while ($self->need_more) {
    $self->_write($handle, $out, $deadline) or return;
    my $bytes = $self->_read_some($handle, $deadline);
    return unless defined $bytes;
    $out = $self->feed($bytes);
  }
  return unless $self->is_done;
  # No request has been sent yet, so the server must not send anything here.
  if (length $self->{in}) {
    $self->_fail('the server sent data that was not requested');
    return;
  }
  return 1;
}

sub _wait {
  my ($self, $handle, $deadline, $way) = @_;
  my $select = IO::Select->new($handle);
  while (1) {
    my $left = defined $deadline ? $deadline - Time::HiRes::time() : undef;
    last if defined $left && $left <= 0;
    $! = 0;
    return 1 if $select->$way($left);
    last unless $!{EINTR};      # a signal does not end the wait
  }
  $self->_fail('no answer in time');
  return;
}

# select does not see data that a TLS handle has already decoded.
sub _read_some {
  my ($self, $handle, $deadline) = @_;
  my $pending = $handle->can('pending') ? $handle->pending : 0;
  return if !$pending && !$self->_wait($handle, $deadline, 'can_read');
  my $size = sysread $handle, my $bytes, 4096;
  return $bytes if $size;
  return '' if !defined $size && ($!{EAGAIN} || $!{EWOULDBLOCK} || $!{EINTR});
  $self->_fail(defined $size ? 'the server has closed the connection' : "reading: $!");
  return;
}

sub _write {
  my ($self, $handle, $bytes, $deadline) = @_;
  local $SIG{PIPE} = 'IGNORE';
  while (length $bytes) {
    return unless $self->_wait($handle, $deadline, 'can_write');
    my $size = syswrite $handle, $bytes;
    if ($size) { substr $bytes, 0, $size, '' }
    elsif (!$!{EAGAIN} && !$!{EWOULDBLOCK} && !$!{EINTR}) {
      $self->_fail("writing: $!");
      return;
    }
  }
  return 1;
}

# --- The server ---

sub _server_takes {
  my ($self, $line, $data) = @_;
  my $conn = $self->{conn};
  if ($line eq 'auth-list-mechanisms') {
    my @usable = $conn->listmech;
    # An empty list would mean that log-ins are never possible here.
    return $self->_unavailable($conn->error) if !@usable && $conn->_lacks_accounts;
    return $self->_print('OK', join ' ', @usable);
  }
  if ($line =~ /\Aauth-start ([A-Z0-9_-]{1,32})\z/) {
    my $name = $1;
    $self->_abandoned;
    my @offered = $conn->listmech;
    # Nothing is offered if the account store is unavailable: then server_start gives the reason.
    my @known = @offered ? @offered : map { uc } split /[^A-Za-z0-9_-]+/, $self->{sasl}->mechanism || '';
    return $self->_unauthorized("$name is not offered") unless grep { $_ eq $name } @known;
    # The name may be in the list although no mechanism has that name.
    my $is_one = do { local $@; eval { $conn->mechanism($name); 1 } };
    return $self->_unauthorized("$name is not offered") unless $is_one;
    return $self->_ask(server_start => $data);
  }
  if ($line eq 'auth-step' && defined $data) {
    return $self->_unauthorized('auth-step: no exchange is in progress') unless $self->{exchanging};
    return $self->_ask(server_step => $data);
  }
  if ($line eq 'quit') {
    $self->hang_up;
    return;
  }
  return $self->_broken('BAD_FORMAT', "malformed: '" . _printable($line) . "'")
    if $line =~ /\Aauth-(?:start|step|list-mechanisms)(?: |\z)/;
  return $self->_print('UNKNOWN_COMMAND') if $line =~ /\Aauth-/;
  $self->_abandoned;
  # The following bytes may be the body of this command, and must not be read as commands.
  $self->_print('UNAUTHORIZED');
  return $self->_fail("a command before authentication: '" . _printable($line) . "'");
}

# With on_reply the application may answer later; further requests wait until then.
sub _ask {
  my ($self, $method, $data) = @_;
  my $conn = $self->{conn};
  if (!$self->{on_reply}) {
    my @message = $self->_or_unavailable(sub { $conn->$method($data) });
    return $self->_answered(@message);
  }
  my $now = 1;
  $self->{answering} = 1;
  my $reply = sub {
    my @message = @_;
    $self->{answering} = 0;
    return if $self->is_closed;
    $self->_answered(@message);
    return if $now;
    $self->_read;
    $self->{on_reply}->($self);
  };
  $self->_or_unavailable(sub { $conn->$method($data, $reply) });
  $now = 0;
  return;
}

# If a callback dies, the client is neither accepted nor rejected. The caller gets the exception; the reply for
# the client waits in `output`.
sub _or_unavailable {
  my ($self, $code) = @_;
  my @message;
  {
    local $@;
    return @message if eval { @message = $code->(); 1 };
    @message = $@;
  }
  $self->_unavailable('a callback has died');
  die $message[0];
}

# Not a failure of the client, which may try again.
sub _unavailable {
  my ($self, $reason) = @_;
  @$self{qw(exchanging answering)} = (0, 0);
  $self->_print('INTERNAL_ERROR');
  return $self->_fail($reason);
}

sub _answered {
  my ($self, $message) = @_;
  my $conn = $self->{conn};
  if ($conn->error) {
    return $self->_unavailable($conn->error) if $conn->_is_unavailable;
    return $self->_unauthorized($conn->error);
  }
  if ($conn->is_success) {
    $self->_print('OK', $conn->property('message_absent') ? undef : $message);
    @$self{qw(state exchanging)} = ('done', 0);
    return;
  }
  $self->{exchanging} = 1;
  return $self->_print('CONTINUE', defined $message ? $message : '');
}

sub failures { return $_[0]{failures} || 0 }

# An exchange that ends without success counts as failed, whatever ended it.
sub _abandoned {
  my ($self) = @_;
  return unless $self->{exchanging} || $self->{answering};
  @$self{qw(exchanging answering)} = (0, 0);
  $self->{conn}->abandon;
  $self->{failures}++;
  $self->{error} = $self->{conn}->error;
  return;
}

# The connection is closed.
sub hang_up {
  my ($self) = @_;
  $self->_abandoned if $self->{side} eq 'server';
  $self->{state} = 'closed' unless $self->is_done || $self->is_failed;
  return;
}

# The client may try again, as often as the application allows.
sub _unauthorized {
  my ($self, $reason) = @_;
  $self->{exchanging} = 0;
  $self->{failures}++;
  $self->{error} = $reason;
  return $self->_print('UNAUTHORIZED');
}

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::AuthLine - the AUTH line protocol, for beanstalkd and other servers without authentication

=head1 SYNOPSIS

=for program

    use strict;
    use warnings;
    use Authen::SASL qw(Rust);
    use Authen::SASL::Rust::AuthLine;

    my $client = Authen::SASL::Rust::AuthLine->client(
        sasl => Authen::SASL->new(callback => { user => 'fred', pass => 'pencil' }),
    );
    my $server = Authen::SASL::Rust::AuthLine->server(
        sasl => Authen::SASL->new(
            mechanism => 'SCRAM-SHA-256 PLAIN',
            callback  => { getsecret => sub { my ($conn, $query) = @_; $query->{user} eq 'fred' ? 'pencil' : undef } },
        ),
    );

    # Here the bytes are passed directly; a real program sends and receives them.
    my $to_server = $client->begin;
    while ($client->need_more) {
        my $to_client = $server->feed($to_server);
        $to_server = $client->feed($to_client);
    }
    die $client->error if $client->is_failed;
    print $client->mechanism, "\n";     # prints SCRAM-SHA-256
    print $server->user, "\n";          # prints fred

On a socket, a client needs two more lines than without AUTH:

    my $auth = Authen::SASL::Rust::AuthLine->client(sasl => $sasl, host => 'queue.example.org');
    $auth->login($socket) or die $auth->error;
    # $socket is ready for a beanstalk client

=head1 DESCRIPTION

F<docs/auth-line-protocol.md> of the distribution specifies the protocol: a SASL exchange in lines, before the first
command of a protocol that has no authentication. The program C<sasl-gate> of the distribution's repository uses it in
front of beanstalkd. This module implements both sides of it. Only C<login> does I/O.

An object can be used for one connection.

=head2 client

    $auth = Authen::SASL::Rust::AuthLine->client(sasl => $sasl, ...)

C<sasl> is an Authen::SASL object. If it names mechanisms, one of these is used, else any that the server offers. The
other arguments are optional:

=over

=item service

The service name; default beanstalkd.

=item host

The server's name; default localhost.

=item options

A hash for C<client_new>, for instance C<< { externalssf => 256 } >> under TLS.

=item token_limit

The maximum length of a received token, in bytes; default 65536.

=back

C<maxssf> and C<die_on_failure> are always 0, whatever C<options> contains.

=head2 server

    $auth = Authen::SASL::Rust::AuthLine->server(sasl => $sasl, on_reply => sub { my ($auth) = @_; ... })

Takes the same arguments, for C<server_new>. The server offers the mechanisms that C<sasl> names.

With C<on_reply> the callbacks of C<sasl> answer through their continuations, immediately or later
(L<Authen::SASL::Rust::Callbacks/DEFERRED ANSWERS>). After a later answer, C<on_reply> is called, and C<output> returns
the bytes.

=head2 login

    $handle = $auth->login($handle, timeout => 30)

Client: logs in on a connected handle (a socket, or an L<IO::Socket::SSL> handle), blocking or not. C<timeout> is in seconds, by default 30;
undef means no limit. A layer C<:utf8> on the handle is removed during the login. Returns the handle, or an empty list with C<error> set: then the handle
must not be used any more.

=head2 begin

    $bytes = $auth->begin

Client: the first bytes for the server.

=head2 feed

    $bytes = $auth->feed($bytes)

Takes bytes from the peer, in any portions, and returns the bytes to send, perhaps none. Call it as long as C<need_more> is
true. A server sends the returned bytes in any state, and then closes the connection if C<is_closed>.

=head2 output

    $bytes = $auth->output

Bytes for the peer that C<feed> has not returned (see C<on_reply>).

=head2 rest

    $bytes = $auth->rest

Once C<is_done> is true: the bytes that the peer sent after the dialogue, which begin the protocol that
follows.

=head2 need_more, is_done, is_failed, is_closed

C<need_more> is true while bytes from the peer are needed, C<is_done> once the client is authenticated, C<is_failed> once this
connection cannot be used any more. C<is_closed> is true if C<is_failed> is true or the client has quit.

=head2 error

The reason for the failure, as text. On a server, also the reason why the last exchange failed: the client may
try again.

=head2 failures

Server: the number of exchanges that have failed on this connection. A program should close the connection after a few.
An exchange that the client abandons, by starting another one or by disconnecting, has failed too.

If the account store is unavailable or a callback has died, this does not count as a failed exchange: the client gets
INTERNAL_ERROR, C<is_failed> is true and C<error> has the reason. The exception of a callback passes through C<feed>; then
C<output> returns the reply.

=head2 hang_up

    $auth->hang_up

Tells a server object that the client has disconnected or has timed out. If an exchange was in progress, C<failures> counts
it and C<error> has the reason.

=head2 mechanism, user, connection

The mechanism; the identity that the client acts as (server only, once done); and the
L<Authen::SASL::Rust::Connection>.

=head1 SEE ALSO

L<Authen::SASL::Rust>, L<Authen::SASL::Rust::Connection>

=cut
