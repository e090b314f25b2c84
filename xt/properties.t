# The manual's descriptions of properties agree with the core's table of options: names, ranges, defaults, and what cannot be read.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);

sub client {
  my ($options, $service) = @_;
  my $sasl = Authen::SASL->new(mechanism => 'PLAIN', callback => { user => 'u', pass => 'p' });
  return $sasl->client_new(defined $service ? $service : '', '', $options);
}

my @options = split ' ', Authen::SASL::Rust::_option_names();
my $default = client();

# The description of each property that can be set, in the manual.
my $manual = do {
  open my $in, '<:encoding(UTF-8)', 'lib/Authen/SASL/Rust/Connection.pm' or die "Connection.pm: $!";
  local $/;
  <$in>;
};
my ($tables) = $manual =~ /^=head1 PROPERTIES\n(.*?)^=head2 Results /ms;
my %text;
while ($tables =~ /((?:^=item \w+\n\n)+)(.*?)(?=^=)/msg) {
  my ($items, $text) = ($1, $2);
  $text =~ s/[A-Z]<+ ?(.*?) ?>+/$1/g;
  $text =~ s/\s+/ /g;
  $text{$_} = $text for $items =~ /(\w+)$/mg;
}
my %core = map { $_ => 1 } @options;
is_deeply([grep { !exists $text{$_} } @options], [], 'each option of the core is in the manual');
for my $name (grep { !$core{$_} } sort keys %text) {
  eval { client({ $name => undef }) };
  unlike($@, qr/unknown option/, "$name is known to Perl");
}

# What an option of the core may be, in the words of its error; undef if any text will do.
sub range_of {
  my ($name) = @_;
  for my $wrong ('-1', '') {
    return $1 if !eval { client({ $name => $wrong }); 1 } && $@ =~ /\Q$name\E: (.+) was expected/;
  }
  return undef;
}

my $ranges = 0;
for my $name (@options) {
  my $range = range_of($name);
  next if !defined $range;
  $ranges++;
  if ($range =~ /\Aa number from (\d+) to (\d+)\z/) {
    my ($least, $most) = ($1, $2);
    like($text{$name}, qr/\b$least to $most\b/, "the manual tells the range of $name")
      if $least > 1 || $most < 2**32 - 1;
  }
  elsif ($range =~ /,/) {
    like($text{$name}, qr/\b$_\b/, "$name: $_ is in the manual") for grep { $_ ne 'or' } $range =~ /(\w+)/g;
  }
  elsif ($range =~ /\d/) {
    like($text{$name}, qr/\b\Q$range\E\b/, "the manual tells the range of $name");
  }
}
cmp_ok($ranges, '>=', 12, 'options with a range are found');

for my $name (grep { $core{$_} } sort keys %text) {
  my ($least, $most) = $text{$name} =~ /\b(\d+) to (\d+)\b/ or next;
  my $conn = client();
  for my $value ($least, $most) {
    $conn->property($name => $value);
    is($conn->property($name), $value, "$name takes $value");
  }
  my $taken = eval { $conn->property($name => $most + 1); 1 };
  is($conn->property($name), $most, "$name never is above $most");
  like($text{$name}, qr/above the range: $most\b/, 'the manual tells what happens above the range') if $taken;
}

my ($services) = $tables =~ /programs know no security layer \(([\w\s-]+), and no service name\)/;
my @without_layers = split ' ', $services;
cmp_ok(scalar @without_layers, '>', 10, 'services whose programs know no layer are found');
sub most_of { return client({}, @_)->property('maxssf') }
is(most_of($_), 0, "maxssf of '$_'") for '', @without_layers;
is(most_of($_), 4294967295, "maxssf of '$_'") for qw(ldap imaps other);

my $defaults = 0;
for my $name (@options) {
  my $value = $default->property($name);
  if ($text{$name} =~ /\bdefault (\d+|allow)\b/) {
    $defaults++;
    is($value, $1, "the default of $name");
  }
  elsif (defined $value && $value =~ /\A[1-9]/) {
    fail("the manual does not tell the default of $name, $value");
  }
}
cmp_ok($defaults, '>=', 9, 'defaults are found');

for my $name (@options) {
  my ($conn, $taken) = client();
  for my $value ('5000', 'allow', 'noanonymous', 'sixteen bytes at least', 'SCRAM-SHA-512') {
    $taken = $value, last if eval { $conn->property($name => $value); 1 };
  }
  ok(defined $taken, "$name takes a value");
  is(
    !defined $conn->property($name), scalar($text{$name} =~ /cannot be read/),
    "$name: it can be read or the manual tells"
  );
  $conn->property($name => undef);
  is($conn->property($name), $default->property($name), "$name: undef restores the default");
}

done_testing;
