# Servers with a users' file: without callbacks, with some callbacks, changes, and unusable files.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use utf8;
use Config;
use Test::More;
use Authen::SASL qw(Rust);
use Authen::SASL::Rust::Accounts;
use File::Temp qw(tempdir);

my $folder = tempdir(CLEANUP => 1);
my $count = 0;
my $REFUSED = qr/wrong password or unknown user \(SASL_BADAUTH\)/;

sub accounts {
  my (%users) = @_;
  my $accounts = Authen::SASL::Rust::Accounts->new(users => file());
  $accounts->setpass($_, $users{$_}) for sort keys %users;
  return $accounts;
}

sub file { return "$folder/users-" . ++$count }

sub server {
  my ($mechanism, $options, %callback) = @_;
  return Authen::SASL->new(mechanism => $mechanism, callback => {%callback})->server_new('imap', 'h', $options);
}

# Runs a complete exchange; returns the server.
sub login {
  my ($server, $user, $pass) = @_;
  my $client = Authen::SASL->new(mechanism => $server->mechanism, callback => { user => $user, pass => $pass })
    ->client_new('imap', 'h');
  my $message = $server->server_start($client->client_start);
  while ($client->need_step && defined $message) {
    $message = $client->client_step($message);
    $message = $server->server_step($message) if $server->need_step && defined $message;
  }
  return $server;
}

subtest 'no callbacks' => sub {
  my $accounts = accounts(fred => 'pencil', "J\x{fc}rgen\x{2168}" => "cr\x{e8}me");
  for my $mechanism (qw(SCRAM-SHA-256 PLAIN)) {
    my $server = server($mechanism, { accounts => $accounts });
    ok(login($server, 'fred', 'pencil')->is_success, "$mechanism: fred is in") or diag $server->error;
    ok(login($server, "Ju\x{308}rgen\x{2168}", "cre\x{300}me")->is_success, 'and a name and password beyond ASCII');
    is($server->property('user'), "J\xC3\xBCrgenIX", 'under the prepared name');
    my @errors = map { login($server, @$_)->error } ['fred', 'crayon'], ['nobody', 'pencil'], ['no:body', 'pencil'];
    like($errors[0], $REFUSED, 'a wrong password');
    is($_, $errors[0], 'an unknown user is the same') for @errors[1, 2];
  }
  is_deeply(
    [server('SCRAM-SHA-1 SCRAM-SHA-256 PLAIN CRAM-MD5', { accounts => $accounts })->listmech],
    ['SCRAM-SHA-256', 'PLAIN'], 'what the file serves is offered'
  );
  my $why = eval { server('SCRAM-SHA-1 CRAM-MD5', { accounts => $accounts }); 1 } ? '' : $@;
  like($why, qr/SCRAM-SHA-1: no user has a SCRAM-SHA-1 verifier; CRAM-MD5: it needs passwords/,
    'otherwise the reason is reported');
};

subtest 'the option users' => sub {
  my $accounts = accounts(fred => 'pencil');
  my $file = "$folder/users-$count";
  my $server = server('PLAIN', { users => $file });
  ok(login($server, 'fred', 'pencil')->is_success, 'names the file');
  is($server->property('users'), $file, 'and can be read');
  isa_ok($server->property('accounts'), 'Authen::SASL::Rust::Accounts', 'the accounts');
  is(server('PLAIN', { users => $file })->property('accounts'), $server->property('accounts'),
    'are made once for a file');
  $server->property(users => undef);
  is($server->property('accounts'), undef, 'undef takes them away');
  is_deeply([$server->server_start("\0fred\0pencil")], [], 'and the login fails');
  like($server->error, qr/no callback checkpass or getsecret/, 'as there is no callback');
};

