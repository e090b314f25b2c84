# exit, fork, threads and the end of the program, with connections and continuations alive.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Config;
use File::Spec;
use Test::More;
use Authen::SASL qw(Rust);

# Runs a program in its own perl; returns its exit status, signal and output.
sub run {
  my ($program) = @_;
  local $ENV{PERL5LIB} = join $Config{path_sep}, map { File::Spec->rel2abs($_) } grep { !ref } @INC;
  my $pid = open(my $child, '-|') // die "fork: $!";
  if (!$pid) {
    open STDERR, '>&', \*STDOUT or die;
    exec $^X, '-we', <<'PRELUDE' . $program or die "exec: $!";
use strict;
use Authen::SASL qw(Rust);
$| = 1;
sub client { my ($m, %c) = @_; Authen::SASL->new(mechanism => $m, callback => {%c})->client_new('imap', 'h') }
sub server { my ($m, %c) = @_; Authen::SASL->new(mechanism => $m, callback => {%c})->server_new('imap', 'h') }
my $PLAIN = "\0fred\0pencil";
PRELUDE
  }
  local $/;
  my $text = <$child>;
  close $child;
  return [$? >> 8, $? & 127, $text];
}

subtest 'exit' => sub {
  my %callback = (
    user => q{client('PLAIN', user => $exit, pass => 'x')->client_start},
    'own values' => q{client('PLAIN', user => 'x', pass => [$exit, 1])->client_start},
    checkpass => q{server('PLAIN', checkpass => $exit)->server_start($PLAIN)},
    'checkpass with a continuation' => q{server('PLAIN', checkpass => $exit)->server_start($PLAIN, sub { })},
    getsecret => q{server('SCRAM-SHA-256', getsecret => $exit)->server_start('n,,n=fred,r=abc')},
    continuation => q{server('PLAIN', checkpass => sub { $_[2]->(1) })->server_start($PLAIN, $exit)},
    'late continuation' => q{my $l; my $s = server('PLAIN', checkpass => sub { $l = $_[2]; 0 }); $s->server_start($PLAIN, $exit); $l->(1)},
    'within another' => q{client('PLAIN', user => sub { client('PLAIN', user => $exit, pass => 'x')->client_start }, pass => 'x')->client_start},
  );
  for my $name (sort keys %callback) {
    is_deeply(run("my \$exit = sub { print 'out'; exit 7 }; END { print ' end' } $callback{$name}; print 'not reached'"),
      [7, 0, 'out end'], "from $name");
  }
};

subtest 'the end of the program' => sub {
  my %alive = (
    'a connection' => q{our $c = client('PLAIN', user => 'fred', pass => 'x'); $c->client_start;},
    'half an exchange' => q{our $c = client('SCRAM-SHA-256', user => 'fred', pass => 'x'); $c->client_start;},
    'a pending continuation' => q{our ($c, $l); $c = server('PLAIN', checkpass => sub { $l = $_[2]; return }); $c->server_start($PLAIN, sub { print 'called' });},
    'a continuation alone' => q{our $l; { my $c = server('PLAIN', checkpass => sub { $l = $_[2]; return }); $c->server_start($PLAIN, sub { print 'called'; $c }); }},
    'a cycle' => q{our $c = {}; $c->{conn} = server('PLAIN', checkpass => sub { $c->{later} = $_[2]; return }); $c->{conn}->server_start($PLAIN, sub { print 'called', $c });},
    'a cycle through the connection' => q{{ my $s = server('PLAIN', checkpass => sub { $_[0]{later} = $_[2]; return }); $s->server_start($PLAIN, sub { print 'called', $s }); }},
    'a connection in its own callback' => q{{ my $s; $s = client('PLAIN', user => sub { $s }, pass => 'x'); $s->client_start; }},
    'remembered keys' => q{our $s = Authen::SASL->new(mechanism => 'SCRAM-SHA-256', callback => { user => 'f', pass => 'x' }); our $c = $s->client_new('i', 'h'); $c->client_start;},
    'a connection used in END' => q{our $c = client('PLAIN', user => sub { 'fred' }, pass => 'x'); END { print length $c->client_start } },
    'one used in global destruction' => q{our $c = client('PLAIN', user => sub { 'fred' }, pass => 'x'); our $x = bless [$c], 'Late'; sub Late::DESTROY { eval { $_[0][0]->client_start } }},
    'a step that is under way' => q{our $c = client('PLAIN', user => sub { exit 0 }, pass => 'x'); $c->client_start;},
  );
  for my $name (sort keys %alive) {
    is_deeply(run($alive{$name}), [0, 0, $name =~ /END/ ? 7 : ''], $name);
    next if !$Config{useithreads} || $alive{$name} =~ /END|exit/;
    # A thread frees each scalar that is still alive at its end; the main program of a release perl does not.
    is_deeply(run("use threads; threads->create(sub { $alive{$name}; return })->join"), [0, 0, ''], "$name, in a thread");
  }
};

