package Authen::SASL::Rust::Layer;

use strict;
use warnings;
use Authen::SASL::Rust::Octets ();
use Carp ();
use Errno ();
use IO::Handle ();
use Scalar::Util ();
use Symbol ();

# What a read or write of an ended layer leaves in $!; not every system has the first.
my $DAMAGED = eval { Errno::EBADMSG() } || Errno::EIO();
# Plaintext that is encoded at once, about: it bounds what waits to be sent.
my $PORTION = 262_144;

# A layer belongs to one thread.
sub CLONE_SKIP { return 1 }

# A new handle over the given one, which stays as it is.
sub over {
  my ($class, $conn, $inner) = @_;
  my $glob = Symbol::gensym();
  tie *$glob, $class, $conn, $inner;
  return bless $glob, 'Authen::SASL::Rust::Layer::Handle';
}

# The given handle itself, from now on with the layer; its descriptor is shared with a second one below.
sub onto {
  my ($class, $conn, $outer) = @_;
  Carp::croak('tiesocket: the handle is tied already; use securesocket') if tied *$outer;
  open my $inner, '+<&=', fileno $outer or Carp::croak("tiesocket: $!");
  my $self = tie *$outer, $class, $conn, $inner;
  Scalar::Util::weaken($self->{outer} = $outer);
  return $outer;
}

sub TIEHANDLE {
  my ($class, $conn, $inner) = @_;
  Authen::SASL::Rust::Octets::take($inner);
  my $self = bless { inner => $inner, out => '' }, $class;
  $self->_own($conn);
  my $most = $conn->property('maxout');
  $self->{portion} = $most > $PORTION ? $PORTION : $PORTION - $PORTION % $most;
  return $self;
}

# Ends it all: what follows a damaged frame is nobody's.
sub _fail {
  my ($self, $errno) = @_;
  $self->{out} = '';
  $self->{errno} ||= $errno || $DAMAGED;
  $self->_close;
  $! = $self->{errno};
  return undef;
}

sub _closed {
  my ($self) = @_;
  $! = $self->{errno} || Errno::EBADF();
  return undef;
}

# Sends what waits. True once all of it is sent.
sub flush {
  my ($self) = @_;
  while (length $self->{out}) {
    my $inner = $self->{inner} or return $self->_closed;
    my $sent = syswrite $inner, $self->{out};
    if (defined $sent) { substr $self->{out}, 0, $sent, '' }
    elsif (!$!{EINTR}) { return undef }
  }
  return 1;
}

# Sees to it that plaintext waits. True then; 0 at the end; undef where $! tells why, and nothing is lost.
sub _fill {
  my ($self) = @_;
  return $self->_ready ? 1 : $self->_more;
}

# Reads until there is more plaintext, and never beyond the end of one frame: what comes after it is left in
# the socket, where select sees it. Gives what _fill gives.
sub _more {
  my ($self) = @_;
  my $before = $self->_ready;
  while (1) {
    my $inner = $self->{inner} or return $self->_closed;
    $self->flush if length $self->{out};
    my $got = sysread $inner, my $bytes, $self->_wanted;
    return undef unless defined $got;
    if ($got == 0) {
      $self->_cut;
      return $self->_error ? $self->_fail(Errno::ECONNRESET()) : 0;
    }
    $self->_feed($bytes) or return $self->_fail;
    return 1 if $self->_ready > $before;
  }
}

sub READ {
  my ($self, undef, $length, $offset) = @_;
  Carp::croak('Negative length') if $length < 0;
  my $filled = $length == 0 ? 0 : $self->_fill;
  return undef unless defined $filled;
  return $self->_take(\$_[1], $length, $offset || 0);
}

sub GETC {
  my ($self) = @_;
  my $byte;
  return $self->READ($byte, 1) ? $byte : undef;
}

sub READLINE {
  my ($self) = @_;
  return $self->_line unless wantarray;
  my @lines;
  while (defined(my $line = $self->_line)) { push @lines, $line }
  return @lines;
}

