# The sql plugin with real databases, MariaDB and PostgreSQL, in each mode that affects where a text literal ends.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use utf8;
use Test::More;
use Authen::SASL qw(Rust);
use Authen::SASL::Rust::Accounts;
use Server::Mariadb ();
use Server::Postgres ();

my $REALM = 'example.org';
my $REFUSED = qr/wrong password or unknown user \(SASL_BADAUTH\)/;
my %statement = (
  sql_select => q{SELECT %p FROM users WHERE name = '%u' AND realm = '%r'},
  sql_insert => q{INSERT INTO users (name, realm, %p) VALUES ('%u', '%r', '%v')},
  sql_update => q{UPDATE users SET %p = '%v' WHERE name = '%u' AND realm = '%r'},
);

# Each user has a different password, so that the password shows which name the plugin looked up.
my %users = (
  q{fred} => 'pencil',
  q{o'hara} => q{quote's},
  q{back\\slash} => q{a\\b"c},
  q{"both"} => q{x' OR '1'='1},
  qq{bj\x{f6}rn's} => qq{p\x{e4}ss'},
);

# Characters that would end a literal in some mode.
my @hostile = (
  q{x' UNION SELECT char(120) #}, q{x' UNION SELECT char(120) -- }, q{x' UNION SELECT chr(120) -- },
  q{x\\' UNION SELECT char(120) #}, q{x\\' UNION SELECT chr(120) -- }, q{x" UNION SELECT char(120) #}, q{x\\" UNION SELECT char(120) #},
  q{x'' UNION SELECT char(120) #}, qq{\xbf' UNION SELECT char(120) #}, q{x\\},
  qq{fred\@$REALM' UNION SELECT char(120) #}, qq{fred\@$REALM\\},
);

sub login {
  my ($accounts, $mechanism, $user, $password, $host, %options) = @_;
  my $client =
    Authen::SASL->new(mechanism => $mechanism, callback => { user => $user, pass => $password })->client_new('imap', 'localhost');
  my $server = Authen::SASL->new(mechanism => $mechanism)
    ->server_new('imap', $host || 'localhost', { accounts => $accounts, realm => $REALM, %options });
  my $message = $server->server_start($client->client_start);
  while (defined $message && $server->need_step) {
    my $next = $client->client_step($message);
    last if !defined $next;
    $message = $server->server_step($next);
  }
  return $server;
}

sub hex_of { my ($text) = @_; utf8::encode($text); return unpack 'H*', $text }

# Each user can log in by name and password; nobody else can, and no name that contains SQL can.
sub logins {
  my ($accounts, $what) = @_;
  for my $user (sort keys %users) {
    for my $mechanism (qw(SCRAM-SHA-256 PLAIN)) {
      ok(login($accounts, $mechanism, $user, $users{$user})->is_success, "$what: $mechanism");
      like(login($accounts, $mechanism, $user, 'rubber')->error, $REFUSED, 'a wrong password');
    }
  }
  for my $name (@hostile) {
    for my $mechanism (qw(SCRAM-SHA-256 PLAIN)) {
      my $server = login($accounts, $mechanism, $name, 'x');
      ok(!$server->is_success && defined $server->error, "$what: $mechanism: $name is refused");

      # Without a realm, the plugin uses the server's host instead.
      $server = login($accounts, $mechanism, 'nobody', 'x', $name, realm => undef);
      ok(!$server->is_success && defined $server->error, "$what: $mechanism: the host $name is refused");
    }
  }
  return;
}

# Exactly the given value is stored, only for that user.
sub changes {
  my ($accounts, $what) = @_;
  my $fred = "fred\@$REALM";
  for my $password (q{new' WHERE name = 'fred' -- }, q{a\\}, q{a\\' #}, 'plain', q{"x"}, qq{line\nbreak}) {
    is(eval { $accounts->setpass($fred, $password) } || $@, 1, "$what: set");
    is($accounts->check($fred, $password), 1, 'and it is the password');
    is($accounts->check($fred, 'pencil'), 0, 'the old one is not');
  }
  is($accounts->check("o'hara\@$REALM", $users{"o'hara"}), 1, 'another user keeps his');
  is($accounts->setpass("o'hara\@$REALM", 'new'), 1, 'a user with a quote');
  is($accounts->check("o'hara\@$REALM", 'new'), 1, 'has it');
  is($accounts->delete($fred), 1, 'taken away');
  is($accounts->check($fred, $_), 0, "'$_' is none") for 'plain', 'NULL';
  return;
}

sub trial {
  my ($server, $fill, @modes) = @_;
  for my $mode (@modes) {
    $server->set_mode($mode);
    $fill->();
    my $accounts = Authen::SASL::Rust::Accounts->new(cyrus => { auxprop_plugin => 'sql', $server->options, %statement });
    my $what = ref($server) . " '$mode'";
    logins($accounts, $what);
    changes($accounts, $what);
  }
  return;
}

subtest 'MariaDB' => sub {
  my $server = Server::Mariadb->start;
  $server->sql("CREATE DATABASE $Server::Database::NAME CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci");
  my $fill = sub {
    my $values = join ', ',
      map { "(_utf8mb4 x'" . hex_of($_) . "', '$REALM', _utf8mb4 x'" . hex_of($users{$_}) . "')" } sort keys %users;

    # A column with another character set: the name must be compared in the column's character set.
    $server->sql(<<"SQL");
USE $Server::Database::NAME;
DROP TABLE IF EXISTS users;
CREATE TABLE users (name VARCHAR(200) CHARACTER SET latin1 COLLATE latin1_general_cs, realm VARCHAR(200), userPassword VARCHAR(200) COLLATE utf8mb4_bin,
  authPassword VARCHAR(200));
INSERT INTO users (name, realm, userPassword) VALUES $values;
SQL
  };
  trial($server, $fill, '', 'ANSI_QUOTES', 'NO_BACKSLASH_ESCAPES', 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES');

  # In ANSI_QUOTES a name in double quotes is a column: name = name matches any row.
  (my $select = $statement{sql_select}) =~ tr/'/"/;
  my $made = eval { Authen::SASL::Rust::Accounts->new(cyrus => { auxprop_plugin => 'sql', $server->options, sql_select => $select }) };
  ok(!$made, 'a statement with %u in double quotes is refused');
  like($@, qr/sql_select: %u, %r and %v must stand in a text literal in single quotes/, 'which has its reason');
};

subtest 'PostgreSQL' => sub {
  my $server = Server::Postgres->start;
  $server->sql("CREATE DATABASE $Server::Database::NAME");
  $server->{database} = $Server::Database::NAME;
  my $fill = sub {
    my $text = sub { return "convert_from(decode('" . hex_of($_[0]) . "', 'hex'), 'UTF8')" };
    my $values = join ', ', map { '(' . $text->($_) . ", '$REALM', " . $text->($users{$_}) . ')' } sort keys %users;
    $server->sql(<<"SQL");
DROP TABLE IF EXISTS users;
CREATE TABLE users (name varchar(200), realm varchar(200), userPassword text, authPassword text);
INSERT INTO users (name, realm, userPassword) VALUES $values;
SQL
  };
  trial($server, $fill, 'on', 'off');
};

done_testing;
