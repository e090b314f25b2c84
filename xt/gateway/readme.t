# Runs the lines in README.md that protect a beanstalkd, unchanged, and types what they ask for.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use File::Temp ();

my $readme = do { open my $file, '<', 'README.md' or die "README.md: $!"; local $/; <$file> };
my ($lines) = $readme =~ /^## Protect a beanstalkd\n\n```sh\n(.*?)^```/ms;
is scalar(() = $lines =~ /^/mg), 5, 'five lines';
my ($password) = $lines =~ /type (\w+), twice/;
my ($before, $last) = $lines =~ /\A((?:.*\n){4})(.*\n)\z/;

# The lines use a file in this directory.
die "there is a file 'users'\n" if -e 'users';
my $owner = $$;
END { unlink 'users', '.users.lock' if defined $owner && $owner == $$ }

# The lines use two fixed ports, which are free in a separate network namespace. A human reader takes longer than the gateway
# needs to start; this script waits instead.
my $script = File::Temp->new;
print {$script} <<"SHELL";
set -e
trap 'kill \$(jobs -p)' EXIT
ip link set lo up
${before}until perl -MIO::Socket::INET -e 'exit !IO::Socket::INET->new("127.0.0.1:11301")'; do sleep 0.1; done
$last
SHELL
close $script or die "$script: $!";
my $typed = File::Temp->new;
print {$typed} "$password\n$password\n";
close $typed or die "$typed: $!";

# The program prompts at a terminal.
delete $ENV{CARGO_TARGET_DIR};
alarm 1800;
my $said = qx{unshare -n script -qec "bash $script" /dev/null < $typed 2>&1};
is $?, 0, 'they end well';
# The gateway logs to the same terminal at any time: its lines begin with the time.
$said =~ s/^\d{4}-\d\d-\d\dT.*\n//mg;
like $said, qr/Password: .*Again: /s, 'the password is asked for';
like $said, qr/^logged in by SCRAM-SHA-256\r?\nINSERTED (\d+)\r?\nRESERVED \1 5\r?\nDELETED\r?$/m, '... and lets in' or diag $said;
is + (stat 'users')[2] & 07777, 0600, 'other users cannot read the users\' file';

done_testing;
