package Authen::SASL::Rust::OAuth::File;

# The token file: a JSON object in a file that only its owner can read, replaced as a whole. Programs that share it take turns by
# a lock on the file .NAME.lock beside it, as with a users' file.

use strict;
use warnings;
use Authen::SASL::Rust::OAuth::Error;
use Errno qw(EEXIST ENOENT EWOULDBLOCK);
use Fcntl qw(:DEFAULT :flock :mode);
use File::Basename ();
use IO::Handle ();
use JSON::PP ();
use Time::HiRes ();

our $VERSION = '1.0';

my $LIMIT = 1 << 16;

# new($name, $seconds): how long to wait for the lock.
sub new {
  my ($class, $name, $seconds) = @_;
  my ($base, $folder) = (File::Basename::basename($name), File::Basename::dirname($name));
  return bless { name => $name, lock => "$folder/.$base.lock", next => "$folder/.$base.new", seconds => $seconds },
    $class;
}

sub name { return $_[0]{name} }

sub _fail {
  my ($self, $file, $why) = @_;
  return Authen::SASL::Rust::OAuth::Error->throw('token file', "$file: $why");
}

# Returns the object in the file, or undef if there is no file.
sub read {
  my ($self) = @_;
  my $handle = $self->_open($self->{name}, O_RDONLY | O_NONBLOCK) or return undef;
  my $text = '';
  while (1) {
    my $read = sysread $handle, $text, $LIMIT + 1 - length $text, length $text;
    $self->_fail($self->{name}, $!) if !defined $read;
    last if !$read;
  }
  $self->_fail($self->{name}, "it is longer than $LIMIT bytes") if length $text > $LIMIT;
  my $object = eval { JSON::PP->new->utf8->max_depth(8)->decode($text) };
  $self->_fail($self->{name}, 'it is not a token file') unless _is_valid($object);
  return $object;
}

# Two objects of strings; the times are numbers, and extra is an object.
sub _is_valid {
  my ($object) = @_;
  return 0 if ref $object ne 'HASH' || ref $object->{client} ne 'HASH' || ref $object->{token} ne 'HASH';
  my %client = %{ $object->{client} };
  my $extra = delete $client{extra};
  return 0
    if defined $extra && ref $extra ne 'HASH' || grep { !defined || ref } values %client, values %{ $object->{token} };
  my %time = map { $_ => $object->{token}{$_} } qw(expires received);
  return !grep { defined && !/\A[0-9]{1,12}(?:\.[0-9]+)?\z/ } values %time;
}

# Opens a file that no other user can read, write or replace by a link.
sub _open {
  my ($self, $file, $flags) = @_;
  if (!sysopen my $handle, $file, $flags | O_NOFOLLOW, 0600) {
    return undef if $! == ENOENT && !($flags & O_CREAT);
    my $error = $!;
    $self->_fail($file, -l $file ? 'it is a symbolic link' : $error);
  }
  else {
    my ($mode, $owner) = (stat $handle)[2, 4];
    $self->_fail($file, 'it is not a regular file') unless S_ISREG($mode);
    $self->_fail($file, 'it belongs to another user') unless $owner == $>;
    $self->_fail($file, sprintf 'others can read or write it (mode %03o); chmod 600 it', S_IMODE($mode)) if $mode & 077;
    binmode $handle;
    return $handle;
  }
}

# Runs the code while no other program changes the file. The lock is asked for again and again, because a stopped program that
# holds it must not stop this one for ever.
sub locked {
  my ($self, $code) = @_;
  my $handle = $self->_open($self->{lock}, O_RDWR | O_CREAT);
  my $end = Time::HiRes::time() + $self->{seconds};
  until (flock $handle, LOCK_EX | LOCK_NB) {
    $self->_fail($self->{lock}, $!) unless $! == EWOULDBLOCK;
    $self->_fail($self->{name}, "another program has held its lock for $self->{seconds} seconds")
      if Time::HiRes::time() > $end;
    Time::HiRes::sleep(0.02);
  }
  my $result;
  my $done = eval { $result = $code->(); 1 };
  my $error = $@;
  unlink $self->{next};    # left if the code did not write it, or by a program that was killed
  close $handle;
  die $error if !$done;
  return $result;
}

# Opens the file that will replace the present one. This is done before the request whose answer it is to hold: a refresh token
# that was exchanged for a new one, which cannot be stored, would be lost. To be called under the lock.
sub prepare {
  my ($self) = @_;
  unlink $self->{next};
  return $self->_open($self->{next}, O_WRONLY | O_CREAT | O_EXCL);
}

# Replaces the file. To be called under the lock, with the handle of `prepare`.
sub write {
  my ($self, $handle, $object) = @_;
  my $text = JSON::PP->new->utf8->canonical->pretty->encode($object);
  my $written = do { local $\; local $,; print {$handle} $text };
  $written && $handle->flush && $handle->sync && close $handle && rename $self->{next}, $self->{name}
    or $self->_fail($self->{name}, $!);
  return;
}

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::OAuth::File - the token file

=head1 DESCRIPTION

Reads and writes the file of L<Authen::SASL::Rust::OAuth/THE TOKEN FILE>, under a lock. Programs do not need this module.

=cut
