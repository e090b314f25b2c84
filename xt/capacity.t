# The figures of docs/capacity.md and of the decision about busy polling are those of the recorded run.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;

is qx{dev/figures --check 2>&1}, '', 'the tables are made from bench/accounts.txt';
is $?, 0, '... all of them';

done_testing;
