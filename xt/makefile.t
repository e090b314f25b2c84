# If the extension cannot be built, Makefile.PL prints the reason, writes no Makefile and exits with 0: CPAN Testers count that
# as "not applicable", not as a failure.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Config;
use Cwd qw(getcwd);
use File::Temp qw(tempdir);
use Test::More;

my $script = getcwd() . '/Makefile.PL';
my $bits = 8 * $Config{ptrsize};
my %good = (cargo => 'cargo 1.85.1', host => 'host: x86_64-unknown-linux-gnu', bits => $bits, system => $^O);

# The output of Makefile.PL if cargo and rustc print these texts; everything else is fine.
sub said {
  my %case = (%good, @_);
  my $folder = tempdir(CLEANUP => 1);
  my %program = (
    cargo => "echo '$case{cargo}'",
    rustc => "case \$1 in -vV) echo '$case{host}';; *) echo 'target_pointer_width=\"$case{bits}\"';; esac",
    'run.pl' => "use ExtUtils::MakeMaker; \$^O = '$case{system}'; do '$script'; die \$\@ if \$\@;",
  );
  for my $name (keys %program) {
    open my $out, '>', "$folder/$name" or die "$name: $!";
    print {$out} ($name eq 'run.pl' ? '' : "#!/bin/sh\n"), "$program{$name}\n";
    close $out or die "$name: $!";
    chmod 0755, "$folder/$name" or die "$name: $!";
  }
  local $ENV{PATH} = "$folder:$ENV{PATH}";
  local $ENV{CARGO} = 'cargo';
  my $text = qx{cd '$folder' && '$^X' run.pl 2>&1};
  return ($? == 0 ? '' : "exit $?: ") . (-e "$folder/Makefile" ? 'a Makefile' : $text);
}

my $start = 'Authen::SASL::Rust needs';
for my $case (
  ['an old cargo', qr/^$start cargo 1\.\d+ or newer .*but this is 1\.9$/, cargo => 'cargo 1.9.0'],
  ['none at all', qr/^$start cargo .* but cargo was not found$/, cargo => 'no such program'],
  ['a rustc without a host', qr/^$start rustc in addition to cargo/, host => ''],
  ['a rustc of another word size', qr/^$start a rustc .* perl's word size, but this one compiles for 16 bits$/, bits => 16],
  ['Windows', qr/^$start Linux, a BSD, macOS or another Unix/, system => 'MSWin32'],
  )
{
  my ($name, $expected, @case) = @$case;
  like(said(@case), $expected, $name);
}

done_testing;
