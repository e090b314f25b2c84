# The stock Net::SMTP with servers that do not know the password. It looks only at the server's replies, so an impostor that
# says 235 succeeds; this tests what the connection reports, and what dies.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use IO::Socket::INET;
use Loopback ();
use MIME::Base64 qw(decode_base64 encode_base64);
use Net::SMTP;
use POSIX ();

my $SECONDS = 60;
local $SIG{ALRM} = sub { die "the dialogue hangs\n" };

# Reads the answer to a challenge; without one, sends the last line.
sub challenge {
  my ($socket, $message) = @_;
  print $socket '334 ', encode_base64($message, ''), "\r\n";
  my $line = <$socket>;
  die "gone\n" unless defined $line;
  return decode_base64($line);
}

# An impostor without the password: it has its own salt and nonce, and an invented signature.
sub impostor {
  my ($last) = @_;
  return sub {
    my ($socket, $initial) = @_;
    my ($nonce) = $initial =~ /,r=([^,]+)/;
    challenge($socket, "r=${nonce}impostor,s=" . encode_base64('sixteen bytes...', '') . ',i=4096');
    challenge($socket, $last) if defined $last;
    return '235 2.7.0 welcome';
  };
}

sub honest {
  my ($socket, $initial) = @_;
  my $conn = Authen::SASL->new(mechanism => 'SCRAM-SHA-256', callback => { getsecret => sub { 'pencil' } })
    ->server_new('smtp', 'localhost');
  my $message = $conn->server_start($initial);
  while ($conn->need_step) {
    $message = $conn->server_step(challenge($socket, $message));
  }
  challenge($socket, $message) if $conn->is_success;
  return $conn->is_success ? '235 2.7.0 welcome' : '535 5.7.8 no';
}

# The behaviour depends on the name in the client's EHLO.
my %server = (
  'honest' => \&honest,
  'wrong-signature' => impostor('v=' . encode_base64('thirty-two bytes, out of the air', '')),
  'short-signature' => impostor('v=AAAA'),
  'empty-signature' => impostor('v='),
  'no-signature' => impostor('x=nothing'),
  'empty-message' => impostor(''),
  'early' => impostor(undef),
  'at-once' => sub { '235 2.7.0 welcome' },
);

sub serve {
  my ($socket) = @_;
  my ($name, $mails) = ('', 0);
  print $socket "220 localhost\r\n";
  while (my $line = <$socket>) {
    if ($line =~ /\AEHLO (\S+)/) { $name = $1; print $socket "250-localhost\r\n250 AUTH SCRAM-SHA-256\r\n" }
    elsif ($line =~ /\AAUTH SCRAM-SHA-256 (\S+)/) { print $socket $server{$name}->($socket, decode_base64($1)), "\r\n" }
    elsif ($line =~ /\AMAIL /) { $mails++; print $socket "250 ok\r\n" }
    elsif ($line =~ /\ANOOP/) { print $socket "250 $mails mails\r\n" }
    elsif ($line =~ /\AQUIT/) { print $socket "221 goodbye\r\n"; return }
    else { print $socket "500 what?\r\n" }
  }
  return;
}

if (my $alone = Loopback::missing()) { plan skip_all => $alone }
my $listener = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die "listen: $@";
my $child = fork;
die "fork: $!" unless defined $child;
if (!$child) {
  alarm 4 * $SECONDS;                   # in case the test is killed
  $SIG{ALRM} = 'DEFAULT';
  $SIG{CHLD} = 'IGNORE';
  while (my $socket = $listener->accept) {
    my $one = fork;
    die "fork: $!" unless defined $one;
    next if $one;
    eval { serve($socket); 1 } or $@ eq "gone\n" or warn $@;
    POSIX::_exit(0);
  }
}
END { if ($child) { local $?; kill KILL => $child; waitpid $child, 0 } }

sub greeted_by {
  my ($name) = @_;
  return Net::SMTP->new('127.0.0.1', Port => $listener->sockport, Hello => $name, Timeout => $SECONDS)
    || die "connect: $@";
}

sub fred { return Authen::SASL->new(mechanism => 'SCRAM-SHA-256', callback => { user => 'fred', pass => 'pencil' }) }

# The result or exception of auth, and its warnings.
sub log_in {
  my ($smtp, @who) = @_;
  my @warnings;
  local $SIG{__WARN__} = sub { push @warnings, @_ };
  alarm $SECONDS;
  my $in = eval { $smtp->auth(@who) ? 1 : 0 };
  my $died = $@;
  alarm 0;
  return ($in, $died, "@warnings");
}

subtest 'an honest server' => sub {
  for my $dies (0, 1) {
    local $Authen::SASL::Rust::DIE_ON_FAILURE = $dies;
    my $sasl = fred();
    my ($in, $died, $warnings) = log_in(greeted_by('honest'), $sasl);
    ok($in, "logs in, DIE_ON_FAILURE $dies");
    is("$died$warnings", '', 'in silence');
    ok($sasl->{conn}->is_success, 'it has proved that it knows the password');
    is($sasl->error, undef, 'no error');
    is($sasl->{conn}->property('die_on_failure') || 0, $dies, 'the property shows the default it began with');
  }
};

