package Bench::Stage;
# Marks the parts of a case that is counted (Bench::Callgrind). As the measure of Bench::Handshakes it makes each stage of the
# handshakes a part, once it has a name.
use strict;
use warnings;

# callgrind dumps its counters here.
sub mark { my $parent = getppid }

sub new { bless {}, $_[0] }

# From now on the stages belong to this case, which does so many handshakes.
sub count {
  my ($self, $case, $handshakes) = @_;
  @$self{qw(case handshakes)} = ($case, $handshakes);
  return;
}

sub start { mark() if $_[0]{case}; return }

sub stop {
  my ($self) = @_;
  return unless $self->{case};
  mark();
  print "$self->{case}\thandshake\t$self->{handshakes}\n";
  return;
}

1;
