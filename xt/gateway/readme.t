# Runs the lines in README.md that protect a beanstalkd, unchanged, and types what they ask for.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use File::Temp ();
use Server::Directory ();
use Server::Postgres ();
use Server::SaslGate ();
use TLS::Authority ();

my $readme = do { open my $file, '<', 'README.md' or die "README.md: $!"; local $/; <$file> };
my ($section) = $readme =~ /^## Protect a beanstalkd\n(.*?)^## /ms;
my @block = $section =~ /^```sh\n(.*?)^```/msg;

# The lines use files in this directory.
my @file = ('users', '.users.lock', 'gate.toml', 'salt-key');
my $owner = $$;
for my $file (@file) { die "there is a file '$file'\n" if -e $file }
END { unlink @file if defined $owner && $owner == $$ }

# Runs five lines. They use fixed ports, which are free in a separate network namespace; `before` starts there what the reader has. A
# human reader takes longer than the gateway needs to start; this script waits instead.
sub run_lines {
  my ($lines, %arg) = @_;
  is scalar(() = $lines =~ /^/mg), 5, 'five lines';
  my ($before, $last) = $lines =~ /\A((?:.*\n){4})(.*\n)\z/;
  my $script = File::Temp->new;
  print {$script} <<"SHELL";
set -e
trap 'kill \$(jobs -p)' EXIT
ip link set lo up
reachable () { until perl -MIO::Socket::INET -e 'exit !IO::Socket::INET->new(shift)' "127.0.0.1:\$1"; do sleep 0.1; done }
@{[$arg{before} || '']}
${before}reachable 11301
$last
SHELL
  close $script or die "$script: $!";
  my $typed = File::Temp->new;
  print {$typed} $arg{typed} || '';
  close $typed or die "$typed: $!";

  # The program prompts at a terminal.
  delete local $ENV{CARGO_TARGET_DIR};
  alarm 1800;
  my $said = qx{unshare -nm script -qec "bash $script" /dev/null < $typed 2>&1};
  is $?, 0, 'they end well' or diag $said;
  # The gateway logs to the same terminal at any time: its lines begin with the time.
  $said =~ s/^\d{4}-\d\d-\d\dT.*\n//mg;
  return $said;
}

my $worked = qr/INSERTED (\d+)\r?\nRESERVED \g{-1} 5\r?\nDELETED\r?$/m;

subtest 'a users\' file' => sub {
  my ($password) = $block[0] =~ /type (\w+), twice/;
  my $said = run_lines($block[0], typed => "$password\n$password\n");
  like $said, qr/Password: .*Again: /s, 'the password is asked for';
  like $said, qr/^logged in by SCRAM-SHA-256\r?\n$worked/m, '... and lets in' or diag $said;
  is + (stat 'users')[2] & 07777, 0600, 'other users cannot read the users\' file';
};

subtest 'PostgreSQL' => sub {
  my ($lines) = grep {/\bpostgres\./} @block;
  my ($beanstalkd) = $block[0] =~ /^(beanstalkd .*)/m;
  my ($password) = $lines =~ /type (\w+), twice/;
  my $database = Server::Postgres->start;
  my $sockets = $database->dir . '/run';
  $database->sql('CREATE ROLE "' . getpwuid($>) . '" LOGIN SUPERUSER');
  symlink ".s.PGSQL.$database->{port}", "$sockets/.s.PGSQL.5432" or die "$sockets: $!";
  Server::SaslGate->built;
  my $said = run_lines($lines, typed => "$password\n$password\n",
    before => "mkdir -p /run/postgresql; mount --bind $sockets /run/postgresql; $beanstalkd");
  like $said, qr/Password: .*Again: /s, 'the password is asked for';
  like $said, qr/^logged in by SCRAM-SHA-256\r?\n$worked/m, '... and lets in' or diag $said;
  is + (stat 'salt-key')[2] & 07777, 0600, 'other users cannot read the salt key';
  unlink 'gate.toml';
};

subtest 'an LDAP directory' => sub {
  my ($lines) = grep {/\bldap = /} @block;
  my $directory = Server::Directory->start(authority => TLS::Authority->new('Example'), public => 1, entries => {
    'uid=fred,ou=people' => { objectClass => ['account', 'simpleSecurityObject'], uid => 'fred', userPassword => 'pencil' },
  });
  $directory->halt;
  Server::SaslGate->built;
  my $slapd = join ' ', $directory->program('slapd'), '-d', 0, '-f', $directory->{conf}, '-h', 'ldap://127.0.0.1:389';
  my $said = run_lines($lines, before => "$slapd & reachable 389");
  like $said, qr/configuration OK: accounts in ldap, mechanisms PLAIN/, 'the directory is asked';
  like $said, qr/^logged in by PLAIN\r?\n$worked/m, '... and lets in' or diag $said;
};

done_testing;
