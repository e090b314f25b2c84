# Accounts of a Cyrus configuration, in a gateway that is built with the feature `cyrus`: a sasldb of Debian's saslpasswd2, and a real
# saslauthd.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use Server::Beanstalkd ();
use Server::Dovecot ();
use Server::JobTalk qw(connect_to login all_heard job_works);
use Server::SaslGate ();
use Server::Saslauthd ();
use Server::Trial qw(trial);

my $beanstalkd = Server::Beanstalkd->start;
my $dovecot = Server::Dovecot->start(users => { fred => 'pencil' });
my $daemon = Server::Saslauthd->start(imap => $dovecot->{imap});
my $sasldb = $beanstalkd->dir . '/sasldb2';

sub saslpasswd2 {
  my ($password, @options) = @_;
  open my $tool, '|-', $daemon->program('saslpasswd2'), '-f', $sasldb, '-u', 'example.org', @options or die "saslpasswd2: $!";
  print {$tool} $password;
  close $tool or die "saslpasswd2: $?";
  return;
}
saslpasswd2('pencil', '-p', '-c', $_) for qw(fred anna);

my $folder = $beanstalkd->dir;
$beanstalkd->write_file('sasl-gate.conf', "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: $sasldb\n");
$beanstalkd->write_file('daemon.conf', "pwcheck_method: saslauthd\nsaslauthd_path: " . $daemon->mux . "\n");
$beanstalkd->write_file('none.conf', "auxprop_plugin: no-such\n");
my $start = "host = 'example.org'\nplaintext = true\nmechanisms = 'PLAIN LOGIN SCRAM-SHA-256'\n";
my $gate = Server::SaslGate->start(
  backend => "127.0.0.1:$beanstalkd->{port}", elsewhere => 1, cyrus => 1, lines => $start, tables => table('sasl-gate'),
  limits => "revocation_seconds = 1\nfailures_per_address = 1000\n",
);
my $place = "127.0.0.1:$gate->{port}";

sub table { return "[cyrus]\nfolders = ['$folder']\nservice = '$_[0]'\n[store]\ncache_seconds = 0\nseconds = 5\n" }

sub outcome {
  my ($mechanism, $user, $password) = @_;
  my ($in, $auth) = login(connect_to($place), mechanism => $mechanism, user => $user, pass => $password);
  return $in ? 'in' : $auth->error =~ /(UNAUTHORIZED|INTERNAL_ERROR)/ ? $1 : $auth->error;
}

# What --check says of these settings.
sub checked {
  my ($lines, $table) = @_;
  my $path = $gate->write_file('check.toml', "$gate->{head}backend = '$gate->{backend}'\n$lines$table");
  return eval { $gate->run($gate->binary, '--config', $path, '--check') } || $@;
}

sub check_logins {
  for my $mechanism (qw(PLAIN LOGIN)) {
    is outcome($mechanism, 'fred', 'pencil'), 'in', "$mechanism: in";
    is outcome($mechanism, 'fred', 'crayon'), 'UNAUTHORIZED', '... a wrong password';
    is outcome($mechanism, 'nobody', 'pencil'), 'UNAUTHORIZED', '... an unknown user';
  }
  return;
}

trial 'a sasldb' => sub {
  like checked($start, table('sasl-gate')), qr/OK: accounts in cyrus, mechanisms PLAIN LOGIN$/, '--check: only mechanisms that send the password';
  check_logins();
  my ($anna) = login(connect_to($place), mechanism => 'PLAIN', user => 'anna', pass => 'pencil');
  my ($fred) = login(connect_to($place), mechanism => 'PLAIN', user => 'fred', pass => 'pencil');
  is job_works($_), '', 'a client works' for $anna, $fred;
  saslpasswd2('', '-d', 'anna');
  is all_heard($anna), '', 'a user who is deleted loses the connection';
  is job_works($fred), '', 'another one does not';
  is outcome('PLAIN', 'anna', 'pencil'), 'UNAUTHORIZED', '... and does not come back';
};

trial 'saslauthd' => sub {
  my $before = $gate->metric('reloads_total');
  $gate->configure(tables => table('daemon'));
  $gate->signal('HUP');
  $gate->metric_becomes(reloads_total => $before + 1) or die $gate->log_text;
  check_logins();
  my ($fred) = login(connect_to($place), mechanism => 'PLAIN', user => 'fred', pass => 'pencil');
  my $failures = $gate->metric('login_failures_total');
  $daemon->stop;
  is outcome('PLAIN', 'fred', $_), 'INTERNAL_ERROR', "while it is away, nobody is let in: $_" for qw(pencil crayon);
  is $gate->metric('login_failures_total'), $failures, '... and nobody has failed';
  ok $gate->logs('saslauthd at'), '... and the log has the reason';
  is job_works($fred), '', 'who is connected stays';
};

trial 'settings' => sub {
  like checked($start, table('missing')), qr/cyrus\.service: there is no missing\.conf in \Q$folder\E/, 'no configuration';
  like checked($start, table('none')), qr/none\.conf: .*no-such/, 'no plugin';
  like checked("${start}require_account = true\n", table('sasl-gate')), qr/require_account: cyrus cannot always tell who has an account/, 'no account can be required';
  like checked("${start}upgrade = 'SCRAM-SHA-512'\n", table('sasl-gate')), qr/upgrade: it needs users or postgres/, 'nothing can be upgraded';
};

unlike $gate->log_text, qr/pencil|crayon/, 'no password is logged';
done_testing;
