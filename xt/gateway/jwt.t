# Tokens of an OAuth provider at sasl-gate: signed ones, made by PyJWT and by Authlib, and others about which the provider is asked.
# The provider is made by the test; it changes its keys, and is away for a while.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use File::Temp ();
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use Provider;
use Server::Beanstalkd ();
use Server::JobTalk qw(connect_to login say_raw heard heard_line job_works);
use Server::SaslGate ();
use Server::Socat ();
use Server::Trial qw(trial);
use TLS::Authority;
use Time::HiRes qw(sleep time);

plan skip_all => 'PyJWT or Authlib is missing (Debian: python3-jwt, python3-authlib)'
  if system('/usr/bin/python3 -c "import jwt, authlib.jose" >/dev/null 2>&1') != 0;

my $ISSUER = 'https://login.example.org';
my $json = JSON::PP->new->canonical->utf8;
my @wanted = (
  {},
  map { { algorithms => ['ES256'], %$_ } } { kid => 'new-' }, { kid => 'anna-', claims => { sub => 'anna', roles => ['workers'] } },
  { kid => 'other-', claims => { aud => ['smtp', 'xmpp'] } }, { kid => 'several-', claims => { aud => ['xmpp', 'imap'] } },
  { kid => 'stranger-' },
);
open my $python, '-|', '/usr/bin/python3', 'xt/peers/tokens.py', map { $json->encode($_) } @wanted or die "python3: $!";
my ($made, $new, $anna, $other, $several, $stranger) = map { $json->decode($_) } <$python>;
close $python or die 'tokens.py failed';
my %token = %{ $made->{tokens} };
my @keys = map { @{ $_->{keys} } } $made, $anna, $other, $several;
my $signed = $token{'PyJWT ES256'};

my ($true, $false) = (JSON::PP::true(), JSON::PP::false());
my $shared = File::Temp->newdir(TMPDIR => 1);

# What the provider does now is in files, which its process reads.
sub spew {
  my ($name, $text) = @_;
  open my $out, '>:raw', "$shared/$name.new" or die "$name: $!";
  print {$out} $text;
  close $out or die "$name: $!";
  chmod 0600, "$shared/$name.new" or die "$name: $!";
  rename "$shared/$name.new", "$shared/$name" or die "$name: $!";
  return "$shared/$name";
}

sub slurp {
  my ($name) = @_;
  open my $in, '<:raw', "$shared/$name" or return undef;
  local $/;
  return scalar <$in>;
}

my $provider = Provider->start(
  keys => sub { my $text = slurp('served'); return defined $text ? [200, 'application/json', $text] : [503, 'text/plain', ''] },
  introspect => sub {
    my ($request) = @_;
    my $said = slurp('said') or return [503, 'text/plain', ''];
    return [401, { error => 'invalid_client' }]
      if ($request->{header}{authorization} || '') ne 'Basic ' . encode_base64('gate:p%26ncil', '');
    return $json->decode($said)->{ $request->{form}{token} } || { active => $false };
  },
  elsewhere => sub { return [302, 'text/plain', '', { Location => 'http://127.0.0.1:1/' }] },
);

# After the provider, whose process would hold the server's keeper.
my $beanstalkd = Server::Beanstalkd->start;

sub keys_are { return spew($_[0], $json->encode({ keys => $_[1] })) }
sub count { my ($name) = @_; return scalar(() = $provider->requests($name)) }

# The gateway's answer to a token: the word, and the error object if there is one.
sub answer {
  my ($gate, $token, %arg) = @_;
  my $mechanism = $arg{mechanism} || 'OAUTHBEARER';
  my $user = defined $arg{user} ? $arg{user} : '';
  my $head = $mechanism eq 'XOAUTH2' ? "user=$user" : 'n,' . (length $user ? "a=$user" : '') . ',';
  my $message = "$head\1auth=Bearer $token\1\1";
  my $socket = connect_to("127.0.0.1:$gate->{port}");
  say_raw($socket, "auth-start $mechanism " . length($message) . "\r\n$message\r\n");
  my ($word, $size) = heard_line($socket) =~ /\A(\S+)(?: (\d+))?/ or return 'nothing';
  return $word unless $word eq 'CONTINUE';
  my $object = heard($socket, $size + 2);
  say_raw($socket, "auth-step 1\r\n\1\r\n");
  heard_line($socket) =~ /\A(\S+)/ or return 'nothing';
  return wantarray ? ($1, $json->decode($object)) : $1;
}

