# A fleet as in packaging/container/compose.yaml, as plain processes: haproxy in front of two gateways, which look accounts up in one
# PostgreSQL and lead to one beanstalkd.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use Server::Beanstalkd ();
use Server::Haproxy ();
use Server::JobTalk qw(connect_to login logs_in job_works);
use Server::Postgres ();
use Server::SaslGate ();
use Server::Trial qw(trial);
use Slurp qw(slurp);
use Time::HiRes qw(sleep);

my $database = Server::Postgres->start;
$database->sql('CREATE DATABASE accounts');
$database->{database} = 'accounts';
$database->run('/bin/sh', '-c', 'exec "$@" </dev/null', 'sh', $database->client, '-f', 'docs/postgres.sql');
my $beanstalkd = Server::Beanstalkd->start;
my $salt = $beanstalkd->write_file('salt', 'x' x 32);
chmod 0600, $salt or die "$salt: $!";

my @gate = map {
  Server::SaslGate->start(
    backend => "127.0.0.1:$beanstalkd->{port}", elsewhere => 1, lines => "salt_key = '$salt'\nproxies = ['127.0.0.1']\nlog = 'json'\n",
    tables => "[postgres]\nconnection = 'host=127.0.0.1 port=$database->{port} user=sasl_gate dbname=accounts'\n[store]\ncache_seconds = 0\n",
  )
} 1 .. 2;
my ($line) = $gate[0]->passwd('fred', 'pencil', 'SCRAM-SHA-256') =~ /\Afred:(.*)/;
$database->sql("SELECT sasl_set_verifiers('fred', ARRAY['$line'])");

# The section of the compose file, with these processes' ports.
my ($listen) = slurp('packaging/container/compose.yaml') =~ /^ +(listen gates\n.*)\z/ms;
for my $number (1, 2) {
  my $gate = $gate[$number - 1];
  $listen =~ s/gate-$number:11301 send-proxy-v2 check port 9123/127.0.0.1:$gate->{port} send-proxy-v2 check port $gate->{metrics} inter 100 fall 1/
    or die "no server gate-$number";
}
my $proxy = Server::Haproxy->start(example => $listen);
my $place = "127.0.0.1:$proxy->{port}";

# There is no host of that name here; a mistake in the settings would be found before.
trial 'the settings of the compose file' => sub {
  my ($settings) = slurp('packaging/container/compose.yaml') =~ /^  gate:\n    content: \|\n(.*?)^  haproxy:/ms;
  $settings =~ s/^ {6}//gm;
  $settings =~ s/"\/salt-key"/"$salt"/ or die 'no salt_key';
  my $file = $beanstalkd->write_file('compose.toml', $settings);
  eval { $gate[0]->run($gate[0]->binary, '--config', $file, '--check') };
  like $@, qr/postgres: (?:cannot connect|no answer)/, 'are right, and the database is asked';
};

trial 'logins through haproxy' => sub {
  my @in = map { [login(connect_to($place), user => 'fred', pass => 'pencil')]->[0] } 1 .. 6;
  is job_works($_), '', 'a session' for @in;
  is $_->metric('logins_total'), 3, 'each gateway has its half' for @gate;
  ok !logs_in($place, user => 'fred', pass => 'crayon'), 'a wrong password';
};

trial 'an account is changed for all gateways at once' => sub {
  $database->sql("UPDATE sasl_users SET disabled = true WHERE name = 'fred'");
  ok !logs_in($place, user => 'fred', pass => 'pencil'), "disabled, try $_" for 1, 2;
  $database->sql("UPDATE sasl_users SET disabled = false WHERE name = 'fred'");
  ok logs_in($place, user => 'fred', pass => 'pencil'), "enabled, try $_" for 1, 2;
};

trial 'one gateway is stopped' => sub {
  my ($first, $second) = @gate;
  my $before = $second->metric('logins_total');
  $first->stop;
  sleep 0.5;    # until haproxy's check has failed
  ok logs_in($place, user => 'fred', pass => 'pencil'), "login $_" for 1 .. 4;
  is $second->metric('logins_total'), $before + 4, 'the other one serves all';
};

done_testing;
