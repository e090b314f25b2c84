# The identity of a client without a verifier: by its certificate, by the Unix socket, by a token, by a password in clear text.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use IO::Socket::SSL ();
use Server::Beanstalkd ();
use Server::JobTalk qw(connect_to login say_raw heard_line all_heard job_works);
use Server::SaslGate ();
use Server::Trial qw(trial);
use Slurp qw(slurp);
use TLS::Authority ();

my $first = Server::Beanstalkd->start;
my $second = Server::Beanstalkd->start;
my $authority = TLS::Authority->new('Example');
my $other = TLS::Authority->new('Example');
my $third = TLS::Authority->new('Third');
my %shows = (
  fred => [$authority->issue('/O=Example/CN=fred')],
  anna => [$authority->issue('/CN=anna', 'email:anna@example.org')],
  nameless => [$authority->issue('/O=Example')],
  'two names' => [$authority->issue('/CN=fred/CN=anna')],
  stranger => [$other->issue('/CN=fred')],
  listless => [$third->issue('/CN=anna')],
  revoked => [$authority->issue('/CN=fred')],
);
my $list = $authority->revoke_last;

sub file {
  my ($name, $text, $mode) = @_;
  my $path = $authority->_write($name, $text);
  chmod $mode, $path or die "$path: $!";
  return $path;
}

# The output of `sasl-gate token`: the line for the file, and the token.
sub new_token {
  my (@argument) = @_;
  my $binary = Server::SaslGate::binary();
  my ($line, $token) = split /^/, Server::SaslGate->run($binary, 'token', @argument);
  ($line, $token) = ($token, $line) if $line !~ /:/;
  chomp $token;
  return ($line, $token);
}
my ($line, $token) = new_token('fred');
my ($lasting, $long_token) = new_token('--days', 30, 'anna');
my ($old, $old_token) = new_token('fred');
chomp $old;
my $tokens = file('tokens', "# machines\n$line$lasting$old\$1000000000\n", 0600);
my $passwords = file('passwords', "fred:pencil\nchris:secret \n", 0600);

my $gate = Server::SaslGate->start(
  backend => "127.0.0.1:$first->{port}",
  tls => 1,
  tls_lines => "client_ca = '" . $authority->certificate . "'\nclient_revoked = '$list'\n",
  lines => "tokens = '$tokens'\npasswords = '$passwords'\nunix_users = { $> = 'fred', 4000000000 = 'anna' }\n"
    . "mechanisms = 'EXTERNAL SCRAM-SHA-256 CRAM-MD5 DIGEST-MD5 OAUTHBEARER XOAUTH2'\n",
  limits => "failures_per_address = 1000\n",
  tables => "[backends]\nlow = '127.0.0.1:$second->{port}'\n"
    . "[[access]]\nusers = ['anna']\nbackend = 'low'\n[[access]]\nusers = ['fred', 'chris']\n",
);
my $tcp = "127.0.0.1:$gate->{port}";
my $unix = $gate->dir . '/socket';

sub tls {
  my ($who, $which) = @_;
  $which ||= $gate;
  my ($certificate, $key) = @{ $who ? $shows{$who} : [] };
  return IO::Socket::SSL->new(
    PeerAddr => "127.0.0.1:$which->{tls_port}", SSL_ca_file => $which->dir . '/cert.pem',
    SSL_verifycn_name => 'localhost', SSL_verifycn_scheme => 'none',
    $certificate ? (SSL_cert_file => $certificate, SSL_key_file => $key) : ()
  );
}

sub enter {
  my ($socket, $mechanism, %arg) = @_;
  return login($socket, mechanism => $mechanism,
    options => { externalssf => 256, channel_binding_policy => 'disable' }, %arg);
}

sub jobs_of {
  my ($beanstalkd) = @_;
  my $socket = connect_to("127.0.0.1:$beanstalkd->{port}");
  say_raw($socket, "stats\r\nquit\r\n");
  return all_heard($socket) =~ /^total-jobs: (\d+)/m ? $1 : undef;
}

