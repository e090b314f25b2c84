# eg/pop3-server and the stock Net::POP3: passwords from a database, and certificates.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use File::Temp qw(tempdir);
use Net::POP3 ();
use Server::Trial qw(trial);
use TLS::Authority ();

my @perl = ($^X, map { "-I$_" } grep { !ref } @INC);
my $scratch = tempdir(CLEANUP => 1);
my @database = ('--database', "$scratch/users.db");
my $authority = TLS::Authority->new('our authority');
my ($certificate, $key) = $authority->issue('/CN=localhost', 'DNS:localhost,IP:127.0.0.1');
my @anna = $authority->issue('/CN=anna');

sub add {
  my ($user, $password) = @_;
  open my $in, '|-', @perl, 'eg/pop3-server', @database, '--add', $user or die "fork: $!";
  print {$in} "$password\n";
  ok close $in, "$user is added";
  return;
}
add(fred => 'pencil');
add(wilma => 'chalk');

my $pid = open my $log, '-|', @perl, 'eg/pop3-server', @database, '--certificate', $certificate, '--key', $key,
  '--clients',
  $authority->certificate or die "fork: $!";
END { local $?; kill TERM => $pid if $pid }
my ($port) = (scalar <$log> // '') =~ /^listening on 127\.0\.0\.1:(\d+)$/ or die "no port\n";

# Logs in; returns Net::POP3's result, the Authen::SASL object, and the server's line about it.
sub login {
  my ($mechanism, $callback, @own) = @_;
  my $pop3 = Net::POP3->new(
    '127.0.0.1', Port => $port, Timeout => 20, SSL => 1, SSL_ca_file => $authority->certificate,
    SSL_verifycn_name => 'localhost', @own
  ) or die "POP3: $@";
  my $sasl = Authen::SASL->new(mechanism => $mechanism, callback => $callback);
  my $in = $pop3->auth($sasl);
  return ($in, $sasl, scalar <$log>);
}
my %fred = (user => 'fred', pass => 'pencil');
my @certificate = (SSL_cert_file => $anna[0], SSL_key_file => $anna[1]);

for my $mechanism ('SCRAM-SHA-256', 'PLAIN') {
  trial "$mechanism, a verifier from the database" => sub {
    my ($in, $sasl, $line) = login($mechanism, \%fred);
    ok $in, 'the login succeeds';
    ok $sasl->{conn}->is_success, 'the client has verified what it can';
    is $line, "welcome: fred, by $mechanism\n", 'as this user';
    for my $wrong ({ %fred, pass => 'chalk' }, { %fred, user => 'nobody' }, { %fred, user => "fred' OR '1'='1" }) {
      ($in, $sasl, $line) = login($mechanism, $wrong);
      ok !$in, "$wrong->{user}, $wrong->{pass}: refused";
      is $line, "refused: $mechanism server: authentication failed: wrong password or unknown user (SASL_BADAUTH)\n",
        'and why';
    }
  };
}

trial 'EXTERNAL, a certificate' => sub {
  my ($in, $sasl, $line) = login('EXTERNAL', {}, @certificate);
  ok $in, 'the login succeeds';
  is $line, "welcome: anna, by EXTERNAL\n", 'as the owner of the certificate';
  ($in, $sasl, $line) = login('EXTERNAL', { user => 'fred' }, @certificate);
  ok !$in, 'as another user: refused';
  like $line, qr/^refused: EXTERNAL server: 'anna' may not act as 'fred'/, 'and why';
};

trial 'a certificate and a password' => sub {
  my ($in, $sasl, $line) = login('SCRAM-SHA-256', \%fred, @certificate);
  ok $in, 'the password logs in';
  is $line, "welcome: fred, by SCRAM-SHA-256\n", 'as its owner';
};

trial 'EXTERNAL without a certificate' => sub {
  my $pop3 = Net::POP3->new(
    '127.0.0.1', Port => $port, Timeout => 20, SSL => 1, SSL_ca_file => $authority->certificate,
    SSL_verifycn_name => 'localhost'
  ) or die "POP3: $@";
  is $pop3->capa->{SASL} =~ s/\r//r, 'SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN', 'is not offered';
  ok !$pop3->auth(Authen::SASL->new(mechanism => 'EXTERNAL', callback => {})), 'and does not log in';
};

done_testing;
