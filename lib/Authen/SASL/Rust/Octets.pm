package Authen::SASL::Rust::Octets;

# Handles that a program passes to us carry bytes. PERL_UNICODE and the pragma open give sockets a layer :utf8, which the
# program did not intend for a protocol, and on which sysread and syswrite die.

use strict;
use warnings;

our $VERSION = '1.0';

# Removes the character layers and returns their names, for put_back. A tied handle (TLS) reads by itself.
sub take {
  my ($handle) = @_;
  my $glob = ref \$handle eq 'GLOB' ? \$handle : $handle;
  return '' if !eval { *$glob{IO} } || tied *$glob;
  my @layers = map { $_->($glob) } sub { PerlIO::get_layers($_[0]) }, sub { PerlIO::get_layers($_[0], output => 1) };
  my %seen;
  my @characters = grep { /\A(?:utf8|encoding\()/ && !$seen{$_}++ } @layers;
  return '' unless @characters;
  binmode $glob;
  return ':' . ((grep { /\Aencoding/ } @characters)[0] || 'utf8');
}

# Restores the layers that take has removed.
sub put_back {
  my ($handle, $layers) = @_;
  binmode $handle, $layers if length $layers;
  return;
}

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::Octets - use a program's handles for bytes

=head1 DESCRIPTION

C<PERL_UNICODE> and the pragma C<open> give sockets a layer C<:utf8>, on which C<sysread> and C<syswrite> die.
L<Authen::SASL::Rust::AuthLine> removes it during a login, L<Authen::SASL::Rust::Layer> permanently. Programs do not need this
module.

=head2 take

    $layers = Authen::SASL::Rust::Octets::take($handle)

Removes the character layers, and returns their names for C<put_back>.

=head2 put_back

    Authen::SASL::Rust::Octets::put_back($handle, $layers)

Restores the layers.

=cut
