# The account stores through Debian's auxprop plugins (cyrus_accounts.rs and cyrus_ldapdb.rs in crates/cyrus-host/tests/) under valgrind: our code
# reads no uninitialized memory and leaks none. Errors of the plugins in their own memory are ignored: sql compares bytes of its
# buffers before it fills them, and ldapdb leaks the result of a failed search.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use File::Temp ();
use Test::More;

my $dir = File::Temp->newdir;

for my $name (qw(cyrus_accounts cyrus_ldapdb)) {
  my $said = `cargo test --quiet --locked --package authen-sasl-cyrus-host --test $name --no-run --message-format=json 2>/dev/null`;
  my ($program) = $said =~ /"executable":"([^"]+)"/ or die "cargo names no program of $name\n";
  my $log = "$dir/$name";
  my $tests = `timeout 300 valgrind --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \\
    --num-callers=40 --log-file=$log $program --test-threads=1 2>&1`;
  like $tests, qr/test result: ok\. [1-9][0-9]* passed; 0 failed/, "$name: its tests passed" or diag $tests;

  open my $file, '<', $log or die "$log: $!";
  my $report = do { local $/; <$file> };
  like $report, qr/ERROR SUMMARY/, 'valgrind has come to its end';
  s/^==\d+== ?//mg for $report;
  my @ours;
  for my $block (grep { /^\s+(?:at|by) 0x/m } split /\n\s*\n/, $report) {
    my ($what) = split /Uninitialised value was created/, $block;
    # The frames from the top: does one of ours come before one of a plugin or of the loader?
    my ($whose) = $what =~ m{(authen_sasl_\w+|memfd:sasl-plugin|\(dl-(?:open|object|load)\.c:)};
    push @ours, $block if !$whose || $whose =~ /\Aauthen_sasl_/;
  }
  is scalar @ours, 0, 'every complaint is about a plugin, or the loader'
    or diag join "\n\n", grep { defined } @ours[0 .. 4];
}

done_testing;
