# Accounts in PostgreSQL.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use Encode qw(encode_utf8);
use Server::Beanstalkd ();
use Server::JobTalk qw(connect_to login logs_in say_raw heard_line all_heard job_works);
use Server::Postgres ();
use Server::SaslGate ();
use Server::Trial qw(trial);
use TLS::Authority ();
use Time::HiRes qw(sleep time);

my $authority = TLS::Authority->new('databases');
my $database = Server::Postgres->start(authority => $authority);
$database->sql('CREATE DATABASE accounts');
$database->{database} = 'accounts';
my $beanstalkd = Server::Beanstalkd->start;
my $gate = bless { dir => $beanstalkd->{dir} }, 'Server::SaslGate';

sub psql { return $database->run('/bin/sh', '-c', 'f=$1; i=$2; shift 2; exec "$@" -f "$f" <"$i"', 'sh', @_, $database->client) }
sub quoted { my ($text) = @_; $text =~ s/'/''/g; return "'$text'" }

# The verifier that the gateway's program makes.
sub verifier {
  my ($password, $mechanism) = @_;
  return $gate->passwd('x', encode_utf8($password), $mechanism || 'SCRAM-SHA-256') =~ s/\Ax:|\n\z//gr;
}

# Names that mean something in SQL, or in psql, or are not ASCII.
my %odd = (q{o'connor} => 'pen', q{"; DROP TABLE sasl_users; --} => 'cil', q{back\\slash $1} => 'sto', "j\x{fc}rgen \x{20ac}" => "gr\x{fc}n");
my $users = join '', "# people\n", "#salt-key:" . 'A' x 24 . "\n", map { encode_utf8($_->[0]) . ":$_->[1]\n" }
  ['fred', verifier('pencil')], ['fred', verifier('pencil', 'SCRAM-SHA-512')], ['gone', '!' . verifier('pencil')],
  ['only-one', verifier('stone', 'SCRAM-SHA-1')], ['only-otp', 'OTP md5 0499 ke1234 9e876134d90499dd'],
  ['half', verifier('comb')], ['half', '!' . verifier('comb', 'SCRAM-SHA-512')], ['half', 'OTP md5 0499 ke1234 9e876134d90499dd'],
  ['otherwise-gone', '!' . verifier('comb')], ['otherwise-gone', 'OTP md5 0499 ke1234 9e876134d90499dd'], map { [$_, verifier($odd{$_})] } sort keys %odd;
my $file = $database->write_file('users', $users);

subtest 'the schema, and a move from a users\' file' => sub {
  psql('docs/postgres.sql', '/dev/null');
  like psql('docs/postgres-import.sql', $file), qr/^9\|10$/m, 'nine users are moved';
  my $before = $database->sql('SELECT * FROM sasl_accounts ORDER BY 1, 2');
  is scalar(() = $before =~ /SCRAM-SHA/g), 10, 'with their verifiers';
  like $before, qr/^$_\|SCRAM-SHA-256.*\|t\|\{\}$/m, "... and who is disabled: $_" for 'gone', 'otherwise-gone';
  like $before, qr/^half\|SCRAM-SHA-256.*\|f\|\{\}$/m, 'a disabled line of an enabled user is left out';
  unlike $before, qr/half\|SCRAM-SHA-512|only-otp|OTP/, '... and so is OTP';
  psql('docs/postgres-import.sql', $file);
  is $database->sql('SELECT * FROM sasl_accounts ORDER BY 1, 2'), $before, 'another time changes nothing';
  my ($iterations, $salt, $keys) = verifier('comb') =~ /\$(\d+):([^\$]+)\$(.*)\z/;
  $database->sql('SELECT sasl_set_verifiers(' . join(', ', quoted($_->[0]), 'ARRAY[' . quoted($_->[1]) . ']') . ')')
    for ['dovecot', "{SCRAM-SHA-256}$iterations,$salt," . $keys =~ tr/:/,/r];
  ok !eval { $database->sql("SELECT sasl_set_verifiers('x', ARRAY['pencil'])"); 1 }, 'a password is no verifier';
  $database->sql("INSERT INTO sasl_users VALUES ('bare')");
  $database->sql(q{SELECT sasl_set_verifiers('broken', '{SCRAM-SHA-256$4096:hunter2}')});
  $database->sql(q{UPDATE sasl_users SET groups = '{staff,workers}' WHERE name IN ('fred', 'gone')});
  $database->sql("CREATE ROLE tls_gate LOGIN PASSWORD 'word'; GRANT sasl_gate TO tls_gate");
};

my $place = "host=localhost hostaddr=127.0.0.1 port=$database->{port} dbname=accounts";
my $socket = 'host=' . $database->dir . "/run port=$database->{port} dbname=accounts";
my $limits = "[store]\ncache_seconds = 0\n";
my $server = "[postgres]\nconnection = '$socket user=sasl_gate'\n";
my $rules = "[[access]]\nusers = ['*']\n";
my $salt = $database->write_file('salt', 'x' x 32);
chmod 0600, $salt or die "$salt: $!";
my $lines = "salt_key = '$salt'\nplaintext = true\n";
my $mechanisms = "mechanisms = 'SCRAM-SHA-256 SCRAM-SHA-512 SCRAM-SHA-1 PLAIN LOGIN'\n";
$gate = Server::SaslGate->start(
  backend => "127.0.0.1:$beanstalkd->{port}", elsewhere => 1, lines => $lines . $mechanisms, tables => $server . $limits . $rules,
  limits => "failures_per_address = 1000\nfailures_per_user = 1000\n",
);
my $address = "127.0.0.1:$gate->{port}";

# Other settings, from the next connection on.
sub configure {
  my $count = $gate->metric('reloads_total');
  $gate->configure(@_);
  $gate->signal('HUP');
  ok $gate->metric_becomes(reloads_total => $count + 1), 'the new settings are in use' or diag $gate->log_text;
  return;
}

sub outcome {
  my (%who) = @_;
  my ($in, $auth) = login(connect_to($address), mechanism => 'SCRAM-SHA-256', %who);
  return $in ? 'in' : $auth->error =~ /the server refused: (\w+)|\((INTERNAL_ERROR)\)/ ? $1 || $2 : $auth->error;
}

# What --check says of these settings.
sub checked {
  my ($config) = @_;
  my $path = $gate->write_file('check.toml', $gate->{head} . "backend = '$gate->{backend}'\n$config");
  return eval { $gate->run($gate->binary, '--config', $path, '--check') } || $@;
}

for my $mechanism (qw(SCRAM-SHA-256 PLAIN LOGIN)) {
  trial "logins by $mechanism" => sub {
    my %password = (fred => 'pencil', dovecot => 'comb', %odd);
    is outcome(mechanism => $mechanism, user => $_, pass => $password{$_}), 'in', encode_utf8($_) for sort keys %password;
    for my $case (qw(fred:crayon gone:pencil nobody:pencil bare:pencil broken:hunter2), "x' OR '1'='1:pencil") {
      my ($user, $password) = split /:/, $case;
      is outcome(mechanism => $mechanism, user => $user, pass => $password), 'UNAUTHORIZED', $case;
    }
  };
}

trial 'several hashes' => sub {
  is outcome(mechanism => 'SCRAM-SHA-512', user => 'fred', pass => 'pencil'), 'in', 'each works';
  is outcome(mechanism => 'SCRAM-SHA-1', user => 'only-one', pass => 'stone'), 'in', 'the only one works';
  is outcome(mechanism => 'PLAIN', user => 'only-one', pass => 'stone'), 'in', '... for PLAIN too';
  is outcome(mechanism => 'SCRAM-SHA-256', user => 'only-one', pass => 'stone'), 'UNAUTHORIZED', 'another does not';
};

trial 'unknown users' => sub {
  my %seen;
  for my $user (qw(fred only-one nobody gone bare broken)) {
    my @server_first;
    for my $try (1, 2) {
      my $socket = connect_to($address);
      my $first = "n,,n=$user,r=abcdefgh";
      say_raw($socket, 'auth-start SCRAM-SHA-256 ' . length($first) . "\r\n$first\r\n");
      my $text = heard_line($socket) . heard_line($socket);
      my ($salt, $count) = $text =~ /,s=([^,]+),i=(\d+)/ or return fail "a challenge: $text";
      push @server_first, "$salt $count";
      say_raw($socket, "quit\r\n");
    }
    is $server_first[0], $server_first[1], "$user has one salt";
    my ($salt, $count) = split / /, $server_first[0];
    $seen{length($salt) . " $count"}++;
  }
  is scalar(keys %seen), 1, 'all of them have salts of one length and one count' or diag explain \%seen;
  my $raw = connect_to($address);
  say_raw($raw, "auth-start PLAIN 13\r\n\0fr\0ed\0pencil\r\nquit\r\n");
  is all_heard($raw), "UNAUTHORIZED\r\n", 'a NUL is in no name';
};

ok $gate->logs('a malformed verifier'), 'the log tells of a malformed verifier';
is $gate->metric('store_errors_total'), 0, 'the database was always asked';

trial 'groups' => sub {
  configure(tables => $server . $limits . "[[access]]\ngroups = ['work*']\n[[access]]\nusers = ['dovecot']\n");
  is outcome(user => 'fred', pass => 'pencil'), 'in', 'a member of a group that has a rule';
  is outcome(user => 'dovecot', pass => 'comb'), 'in', 'a user who has one';
  is outcome(user => "o'connor", pass => 'pen'), 'UNAUTHORIZED', 'nobody else';
  is outcome(user => 'gone', pass => 'pencil'), 'UNAUTHORIZED', 'a disabled member';
};

trial 'the usual mechanisms' => sub {
  configure(lines => $lines);
  my ($in, $auth) = login(connect_to($address), user => 'fred', pass => 'pencil');
  is $auth->mechanism, 'SCRAM-SHA-256', 'are those that most users have verifiers for';
};

trial 'a change takes effect, and an answer is used again for a while' => sub {
  configure(lines => $lines . $mechanisms, tables => "$server$rules\[store]\ncache_seconds = 3600\n");
  $database->sql(q{UPDATE sasl_users SET disabled = true WHERE name = 'dovecot'});
  is outcome(user => 'dovecot', pass => 'comb'), 'UNAUTHORIZED', 'a user is disabled';
  $database->sql(q{UPDATE sasl_users SET disabled = false WHERE name = 'dovecot'});
  is outcome(user => 'dovecot', pass => 'comb'), 'UNAUTHORIZED', '... and known to be';
  configure(tables => $server . $rules . $limits);
  is outcome(user => 'dovecot', pass => 'comb'), 'in', '... no longer';
};

trial 'a password that the program sets' => sub {
  my $path = $gate->write_file('admin.toml', "[postgres]\nconnection = '$socket user=postgres'\n");
  my $set = sub {
    my ($user, $password, @option) = @_;
    my $typed = $gate->write_file('typed', "$password\n");
    return eval { $gate->run('/bin/sh', '-c', 'i=$1; shift; exec "$@" <"$i"', 'sh', $typed, $gate->binary, 'passwd', '--postgres', $path, @option, $user); 1 } ? '' : $@;
  };
  is $set->("new 'one'", 'leaf'), '', 'for a new user';
  is outcome(user => "new 'one'", pass => 'leaf'), 'in', 'lets in';
  is $set->('fred', 'quill'), '', 'for a known one';
  is outcome(mechanism => $_, user => 'fred', pass => 'quill'), 'in', "... with $_" for qw(SCRAM-SHA-256 SCRAM-SHA-512);
  is outcome(user => 'fred', pass => 'pencil'), 'UNAUTHORIZED', 'the old one does not';
  is $set->('fred', 'pencil', '--mechanism', 'SCRAM-SHA-256', '--iterations', 5000), '', 'with one hash';
  like $database->sql(q{SELECT verifier FROM sasl_verifiers WHERE name = 'fred'}), qr/\ASCRAM-SHA-256\$5000:\S+\n\z/, '... is the only one then';
  like $set->('', 'leaf'), qr/user name is empty/, 'a name that nobody can have';
  $gate->write_file('admin.toml', "[postgres]\nconnection = '$socket user=sasl_gate'\n");
  like $set->('fred', 'leaf'), qr/postgres\.update: permission denied/, 'the gateway itself may not';
};

trial 'the roles of the database itself' => sub {
  $database->sql("CREATE ROLE anna LOGIN PASSWORD 'lead'; CREATE ROLE stale LOGIN PASSWORD 'lead' VALID UNTIL '2000-01-01'; CREATE ROLE workers; GRANT workers TO anna");
  $database->sql("SET password_encryption = md5; CREATE ROLE old LOGIN PASSWORD 'lead'");
  my ($query) = do { local (@ARGV, $/) = 'docs/sasl-gate.pod'; <> =~ /^    query = """\n(.*?)^    """/ms } or return fail 'the manual has a query';
  configure(tables => "[postgres]\nconnection = '$socket user=postgres'\nquery = \"\"\"\n$query\"\"\"\n$limits" . "[[access]]\ngroups = ['workers']\n");
  is outcome(user => 'anna', pass => 'lead'), 'in', 'log in with their passwords' or diag $gate->log_text;
  is outcome(user => $_, pass => 'lead'), 'UNAUTHORIZED', "... but not $_" for qw(stale old workers);
};

trial 'TLS' => sub {
  my $secret = $gate->write_secret('word', "word\n");
  my $tls = "connection = '$place user=tls_gate'\npassword_file = '$secret'\n";
  my $ca = $authority->certificate;
  configure(tables => "[postgres]\n${tls}ca = '$ca'\n$limits$rules");
  is outcome(user => 'dovecot', pass => 'comb'), 'in', 'the accounts are read';
  like $database->sql(q{SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND usename = 'tls_gate'}), qr/^[12]$/, '... through TLS';
  my $other = TLS::Authority->new('others');
  my $head = "salt_key = '$salt'\n[postgres]\n";
  like checked("$head${tls}ca = '$ca'\n"), qr/OK: accounts in postgres, mechanisms SCRAM-SHA-256-PLUS /, '--check asks';
  like checked("$head${tls}ca = '@{[$other->certificate]}'\n"), qr/postgres: cannot connect: .*(?:UnknownIssuer|BadSignature)/, 'another CA is refused';
  like checked($head . $tls =~ s/host=localhost/host=db.example.org/r . "ca = '$ca'\n"), qr/postgres: cannot connect: .*not valid for name/, '... and another name';
  like checked($head . "connection = '$place user=tls_gate'\nca = '$ca'\n"), qr/postgres: cannot connect: .*password missing/, '... and no password';
  like checked("$head$tls"), qr/postgres: cannot connect: pg_hba.conf rejects/, 'without a CA there is no TLS' ;
};

trial 'settings that do not fit the database' => sub {
  my $check = sub { return checked("salt_key = '$salt'\n[postgres]\nconnection = '$socket user=sasl_gate'\nquery = \"$_[0]\"\n") };
  for my $case (
    ['SELECT secret AS verifier FROM accounts WHERE name = $1', 'relation "accounts" does not exist'],
    ['SELECT name FROM sasl_accounts WHERE name = $1', 'column "name" is not one of verifier, disabled and groups'],
    ['SELECT disabled FROM sasl_accounts WHERE name = $1', 'no column is named verifier'],
    ['SELECT 5 AS verifier WHERE $1 <> \'\'', 'column verifier has the type int4; expected text or text[]'],
    ['SELECT verifier, \'f\'::text AS disabled FROM sasl_accounts WHERE name = $1', 'column disabled has the type text; expected boolean'],
    ['SELECT verifier, disabled, false AS disabled FROM sasl_accounts WHERE name = $1', 'column "disabled" is there twice'],
    ['SELECT verifier, name AS groups FROM sasl_accounts WHERE name = $1', 'column groups has the type text; expected text[]'],
    ['SELECT verifier FROM sasl_verifiers WHERE name = $1', 'permission denied'],
    ['SELECT verifier FROM sasl_accounts', 'the parameter $1 is missing'],
    )
  {
    my ($query, $text) = @$case;
    my $said = $check->($query);
    ok $said =~ /postgres/ && index($said, $text) >= 0, $text or diag $said;
  }
  like checked("[postgres]\nconnection = '$socket'\n"), qr/postgres needs salt_key/, 'a salt key is required';
  like checked("salt_key = '$salt'\nusers = '$file'\n[postgres]\nconnection = '$socket'\n"), qr/users and postgres: /, 'and no users\' file is allowed';
  my $errors = $gate->metric('store_errors_total');
  configure(tables => "[postgres]\nconnection = '$socket user=sasl_gate'\nquery = 'SELECT nothing FROM sasl_accounts WHERE name = \$1'\n$limits");
  ok $gate->logs('column "nothing" does not exist'), 'the log of a running gateway tells';
  is outcome(user => 'fred', pass => 'pencil'), 'INTERNAL_ERROR', '... and nobody is let in';
  is $gate->metric('store_errors_total'), $errors + 1, '... which is counted';
};

trial 'a slow query' => sub {
  my $slow = q{SELECT verifier FROM sasl_accounts WHERE name = $1 AND (name <> 'dovecot' OR pg_sleep(30) IS NOT NULL)};
  configure(tables => "$server" . "query = \"$slow\"\n[store]\ncache_seconds = 0\nseconds = 0.5\n");
  my $begin = time;
  is outcome(user => 'dovecot', pass => 'comb'), 'INTERNAL_ERROR', 'reaches its deadline';
  cmp_ok time - $begin, '<', 5, '... soon';
  is outcome(user => "o'connor", pass => 'pen'), 'in', 'others are not held up';
};

trial 'the database ends and comes back' => sub {
  configure(tables => $server . $limits . $rules);
  is outcome(user => "o'connor", pass => 'pen'), 'in', 'before';
  my ($failures, $errors) = map { $gate->metric($_) } qw(login_failures_total store_errors_total);
  $database->halt;
  for my $try (1 .. 6) {
    is outcome(user => "o'connor", pass => $_), 'INTERNAL_ERROR', "nobody is let in or refused, $try" for $try % 2 ? 'pen' : 'wrong';
  }
  is outcome(mechanism => 'PLAIN', user => "o'connor", pass => 'pen'), 'INTERNAL_ERROR', '... by PLAIN';
  is $gate->metric('login_failures_total'), $failures, 'these are no failures of the user';
  is $gate->metric('store_errors_total'), $errors + 7, 'they are counted apart';
  ok $gate->logs('authentication is unavailable'), 'and logged';
  $database->resume;
  my $end = time + 10;
  my $word = '';
  $word = outcome(user => "o'connor", pass => 'pen') while $word ne 'in' && time < $end;
  is $word, 'in', 'afterwards, without a restart of the gateway';
  $database->halt;
  $database->resume;
  is outcome(user => "o'connor", pass => 'pen'), 'in', 'a restart that no login has met is not noticed';
};

trial 'users who may no longer log in' => sub {
  configure(tables => $server . $limits . "[[access]]\nusers = ['dovecot']\ngroups = ['workers']\n", limits => "failures_per_address = 1000\nrevocation_seconds = 1\n");
  $database->sql(q{SELECT sasl_set_verifiers(name, ARRAY(SELECT verifier FROM sasl_verifiers WHERE name = 'dovecot')) FROM (VALUES ('a'), ('b'), ('c')) AS new (name);
    UPDATE sasl_users SET groups = '{workers}' WHERE name IN ('a', 'b', 'c')});
  my %in = map { $_ => (login(connect_to($address), mechanism => 'SCRAM-SHA-256', user => $_, pass => 'comb'))[0] } qw(a b c dovecot);
  $database->sql(q{UPDATE sasl_users SET disabled = true WHERE name = 'a'; DELETE FROM sasl_users WHERE name = 'b'; UPDATE sasl_users SET groups = '{}' WHERE name = 'c'});
  is all_heard($in{$_}), '', "$_ is disconnected" for qw(a b c);
  is job_works($in{dovecot}), '', 'others are not';
  my $text = 'the accounts of connected users cannot be looked up; nobody is disconnected';
  my $reports = sub { return scalar(() = $gate->log_text =~ /\Q$text\E/g) };
  my $before = $reports->();
  $database->halt;
  for my $try (1 .. 100) { last if $reports->() > $before; sleep 0.1 }
  sleep 2.5;
  is $reports->(), $before + 1, 'a database that cannot be asked is reported once';
  is job_works($in{dovecot}), '', '... and nobody is disconnected';
  $database->resume;
  $database->sql(q{UPDATE sasl_users SET disabled = true WHERE name = 'dovecot'});
  is all_heard($in{dovecot}), '', 'when it is back, a user who is disabled is disconnected';
  $database->sql(q{UPDATE sasl_users SET disabled = false WHERE name = 'dovecot'});
};

trial 'many logins at once' => sub {
  configure(tables => $server . $rules, limits => "unauthenticated_per_address = 1000\nfailures_per_address = 1000\n");
  my $count = sub { my ($count) = $gate->http('/metrics') =~ /^sasl_gate_store_seconds_count (\d+)/m; return $count };
  my $before = $count->();
  my @client = map { connect_to($address) } 1 .. 300;
  say_raw($_, "auth-start SCRAM-SHA-256 24\r\nn,,n=o'connor,r=abcdefgh\r\n") for @client;
  my $challenges = grep { heard_line($_) =~ /\ACONTINUE/ } @client;
  is $challenges, 300, 'each of them is answered';
  cmp_ok $count->() - $before, '<=', 2, '... by one look-up, or two';
};

unlike $gate->log_text, qr/pencil|hunter2|\bword\b|SCRAM-SHA-256\$/, 'no password and no verifier is logged';
$gate->stop;
done_testing;