# A gateway with these tables.
sub gate {
  my ($tables, %arg) = @_;
  return Server::SaslGate->start(
    backend => "127.0.0.1:$beanstalkd->{port}", tables => $tables, %arg,
    lines => "plaintext = true\nmechanisms = 'OAUTHBEARER XOAUTH2 SCRAM-SHA-256'\n" . ($arg{lines} || ''),
    limits => "failures_per_address = 100000\nfailures_per_connection = 100000\n",
  );
}

sub jwt {
  my ($keys, $more) = @_;
  return "[jwt]\nissuer = '$ISSUER'\naudience = ['imap', 'pop3']\nkeys = '$keys'\n" . ($more || '');
}

my $all = "algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'EdDSA']\n";
my $rules = "[[access]]\nusers = ['fred']\n[[access]]\ngroups = ['workers']\n";
my $file = keys_are('keys', \@keys);
my $gate = gate(jwt($file, "${all}scope = 'imap'\ngroups = 'roles'\nconfiguration = '$ISSUER/.well-known/openid-configuration'\n") . $rules);

trial 'tokens that were signed by others' => sub {
  my @good = grep { /\A(?:PyJWT|Authlib) / } sort keys %token;
  is scalar @good, 16, 'there are tokens of both';
  for my $name (@good) {
    my $expected = $name =~ /ES512/ ? 'UNAUTHORIZED' : 'OK';
    is scalar answer($gate, $token{$name}, user => 'fred'), $expected, $name;
  }
  ok $gate->logs('reason="OAuth, token: its algorithm is not allowed"'), 'ES512 is not one of the algorithms';
  is scalar answer($gate, $signed, mechanism => 'XOAUTH2', user => 'fred'), 'OK', 'XOAUTH2';
  is scalar answer($gate, $signed), 'OK', 'no other name';
  my ($socket) = login(connect_to("127.0.0.1:$gate->{port}"), mechanism => 'OAUTHBEARER', user => 'fred', token => $signed);
  is job_works($socket), '', 'a session';
  ok $gate->logs('authenticated peer='), 'is logged' or diag $gate->log_text;
};

trial 'tokens that are refused' => sub {
  for my $case (
    (map { [$_, $token{$_}, 'it has expired'] } grep { /\Aexpired/ && !/ES512/ } sort keys %token),
    (map { [$_, $token{$_}, 'its algorithm is not allowed'] } grep { /\Aforged/ } sort keys %token),
    ['for another service', $other->{tokens}{'PyJWT ES256'}, 'it is meant for another service (aud)'],
    ["a stranger's", $stranger->{tokens}{'PyJWT ES256'}, 'no key of the issuer fits its kid and algorithm'],
    ['another signature', $signed =~ s/(?<=\.)[^.]{20}(?=[^.]*\z)/'A' x 20/er, 'its signature is wrong'],
    ['no signed token', 'abc', 'it is not a signed token: three parts were expected'],
  ) {
    my ($what, $token, $reason) = @$case;
    my ($word, $object) = answer($gate, $token, user => 'fred');
    is $word, 'UNAUTHORIZED', "$what is refused" or next;
    is_deeply $object, { status => 'invalid_token', scope => 'imap', 'openid-configuration' => "$ISSUER/.well-known/openid-configuration" },
      'with the error object';
    ok $gate->logs("reason=\"OAuth, token: $reason"), 'and the reason in the log' or diag $gate->log_text;
  }
  my $long = $signed . 'A' x 12_000;
  unlike scalar(answer($gate, $long)), qr/OK/, 'a token beyond all limits';
  unlike $gate->log_text, qr/\Q$signed\E/, 'no token is in the log';
};

trial 'users and groups' => sub {
  my $annas = $anna->{tokens}{'PyJWT ES256'};
  for my $mechanism (qw(OAUTHBEARER XOAUTH2)) {
    is scalar answer($gate, $signed, mechanism => $mechanism, user => 'anna'), 'UNAUTHORIZED', "$mechanism: another identity";
    is scalar answer($gate, $annas, mechanism => $mechanism, user => 'anna'), 'OK', "$mechanism: a member of a group";
  }
  is scalar answer($gate, $several->{tokens}{'Authlib ES256'}), 'OK', 'several audiences';
  $gate->configure(tables => jwt($file, "${all}groups = 'teams'\n") . $rules);
  $gate->signal('HUP');
  ok $gate->metric_becomes(reloads_total => 1), 'reloaded with another claim';
  my ($word, $object) = answer($gate, $annas, user => 'anna');
  is $word, 'UNAUTHORIZED', 'who is not in a group is refused';
  is_deeply $object, { status => 'invalid_token' }, 'which looks like any token that is refused';
  ok $gate->logs('valid token, but no access rule allows this user'), 'the log knows why';
};

