# sasl-gate completions: a shell completes the options of the gateway with the script.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Crate ();
use File::Temp qw(tempdir);
use Test::More;

my $binary = Crate::built('gateway') . '/sasl-gate';
my $script = tempdir(CLEANUP => 1) . '/script';

# What bash would offer after these words.
sub offered {
  my @words = ('sasl-gate', @_);
  my $code = 'script=$1; shift; . "$script"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1));'
    . ' function=$(complete -p sasl-gate | sed "s/.*-F //; s/ .*//"); $function sasl-gate "${@: -1}" "${@: -2:1}"; printf "%s\n" "${COMPREPLY[@]}"';
  open my $out, '-|', 'bash', '-c', $code, '-', $script, @words or die "bash: $!";
  chomp(my @lines = <$out>);
  return @lines;
}

is(system("'$binary' completions bash >'$script'"), 0, 'it prints a script for bash');
my @options = offered('--');
my %is_option = map { $_ => 1 } @options;
ok($is_option{$_}, "bash completes $_") for qw(--listen --backend --client-ca --check);
is_deeply([sort(offered('pass'))], ['passwd'], 'and the commands');
ok((grep { $_ eq '--iterations' } offered('passwd', '--')), '... with their options');
for my $shell (qw(elvish fish powershell zsh)) {
  like(qx{'$binary' completions $shell}, qr/client-ca/, "there is a script for $shell");
}
isnt(system("'$binary' completions tcsh >/dev/null 2>&1"), 0, 'there is none for another shell');
like(qx{'$binary' completions bash 2>&1 >/dev/full}, qr/^sasl-gate: standard output: /, 'an output that cannot be written is an error');

done_testing;
