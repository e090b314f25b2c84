package Authen::SASL::Rust::Layer;

use strict;
use warnings;
use Authen::SASL::Rust::Octets ();
use Carp ();
use Errno ();
use IO::Handle ();
use Scalar::Util ();
use Symbol ();

our $VERSION = '1.0';

# The value of $! after a read or write on a failed layer; not every system has EBADMSG.
my $DAMAGED = eval { Errno::EBADMSG() } || Errno::EIO();
# Approximate amount of plaintext that is encoded at a time: this limits the data that waits to be sent.
my $PORTION = 262_144;

# A layer belongs to one thread.
sub CLONE_SKIP { return 1 }

# Returns a new handle on top of the given one, which is left unchanged.
sub over {
  my ($class, $conn, $inner) = @_;
  my $glob = Symbol::gensym();
  tie *$glob, $class, $conn, $inner;
  return bless $glob, 'Authen::SASL::Rust::Layer::Handle';
}

# Installs the layer on the given handle itself; a second handle below shares its descriptor.
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

# Ends the layer: data that follows a damaged frame cannot be trusted.
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

# Sends the waiting frames. Returns true once all of them are sent.
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

# Makes sure that plaintext is available. Returns true then, 0 at the end, undef on errors ($! has the reason; no data is lost).
sub _fill {
  my ($self) = @_;
  return $self->_ready ? 1 : $self->_more;
}

# Reads until there is more plaintext, but never beyond the end of one frame: data after it stays in the socket, where
# select sees it. Returns the same as _fill.
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

# Returns a line as defined by $/; an incomplete line stays in the buffer.
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

# If the handle is non-blocking and the socket is full, the accepted data is sent with the next write, read or
# flush.
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

# Accepts all data, even if it cannot be sent yet.
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

# The number of plaintext and encoded bytes that wait in this process: select does not see them.
sub pending {
  my ($self) = @_;
  my $inner = $self->{inner};
  return $self->_ready || (Scalar::Util::blessed($inner) && $inner->can('pending') ? $inner->pending || 0 : 0);
}

sub unsent { return length $_[0]{out} }

package    # not for PAUSE's index: the class of the handles that over() returns
  Authen::SASL::Rust::Layer::Handle;

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

# Reads the full length, as read does and sysread does not.
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

# All other methods of the handle below: peerhost, sockname, timeout, get_cipher ...
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

Authen::SASL::Rust::Layer - a handle with a security layer

=head1 SYNOPSIS

    if ($conn->property('ssf')) {
        $socket = $conn->securesocket($socket);
    }
    print $socket "nobody else can read this\n";
    my $line = <$socket>;

=head1 DESCRIPTION

C<securesocket> of L<Authen::SASL::Rust::Connection> returns a handle of this class. C<print>, C<printf>, C<say>, C<syswrite>,
C<read>, C<sysread>, C<readline>, C<getc>, C<eof>, C<fileno>, C<binmode> and C<close> work on it, and so do the corresponding
methods of IO::Handle. All other methods (C<peerhost>, C<timeout>, C<blocking> ...) are those of the handle below. The data are
bytes; C<:utf8> layers are not supported.

=head2 Reading

C<sysread> returns the available data of the first frame, at most the requested length, as on a socket. Perl does not
distinguish the function C<read> from it on such a handle; the method C<read> waits for the full length.

At most one frame is read from the socket at a time. So if C<select> or IO::Select reports no data, at most the rest of one frame
is waiting in the process: C<< $socket->pending >> bytes. A program that uses C<select> must read until C<pending> is 0, as with
IO::Socket::SSL.

The handle is closed if a frame was changed, repeated or lost, if a frame is longer than C<maxbuf>, or if the connection ends in the
middle of a frame. The read then returns undef, C<$!> is EBADMSG (ECONNRESET if the connection ended), and C<< $conn->error >> has
the reason.

=head2 Writing

Plaintext is split into frames that the peer accepts. On a non-blocking handle C<syswrite> returns how much it has
accepted. Frames that did not fit into the socket are sent with the next write, read or C<< $socket->flush >>;
C<< $socket->unsent >> is their length. Undef and EAGAIN mean that nothing was accepted. C<print> always accepts all data.
C<close> tries once more to send the rest, and returns false if that fails.

=head2 Buffers

Data that C<readline> or C<read> has already put into the buffer of the handle below does not pass through the layer.
Protocols send no such data before the layer begins.

=cut
