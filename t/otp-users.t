# One-time passwords in a users' file: what the program and the methods store, logins that use it up, many at once, and users without a chain.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Command qw(installed run);
use Test::More;

use Authen::SASL qw(Rust);
use Authen::SASL::Rust::Accounts ();
use File::Temp qw(tempdir);

my $folder = tempdir(CLEANUP => 1);
my $file = "$folder/users";
my $PHRASE = 'a pass phrase of fred';
my $accounts = Authen::SASL::Rust::Accounts->new(users => $file);

sub slurp { my ($name) = @_; open my $in, '<:raw', $name or die "$name: $!"; local $/; return scalar <$in> }

sub server {
  my (%option) = @_;
  return Authen::SASL->new(mechanism => 'OTP SCRAM-SHA-256', callback => {})
    ->server_new('imap', 'mail.example.org', { accounts => $accounts, externalssf => 256, %option });
}

# A login; returns the server and the challenge.
sub login {
  my ($user, $phrase, %option) = @_;
  my $server = server(%option);
  my $client = Authen::SASL->new(mechanism => 'OTP', callback => { user => $user, pass => $phrase })->client_new('imap', 'mail.example.org');
  $server->mechanism('OTP');
  my $challenge = $server->server_start($client->client_start);
  $server->server_step($client->client_step($challenge)) if defined $challenge;
  return ($server, $challenge);
}

sub succeeds {
  my ($name, @login) = @_;
  my ($server, $challenge) = login(@login);
  ok($server->is_success, $name) or diag $server->error;
  return $challenge;
}

sub fails {
  my ($name, $reason, @login) = @_;
  my ($server, $challenge) = login(@login);
  ok(!$server->is_success, $name);
  like($server->error, $reason, "$name: the operator sees why");
  return $challenge;
}

subtest 'a chain is set' => sub {
  $accounts->setpass('anna', 'pencil');
  is(server()->listmech, 'SCRAM-SHA-256', 'OTP is not offered before somebody has a chain');
  $accounts->setotp('fred', $PHRASE);
  is(server()->listmech, 'SCRAM-SHA-256 OTP', 'then it is');
  like(slurp($file), qr/^fred:OTP md5 0499 ot[0-9]{4} [0-9a-f]{16} 0{20}$/m, 'one line');
  unlike(slurp($file), qr/phrase/, 'without the phrase');
  my %of = map { $_->{user} => $_->{mechanisms} } $accounts->list;
  is_deeply(\%of, { anna => { 'SCRAM-SHA-256' => 4096 }, fred => { OTP => 498 } }, 'the list says how many are left');
  for my $case ([short => qr/10 to 63/], ["$PHRASE\x{e9}" => qr/ASCII/], [undef, qr/a phrase is required/]) {
    ok(!eval { $accounts->setotp('fred', $case->[0]); 1 }, 'a phrase that is none');
    like($@, $case->[1], 'is refused');
  }
  ok(!eval { $accounts->setotp('fred', $PHRASE, colour => 'blue'); 1 }, 'an unknown argument is refused');
};

subtest 'logins use it up' => sub {
  for my $number (498, 497) {
    like(succeeds("password $number", 'fred', $PHRASE), qr/\Aotp-md5 $number ot[0-9]{4} ext\z/, 'the challenge');
  }
  fails('a wrong phrase', qr/SASL_BADAUTH/, 'fred', 'another phrase');
  like(succeeds('the right one again', 'fred', $PHRASE), qr/ 496 /, 'a failure uses nothing up');
  $accounts->setpass('fred', 'crayon');
  like(succeeds('after a new password', 'fred', $PHRASE), qr/ 495 /, 'the chain goes on');
  is($accounts->check('fred', 'crayon'), 1, 'and the password is right');
  $accounts->setotp('gina', $PHRASE);    # else nobody could use OTP
  $accounts->disable('fred');
  fails('a disabled user', qr/the user is disabled/, 'fred', $PHRASE);
  $accounts->enable('fred');
  succeeds('enabled', 'fred', $PHRASE);
  $accounts->delete_otp('gina');
};

# RFC 2289 section 9: of two with the same password, one may log in.
subtest 'two logins with one password' => sub {
  my @servers = map { server() } 1, 2;
  $_->mechanism('OTP') for @servers;
  my @challenges = map { $_->server_start("\0fred") } @servers;
  is($challenges[0], $challenges[1], 'under TLS both get the challenge');
  my $client = Authen::SASL->new(mechanism => 'OTP', callback => { user => 'fred', pass => $PHRASE })->client_new('imap', 'h');
  $client->client_start;
  my $response = $client->client_step($challenges[0]);
  $_->server_step($response) for @servers;
  is(join(' ', map { $_->is_success ? 1 : 0 } @servers), '1 0', 'the faster one is in');
  like($servers[1]->error, qr/changed the state.*SASL_BADAUTH/, 'the other one is too late');

  my $first = server(externalssf => 0);
  $first->mechanism('OTP');
  my $challenge = $first->server_start("\0fred");
  like(slurp($file), qr/^fred:OTP .* 0*1[0-9]{9}$/m, 'without TLS the first one locks the user');
  fails('another one meanwhile', qr/SASL_TRYAGAIN/, 'fred', $PHRASE, externalssf => 0);
  $client->client_start;
  $first->server_step($client->client_step($challenge));
  ok($first->is_success, 'the first one goes on') or diag $first->error;
  like(slurp($file), qr/^fred:OTP .* 0{20}$/m, 'and unlocks the user');

  # Processes: as many logins as there are passwords, and none twice.
  my ($before) = slurp($file) =~ /^fred:OTP md5 ([0-9]+)/m;
  my @children;
  for my $n (1 .. 4) {
    pipe my $from, my $to or die "pipe: $!";
    defined(my $pid = fork) or die "fork: $!";
    if (!$pid) {
      close $from;
      my $done = grep { (login('fred', $PHRASE))[0]->is_success } 1 .. 5;
      print $to "$done\n";
      close $to;
      require POSIX;
      POSIX::_exit(0);
    }
    close $to;
    push @children, [$pid, $from];
  }
  my $done = 0;
  for my $child (@children) {
    my ($pid, $from) = @$child;
    $done += readline($from) || 0;
    waitpid $pid, 0;
  }
  my ($after) = slurp($file) =~ /^fred:OTP md5 ([0-9]+)/m;
  is($before - $after, $done, "$done logins of 20 in four processes have used up as many passwords");
  cmp_ok($done, '>=', 5, 'and some have succeeded');
};