my %refusal = (
  'wrong-signature' => [-10, qr/^SCRAM-SHA-256 client: .*the server's proof is wrong: .*\(SASL_BADSERV\)/],
  'short-signature' => [-10, qr/^SCRAM-SHA-256 client: .*the server's proof is wrong: .*\(SASL_BADSERV\)/],
  'empty-signature' => [-5, qr/^SCRAM-SHA-256 client: .*server-final-message.*\(SASL_BADPROT\)/],
  'no-signature' => [-5, qr/^SCRAM-SHA-256 client: .*server-final-message.*\(SASL_BADPROT\)/],
  'empty-message' => [-10, qr/^SCRAM-SHA-256 client: .*without its proof \(SASL_BADSERV\)/],
);

for my $name (sort keys %refusal) {
  my ($code, $text) = @{ $refusal{$name} };
  subtest "an impostor: $name" => sub {
    my $sasl = fred();
    my $smtp = greeted_by($name);
    my ($in, $died) = log_in($smtp, $sasl);
    is($in, 1, 'Net::SMTP treats the 235 as a login');
    is($smtp->code, 235, 'indeed');
    ok(!$sasl->{conn}->is_success, 'is_success is false');
    like($sasl->error, $text, 'error says why');
    is($sasl->{conn}->code, $code, 'code');
    ok($smtp->mail('fred@example.org'), 'the mail of a program that asks for neither would be the impostor\'s');

    $sasl = fred();
    $smtp = greeted_by($name);
    ($in, $died, my $warnings) = do { local $Authen::SASL::Rust::DIE_ON_FAILURE = 1; log_in($smtp, $sasl) };
    is($in, undef, 'with DIE_ON_FAILURE there is no login');
    isa_ok($died, 'Authen::SASL::Rust::Error', 'what auth dies with');
    like("$died", $text, 'it says why');
    is($died->code, $code, 'code');
    is($warnings, '', 'and Net::SMTP has no undefined answer to warn of');
    ok(!$sasl->{conn}->is_success, 'is_success is false');

    local $Authen::SASL::Rust::DIE_ON_FAILURE = 1;
    ($in, $died) = log_in(greeted_by($name), 'fred', 'pencil');
    is($in, undef, 'nor with an Authen::SASL object of Net::SMTP\'s own');
    like("$died", $text, 'for the same reason');
  };
}

# After the 235 no further step is taken: no failure, but no proof either.
for my $name (qw(early at-once)) {
  subtest "an impostor: $name" => sub {
    for my $dies (0, 1) {
      local $Authen::SASL::Rust::DIE_ON_FAILURE = $dies;
      my $sasl = fred();
      my ($in, $died, $warnings) = log_in(greeted_by($name), $sasl);
      is($in, 1, "Net::SMTP treats the 235 as a login, DIE_ON_FAILURE $dies");
      is("$died$warnings", '', 'in silence');
      is($sasl->error, undef, 'no step has failed');
      ok($sasl->{conn}->need_step, 'the server\'s proof is still missed');
      ok(!$sasl->{conn}->is_success, 'is_success is false');
    }
  };
}

# The method described in Authen::SASL::Rust::Error, "CALLERS THAT IGNORE FAILURES".
subtest 'a careful program' => sub {
  for my $name (sort keys %server) {
    my ($smtp, $sasl) = (greeted_by($name), fred());
    alarm $SECONDS;
    my $in = do {
      local $Authen::SASL::Rust::DIE_ON_FAILURE = 1;
      eval { $smtp->auth($sasl) } && $sasl->{conn}->is_success;
    };
    alarm 0;
    is(!!$in, $name eq 'honest', $name);
  }
};

subtest 'a wrong password' => sub {
  local $Authen::SASL::Rust::DIE_ON_FAILURE = 1;
  my $sasl = Authen::SASL->new(mechanism => 'SCRAM-SHA-256', callback => { user => 'fred', pass => 'rubber' });
  my ($in, $died) = log_in(greeted_by('honest'), $sasl);
  ok(!$in && !$died, 'the server\'s 535 is a refusal as usual');
  ok(!$sasl->{conn}->is_success, 'and no success');
};

subtest 'the default' => sub {
  my $conn = do {
    local $Authen::SASL::Rust::DIE_ON_FAILURE = 1;
    fred()->client_new('smtp', 'h', { die_on_failure => 0 });
  };
  $conn->client_start;
  is(eval { $conn->client_step('x'); 1 }, 1, 'the option wins');
  $conn = do { local $Authen::SASL::Rust::DIE_ON_FAILURE = 1; fred()->client_new('smtp', 'h') };
  $conn->client_start;
  is(eval { $conn->client_step('x'); 1 }, undef, 'it is read when the connection is made, and stays');
  is(fred()->client_new('smtp', 'h')->property('die_on_failure'), undef, 'and later ones have their own');
  my $server = do {
    local $Authen::SASL::Rust::DIE_ON_FAILURE = 1;
    Authen::SASL->new(mechanism => 'PLAIN', callback => { checkpass => sub { 0 } })->server_new('smtp', 'h');
  };
  is(eval { $server->server_start("\0fred\0x"); 1 }, undef, 'a server too');
};

done_testing;