# A line as $/ defines it; what is no whole line yet stays where it is.
sub _line {
  my ($self) = @_;
  my ($want, $separator) = (0, $/);
  ($want, $separator) = ($$separator + 0, undef) if ref $separator;
  my $paragraphs = defined $separator && $separator eq '';
  my $leading = $paragraphs;
  my $line;
  my $filled = $self->_fill;
  while ($filled) {
    $self->_take(\$line, 1, 0) while $leading && $self->_find("\n") == 1;
    $leading &&= !$self->_ready;
    my $length =
        defined $separator ? $self->_find($paragraphs ? "\n\n" : $separator)
      : $want && $self->_ready >= $want ? $want
      :                                   0;
    if ($length) {
      $self->_take(\$line, $length, 0);
      return $line;
    }
    $filled = $self->_more;
  }
  return undef unless defined $filled && $self->_ready;
  $self->_take(\$line, $self->_ready, 0);
  return $line;
}

sub EOF {
  my ($self) = @_;
  my $filled = $self->_fill;
  return $filled ? '' : defined $filled || $self->{errno} || !$self->{inner} ? 1 : '';
}

# Where the handle is non-blocking and full, what was taken goes out with the next write, read or flush.
sub WRITE {
  my ($self, undef, $length, $offset) = @_;
  my $size = length $_[1];
  $offset ||= 0;
  $offset += $size if $offset < 0;
  Carp::croak('Offset outside string') if $offset < 0 || $offset > $size;
  $length = $size - $offset if !defined $length || $length > $size - $offset;
  Carp::croak('Negative length') if $length < 0;
  return $self->_closed unless $self->{inner};
  $self->flush or return undef;
  my $taken = 0;
  while ($taken < $length) {
    my $part = $length - $taken < $self->{portion} ? $length - $taken : $self->{portion};
    $self->{out} = $self->_frames($_[1], $offset + $taken, $part);
    return $self->_fail unless defined $self->{out};
    $taken += $part;
    next if $self->flush;
    return $taken if $!{EAGAIN} || $!{EWOULDBLOCK};
    return undef;
  }
  return $taken;
}

# Takes all of it, whether or not it can be sent yet.
sub PRINT {
  my ($self, @parts) = @_;
  my $text = join(defined $, ? $, : '', @parts) . (defined $\ ? $\ : '');
  return $self->_closed unless $self->{inner};
  my $taken = 0;
  while ($taken < length $text) {
    my $part = length($text) - $taken;
    $part = $self->{portion} if $part > $self->{portion};
    my $frames = $self->_frames($text, $taken, $part);
    return $self->_fail unless defined $frames;
    $self->{out} .= $frames;
    $taken += $part;
    $self->flush || $!{EAGAIN} || $!{EWOULDBLOCK} or return undef;
  }
  return 1;
}

sub PRINTF {
  my ($self, $format, @values) = @_;
  local ($,, $\);
  return $self->PRINT(sprintf $format, @values);
}

sub FILENO {
  my ($self) = @_;
  return $self->{inner} ? fileno $self->{inner} : undef;
}

sub BINMODE {
  my ($self, $layers) = @_;
  return 1 if !defined $layers || $layers =~ /\A\s*(?::(?:raw|bytes)\s*)*\z/;
  $! = Errno::EINVAL();
  return undef;
}

sub SEEK { $! = Errno::ESPIPE(); return 0 }
sub TELL { return -1 }

sub CLOSE {
  my ($self) = @_;
  return $self->_closed || '' unless $self->{inner};
  my $flushed = $self->flush;
  my $why = $! + 0;
  my $closed = $self->_close;
  $! = $why unless $flushed;
  return $flushed && $closed;
}

sub _close {
  my ($self) = @_;
  my $inner = delete $self->{inner} or return 1;
  my $outer = delete $self->{outer};
  my $closed = close $inner;
  if ($outer) {
    no warnings 'untie';
    untie *$outer;
    $closed = close $outer;
  }
  return $closed;
}

sub inner { return $_[0]{inner} }

# Plaintext and encoded bytes that wait in this process: select does not know of them.
sub pending {
  my ($self) = @_;
  my $inner = $self->{inner};
  return $self->_ready || (Scalar::Util::blessed($inner) && $inner->can('pending') ? $inner->pending || 0 : 0);
}

sub unsent { return length $_[0]{out} }

package Authen::SASL::Rust::Layer::Handle;

use strict;
use warnings;
our @ISA = ('IO::Handle');
our $AUTOLOAD;

sub _layer { return tied *{ $_[0] } }

sub getline { return scalar _layer($_[0])->READLINE }
sub getlines { return _layer($_[0])->READLINE }
sub flush { return _layer($_[0])->flush ? '0 but true' : undef }
sub pending { return _layer($_[0])->pending }
sub unsent { return _layer($_[0])->unsent }
sub autoflush { return 1 }
sub error { return _layer($_[0])->_error ? 1 : 0 }
sub clearerr { return error(@_) }

