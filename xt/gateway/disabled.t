# Users whose identity something else proves than the account store: tokens, certificates, user IDs, the passwords' file. The store
# (users' file, PostgreSQL, LDAP) disables them nevertheless, at the login and while they are connected.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use IO::Socket::SSL ();
use JSON::PP ();
use Provider;
use Server::Beanstalkd ();
use Server::Directory ();
use Server::JobTalk qw(connect_to login all_heard job_works);
use Server::Postgres ();
use Server::SaslGate ();
use Server::Trial qw(trial);
use TLS::Authority ();

plan skip_all => 'PyJWT or Authlib is missing (Debian: python3-jwt, python3-authlib)'
  if system('/usr/bin/python3 -c "import jwt, authlib.jose" >/dev/null 2>&1') != 0;

# In the store, fred is active and gone is disabled; nobody is not there.
my @user = qw(fred gone nobody);
my $json = JSON::PP->new->utf8;
open my $python, '-|', '/usr/bin/python3', 'xt/peers/tokens.py',
  map { $json->encode({ algorithms => ['ES256'], kid => "$_-", claims => { sub => $_ } }) } @user
  or die "python3: $!";
my @made = map { $json->decode($_) } <$python>;
close $python or die 'tokens.py failed';
my %signed = map { $user[$_] => $made[$_]{tokens}{'PyJWT ES256'} } 0 .. $#user;
my $provider = Provider->start(introspect => sub {
  my ($user) = $_[0]{form}{token} =~ /\Aof-(\w+)\z/ or return { active => JSON::PP::false() };
  return { active => JSON::PP::true(), sub => $user };
});

