package Bench::Callgrind;
# Counts the instructions of a program. callgrind dumps its counters before each call of getppid(2), and the program makes
# such a call before and after each part that is counted. For each part it prints a line: the case, the unit, and the number
# of units that the case does, separated by tabs. The parts of a case are added up.
use strict;
use warnings;

# Runs the command; the dumps get this name in the directory. Returns the cases in order, each with `case`, `unit`, `count`
# (instructions per unit) and `dumps`, and the other lines that the program printed.
sub count {
  my ($folder, $name, @command) = @_;
  # Dumps of an earlier run, which may have been more.
  unlink glob "$folder/$name $folder/$name.*";
  # The order of perl's hashes and the environment would change the counts.
  my @places = map { defined $ENV{$_} ? ($_ => $ENV{$_}) : () } qw(PATH PERL5LIB LD_LIBRARY_PATH);
  local %ENV = (@places, LC_ALL => 'C', PERL_HASH_SEED => 0, PERL_PERTURB_KEYS => 0);
  my @valgrind = ('valgrind', '--tool=callgrind', '--dump-before=getppid', "--callgrind-out-file=$folder/$name", "--log-file=$folder/$name.log");
  open my $program, '-|', @valgrind, @command or die "valgrind cannot be run: $!\n";
  my (@cases, %seen, @others);
  my $dump = 0;
  while (my $line = <$program>) {
    chomp $line;
    my ($case, $unit, $amount) = split /\t/, $line;
    if (!defined $amount) { push @others, $line; next }
    # The dump before it belongs to what was done between two parts.
    $dump += 2;
    my $c = $seen{"$case\t$unit"} ||= do { push @cases, { case => $case, unit => $unit, count => 0, dumps => [] }; $cases[-1] };
    push @{ $c->{dumps} }, "$name.$dump";
    $c->{count} += total("$folder/$name.$dump") / $amount;
  }
  close $program or die "$command[-1] failed under valgrind: " . log_of("$folder/$name.log") . "\n";
  # The last dump, without a number, is made at the end of the program.
  die "$command[-1]: the number of calls of getppid does not match the printed lines\n" if -e "$folder/$name." . ($dump + 1) || !-e "$folder/$name";
  return (\@cases, \@others);
}

sub total {
  my ($file) = @_;
  open my $dump, '<', $file or die "$file: $! (the program printed a line without a call of getppid)\n";
  while (<$dump>) { return $1 if /^totals: (\d+)/ }
  die "$file has no totals\n";
}

sub log_of {
  my ($file) = @_;
  open my $log, '<', $file or return "no log: $!";
  my @last = grep { defined } (<$log>)[-5 .. -1];
  return join '', "\n", @last;
}

1;
