# Stronger verifiers: who logs in to sasl-gate with the password gets one, in the users' file or in PostgreSQL. No login waits for that, or
# fails because of it.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use POSIX ();
use Server::Beanstalkd ();
use Server::JobTalk qw(connect_to login logs_in);
use Server::Postgres ();
use Server::SaslGate ();
use Server::Trial qw(trial);
use Slurp qw(slurp);
use Time::HiRes qw(sleep time);

my $beanstalkd = Server::Beanstalkd->start;
my $MECHANISMS = "mechanisms = 'SCRAM-SHA-256 SCRAM-SHA-512 SCRAM-SHA-1 PLAIN LOGIN'\nplaintext = true\n";
my $UPGRADE = "upgrade = 'SCRAM-SHA-512 5000'\n";

# Whether the user is let in, within a second: no verifier is waited for.
sub is_in {
  my ($gate, $user, $mechanism, $password) = @_;
  return logs_in("127.0.0.1:$gate->{port}", mechanism => $mechanism, user => $user, pass => $password // 'pencil');
}

trial 'a users\' file' => sub {
  my %users = (fred => ['pencil', 'SCRAM-SHA-1', 'SCRAM-SHA-256'], map { $_ => ['pencil'] } qw(anna bob eve));
  my $gate = Server::SaslGate->start(
    backend => "127.0.0.1:$beanstalkd->{port}", users => \%users, lines => $MECHANISMS . $UPGRADE,
    tables => "[[access]]\nusers = ['eve']\ndeny = true\n[[access]]\nusers = ['*']\n",
  );
  my $path = $gate->dir . '/users';
  my $before = slurp($path);
  ok is_in($gate, 'fred', 'SCRAM-SHA-256'), 'SCRAM does not show the password';
  ok !is_in($gate, 'fred', 'PLAIN', 'crayon'), 'a wrong password';
  ok !is_in($gate, 'eve', 'PLAIN'), 'a user whom a rule denies';
  ok is_in($gate, 'fred', 'PLAIN'), 'a login by PLAIN';
  ok $gate->metric_becomes(upgrades_total => 1), 'stores a verifier' or diag $gate->log_text;
  my $after = slurp($path);
  like $after, qr/^fred:SCRAM-SHA-512\$5000:/m, '... as strong as the setting';
  is $after =~ s/^(?:fred:SCRAM-SHA-512|#salt-key:).*\n//gmr, $before, '... all others stay, also the weaker ones of this user';
  is((stat $path)[2] & oct 777, oct 600, '... and nobody else can read the file');
  ok $gate->metric_becomes(reloads_total => 1), 'the file is read again';
  ok is_in($gate, 'fred', $_), "fred is in by $_" for qw(SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1);

  # Verifiers are stored one after the other.
  ok is_in($gate, 'fred', 'PLAIN'), 'another login by PLAIN';
  ok is_in($gate, 'anna', 'LOGIN'), 'one of another user by LOGIN';
  ok $gate->metric_becomes(upgrades_total => 2), 'only this one stores a verifier';
  my ($of_fred) = $after =~ /^(fred:SCRAM-SHA-512.*\n)/m;
  like slurp($path), qr/^\Q$of_fred\E/m, '... and the first one is still there';
  like slurp($path), qr/^anna:SCRAM-SHA-512\$5000:/m, '... beside the new one';
  unlike slurp($path), qr/^(?:bob|eve):SCRAM-SHA-512/m, 'nobody else has got one';

  ok $gate->metric_becomes(reloads_total => 2), 'the file is read once more';
  rename $path, "$path.real" or die "$path: $!";
  symlink "$path.real", $path or die "$path: $!";
  ok is_in($gate, 'bob', 'PLAIN'), 'a file that is not written: the user is in';
  ok $gate->metric_becomes(upgrade_errors_total => 1), '... which is counted';
  ok $gate->logs('a stronger verifier cannot be stored'), '... and logged' or diag $gate->log_text;
  like $gate->log_text, qr/cannot be stored.*a symbolic link/, '... with the reason';
  is $gate->metric('login_failures_total'), 2, 'there were no other failures than the two above';
  unlike $gate->log_text, qr/pencil|SCRAM-SHA-\d+\$/, 'no password and no verifier is logged';
};

trial 'off by default' => sub {
  my $gate = Server::SaslGate->start(backend => "127.0.0.1:$beanstalkd->{port}", lines => $MECHANISMS);
  my $before = slurp($gate->dir . '/users');
  ok is_in($gate, 'fred', 'PLAIN'), 'a login by PLAIN';
  is slurp($gate->dir . '/users'), $before, 'changes nothing';
};

trial 'PostgreSQL' => sub {
  my $database = Server::Postgres->start;
  $database->run('/bin/sh', '-c', 'exec "$@" -q -f docs/postgres.sql', 'sh', $database->client);
  my $gate = Server::SaslGate->start(backend => "127.0.0.1:$beanstalkd->{port}", lines => $MECHANISMS);
  my %old = map { $_ => $gate->passwd('x', 'pencil', 'SCRAM-SHA-256') =~ s/\Ax:|\n\z//gr } qw(fred anna bob);
  $database->sql("SELECT sasl_set_verifiers('$_', ARRAY['$old{$_}'])") for sort keys %old;
  my $salt = $gate->write_secret('salt', 'x' x 32);
  my $socket = 'host=' . $database->dir . "/run port=$database->{port} dbname=postgres user=sasl_gate";
  $gate->{head} =~ s/^users = .*\n//m;
  $gate->configure(lines => "salt_key = '$salt'\n$MECHANISMS$UPGRADE", tables => "[postgres]\nconnection = '$socket'\n[store]\nseconds = 1\n");
  $gate->signal('HUP');
  $gate->metric_becomes(reloads_total => 1) or die $gate->log_text;
  my $of = sub { return $database->sql("SELECT verifier FROM sasl_verifiers WHERE name = '$_[0]' ORDER BY hash") };

  ok is_in($gate, 'fred', 'PLAIN'), 'without the right to do that, the user is in';
  ok $gate->metric_becomes(upgrade_errors_total => 1), '... which is counted';
  ok $gate->logs('permission denied for function sasl_upgrade_verifier'), '... and logged' or diag $gate->log_text;
  $database->sql('GRANT EXECUTE ON FUNCTION sasl_upgrade_verifier TO sasl_gate');
  ok !is_in($gate, 'fred', 'PLAIN', 'crayon'), 'a wrong password';
  ok is_in($gate, 'fred', 'SCRAM-SHA-256'), 'SCRAM';
  ok is_in($gate, 'fred', 'LOGIN'), 'a login by LOGIN';
  ok $gate->metric_becomes(upgrades_total => 1), 'stores a verifier' or diag $gate->log_text;
  like $of->('fred'), qr/\A\Q$old{fred}\E\nSCRAM-SHA-512\$5000:\S+\n?\z/, '... beside the weaker one';
  ok is_in($gate, 'fred', 'SCRAM-SHA-512'), 'which is used, whatever was known before';
  my $stronger = $of->('fred');
  ok is_in($gate, 'fred', 'PLAIN'), 'another login by PLAIN';
  ok is_in($gate, 'anna', 'PLAIN'), 'and one of another user';
  ok $gate->metric_becomes(upgrades_total => 2), 'only this one stores a verifier';
  is $of->('fred'), $stronger, '... and that of the first user is the same';

  my $new = $gate->passwd('x', 'crayon', 'SCRAM-SHA-256') =~ s/\Ax:|\n\z//gr;
  my $of_old = $gate->passwd('x', 'pencil', 'SCRAM-SHA-512') =~ s/\Ax:|\n\z//gr;
  my $upgrade = "SELECT sasl_upgrade_verifier('bob', '$of_old', '$old{bob}')";
  my $locked = sub {
    my ($statement, $seconds) = @_;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
      # Not by sql, whose file both processes would write.
      eval { $database->run($database->client, '-c', "BEGIN; $statement; SELECT pg_sleep($seconds); COMMIT") };
      POSIX::_exit($@ ? 1 : 0);
    }
    for my $try (1 .. 200) {
      last if $database->sql(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'}) =~ /^1/;
      sleep 0.02;
    }
    return $pid;
  };
  my $pid = $locked->($upgrade, 2);
  $database->sql("SELECT sasl_set_verifiers('bob', ARRAY['$new'])");
  waitpid $pid, 0;
  is $?, 0, 'an upgrade that a new password has met';
  is $of->('bob') =~ s/\n\z//r, $new, '... leaves nothing of the old one';
  like $database->sql($upgrade), qr/^f/, 'one that comes later stores nothing';
  $database->sql(q{UPDATE sasl_users SET disabled = true WHERE name = 'bob'});
  like $database->sql($upgrade =~ s/\Q$old{bob}\E/$new/r), qr/^f/, '... nor for a user who is disabled';

  $database->sql("SELECT sasl_set_verifiers('anna', ARRAY['$old{anna}'])");
  # Nothing is known from before, so each login asks.
  $gate->configure(tables => "[postgres]\nconnection = '$socket'\n[store]\nseconds = 1\ncache_seconds = 0\n");
  $gate->signal('HUP');
  $gate->metric_becomes(reloads_total => 2) or die $gate->log_text;
  my $errors = $gate->metric('upgrade_errors_total');
  $pid = $locked->(q{SELECT FROM sasl_users WHERE name = 'anna' FOR UPDATE}, 2.5);
  my $begin = time;
  ok is_in($gate, 'anna', 'PLAIN'), 'a database that does not come to write';
  ok is_in($gate, 'fred', 'SCRAM-SHA-512'), '... lets others in' for 1 .. 4;
  cmp_ok time - $begin, '<', 1.5, '... and holds up nobody';
  ok $gate->metric_becomes(upgrade_errors_total => $errors + 1), '... and is given up';
  waitpid $pid, 0;
  unlike $gate->log_text, qr/pencil|crayon|SCRAM-SHA-\d+\$/, 'no password and no verifier is logged';
};

done_testing;
