# The programs in docs/login-recipes.md, as printed, log in to a gateway. None of them trusts a server that does not know the password.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Cwd ();
use File::Copy qw(copy);
use File::Temp ();
use ForeignClients ();
use IO::Socket::INET ();
use POSIX ();
use Server::Beanstalkd ();
use Server::JobTalk qw(say_raw heard_line heard);
use Server::SaslGate ();
use Server::Trial qw(trial);

my $text = do { open my $file, '<', 'docs/login-recipes.md' or die "docs/login-recipes.md: $!"; local $/; <$file> };
my %program;
$program{"$1 $2"} = $3 while $text =~ /^```(\w+) (\w+)\n(.*?)^```$/msg;
is_deeply [sort keys %program], ['go plain', 'go scram', 'js plain', 'js scram', 'python plain', 'python scram'], 'the programs';

my $folder = File::Temp->newdir;

# Debian's packages of Go's libraries are in this GOPATH. What is compiled stays in the folder.
my %interpreter = (
  python => ['env', 'PYTHONPATH=' . ForeignClients::python(), 'python3', '-B'],
  js => ['node'],
  go => ['env', 'GO111MODULE=off', 'GOPATH=/usr/share/gocode', "GOCACHE=$folder/cache", 'go', 'run'],
);
my $beanstalkd = Server::Beanstalkd->start;
my $gate = Server::SaslGate->start(backend => "127.0.0.1:$beanstalkd->{port}", tls => 1);
copy($gate->dir . '/cert.pem', "$folder/ca.pem") or die "ca.pem: $!";

# Runs a program; returns its status and what it has printed.
sub run {
  my ($name, $port) = @_;
  my ($language) = split / /, $name;
  open my $file, '>', "$folder/program.$language" or die "$folder: $!";
  print {$file} $program{$name};
  close $file;
  my $pid = open my $out, '-|';
  die "fork: $!" unless defined $pid;
  if (!$pid) {
    chdir $folder;
    open STDERR, '>&', \*STDOUT;
    exec 'timeout', 60, @{ $interpreter{$language} }, "program.$language", 'localhost', $port or POSIX::_exit(127);
  }
  my $said = join '', <$out>;
  close $out;
  return ($?, $said);
}

for my $name (sort keys %program) {
  my $port = $name =~ /plain/ ? $gate->{tls_port} : $gate->{port};
  trial $name => sub {
    my ($status, $said) = run($name, $port);
    is $status, 0, 'it ends well';
    like $said, qr{\AINSERTED \d+\r?\n\z}, 'and has put a job';
  };
}

# A server that knows nothing accepts everybody.
my $listener = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die "listen: $!";
my $pid = fork // die "fork: $!";
if (!$pid) {
  while (my $socket = $listener->accept) {
    my ($size) = heard_line($socket) =~ / (\d+)\r\n\z/ or next;
    my ($nonce) = heard($socket, $size + 2) =~ /r=([^,\r]+)/ or next;
    my $challenge = "r=${nonce}x,s=AAAAAAAAAAAAAAAAAAAAAA==,i=4096";
    say_raw($socket, 'CONTINUE ' . length($challenge) . "\r\n$challenge\r\n");
    my ($next) = heard_line($socket) =~ / (\d+)\r\n\z/ or next;
    heard($socket, $next + 2);
    my $proof = 'v=' . 'A' x 43 . '=';
    say_raw($socket, 'OK ' . length($proof) . "\r\n$proof\r\n");
    say_raw($socket, "INSERTED 1\r\n") if heard_line($socket) =~ /\Aput/;
  }
  POSIX::_exit(0);
}
for my $name (grep {/scram/} sort keys %program) {
  trial "$name, a server that does not know the password" => sub {
    my ($status, $said) = run($name, $listener->sockport);
    isnt $status, 0, 'it fails';
    unlike $said, qr/INSERTED/, 'and puts no job';
  };
}
kill KILL => $pid;
waitpid $pid, 0;

$gate->write_users({ fred => ['crayon'] });
$gate->signal('HUP');
$gate->metric_becomes('reloads_total', 1);
for my $name (sort keys %program) {
  my $port = $name =~ /plain/ ? $gate->{tls_port} : $gate->{port};
  trial "$name, a wrong password" => sub {
    my ($status, $said) = run($name, $port);
    isnt $status, 0, 'it fails';
    unlike $said, qr/INSERTED/, 'and puts no job';
    like $said, qr/not logged in/, 'with the reason';
  };
}

done_testing;
