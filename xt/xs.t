# Each function of the XS part takes the interpreter (pTHX). Whether a function or macro of perl needs it differs between
# versions: foldEQ only needs it since 5.40, so a function without it compiled on older perls.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;

# The functions in C code that do not take the interpreter as their first argument.
sub without_interpreter {
  my ($text) = @_;
  $text =~ s{/\*.*?\*/}{}gs;
  return grep { defined } map { /^static\s[^(;={]*?(\w+)\s*\((?!pTHX_?\s|pTHX\))[^;{]*\)\s*\{/ ? $1 : undef } split /\n(?=\S)/, $text;
}

is_deeply(
  [without_interpreter("static int a(pTHX_ SV *sv) {\n  b(1);\n}\n\nstatic void c(SV *sv) {\n}\nstatic SV *d(void) {\n}\n")],
  [qw(c d)], 'functions without it are found'
);
is_deeply([without_interpreter("static int a(pTHX) {\n}\nstatic MGVTBL b = { NULL };\nstatic int c(int);\n")], [], 'and no others');

my ($functions, @without) = 0;
for my $file ('lib/Authen/SASL/Rust.xs', glob 'xs/*.h xs/*.xs') {
  open my $in, '<', $file or die "$file: $!";
  my $text = do { local $/; <$in> };
  $functions++ while $text =~ /^static .*\bpTHX/mg;
  push @without, map { "$file: $_" } without_interpreter($text);
}
cmp_ok($functions, '>', 30, "$functions functions take the interpreter");
is_deeply(\@without, [], 'and there are no others');

done_testing;
