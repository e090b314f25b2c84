# Our client and our server in a test realm.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;

use Authen::SASL   qw(Rust);
use Authen::SASL::Rust::Accounts ();
use Peer::Exchange qw(exchange);
use Peer::Ours     ();
use Server::Kdc    ();

my $kdc = Server::Kdc->start(principals => [qw(fred wilma ldap/localhost imap/localhost)]);
my $keytab = $kdc->keytab('ldap/localhost');
my $cache = $kdc->ccache('fred');

# A connection of either role, with these properties and callbacks.
sub party {
  my ($role, $mechanism, %property) = @_;
  my $callback = delete $property{callback} || {};
  my $host = exists $property{host} ? delete $property{host} : 'localhost';
  my $service = delete $property{service} || 'ldap';
  my $sasl = Authen::SASL->new(mechanism => $mechanism, callback => $callback);
  my $make = "${role}_new";
  my %place = $role eq 'client' ? (ccache => $cache) : (keytab => $keytab);
  my $conn = $sasl->$make($service, $host, {%place, %property}) or return $sasl->error;
  return bless {conn => $conn, role => $role, convention => 'return value'}, 'Peer::Ours';
}

# Both sides, to the end of the exchange.
sub talk {
  my ($mechanism, $of_client, $of_server, %manner) = @_;
  my $client = party('client', $mechanism, %$of_client);
  my $server = party('server', $mechanism, %$of_server);
  return {refused => $client} if !ref $client;
  return {refused => $server} if !ref $server;
  my @conn = ($client->{conn}, $server->{conn});
  my $end = exchange($client, $server, initial_response => 1, success_data => 1, %manner);
  return {%$end, ends => \@conn};
}

sub both_done {
  my ($end) = @_;
  my $good = is($end->{refused}, undef, 'neither side refuses');
  $good &&= is($end->{client}{state}, 'done', 'the client is content')
    & is($end->{server}{state}, 'done', 'the server accepts');
  $good or diag explain { %$end, ends => undef };
  return $good;
}

sub code_of { my ($error) = @_; return $error =~ /\((SASL_\w+)\)\z/ ? $1 : $error }

for my $mechanism (qw(GSSAPI GSS-SPNEGO GS2-KRB5)) {
  for my $manner ([1, 1], [0, 0]) {
    my %manner = (initial_response => $manner->[0], success_data => $manner->[1]);
    subtest "$mechanism, initial response $manner->[0], success data $manner->[1]" => sub {
      my $end = talk($mechanism, {}, {}, %manner);
      both_done($end) or return;
      is $end->{server}{authcid}, 'fred', 'the local name of the principal';
      is $end->{ends}[0]->property('authuser'), 'fred@EXAMPLE.TEST', 'the client knows its principal';
    };
  }
}

# A ticket proves who the user is, and the account store that the user is disabled.
my $accounts = Authen::SASL::Rust::Accounts->new(users => $kdc->dir . '/users');
$accounts->setpass('fred', 'pencil');
for my $mechanism (qw(GSSAPI GSS-SPNEGO GS2-KRB5)) {
  subtest "$mechanism, an account store" => sub {
    both_done(talk($mechanism, {}, {accounts => $accounts}));
    $accounts->disable('fred');
    my $end = talk($mechanism, {}, {accounts => $accounts});
    isnt $end->{server}{state}, 'done', 'a disabled user is refused';
    is $end->{ends}[1]->property('user'), undef, '... and is nobody';
    is code_of($end->{ends}[1]->error), 'SASL_BADAUTH', '... as with a wrong credential';
    like $end->{ends}[1]->error, qr/^\Q$mechanism\E server: authentication failed: .*: the user is disabled/, '... for this reason';
    $accounts->enable('fred');
    both_done(talk($mechanism, {}, {accounts => $accounts, callback => {canonuser => sub { 'somebody' }}}));
  };
}

