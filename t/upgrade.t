# Stronger verifiers at login: who gets one, when, by the callback setverifier and in a users' file; what never happens.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use File::Temp ();
use Test::More;
use Authen::SASL qw(Rust);
use Authen::SASL::Rust::Accounts;

my $WANTED = 'SCRAM-SHA-512 5000';
my %stored;

sub verifier { my ($mechanism, $count) = @_; return Authen::SASL::Rust->scram_verifier(password => 'pencil', mechanism => "SCRAM-$mechanism", iterations => $count) }

sub server {
  my ($mechanism, $callback, %option) = @_;
  $callback = {
    getsecret => sub { $stored{ $_[1]{user} } },
    setverifier => sub { $stored{ $_[1]{user} } = $_[1]{verifier}; 1 },
    %$callback,
  };
  delete @{$callback}{ grep { !defined $callback->{$_} } keys %$callback };
  return Authen::SASL->new(mechanism => $mechanism, callback => $callback)->server_new('imap', 'h', { upgrade => $WANTED, %option });
}

sub plain { my ($server, $password, $user) = @_; $server->server_start(join "\0", '', defined $user ? $user : 'fred', $password); return $server }

sub scram {
  my ($server, $mechanism, $password) = @_;
  my $client = Authen::SASL->new(mechanism => $mechanism, callback => { user => 'fred', pass => $password || 'pencil' })->client_new('imap', 'h');
  my ($last) = $server->server_step($client->client_step($server->server_start($client->client_start)));
  $client->client_step($last) if defined $last;
  return $client->is_success && $server->is_success;
}

sub strength { my ($text) = @_; return $text =~ /\ASCRAM-([^\$]+)\$(\d+):/ ? "$1 $2" : $text }

# The default count of a hash may be raised later. Unknown users go on looking like the users there are. In processes that have seen no
# other users.
subtest 'unknown users look like known ones' => sub {
  my $count = sub {
    my ($server, $user) = @_;
    return $1 if $server->server_start("n,,n=$user,r=abc") =~ /,i=(\d+)/;
    return undef;
  };
  my $fork = sub {
    my ($code) = @_;
    pipe my $in, my $out or die $!;
    my $pid = fork;
    die "fork: $!" unless defined $pid;
    if (!$pid) { print $out $code->(); close $out; require POSIX; POSIX::_exit(0) }
    close $out;
    my $text = do { local $/; <$in> };
    waitpid $pid, 0;
    return $text;
  };
  my $callbacks = { getsecret => sub { $_[1]{user} eq 'fred' ? verifier('SHA3-512', 4444) : undef }, setverifier => undef };
  my $of = sub { my %option = @_; return server('SCRAM-SHA3-512', $callbacks, upgrade => undef, %option) };
  is($fork->(sub { $count->($of->(), 'nobody') }), 10000, 'the default of the hash, while no user was seen');
  is($fork->(sub { join ' ', map { $count->($of->(), $_) } qw(fred nobody) }), '4444 4444', 'then that of the user');
  is($fork->(sub { join ' ', map { $count->($of->(iterations => 7000), $_) } qw(fred nobody) }), '4444 7000', 'unless the option says another');
  is($fork->(sub { $count->(server('SCRAM-SHA-256', { getsecret => sub { }, setverifier => undef }, upgrade => undef), 'nobody') }), 4096, 'SCRAM-SHA-256 has fewer');
};

subtest 'who gets which verifier' => sub {
  for my $case (
    [undef, undef, 'nothing is stored: no login'],
    ['pencil', 'SHA-512 5000', 'a password'],
    [verifier('SHA-1', 4096), 'SHA-512 5000', 'another hash'],
    [verifier('SHA-512', 4096), 'SHA-512 5000', 'fewer iterations'],
    [verifier('SHA-256', 6000), 'SHA-512 6000', 'another hash, but more iterations: they stay'],
    [verifier('SHA3-512', 4096), 'SHA3-512 5000', 'a stronger hash stays'],
    [verifier('SHA-512', 5000), undef, 'as strong'],
    [verifier('SHA-512', 5001), undef, 'stronger'],
    [verifier('SHA3-512', 5000), undef, 'with a stronger hash'],
  ) {
    my ($old, $expected, $name) = @$case;
    for my $mechanism ('PLAIN', 'LOGIN') {
      %stored = (fred => $old);
      my $server = server($mechanism, {});
      if ($mechanism eq 'PLAIN') { plain($server, 'pencil') }
      else { $server->server_start; $server->server_step('fred'); $server->server_step('pencil') }
      is($server->is_success ? 1 : 0, defined $old ? 1 : 0, "$mechanism, $name");
      is($server->property('upgraded'), defined $old ? defined $expected ? 1 : 0 : undef, 'the property upgraded');
      if (!defined $expected) { is($stored{fred}, $old, 'nothing changes'); next }
      is(strength($stored{fred}), $expected, $expected);
      ok(plain(server('PLAIN', {}), 'pencil')->is_success, 'it is a verifier of the password');
      my ($hash) = split / /, $expected;
      ok(scram(server("SCRAM-$hash", {}), "SCRAM-$hash"), 'and works');
    }
  }
};

