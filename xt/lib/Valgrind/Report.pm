package Valgrind::Report;

# A perl program under valgrind, and valgrind's findings.

use strict;
use warnings;
use Config;
use File::Spec ();
use File::Temp ();

# Runs perl with these arguments and a time limit in seconds. A release perl uses PERL_DESTRUCT_LEVEL only at the end of a
# thread's interpreter; a debugging perl always does.
sub of {
  my ($class, $seconds, @perl) = @_;
  my $folder = File::Temp->newdir;
  my @valgrind = (
    'valgrind', '--error-exitcode=0', '--leak-check=full', '--show-leak-kinds=definite', '--num-callers=40',
    '--errors-for-leak-kinds=definite', "--log-file=$folder/log"
  );
  local $ENV{PERL_DESTRUCT_LEVEL} = 2;
  local $ENV{PERL5LIB} = join $Config{path_sep}, map { File::Spec->rel2abs($_) } grep { !ref } @INC;
  my $pid = open(my $child, '-|') // die "fork: $!";
  if (!$pid) {
    exec 'timeout', $seconds, @valgrind, $^X, @perl or die "exec: $!";
  }
  local $/;
  my $said = <$child>;
  close $child;
  my $status = $?;
  open my $log, '<', "$folder/log" or die "valgrind left no log: $!";
  my $text = <$log>;
  (my $plain = $text) =~ s/^==\d+== ?//mg;
  # Each block begins with the finding, followed by the stack.
  my @blocks = grep { /^\s+(?:at|by) 0x/m } split /\n\s*\n/, $plain;
  return bless { said => $said, status => $status, text => $text, blocks => \@blocks }, $class;
}

sub said { return $_[0]{said} }
sub status { return $_[0]{status} }
sub is_whole { return $_[0]{text} =~ /ERROR SUMMARY: / }

# Invalid accesses, wherever they are, except one: Cwd of perl 5.36 copies a path onto itself.
sub wrong {
  my ($self) = @_;
  my $cwd = qr{\A[^\n]* overlap in memcpy\w*\([^\n]*\n\s+at [^\n]*\n\s+by [^\n]*/auto/Cwd/Cwd\.so\)};
  return grep { !/definitely lost/ && $_ !~ $cwd } @{ $self->{blocks} };
}

# Leaks with a stack frame of ours, or by perl itself.
sub lost {
  my ($self) = @_;
  return grep { /definitely lost/ } @{ $self->{blocks} };
}
sub lost_by_us {
  my ($self) = @_;
  return grep { m{Authen/SASL/Rust/Rust\.so} } $self->lost;
}

1;