# The list of mechanisms, and the reply to EXTERNAL without an authzid.
sub told {
  my ($socket) = @_;
  print {$socket} "auth-list-mechanisms\r\nauth-start EXTERNAL 0\r\n\r\nquit\r\n";
  my $all = '';
  1 while $socket->sysread($all, 4096, length $all);
  my ($names, $outcome) = $all =~ /\AOK \d+\r\n([^\r]*)\r\n(.*)\z/s or return "no list: $all";
  return ($names =~ /\bEXTERNAL\b/ ? 'offered, ' : 'not offered, ') . ($outcome =~ /(\w+)\r\n\z/ ? $1 : $outcome);
}

trial 'a certificate' => sub {
  for my $case (['fred', $first], ['anna', $second]) {
    my ($user, $beanstalkd) = @$case;
    my $before = jobs_of($beanstalkd);
    my $socket = tls($user);
    my ($in, $auth) = enter($socket, 'EXTERNAL');
    ok $in, "logs $user in" or diag $auth->error, $gate->log_text;
    print {$in} "put 0 0 60 1\r\nx\r\n";
    like $in->getline, qr/\AINSERTED/, '... to work';
    is jobs_of($beanstalkd), $before + 1, '... where the rules say';
  }
  my ($in, $auth) = enter(tls('fred'), 'EXTERNAL', authname => 'fred');
  ok $in, 'as oneself by name';
  ($in, $auth) = enter(tls('fred'), 'EXTERNAL', authname => 'anna');
  ok !$in, 'not as another user';
  like $auth->error, qr/UNAUTHORIZED/, '... with the usual word';
};

trial 'certificates that identify no user' => sub {
  is told(tls('fred')), 'offered, OK', 'a good one, for comparison';
  is told(tls()), 'not offered, UNAUTHORIZED', 'none';
  is told(tls('nameless')), 'not offered, UNAUTHORIZED', 'one without a name';
  is told(tls('two names')), 'not offered, UNAUTHORIZED', 'one with two';
  is told(connect_to($tcp)), 'not offered, UNAUTHORIZED', 'no TLS';
  for my $who (qw(stranger revoked)) {
    my $broken = $gate->metric('protocol_errors_total');
    my $socket = tls($who);
    my $heard = $socket ? told($socket) : 'no TLS';
    like $heard, qr/\A(?:no list: \z|no TLS)/, "$who: is not heard at all";
    ok $gate->metric_becomes(protocol_errors_total => $broken + 1), '... and counted';
  }
};

# Another CA is trusted too, but has no CRL.
trial 'an authority without a list of what it has revoked' => sub {
  my $both = $authority->_write('both.pem', join '', map { slurp($_->certificate) } $authority, $third);
  for my $case (["client_revoked = '$list'\n", qr/\A(?:no list: \z|no TLS)/], ['', qr/\Aoffered, OK/]) {
    my ($lines, $expected) = @$case;
    my $trusting = Server::SaslGate->start(backend => "127.0.0.1:$first->{port}", tls => 1,
      lines => "verbose = true\n", tls_lines => "client_ca = '$both'\n$lines");
    my $socket = tls('fred', $trusting);
    is told($socket), 'offered, OK', 'the other one identifies the client';
    my $listless = tls('listless', $trusting);
    like $listless ? told($listless) : 'no TLS', $expected, $lines ? 'it identifies no user' : 'without any lists it does too';
    ok $trusting->logs($lines ? 'UnknownRevocationStatus' : 'no access rules'), '... and the log has the reason'
      or diag $trusting->log_text;
  }
};

trial 'another name of the certificate' => sub {
  $gate->configure(tls_lines => "client_ca = '" . $authority->certificate . "'\nclient_name = 'email'\n");
  $gate->signal('HUP');
  ok $gate->metric_becomes(reloads_total => 1), 'after a reload';
  is told(tls('fred')), 'not offered, UNAUTHORIZED', 'a certificate without a name of this kind identifies no user';
  is told(tls('anna')), 'offered, UNAUTHORIZED', 'one with such a name is another user, here without a rule';
  ok $gate->logs('user="anna@example.org" mechanism="EXTERNAL"'), 'by that name';
};

