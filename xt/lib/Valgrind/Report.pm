package Valgrind::Report;

# A perl program under valgrind, and valgrind's findings.

use strict;
use warnings;
use Config;
use File::Spec ();
use File::Temp ();
use Slurp qw(slurp);

# Runs perl with these arguments and a time limit in seconds. A release perl uses PERL_DESTRUCT_LEVEL only at the end of a
# thread's interpreter; a debugging perl always does.
sub of {
  my ($class, $seconds, @perl) = @_;
  my $folder = File::Temp->newdir;
  my @valgrind = (
    'valgrind', '--error-exitcode=0', '--leak-check=full', '--show-leak-kinds=definite', '--num-callers=40',
    '--errors-for-leak-kinds=definite', "--log-file=$folder/%p"
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
  # A forked process has a log of its own: in one file, two would write into each other's findings.
  my ($whole, @blocks);
  for my $log (map { slurp($_) } glob "$folder/*") {
    $log =~ s/^==\d+== ?//mg;
    # Each block begins with the finding, followed by the stack.
    push @blocks, grep { /^\s+(?:at|by) 0x/m } split /\n\s*\n/, $log;
    # Forked processes may end otherwise.
    $whole ||= $log =~ /^Parent PID: $pid$/m && $log =~ /^ERROR SUMMARY: /m;
  }
  return bless { said => $said, status => $status, whole => $whole, blocks => \@blocks }, $class;
}

sub said { return $_[0]{said} }
sub status { return $_[0]{status} }
sub is_whole { return $_[0]{whole} }

# Invalid accesses, wherever they are, except one: Cwd of perl 5.36 copies a path onto itself. A signal that a test sends to its own
# process is none.
sub wrong {
  my ($self) = @_;
  my $cwd = qr{\A[^\n]* overlap in memcpy\w*\([^\n]*\n\s+at [^\n]*\n\s+by [^\n]*/auto/Cwd/Cwd\.so\)};
  return grep { !/definitely lost|\AProcess terminating with default action of signal 15 / && $_ !~ $cwd } @{ $self->{blocks} };
}

# Leaks with a stack frame of ours, or by perl itself, except one: MIT Kerberos loses a principal if it finds no key for an acceptor.
sub lost {
  my ($self) = @_;
  return grep { /definitely lost/ && !/\bkrb5_build_principal_alloc_va .*\bgss_acquire_cred_from /s } @{ $self->{blocks} };
}
sub lost_by_us {
  my ($self) = @_;
  return grep { m{Authen/SASL/Rust/Rust\.so} } $self->lost;
}

1;
