package Bench::Recorded;
# The table of recorded counts, bench/instructions.txt. Its first lines name the toolchain of the core's counts and that of the
# counts through Perl, which depend on both.
use strict;
use warnings;

# The largest difference from a recorded count, relative to it.
use constant TOLERANCE => 0.03;

my $HEAD = <<'HEAD';
# Instructions per unit. `dev/bench --instructions` compares its counts with this table if the toolchain is the same, and
# `dev/bench --instructions --write` writes it. See bench/README.md.
HEAD

# The name of a case { part, case, unit, count }.
sub name { "$_[0]{part}: $_[0]{case}, per $_[0]{unit}" }

# If there is no file, nothing is recorded.
sub read_from {
  my ($class, $file) = @_;
  my $self = bless { toolchain => {}, count => {} }, $class;
  open my $table, '<', $file or return $self;
  while (<$table>) {
    next if /^#|^\s*$/;
    if    (/^\s*([1-9]\d*)  (.+)$/)       { $self->{count}{$2} = $1 }
    elsif (/^toolchain of (\w+): (.+)$/) { $self->{toolchain}{$1} = $2 }
    else                                 { die "$file, line $.: not a toolchain and not a count\n" }
  }
  return $self;
}

sub write_to {
  my ($class, $file, $toolchain, @cases) = @_;
  open my $table, '>', $file or die "$file: $!\n";
  print $table $HEAD, "\n", map({ "toolchain of $_: $toolchain->{$_}\n" } sort keys %$toolchain), "\n";
  printf $table "%10.0f  %s\n", $_->{count}, name($_) for @cases;
  close $table or die "$file: $!\n";
  return;
}

sub toolchain { $_[0]{toolchain}{ $_[1] } }
sub names { sort keys %{ $_[0]{count} } }

# True if the table is of this toolchain. The core does the work of the Perl cases, so its toolchain counts for them too.
sub is_of {
  my ($self, $part, $toolchain) = @_;
  return 0 if $part ne 'core' && !$self->is_of('core', $toolchain);
  my $known = $self->{toolchain}{$part};
  return defined $known && $known eq $toolchain->{$part} ? 1 : 0;
}

# Returns { name, count, recorded, deviation, judged, fault } for each case, and for each recorded one that was not counted. Only
# cases of the table's toolchain are judged, and only those can have a fault.
sub judge {
  my ($self, $toolchain, @cases) = @_;
  my (@rows, %counted);
  for my $case (@cases) {
    my ($name, $count) = (name($case), $case->{count});
    my ($recorded, $judged) = ($self->{count}{$name}, $self->is_of($case->{part}, $toolchain));
    my $deviation = defined $recorded ? $count / $recorded - 1 : undef;
    my $fault = !$judged ? undef
      : !defined $recorded ? 'NOT RECORDED'
      : $deviation > TOLERANCE ? 'MORE'
      : $deviation < -TOLERANCE ? 'LESS'
      : undef;
    push @rows, { name => $name, count => $count, recorded => $recorded, deviation => $deviation, judged => $judged, fault => $fault };
    $counted{$name} = 1;
  }
  for my $name (grep { !$counted{$_} } $self->names) {
    my $judged = $name =~ /^(\w+):/ && $self->is_of($1, $toolchain);
    push @rows, { name => $name, recorded => $self->{count}{$name}, judged => $judged, fault => $judged ? 'NOT COUNTED' : undef };
  }
  return @rows;
}

1;
