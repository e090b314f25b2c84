package Apart;

# Runs the test in network and mount namespaces of its own, where all ports are free and /etc/hosts can be replaced: for servers
# whose ports cannot be configured. `use Apart` starts the test again there, in the same process. Temporary files are in memory,
# so that a server that often waits for the disk is fast.

use strict;
use warnings;
use Cwd ();

# use Apart NAME, ...: these host names are 127.0.0.1.
sub import {
  my ($class, @names) = @_;
  if (!$ENV{APART}) {
    my @unshare = ('unshare', '--net', '--mount', $> ? '--map-root-user' : ());
    my $refused = qx{@unshare true 2>&1};
    if ($?) {
      require Test::More;
      chomp $refused;
      Test::More::plan(skip_all => "the system gives this user no network namespace: $refused");
    }
    local $ENV{APART} = $$;
    exec @unshare, $^X, (map { '-I' . Cwd::abs_path($_) } grep { !ref && -d } @INC), $0, @ARGV or die "unshare: $!";
  }
  die "APART is set, but not by this process\n" if delete $ENV{APART} != $$;
  system('ip', 'link', 'set', 'lo', 'up') == 0 or die "the loopback interface is down\n";
  $ENV{TMPDIR} = '/mnt';
  system(qw(mount -t tmpfs tmpfs), $ENV{TMPDIR}) == 0 or die "$ENV{TMPDIR} cannot be mounted\n";
  my $hosts = "$ENV{TMPDIR}/hosts";
  open my $file, '>', $hosts or die "$hosts: $!";
  print {$file} "127.0.0.1 @names localhost\n";
  close $file or die "$hosts: $!";
  system(qw(mount --bind), $hosts, '/etc/hosts') == 0 or die "/etc/hosts cannot be replaced\n";
  return;
}

1;
