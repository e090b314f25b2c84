# Users of Cyrus SASL, through its configuration: sasldb with Debian's plugin, and the programs in eg/.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use Authen::SASL::Rust::Accounts;
use File::Temp qw(tempdir);
use Server::Dovecot ();
use Server::Saslauthd ();

my $folder = tempdir(CLEANUP => 1);
my $sasldb = "$folder/sasldb2";
my $REFUSED = qr/wrong password or unknown user \(SASL_BADAUTH\)/;

# saslpasswd2 reads the password from standard input.
sub user {
  my ($name, $password) = @_;
  open my $tool, '|-', 'saslpasswd2', '-p', '-c', '-f', $sasldb, '-u', 'example.org', $name or die "saslpasswd2: $!";
  print $tool $password;
  close $tool or die "saslpasswd2: $?";
  return;
}

user(fred => 'pencil');
user(anna => 'crayon');
my %options = (auxprop_plugin => 'sasldb', sasldb_path => $sasldb);

sub login {
  my ($accounts, $mechanism, $user, $password) = @_;
  my $client = Authen::SASL->new(
    mechanism => $mechanism,
    callback => { user => $user, pass => $password, realm => 'example.org' },
  )->client_new('imap', 'example.org');
  my $server = Authen::SASL->new(mechanism => $mechanism)
    ->server_new('imap', 'example.org', { accounts => $accounts, realm => 'example.org' });
  my $message = $client->client_start;
  $message = $server->server_start($client->property('message_absent') ? undef : $message);
  while ($client->need_step && defined $message) {
    $message = $client->client_step($message);
    $message = $server->server_step($message) if $server->need_step && defined $message;
  }
  return $server;
}

my $accounts = Authen::SASL::Rust::Accounts->new(cyrus => {%options});
for my $mechanism (qw(SCRAM-SHA-256 SCRAM-SHA-1 DIGEST-MD5 CRAM-MD5 PLAIN LOGIN)) {
  my $server = login($accounts, $mechanism, 'fred', 'pencil');
  ok($server->is_success, "$mechanism: in") or diag $server->error;
  is($server->property('authuser'), 'fred', 'under that name');
  like(login($accounts, $mechanism, 'fred', 'crayon')->error, $REFUSED, 'a wrong password');
  like(login($accounts, $mechanism, 'nobody', 'pencil')->error, $REFUSED, 'an unknown user');
}
is($accounts->check('anna', 'crayon', realm => 'example.org'), 1, 'check');
is($accounts->check('anna', 'pencil', realm => 'example.org'), 0, 'check: no');

subtest 'a user whose secret is no use' => sub {
  is($accounts->setpass('smith@example.org', '{SSHA}AAAA', create => 1), 1, 'a hash is stored as a password');
  is(eval { $accounts->check('smith@example.org', '{SSHA}AAAA') }, 0, 'check: no, as of a wrong password');
  like($accounts->error, qr/\Athe property userPassword of the user is a hash \(SSHA\).* \(SASL_NOVERIFY\)\z/, 'error has the reason');
  is($accounts->check('nobody@example.org', '{SSHA}AAAA'), 0, 'an unknown user');
  is($accounts->error, undef, 'needs none');
  my @log;
  my $server = Authen::SASL->new(mechanism => 'PLAIN', callback => { log => sub { push @log, [@_[1, 2]] } })
    ->server_new('imap', 'example.org', { accounts => $accounts, realm => 'example.org' });
  is(eval { $server->checkpass('smith', 'x') }, 0, "the connection's checkpass: no");
  is_deeply([map { [$_->[0], $_->[1] =~ /a hash \(SSHA\)/] } @log], [[1, 1]], 'and its log has the reason');
  is(eval { $accounts->setpass('nobody@example.org', 'x', create => 0) }, undef, 'what dies');
  is($accounts->error . "\n", $@, 'has its reason there, too');
  $accounts->delete('smith@example.org');
};

subtest 'setpass' => sub {
  my $refused = sub {
    my ($name, $create, $why) = @_;
    is(eval { $accounts->setpass($name, 'x', create => $create) }, undef, "$name, create $create");
    like($@, $why, 'is refused');
  };
  $refused->('eve@example.org', 0, qr/^there is no such user \(SASL_NOUSER\)\n/);
  is($accounts->setpass('eve@example.org', 'chalk', create => 1), 1, 'made');
  $refused->('eve@example.org', 1, qr/^this user is there already \(SASL_NOCHANGE\)\n/);
  is($accounts->setpass('eve@example.org', 'paint', create => 0), 1, 'changed');
  is($accounts->check('eve@example.org', 'paint'), 1, 'it holds');
  is($accounts->delete('eve@example.org'), 1, 'deleted');
  $refused->('eve@example.org', 0, qr/SASL_NOUSER/);
};