trial 'a file of keys is read again' => sub {
  my $fresh = $new->{tokens}{'PyJWT ES256'};
  is scalar answer($gate, $fresh), 'UNAUTHORIZED', 'a key that is not there';
  keys_are('keys', $new->{keys});
  sleep 0.1;
  is scalar answer($gate, $fresh), 'OK', 'a key that was added';
  sleep 1.1;
  is scalar answer($gate, $signed), 'UNAUTHORIZED', 'a key that was removed';
  for my $text ('', '[]', '{"keys":{}}', ' ' x 300_000) {
    spew('keys', $text);
    sleep 1.1;
    is scalar answer($gate, $fresh), 'OK', 'a file that is no key set: the old keys are used' or diag $gate->log_text;
  }
  ok $gate->logs('longer than'), 'which is logged';
  keys_are('keys', [@{ $new->{keys} }, @keys]);
  chmod 0666, "$shared/keys";
  sleep 1.1;
  is scalar answer($gate, $signed), 'UNAUTHORIZED', 'a file that others can write is not read';
  ok $gate->logs('others can write it'), 'which is logged';
};

trial 'keys from a URL' => sub {
  my $fresh = $new->{tokens}{'PyJWT ES256'};
  unlink "$shared/served";
  my $remote = gate(jwt($provider->url('keys'), "retry_seconds = 1\nkeep_seconds = 4\n"));
  is scalar answer($remote, $signed), 'INTERNAL_ERROR', 'the provider is away: nobody is refused';
  is $remote->metric('login_failures_total'), 0, 'and nobody has failed';
  ok $remote->logs('answered with status 503'), 'the log has the reason';
  my $before = count('keys');
  is scalar answer($remote, $signed), 'INTERNAL_ERROR', 'again';
  is count('keys'), $before, 'not asked again at once';
  keys_are('served', $made->{keys});
  sleep 1.1;
  is scalar answer($remote, $signed), 'OK', 'the provider is back';
  my $begin = time;
  $before = count('keys');
  answer($remote, $fresh) for 1 .. 20;
  cmp_ok count('keys') - $before, '<=', 1 + (time - $begin), 'unknown keys cause few requests';
  keys_are('served', $new->{keys});
  sleep 1.1;
  is scalar answer($remote, $fresh), 'OK', 'the provider has changed its key';
  is scalar answer($remote, $signed), 'UNAUTHORIZED', 'and the old one is gone';
  my $known = time;
  unlink "$shared/served";
  $remote->signal('HUP');
  ok $remote->metric_becomes(reloads_total => 1), 'reloaded while the provider is away';
  is scalar answer($remote, $fresh), 'OK', 'the keys stay in use';
  sleep 0.1 while time < $known + 4.2;
  is scalar answer($remote, $fresh), 'INTERNAL_ERROR', 'but not for ever';
  my $elsewhere = gate(jwt($provider->url('elsewhere')));
  is scalar answer($elsewhere, $signed), 'INTERNAL_ERROR', 'a redirect';
  ok $elsewhere->logs('redirect (status 302), which is not followed'), 'is not followed';
};

trial 'https' => sub {
  my ($authority, $wrong) = (TLS::Authority->new('CA'), TLS::Authority->new('another CA'));
  my ($certificate, $key) = $authority->issue('/CN=localhost', 'DNS:localhost');
  keys_are('served', $made->{keys});
  my $tls = Server::Socat->start(backend => "127.0.0.1:$provider->{port}", certificate => $certificate, key => $key);
  my $url = "https://localhost:$tls->{port}/keys";
  for my $case ([$authority, 'OK'], [$wrong, 'INTERNAL_ERROR']) {
    my ($ca, $word) = @$case;
    my $remote = gate(jwt($url, "ca = '" . $ca->certificate . "'\n"));
    is scalar answer($remote, $signed), $word, $word;
  }
  my $remote = gate(jwt($url =~ s/localhost/127.0.0.1/r, "ca = '" . $authority->certificate . "'\n"));
  is scalar answer($remote, $signed), 'INTERNAL_ERROR', 'a certificate for another name';
  ok $remote->logs('certificate not valid for name'), 'is logged' or diag $remote->log_text;
};

