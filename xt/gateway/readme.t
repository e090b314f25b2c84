# The lines in README.md that protect a beanstalkd, run as they are printed, and typed to as they say.

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

# They name a file of this folder.
die "there is a file 'users'\n" if -e 'users';
my $owner = $$;
END { unlink 'users', '.users.lock' if defined $owner && $owner == $$ }

# Two ports are theirs: a network of its own has them free. Who reads takes longer than the gateway to start; this script waits.
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

# The program asks at a terminal.
delete $ENV{CARGO_TARGET_DIR};
alarm 1800;
my $said = qx{unshare -n script -qec "bash $script" /dev/null < $typed 2>&1};
is $?, 0, 'they end well';
# The gateway logs to the same terminal, whenever it likes: its lines begin with the time.
$said =~ s/^\d{4}-\d\d-\d\dT.*\n//mg;
like $said, qr/Password: .*Again: /s, 'the password is asked for';
like $said, qr/^logged in by SCRAM-SHA-256\r?\nINSERTED (\d+)\r?\nRESERVED \1 5\r?\nDELETED\r?$/m, '... and lets in' or diag $said;
is + (stat 'users')[2] & 07777, 0600, 'the users are kept where nobody else reads them';

done_testing;