# All that was asked for, as read does and sysread does not.
sub read {
  my ($self, undef, $length, $offset) = @_;
  my $layer = _layer($self);
  my $done = 0;
  $offset ||= 0;
  while ($done < $length) {
    my $got = $layer->READ($_[1], $length - $done, $offset < 0 && $done ? length $_[1] : $offset + $done);
    return $done || undef unless defined $got;
    last unless $got;
    $done += $got;
  }
  return $done;
}

sub blocking {
  my ($self, @on) = @_;
  my $inner = _layer($self)->inner or return undef;
  return Scalar::Util::blessed($inner) && $inner->can('blocking') ? $inner->blocking(@on) : IO::Handle::blocking($inner, @on);
}

sub shutdown {
  my ($self, $how) = @_;
  my $inner = _layer($self)->inner or return undef;
  _layer($self)->flush;
  return shutdown $inner, $how;
}

# Whatever else the handle below can do: peerhost, sockname, timeout, get_cipher ...
sub can {
  my ($self, $name) = @_;
  my $own = UNIVERSAL::can($self, $name);
  return $own if $own || !ref $self;
  my $layer = _layer($self) or return undef;
  my $inner = $layer->inner;
  return undef unless Scalar::Util::blessed($inner) && $inner->can($name);
  return sub { my $handle = shift; return _layer($handle)->inner->$name(@_) };
}

sub isa {
  my ($self, $class) = @_;
  return 1 if UNIVERSAL::isa($self, $class);
  my $inner = ref $self && _layer($self) ? _layer($self)->inner : undef;
  return Scalar::Util::blessed($inner) && $inner->isa($class) ? 1 : '';
}

sub AUTOLOAD {
  my ($self, @arg) = @_;
  (my $name = $AUTOLOAD) =~ s/.*:://;
  return if $name eq 'DESTROY';
  my $inner = ref $self ? _layer($self)->inner : undef;
  Carp::croak(qq{Can't locate object method "$name" via package "} . (ref $self || $self) . '"')
    unless Scalar::Util::blessed($inner) && $inner->can($name);
  return $inner->$name(@arg);
}

sub DESTROY { return }

1;

__END__

=encoding UTF-8

=head1 NAME

Authen::SASL::Rust::Layer - the security layer over a handle

=head1 SYNOPSIS

    if ($conn->property('ssf')) {
        $socket = $conn->securesocket($socket);
    }
    print $socket "what nobody else reads\n";
    my $line = <$socket>;

=head1 DESCRIPTION

What C<securesocket> of L<Authen::SASL::Rust::Connection> returns. C<print>, C<printf>, C<say>, C<syswrite>, C<read>, C<sysread>,
C<readline>, C<getc>, C<eof>, C<fileno>, C<binmode> and C<close> work on it, as do their methods (IO::Handle); any other method
(C<peerhost>, C<timeout>, C<blocking> ...) is the one of the handle below. Data are bytes; there are no C<:utf8> layers.

=head2 Reading

C<sysread> gives what there is of the frame that came first, at most what was asked for, as it does on a socket.
C<read> as a function cannot be told apart from it; the method C<read> waits for all that was asked for.

No more than one frame is taken from the socket at a time. So where C<select> or IO::Select says that nothing has
come, at most the rest of one frame waits: C<< $socket->pending >> bytes. A program that waits by C<select> reads until C<pending>
is 0, as with IO::Socket::SSL.

A frame that was changed, repeated, lost, or is longer than C<maxbuf>, and a connection that ends in the middle of a frame close the
handle. The read gives undef, C<$!> is EBADMSG (ECONNRESET for the end), and C<< $conn->error >> says what it was.

=head2 Writing

Plaintext is cut to frames that the peer takes. On a non-blocking handle C<syswrite> returns how much it has taken; what of
its frames did not fit into the socket goes out with the next write, read or C<< $socket->flush >>, and
C<< $socket->unsent >> is its length. Undef and EAGAIN mean that nothing was taken. C<print> always takes everything.
C<close> tries once more to send what is left, and is false if it could not.

=head2 Buffers

Data that the program has read already into the buffer of the handle below, by C<readline> or C<read>, does not come
through the layer. Protocols do not send any before the layer begins.

=cut
