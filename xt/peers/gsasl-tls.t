# The gsasl program, which uses GnuTLS, logs in to our server, which uses IO::Socket::SSL: SMTP with STARTTLS and gsasl's own
# channel binding.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use Test::More;

use Authen::SASL qw(Rust);
use IO::Select         ();
use IO::Socket::INET   ();
use IO::Socket::SSL    qw(SSL_VERIFY_NONE SSL_WANT_READ);
use MIME::Base64       qw(decode_base64 encode_base64);
use POSIX              ();
use TLS::Certificate   ();

my $certificate = TLS::Certificate->new;
my $evil        = TLS::Certificate->new;
$SIG{PIPE} = 'IGNORE';

sub listener { return IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') || die "listen: $!" }

sub starttls {
  my ($socket, %option) = @_;
  return IO::Socket::SSL->start_SSL($socket, Timeout => 20, %option) || die "TLS: $IO::Socket::SSL::SSL_ERROR\n";
}

sub as_server {
  my ($of) = @_;
  return (SSL_server => 1, SSL_cert_file => $of->certificate, SSL_key_file => $of->key);
}

sub line_of {
  my ($socket) = @_;
  my $line = readline $socket;
  return defined $line ? $line =~ s/\r?\n\z//r : undef;
}

sub say_to { my ($socket, @lines) = @_; print {$socket} map {"$_\r\n"} @lines; return $socket->flush }

# Runs one session of an SMTP server; returns our connection, or undef if there was no AUTH.
sub serve {
  my ($socket, $offer) = @_;
  my ($conn, @offers);
  say_to($socket, '220 localhost ESMTP');
  while (defined(my $line = line_of($socket))) {
    if ($line =~ /\AEHLO/i) {
      say_to($socket, '250-localhost', @offers ? "250 AUTH @offers" : '250 STARTTLS');
    }
    elsif ($line =~ /\ASTARTTLS/i) {
      say_to($socket, '220 go');
      starttls($socket, as_server($certificate));
      @offers = @$offer;
    }
    elsif ($line =~ /\AAUTH (\S+) ?(\S*)/i) {
      my ($name, $initial) = ($1, $2);
      $conn = Authen::SASL->new(mechanism => $name, callback => {getsecret => sub { 'pencil' }})
        ->server_new('smtp', 'localhost', {tls => $socket});
      my $message = $conn->server_start(!length $initial ? undef : $initial eq '=' ? '' : decode_base64($initial));
      while (defined $message) {
        say_to($socket, '334 ' . encode_base64($message, ''));
        my $answer = line_of($socket);
        last if !defined $answer || $answer eq '*' || $conn->error;
        $message = $conn->server_step(decode_base64($answer));
        last if $conn->is_success && $message eq '';
      }
      say_to($socket, $conn->is_success ? '235 welcome' : '535 no');
    }
    elsif ($line =~ /\AQUIT/i) { say_to($socket, '221 bye'); last }
    else                       { say_to($socket, '500 what?') }
  }
  return $conn;
}

# A man in the middle: it terminates the client's TLS with its own certificate, opens another connection to the server, and
# relays the data. It may change the data, too.
sub man_in_the_middle {
  my ($port, $version, $change) = @_;
  my $listener = listener();
  my $pid      = fork;
  die "fork: $!" unless defined $pid;
  if (!$pid) {
    alarm 40;
    eval {
      my $client = $listener->accept or die "accept: $!";
      my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "connect: $!";
      my $said = '';
      until ($said =~ /\ASTARTTLS/i) {
        my $reply;
        do { say_to($client, $reply = line_of($server) // die "the server has hung up\n") } until $reply =~ /\A\d+ /;
        say_to($server, $said = line_of($client) // die "the client has hung up\n");
      }
      say_to($client, line_of($server));
      starttls($server, SSL_verify_mode => SSL_VERIFY_NONE, SSL_version => $version);
      starttls($client, as_server($evil));
      $_->blocking(0) for $client, $server;
      my $select = IO::Select->new($client, $server);
      while (1) {
        my ($from) = grep { $_->pending } $client, $server;
        ($from) = $select->can_read(30) unless $from;
        last unless $from;
        my $got = sysread $from, my $text, 16384;
        next if !defined $got && $IO::Socket::SSL::SSL_ERROR == SSL_WANT_READ;    # a session ticket is not text
        last unless $got;
        $text = $change->($text) if $change;
        syswrite $from == $client ? $server : $client, $text;
      }
    };
    POSIX::_exit(0);
  }
  return ($listener->sockport, $pid);
}

# Runs the program against our server; returns its exit status, its output, and our connection.
sub log_in {
  my ($version, $mechanism, %option) = @_;
  my $listener = listener();
  my ($port, $middle) = ($listener->sockport);
  ($port, $middle) = man_in_the_middle($port, $version, $option{change}) if $option{attacked};
  my $pid = open my $output, '-|';
  die "fork: $!" unless defined $pid;
  if (!$pid) {
    alarm 40;
    open STDERR, '>&', \*STDOUT;
    open STDIN,  '<',  '/dev/null';
    exec 'gsasl', '--smtp', '--starttls', '--no-client-first', $mechanism ? "--mechanism=$mechanism" : (),
      '--authentication-id=fred', "--password=" . ($option{password} || 'pencil'), '--hostname=localhost',
      '--x509-ca-file=' . ($option{attacked} ? $evil : $certificate)->certificate,
      '--priority=NORMAL:-VERS-ALL:+VERS-' . ($version eq 'TLSv1_2' ? 'TLS1.2' : 'TLS1.3'),
      '127.0.0.1', $port or POSIX::_exit(127);
  }
  local $SIG{ALRM} = sub { die "no end of the session\n" };
  alarm 40;
  my $conn = eval {
    my $socket = $listener->accept;
    serve($socket, $option{offer} || ['SCRAM-SHA-1', 'SCRAM-SHA-1-PLUS', 'SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS']);
  };
  diag($@) if $@;
  my $text = join '', <$output>;
  alarm 0;
  close $output;
  my $status = $?;
  waitpid $middle, 0 if $middle;
  return ($status, $text, $conn);
}

for my $version (qw(TLSv1_2 TLSv1_3)) {
  for my $mechanism (qw(SCRAM-SHA-1-PLUS SCRAM-SHA-256-PLUS)) {
    my ($status, $text, $conn) = log_in($version, $mechanism);
    ok($status == 0 && $conn && $conn->is_success, "$version, $mechanism: success on both sides")
      or diag($text, $conn ? $conn->error : '');
    my ($type) = $text =~ /^(cD[A-Za-z0-9+\/=]+)/m;
    note(decode_base64($type)) if $type;

    ($status, $text, $conn) = log_in($version, $mechanism, password => 'crayon');
    ok($status != 0 && $conn && !$conn->is_success, "$version, $mechanism: a wrong password fails");

    ($status, $text, $conn) = log_in($version, $mechanism, attacked => 1);
    ok($status != 0 && $conn && !$conn->is_success, "$version, $mechanism: a man in the middle fails on both sides")
      or diag($text);
    like($conn && $conn->error, qr/the channel binding does not match/, 'and our server knows why');
  }

  my $strip = sub { my ($text) = @_; $text =~ s/ SCRAM-SHA-\d+-PLUS//g; return $text };
  my ($status, $text, $conn) = log_in($version, 'SCRAM-SHA-256', attacked => 1, change => $strip);
  ok($status != 0 && $conn && !$conn->is_success, "$version: he strips -PLUS") or diag($text);
  like($text, qr/^250 AUTH SCRAM-SHA-1 SCRAM-SHA-256\r?$/m, 'which the program sees, and goes no further by itself');
}

done_testing;