trial 'introspection' => sub {
  my %said = (
    good => { active => $true, sub => 'fred', scope => 'imap smtp' }, anna => { active => $true, sub => 'anna', roles => 'workers' },
    inactive => { active => $false, sub => 'fred' }, text => { active => 'true', sub => 'fred' }, silent => { sub => 'fred' },
    mac => { active => $true, sub => 'fred', token_type => 'mac' }, short => { active => $true, sub => 'fred', exp => time + 2 },
    expired => { active => $true, sub => 'fred', exp => time - 600 }, list => { active => $true, sub => ['fred'] },
    $signed => { active => $true, sub => 'fred' },
  );
  spew('said', $json->encode(\%said));
  my $secret = spew('secret', "p&ncil\n");
  my $table = "[introspection]\nurl = '" . $provider->url('introspect') . "'\nclient_id = 'gate'\nclient_secret_file = '$secret'\n"
    . "leeway_seconds = 0\ngroups = 'roles'\n";
  my $asking = gate($table . $rules);
  is scalar answer($asking, 'good', user => 'fred'), 'OK', 'a good token';
  my $before = count('introspect');
  is scalar answer($asking, 'good', user => 'fred', mechanism => 'XOAUTH2'), 'OK', 'again';
  is count('introspect'), $before, 'by one request';
  is_deeply(($provider->requests('introspect'))[0]{form}, { token => 'good', token_type_hint => 'access_token' }, 'RFC 7662 section 2.1');
  is scalar answer($asking, 'anna'), 'OK', 'a member of a group';
  for my $case (
    [inactive => 'not active'], [text => 'not active'], [silent => 'not active'], [unknown => 'not active'], [mac => 'not a bearer token'],
    [expired => 'it has expired'], [list => 'it names no user (sub)'],
  ) {
    my ($token, $reason) = @$case;
    is scalar answer($asking, $token), 'UNAUTHORIZED', "$token is refused";
    ok $asking->logs($reason), 'with the reason in the log';
  }
  is scalar answer($asking, 'short'), 'OK', 'a token that expires soon';
  $before = count('introspect');
  answer($asking, 'unknown');
  is count('introspect'), $before, 'a refusal is remembered too';
  sleep 0.1 while time < $said{short}{exp};
  is scalar answer($asking, 'short'), 'UNAUTHORIZED', 'no answer outlives its token';
  is count('introspect'), $before, 'which needs no request';
  my $failures = $asking->metric('login_failures_total');
  unlink "$shared/said";
  is scalar answer($asking, 'another'), 'INTERNAL_ERROR', 'the provider is away';
  is $asking->metric('login_failures_total'), $failures, 'which is no failure of the user';
  is scalar answer($asking, 'good'), 'OK', 'what is known still works';
  spew('said', $json->encode(\%said));
  is scalar answer($asking, 'another'), 'UNAUTHORIZED', 'an error is not remembered';
  spew('secret', "crayon\n");
  $asking->signal('HUP');
  ok $asking->metric_becomes(reloads_total => 1), "another secret of the gateway's";
  is scalar answer($asking, 'good'), 'INTERNAL_ERROR', 'is wrong';
  ok $asking->logs('the provider refused: invalid_client'), 'as the log says';
  unlike $asking->log_text, qr/crayon|ncil/, 'without the secret';
};

trial 'which check decides' => sub {
  spew('said', $json->encode({ good => { active => $true, sub => 'fred' }, $signed => { active => $true, sub => 'root' } }));
  spew('secret', "p&ncil\n");
  keys_are('keys', $made->{keys});
  my $printed = $gate->run($gate->binary, 'token', 'wilma', '--tokens', "$shared/tokens");
  my ($own) = $printed =~ /^([0-9a-f]{64})$/m;
  my $table = jwt("$shared/keys") . "[introspection]\nurl = '" . $provider->url('introspect')
    . "'\nclient_id = 'gate'\nclient_secret_file = '$shared/secret'\n";
  my $both = gate($table, lines => "tokens = '$shared/tokens'\n");
  my $before = count('introspect');
  is scalar answer($both, $own, user => 'wilma'), 'OK', "the gateway's own token";
  is scalar answer($both, $signed, user => 'fred'), 'OK', 'a signed token';
  is scalar answer($both, $token{'expired ES256'}), 'UNAUTHORIZED', 'an expired one';
  is count('introspect'), $before, 'the provider is not asked about these';
  is scalar answer($both, 'good', user => 'fred'), 'OK', 'but about others';
  is count('introspect'), $before + 1, 'once';
};

$provider->stop;
done_testing;
