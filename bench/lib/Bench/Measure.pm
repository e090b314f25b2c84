package Bench::Measure;
# One line's figures. Each thing to measure is a source: a sub that measures one round
# and returns { cost => seconds or bytes, bad => failed handshakes } or { error => why }.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../xt/lib";
use Bench::Accounts;
use Bench::Gateway;
use Bench::Load;
use Bench::Polling;
use Bench::Worker;
use Server::Slapd;

my %OF = (speed => \&speed, bare => \&bare, derivation => \&derivation, memory => \&memory, load => \&load, growth => \&growth, layer => \&layer, sealing => \&sealing, search => \&search,
  relay => \&relay, logins => \&logins, idle => \&idle, hosted => \&hosted,
  accounts => \&logins_beside_file, processor => \&processor, herd => \&herd, away => \&away, held => \&held, kernel => \&kernel,
  challenge => \&challenge, paced => \&paced, polled => \&polled);

# slice, rounds, quick, verbose, limits (the path of the C program), adapter => { name => object }
sub new { my ($class, %o) = @_; bless {%o, workers => []}, $class }

# { name => { cost => [by round], bad => n, error => why } }; missing backends are left out
sub measure {
  my ($self, $line) = @_;
  my %source = $OF{ $line->{kind} }->($self, $line);
  my @turn = sort keys %source;
  my %res = map { $_ => { cost => [], bad => 0 } } @turn;
  my $rounds = $self->{quick} && $line->{kind} =~ /^(?:memory|idle|held|kernel|away)$/ ? 1 : $self->{rounds};
  $rounds = $line->{rounds} if $line->{rounds} && $line->{rounds} < $rounds;
  for (1 .. $rounds) {
    push @turn, shift @turn if @turn;
    for my $n (grep { !$res{$_}{error} } @turn) {
      my $a = $source{$n}->();
      if (defined $a->{error}) { $res{$n}{error} = $a->{error}; next }
      push @{ $res{$n}{cost} }, $a->{cost};
      $res{$n}{bad} += $a->{bad} || 0;
    }
  }
  $_->done for splice @{ $self->{workers} };
  \%res;
}

sub having {
  my ($self, $line) = @_;
  my ($mech, $side) = @{ $line->{job} || $line }{qw(mech side)};
  grep { $_ ne 'hosted' && !$self->{adapter}{$_}->lacks->{$mech}{ $side || 'client' } } sort keys %{ $self->{adapter} };
}

sub spawn {
  my ($self, $backend, %job) = @_;
  my $name = ref $self->{adapter}{$backend};
  $name =~ s/.*:://;
  Bench::Worker->spawn("$FindBin::Bin/worker.pl", { %job, backend => $name, verbose => $self->{verbose} ? 1 : 0 });
}

# a worker that stays for all rounds
sub worker {
  my ($self, $command, $backend, %job) = @_;
  my $w = $self->spawn($backend, %job);
  push @{ $self->{workers} }, $w;
  my $ready;
  return sub { $ready ||= $w->hear(60); $ready->{error} ? $ready : $w->ask($command, 300) };
}

sub speed {
  my ($self, $line) = @_;
  map { $_ => $self->worker($self->{slice}, $_, type => 'handshakes', %{ $line->{job} }) } $self->having($line);
}

sub hosted {
  my ($self, $line) = @_;
  my @job = (type => 'handshakes', map { $_ => $line->{$_} } qw(mech side));
  return (
    ours => $self->worker($self->{slice}, 'hosted', @job),
    cyrus => $self->worker($self->{slice}, 'cyrus', @job));
}

sub bare {
  my ($self, $line) = @_;
  my $hash = $line->{hash};
  return (
    openssl => $self->openssl($hash, 4096),
    ours => $self->worker($self->{slice}, 'ours', type => 'handshakes', mech => "SCRAM-$hash", side => 'client'),
    verifier => $self->worker($self->{slice}, 'ours', type => 'verifier', mech => "SCRAM-$hash"));
}

# Our key derivation beside OpenSSL's.
sub derivation {
  my ($self, $line) = @_;
  my $hash = $line->{hash};
  return (
    openssl => $self->openssl($hash, 4096),
    ours => $self->worker($self->{slice}, 'ours', type => 'verifier', mech => "SCRAM-$hash"));
}

# What OpenSSL needs for the mere cryptography.
sub openssl {
  my ($self, @job) = @_;
  return sub {
    my $t = qx($self->{limits} @job $self->{slice});
    $? ? { error => "limits: exit $?" } : { cost => 0 + $t };
  };
}

sub layer {
  my ($self, $line) = @_;
  map { $_ => $self->worker($self->{slice}, $_, type => $line->{way}, mech => 'DIGEST-MD5', map { $_ => $line->{$_} } qw(qop size)) }
    $self->having({ mech => 'DIGEST-MD5' });
}

# A layer beside bare HMAC-MD5.
sub sealing {
  my ($self, $line) = @_;
  my %ours = $self->layer({ %$line, size => 65_536 });
  return (ours => $ours{ours}, openssl => $self->openssl('auth-int', 65_536));
}

