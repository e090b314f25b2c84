# EXTERNAL with the stock Net::POP3 and Net::SMTP on our own Dovecot, which identifies its clients by their certificates and offers
# EXTERNAL to every client.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use Net::POP3 ();
use Net::SMTP ();
use Server::Dovecot ();
use Server::Trial qw(trial);
use TLS::Authority ();

my $authority = TLS::Authority->new('our authority');
my @server = $authority->issue('/CN=localhost', 'DNS:localhost,IP:127.0.0.1');
my %certificate = map { $_ => [$authority->issue("/CN=$_")] } qw(fred anna);
my $dovecot = Server::Dovecot->start(users => { fred => 'pencil', anna => 'chalk' }, external => [$authority->certificate, @server]);

# A client, under TLS with that certificate or none.
sub connected {
  my ($class, $port, $name) = @_;
  my @own = $name ? (SSL_cert_file => $certificate{$name}[0], SSL_key_file => $certificate{$name}[1]) : ();
  my $client = $class->new('127.0.0.1', Port => $dovecot->{$port}, Timeout => 20) or die "$class: $@";
  $client->starttls(SSL_ca_file => $authority->certificate, SSL_verifycn_name => 'localhost', @own)
    or die 'STARTTLS: ', $client->message;
  return $client;
}

sub inbox { return join '', grep { /^Subject:/ } @{ $_[0]->top(1) || [] } }

for my $callback ({}, { user => 'fred' }) {
  my $says = $callback->{user} ? "'fred'" : 'nothing';
  trial "Net::POP3, a client that says $says" => sub {
    my $pop3 = connected('Net::POP3', 'pop3', 'fred');
    my $sasl = Authen::SASL->new(mechanism => 'EXTERNAL', callback => $callback);
    my @warnings;
    local $SIG{__WARN__} = sub { push @warnings, @_ };
    ok $pop3->auth($sasl), 'the login succeeds' or diag $pop3->message, $sasl->error // '', $dovecot->log_text;
    like inbox($pop3), qr/^Subject: @{[Server::Dovecot::letter('fred')]}\s*$/, "as the certificate's owner";
    is_deeply \@warnings, [], 'without a warning';
  };
  trial "Net::SMTP, a client that says $says" => sub {
    my $smtp = connected('Net::SMTP', 'submission', 'anna');
    my $sasl = Authen::SASL->new(mechanism => 'EXTERNAL', callback => $callback->{user} ? { user => 'anna' } : {});
    ok $smtp->auth($sasl), 'the login succeeds' or diag $smtp->message, $sasl->error // '', $dovecot->log_text;
  };
}

trial 'as another user' => sub {
  my $pop3 = connected('Net::POP3', 'pop3', 'fred');
  ok !$pop3->auth(Authen::SASL->new(mechanism => 'EXTERNAL', callback => { user => 'anna' })), 'it is refused';
  is inbox($pop3), '', 'and gets no letter';
};

# The server lists EXTERNAL here too.
trial 'a password, and no certificate' => sub {
  my $smtp = connected('Net::SMTP', 'submission');
  like $smtp->supports('AUTH'), qr/EXTERNAL/, 'EXTERNAL is offered';
  ok $smtp->auth('fred', 'pencil'), 'the password logs in' or diag $smtp->message, $dovecot->log_text;
  my $pop3 = connected('Net::POP3', 'pop3');
  ok $pop3->auth('fred', 'pencil'), 'Net::POP3, too' or diag $pop3->message, $dovecot->log_text;
};

done_testing;
