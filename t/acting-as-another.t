# A client with an authzid acts as that user or reports an error: it never silently logs in as itself.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);

my %admin = (user => 'admin', pass => 'secret', token => 'token', authname => 'anna');

sub client {
  my ($list, %callback) = @_;
  return Authen::SASL->new(mechanism => $list, callback => {%callback})->client_new('imap', 'mail.example.org');
}

my @CARRY = qw(PLAIN OAUTHBEARER SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-512 DIGEST-MD5 EXTERNAL);
my @DROP = qw(LOGIN CRAM-MD5 XOAUTH2);
my %challenge = (LOGIN => 'User Name', 'CRAM-MD5' => '<1@h>', 'DIGEST-MD5' => 'nonce="n",algorithm=md5-sess,charset=utf-8');

sub first_words {
  my ($conn) = @_;
  my $message = $conn->client_start;
  $message = $conn->client_step($challenge{ $conn->mechanism }) if $challenge{ $conn->mechanism };
  return $message;
}

subtest 'mechanisms that carry it' => sub {
  for my $mechanism (grep { $_ ne 'EXTERNAL' } @CARRY) {
    like(first_words(client($mechanism, %admin)), qr/anna/, $mechanism);
  }
  is(client('EXTERNAL', authzid => 'anna', user => 'admin')->client_start, 'anna', 'EXTERNAL');
};

subtest 'the others are not candidates' => sub {
  for my $mechanism (@DROP) {
    ok(!eval { client($mechanism, %admin) }, "$mechanism alone");
    like($@, qr/\Q$mechanism\E: it cannot ask to act as another user \(callback authname differs from user\)/, 'and why');
    is(client("$mechanism PLAIN", %admin)->mechanism, 'PLAIN', "$mechanism before PLAIN");
  }
  ok(!eval { client('GSS-SPNEGO', %admin) } && $@ =~ /GSS-SPNEGO: it cannot ask to act as another user/, 'GSS-SPNEGO');
  for my $names (['authcid', 'authzid'], ['auth', 'user'], ['auth', 'authname']) {
    my %names = ($names->[0] => 'admin', $names->[1] => 'anna', pass => 'secret');
    ok(!eval { client('CRAM-MD5', %names) }, "@$names");
  }
  my $conn = client('CRAM-MD5 PLAIN', user => 'admin', pass => 'secret');
  is($conn->mechanism, 'CRAM-MD5', 'without a wish');
  $conn->callback(authname => 'anna');
  $conn->client_start;
  is($conn->mechanism, 'PLAIN', 'a wish that comes later');
};

subtest 'the own name is not another user' => sub {
  for my $mechanism (@DROP) {
    for my $self ('admin', '', undef) {
      my $conn = client($mechanism, %admin, authname => $self);
      like(first_words($conn), qr/admin/, "$mechanism, authname " . (defined $self ? "'$self'" : 'undef'));
      ok(!defined $conn->error, 'no error') or diag($conn->error);
    }
  }
  my $latin = "j\xfcrgen";
  utf8::upgrade(my $upgraded = $latin);
  is(client('CRAM-MD5', user => $latin, authname => $upgraded, pass => 'x')->mechanism, 'CRAM-MD5', 'however Perl keeps it');
};

# The choice does not call code: the exchange fails before anything is sent.
subtest 'a name that code gives' => sub {
  for my $mechanism (@DROP) {
    my $conn = client($mechanism, %admin, authname => sub { 'anna' });
    is(first_words($conn), undef, "$mechanism sends nothing");
    like($conn->error, qr/\A$mechanism client: the authorization identity .*cannot be sent: this mechanism has no place for it/,
      'the error');
    ok(!$conn->is_success, 'no success');
    $conn = client($mechanism, %admin, user => sub { 'admin' }, authname => [sub { $_[1] }, 'admin']);
    like(first_words($conn), qr/admin/, "$mechanism: the same name");
  }
};

is(client('ANONYMOUS', user => 'admin', authname => 'trace')->client_start, 'trace', "ANONYMOUS: authname is the trace");

done_testing;
