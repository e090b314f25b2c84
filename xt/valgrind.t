# Every kind of call, in the main program and in a thread, under valgrind: no wrong access, and nothing lost that was ours.

use strict;
use warnings;
use lib 'xt/lib';
use Config;
use File::Spec;
use File::Temp ();
use Test::More;

my $dir = File::Temp->newdir;
my $log = "$dir/log";

# A release perl reads PERL_DESTRUCT_LEVEL not at all, but ends a thread's interpreter by freeing everything, each scalar
# that is still alive included. So the calls run there too, with connections of all ages left behind.
my $program = <<'PERL';
use strict;
use warnings;
use threads;
use Boundary::Calls;
our @left;
sub all {
  my @all = Boundary::Calls::all();
  my $called = 0;
  for my $call (@all) { $call->[1]->(); $called++ }
  die 'not all were called' if $called != @all;
  my $later;
  my $conn = Boundary::Calls::server('PLAIN', checkpass => sub { $later = $_[2]; return });
  $conn->server_start("\0fred\0x", sub { $conn });
  push @left, Boundary::Calls::client('PLAIN', user => 'fred', pass => 'x'), \$later;
  push @left, my $half = Boundary::Calls::client('SCRAM-SHA-256', user => 'fred', pass => sub { 'x' });
  $half->client_start;
}
all();
print threads->create(sub { all(); return 'thread ' })->join;
print 'done';
PERL

local $ENV{PERL_DESTRUCT_LEVEL} = 2;
local $ENV{PERL5LIB} = join $Config{path_sep}, map { File::Spec->rel2abs($_) } grep { !ref } @INC;
my @valgrind = ('valgrind', '--error-exitcode=0', '--leak-check=full', '--show-leak-kinds=definite', '--num-callers=40',
  '--errors-for-leak-kinds=definite', "--log-file=$log");

sub run {
  my ($code) = @_;
  my $pid = open(my $child, '-|') // die "fork: $!";
  if (!$pid) {
    exec 'timeout', '300', @valgrind, $^X, '-e', $code or die "exec: $!";
  }
  local $/;
  my $text = <$child>;
  close $child;
  open my $file, '<', $log or die "valgrind left no log: $!";
  my $report = <$file>;
  return ($text, $?, $report);
}

# The report's blocks; each begins with what was found, followed by the stack.
sub blocks {
  my ($report) = @_;
  s/^==\d+== ?//mg for $report;
  return grep { /^\s+(?:at|by) 0x/m } split /\n\s*\n/, $report;
}

my (undef, undef, $control) = run(q{my $short = 'a' x 20; my $long = unpack 'P4096', pack 'P', $short});
like($control, qr/^==\d+== Invalid read/m, 'a wrong access would be seen');

my ($text, $status, $report) = run($program);
is($status, 0, 'the program ended well');
is($text, 'thread done', 'and did everything');
like($report, qr/ERROR SUMMARY: /, "valgrind's report is whole");
my @blocks = blocks($report);
my @lost = grep { /definitely lost/ } @blocks;
my @wrong = grep { !/definitely lost/ } @blocks;
is(scalar @wrong, 0, 'no wrong access anywhere') or diag join "\n\n", @wrong[0 .. ($#wrong > 4 ? 4 : $#wrong)];
my @ours = grep { m{Authen/SASL/Rust/Rust\.so} } @lost;
is(scalar @ours, 0, 'nothing lost below a frame of ours') or diag join "\n\n", @ours[0 .. ($#ours > 4 ? 4 : $#ours)];
note scalar(@lost) - @ours, ' blocks lost by perl itself';

done_testing;