subtest 'only after success, only if it is asked for' => sub {
  my $weak = verifier('SHA-1', 4096);
  my $untouched = sub {
    my ($server, $name) = @_;
    is($stored{fred}, $weak, "$name: nothing changes");
    return $server;
  };
  %stored = (fred => $weak);
  $untouched->(plain(server('PLAIN', {}), 'rubber'), 'a wrong password');
  $untouched->(plain(server('PLAIN', {}, upgrade => undef), 'pencil'), 'not by default');
  my $server = server('PLAIN', {});
  $server->server_start("root\0fred\0pencil");
  like($untouched->($server, 'not authorized')->error, qr/may not act/, 'with its reason');
  plain(server('PLAIN', { canonuser => sub { undef } }), 'pencil');
  $untouched->(server('PLAIN', {}), 'a name without a canonical form');
  plain(server('PLAIN', { canonuser => sub { lc $_[4] } }), 'pencil', 'FRED');
  is(strength($stored{fred}), 'SHA-512 5000', 'the canonical name');
  is_deeply([keys %stored], ['fred'], 'and no other');

  %stored = (fred => verifier('SHA-1', 4096));
  my $before = $stored{fred};
  ok(scram(server('SCRAM-SHA-1', {}), 'SCRAM-SHA-1'), 'SCRAM with a verifier');
  is($stored{fred}, $before, 'shows nothing of which another verifier could be made');
  %stored = (fred => 'pencil');
  ok(!scram(server('SCRAM-SHA-1', {}), 'SCRAM-SHA-1', 'rubber'), 'SCRAM with a stored password, and a wrong one');
  is($stored{fred}, 'pencil', 'changes nothing');
  ok(scram(server('SCRAM-SHA-1', {}), 'SCRAM-SHA-1'), 'SCRAM with a stored password');
  is(strength($stored{fred}), 'SHA-512 5000', 'the password gives the verifier');
};

subtest 'what the callback gets' => sub {
  my $old = verifier('SHA-1', 4096);
  my @got;
  %stored = (fred => $old);
  my $server = plain(server('PLAIN', { setverifier => [sub { push @got, [@_]; 1 }, 'own'] }, realm => 'r'), 'pencil');
  is(scalar @got, 1, 'it is called once');
  my ($conn, $own, $query, $answer) = @{ $got[0] };
  is_deeply([$conn, $own, ref $answer], [$server, 'own', 'CODE'], 'the connection, its values, a continuation');
  is_deeply({ map { $_ => $query->{$_} } qw(user realm stored) }, { user => 'fred', realm => 'r', stored => $old }, 'user, realm, what is stored');
  like($query->{verifier}, qr/\ASCRAM-SHA-512\$5000:/, 'the verifier');
  is_deeply([sort keys %$query], [qw(realm stored user verifier)], 'nothing else, no password');
  my %seen;
  for (1 .. 3) { plain(server('PLAIN', { setverifier => sub { $seen{ $_[1]{verifier} }++; 1 } }), 'pencil') }
  is(scalar keys %seen, 3, 'each has a salt of its own');
};

