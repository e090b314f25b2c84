# How the extension is linked: every symbol is resolved when it is loaded, and the resulting tables are read-only afterwards.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;

plan skip_all => 'ELF alone has these' unless $^O eq 'linux';

my ($object) = glob 'blib/arch/auto/Authen/SASL/Rust/Rust.so';
BAIL_OUT('the extension is missing; build first') unless defined $object && -s $object;
my $dynamic = qx{LC_ALL=C readelf -dW '$object'};
is($?, 0, 'readelf reads it');
like($dynamic, qr/\((?:FLAGS|BIND_NOW)\).*\bBIND_NOW\b|\(BIND_NOW\)/, 'BIND_NOW');
my $segments = qx{LC_ALL=C readelf -lW '$object'};
like($segments, qr/^\s*GNU_RELRO\s/m, 'RELRO');
like($segments, qr/^\s*GNU_STACK\s.*\sRW\s/m, 'the stack holds no code');
unlike($segments, qr/^\s*LOAD\s.*\sRWE\s/m, 'no memory is both written and run');
unlike($dynamic, qr/\(TEXTREL\)/, 'and no code is changed by the loader');

done_testing;
