package Authen::SASL::Rust::AuthLine;

use strict;
use warnings;
use Authen::SASL ();
use Authen::SASL::Rust ();
use Authen::SASL::Rust::Octets ();
use Carp ();
use IO::Select ();
use Time::HiRes ();

our $VERSION = '0.1';

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
  my $sasl = delete $arg->{sasl} or Carp::croak("$side: an Authen::SASL object is needed (sasl)");
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
  # The protocol has no room for a security layer. Its end must hear of a failure, which an exception would hide.
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

# Bytes that came behind the dialogue.
sub rest {
  my ($self) = @_;
  return '' unless $self->is_done;
  my $rest = $self->{in};
  $self->{in} = '';
  return $rest;
}

# Bytes for the other end.
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

# Takes bytes of the other end, gives bytes for it.
sub feed {
  my ($self, $bytes) = @_;
  Carp::croak('feed: bytes were expected, and this is text') if !utf8::downgrade($bytes, 1);
  return $self->output if $self->is_closed;
  $self->{in} .= $bytes;
  $self->_read;
  # What a client sends while the application owes an answer waits here: one request, and no more.
  $self->_broken('TOO_BIG', 'it has sent more than one request while an answer was under way')
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

# The next message: its line without the number of bytes, and the data; nothing if it is not complete.
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
    return $self->_fail('the server cannot do it now (INTERNAL_ERROR)');
  }
  if ($waits eq 'list') {
    return $self->_choose($data) if $line eq 'OK' && defined $data;
    return $self->_fail('the server does not know AUTH (UNKNOWN_COMMAND): it is probably a plain beanstalkd')
      if $line eq 'UNKNOWN_COMMAND';
  }
  elsif ($line eq 'UNAUTHORIZED') {
    return $self->_fail($self->{refusal} || $self->_named('the server refused: UNAUTHORIZED'));
  }
  elsif ($waits eq 'reply' && $line eq 'CONTINUE' && defined $data) {
    return $self->_step($data);
  }
  elsif ($waits eq 'reply' && $line eq 'OK') {
    return $self->_end($data);
  }
  return $self->_fail("the server answered '" . _printable($line) . "' where that has no meaning");
}

# Only ASCII that prints: it is the peer's.
sub _printable {
  my ($line) = @_;
  $line =~ s/[^\x20-\x7e]/?/g;
  return substr $line, 0, 40;
}

sub _named {
  my ($self, $text) = @_;
  return $self->{conn}->property('mechname') . " client: $text (SASL_BADAUTH)";
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
  # The server offers channel binding, and the caller wants none of it: the client must not say that
  # the server has none (RFC 5802 section 6).
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
  return $self->_fail($self->_named('the server asks on after the end')) unless $conn->need_step || $conn->is_success;
  my $response = $conn->client_step($challenge);
  if ($conn->error) {
    # Some mechanisms have a last word, to which the server answers.
    return $self->_fail($conn->error) unless defined $response;
    @$self{qw(waits refusal)} = ('refusal', $conn->error);
  }
  return $self->_fail($self->_named('the server asks on after the end')) unless defined $response;
  return $self->_print('auth-step', $response);
}

sub _end {
  my ($self, $last) = @_;
  my $conn = $self->{conn};
  if (defined $last && !($conn->is_success && $last eq '')) {
    $conn->client_step($last);
    return $self->_fail($conn->error) if $conn->error;
  }
  return $self->_fail($self->_named('the server ended without its proof')) unless $conn->is_success;
  $self->{state} = 'done';
  return;
}

# Blocks on the handle until the client is authenticated or not, or the time is over.
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
  # Nobody has asked the server for anything yet, so whatever it says here is wrong.
  if (length $self->{in}) {
    $self->_fail('the server speaks although nothing was asked');
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
    last unless $!{EINTR};      # a signal of the program's is no answer
  }
  $self->_fail('no answer in time');
  return;
}

# What a TLS handle has decoded already does not show in select.
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
    return $self->_print('OK', join ' ', $conn->listmech);
  }
  if ($line =~ /\Aauth-start ([A-Z0-9_-]{1,32})\z/) {
    my $name = $1;
    $self->_abandoned;
    my @offered = $conn->listmech;
    # Nothing is offered where the accounts cannot be asked: the start says so.
    my @known = @offered ? @offered : map { uc } split /[^A-Za-z0-9_-]+/, $self->{sasl}->mechanism || '';
    return $self->_unauthorized("$name is not offered") unless grep { $_ eq $name } @known;
    # One that is named, but that nobody knows, is none.
    my $is_one = do { local $@; eval { $conn->mechanism($name); 1 } };
    return $self->_unauthorized("$name is not offered") unless $is_one;
    return $self->_ask(server_start => $data);
  }
  if ($line eq 'auth-step' && defined $data) {
    return $self->_unauthorized('auth-step: no exchange is under way') unless $self->{exchanging};
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
  # What follows may be this command's body, and is never read as commands.
  $self->_print('UNAUTHORIZED');
  return $self->_fail("a command before authentication: '" . _printable($line) . "'");
}

