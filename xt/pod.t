# Every file with POD has correct POD, and every module has POD.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Test::Pod ();

my @modules = Test::Pod::all_pod_files('lib');
cmp_ok(scalar @modules, '>=', 3, 'the modules are found');
for my $file (@modules) {
  next if $file !~ /\.pm\z/;
  open my $in, '<', $file or die "$file: $!";
  ok(scalar(grep { /^=head1 NAME$/ } <$in>), "$file has POD");
}
Test::Pod::pod_file_ok($_) for @modules, Test::Pod::all_pod_files(grep { -d } qw(bin eg bench t xt));

done_testing;
