# What the Debian source package contains of other people's crates (dev/vendor, for the extension, the gateway and the plugin): every
# crate that is compiled has the text of a license, the checksum that its lock file has, and a place in debian/copyright.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use File::Temp qw(tempdir);
use JSON::PP qw(decode_json);
use Slurp qw(slurp);
use Test::More;

my $folder = tempdir(CLEANUP => 1);
is system("dev/vendor $folder gateway/Cargo.toml guest/Cargo.toml >$folder/said 2>&1"), 0, 'the crates are there' or diag slurp("$folder/said");

my %locked;
for my $file ('Cargo.lock', 'gateway/Cargo.lock', 'guest/Cargo.lock') {
  for my $entry (split /^\[\[package\]\]\n/m, slurp($file)) {
    my %value = $entry =~ /^(\w+) = "(.*)"$/gm;
    $locked{"$value{name}-$value{version}"} = $value{checksum} if $value{checksum};
  }
}
my @crates = map { s{.*/(.*)/\z}{$1}r } glob "$folder/vendor/*/";
is_deeply [sort @crates], [sort keys %locked], scalar(@crates) . ' crates, those of the lock files';
my (@changed, @unlicensed, @for_browsers);
for my $crate (@crates) {
  my $path = "$folder/vendor/$crate";
  push @changed, $crate if decode_json(slurp("$path/.cargo-checksum.json"))->{package} ne $locked{$crate};
  next if -e "$path/src/lib.rs" && slurp("$path/src/lib.rs") =~ /^compile_error!\("this crate was left out/m;
  push @unlicensed, $crate if !grep { m{/(?:licen[cs]e|copying|unlicense)[^/]*\z}i } glob "$path/*";
  push @for_browsers, $crate if $crate =~ /\A(?:web-sys|windows)/;
}
is_deeply \@changed, [], 'none has another checksum';
is_deeply \@unlicensed, [], 'each has the text of a license';
is_deeply \@for_browsers, [], 'none is for browsers or for Windows only';
is qx{grep -rlE 'The Internet Society \\(' $folder/vendor}, '', 'none contains text of an RFC, which may not be changed';

# A part of debian/copyright: its fields by name.
sub fields { return map { { /^([\w-]+):((?:.*\n?)(?:^ .*\n?)*)/gm } } split /\n\n+/, $_[0] }

my @owned = fields(scalar qx{packaging/crates-copyright $folder});
is $?, 0, 'the owners of all crates';
is_deeply [sort map { m{vendor/(\S+)/\*}g } map { $_->{Files} } @owned], [sort @crates], '... which stand once each';
is_deeply [grep { ($_->{Copyright} // '') !~ /\w/ } @owned], [], '... with owners';
my %text = map { s/\A +(.*)\n(?s:.*)\z/$1/r => 1 } map { $_->{License} // () } grep { !$_->{Files} } fields(slurp('packaging/debian/copyright'));
my %named = map { $_ => 1 } map { split /,? and | or / } map { s/\A +|\n\z//gr } map { $_->{License} } @owned;
cmp_ok scalar keys %named, '>', 5, scalar(keys %named) . ' licenses';
is_deeply [grep { !$text{$_} } sort keys %named], [], '... whose texts are there';

done_testing;