# With on_reply the application may answer later; requests wait until it has.
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

# A callback that dies has judged nobody. Whoever called gets its exception; the client's reply waits in `output`.
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

# No failure of the client's, which may come again.
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

# An exchange that ends without success has failed, whatever ends it.
sub _abandoned {
  my ($self) = @_;
  return unless $self->{exchanging} || $self->{answering};
  @$self{qw(exchanging answering)} = (0, 0);
  $self->{conn}->abandon;
  $self->{failures}++;
  $self->{error} = $self->{conn}->error;
  return;
}

# The connection is gone.
sub hang_up {
  my ($self) = @_;
  $self->_abandoned if $self->{side} eq 'server';
  $self->{state} = 'closed' unless $self->is_done || $self->is_failed;
  return;
}

# The client may try again, as often as the application lets it.
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

    # Here the bytes go from hand to hand; a program sends and receives them.
    my $to_server = $client->begin;
    while ($client->need_more) {
        my $to_client = $server->feed($to_server);
        $to_server = $client->feed($to_client);
    }
    die $client->error if $client->is_failed;
    print $client->mechanism, "\n";     # prints SCRAM-SHA-256
    print $server->user, "\n";          # prints fred

On a socket, a client needs two lines more than without AUTH:

    my $auth = Authen::SASL::Rust::AuthLine->client(sasl => $sasl, host => 'queue.example.org');
    $auth->login($socket) or die $auth->error;
    # $socket is ready for a beanstalk client

=head1 DESCRIPTION

The protocol is specified in F<docs/auth-line-protocol.md> of the distribution: SASL in lines, before the first command of
a protocol that knows no authentication. The program C<sasl-gate> of the distribution's repository speaks it in front of
beanstalkd. This module is both ends of it, without I/O but in C<login>.

An object serves one connection.

=head2 client

    $auth = Authen::SASL::Rust::AuthLine->client(sasl => $sasl, ...)

C<sasl> is an Authen::SASL object; if it names mechanisms, one of these is taken, else any that the server offers. The
others are optional:

    service        the service's name; beanstalkd
    host           the server's name; localhost
    options        a hash for client_new, for instance { externalssf => 256 } under TLS
    token_limit    longest token that is read, in bytes; 65536

C<maxssf> and C<die_on_failure> are 0 whatever C<options> says.

=head2 server

    $auth = Authen::SASL::Rust::AuthLine->server(sasl => $sasl, on_reply => sub { my ($auth) = @_; ... })

The same arguments, for C<server_new>. The mechanisms that C<sasl> names are offered.

With C<on_reply> the callbacks of C<sasl> answer through their continuations, at once or later
(L<Authen::SASL::Rust::Callbacks/DEFERRED ANSWERS>). If it is later, C<on_reply> is called, and C<output> has the bytes.

=head2 login

    $handle = $auth->login($handle, timeout => 30)

Client: authenticates a connected handle (a socket, or one of L<IO::Socket::SSL>), blocking or not, within so many seconds; undef for
no limit. A handle with a layer C<:utf8> serves as one for bytes meanwhile. Returns the handle, or an empty list with C<error> set: the handle is of no use then.

=head2 begin

    $bytes = $auth->begin

Client: the first bytes for the server.

=head2 feed

    $bytes = $auth->feed($bytes)

Takes bytes of the other end as they come, and returns those for it, perhaps none. Both are to be done as long as C<need_more>
is true; a server sends what was returned whatever its state is, and then closes if C<is_closed>.

=head2 output

    $bytes = $auth->output

Bytes for the other end that no C<feed> has returned (see C<on_reply>).

=head2 rest

    $bytes = $auth->rest

Once C<is_done>: what the other end has sent behind the dialogue, the beginning of the protocol that follows.

=head2 need_more, is_done, is_failed, is_closed

True while bytes of the other end are needed; once the client is authenticated; once this connection is of no use; the same, or the
client has quit.

=head2 error

Why it failed, as text. On a server, also why the last exchange failed: the client may try again.

=head2 failures

Server: how many exchanges have failed on this connection. A program closes after a few. An exchange that the client
abandons, by another one or by going away, has failed too.

If nobody could be judged, since the accounts cannot be asked or a callback has died, none has failed: the client is told
INTERNAL_ERROR, C<is_failed> is true and C<error> has the reason. The exception of a callback leaves C<feed>; the reply waits in
C<output> then.

=head2 hang_up

    $auth->hang_up

Tells a server that the client is gone, or too late: if an exchange was under way, C<failures> counts it and C<error> has the
reason.

=head2 mechanism, user, connection

The mechanism; on a server, once done, whom the client acts as; and the L<Authen::SASL::Rust::Connection>.

=head1 SEE ALSO

L<Authen::SASL::Rust>, L<Authen::SASL::Rust::Connection>

=cut