# A separate process per round: the next round would reuse memory that one round has freed.
sub memory {
  my ($self, $line) = @_;
  my $n = $self->{quick} ? 3000 : 10_000;
  map {
    my $backend = $_;
    $backend => sub {
      my $w = $self->spawn($backend, type => 'memory', mech => $line->{mech}, side => $line->{side}, again => $line->{again});
      my $a = $w->hear(60);
      $a = $w->ask($n, 120) unless $a->{error};
      $w->done;
      $a;
    };
  } $self->having($line);
}

sub load {
  my ($self, $line) = @_;
  map {
    my @command = Bench::Load::command($self->{adapter}{$_}, $line->{mech}, "$FindBin::Bin/lib");
    $_ => sub { Bench::Load::once(@command) };
  } $self->having($line);
}

# The program ldap-search as a whole, against a slapd that demands a layer.
sub search {
  my ($self, $line) = @_;
  my %user = ($Bench::Adapter::USER => $Bench::Adapter::PASS);
  $self->{slapd} ||= Server::Slapd->start(users => \%user, crowd => $line->{entries}, secprops => 'minssf=128');
  map {
    my $adapter = $self->{adapter}{$_};
    my @command = ($^X, (map { "-I$_" } $adapter->libs), '-MAuthen::SASL=' . $adapter->module, "$FindBin::Bin/ldap-search",
      $self->{slapd}->uri, $Server::Slapd::CROWD, $line->{entries}, %user);
    $_ => sub { Bench::Load::once(@command) };
  } qw(ours perl);
}

sub growth {
  my ($self, $line) = @_;
  my @job = ('ours', type => 'handshakes', mech => $line->{mech}, side => $line->{side});
  return (ours => $self->worker("$self->{slice} 10000", @job), alone => $self->worker("$self->{slice} 1", @job));
}

sub gateway { $_[0]{gateway} ||= Bench::Gateway->new }

sub relay {
  my ($self, $line) = @_;
  my $count = ($line->{depth} == 1 ? 4000 : 20_000) / ($self->{quick} ? 4 : 1);
  my %way = (ours => 'gate', map { $_ => $_ } @{ $line->{beside} });
  map { my $way = $way{$_}; $_ => sub { $self->gateway->job($way, $line->{depth}, $count) } } keys %way;
}

sub logins {
  my ($self) = @_;
  my $count = $self->{quick} ? 1000 : 4000;
  return (ours => sub { $self->gateway->login($count) });
}

sub idle {
  my ($self) = @_;
  my $count = $self->{quick} ? 1000 : 5000;
  return (ours => sub { $self->gateway->idle($count) });
}

sub accounts { $_[0]{accounts} ||= Bench::Accounts->new }

sub logins_beside_file {
  my ($self, $line) = @_;
  my ($place, $cached, $gates) = @$line{qw(place cached gates)};
  my $count = $self->{quick} ? 1000 : 4000;
  return (
    ours => sub { $self->accounts->logins($count, $gates, $place, $cached) },
    file => sub { $self->accounts->logins($count, $gates, 'file', $cached) });
}

sub processor {
  my ($self, $line) = @_;
  my $count = $self->{quick} ? 1000 : 4000;
  return (ours => sub { $self->accounts->processor($count, $line->{whose}, $line->{place}, 0) });
}

sub herd {
  my ($self, $line) = @_;
  return (ours => sub { $self->accounts->herd(@$line{qw(clients place)}) });
}

sub away {
  my ($self, $line) = @_;
  return (ours => sub { $self->accounts->away($line->{place}) });
}

# With fewer connections, what does not grow with them would count more.
sub held {
  my ($self, $line) = @_;
  return (
    ours => sub { $self->accounts->idle(5000, 'gateway', $line->{place}) },
    file => sub { $self->accounts->idle(5000, 'gateway', 'file') });
}

sub kernel {
  my ($self) = @_;
  my $count = $self->{quick} ? 1000 : 5000;
  return (ours => sub { $self->accounts->idle($count, 'kernel', 'file') });
}

sub challenge {
  my ($self, $line) = @_;
  my $count = $self->{quick} ? 500 : 2000;
  my %users = (ours => $line->{users}, few => 1000);
  return (map { my $users = $users{$_}; $_ => sub { $self->accounts->challenge($count, $line->{which}, $users) } } keys %users);
}

sub polling { $_[0]{polling} ||= Bench::Polling->new }

sub beside_off { my ($once) = @_; return (ours => sub { $once->('on') }, off => sub { $once->('off') }) }

# At one request a second it takes some seconds to measure anything.
sub paced {
  my ($self, $line) = @_;
  my $seconds = $line->{rate} == 1 ? ($self->{quick} ? 3 : 8) : 2;
  return beside_off(sub { $self->polling->paced($_[0], @$line{qw(rate connections)}, $seconds) });
}

sub polled {
  my ($self, $line) = @_;
  my $count = ($line->{depth} == 1 ? 4000 : 20_000) / ($self->{quick} ? 4 : 1);
  return beside_off(sub { $self->polling->job($_[0], @$line{qw(measure depth)}, $count) });
}

1;
