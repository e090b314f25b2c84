# EXTERNAL: when it is a candidate, what a client sends, and an empty message that a protocol drops.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Socket ();
use Authen::SASL qw(Rust);

my %password = (user => 'fred', pass => 'pencil');

sub client {
  my ($list, $callback, $options) = @_;
  return Authen::SASL->new(mechanism => $list, callback => $callback)->client_new('smtp', 'mail.example.org', $options);
}

sub server {
  my ($list, $options, %callback) = @_;
  return Authen::SASL->new(mechanism => $list, callback => { getsecret => sub { 'pencil' }, %callback })
    ->server_new('smtp', 'mail.example.org', $options);
}

subtest 'a client with a password gets to it' => sub {
  for my $list ('EXTERNAL PLAIN LOGIN', 'PLAIN LOGIN EXTERNAL', 'external plain', 'EXTERNAL CRAM-MD5') {
    isnt(uc client($list, {%password})->mechanism, 'EXTERNAL', $list);
    is(uc client($list, { user => 'fred' })->mechanism, 'EXTERNAL', "$list: there is no password");
  }
  is(client('EXTERNAL', {%password})->mechanism, 'EXTERNAL', 'the caller names nothing else');
  is(client('EXTERNAL ANONYMOUS', {%password})->mechanism, 'EXTERNAL', 'nothing else takes a password');

  # Unusable values must not make the client fall back to the password.
  for my $useless (
    ['EXTERNAL PLAIN', {%password}, 'noplaintext'],
    ['EXTERNAL SCRAM-SHA-256-PLUS', {%password}],
    ['EXTERNAL CRAM-MD5', { %password, authname => 'wilma' }],
    ['EXTERNAL PLAIN', { pass => 'pencil' }],
    ) {
    my ($list, $callback, @options) = @$useless;
    my $mechanism = eval { client($list, $callback, @options)->mechanism } || $@;
    is($mechanism, 'EXTERNAL', "$list, which cannot be used with @{[sort keys %$callback]} @options");
  }
  is(client('EXTERNAL PLAIN CRAM-MD5', {%password}, 'noplaintext')->mechanism, 'CRAM-MD5', 'one of the list can be used');
};

subtest 'signs of an identity outside SASL' => sub {
  my $list = 'EXTERNAL PLAIN';
  is(client($list, {%password}, { externalssf => 256 })->mechanism, 'EXTERNAL', 'externalssf');
  is(client($list, {%password}, { externalssf => 0 })->mechanism, 'PLAIN', 'externalssf of 0');
  my $chosen = sub {
    my ($name, $value) = @_;
    my $conn = client($list, {%password});
    $conn->property($name => $value);
    $conn->client_start;
    is($conn->property($name), $value, "$name is kept");
    return $conn->mechanism;
  };
  for my $name (qw(sockname peername)) {
    is($chosen->($name, Socket::pack_sockaddr_un('/run/ldapi')), 'EXTERNAL', "$name of a Unix socket");
    is($chosen->($name, Socket::pack_sockaddr_in(389, Socket::inet_aton('127.0.0.1'))), 'PLAIN', "$name of TCP");
    is($chosen->($name, $_), 'PLAIN', "$name is no address") for '', 'x', '192.0.2.1;389';
  }
};

subtest 'what is sent' => sub {
  my $sent = sub { scalar client('EXTERNAL', {@_})->client_start };
  is($sent->(authzid => 'a', user => 'u', authname => 'n'), 'a', 'authzid');
  is($sent->(user => 'u', authname => 'n'), 'u', 'else user');
  is($sent->(authcid => 'c', authname => 'n'), 'c', 'by its standard name, too');
  is($sent->(authname => 'n'), 'n', 'else authname');
  is($sent->(auth => 'a', user => 'u'), 'u', 'with auth, user is the authzid');
  is($sent->(), '', 'else nothing');
  is($sent->(user => 'u', canonuser => sub { "$_[1] $_[4]" }), 'AUTHZID u', 'canonuser gets it as the authorization identity');
};

subtest 'a server without external_id has no EXTERNAL' => sub {
  my $server = server('EXTERNAL PLAIN');
  is($server->listmech, 'PLAIN', 'it is not listed');
  is($server->mechanism, 'PLAIN', 'and not left to choose');
  $server = server('EXTERNAL PLAIN LOGIN');
  $server->mechanism('EXTERNAL');
  is_deeply([$server->server_start('fred')], [], 'a client that names it all the same');
  like($server->error, qr/EXTERNAL: no identity was established outside SASL \(property external_id\).*SASL_NOMECH/, 'is refused');
  ok(!eval { server('EXTERNAL', $_) }, 'alone, it makes no server') for {}, { external_id => '' };
  like($@, qr/EXTERNAL: no identity was established outside SASL/, 'which has its reason');

  is(server('EXTERNAL PLAIN', { external_id => 'fred' })->listmech, 'EXTERNAL PLAIN', 'with one, it is');
  $server = server('EXTERNAL PLAIN');
  $server->property(external_id => 'fred');      # as after STARTTLS
  is($server->listmech, 'EXTERNAL PLAIN', 'also with one that comes later');
  $server->mechanism('EXTERNAL');
  $server->server_start('');
  ok($server->is_success, 'and it logs in');
};

# Net::SMTP and Net::POP3 do not send an empty initial response; the server asks for it.
subtest 'an empty message that was dropped' => sub {
  for my $mechanism (qw(EXTERNAL ANONYMOUS)) {
    my $client = client($mechanism, {});
    my $server = server($mechanism, { external_id => 'fred' });
    is($client->client_start, '', "$mechanism: the message is empty");
    is($server->server_start(undef), '', 'the server, which got none, asks');
    is_deeply([$client->client_step('')], [''], 'the client says it again');
    ok($client->is_success && !$client->need_step && !defined $client->error, 'and is as successful as before');
    is($client->property('message_absent'), 0, 'it is a message');
    $server->server_step('');
    ok($server->is_success, 'the server too');
    is_deeply([$client->client_step('')], [], 'a second time it does not');
    is_deeply([client($mechanism, {})->client_step('')], [''], 'a client that was not started, the same');

    $client = client($mechanism, {});
    $client->client_start;
    is_deeply([$client->client_step('more')], [], 'a challenge that asks for more gets nothing');
    my ($first, @rest) = map { scalar $client->client_start } 1 .. 2;
    is($rest[0], '', 'a new exchange begins afresh');
    is_deeply([$client->client_step('')], [''], 'with its own repetition');
  }
  my $client = client('EXTERNAL', { user => 'fred' });
  is($client->client_start, 'fred', 'a message that is not empty');
  is_deeply([$client->client_step('')], [], 'is not said again: no protocol drops it');
};

done_testing;
