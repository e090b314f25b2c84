# A server stores the credentials that its client delegates, if configured, and acts as that user: towards a slapd of the same
# realm.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;

use Authen::SASL   qw(Rust);
use Net::LDAP      qw(LDAP_SUCCESS);
use Net::LDAP::Extension::WhoAmI ();
use Peer::Exchange qw(exchange);
use Peer::Ours     ();
use Server::Kdc    ();
use Server::Slapd  ();

my $kdc = Server::Kdc->start(principals => [qw(fred http/localhost ldap/localhost)]);
$ENV{KRB5_KTNAME} = $kdc->keytab('ldap/localhost');
my $slapd = Server::Slapd->start(users => {fred => 'of no use here'});
(my $uri = $slapd->uri) =~ s/127\.0\.0\.1/localhost/;

my $keytab = $kdc->keytab('http/localhost');
my $lends  = $kdc->ccache('fred', '-f');    # a forwardable ticket
my $keeps  = $kdc->ccache('fred');
my $number = 0;

sub fresh { return $kdc->dir . '/delegated-' . ++$number }

# The result for the server in the middle.
sub talk {
  my ($mechanism, $of_client, $of_server, $callback) = @_;
  my $sasl = Authen::SASL->new(mechanism => $mechanism, callback => {authname => delete $of_client->{authzid}});
  my $client = $sasl->client_new('http', 'localhost', $of_client);
  my $server = Authen::SASL->new(mechanism => $mechanism, callback => $callback || {})
    ->server_new('http', 'localhost', {keytab => $keytab, %$of_server});
  my @party = map { bless {conn => $_->[0], role => $_->[1], convention => 'return value'}, 'Peer::Ours' }
    [$client, 'client'], [$server, 'server'];
  exchange(@party, initial_response => 1, success_data => 1);
  return $server;
}

for my $mechanism (qw(GSSAPI GSS-SPNEGO GS2-KRB5)) {
  subtest $mechanism => sub {
    my $path = fresh();
    open my $old, '>', $path or die "$path: $!";
    print {$old} 'what was there before';
    close $old or die "$path: $!";
    chmod 0666, $path or die "$path: $!";

    my $server = talk($mechanism, {ccache => $lends, delegate => 1}, {delegated_ccache => "FILE:$path"});
    ok $server->is_success, 'the server accepts' or return diag $server->error;
    is $server->property('delegated'), 1, 'and knows that it was given a ticket';
    is sprintf('%o', (stat $path)[2] & 07777), '600', 'which other users cannot read';
    like $kdc->run($kdc->program('klist'), '-c', "FILE:$path"),
      qr/^Default principal: fred\@EXAMPLE\.TEST\n.* krbtgt/ms, "the cache is the client's";

    my $ldap = Net::LDAP->new($uri, timeout => 20) or die "$uri: $@";
    my $conn = Authen::SASL->new(mechanism => $mechanism eq 'GS2-KRB5' ? 'GSSAPI' : $mechanism)
      ->client_new('ldap', 'localhost', {ccache => "FILE:$path"});
    my $bind = $ldap->bind('', sasl => $conn);
    is $bind->code, LDAP_SUCCESS, 'it serves for a login further on' or return diag $bind->error;
    is $ldap->who_am_i->response, 'dn:' . $slapd->dn('fred'), 'as the user';
  };
}

my @without = (
  ['that the client does not offer', {ccache => $lends}],
  ['for which its ticket does not serve', {ccache => $keeps, delegate => 1}],
);
for my $case (@without) {
  my ($title, $of_client) = @$case;
  my $path = fresh();
  for my $mechanism (qw(GSSAPI GSS-SPNEGO GS2-KRB5)) {
    my $server = talk($mechanism, {%$of_client}, {delegated_ccache => "FILE:$path"});
    ok $server->is_success, "$mechanism, delegation $title: the login is good";
    is $server->property('delegated'), 0, 'and nothing was delegated';
    $server = talk($mechanism, {%$of_client}, {delegated_ccache => "FILE:$path", secflags => 'pass_credentials'});
    ok !$server->is_success, 'a server that insists refuses';
    like $server->error, qr/^\Q$mechanism\E server: the client has delegated no .* \(SASL_TOOWEAK\)\z/, 'and says why';
  }
  ok !-e $path, 'no cache was written';
}

my $lending = {ccache => $lends, delegate => 1};
my $server = talk('GSSAPI', {%$lending}, {});
ok $server->is_success, 'delegation that was not requested: the login succeeds';
is $server->property('delegated'), 0, 'and nothing is kept';

subtest 'only of a client that is authorized' => sub {
  my $path = fresh();
  for my $verdict (0, 1) {
    my $server = talk('GSSAPI', {%$lending, authzid => 'barney'},
      {delegated_ccache => "FILE:$path"}, {authorize => sub { return $verdict }});
    is !!$server->is_success, !!$verdict, "the verdict is $verdict";
    is !!-e $path, !!$verdict, 'and so is the cache';
  }
};

subtest 'a cache that cannot be written' => sub {
  my $server = talk('GSSAPI', {%$lending}, {delegated_ccache => 'FILE:/dev/null/ccache'});
  ok !$server->is_success, 'the server does not go on';
  is $server->property('delegated'), undef, 'it has nothing';
  like $server->error,
    qr{^GSSAPI server: storing credentials in FILE:/dev/null/ccache: .*\(property delegated_ccache\) \(SASL_BADPARAM\)\z},
    'and says why';
  $server = eval { talk('GSSAPI', {%$lending}, {delegated_ccache => ''}) };
  like $@, qr/delegated_ccache: the name of a credentials cache was expected/, 'a name that is empty';
  $server = eval { talk('GSSAPI', {%$lending}, {delegated => 1}) };
  like $@, qr/property delegated cannot be set/, 'whether there was something cannot be set';
};

# A new exchange inherits nothing from the previous one.
subtest 'again' => sub {
  my $path = fresh();
  my $server = talk('GSSAPI', {%$lending}, {delegated_ccache => "FILE:$path"});
  is $server->property('delegated'), 1, 'delegated';
  $server->server_start(undef);
  is $server->property('delegated'), undef, 'forgotten';
};

done_testing;
