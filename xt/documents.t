# The documents: correct and complete POD, and contents that agree with the code.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use Test::Pod ();
use Test::Pod::Coverage ();

sub slurp { my ($file) = @_; open my $in, '<:encoding(UTF-8)', $file or die "$file: $!"; local $/; return scalar <$in> }

my %module = (
  'Authen::SASL::Rust' => 'lib/Authen/SASL/Rust.pm',
  'Authen::SASL::Rust::Connection' => 'lib/Authen/SASL/Rust/Connection.pm',
  'Authen::SASL::Rust::ChannelBinding' => 'lib/Authen/SASL/Rust/ChannelBinding.pm',
  'Authen::SASL::Rust::Accounts' => 'lib/Authen/SASL/Rust/Accounts.pm',
  'Authen::SASL::Rust::Plugins' => 'lib/Authen/SASL/Rust/Plugins.pm',
  'Authen::SASL::Rust::Error' => 'lib/Authen/SASL/Rust/Error.pm',
  'Authen::SASL::Rust::OAuth' => 'lib/Authen/SASL/Rust/OAuth.pm',
  'Authen::SASL::Rust::OAuth::Verifier' => 'lib/Authen/SASL/Rust/OAuth/Verifier.pm',
  'Authen::SASL::Rust::OAuth::Error' => 'lib/Authen/SASL/Rust/OAuth/Error.pm',
);
my $sources = join '', map { slurp($_) } map { glob "$_/*.rs $_/*/*.rs $_/*/*/*.rs $_/*/*/*/*.rs" } 'src', 'tests', glob 'crates/*';
my $tests = $sources . join '', map { slurp($_) } glob('t/*.t t/vectors/*.txt xt/*.t xt/*/*.t');
my @pages = (glob('lib/Authen/SASL/Rust/*.pod'), map { "lib/Authen/SASL/Rust/$_.pm" } qw(AuthLine Layer));
my $manual = slurp($module{'Authen::SASL::Rust'});

for my $name (sort keys %module) {
  Test::Pod::pod_file_ok($module{$name});
  # Storable calls its hooks itself, as perl calls the methods of a tie.
  Test::Pod::Coverage::pod_coverage_ok($name, { also_private => [qr/\ASTORABLE_/] });
  is(system("podchecker -warnings $module{$name} >/dev/null 2>&1"), 0, "$name: podchecker has no warnings");
}

subtest 'the table of mechanisms' => sub {
  my %rank = $manual =~ /^    ([A-Z][A-Z0-9-]+) +(\d+)  (?:client|server) /mg;
  my @plain = grep { !/-(?:PLUS|EXPR|UNIQ|ENDP)\z/ } Authen::SASL::Rust->global_listmech;
  is_deeply([sort keys %rank], [sort @plain], 'has each mechanism');

  # Kerberos mechanisms need a realm: xt/kerberos tests them.
  for my $name (grep { /\AGS/ } @plain) {
    my ($order) = $sources =~ /\bdescribed\("\Q$name\E", (\d+)\)/;
    is($rank{$name}, $order, "rank of $name");
  }
  for my $name (grep { !/\AGS/ } @plain) {
    my $conn = Authen::SASL->new(mechanism => $name, callback => { user => 'u', pass => 'p', token => 't', ht_token => 't' })
      ->client_new('imap', 'h');
    is($rank{$name}, $conn->_order, "rank of $name");
    my ($first, $flags) = $manual =~ /^    \Q$name\E +\d+  (client|server) +(?:RFC \d+|draft|-) +((?:[padmnf] )+)/m;
    $conn->client_start;
    is($conn->property('message_absent') ? 'server' : 'client', $first, 'first to send');
    my %letter = (p => 'noplaintext', a => 'noactive', d => 'nodictionary', m => 'mutual_auth', n => 'noanonymous',
      f => 'forward_secrecy');
    my $satisfied = join '', map { "$_ " } grep {
      $conn->property(secflags => $letter{$_}, channel_binding_policy => 'allow');
      defined $conn->client_start;
    } qw(p a d m n f);
    is($flags, $satisfied, 'flags');
  }
};

for my $page (@pages) {
  Test::Pod::pod_file_ok($page);
  is(system("podchecker -warnings $page >/dev/null 2>&1"), 0, "$page: podchecker has no warnings");
}

