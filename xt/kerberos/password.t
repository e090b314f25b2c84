# A client without a ticket gets one with its password (property kerberos_password), and each refusal of the KDC is told apart.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;

use Authen::SASL qw(Rust);
use Server::Kdc ();

my $kdc = Server::Kdc->start(principals => ['ldap/localhost']);
my $keytab = $kdc->keytab('ldap/localhost');
my $PASSWORD = 'Kuchen+Torte';
my %account = (
  fred    => '+requires_preauth',
  wilma   => '',
  expired => '-pwexpire yesterday',
  renew   => '+needchange',
  locked  => '-allow_tix',
  gone    => '-expire yesterday',
);
$kdc->admin("addprinc -pw $PASSWORD $account{$_} $_") for sort keys %account;

sub client {
  my ($mechanism, $callback, %property) = @_;
  my $sasl = Authen::SASL->new(mechanism => $mechanism, callback => $callback);
  return eval { $sasl->client_new('ldap', 'localhost', { kerberos_password => 1, %property }) } || $@;
}

# Logs in to our server; returns its user, or the client's error.
sub login {
  my $client = client(@_);
  return $client unless ref $client;
  my $server = Authen::SASL->new(mechanism => $_[0])->server_new('ldap', 'localhost', { keytab => $keytab });
  my $message = $client->client_start;
  return $client->error if $client->error;
  $message = $server->server_start($message);
  while ($client->need_step && !$server->error) {
    $message = $client->client_step($message);
    $message = $server->server_step($message) if $server->need_step;
  }
  return $client->is_success && $server->is_success ? $server->property('user') : $client->error || $server->error;
}

for my $mechanism (qw(GSSAPI GSS-SPNEGO GS2-KRB5)) {
  for my $user (qw(fred wilma)) {
    is login($mechanism, { user => $user, pass => $PASSWORD }), $user, "$mechanism: $user logs in with a password";
  }
  is login($mechanism, { user => "fred\@$Server::Kdc::REALM", pass => $PASSWORD }), 'fred', "$mechanism: with a realm";
  is login($mechanism, { pass => $PASSWORD }, principal => 'wilma'), 'wilma', "$mechanism: the property principal";
  is login($mechanism, { user => 'fred', pass => $PASSWORD }, principal => 'wilma'), 'wilma', '... comes before the callback';
  like login($mechanism, { user => 'fred', pass => $PASSWORD, authname => 'wilma' }), qr/may not act as 'wilma'/,
    "$mechanism: the authorization identity is that of authname"
    if $mechanism ne 'GSS-SPNEGO';

  for my $case (
    ['fred', 'wrong', 'a wrong password', qr/the password is wrong/, 'SASL_BADAUTH'],
    ['wilma', 'wrong', 'a wrong password without preauthentication', qr/the password is wrong/, 'SASL_BADAUTH'],
    ['nobody', $PASSWORD, 'an unknown principal', qr/the KDC does not know the client/, 'SASL_BADAUTH'],
    ['expired', $PASSWORD, 'an expired password', qr/the password has expired, or must be changed/, 'SASL_EXPIRED'],
    ['renew', $PASSWORD, 'a password to be changed', qr/the password has expired, or must be changed/, 'SASL_EXPIRED'],
    ['locked', $PASSWORD, 'a locked account', qr/the account is disabled, locked or expired/, 'SASL_DISABLED'],
    ['gone', $PASSWORD, 'an expired account', qr/the account has expired/, 'SASL_DISABLED'],
    ['fred@ELSEWHERE.TEST', $PASSWORD, 'an unknown realm', qr/the realm is unknown: check .* krb5\.conf/, 'SASL_FAIL'],
    ['fred', '', 'an empty password', qr/the password .*is empty/, 'SASL_BADPARAM'],
    ['fred', "a\0b", 'a password with a NUL', qr/the password .*holds a NUL character/, 'SASL_BADPARAM'],
    ["fr\0ed", $PASSWORD, 'a name with a NUL', qr/NUL/, 'SASL_BADPARAM'],
    ['', $PASSWORD, 'an empty name', qr/authentication identity .*is empty/, 'SASL_BADPARAM'],
  ) {
    my ($user, $pass, $title, $reason, $code) = @$case;
    my $error = login($mechanism, { user => $user, pass => $pass });
    like $error, $reason, "$mechanism: $title";
    like $error, qr/\($code\)\z/, '... has the code ' . $code;
    unlike $error, qr/\Q$PASSWORD\E|wrong'/, '... without the password';
  }
}

# A ticket is taken where there is one, but only the user's own.
my $ticket = $kdc->ccache_by_password('wilma', $PASSWORD);
is login('GSSAPI', { user => 'wilma', pass => 'wrong' }, ccache => $ticket), 'wilma', 'a ticket is enough';
is login('GSSAPI', { user => 'fred', pass => $PASSWORD }, ccache => $ticket), 'fred', "another user's ticket is left alone";
like login('GSSAPI', { user => 'fred', pass => 'wrong' }, ccache => $ticket), qr/the password is wrong/, '... by a wrong password too';
my $short = $kdc->ccache_by_password('wilma', $PASSWORD, '-l', '2s');
sleep 4;
is login('GSSAPI', { user => 'wilma', pass => $PASSWORD }, ccache => $short), 'wilma', 'an expired ticket is not';

like login('GSSAPI', { user => 'fred', pass => $PASSWORD }, kerberos_password => 0), qr/run kinit/, 'not by default';
like login('GSSAPI', { user => 'fred' }), qr/run kinit/, 'without a password there must be a ticket';
like login('GSSAPI', { user => 'fred', pass => sub { undef } }), qr/run kinit/, '... and where the callback has none';
like login('GSSAPI', { pass => $PASSWORD }), qr/run kinit/, '... or without a name';

{
  local $ENV{KRB5_CONFIG} = $kdc->config_without_kdc;
  like login('GSSAPI', { user => 'fred', pass => $PASSWORD }), qr/no KDC of the realm answers.*SASL_UNAVAIL/s, 'no KDC';
}

# A machine without a realm of its own.
{
  open my $from, '<', $ENV{KRB5_CONFIG} or die "$ENV{KRB5_CONFIG}: $!";
  my $text = join '', grep { !/default_realm/ } <$from>;
  local $ENV{KRB5_CONFIG} = $kdc->write_file('homeless.conf', $text);
  for my $mechanism (qw(GSSAPI GSS-SPNEGO GS2-KRB5)) {
    like login($mechanism, { user => 'fred', pass => $PASSWORD }), qr/give the name with its realm.*SASL_FAIL/, "$mechanism: no default realm";
    like login($mechanism, { user => "fred\@$Server::Kdc::REALM", pass => $PASSWORD }), qr/\Afred\b/, '... a name with its realm needs none';
  }
}

done_testing;
