package Bench::Accounts;
# Gateways in front of one beanstalkd, whose accounts are in a users' file, in one PostgreSQL or in one slapd. All users have one
# verifier, so that the client derives its keys once.
use strict;
use warnings;
use Bench::GateLoad;
use Bench::ProcessorTime;
use File::Temp ();
use IPC::Open2 qw(open2);
use Server::Beanstalkd;
use Server::Directory;
use Server::Postgres;
use Server::SaslGate;
use TLS::Authority;
use Time::HiRes qw(sleep time);

# So few that the gateways know all of them, if they may use answers again.
my $KNOWN = 10;

my @LOGIN = ('user=user-', 'password=pencil');

# users: how many there are in the file and in the directory, and in the database unless a line says otherwise.
sub new {
  my ($class, %o) = @_;
  my $beanstalkd = Server::Beanstalkd->start;
  my $self = bless { users => 10_000, %o, beanstalkd => $beanstalkd, gates => {} }, $class;
  $self->{salt} = $self->secret('salt', 'x' x 32);
  my $line = bless({ dir => $beanstalkd->{dir} }, 'Server::SaslGate')->passwd('x', 'pencil', 'SCRAM-SHA-256');
  ($self->{verifier}) = $line =~ /\Ax:(.*)/;
  return $self;
}

sub secret {
  my ($self, $name, $text) = @_;
  my $path = $self->{beanstalkd}->write_file($name, $text);
  chmod 0600, $path or die "$path: $!";
  return $path;
}

sub file {
  my ($self) = @_;
  return $self->{file} ||= $self->secret('users', join '', map {"user-$_:$self->{verifier}\n"} 1 .. $self->{users});
}

sub postgres {
  my ($self) = @_;
  return $self->{postgres} ||= do {
    my $server = Server::Postgres->start;
    $server->sql('CREATE DATABASE accounts');
    local $server->{database} = 'accounts';
    $server->run('/bin/sh', '-c', 'exec "$@" </dev/null', 'sh', $server->client, '-f', 'docs/postgres.sql');
    $server;
  };
}

# The name of a database with so many users. The foreign key is not checked while it is filled: that takes as long as the rest.
sub crowd {
  my ($self, $users) = @_;
  my $name = "crowd_$users";
  my $server = $self->postgres;
  return $name if $self->{filled}{$name}++;
  $server->sql("CREATE DATABASE $name TEMPLATE accounts");
  local $server->{database} = $name;
  $server->sql(<<"SQL");
SET session_replication_role = replica;
INSERT INTO sasl_users (name) SELECT 'user-' || number FROM generate_series(1, $users) AS number;
INSERT INTO sasl_verifiers (name, verifier) SELECT name, '$self->{verifier}' FROM sasl_users;
VACUUM ANALYZE sasl_users;
VACUUM ANALYZE sasl_verifiers;
CHECKPOINT;
SQL
  return $name;
}

sub ldap {
  my ($self) = @_;
  return $self->{ldap} ||= Server::Directory->start(authority => TLS::Authority->new('Example'), silent => 1, entries => {
    map { ("uid=user-$_,ou=people" => { objectClass => ['account', 'authPasswordObject'], uid => "user-$_", authPassword => $self->{verifier} }) } 1 .. $self->{users} });
}

# The settings of a gateway with these accounts.
sub settings {
  my ($self, $place, $cached, $users) = @_;
  my $lines = "salt_key = '$self->{salt}'\n";
  return (lines => $lines . "users = '" . $self->file . "'\n") if $place eq 'file';
  my $store = $cached ? '' : "[store]\ncache_seconds = 0\n";
  if ($place eq 'postgres') {
    my ($database, $port) = ($self->crowd($users || $self->{users}), $self->postgres->{port});
    return (lines => $lines, tables => "[postgres]\nconnection = 'host=127.0.0.1 port=$port user=sasl_gate dbname=$database'\n$store");
  }
  my $password = $self->secret('password', "$Server::Directory::SERVICE_PASSWORD\n");
  return (lines => $lines, tables => "[ldap]\nurl = '" . $self->ldap->uri . "'\nbind_dn = '$Server::Directory::SERVICE'\n"
      . "password_file = '$password'\nbase = 'ou=people,$Server::Directory::BASE'\n$store");
}

sub gate {
  my ($self, @settings) = @_;
  return Server::SaslGate->start(backend => "127.0.0.1:$self->{beanstalkd}{port}", elsewhere => 1, limits => "exempt = ['127.0.0.1']\n", @settings);
}