subtest 'users without a chain' => sub {
  my %seen;
  for my $tls (256, 0) {
    my $known = (login('fred', 'another phrase', externalssf => $tls))[1];
    for my $user (qw(nobody anna), "j\x{fc}rgen") {
      my $reason = $user eq 'anna' ? qr/the user has no one-time passwords/ : qr/SASL_BADAUTH/;
      my $challenge = fails("$user, strength $tls", $reason, $user, $PHRASE, externalssf => $tls);
      my $form = sub { $_[0] =~ s/\bot[0-9]{4}\b/ot0000/r };
      is($form->($challenge), $form->($known), 'a challenge of the same form');
      is($seen{$user} ||= $challenge, $challenge, 'the same each time');
    }
  }
};

subtest 'the end of a chain' => sub {
  $accounts->setotp('eve', $PHRASE, sequence => 2, hash => 'sha1', seed => 'Seed7');
  like(succeeds('the last one', 'eve', $PHRASE), qr/\Aotp-sha1 1 seed7 ext\z/, 'has the number 1');
  my $challenge = fails('then', qr/used all one-time passwords/, 'eve', $PHRASE);
  like($challenge, qr/\Aotp-md5 [0-9]+ ot[0-9]{4} ext\z/, 'eve looks unknown');
  $accounts->delete_otp('eve');
  unlike(slurp($file), qr/^eve/m, 'a user with nothing else goes with the chain');
  ok(!eval { $accounts->delete_otp('eve'); 1 } && $@ =~ /no one-time passwords \(SASL_NOUSER\)/, 'which must be there') or diag $@;
  my $conn = server();
  $conn->mechanism('OTP');
  is($conn->setpass('eve', $PHRASE, 1), 1, 'setpass of a server of OTP makes one too');
  succeeds('eve', 'eve', $PHRASE);
};

subtest 'the program' => sub {
  my @tool = installed('sasl-rust-passwd');
  my $runs = sub {
    my ($input, @arg) = @_;
    my ($status, $out, $err) = run($input, @tool, @arg);
    return ($status >> 8, $out, $err);
  };
  is_deeply([$runs->("$PHRASE\n", qw(--hash sha1 --sequence 100 otp), $file, 'oscar')], [0, '', ''], 'otp');
  like((succeeds('a login', 'oscar', $PHRASE)), qr/\Aotp-sha1 99 ot[0-9]{4} ext\z/, 'with its hash and number');
  like(($runs->('', 'list', $file))[1], qr/^oscar\tenabled\tOTP=98$/m, 'list');
  is_deeply([$runs->('', 'no-otp', $file, 'oscar')], [0, '', ''], 'no-otp');
  for my $case (["short\n", qr/10 to 63/], ['', qr/no pass phrase/], ["$PHRASE\n", qr/md5 or sha1/, '--hash', 'md4'],
    ["$PHRASE\n", qr/2 to 9999/, '--sequence', 1], ["$PHRASE\n", qr/1 to 16/, '--seed', 'a b']) {
    my ($input, $reason, @option) = @$case;
    my ($status, $out, $err) = $runs->($input, @option, 'otp', $file, 'oscar');
    is($status, 1, "@option: refused");
    like($err, $reason, 'with the reason');
    unlike($err, qr/\Q$PHRASE\E|at .* line/, 'without the phrase');
  }
};

subtest 'errors of setotp' => sub {
  for my $case (
    [['too short'], qr/\Athe pass phrase .*10 to 63 characters/], [[$PHRASE, hash => 'md4'], qr/\Ahash: md5 or sha1 was expected/],
    [[$PHRASE, seed => 'a-b'], qr/\Aseed: 1 to 16 letters/], [[$PHRASE, sequence => 1], qr/\Asequence: a number from 2 to 9999/],
    [[$PHRASE, sequence => 'x'], qr/\Asequence: a number/], [[undef], qr/\Aa phrase is required/],
  ) {
    my ($arguments, $text) = @$case;
    is(eval { $accounts->setotp('eve', @$arguments); 1 }, undef, 'refused');
    like($@, $text, '... without the name of another method');
  }
};

done_testing;