# Each layer, in both directions, with long texts.
for my $mechanism (qw(GSSAPI GSS-SPNEGO)) {
  for my $layer (['none', 0, 0, 0], ['integrity', 1, 1, 1], ['confidentiality', 2, 4096, 256]) {
    my ($name, $least, $most, $ssf) = @$layer;
    subtest "$mechanism, $name" => sub {
      my %limits = (minssf => $least, maxssf => $most);
      my $end = talk($mechanism, {%limits}, {%limits});
      both_done($end) or return;
      is $_->property('ssf'), $ssf, 'the strength' for @{$end->{ends}};
      for my $way ([0, 1], [1, 0]) {
        my ($from, $to) = @{$end->{ends}}[@$way];
        for my $length (0, 1, 100, 4096, $ssf ? $from->property('maxout') : ()) {
          my $text = 'x' x $length;
          my $frame = $from->encode($text);
          is $to->decode($frame), $text, "$length bytes come through";
          $ssf > 1 and $length > 20 and unlike $frame, qr/xxxx/, 'and the text is not readable';
          $ssf and cmp_ok length $frame, '<=', 65536, 'the frame is not too long';
        }
      }
      return if !$ssf;
      my $frame = $end->{ends}[0]->encode('text');
      substr($frame, -1, 1) ^= "\x01";
      is $end->{ends}[1]->decode($frame), undef, 'a changed frame is not believed';
      like $end->{ends}[1]->error, qr/changed on the way|SASL_BAD/, 'and the error says why';
    };
  }
}

subtest 'limits' => sub {
  my @cases = (
    [{maxssf => 1}, {}, 1, 'the client wants integrity alone'],
    [{}, {no_confidentiality => 1}, 1, 'the server has integrity alone'],
    [{}, {no_integrity => 1}, 0, 'the server has no layer'],
    [{maxssf => 255}, {}, 1, 'AES-256 is too strong'],
    [{externalssf => 256}, {}, 0, 'TLS is enough'],
    [{externalssf => 256, maxssf => 512}, {}, 256, 'TLS is not enough'],
  );
  for my $case (@cases) {
    my $end = talk('GSSAPI', @$case[0, 1]);
    both_done($end);
    is $end->{ends} && $end->{ends}[0]->property('ssf'), $case->[2], $case->[3];
  }
  my $end = talk('GSSAPI', {minssf => 2}, {no_confidentiality => 1});
  is code_of($end->{client}{error}), 'SASL_TOOWEAK', 'no agreement' or diag explain $end->{client};
};

subtest 'authorization' => sub {
  my $allow = sub { my ($conn, $who, $whom) = @_; return $who eq 'fred' && $whom eq 'barney' };
  for my $mechanism (qw(GSSAPI GS2-KRB5)) {
    my $as = sub { return {callback => {authname => $_[0]}} };
    my $end = talk($mechanism, $as->('barney'), {callback => {authorize => $allow}});
    both_done($end) and is $end->{server}{authzid}, 'barney', "$mechanism: allowed";
    $end = talk($mechanism, $as->('wilma'), {callback => {authorize => $allow}});
    is code_of($end->{server}{error} || ''), 'SASL_NOAUTHZ', "$mechanism: not allowed";
    $end = talk($mechanism, $as->('barney'), {});
    is code_of($end->{server}{error} || ''), 'SASL_NOAUTHZ', "$mechanism: not without the callback";
  }
  my $end = talk('GSS-SPNEGO', {callback => {authname => 'barney'}}, {});
  like $end->{client}{error}, qr/authorization identity/, 'GSS-SPNEGO has no place for it';
  for my $mechanism (qw(GSSAPI GSS-SPNEGO GS2-KRB5)) {
    $end = talk($mechanism, {}, {callback => {canonuser => sub { return uc $_[4] }}});
    both_done($end) and is $end->{server}{authcid}, 'FRED', "$mechanism: the canonical name";
    $end = talk($mechanism, {}, {callback => {canonuser => sub { return undef }}});
    is code_of($end->{server}{error} || ''), 'SASL_BADAUTH', "$mechanism: a name that is not wanted";
  }
};

