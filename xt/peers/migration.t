# What Authen::SASL::Rust::Migration says of the other backends: its programs run with them, and the texts of their errors.
#
# A program of that page says after "# Perl:" and "# XS:" what it prints with these backends. Authen::SASL::Cyrus is the predecessor of
# Authen::SASL::XS, and runs in its place where a release has only that.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use File::Temp qw(tempdir);
use Peer::Packaged qw(perl_peer why_absent);
use PodPrograms qw(pod_of programs_in);
use Slurp qw(slurp);

my $page = 'lib/Authen/SASL/Rust/Migration.pod';
my $scratch = tempdir(CLEANUP => 1);
my %package = (Perl => 'libauthen-sasl-perl', XS => 'libauthen-sasl-cyrus-perl,libauthen-sasl-xs-perl');
my %classes = (Perl => ['Authen::SASL::Perl'], XS => ['Authen::SASL::XS', 'Authen::SASL::Cyrus']);

# Where a module and its shared object are.
sub files_of {
  my ($class) = @_;
  (my $base = $class) =~ s{::}{/}g;
  my ($leaf) = $class =~ /(\w+)\z/;
  return grep { -f } map { ("$_/$base.pm", glob("$_/$base/*.pm"), "$_/auto/$base/$leaf.so") } grep { !ref } @INC;
}

sub output_with {
  my ($class, $program) = @_;
  $program =~ s/^( *use Authen::SASL) qw\(Rust\);$/$1 qw($class);/m or die "the program does not load Rust\n";
  open my $file, '>', "$scratch/program" or die "program: $!";
  print {$file} $program;
  close $file or die "program: $!";
  return qx{$^X $scratch/program 2>&1};
}

# The table of error texts: rows of two columns, under the names of two backends. A row may go on in the second column.
my @rows;
{
  my ($logs) = pod_of($page) =~ /^=head1 LOGS\n(.*?)^=head1 /ms or die "$page has no LOGS\n";
  my $backend;
  for my $line ($logs =~ /^    (\S.*|\s+\S.*)$/mg) {
    my ($theirs, $ours) = $line =~ /\A(.{0,35}?) {2,}(\S.*)\z/ or next;
    if ($theirs =~ /\AAuthen::SASL::(\w+)/) { $backend = $1 }
    elsif ($theirs =~ /\A *\z/) { $rows[-1][2] .= " $ours" }
    else { push @rows, [$backend, $theirs, $ours] }
  }
}
my $core = join '', map { slurp($_) } 'src/error.rs', glob 'src/error/*.rs';

for my $backend (sort keys %package) {
  my $class = perl_peer(@{ $classes{$backend} });
SKIP: {
    if (!$class) {
      my $why = why_absent($package{$backend});
      skip $why, 1 if $why;
      die "$package{$backend} is not here: dev/install test installs it\n";
    }
    my $programs = 0;
    for my $program (programs_in($page)) {
      my @expected = map { "$_\n" } $program =~ /# $backend: (.*)/g or next;
      s/\bAuthen::SASL::\Q$backend\E\b/$class/ for @expected;
      is output_with($class, $program), join('', @expected), "$class prints what the page says";
      $programs++;
    }
    cmp_ok $programs, '>=', 2, "$class: programs are found";

    my $source = join '', map { slurp($_) } files_of($class);
    my @its = grep { $_->[0] eq $backend } @rows;
    cmp_ok scalar @its, '>=', 3, "$class: error texts are found";
    ok index($source, $_->[1]) >= 0, "$class has the text '$_->[1]'" for @its;
  }
}
for my $text (map { $_->[2] } @rows) {
  (my $quoted = $text) =~ s/: reasons\z//;
  next if $quoted eq 'the same';
  ok index($core, $quoted) >= 0, "our text '$quoted' exists";
}

done_testing;
