# The core and the crates below the Perl binding know no Perl: their error texts name no callback, method or other word of its
# interface. crates/perl/src/names.rs adds these names.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use lib 'xt/lib';
use File::Find ();
use Slurp qw(slurp);
use Test::More;

# Strings of a file outside comments and tests.
sub strings_of {
  my ($text) = @_;
  $text =~ s/^\#\[cfg\(test\)\]\n(?:pub(?:\(super\))? )?mod \w+ \{.*//ms;
  my @found;
  push @found, $1 while $text =~ m{//[^\n]*|/\*.*?\*/|b?'(?:[^'\\]|\\.[^']*)'|[bc]?"((?:[^"\\]|\\.)*)"}gs;
  return grep { defined } @found;
}

my $perl = qr/\b(?:callbacks?|getsecret|checkpass|checktoken|canonuser|(?:client|server)_(?:new|start|step))\b|\bproperty (?:tls|maxout)\b/;

is_deeply([strings_of(qq{f("a \\" b"); // "no"\n'"'; g(b"c")\n#[cfg(test)]\nmod tests { "no" }\n})], ['a \\" b', 'c'], 'strings are found');
like('the password (callback pass)', $perl, 'Perl is found');

my @files;
my $keep = sub { push @files, $_ if /\.rs\z/ && !m{/tests?(?:/|\.rs\z)|_tests\.rs\z} };
File::Find::find({ wanted => $keep, no_chdir => 1 }, 'src', map { "crates/$_/src" } qw(accounts cyrus-host kerberos));
cmp_ok(scalar @files, '>', 100, 'files');

my %found;
for my $file (@files) {
  my @perl = grep { $_ =~ $perl } strings_of(slurp($file));
  $found{$file} = \@perl if @perl;
}
is_deeply(\%found, {}, 'none of their strings names Perl');

done_testing;
