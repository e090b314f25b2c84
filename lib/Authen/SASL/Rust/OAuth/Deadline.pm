package Authen::SASL::Rust::OAuth::Deadline;

# HTTP::Tiny's timeout applies to each read and write, so that a server which sends one byte now and then could hold the program
# for hours. This object is given in its place: its numeric value is the time left until the deadline, never 0, which would mean
# "for ever".

use strict;
use warnings;
use Time::HiRes ();
use overload '0+' => \&left, bool => sub { 1 }, fallback => 1;

our $VERSION = '1.0';

sub new {
  my ($class, $seconds) = @_;
  my $end = Time::HiRes::time() + $seconds;
  return bless \$end, $class;
}

sub left {
  my ($self) = @_;
  my $left = $$self - Time::HiRes::time();
  return $left > 0.001 ? $left : 0.001;
}

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::OAuth::Deadline - the time left for a request

=head1 DESCRIPTION

The timeout that L<Authen::SASL::Rust::OAuth> gives to HTTP::Tiny. Programs do not need this module.

=cut