my $authority = TLS::Authority->new('Example');
my %shows = map { $_ => [$authority->issue("/CN=$_")] } @user;
my $beanstalkd = Server::Beanstalkd->start;
my $gate = Server::SaslGate->start(backend => "127.0.0.1:$beanstalkd->{port}", tls => 1, elsewhere => 1, lines => "unix_users = { $> = 'gone' }\n");
my %verifier = map { $_ => $gate->passwd($_, 'pencil', 'SCRAM-SHA-256') =~ s/\A.*?:|\n\z//gr } qw(fred gone);
my (%token, @line);
for my $user (@user) {
  my $printed = $gate->run($gate->binary, 'token', $user);
  ($token{$user}) = $printed =~ /^([0-9a-f]{64})$/m or die $printed;
  push @line, $printed =~ /^($user:.*\n)/m;
}
my %text = (
  tokens => join('', @line), passwords => join('', map { "$_:pencil\n" } @user), salt => 'x' x 32, secret => "secret\n",
  'directory-password' => "$Server::Directory::SERVICE_PASSWORD\n", keys => $json->encode({ keys => [map { @{ $_->{keys} } } @made] }),
);
my %path = map { $_ => $gate->write_secret($_, $text{$_}) } keys %text;
my $lines = "tokens = '$path{tokens}'\npasswords = '$path{passwords}'\nsalt_key = '$path{salt}'\nplaintext = true\n"
  . "mechanisms = 'EXTERNAL OAUTHBEARER CRAM-MD5 DIGEST-MD5 SCRAM-SHA-256'\n";
my $tables = "[jwt]\nissuer = 'https://login.example.org'\naudience = 'imap'\nkeys = '$path{keys}'\n"
  . "[introspection]\nurl = '" . $provider->url('introspect') . "'\nclient_id = 'gate'\nclient_secret_file = '$path{secret}'\n";
my $tls_lines = "client_ca = '" . $authority->certificate . "'\n";

# Uses these settings: the store's lines and tables, and the user of the Unix socket.
sub configure {
  my ($store, $by_id, $more) = @_;
  my $before = $gate->metric('reloads_total');
  $gate->configure(
    lines => $lines . ($store->{lines} || '') . "unix_users = { $> = '$by_id' }\n" . ($more || ''), tables => $tables . ($store->{tables} || ''),
    limits => "failures_per_address = 1000\nfailures_per_user = 1000\nrevocation_seconds = 1\n", tls_lines => $tls_lines,
  );
  $gate->signal('HUP');
  $gate->metric_becomes('reloads_total', $before + 1) or die $gate->log_text;
  return;
}

my %tls_options = (options => { externalssf => 256, channel_binding_policy => 'disable' });
my $place = "127.0.0.1:$gate->{port}";
my %proof = (
  'a signed token' => sub { login(connect_to($place), mechanism => 'OAUTHBEARER', token => $signed{ $_[0] }) },
  'a token of introspection' => sub { login(connect_to($place), mechanism => 'OAUTHBEARER', token => "of-$_[0]") },
  'a token of the file' => sub { login(connect_to($place), mechanism => 'OAUTHBEARER', token => $token{ $_[0] }) },
  'the passwords\' file' => sub { login(connect_to($place), mechanism => 'CRAM-MD5', user => $_[0], pass => 'pencil') },
  'DIGEST-MD5' => sub { login(connect_to($place), mechanism => 'DIGEST-MD5', user => $_[0], pass => 'pencil', options => { maxssf => 0 }) },
  'a certificate' => sub {
    my ($certificate, $key) = @{ $shows{ $_[0] } };
    my $socket = IO::Socket::SSL->new(
      PeerAddr => "127.0.0.1:$gate->{tls_port}", SSL_ca_file => $gate->dir . '/cert.pem', SSL_verifycn_name => 'localhost',
      SSL_verifycn_scheme => 'none', SSL_cert_file => $certificate, SSL_key_file => $key
    ) || die "no TLS: $IO::Socket::SSL::SSL_ERROR";
    return login($socket, mechanism => 'EXTERNAL', %tls_options);
  },
);
# The user is the one of the settings.
my $by_id = sub { login(connect_to($gate->dir . '/socket'), mechanism => 'EXTERNAL', options => { external_id => $_[0] }) };

sub outcome {
  my ($proof, $user) = @_;
  my ($in, $auth) = $proof->($user);
  return 'in' if $in;
  return $auth->error =~ /INTERNAL_ERROR/ ? 'unavailable' : $auth->error =~ /UNAUTHORIZED|invalid_token/ ? 'refused' : $auth->error;
}

# The sockets of fred, logged in by each proof.
sub all_in {
  my %in = map { $_ => ($proof{$_}->('fred'))[0] } keys %proof;
  $in{'a user ID'} = ($by_id->('fred'))[0];
  return %in;
}

sub is_closed {
  my ($socket) = @_;
  return all_heard($socket) if !$socket->isa('IO::Socket::SSL');
  $socket->timeout(5);
  return defined scalar <$socket> ? 'data' : '';
}

my $people = "ou=people,$Server::Directory::BASE";
my %person = (objectClass => ['account', 'simpleSecurityObject', 'authPasswordObject'], userPassword => 'x');
my ($database, $directory);
my @store = (
  { name => 'a users\' file',
    start => sub {
      my ($store) = @_;
      my $write = sub { return $gate->write_secret('accounts', "fred:$_[0]$verifier{fred}\ngone:!$verifier{gone}\n") };
      $store->{lines} = "users = '" . $write->('') . "'\n";
      $store->{disable} = sub { $write->('!') };
    },
  },
  { name => 'PostgreSQL',
    start => sub {
      my ($store) = @_;
      $database = Server::Postgres->start;
      $database->run('/bin/sh', '-c', 'exec "$@" -q -f docs/postgres.sql', 'sh', $database->client);
      $database->sql("SELECT sasl_set_verifiers('$_', ARRAY['$verifier{$_}'])") for qw(fred gone);
      $database->sql(q{UPDATE sasl_users SET disabled = true WHERE name = 'gone'});
      $store->{tables} = "[postgres]\nconnection = 'host=" . $database->dir . "/run port=$database->{port} dbname=postgres user=sasl_gate'\n[store]\ncache_seconds = 0\n";
      $store->{disable} = sub { $database->sql(q{UPDATE sasl_users SET disabled = true WHERE name = 'fred'}) };
      @$store{qw(halt resume)} = (sub { $database->halt }, sub { $database->resume });
    },
  },
  { name => 'LDAP',
    start => sub {
      my ($store) = @_;
      $directory = Server::Directory->start(authority => $authority, entries => {
        'uid=fred,ou=people' => { %person, uid => 'fred', authPassword => $verifier{fred} },
        'uid=gone,ou=people' => { %person, uid => 'gone', authPassword => $verifier{gone}, description => 'disabled' },
      });
      $store->{tables} = "[ldap]\nurl = '" . $directory->uri . "'\nbind_dn = '$Server::Directory::SERVICE'\nbase = '$people'\n"
        . "password_file = '$path{'directory-password'}'\ndisabled = 'description=disabled'\n[store]\ncache_seconds = 0\nseconds = 1\n";
      $store->{disable} = sub { $directory->change("dn: uid=fred,$people\nchangetype: modify\nadd: description\ndescription: disabled\n") };
      @$store{qw(halt resume)} = (sub { $directory->halt }, sub { $directory->resume });
    },
  },
);

for my $store (@store) {
  trial $store->{name} => sub {
    $store->{start}->($store);
    configure($store, 'gone');
    for my $name (sort keys %proof) {
      is outcome($proof{$name}, 'fred'), 'in', "$name, an active user";
      is outcome($proof{$name}, 'gone'), 'refused', '... one who is disabled';
      is outcome($proof{$name}, 'nobody'), 'in', '... one who is not in the store';
    }
    is outcome($by_id, 'gone'), 'refused', 'a user ID of a user who is disabled';
    like $gate->log_text, qr/: $_, but the user's account is disabled.* user="gone"/, "the log tells why: $_" for 'valid token', 'authenticated';

    configure($store, 'nobody', "require_account = true\n");
    is outcome($proof{$_}, 'nobody'), 'refused', "require_account: $_ of a user who is not in the store" for sort keys %proof;
    is outcome($proof{$_}, 'fred'), 'in', "... $_ of one who is" for sort keys %proof;
    is outcome($by_id, 'nobody'), 'refused', '... a user ID';

    configure($store, 'fred');
    my %in = all_in();
    if ($store->{halt}) {
      my ($failures, $errors) = map { $gate->metric($_) } qw(login_failures_total store_errors_total);
      $store->{halt}->();
      is outcome($proof{$_}, 'gone'), 'unavailable', "while the store is away: $_" for sort keys %proof;
      is outcome($by_id, 'fred'), 'unavailable', '... a user ID';
      is $gate->metric('login_failures_total'), $failures, 'these are no failures';
      cmp_ok $gate->metric('store_errors_total'), '>=', $errors + keys(%in), '... and are counted apart';
      ok $gate->logs('nobody is disconnected'), 'the look at connected users fails too';
      is job_works($in{$_}), '', "... and $_ stays connected" for grep { $_ ne 'a certificate' } sort keys %in;
      $store->{resume}->();
    }
    my $ended = $gate->metric('sessions_ended_total{reason="no-user"}');
    $store->{disable}->();
    is is_closed($in{$_}), '', "$_ of a user who is disabled loses its connection" for sort keys %in;
    is $gate->metric('sessions_ended_total{reason="no-user"}'), $ended + keys(%in), '... for this reason';
    is outcome($proof{$_}, 'fred'), 'refused', "... and $_ does not come back" for sort keys %proof;
  };
}

trial 'an account that is deleted' => sub {
  my $store = { lines => "users = '" . $gate->write_secret('accounts', "fred:$verifier{fred}\n") . "'\n" };
  configure($store, 'fred', "require_account = true\n");
  my %in = all_in();
  $gate->write_secret('accounts', "anna:$verifier{gone}\n");
  is is_closed($in{$_}), '', "require_account: $_ loses its connection" for sort keys %in;
  is outcome($proof{$_}, 'fred'), 'refused', "... and $_ does not come back" for sort keys %proof;
};

trial 'without a store' => sub {
  configure({}, 'nobody');
  is outcome($proof{$_}, 'gone'), 'in', "$_ is enough" for sort keys %proof;
};

$gate->stop;
$provider->stop;
done_testing;
