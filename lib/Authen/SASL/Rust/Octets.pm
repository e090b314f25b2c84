package Authen::SASL::Rust::Octets;

# A handle that a program gives us is used as bytes. PERL_UNICODE and the pragma open give sockets a layer :utf8 that the
# program did not mean for a protocol, and on which sysread and syswrite die.

use strict;
use warnings;

# Takes the layers of characters away; gives their names, for put_back. A tied handle (TLS) does its own reading.
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

# Puts back what take has taken.
sub put_back {
  my ($handle, $layers) = @_;
  binmode $handle, $layers if length $layers;
  return;
}

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::Octets - handles that a program gives are used as bytes

=head1 DESCRIPTION

C<PERL_UNICODE> and the pragma C<open> give sockets a layer C<:utf8>, on which C<sysread> and C<syswrite> die.
L<Authen::SASL::Rust::AuthLine> takes it away while it logs in, L<Authen::SASL::Rust::Layer> for good. A program has no use for
this module.

=head2 take

    $layers = Authen::SASL::Rust::Octets::take($handle)

Takes the layers of characters away, and returns them for C<put_back>.

=head2 put_back

    Authen::SASL::Rust::Octets::put_back($handle, $layers)

Puts them back.

=cut