# The SSF is that of the key, whatever the mechanism's maximum may be.
subtest 'AES-128' => sub {
  $kdc->admin('addprinc -randkey -e aes128-cts-hmac-sha1-96:normal http/localhost');
  open my $from, '<', $ENV{KRB5_CONFIG} or die "$ENV{KRB5_CONFIG}: $!";
  my $text = join '', <$from>;
  $text =~ s/(?=default_realm)/permitted_enctypes = aes128-cts-hmac-sha1-96 aes256-cts-hmac-sha1-96\n  /;
  local $ENV{KRB5_CONFIG} = $kdc->write_file('aes128.conf', $text);
  my %with = (service => 'http', minssf => 2);
  for my $mechanism (qw(GSSAPI GSS-SPNEGO)) {
    my $end = talk($mechanism, {%with, ccache => $kdc->ccache('fred')}, {%with, keytab => $kdc->keytab('http/localhost')});
    both_done($end) or next;
    is $_->property('ssf'), 128, "$mechanism: the strength" for @{$end->{ends}};
    is $end->{ends}[1]->decode($end->{ends}[0]->encode('text')), 'text', 'and it works';
    $end = talk($mechanism, {%with, minssf => 256, ccache => $kdc->ccache('fred')}, {%with, keytab => $kdc->keytab('http/localhost')});
    is code_of($end->{client}{error} || ''), 'SASL_TOOWEAK', 'too weak for who wants 256';
  }
};

subtest 'whose credentials' => sub {
  my $both = $kdc->keytab('ldap/localhost', 'imap/localhost');
  both_done(talk('GSSAPI', {}, {keytab => $both, principal => 'ldap/localhost'}));
  my $end = talk('GSSAPI', {}, {keytab => $both, principal => 'imap/localhost'});
  is code_of($end->{server}{error} || ''), 'SASL_BADAUTH', 'the key of another service';
  both_done(talk('GSSAPI', {}, {keytab => $both, host => undef}));    # a server without a host name accepts any key

  # Without a ticket, with a keytab.
  my %by_key = (keytab => $kdc->keytab('wilma'), principal => 'wilma', ccache => 'FILE:' . $kdc->dir . '/new');
  $end = talk('GSSAPI', {%by_key}, {});
  both_done($end) and is $end->{server}{authcid}, 'wilma', 'a client gets its tickets by a keytab';
};

subtest 'channel binding' => sub {
  my $bound = sub { my $byte = shift; return {channel_binding => {'tls-server-end-point' => $byte x 32}} };
  for my $mechanism (qw(GSSAPI GSS-SPNEGO GS2-KRB5-PLUS)) {
    both_done(talk($mechanism, $bound->('a'), $bound->('a')));
    my $end = talk($mechanism, $bound->('a'), $bound->('b'));
    is code_of($end->{server}{error} || ''), 'SASL_BADBINDING', "$mechanism: another channel";
  }
  my $sasl = Authen::SASL->new(mechanism => 'GS2-KRB5 GS2-KRB5-PLUS GSS-SPNEGO GSSAPI', callback => {});
  my %with = (ccache => $cache);
  is $sasl->client_new('ldap', 'localhost', {%with})->mechanism, 'GSSAPI', 'the choice';
  is $sasl->client_new('ldap', 'localhost', {%with, %{$bound->('a')}})->mechanism, 'GS2-KRB5-PLUS', 'and with binding data';
};

# Authen::SASL::Perl accepts a credential as the password. Ignoring it would log in as another user.
for my $mechanism (qw(GSSAPI GSS-SPNEGO GS2-KRB5)) {
  my $credential = bless \(my $handle = 1), 'GSSAPI::Cred';
  for my $pass ($credential, sub { $credential }) {
    my $client = party('client', $mechanism, callback => {pass => $pass});
    is($client->{conn}->client_start, undef, "$mechanism: a credential object is refused");
    like($client->{conn}->error, qr/^$mechanism client: callback pass (?:is|returned) an object.* \(SASL_BADPARAM\)\z/, 'with the reason');
  }
  ok(both_done(talk($mechanism, {callback => {pass => 'of no use'}}, {})), "$mechanism: a password is ignored");
}

done_testing;
