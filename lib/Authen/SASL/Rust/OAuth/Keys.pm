package Authen::SASL::Rust::OAuth::Keys;

# The public keys of an issuer: a JSON Web Key Set (RFC 7517), from a file or from https.

use strict;
use warnings;
use Authen::SASL::Rust::OAuth::Error;
use Authen::SASL::Rust::OAuth::Request;
use Fcntl qw(:mode);
use JSON::PP ();

our $VERSION = '1.0';

my $STEP = 'key set';
my $LIMIT = 1 << 18;
my $MAX_KEYS = 100;

# Seconds for which a fetched set is used, and between two requests: otherwise each token with an invented kid would cause one.
my ($FRESH, $PAUSE) = (3600, 30);

# Seconds for which an old set is used while it cannot be fetched: a key that the issuer has withdrawn must not count for ever.
my $KEEP = 86_400;

# new($source, $request): a URL with ://, else the name of a file.
sub new {
  my ($class, $source, $request) = @_;
  return bless { source => $source, request => $request, keys => [], tried => 0, fetched => 0, seen => '' }, $class;
}

# The keys with that kid; all if the token names none.
sub candidates {
  my ($self, $kid) = @_;
  $self->_refresh(0);
  my @found = $self->_find($kid);
  return @found if @found || !defined $kid;
  $self->_refresh(1);    # the issuer may have a new key since
  return $self->_find($kid);
}

sub _find {
  my ($self, $kid) = @_;
  return grep { !defined $kid || defined $_->{kid} && !ref $_->{kid} && $_->{kid} eq $kid } @{ $self->{keys} };
}

sub _refresh {
  my ($self, $lacks) = @_;
  return $self->_read_file if $self->{source} !~ m{://};
  my $now = time;
  return if $now - $self->{fetched} < $FRESH && !$lacks;
  if ($now - $self->{tried} >= $PAUSE) {
    $self->{tried} = $now;
    my $set = eval { _keys($self->{request}->get($STEP, $self->{source})) };
    $self->{error} = $@;
    @{$self}{qw(keys fetched)} = ($set, $now) if $set;
  }
  die $self->{error} if $now - $self->{fetched} > $KEEP;
  return;
}

# Whoever can write the file can make tokens.
sub _read_file {
  my ($self) = @_;
  my $file = $self->{source};
  my $fail = sub { Authen::SASL::Rust::OAuth::Error->throw($STEP, "$file: $_[0]") };
  open my $in, '<:raw', $file or $fail->($!);
  my ($device, $inode, $mode, $owner, $size, $time) = (stat $in)[0, 1, 2, 4, 7, 9];
  my $seen = join ' ', $device, $inode, $mode, $owner, $size, $time;
  return if $seen eq $self->{seen};
  $fail->('it is not a regular file') unless S_ISREG($mode);
  $fail->('others can write it') if $mode & 022;
  $fail->('it belongs to another user') unless $owner == $> || $owner == 0;
  my $read = read $in, my $text, $LIMIT + 1;
  $fail->($!) if !defined $read;
  $fail->("it is longer than $LIMIT bytes") if $read > $LIMIT;
  my $set = eval { JSON::PP->new->utf8->max_depth(16)->decode($text) };

  # Times are whole seconds: a file that has just changed may change again unseen, and a withdrawn key must not count.
  @{$self}{qw(keys seen)} = (_keys($set), $time < time - 1 ? $seen : '');
  return;
}

sub _keys {
  my ($set) = @_;
  my $fail = sub { Authen::SASL::Rust::OAuth::Error->throw($STEP, $_[0]) };
  $fail->('it is not a JSON Web Key Set') if ref $set ne 'HASH' || ref $set->{keys} ne 'ARRAY';
  $fail->("it has more than $MAX_KEYS keys") if @{ $set->{keys} } > $MAX_KEYS;
  return [grep { ref eq 'HASH' } @{ $set->{keys} }];
}

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::OAuth::Keys - the public keys of an issuer

=head1 DESCRIPTION

Reads a JSON Web Key Set for L<Authen::SASL::Rust::OAuth::Verifier>. Programs do not need this module.

=cut
