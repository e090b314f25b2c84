# The C interfaces: the core defines exactly what the header declares, and no panic leaves a function.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use lib 'xt/lib';
use Slurp qw(slurp);
use Test::More;

# Functions with their parameters and bodies. rustfmt puts the end of a body at the start of a line.
sub functions {
  my ($text) = @_;
  my %found;
  while ($text =~ /\bextern "C" fn (\w+)(?:<\w+>)?\((.*?)\)(?: -> [^{]+)? \{\n(.*?)^\}/gms) {
    my ($name, $parameters, $body) = ($1, $2, $3);
    $body =~ s{//[^\n]*}{}g;
    $found{$name} = { count => scalar(() = $parameters =~ /\w: /g), body => $body };
  }
  return %found;
}

# The calls that catch a panic: shielded itself, and functions that use it.
my $SHIELD = qr/\bshielded\(|\b(?:handle|accounts)\.(?:run|say)\(|\bguarded\(|\bConnection::<\w+>::step\(/;

sub bare { my (%function) = @_; return sort grep { $function{$_}{body} !~ $SHIELD } keys %function }

my %control = functions(qq{pub extern "C" fn one(a: i32) {\n    work(a); // shielded(\n}\n}
    . qq{pub unsafe extern "C" fn two(\n    a: i32,\n    b: u8,\n) -> i32 {\n    shielded(0, || work(a, b))\n}\n});
is_deeply([bare(%control)], ['one'], 'a function without a shield would be found');
is($control{two}{count}, 2, 'parameters are counted');

my %defined = map { functions(slurp($_)) } glob 'crates/perl/src/*.rs';
cmp_ok(scalar keys %defined, '>=', 70, scalar(keys %defined) . ' functions');
is_deeply([bare(%defined)], [], 'each catches the panics of what it does');
my %guest = map { my %of = functions(slurp($_)); my $file = $_; map { ("$file $_" => $of{$_}) } keys %of } glob 'guest/src/*.rs';
cmp_ok(scalar keys %guest, '>', 10, scalar(keys %guest) . ' functions of the guest');
is_deeply([bare(%guest)], [], 'each of them, too');
like(slurp('guest/src/connection.rs'), qr/\bfn step<[^{]*\{\s*shielded\(/, 'so does the common head of their mech_step');

my ($header) = map { s{/\*.*?\*/}{}gsr } slurp('crates/perl/src/ffi.h');
my %declared;
while ($header =~ /\b(asr_\w+)\(([^)]*)\);/g) {
  my ($name, $parameters) = ($1, $2);
  $declared{$name} = $parameters eq 'void' ? 0 : scalar(() = $parameters =~ /,/g) + 1;
}
is_deeply(\%declared, { map { $_ => $defined{$_}{count} } keys %defined }, 'the header declares them, with as many parameters');

# In any order and with any bytes, by the fuzz targets.
my %fuzzed;
for my $text (map { slurp($_) } glob 'fuzz/src/*.rs fuzz/fuzz_targets/*.rs') {
  $fuzzed{$1} = 1 while $text =~ /(?<!fn )\b(asr_\w+)\(/g;
}
is(join(' ', grep { !$fuzzed{$_} } sort keys %declared), '', 'a fuzz target calls each of them');

done_testing;