subtest 'the configuration of a service' => sub {
  local $ENV{SASL_CONF_PATH} = $folder;
  open my $out, '>', "$folder/imap.conf" or die $!;
  print $out "pwcheck_method: auxprop\nmech_list: PLAIN SCRAM-SHA-256\n",
    map { "$_: $options{$_}\n" } sort keys %options;
  close $out or die $!;
  my $accounts = Authen::SASL::Rust::Accounts->new(cyrus => 'imap');
  ok(login($accounts, 'SCRAM-SHA-256', 'fred', 'pencil')->is_success, 'from its file');
  like(
    eval { login($accounts, 'CRAM-MD5', 'fred', 'pencil'); 1 } ? '' : $@,
    qr/the mech_list of the accounts does not have it/,
    'mech_list counts'
  );
  my %found = Authen::SASL::Rust::Accounts->configuration('imap');
  is($found{mech_list}, 'PLAIN SCRAM-SHA-256', 'which a program may read');
  is_deeply([Authen::SASL::Rust::Accounts->configuration('smtp')], [], 'none');

  # Configurations that libsasl2 accepts: names in capitals, a comment in another encoding, only comments.
  my $write = sub {
    my ($service, $text) = @_;
    open my $out, '>:raw', "$folder/$service.conf" or die $!;
    print $out $text;
    close $out or die $!;
    return;
  };
  $write->('capitals', "# f\xfcr imap\npwcheck_method: AUXPROP\nauxprop_plugin: SASLDB\nsasldb_path: $sasldb\n");
  ok(login(Authen::SASL::Rust::Accounts->new(cyrus => 'capitals'), 'PLAIN', 'fred', 'pencil')->is_success, 'names in capitals');
  $write->('comments', "# nothing yet\n");
  ok(eval { Authen::SASL::Rust::Accounts->new(cyrus => 'comments') }, 'comments alone') or diag $@;
  is_deeply([Authen::SASL::Rust::Accounts->configuration('comments')], [], 'which set nothing');
  $write->('latin1', "a: 1\nsasldb_path: /f\xfcr\n");
  is(eval { Authen::SASL::Rust::Accounts->new(cyrus => 'latin1') }, undef, 'a value in another encoding');
  like($@, qr{/latin1\.conf: line 2: it is not UTF-8 \(SASL_CONFIGERR\)}, 'is refused with its line');
  $write->('transition', "auto_transition: yes\n");
  is(eval { Authen::SASL::Rust::Accounts->new(cyrus => 'transition') }, undef, 'an option that is not there');
  like($@, qr/^auto_transition: .*\(SASL_CONFIGERR\)/, 'is refused by name');
};

subtest 'what cannot be' => sub {
  my $new = sub {
    my @arg = @_;
    return eval { Authen::SASL::Rust::Accounts->new(@arg); 1 } ? 'lives' : $@;
  };
  like($new->(cyrus => 'no-such-service'), qr/no no-such-service\.conf in the directories/, 'no file');
  like($new->(cyrus => '../x'), qr/cannot be that of a configuration file \(SASL_BADPARAM\)/, 'no name of a file');
  like($new->(cyrus => $_), qr/a hash of options, or the name of a service, was expected/, 'neither') for undef, [];
  like($new->(cyrus => { %options, auxprop_plugin => 'nix' }), qr/nix: there is no such file.*\(SASL_CONFIGERR\)/,
    'no plugin');
  like($new->(cyrus => { pwcheck_method => 'magic' }), qr/pwcheck_method magic: only auxprop.*\(SASL_CONFIGERR\)/,
    'no method');
  like($new->(cyrus => { %options, x => $_ }), qr/cyrus: x: a text without NUL/, 'no value') for undef, [], "a\0b";
  like($new->(cyrus => {%options}, path => "$folder/none"), qr/\(SASL_CONFIGERR\)/, 'no folder of plugins');
  like($new->(cyrus => {%options}, timeout => 1), qr/unknown argument timeout/, 'no such argument');
};

sub run {
  my ($input, @command) = @_;
  open my $out, '>', "$folder/in" or die $!;
  print $out "$input\n";
  close $out;
  my $perl = join ' ', $^X, map { "-I$_" } grep { !ref } @INC;
  my $said = qx{$perl @command <$folder/in 2>&1};
  return ($? >> 8, $said);
}

subtest 'eg/sasldb-login' => sub {
  my @program = ('eg/sasldb-login', '--file', $sasldb);
  is_deeply([run('pencil', @program, 'fred', 'example.org')], [0, "fred is in, by SCRAM-SHA-256\n"], 'in');
  is_deeply([run('pencil', @program, qw(--mechanisms DIGEST-MD5 fred example.org))],
    [0, "fred is in, by DIGEST-MD5\n"], 'DIGEST-MD5');
  my ($status, $said) = run('crayon', @program, 'fred', 'example.org');
  isnt($status, 0, 'refused');
  like($said, qr/^sasldb-login: SCRAM-SHA-256 server: .*wrong password/, 'with the reason');
};

subtest 'eg/saslauthd-login' => sub {
  my $dovecot = Server::Dovecot->start(users => { fred => 'pencil' });
  my $daemon = Server::Saslauthd->start(imap => $dovecot->{imap});
  my @program = ('eg/saslauthd-login', '--socket', $daemon->mux);
  is_deeply([run('pencil', @program, 'fred')], [0, "fred is in\n"], 'in');
  my ($status, $said) = run('crayon', @program, 'fred');
  isnt($status, 0, 'refused');
  like($said, qr/^saslauthd-login: PLAIN server: .*wrong password/, 'with the reason');
  my $cyrus =
    Authen::SASL::Rust::Accounts->new(cyrus => { pwcheck_method => 'saslauthd', saslauthd_path => $daemon->mux });
  is($cyrus->check('fred', 'pencil', service => 'imap'), 1, 'by pwcheck_method');
  is($cyrus->check('fred', 'crayon', service => 'imap'), 0, 'no');
  my $both = Authen::SASL::Rust::Accounts->new(
    cyrus => { %options, pwcheck_method => 'auxprop saslauthd', saslauthd_path => $daemon->mux });
  is($both->check('anna', 'crayon', service => 'imap', realm => 'example.org'), 1, 'two methods: the first');
  is($both->check('fred', 'crayon', service => 'imap', realm => 'example.org'), 0, 'neither');
};

done_testing;