subtest 'a failure does not concern the login' => sub {
  my $weak = verifier('SHA-1', 4096);
  for my $case (
    [sub { 0 }, qr/the application did not store it/, 'a false value'],
    [sub { return }, qr/the application did not store it/, 'nothing'],
    [sub { die "disk\nfull\n" }, qr/callback setverifier died: disk\\nfull/, 'an exception'],
    [sub { die { code => 1 } }, qr/callback setverifier died: HASH/, 'an exception object'],
    [sub { [] }, qr/callback setverifier returned an array reference/, 'a reference'],
    ['text', qr/callback setverifier is a string/, 'no code'],
    [sub { $_[2]->(0); 1 }, qr/the application did not store it/, 'a false answer'],
  ) {
    my ($callback, $words, $name) = @$case;
    %stored = (fred => $weak);
    my @log;
    my $server = server('PLAIN', { setverifier => $callback, log => sub { push @log, "@_[1, 2]" } });
    local $@ = 'before';
    plain($server, 'pencil');
    is($@, 'before', '$@ is left alone');
    ok($server->is_success && !defined $server->error, $name) or diag $server->error;
    is($server->property('user'), 'fred', 'the user is in');
    is($server->property('upgraded'), 0, 'without a stronger verifier');
    is(scalar @log, 1, 'the log hears of it once');
    like($log[0], qr/\A1 PLAIN server: user 'fred': no stronger verifier was stored: /, 'with the user');
    like($log[0], $words, 'and the reason');
    unlike($log[0], qr/pencil|SCRAM-SHA-512\$/, 'without a secret');
  }
  %stored = (fred => 'pencil');
  my $server = server('SCRAM-SHA-256', { setverifier => sub { die "no\n" } });
  ok(scram($server, 'SCRAM-SHA-256'), 'the last message of SCRAM is not lost');

  %stored = (fred => $weak);
  my @log;
  plain(server('PLAIN', { setverifier => undef, log => sub { push @log, $_[2] } }), 'pencil');
  like("@log", qr/no store of verifiers \(callback setverifier\)/, 'without setverifier');
  @log = ();
  plain(server('PLAIN', { getsecret => undef, checkpass => sub { 1 }, log => sub { push @log, $_[2] } }), 'pencil');
  like("@log", qr/no stored secret \(callback getsecret/, 'without getsecret it is unknown what is stored');
};

subtest 'checkpass' => sub {
  %stored = ();
  my $ask = { checkpass => sub { $_[1]{pass} eq 'pencil' } };
  plain(server('PLAIN', $ask), 'rubber');
  is_deeply(\%stored, {}, 'a wrong password');
  ok(plain(server('PLAIN', $ask), 'pencil')->is_success, 'a password that something else knows');
  is(strength($stored{fred}), 'SHA-512 5000', 'gives the first verifier');
  my $first = $stored{fred};
  plain(server('PLAIN', $ask), 'pencil');
  is($stored{fred}, $first, 'and no second one');
};

subtest 'later answers' => sub {
  %stored = (fred => verifier('SHA-1', 4096));
  my (@waiting, @out);
  my $server = server('PLAIN', { getsecret => sub { $_[2]->($stored{fred}) }, setverifier => sub { push @waiting, $_[2]; return } });
  $server->server_start("\0fred\0pencil", sub { push @out, scalar @_ });
  ok($server->need_step && !$server->is_success && !defined $server->property('user'), 'the exchange waits');
  is_deeply(\@out, [], 'and so does the program');
  (shift @waiting)->(1);
  ok($server->is_success && $server->property('upgraded'), 'until the verifier is stored');
  is_deeply(\@out, [0], 'then it continues');
  $server->server_start("\0fred\0pencil", sub { push @out, scalar @_ });
  @waiting = ();
  ok($server->is_success && !$server->property('upgraded'), 'a dropped continuation does not fail the login');
  is_deeply(\@out, [0, 0], 'and the program continues');
  $server->server_start("\0fred\0pencil", sub { push @out, scalar @_ });
  $server->abandon;
  ok(!$server->is_success, 'a client that leaves meanwhile is not in');
};

my $folder = File::Temp->newdir;

# A users' file with these verifiers of fred.
sub file {
  my @verifiers = @_;
  open my $out, '>', "$folder/users" or die $!;
  print {$out} "# a comment\n", map { "fred:$_\n" } @verifiers;
  close $out or die $!;
  chmod 0600, "$folder/users";
  return Authen::SASL::Rust::Accounts->new(users => "$folder/users");
}

sub of_file { my ($mechanism, $accounts, %option) = @_; return server($mechanism, { getsecret => undef, setverifier => undef, log => delete $option{log} }, accounts => $accounts, %option) }

subtest "a users' file" => sub {
  my $accounts = file(verifier('SHA-1', 4096), verifier('SHA-256', 4096));
  my $has = sub { my ($fred) = $accounts->list; return { %{ $fred->{mechanisms} } } };
  plain(of_file('PLAIN', $accounts), 'rubber');
  is_deeply($has->(), { 'SCRAM-SHA-1' => 4096, 'SCRAM-SHA-256' => 4096 }, 'a wrong password changes nothing');
  ok(plain(of_file('PLAIN', $accounts, upgrade => undef), 'pencil')->is_success, 'a login without the option');
  is(keys %{ $has->() }, 2, 'changes nothing');
  my $server = plain(of_file('PLAIN', $accounts), 'pencil');
  ok($server->is_success && $server->property('upgraded'), 'a login');
  is_deeply($has->(), { 'SCRAM-SHA-1' => 4096, 'SCRAM-SHA-256' => 4096, 'SCRAM-SHA-512' => 5000 }, 'adds a verifier; those for older clients stay');
  ok(scram(of_file("SCRAM-$_", $accounts), "SCRAM-$_"), $_) for qw(SHA-1 SHA-256 SHA-512);
  is(plain(of_file('PLAIN', $accounts), 'pencil')->property('upgraded'), 0, 'the next login adds none');
  is(plain(of_file('PLAIN', $accounts, upgrade => 'SCRAM-SHA-512 6000'), 'pencil')->property('upgraded'), 1, 'more iterations');
  is($has->()->{'SCRAM-SHA-512'}, 6000, 'replace the verifier');
  is(plain(of_file('PLAIN', $accounts), 'pencil')->property('upgraded'), 0, 'fewer do not');
  is(plain(of_file('PLAIN', $accounts, upgrade => 'SCRAM-SHA-1 4096'), 'pencil')->property('upgraded'), 0, 'nor does a weaker hash');
  ok($accounts->check('fred', 'pencil') && !$accounts->check('fred', 'rubber'), 'the password is the same');
  $accounts->disable('fred');
  ok(!plain(of_file('PLAIN', $accounts, upgrade => 'SCRAM-SHA3-512'), 'pencil')->is_success, 'a disabled user');
  is(keys %{ $has->() }, 3, 'gets none');

  $accounts = file(verifier('SHA-1', 4096));
  my @log;
  open my $lock, '>', "$folder/.users.lock" or die $!;
  chmod 0600, "$folder/.users.lock";
  flock $lock, 2;
  my $begun = time;
  $server = plain(of_file('PLAIN', $accounts, log => sub { push @log, $_[2] }), 'pencil');
  close $lock;
  ok($server->is_success && !$server->property('upgraded'), 'a login while another program writes');
  like("@log", qr/no stronger verifier was stored: users file .+: another program keeps it locked/, 'has a reason');
  cmp_ok(time - $begun, '<', 4, 'and does not wait');
  is(plain(of_file('PLAIN', $accounts), 'pencil')->property('upgraded'), 1, 'the next one stores it');
};

subtest 'logins at the same time' => sub {
  my $accounts = file(verifier('SHA-1', 4096));
  my @child = map {
    my $pid = fork;
    die "fork: $!" unless defined $pid;
    if (!$pid) {
      my $ok = plain(of_file('PLAIN', Authen::SASL::Rust::Accounts->new(users => "$folder/users"), log => sub { }), 'pencil')->is_success;
      require POSIX;
      POSIX::_exit($ok ? 0 : 1);
    }
    $pid;
  } 1 .. 6;
  my $failed = grep { waitpid $_, 0; $? } @child;
  is($failed, 0, 'all succeed');
  my ($fred) = $accounts->list;
  is_deeply($fred->{mechanisms}, { 'SCRAM-SHA-1' => 4096, 'SCRAM-SHA-512' => 5000 }, 'one verifier is stored');
  ok($accounts->check('fred', 'pencil'), 'it is right');
};

subtest 'the option' => sub {
  my $conn = server('PLAIN', {});
  for my $case (['SCRAM-SHA-512', 'SCRAM-SHA-512 10000'], ['scram-sha-256-plus 4097', 'SCRAM-SHA-256 4097'], ['SCRAM-SHA-1', 'SCRAM-SHA-1 4096']) {
    $conn->property(upgrade => $case->[0]);
    is($conn->property('upgrade'), $case->[1], $case->[0]);
  }
  for my $wrong ('', 'PLAIN', 'SCRAM-SHA-512 4095', 'SCRAM-SHA-512 2000001', 'SCRAM-SHA-512 x', 'SCRAM-SHA-512 5000 1', '5000', '1') {
    ok(!eval { $conn->property(upgrade => $wrong); 1 }, "'$wrong'");
    like($@, qr/\Aupgrade: a SCRAM mechanism, or one and its iterations from 4096 up to 2000000 was expected/, 'has its words');
  }
};

done_testing;
