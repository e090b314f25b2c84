# sasl-gate and its machine: wrong file types, no file descriptors left, a full disk, the systemd unit.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use File::Copy ();
use IO::Socket::INET ();
use Server::Beanstalkd ();
use Server::JobTalk qw(connect_to login logs_in job_works);
use Server::SaslGate ();
use Server::Trial qw(trial);
use Slurp qw(slurp);
use Time::HiRes qw(sleep);

my $beanstalkd = Server::Beanstalkd->start;
my $backend = "127.0.0.1:$beanstalkd->{port}";
my $gate = Server::SaslGate->start(backend => $backend);
my $binary = $gate->binary;

# The processor time that a gateway has used, in hundredths of a second.
sub ticks {
  my ($which) = @_;
  my ($after_name) = slurp('/proc/' . $which->pid . '/stat') =~ /.*\) (.*)/s;
  my @field = split / /, $after_name;
  return $field[11] + $field[12];
}

trial 'the Unix socket and what is there already' => sub {
  my $file = $gate->write_file('precious', "precious\n");
  my @start = ('timeout', 10, $binary, '--users', $gate->dir . '/users', '--listen');
  ok !eval { $gate->run(@start, "unix:$file"); 1 }, 'a file that is not a socket is not replaced';
  like $@, qr/in use/, '... with that reason';
  is slurp($file), "precious\n", '... and is as it was';
  ok !eval { $gate->run(@start, 'unix:' . $gate->dir . '/socket'); 1 }, 'a socket that is in use is not either';
  ok logs_in($gate->dir . '/socket', user => 'fred', pass => 'pencil'), '... and works on';
  my $left = q{perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Listen => 1, Local => "$ARGV[0]/socket") or die $!' "$0"};
  my $next = Server::SaslGate->start(backend => $backend, shell => "$left; test -S \"\$0/socket\" || exit 1");
  ok logs_in($next->dir . '/socket', user => 'fred', pass => 'pencil'), 'one that was left is';
  my $socket = $next->dir . '/socket';
  $next->signal('TERM');
  ok $next->logs('ending'), 'at its end';
  ok !-e $socket, '... the gateway takes its own away';
};

trial 'no files left' => sub {
  my $small = Server::SaslGate->start(backend => $backend, shell => 'ulimit -n 60');
  my $place = "127.0.0.1:$small->{port}";
  my @scraper = map { connect_to("127.0.0.1:$small->{metrics}") } 1 .. 80;
  ok logs_in($place, user => 'fred', pass => 'pencil'), 'scrapers do not take those of the clients';
  my @client = map { connect_to($place) } 1 .. 80;
  ok $small->logs('Too many open files'), 'there are none, which is logged';
  my $before = ticks($small);
  sleep 1;
  cmp_ok ticks($small) - $before, '<', 30, 'the gateway does not spin';
  undef @$_ for \@scraper, \@client;
  my $in;
  for my $try (1 .. 40) { last if $in = eval { logs_in($place, user => 'fred', pass => 'pencil') }; sleep 0.1 }
  ok $in, 'when there are some, clients can log in again';
  unlike $small->log_text, qr/panicked/, 'no panic';
};

trial 'a log that cannot be written' => sub {
  my $full = Server::SaslGate->start(backend => $backend, shell => 'exec 2>/dev/full');
  for my $try (1, 2) {
    my ($in, $auth) = login(connect_to("127.0.0.1:$full->{port}"), user => 'fred', pass => 'pencil');
    ok $in && job_works($in) eq '', 'the gateway works without' or diag $auth->error;
  }
  $full->signal('HUP');
  ok $full->metric_becomes(reloads_total => 1), '... and reloads';
};

trial 'files of secrets that belong to another user' => sub {
  my @check = ($binary, '--check');
  my $token = $gate->run($binary, 'token', 'fred') =~ /^(fred:.*\n)/m ? $1 : die 'no token';
  for my $case (['tokens', $token], ['users', slurp($gate->dir . '/users')]) {
    my ($option, $text) = @$case;
    my $path = $gate->write_secret("of-another-$option", $text);
    like $gate->run(@check, "--$option", $path), qr/configuration OK/, "$option: one's own is good";
    chown 65_534, -1, $path or die "chown: $!";
    ok !eval { $gate->run(@check, "--$option", $path); 1 }, '... that of another account is refused';
    like $@, qr/belongs neither/, '... with that reason';
  }
};

# The unit's account can read its files through their group.
trial 'the unit for systemd' => sub {
  my $unit = slurp('gateway/contrib/sasl-gate.service');
  my $copy = $gate->dir . '/sasl-gate';
  File::Copy::copy($binary, $copy) or die "$copy: $!";
  chmod 0755, $copy or die "$copy: $!";
  (my $here = $unit) =~ s/^Documentation=.*\n//m;
  $here =~ s{/usr/bin/sasl-gate}{$copy}g;
  my $path = $gate->write_file('sasl-gate.service', $here);
  my $socket = $gate->write_file('sasl-gate.socket', slurp('gateway/contrib/sasl-gate.socket'));
  is $gate->run('systemd-analyze', 'verify', '--man=no', $_), '', 'is well formed' for $path, $socket;
  like $gate->run('systemd-analyze', 'security', '--offline=yes', '--threshold=20', $path), qr/Overall exposure level/,
    'leaves little open';
  like $unit, qr/^User=sasl-gate\nGroup=sasl-gate\n/m, 'has an account';
  my $users = $gate->write_secret('of-the-group', slurp($gate->dir . '/users'));
  my @as = ('setpriv', '--reuid=65534', '--clear-groups');
  my @check = ($copy, '--users', $users, '--check');
  chown 0, 65_533, $users or die "chown: $!";
  chmod 0640, $users or die "chmod: $!";
  like $gate->run(@as, '--regid=65533', @check), qr/configuration OK/, 'files of root that its group may read are read';
  ok !eval { $gate->run(@as, '--regid=65534', @check); 1 }, '... but no other user can';
};

unlike $gate->log_text, qr/panicked/, 'no panic';

done_testing;
