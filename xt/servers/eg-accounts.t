# eg/postgres-accounts and eg/ldap-accounts on servers of our own: who is let in, who is refused, and what happens while the accounts
# cannot be asked.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use Encode qw(encode);
use IO::Socket::INET ();
use POSIX ();
use Server::Directory ();
use Server::JobTalk qw(connect_to login say_raw heard);
use Server::Postgres ();
use Server::Trial qw(trial);
use TLS::Authority ();

my @lib = map { "-I$_" } grep { !ref } @INC;
my %verifier = map { $_ => Authen::SASL::Rust->scram_verifier(password => 'pencil', mechanism => $_) } qw(SCRAM-SHA-256 SCRAM-SHA-1);

# Starts the program; returns its process and its address. Its log goes where this test can read it.
sub started {
  my ($program, @options) = @_;
  my $pid = open my $out, '-|';
  die "fork: $!" unless defined $pid;
  if (!$pid) {
    open STDERR, '>&', \*STDOUT;
    exec $^X, @lib, "eg/$program", @options or POSIX::_exit(127);
  }
  my ($address) = (<$out> // '') =~ /\Alistening on (\S+)\n\z/ or die "$program: no address\n";
  return { pid => $pid, out => $out, address => $address };
}

sub stopped {
  my ($program) = @_;
  kill TERM => $program->{pid};
  my $log = join '', readline $program->{out};
  close $program->{out};
  return $log;
}

# The mechanism by which these get in, or the error.
sub came_in {
  my ($program, %arg) = @_;
  my ($socket, $auth) = login(connect_to($program->{address}), %arg);
  return $auth->error unless $socket;
  say_raw($socket, "hello\r\n");
  return heard($socket, 7) eq "hello\r\n" ? $auth->mechanism : 'no echo';
}

sub everyone {
  my ($program, @mechanism) = @_;
  for my $mechanism (@mechanism) {
    my %as = (mechanism => $mechanism, pass => 'pencil');
    is came_in($program, %as, user => $_), $mechanism, "$_ by $mechanism" for 'fred', "j\x{fc}rgen";
    like came_in($program, %as, user => 'fred', pass => 'crayon'), qr/UNAUTHORIZED/, "a wrong password by $mechanism";
    for my $user ('nobody', 'disabled', 'FRED', '*', 'fr*', 'fred)(uid=*', "fred' OR 'a'='a", 'fred%', '\\66red') {
      like came_in($program, %as, user => $user), qr/UNAUTHORIZED/, "$user by $mechanism";
    }
  }
  return;
}

trial 'PostgreSQL' => sub {
  my $postgres = Server::Postgres->start;
  my $rows = join ', ', map { my $name = $_; map {"('$name', '$_', false)"} values %verifier } 'fred', encode('UTF-8', "j\x{fc}rgen");
  $postgres->sql('CREATE TABLE sasl_accounts (name text, verifier text NOT NULL, disabled boolean NOT NULL);'
      . "INSERT INTO sasl_accounts VALUES $rows, ('disabled', '$verifier{'SCRAM-SHA-256'}', true);");
  my $program = started('postgres-accounts', '--database', "host=127.0.0.1 port=$postgres->{port} user=postgres dbname=postgres");
  everyone($program, 'SCRAM-SHA-256', 'PLAIN');
  $postgres->sql('ALTER TABLE sasl_accounts RENAME TO elsewhere');
  like came_in($program, mechanism => $_, user => 'fred', pass => 'pencil'), qr/INTERNAL_ERROR/, "no table: $_" for 'SCRAM-SHA-256', 'PLAIN';
  $postgres->stop;
  like came_in($program, user => 'fred', pass => 'pencil'), qr/INTERNAL_ERROR/, 'no database';
  my $log = stopped($program);
  like $log, qr/^unavailable: .*"?sasl_accounts"? does not exist/m, 'the log has the reason';
  like $log, qr/^unavailable: .*(?:refused|connect)/m, '... each time';
  unlike $log, qr/pencil|crayon/, 'and no password';
};

my %person = (objectClass => ['account', 'simpleSecurityObject', 'authPasswordObject'], userPassword => 'pencil');
my $directory = Server::Directory->start(authority => TLS::Authority->new('Example'), entries => {
  'uid=fred,ou=people' => { %person, uid => 'fred', authPassword => [values %verifier] },
  "uid=j\x{fc}rgen,ou=people" => { %person, uid => "j\x{fc}rgen", authPassword => $verifier{'SCRAM-SHA-256'} },
  'uid=twin,ou=people' => { %person, uid => 'twin', authPassword => $verifier{'SCRAM-SHA-256'} },
  'uid=twin,ou=groups' => { %person, uid => 'twin', authPassword => $verifier{'SCRAM-SHA-256'} },
});
my $password = $directory->write_file('password', "$Server::Directory::SERVICE_PASSWORD\n");
my @service = ('--bind-dn', $Server::Directory::SERVICE, '--password-file', $password);

for my $case (['verifiers', [], 'SCRAM-SHA-256', 'PLAIN'], ['passwords that the directory checks', ['--bind'], 'PLAIN']) {
  my ($name, $option, @mechanism) = @$case;
  trial "LDAP, $name" => sub {
    my @target = ('--uri', $directory->tls_uri, '--ca', $directory->{authority}->certificate);
    my $program = started('ldap-accounts', @target, @service, @$option, '--base', "ou=people,$Server::Directory::BASE");
    everyone($program, @mechanism);
    my $whole = started('ldap-accounts', @target, @service, @$option, '--base', $Server::Directory::BASE);
    my %as = (mechanism => 'PLAIN', pass => 'pencil');
    like came_in($whole, %as, user => 'twin'), qr/INTERNAL_ERROR/, 'two entries';
    like stopped($whole), qr/^unavailable: .*several entries have the uid twin/m, '... are an error';
    my $distrusting = started('ldap-accounts', '--uri', $directory->tls_uri, '--ca', TLS::Authority->new('Other')->certificate, @service,
      @$option, '--base', $Server::Directory::BASE);
    like came_in($distrusting, %as, user => 'fred'), qr/INTERNAL_ERROR/, 'a certificate of another authority';
    stopped($distrusting);
    $directory->halt;
    like came_in($program, %as, user => 'fred'), qr/INTERNAL_ERROR/, 'no directory';
    $directory->resume;
    is came_in($program, %as, user => 'fred'), 'PLAIN', '... and there it is again';
    unlike stopped($program), qr/pencil|crayon|$Server::Directory::SERVICE_PASSWORD/, 'no password is in the log';
  };
}

done_testing;
