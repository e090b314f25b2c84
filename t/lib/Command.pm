package Command;

# Programs that a test runs in processes of their own, with all that they read and write.

use strict;
use warnings;
use Exporter   qw(import);
use File::Temp qw(tempdir);

our @EXPORT_OK = qw(installed run start);

my $SECONDS = 60;
my $folder = tempdir(CLEANUP => 1);
my $number = 0;

# The command of a program with this perl and the libraries of this test.
sub with_perl { return ($^X, (map { "-I$_" } grep { !ref } @INC), @_) }

# The command of a program of this distribution: the built one, if there is one.
sub installed {
  my ($name) = @_;
  return with_perl(-e "blib/script/$name" ? "blib/script/$name" : "bin/$name");
}

# Starts a program with that standard input. A program that hangs is ended by its alarm.
sub start {
  my ($input, @command) = @_;
  my $self = bless { files => "$folder/" . ++$number }, __PACKAGE__;
  open my $out, '>:raw', "$self->{files}.in" or die "$self->{files}.in: $!";
  print $out $input;
  close $out or die "$self->{files}.in: $!";
  $self->{pid} = fork // die "fork: $!";
  return $self if $self->{pid};
  open STDIN, '<', "$self->{files}.in" and open STDOUT, '>', "$self->{files}.out" and open STDERR, '>', "$self->{files}.err" or die;
  alarm $SECONDS;
  exec @command or die "$command[0]: $!";
}

# Waits for its end; returns its status as in $?, its output and its errors.
sub finish {
  my ($self) = @_;
  waitpid $self->{pid}, 0;
  my @result = ($?, map { slurp("$self->{files}.$_") } qw(out err));
  unlink map { "$self->{files}.$_" } qw(in out err);
  return @result;
}

# The same for a program that need not run beside the test.
sub run { return start(@_)->finish }

sub slurp {
  my ($name) = @_;
  open my $in, '<:raw', $name or die "$name: $!";
  local $/;
  return scalar <$in>;
}

1;
