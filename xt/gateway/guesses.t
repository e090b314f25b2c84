# What a password guesser learns from sasl-gate, and how often one may guess.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use Server::Beanstalkd ();
use Server::JobTalk qw(connect_to login logs_in say_raw heard heard_line all_heard);
use Server::SaslGate ();
use Server::Trial qw(trial);
use TLS::Authority ();
use Time::HiRes qw(sleep time);

my $beanstalkd = Server::Beanstalkd->start;
my $authority = TLS::Authority->new('Example');
my $token = do {
  my ($line, $token) = sort { length $b <=> length $a } split /^/,
    Server::SaslGate->run(Server::SaslGate::binary(), 'token', 'stranger');
  chomp $token;
  { line => $line, token => $token };
};
my $tokens = $authority->_write('tokens', $token->{line});
chmod 0600, $tokens or die "$tokens: $!";
my $gate = Server::SaslGate->start(
  backend => "127.0.0.1:$beanstalkd->{port}",
  users => { fred => ['pencil'], stranger => ['glass'] },
  lines => "plaintext = true\ntokens = '$tokens'\nmechanisms = 'SCRAM-SHA-256 PLAIN LOGIN OAUTHBEARER XOAUTH2'\n",
  limits => "failures_per_address = 1000\nfailures_per_connection = 4\n",
  tables => "[[access]]\nusers = ['fred']\n",
);
my $address = "127.0.0.1:$gate->{port}";

sub start {
  my ($mechanism, $message) = @_;
  return "auth-start $mechanism " . length($message) . "\r\n$message\r\n";
}

# Everything that a client sees who tries this four times.
sub seen {
  my ($mechanism, $user, $secret) = @_;
  my $socket = connect_to($address);
  my $seen = '';
  for my $try (1 .. 4) {
    my $auth = Authen::SASL->new(mechanism => $mechanism,
      callback => { user => $user, $mechanism =~ /OAUTH/ ? (token => $secret) : (pass => $secret) })
      ->client_new('beanstalkd', 'localhost');
    my $out = $auth->client_start;
    say_raw($socket, defined $out && length $out ? start($mechanism, $out) : "auth-start $mechanism\r\n");
    while ((my $line = heard_line($socket)) =~ /^CONTINUE (\d+)/) {
      my $challenge = substr heard($socket, $1 + 2), 0, $1;
      $seen .= $line =~ s/\d+/N/r;
      $out = $auth->client_step($challenge);
      say_raw($socket, 'auth-step ' . length($out) . "\r\n$out\r\n");
    }
    $seen .= 'refused, ';
  }
  return $seen . all_heard($socket);
}

for my $mechanism (qw(PLAIN LOGIN SCRAM-SHA-256 OAUTHBEARER XOAUTH2)) {
  trial "$mechanism, as a user without a rule" => sub {
    my $secret = $mechanism =~ /OAUTH/ ? $token->{token} : 'glass';
    my $before = $gate->metric('login_failures_total');
    my $right = seen($mechanism, 'stranger', $secret);
    is $gate->metric('login_failures_total') - $before, 4, 'each try with the right secret is a failure';
    is $right, seen($mechanism, 'stranger', $secret =~ tr/a-y0-8/b-z1-9/r), '... and looks as one with a wrong secret';
    ok $gate->logs('no access rule allows this user'), 'only the log has the reason';
  };
}

trial 'guesses at users without a rule are limited' => sub {
  $gate->configure(limits => "failures_per_address = 4\nfailures_per_user = 4\nfailure_window = 2\nfailures_per_connection = 100\n");
  $gate->signal('HUP');
  ok $gate->metric_becomes(reloads_total => 1), 'reloaded';
  sleep 2.1;
  my $before = $gate->metric('login_failures_total');
  my $socket = connect_to($address);
  say_raw($socket, start(PLAIN => "\0stranger\0glass") x 30);
  is all_heard($socket), "UNAUTHORIZED\r\n" x 4, 'so many are judged and no more';
  is $gate->metric('login_failures_total'), $before + 4, '... and counted';
};

