# Every operation with plugins, in the main program and in a thread, under valgrind: no invalid access, and no leak in our code; leaks of a
# plugin are ignored (xt/plugins/leaks.t looks for growth). corosensei registers the stacks of the steps with valgrind, so no option is
# needed.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use Config;
use File::Spec ();
use File::Temp ();
use Test::More;

my $dir = File::Temp->newdir;
my $log = "$dir/log";
my $program = <<'PERL';
use strict;
use warnings;
use threads;
use Boundary::Plugins;
Boundary::Plugins::load();
sub all { $_->[1]->() for Boundary::Plugins::all(); return 'all ' }
print all(), threads->create(\&all)->join;
PERL

local $ENV{PERL5LIB} = join $Config{path_sep}, map { File::Spec->rel2abs($_) } grep { !ref } @INC;
open my $child, '-|', 'timeout', '300', 'valgrind', '--leak-check=full', '--show-leak-kinds=definite', '--num-callers=40',
  '--errors-for-leak-kinds=definite', "--log-file=$log", $^X, '-e', $program
  or die "valgrind: $!";
is join('', <$child>), 'all all ', 'everything was done';
close $child;
is $?, 0, 'the program ended well';

open my $file, '<', $log or die "$log: $!";
my $report = do { local $/; <$file> };
like $report, qr/ERROR SUMMARY/, 'valgrind has come to its end';
unlike $report, qr/switching stacks/, 'and knows the stacks';
s/^==\d+== ?//mg for $report;
my @blocks = grep { /^\s+(?:at|by) 0x/m } split /\n\s*\n/, $report;
my @wrong = grep { !/definitely lost/ } @blocks;
is scalar @wrong, 0, 'no wrong access anywhere' or diag join "\n\n", @wrong[0 .. ($#wrong > 4 ? 4 : $#wrong)];
my $allocated = qr{definitely lost.*\n(?:.*(?:alloc|strdup).*\n)+.*Authen/SASL/Rust/Rust\.so};
my @ours = grep { $_ =~ $allocated } @blocks;
is scalar @ours, 0, 'no leak with a stack frame of ours' or diag join "\n\n", @ours[0 .. ($#ours > 4 ? 4 : $#ours)];

done_testing;
