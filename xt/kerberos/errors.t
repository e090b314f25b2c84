# Kerberos failures by cause: each error says which side failed, what happened, and what to try.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;

use Authen::SASL qw(Rust);
use Server::Kdc  ();

my $kdc = Server::Kdc->start(principals => [qw(fred wilma ldap/localhost imap/localhost)]);
my %keytab = map { $_ => $kdc->keytab("$_/localhost") } qw(ldap imap);
my $fred = $kdc->ccache('fred');

sub connection {
  my ($role, $service, $host, %property) = @_;
  my $sasl = Authen::SASL->new(mechanism => delete $property{mechanism} || 'GSSAPI', callback => {});
  my $make = "${role}_new";
  return eval { $sasl->$make($service, $host, \%property) };
}

# The client's error, up to its own first message.
sub client_error {
  my ($service, $host, %property) = @_;
  my $conn = connection('client', $service, $host, %property) or return $@;
  my @sent = $conn->client_start;
  return $conn->error;
}

sub first_token {
  my (%property) = @_;
  my $conn = connection('client', 'ldap', 'localhost', ccache => $fred, %property) or die $@;
  my $token = $conn->client_start;
  die $conn->error if $conn->error;
  return $token;
}

sub server_error {
  my ($token, $service, %property) = @_;
  my $conn = connection('server', $service, 'localhost', %property) or return $@;
  my @sent = $conn->server_start($token);
  return $conn->error || '';
}

sub says {
  my ($error, $title, @patterns) = @_;
  like $error, $_, $title for @patterns;
  note $error;
  return;
}

for my $mechanism (qw(GSSAPI GSS-SPNEGO GS2-KRB5)) {
  my %with = (mechanism => $mechanism);

  says(client_error('ldap', 'localhost', %with, ccache => 'FILE:/nonexistent/ccache'),
    "$mechanism: no ticket", qr/\A\Q$mechanism\E |: \Q$mechanism\E: /, qr/run kinit/, qr/SASL_NOMECH/);

  says(client_error('ldap', 'localhost', %with, ccache => $fred, principal => 'wilma'),
    "$mechanism: no ticket of that principal", qr/wilma/, qr/run kinit/);

  says(client_error('nosuch', 'localhost', %with, ccache => $fred),
    "$mechanism: unknown service", qr/nosuch\@localhost/, qr/check the host name/, qr/SASL_FAIL/);

  says(server_error('', 'ldap', %with, keytab => 'FILE:/nonexistent/keytab'),
    "$mechanism: no keytab", qr/ldap\@localhost/, qr/keytab/, qr/SASL_NOMECH/);

  says(server_error('', 'ldap', %with, keytab => $keytab{imap}),
    "$mechanism: no key for the service", qr/ldap\@localhost/, qr/keytab/, qr/SASL_NOMECH/);

  says(server_error(first_token(%with), 'imap', %with, keytab => $keytab{imap}),
    "$mechanism: a ticket for another service", qr/imap\@localhost/, qr/keytab|host name/, qr/SASL_BADAUTH/);

  my $token = first_token(%with);
  is server_error($token, 'ldap', %with, keytab => $keytab{ldap}), '', "$mechanism: a token";
  says(server_error($token, 'ldap', %with, keytab => $keytab{ldap}),
    "$mechanism: the same token again", qr/used before/, qr/SASL_BADAUTH/);
}

subtest 'an expired ticket' => sub {
  my $short = $kdc->ccache('fred', '-l', '3s');
  my $client = connection('client', 'ldap', 'localhost', ccache => $short) or die $@;
  my $server = connection('server', 'ldap', 'localhost', keytab => $keytab{ldap}) or die $@;
  my $message = $server->server_start($client->client_start);
  while ($client->need_step && !$server->error) {
    $message = $client->client_step($message);
    $message = $server->server_step($message) if $server->need_step;
  }
  sleep 5;
  is $server->decode($client->encode('text')), 'text', 'a layer outlives its ticket' or diag $client->error || $server->error;
  says(client_error('ldap', 'localhost', ccache => $short), 'expired', qr/expired/, qr/kinit/);
};

subtest 'clocks apart' => sub {
  my $token = first_token();
  open my $from, '<', $ENV{KRB5_CONFIG} or die "$ENV{KRB5_CONFIG}: $!";
  my $text = join '', <$from>;
  $text =~ s/(?=default_realm)/clockskew = 1\n  /;
  local $ENV{KRB5_CONFIG} = $kdc->write_file('strict.conf', $text);
  sleep 3;
  says(server_error($token, 'ldap', keytab => $keytab{ldap}), 'skew', qr/clocks/, qr/SASL_BADAUTH/);
};

subtest 'no KDC' => sub {
  my $cache = $kdc->ccache('fred');
  local $ENV{KRB5_CONFIG} = $kdc->config_without_kdc;
  says(client_error('ldap', 'localhost', ccache => $cache), 'unreachable', qr/no KDC of the realm answers/);
};

# The last one: the service has a new key, but the keytab does not.
subtest 'another version of the key' => sub {
  $kdc->admin('change_password -randkey ldap/localhost');
  my $token = first_token(ccache => $kdc->ccache('fred'));
  says(server_error($token, 'ldap', keytab => $keytab{ldap}), 'version', qr/export the keytab again/, qr/SASL_BADAUTH/);
};

done_testing;