# The first window has ended when they guess.
trial 'connections that are older than the window' => sub {
  sleep 2.1;
  my @socket = map { connect_to($address) } 1 .. 10;
  say_raw($_, "auth-nonsense\r\n") for @socket;
  heard_line($_) for @socket;
  say_raw($socket[0], start(PLAIN => "\0fred\0crayon"));
  is heard_line($socket[0]), "UNAUTHORIZED\r\n", 'one has failed, long ago';
  sleep 2.1;
  my ($judged, $begin) = (0, time);
  for my $try (1 .. 3) {
    for my $socket (grep { defined } @socket) {
      say_raw($socket, start(PLAIN => "\0fred\0crayon"));
      if (heard_line($socket) eq "UNAUTHORIZED\r\n") { $judged++ }
      else { undef $socket }
    }
  }
  cmp_ok $judged, '>=', 4, "of thirty guesses $judged are judged: as many as a window allows";
  cmp_ok $judged, '<=', 4 * (1 + int((time - $begin) / 2)), '... and no more';
};

# After the error object of a refused token the gateway waits for a dummy response, which such a client does not send.
trial 'exchanges that are never ended' => sub {
  sleep 2.1;
  my $before = $gate->metric('login_failures_total');
  my $socket = connect_to($address);
  say_raw($socket, start(OAUTHBEARER => "n,,\1auth=Bearer nonsense\1\1") x 30);
  my $judged = () = all_heard($socket) =~ /^CONTINUE/mg;
  cmp_ok $judged, '<=', 4, "of thirty tokens $judged are judged";
  ok $gate->metric_becomes(login_failures_total => $before + 4), '... and counted';
  ok $gate->logs('mechanism="OAUTHBEARER" error=the token was refused'), '... and logged' or diag grep { /OAUTHB/ } split /^/, $gate->log_text;
  sleep 2.1;
  for my $leave (sub { close $_[0] }, sub { say_raw($_[0], "quit\r\n") }, sub { say_raw($_[0], "stats\r\n") }) {
    $before = $gate->metric('login_failures_total');
    my $leaver = connect_to($address);
    say_raw($leaver, start('SCRAM-SHA-256' => 'n,,n=fred,r=abcdefgh'));
    heard_line($leaver);
    heard_line($leaver);
    $leave->($leaver);
    ok $gate->metric_becomes(login_failures_total => $before + 1), 'a client that leaves in the middle has failed';
  }
};

# openssl's own client resumes a session, and reports whether that worked.
sub resumes {
  my ($which, $version) = @_;
  my $session = $which->dir . '/session';
  unlink $session;
  my @client = ('openssl', 's_client', '-connect', "127.0.0.1:$which->{tls_port}", "-$version", '-CAfile',
    $which->dir . '/cert.pem', '-cert', $authority->{shown}[0], '-key', $authority->{shown}[1]);
  my $talk = q{(printf 'auth-list-mechanisms\r\n'; sleep 1; printf 'quit\r\n'; sleep 0.3) | "$@" 2>&1};
  my $first = $which->run('/bin/sh', '-c', $talk, 'sh', @client, '-sess_out', $session);
  return 'no dialogue' unless $first =~ /^OK \d+\r?\n.*SCRAM/m;
  return 'no session' unless -s $session;
  my $second = $which->run('/bin/sh', '-c', $talk, 'sh', @client, '-sess_in', $session);
  return $second =~ /^Reused, /m ? 'resumed' : $second =~ /^New, /m ? 'new' : 'no handshake';
}

trial 'TLS sessions' => sub {
  $authority->{shown} = [$authority->issue('/CN=fred')];
  my @tls = (backend => "127.0.0.1:$beanstalkd->{port}", tls => 1);
  my $open = Server::SaslGate->start(@tls);
  my $proving = Server::SaslGate->start(@tls, tls_lines => "client_ca = '" . $authority->certificate . "'\n");
  for my $version ('tls1_2', 'tls1_3') {
    is resumes($open, $version), 'resumed', "$version: resumed where nobody is known by it";
    like resumes($proving, $version), qr/\A(?:no session|new)\z/,
      '... and not where a certificate logs in, which may have expired meanwhile';
  }
};

unlike $gate->log_text, qr/panicked|pencil|crayon|glass|$token->{token}/, 'no panic, no secret in the log';

done_testing;