trial 'the Unix socket' => sub {
  my ($in, $auth) = enter(connect_to($unix), 'EXTERNAL');
  ok $in && job_works($in) eq '', 'identifies the client' or diag $auth->error;
  $gate->configure(lines => $gate->{lines} =~ s/^unix_users.*\n/unix_users = { 4000000000 = 'fred' }\n/mr);
  $gate->signal('HUP');
  ok $gate->metric_becomes(reloads_total => 2), 'reloaded with another account';
  is told(connect_to($unix)), 'not offered, UNAUTHORIZED', 'and no other user is';
};

trial 'channel binding that is not offered' => sub {
  my $socket = tls();
  my ($in, $auth) = login($socket, mechanism => 'SCRAM-SHA-256', user => 'fred', pass => 'pencil',
    options => { externalssf => 256, tls => $socket });
  ok $in, 'a client that supports channel binding can log in without it' or diag $auth->error, $gate->log_text;
};

for my $mechanism (qw(OAUTHBEARER XOAUTH2)) {
  trial $mechanism => sub {
    for my $place (['TLS', sub { tls() }], ['the Unix socket', sub { connect_to($unix) }]) {
      my ($name, $open) = @$place;
      my ($in, $auth) = enter($open->(), $mechanism, user => 'fred', token => $token);
      ok $in, "$name: a token is taken" or diag $auth->error;
      ($in) = enter($open->(), $mechanism, user => 'anna', token => $long_token);
      ok $in, "$name: one that ends later too";
      for my $case (
        ['fred', $old_token, 'one that has ended'], ['fred', "${token}0", 'a wrong one'],
        ['anna', $token, 'another user\'s'], ['fred', uc $token, 'one in capitals']
        )
      {
        my ($user, $bad, $what) = @$case;
        ($in, $auth) = enter($open->(), $mechanism, user => $user, token => $bad);
        ok !$in, "$name: $what is not";
        like $auth->error, qr/refused|invalid_token/, '... and the client gets the reason';
      }
    }
    my $socket = connect_to($tcp);
    say_raw($socket, "auth-list-mechanisms\r\n");
    heard_line($socket);
    unlike heard_line($socket), qr/OAUTH/, 'it is not offered where others can listen';
  };
}

for my $mechanism (qw(CRAM-MD5 DIGEST-MD5)) {
  trial $mechanism => sub {
    my ($in, $auth) = enter(connect_to($tcp), $mechanism, user => 'fred', pass => 'pencil');
    ok $in && job_works($in) eq '', 'works with a password that is kept' or diag $auth->error, $gate->log_text;
    ($in) = enter(connect_to($tcp), $mechanism, user => 'chris', pass => 'secret ');
    ok $in, 'with any of its characters';
    for my $case (['fred', 'crayon'], ['nobody', 'pencil'], ['chris', 'secret']) {
      ($in, $auth) = enter(connect_to($tcp), $mechanism, user => $case->[0], pass => $case->[1]);
      ok !$in, "not as @$case";
      like $auth->error, qr/UNAUTHORIZED/, '... with the usual word';
    }
  };
}

trial 'the files are checked' => sub {
  my @check = ($gate->binary, '--config', $gate->dir . '/gate.toml', '--check');
  like $gate->run(@check), qr/configuration OK/, 'valid without changes';
  for my $case (
    [$passwords, 'fred:pencil', 0644, qr/passwords: others can read/], [$passwords, 'pencil', 0600, qr/passwords: line 1/],
    [$tokens, "fred:SHA-256\$$token", 0600, qr/configuration OK/], [$tokens, "fred:$token", 0600, qr/tokens: line 1/],
    )
  {
    my ($path, $text, $mode, $said) = @$case;
    chmod $mode, $path;
    open my $file, '>', $path or die "$path: $!";
    print {$file} "$text\n";
    close $file;
    my $output = eval { $gate->run(@check) } || $@;
    like $output, $said, "$said";
    unlike $output, qr/pencil|$token/, '... without a secret';
    file('passwords', "fred:pencil\n", 0600);
  }
  my ($in) = enter(connect_to($tcp), 'CRAM-MD5', user => 'fred', pass => 'pencil');
  ok $in, 'and what runs has what it read';
};

is $gate->log_text =~ /panicked|pencil|crayon|$token|$long_token|$old_token/, '', 'no panic and no secret in the log';

done_testing;