# Tables are readable in a terminal of 80 columns. A table is a block of at least three lines with columns, and no code.
for my $page (map { glob } 'lib/Authen/SASL/*.pm', 'lib/Authen/SASL/Rust/*.p*', 'lib/Authen/SASL/Rust/*/*.p*', 'bin/*', 'docs/*.pod') {
  my ($pod) = slurp($page) =~ /^(=encoding .*|=head1 NAME.*)/ms or next;
  my @wide = grep { length > 78 } map { split /\n/ } grep { !/[;{]|->/ && 3 <= (() = /\S {2,}\S/g) } $pod =~ /^((?: {4}.*\n)+)/mg;
  is(join("\n", @wide), '', "$page: tables have at most 78 columns");
}

# A link points to an existing page and to one of its headings.
for my $from (sort values %module, @pages) {
  my $text = slurp($from);
  while ($text =~ m{L<(?:[^|>]*\|)?(?:(Authen::SASL::Rust[\w:]*)?(?:/([^>]+))?)>}g) {
    my ($page, $heading) = ($1, $2);
    next if !defined $page && !defined $heading;
    (my $file = defined $page ? "lib/$page" : $from) =~ s{::}{/}g;
    ($file) = grep { -e } "$file.pm", "$file.pod" if defined $page;
    ok($file && (!defined $heading || slurp($file) =~ /^=(?:head\d|item) \Q$heading\E$/m),
      "$from: " . join '/', map { defined ? $_ : '' } $page, $heading);
  }
}

subtest 'the table of errors' => sub {
  my %number = slurp($module{'Authen::SASL::Rust::Error'}) =~ /^    (SASL_[A-Z_]+) +(-?\d+) /mg;
  my %name = $sources =~ /Code::(\w+), "(SASL_\w+)"/g;
  my %code = map { /^ +(\w+) = (-?\d+),$/ && $name{$1} ? ($name{$1}, $2) : () } split /\n/, $sources;
  is_deeply(\%number, \%code, 'has each code with its number');
};

for my $file (qw(README.md CONTRIBUTING.md SECURITY.md), glob 'docs/*.md') {
  my $text = slurp($file);
  my ($folder) = $file =~ m{\A(.*/)};
  # What looks like a link in a program is none.
  my $prose = $text =~ s/^```.*?^```$//msgr;
  my @named = ((map { ($folder // '') . $_ } grep { !m{^https?:} } $prose =~ /\]\(([^)#]+)\)/g), $text =~ m{`([a-z]+/[\w./-]*)`}g);

  # Build products need not exist, nor files of other programs.
  ok(-e || -e "src/$_", "$file: $_ exists") for grep { !m{NAME|TARGET|/target/|^(?:vendor|target|release|conf)/} } @named;
}
# Somebody who uses another backend finds the way in two steps.
like(slurp('README.md'), qr{Authen::SASL::XS[^|]*\|[^|]*\(lib/Authen/SASL/Rust/Migration\.pod\)}, 'README.md leads to the migration');
like(slurp('lib/Authen/SASL/Rust/Migration.pod'), qr/^=head1 FROM Authen::SASL::$_$/m, "which has a section for $_") for qw(Perl XS Cyrus);
# The configuration in the guest's guide has options that the tests of these programs set.
{
  my $set = join '', map { slurp($_) } glob 'xt/lib/Server/*.pm xt/guest/*.t';
  my @parts = split /^```/m, slurp('docs/guest.md');
  my @blocks = grep { /\A\n/ } @parts[grep { $_ % 2 } 0 .. $#parts];
  my %option = map { $_ => 1 } map { /^([\w-]+)(?::| =| )/mg } @blocks;
  cmp_ok(scalar keys %option, '>', 10, 'docs/guest.md: options are found');
  ok($set =~ /^(?:sasl_)?\Q$_\E\b|[\\n"]\Q$_\E\b/m, "docs/guest.md: a test sets $_") for sort keys %option;
}
my %cve = map { $_ => 1 } slurp('SECURITY.md') =~ /CVE-(\d+-\d+)/g;
my %tried = map { tr/_/-/r => 1 } map { /cve_(\d+_\d+)/g } $sources =~ /^\s*fn (cve_\w+)/mg;
is_deeply([grep { !$cve{$_} } sort keys %tried], [], 'SECURITY.md has each attack that a test is named for');
for my $number (sort keys %cve) {
  (my $pattern = $number) =~ s/-/[-_]/;
  ok(scalar($tests =~ /CVE[-_]$pattern\b/i), "CVE-$number has its test");
}
my ($changes) = slurp('Changes') =~ /^(\d\S*)/m;
is($changes, Authen::SASL::Rust->VERSION, 'Changes begin with this version');

for my $file (sort values %module) {
  is(`perltidy -pro=.perltidyrc -st $file | diff $file -`, '', "$file: perltidy does not change it");
}

done_testing;
