# What the Debian source package contains of other people's crates (dev/vendor, for the extension, the gateway and the plugin): every
# crate that is compiled has the text of a license, and the checksum that its lock file has.

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

done_testing;