subtest 'callbacks go first' => sub {
  my $accounts = accounts(fred => 'pencil');
  my $own = server('SCRAM-SHA-256', { accounts => $accounts }, getsecret => sub { 'own' });
  ok(login($own, 'fred', 'own')->is_success, 'getsecret');
  ok(!login($own, 'fred', 'pencil')->is_success, 'and only that');
  for my $callback ([getsecret => sub { 'own' }], [checkpass => sub { $_[1]{pass} eq 'own' }]) {
    my $server = server('PLAIN', { accounts => $accounts }, @$callback);
    ok(login($server, 'fred', 'own')->is_success, "$callback->[0], with PLAIN");
    ok(!login($server, 'fred', 'pencil')->is_success, 'and only that');
  }
  my $checks = server('SCRAM-SHA-256 PLAIN', { accounts => $accounts }, checkpass => sub { 0 });
  $checks->mechanism('SCRAM-SHA-256');
  ok(login($checks, 'fred', 'pencil')->is_success, 'with checkpass alone SCRAM asks the accounts');
  my $canon = server('PLAIN', { accounts => $accounts }, canonuser => sub { lc $_[4] });
  is(login($canon, 'FRED', 'pencil')->property('user'), 'fred', 'canonuser works with account stores');
  my $authorize = server('PLAIN', { accounts => $accounts }, authorize => sub { "@_[1, 2]" eq 'fred mail' });
  $authorize->server_start("mail\0fred\0pencil");
  is($authorize->property('user'), 'mail', 'and authorize');
  is_deeply([$authorize->server_start("root\0fred\0pencil")], [], 'which decides');
};

subtest 'changes' => sub {
  my $accounts = accounts(fred => 'pencil', anna => 'crayon');
  my $server =
    server('SCRAM-SHA-256', { accounts => Authen::SASL::Rust::Accounts->new(users => "$folder/users-$count") });
  ok(login($server, 'fred', 'pencil')->is_success, 'the old password');
  is($accounts->setpass('fred', 'chalk'), 1, 'another one');
  ok(!login($server, 'fred', 'pencil')->is_success, 'the old one is gone at once');
  ok(login($server, 'fred', 'chalk')->is_success, 'the new one holds');
  is($accounts->disable('fred'), 1, 'disabled');
  like(login($server, 'fred', 'chalk')->error, qr{the user is disabled.*\(SASL_BADAUTH\)}, 'he is as unknown, but to the operator');
  is($accounts->check('fred', 'chalk'), 0, 'to check too');
  is_deeply(
    [$accounts->list],
    [map { { user => $_, disabled => $_ eq 'fred' ? 1 : 0, mechanisms => { 'SCRAM-SHA-256' => 4096 } } } qw(anna fred)],
    'list'
  );
  is($accounts->enable('fred'), 1, 'enabled');
  ok(login($server, 'fred', 'chalk')->is_success, 'he is back');
  is($accounts->delete('fred'), 1, 'deleted');
  like(login($server, 'fred', 'chalk')->error, $REFUSED, 'he is gone');
  $accounts->setpass('anna', 'chalk', mechanism => 'SCRAM-SHA-512 SCRAM-SHA-1', iterations => 5_000);
  is_deeply(($accounts->list)[0]{mechanisms}, { 'SCRAM-SHA-512' => '5000', 'SCRAM-SHA-1' => '5000' },
    'other mechanisms');
  is($accounts->check('anna', 'chalk', service => 'imap', realm => 'r'), 1, 'check');
  is($accounts->check('anna', $_), 0, 'check: no') for 'x', '', undef;
  is($server->checkpass('anna', 'chalk'), 1, "the connection's checkpass");
  is($server->checkpass('anna', 'pencil'), 0, 'with a wrong password');
  is($server->setpass('anna', 'pencil'), 1, "the connection's setpass");
  is($server->checkpass('anna', 'pencil'), 1, 'has set it');
  is($server->setpass('anna', 'chalk', 0), 1, 'of a known user');
  is(eval { $server->setpass('eve', 'chalk', 0) }, undef, 'an unknown one');
  like($@, qr/there is no such user \(SASL_NOUSER\)/, 'is refused without the flag');
  is($server->setpass('eve', 'chalk', 1), 1, 'and made with it');
  is($server->setpass('eve', 'paint', 1), 1, 'which a known one does not hurt');
  is($server->checkpass('eve', 'paint'), 1, 'it is set');
  is($server->setpass('eve', undef, 2), 1, 'disabled');
  is($server->checkpass('eve', 'paint'), 0, 'indeed');
  for my $flags (4, 8, -1) {
    is(eval { $server->setpass('eve', 'x', $flags) }, undef, "flags '$flags'");
    like($@, qr/^setpass: account stores support the flags 1 and 2/, 'are refused');
  }
};

sub refused {
  my ($why, $code) = @_;
  is(eval { $code->(); 1 }, undef, 'dies');
  like($@, $why, 'with the reason');
  return;
}