# So many gateways. They stay for other lines.
sub gates {
  my ($self, $count, $place, $cached, $users) = @_;
  my $gates = $self->{gates}{ join ' ', $place, $cached ? 1 : 0, $users || 0 } ||= [];
  push @$gates, $self->gate($self->settings($place, $cached, $users)) while @$gates < $count;
  return @$gates[0 .. $count - 1];
}

sub addresses { return 'address=' . join ',', map {"127.0.0.1:$_->{port}"} @_ }

# Seconds per login, by the clock.
sub logins {
  my ($self, $count, $gates, $place, $cached) = @_;
  my $users = $cached ? $KNOWN : $self->{users};
  my $f = Bench::GateLoad::figures('logins', addresses($self->gates($gates, $place, $cached)), @LOGIN, "users=$users", "count=$count", 'threads=16');
  return $f->{error} ? $f : { cost => $f->{seconds} / $count };
}

# Seconds of processor time per login, of the gateway or of the server with the accounts.
sub processor {
  my ($self, $count, $whose, $place, $cached) = @_;
  my ($gate) = $self->gates(1, $place, $cached);
  my $keeper = $whose eq 'gateway' ? $gate->{keeper} : $self->{$place}{keeper};
  my $before = Bench::ProcessorTime::below($keeper);
  my $made = $self->logins($count, 1, $place, $cached);
  return $made->{error} ? $made : { cost => (Bench::ProcessorTime::below($keeper) - $before) / $count };
}

# Seconds until all of them are in again, each a user of its own that must be looked up.
sub herd {
  my ($self, $clients, $place) = @_;
  my $f = Bench::GateLoad::figures('herd', addresses($self->gates(1, $place, 0)), @LOGIN, "users=$self->{users}", "count=$clients");
  return $f->{error} ? $f : { cost => $f->{seconds} };
}

# Seconds from a client's first message to the challenge, for which its account is looked up. One client at a time. Each round takes other
# users.
sub challenge {
  my ($self, $count, $which, $users) = @_;
  my $f = Bench::GateLoad::figures('logins', addresses($self->gates(1, 'postgres', 0, $users)), @LOGIN, "users=$users", "count=$count", 'threads=1');
  return $f->{error} ? $f : { cost => $f->{"challenge_$which"} / 1e6 };
}

# Bytes per idle connection: the gateway's, or those that the kernel needs for the gateway's two ends. Uses a gateway of its own: another one
# would reuse freed memory. The connection to the server and the answers of the last seconds, which do not grow with the connections, are there
# before.
sub idle {
  my ($self, $count, $whose, $place) = @_;
  my $gate = $self->gate($self->settings($place, 1));
  my $before = Bench::GateLoad::figures('logins', addresses($gate), @LOGIN, "users=$self->{users}", 'count=5000', 'threads=4');
  return $before if $before->{error};
  my $f = Bench::GateLoad::figures('idle', addresses($gate), @LOGIN, "users=$self->{users}", "count=$count", 'pid=' . $gate->pid);
  return $f->{error} ? $f : { cost => $f->{ $whose eq 'kernel' ? 'kernel_bytes_each' : 'bytes_each' } };
}

# The server with the accounts is away for a second, in the middle of logins with right and wrong passwords. Seconds from its return until
# each client with the right password is in. It is an error if anybody is let in with a wrong one or turned away with the right one, or
# if a connection is lost.
sub away {
  my ($self, $place) = @_;
  my ($gate) = $self->gates(1, $place, 0);
  my $pid = open2(my $output, my $input, Server::SaslGate->load, 'outage', addresses($gate), @LOGIN, "users=$self->{users}", 'threads=8', 'held=100');
  my $becomes = sub {
    my ($name, $least) = @_;
    my $end = time + 20;
    until ($gate->metric($name) >= $least) { return 0 if time > $end; sleep 0.02 }
    return 1;
  };
  my ($logins, $errors) = map { $gate->metric($_) } qw(logins_total store_errors_total);
  my $went = $becomes->('logins_total', $logins + 200);
  $self->{$place}->halt;
  $went &&= $becomes->('store_errors_total', $errors + 50);
  sleep 1;
  $self->{$place}->resume;
  # The keeper of the server that has just been started holds the pipe open, so closing it says nothing.
  syswrite $input, "\n";
  my $line = join '', <$output>;
  waitpid $pid, 0;
  my %f = $line =~ /(\w+)=([\d.]+)/g;
  return { error => 'the server was not away' } if !$went || !$f{right_unavailable} || !$f{wrong_unavailable};
  return { error => "somebody was let in, or turned away: $line" } if $f{wrong_entered} || $f{right_refused} || $f{stayed} != 100;
  return { cost => $f{seconds} };
}

1;
