package ForeignClients;

# Client libraries for beanstalkd by others, in the versions that xt/gateway/clients pins, with a program for each that puts,
# reserves and deletes a job. They are downloaded once, into the gateway's build directory.

use strict;
use warnings;
use Cwd ();
use File::Path qw(make_path remove_tree);

# The commands by the name of the library; each is called with host and port.
sub commands {
  my ($python, $node, $rust) = map { installed($_, source(), target()) } qw(python node rust);
  my $source = source();
  return (
    (map { $_ => ['env', "PYTHONPATH=$python", 'python3', '-B', "$source/python/with-$_"] } qw(greenstalk pystalkd)),
    (map { $_ => ['node', "$node/with-$_.js"] } qw(jackd fivebeans)),
    beanstalkc => ["$rust/release/with-beanstalkc"],
  );
}

# The directory of Python's libraries, which has scramp too.
sub python { return installed('python', source(), target()) }

sub source { return Cwd::getcwd() . '/xt/gateway/clients' }
sub target { return ($ENV{CARGO_TARGET_DIR} || Cwd::getcwd() . '/gateway/target') . '/clients' }

my %INSTALL = (
  python => sub { return qw(python3 -m pip install --quiet --no-deps --require-hashes --target), $_[1], '-r', "$_[0]/requirements.txt" },
  node => sub { return 'sh', '-c', 'cp "$1"/* "$2" && cd "$2" && npm ci --silent --ignore-scripts --no-audit --no-fund', 'sh', @_ },
  rust => sub { return qw(cargo build --quiet --release --locked --manifest-path), "$_[0]/Cargo.toml", '--target-dir', $_[1] },
);

# Installs the libraries of a language, unless that is done and nothing has changed since. Returns their directory.
sub installed {
  my ($language, $source, $target) = @_;
  my ($from, $to) = ("$source/$language", "$target/$language");
  my $done = "$to/done";
  return $to if -e $done && !grep { -M $_ < -M $done } glob "$from/* $from/src/*";
  remove_tree($to);
  make_path($to);
  my $limit = alarm 0;

  # npm writes to its cache in the home directory, which tests do not have.
  local $ENV{HOME} = $to;
  system($INSTALL{$language}->($from, $to)) == 0 or die "the $language clients cannot be installed\n";
  alarm $limit;
  open my $mark, '>', $done or die "$done: $!";
  close $mark;
  return $to;
}

1;
