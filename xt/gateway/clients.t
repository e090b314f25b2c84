# Client libraries by others, which do not support AUTH, unchanged through sasl-gate connect.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use ForeignClients ();
use Server::Beanstalkd ();
use Server::SaslConnect ();
use Server::SaslGate ();
use Server::Trial qw(trial);
use TLS::Authority ();

my %command = ForeignClients::commands();
my $beanstalkd = Server::Beanstalkd->start;
my $authority = TLS::Authority->new('Example');
my $gate = Server::SaslGate->start(backend => "127.0.0.1:$beanstalkd->{port}", tls => [$authority->issue('/CN=gateway', 'DNS:localhost')]);
my $password = $gate->write_secret('password', "pencil\n");
my $sidecar = Server::SaslConnect->start(backend => "tls:localhost:$gate->{tls_port}",
  options => ['--backend-ca', $authority->certificate, '--user', 'fred', '--password-file', $password]);

for my $name (sort keys %command) {
  trial $name => sub {
    my $before = $gate->metric('logins_total');
    is $gate->run(@{ $command{$name} }, '127.0.0.1', $beanstalkd->{port}), "ok\n", 'works with a beanstalkd';
    is $gate->run(@{ $command{$name} }, '127.0.0.1', $sidecar->{port}), "ok\n", '... and through the sidecar'
      or diag $sidecar->log_text;
    is $gate->metric('logins_total'), $before + 1, '... which has logged in';
    ok !eval { $gate->run('timeout', 10, @{ $command{$name} }, '127.0.0.1', $gate->{port}); 1 }, 'without it, it cannot work';
  };
}
is $gate->run(@{ $command{greenstalk} }, $sidecar->dir . '/socket'), "ok\n", 'greenstalk on the Unix socket';

done_testing;
