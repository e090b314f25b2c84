# Unsafe code occurs only where docs/unsafe.md lists it, in the listed number, and each block has a reason.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use lib 'xt/lib';
use File::Find ();
use Test::More;
use RustCode qw(code_of);
use Slurp qw(slurp);

# Files that may have unsafe code.
my $allowed = qr{\A(?:crates/(?:perl|cyrus-host|saslplug)/src/|crates/kerberos/src/gssapi/|guest/src/)};

# Counts blocks, functions, implemented traits, and foreign items.
sub unsafe_in {
  my ($text) = @_;
  my $code = code_of($text);
  my %count = (blocks => 0, functions => 0, implementations => 0);
  $count{blocks}++ while $code =~ /\bunsafe\s*\{/g;
  $count{functions}++ while $code =~ /\bunsafe\s+(?:extern\s+)?fn\s+\w/g;
  $count{implementations}++ while $code =~ /\bunsafe\s+impl\b/g;
  return \%count;
}

is_deeply(
  unsafe_in(
    qq{// unsafe { }\n"unsafe { }"; /* unsafe fn x */ r#"unsafe impl"#; '"'; unsafe { }; unsafe extern "C" fn f() {}\n}
      . "type F = unsafe extern fn(u8);\nunsafe impl Send for X {}\n"
  ),
  { blocks => 1, functions => 1, implementations => 1 },
  'comments, strings and types do not count'
);

my @files;
File::Find::find({ no_chdir => 1, wanted => sub { push @files, $_ if /\.rs\z/ } }, grep { -d } 'src', 'crates', 'guest/src');
my (@rows, @wrong);
my %total = (blocks => 0, functions => 0, implementations => 0);
for my $file (sort @files) {
  my $count = unsafe_in(slurp($file));
  my $sum = $count->{blocks} + $count->{functions} + $count->{implementations} or next;
  push @wrong, $file if $file !~ $allowed;
  push @rows, "| `$file` | $count->{blocks} | $count->{functions} | $count->{implementations} |";
  $total{$_} += $count->{$_} for keys %total;
}
push @rows, "| all | $total{blocks} | $total{functions} | $total{implementations} |";
is_deeply(\@wrong, [], 'only at the borders');
cmp_ok(scalar @rows, '>', 5, 'files are found');

# perl xt/unsafe.t --write brings the table up to date.
my $document = 'docs/unsafe.md';
my $text = slurp($document);
my $table = qr/^(?:\| (?:`(?:guest|crates)\/|`src\/|all ).*\|\n)+/m;
if (@ARGV && $ARGV[0] eq '--write') {
  $text =~ s/$table/join '', map { "$_\n" } @rows/e;
  open my $out, '>', $document or die "$document: $!";
  print {$out} $text;
  close $out or die "$document: $!";
}
my ($listed) = $text =~ /($table)/;
is($listed, join('', map { "$_\n" } @rows), "$document lists what there is (else: perl xt/unsafe.t --write)");

# The gateway has none, which the compiler enforces; for the core, clippy enforces that each block has a reason.
for my $said (
  ['gateway/Cargo.toml', 'unsafe_code = "forbid"'], ['Cargo.toml', 'unsafe_code = "deny"'],
  ['Cargo.toml', 'undocumented_unsafe_blocks = "deny"'], ['guest/Cargo.toml', 'unsafe_code = "deny"'],
  ['guest/Cargo.toml', 'undocumented_unsafe_blocks = "deny"']
  )
{
  my ($file, $line) = @$said;
  like(slurp($file), qr/^\Q$line\E$/m, "$file has $line");
}

done_testing;
