# Configuration files are read as libsasl2 reads them: the same options from the same text, in the same directory.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL::Rust::Accounts;
use File::Temp qw(tempdir);
use Peer::Compiler ();

my $libsasl2 = Peer::Compiler->build('cyrus-options', 'sasl2');
my $folder = tempdir(CLEANUP => 1);
my @OPTIONS = qw(a b x-y x_y mech_list pwcheck_method sasldb_path);
my $CONFIGERR = -100;

sub write_conf {
  my ($path, $text) = @_;
  open my $out, '>:raw', $path or die "$path: $!";
  print $out $text;
  close $out or die "$path: $!";
  return;
}

# What libsasl2 finds in the directories of the environment: options, and the result.
sub theirs {
  my ($service) = @_;
  open my $in, '-|', $libsasl2, '-', $service, @OPTIONS or die "cannot run it: $!";
  my @lines = <$in>;
  close $in;
  chomp(my $outcome = pop @lines);
  return ($outcome, { map { /\A([^=]+)=(.*)\n\z/ } @lines });
}

sub ours {
  my ($service) = @_;
  my %found = eval { Authen::SASL::Rust::Accounts->configuration($service) };
  return ($@ ? $@ =~ /\((SASL_\w+)\)$/ : 0, { map { exists $found{$_} ? ($_ => $found{$_}) : () } @OPTIONS });
}

$ENV{SASL_CONF_PATH} = "$folder/none:$folder/first:$folder/second";
mkdir "$folder/$_" or die $! for qw(first second);

my @good = (
  "", "a: 1\nb:2\n", "A: 1\n", " a: 1 2 \t \n", "# a: 1\n  # x\nb: 2 # c\n", "a: 1\na: 2\nA: 3", "a: 1",
  "a: 1\r\nb: 2\r\n",
  "x-y: 1\nx_y: 2\n", "\n\n\t\na: 1\n", qq(a: "1"\n), "a:\t1\n", "b: 1\f\n",
  "mech_list: PLAIN LOGIN\npwcheck_method: saslauthd\n",
  "sasldb_path: /x:y\n", "# nothing yet\n", "# f\xfcr imap\na: 1\n", "a: 1\n \t# \xff\xfe\nb: 2\n", 'a: ' . 'x' x 4000 . "\nb: 1\n",
);
my @wrong = ("a:\n", "a: \nb: 2\n", "a : 1\n", "a.b: 1\n", "a: 1\nrubbish\nb: 2\n", "a: 1\\\n2\n",
  'a: ' . 'x' x 5000 . "\nb: 1\n");
for my $text (@good, @wrong) {
  write_conf("$folder/first/app.conf", $text);
  my ($outcome, $theirs) = theirs('app');
  my ($error, $ours) = ours('app');
  (my $shown = substr $text, 0, 40) =~ s/([^ -~])/sprintf '\x%02x', ord $1/ge;
  is($error, $outcome == $CONFIGERR ? 'SASL_CONFIGERR' : $outcome, "'$shown': the outcome");
  is_deeply($ours, $outcome ? {} : $theirs, 'and the options');
}
is((theirs('app'))[0], $CONFIGERR, 'a wrong one is wrong for libsasl2');

write_conf("$folder/second/app.conf", "a: second\n");
is_deeply([ours('app')], ['SASL_CONFIGERR', {}], 'a wrong file is not passed over');
is_deeply([theirs('app')], [$CONFIGERR, {}], 'by libsasl2 neither');
write_conf("$folder/first/app.conf", "b: first\n");
is_deeply([ours('app')], [theirs('app')], 'the first file counts alone');
unlink "$folder/first/app.conf";
is_deeply([ours('app')], [0, { a => 'second' }], 'else the second');
is_deeply([ours('app')], [theirs('app')], 'as for libsasl2');
is_deeply([ours('other')], [0, {}], 'no file');
is_deeply([theirs('other')], [0, {}], 'is none for libsasl2');
# Where both look by default.
sub looked_for {
  my (@command) = @_;
  delete local $ENV{SASL_CONF_PATH};
  open my $in, '-|', 'strace', '-f', '-e', 'trace=file', '-o', '/dev/stdout', @command or die "cannot run strace: $!";
  my @found = map { m{"([^"]+/nosuchapp\.conf)"} } <$in>;
  close $in;
  return \@found;
}
my $theirs = looked_for($libsasl2, '-', 'nosuchapp', 'a');
is_deeply(looked_for($^X, '-Mblib', '-MAuthen::SASL::Rust::Accounts', '-e', 'Authen::SASL::Rust::Accounts->configuration("nosuchapp")'),
  $theirs, 'the same folders in the same order');
cmp_ok(scalar @$theirs, '>', 2, 'of which libsasl2 has some');
is_deeply([(ours("../second/app"))[0]], ['SASL_BADPARAM'], 'a name that leaves the folder');

done_testing;
