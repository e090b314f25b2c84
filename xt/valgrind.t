# Every kind of call, in the main program and in a thread, under valgrind: no invalid access, and no leak in our code. For the
# tests of t/ themselves, which take minutes, use dev/valgrind.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use lib 'xt/lib';
use Test::More;
use Valgrind::Report ();

# A release perl ignores PERL_DESTRUCT_LEVEL, but at the end of a thread's interpreter it frees everything, including each
# scalar that is still alive. So the calls run in a thread too, and leave connections in all states behind.
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

my $control = Valgrind::Report->of(60, '-e', q{my $short = 'a' x 20; my $long = unpack 'P4096', pack 'P', $short});
cmp_ok(scalar(grep { /^\s*Invalid read/m } $control->wrong), '>', 0, 'a wrong access would be seen');

my $report = Valgrind::Report->of(400, '-e', $program);
is($report->status, 0, 'the program ended well');
is($report->said, 'thread done', 'and did everything');
ok($report->is_whole, "valgrind's report is whole");
is_deeply([$report->wrong], [], 'no wrong access anywhere');
is_deeply([$report->lost_by_us], [], 'no leak with a stack frame of ours');
note scalar($report->lost) - $report->lost_by_us, ' blocks lost by perl itself';

done_testing;
