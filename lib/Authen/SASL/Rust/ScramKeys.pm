package Authen::SASL::Rust::ScramKeys;

# Converts SCRAM keys between the form that programs see and the text of the core. Loaded when the callbacks scram_keys and
# keep_scram_keys are first used.

use strict;
use warnings;
use MIME::Base64 ();

our $VERSION = '1.0';

# SCRAM keys as the text that the core reads: a hash, several in an array, or such text. What is no keys becomes a text that the core
# refuses.
sub _text {
  my ($keys) = @_;
  return join "\n", map { _line($_) } ref $keys eq 'ARRAY' ? @$keys : $keys;
}

sub _line {
  my ($keys) = @_;
  return defined $keys ? $keys : '-' unless ref $keys;
  my @field =
    ref $keys eq 'HASH' && defined $keys->{salted_password} ? qw(salt salted_password) : qw(salt client_key server_key);
  return '-' if ref $keys ne 'HASH' || grep { !defined || ref } @{$keys}{ qw(mechanism iterations), @field };
  my @bytes =
    map { my $bytes = $_; utf8::downgrade($bytes, 1) ? MIME::Base64::encode_base64($bytes, '') : '-' } @{$keys}{@field};
  return join ' ', @{$keys}{qw(mechanism iterations)}, @bytes;
}

# SCRAM keys of the core, for keep_scram_keys.
sub _hash {
  my ($user, $text) = @_;
  my %keys = (user => $user, text => $text);
  @keys{qw(mechanism iterations salt client_key server_key)} = split / /, $text;
  $_ = MIME::Base64::decode_base64($_) for @keys{qw(salt client_key server_key)};
  return \%keys;
}

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::ScramKeys - SCRAM keys in place of a password

=head1 DESCRIPTION

Serves the callbacks C<scram_keys> and C<keep_scram_keys> (L<Authen::SASL::Rust::Callbacks>). Programs do not need this module.

=cut