subtest 'what cannot be done dies with the reason' => sub {
  my $class = 'Authen::SASL::Rust::Accounts';
  my $accounts = accounts(fred => 'pencil');
  my $none = $class->new(users => "$folder/none");
  refused(qr/users-\d+: there is no such user \(SASL_NOUSER\)\n\z/,
    sub { $accounts->setpass('anna', 'x', create => 0) });
  refused(qr/this user is there already \(SASL_NOCHANGE\)\n\z/, sub { $accounts->setpass('fred', 'x', create => 1) });
  for my $method (qw(delete disable enable)) {
    refused(qr/there is no such user/, sub { $accounts->$method('anna') });
    refused(qr/^users file .*none: .*\(os error 2\) \(SASL_FAIL\)\n\z/, sub { $none->$method('fred') });
  }
  refused(qr/\(os error 2\)/, sub { $none->list });
  refused(qr/\(os error 2\)/, sub { $none->check('fred', 'x') });
  for my $name ('', "a\nb", 'a:b', "a\0b", '#a', "\x{d800}", undef, 'x' x 2**20) {
    for my $method (qw(setpass delete disable enable)) {
      refused(qr/\(SASL_BADPARAM\)\n\z/, sub { $accounts->$method($name, $method eq 'setpass' ? 'x' : ()) });
    }
  }
  refused(qr/^the password is empty/, sub { $accounts->setpass('fred', '') });
  refused(qr/a password is required/, sub { $accounts->setpass('fred') });
  refused(qr/^the password holds/, sub { $accounts->setpass('fred', "\a") });
  refused(qr/^mechanism: names of SCRAM/, sub { $accounts->setpass('fred', 'x', mechanism => 'PLAIN') });
  for my $number (0, 4095, -1, 'x', 100_000_001, 1e12) {
    refused(qr/^iterations: a number from 4096/, sub { $accounts->setpass('fred', 'x', iterations => $number) });
  }
  refused(qr/unknown argument colour/, sub { $accounts->setpass('fred', 'x', colour => 1) });
  refused(qr/unknown argument colour/, sub { $accounts->check('fred', 'x', colour => 1) });
  refused(qr/one of cyrus, saslauthd, users was expected/, sub { $class->new });
  refused(qr/one of cyrus, saslauthd, users was expected/, sub { $class->new(users => 'x', saslauthd => 'y') });
  refused(qr/unknown argument timeout/, sub { $class->new(users => 'x', timeout => 1) });
  refused(qr/^users: the name|^users file/, sub { $class->new(users => $_) }) for undef, '', [];
  refused(qr/^saslauthd: the name/, sub { $class->new(saslauthd => $_) }) for undef, [];
  refused(qr/^timeout: /, sub { $class->new(saslauthd => '/x', timeout => $_) }) for 0, -1, 'x', 1e9;
  my $daemon = $class->new(saslauthd => '/x');
  refused(qr/only a users' file can do that \(SASL_NOCHANGE\)/, sub { $daemon->list });
  refused(qr/only a users' file can do that/, sub { $daemon->disable('x') });
  refused(qr/these accounts cannot be changed/, sub { $daemon->setpass('x', 'y') });
  refused(qr/these accounts cannot be changed/, sub { $daemon->setpass('x', 'y', create => 0) });
  refused(qr/these accounts cannot be changed/, sub { $daemon->delete('x') });
  refused(qr/^mechanism and iterations/, sub { $daemon->setpass('x', 'y', iterations => 5000) });
  refused(qr/reached: .*\(os error 2\).*\(SASL_UNAVAIL\)/, sub { $daemon->check('x', 'y') });

  for my $other (1, {}, \'x', bless({}, $class)) {
    refused(qr/not a live account store/, sub { server('PLAIN', { accounts => $other }) });
  }
  my $client = Authen::SASL->new(mechanism => 'ANONYMOUS');
  refused(qr/only a server has an account store/, sub { $client->client_new('x', 'y', { users => '/x' }) });
  refused(qr/a new object was expected/, sub { $accounts->_users('/x') });
  refused(qr/not a live account store/, sub { Authen::SASL::Rust::Accounts::_list(1) });
  is($accounts->check('fred', 'pencil'), 1, 'and nothing has changed');
};

subtest 'a file that cannot be used' => sub {
  my $accounts = accounts(fred => 'pencil');
  my $file = "$folder/users-$count";
  my $server = server('SCRAM-SHA-256', { users => $file });
  my $plain = server('PLAIN', { users => $file });
  my $refuses = sub {
    my ($why) = @_;
    login($plain, 'fred', 'pencil');
    ok(!$plain->is_success, 'no login succeeds');
    like($plain->error, qr/PLAIN server: users file \Q$file\E: $why.* \(SASL_UNAVAIL\)\z/, 'and the reason is reported');
    like(eval { $plain->checkpass('fred', 'pencil'); 1 } ? '' : $@, qr/^users file \Q$file\E: $why/,
      'by checkpass too');
    is(eval { server('SCRAM-SHA-256', { users => $file }); 1 }, undef, 'no new server');
    like($@, qr/SCRAM-SHA-256: users file .*: $why/, 'and why');
  };
  chmod 0644, $file;
  $refuses->(qr/others can read or write it/);
  chmod 0600, $file;
  ok(login($plain, 'fred', 'pencil')->is_success, 'after the repair');
  rename $file, "$file.real";
  symlink "$file.real", $file;
  ok(login($plain, 'fred', 'pencil')->is_success, 'a file behind a symbolic link is read');
  like(eval { Authen::SASL::Rust::Accounts->new(users => $file)->setpass('fred', 'x'); 1 } ? '' : $@,
    qr/it is a symbolic link, which a change would replace/, '... and not changed');
  unlink $file;
  $refuses->(qr/[^:]*\(os error 2\)/);
  open my $out, '>', $file or die $!;
  print $out "fred:secret\n";
  close $out;
  chmod 0600, $file;
  $refuses->(qr/line 1: a verifier was expected after the name: SCRAM-<hash>\$iterations:salt\$StoredKey:ServerKey/);
  unlike($plain->error, qr/secret/, 'without a secret');
  rename "$file.real", $file;
  ok(login($plain, 'fred', 'pencil')->is_success, 'after the repair');
  ok(login($server, 'fred', 'pencil')->is_success, 'for all');
};

subtest 'an unreachable daemon is not a wrong password' => sub {
  my $server =
    server('PLAIN', { accounts => Authen::SASL::Rust::Accounts->new(saslauthd => "$folder/mux", timeout => 0.5) });
  is_deeply([$server->server_start("\0fred\0pencil")], [], 'no login succeeds');
  like($server->error,
    qr/^PLAIN server: saslauthd at \Q$folder\E\/mux: it cannot be reached: .*\(os error 2\).*\(SASL_UNAVAIL\)\z/, 'why');
  is($server->code, -24, 'code');
  my $why = eval { server('SCRAM-SHA-256', { accounts => $server->property('accounts') }); 1 } ? '' : $@;
  like($why, qr/no callback getsecret/, 'it serves no SCRAM');
};

subtest 'properties of users' => sub {
  my $server = server('PLAIN', { accounts => accounts(fred => 'pencil'), auxprop => ['mail', 'homeDirectory'] });
  is($server->property('auxprop'), 'mail homeDirectory', 'the names that are wanted');
  ok(login($server, 'fred', 'pencil')->is_success, 'a file has none');
  is_deeply([$server->property('auxprop:mail')], [], 'no value');
  is(scalar $server->property('auxprop:mail'), undef, 'undef as a scalar');
  $server->property('auxprop:mail' => 'own');
  is_deeply([$server->property('auxprop:mail')], [], 'nor has it one that the program has stored');
};

subtest 'accounts outlive their object, but not their thread' => sub {
  my $server = server('PLAIN', { accounts => accounts(fred => 'pencil') });
  $server->property(accounts => $server->property('accounts'));
  ok(login($server, 'fred', 'pencil')->is_success, 'handed over');
  my $weak = accounts(anna => 'pencil');
  my $other = server('PLAIN', { accounts => $weak });
  undef $weak;
  ok(login($other, 'anna', 'pencil')->is_success, 'the connection keeps them');
SKIP: {
    skip 'this perl has no ithreads', 2 unless $Config{useithreads};
    require threads;
    my $accounts = accounts(eve => 'pencil');
    my $file = "$folder/users-$count";
    server('PLAIN', { users => $file });
    my $there = sub {
      my $dead = eval { $accounts->check('eve', 'pencil'); 1 } ? '' : "$@";
      return ($dead, login(server('PLAIN', { users => $file }), 'eve', 'pencil')->is_success);
    };
    my ($dead, $works) = threads->create({ context => 'list' }, $there)->join;
    like($dead, qr/not a live account store|unblessed/, 'dead in another thread');
    ok($works, 'where new ones can be made');
  }
};

done_testing;