subtest 'fork' => sub {
  my $program = q{
    my ($later, $got);
    my $server = server('PLAIN', checkpass => sub { $later = $_[2]; return });
    $server->server_start($PLAIN, sub { $got++ });
    my $client = client('SCRAM-SHA-256', user => 'fred', pass => 'pencil');
    my $first = $client->client_start;
    my $pid = fork // die;
    if (!$pid) { $later->(1); print $server->is_success && $got == 1 ? 'child ' : 'failed '; }
    else { waitpid $pid, 0; print $? ? 'failed ' : ''; $later->(0); print $server->is_success ? 'failed' : 'parent'; }
  };
  is_deeply(run($program), [0, 0, 'child parent'], 'each process answers its own copy');
  my $nonces = q{
    my $client = client('SCRAM-SHA-256', user => 'fred', pass => 'pencil');
    for (1 .. 5) { my $pid = fork // die; if (!$pid) { print $client->client_start, "\n"; exit } waitpid $pid, 0 }
    print $client->client_start, "\n";
  };
  my %nonce = map { $_ => 1 } split /\n/, run($nonces)->[2];
  is(scalar keys %nonce, 6, 'CVE-2025-40918: a fork has its own nonces');
};

subtest 'threads' => sub {
  plan skip_all => 'this perl has no ithreads' unless $Config{useithreads};
  my $program = q{
    use threads;
    my ($later, @got);
    our $client = client('PLAIN', user => sub { 'fred' }, pass => 'x');
    our $server = server('PLAIN', checkpass => sub { $later = $_[2]; return });
    our $half = client('SCRAM-SHA-256', user => 'fred', pass => 'pencil');
    our $sasl = Authen::SASL->new(mechanism => 'SCRAM-SHA-256', callback => { user => 'fred', pass => 'pencil', getsecret => sub { 'pencil' } });
    our $keeper = $sasl->client_new('i', 'h');
    my $rebless = client('PLAIN', user => 'fred', pass => 'x');
    bless $rebless, 'Unknown::To::CLONE_SKIP';
    $half->client_start;
    $server->server_start($PLAIN, sub { push @got, 'called' });
    my @threads = map {
      threads->create(sub {
        my @failed;
        eval { $client->client_start; 1 } and push @failed, 'a connection of another thread was used';
        eval { $rebless->Authen::SASL::Rust::Connection::client_start; 1 } and push @failed, 'a reblessed one was used';
        eval { $later->(1); 1 } or push @failed, "the continuation died: $@";
        push @failed, 'the continuation was called here' if @got;
        undef $later;
        push @failed, 'the continuation was called when dropped' if @got;
        for (1 .. 50) {
          my $c = client('PLAIN', user => sub { 'wilma' }, pass => 'x');
          push @failed, 'its own connection failed' unless $c->client_start eq "\0wilma\0x";
          my $k = $sasl->client_new('i', 'h');
          my $s = $sasl->server_new('i', 'h');
          $k->client_step($s->server_step($k->client_step($s->server_start($k->client_start))));
          push @failed, 'SCRAM failed' unless $k->is_success;
        }
        return join '; ', @failed;
      })
    } 1 .. 4;
    my @reports = grep { length } map { $_->join } @threads;
    $later->(1);
    push @reports, 'the continuation was not called in its own thread' unless "@got" eq 'called' && $server->is_success;
    push @reports, 'the connection is lost' unless $client->client_start eq "\0fred\0x";
    print @reports ? join "\n", @reports : 'well';
  };
  is_deeply(run($program), [0, 0, 'well'], 'live connections and pending continuations');
  is_deeply(run(q{
    use threads;
    my $conn = client('PLAIN', user => sub { threads->create(sub { 1 })->join; 'fred' }, pass => 'x');
    print $conn->client_start eq "\0fred\0x" ? 'well' : 'failed';
  }), [0, 0, 'well'], 'a thread that is made within a callback');
  is_deeply(run(q{
    use threads;
    my $t = threads->create(sub { my $c = client('PLAIN', user => 'fred', pass => 'x'); $c->client_start; return $c });
    my $c = $t->join;
    print eval { $c->client_start; 1 } ? 'failed' : 'well';
  }), [0, 0, 'well'], 'a connection that a thread returns');
};

done_testing;
