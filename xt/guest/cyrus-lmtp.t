# The LMTP server of Debian's Cyrus IMAP, with libsasl2 and our guest. The client does not use libsasl2.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use Authen::SASL qw(Rust);
use IO::Socket::INET ();
use MIME::Base64 qw(decode_base64 encode_base64);
use Peer::Guest ();
use Peer::Packaged qw(why_absent);
use Server::CyrusLmtp ();
use Server::Trial qw(trial %PASSWORD);
use Test::More;

plan skip_all => 'only root can start Cyrus' if $>;
plan skip_all => why_absent('cyrus-common') if why_absent('cyrus-common');

my @MECHANISMS = qw(SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 DIGEST-MD5 CRAM-MD5 PLAIN LOGIN);
# libsasl2 does not have this mechanism, so the list is that of our guest.
my $OURS = 'SCRAM-SHA3-512';

my $cyrus = Server::CyrusLmtp->start(
  users => \%PASSWORD, mechanisms => "@MECHANISMS $OURS",
  plugins => [Peer::Guest::built(), Peer::Guest::installed('libsasldb.so')],
);

# Reads a reply of LMTP (RFC 2033); returns its code and text.
sub heard {
  my ($socket) = @_;
  my $text = '';
  while (defined(my $line = readline $socket)) {
    my ($code, $more, $words) = $line =~ /\A([0-9]{3})(-?) ?(.*?)\r\n\z/ or last;
    $text .= "$words\n";
    return ($code, $text =~ s/\n\z//r) if !$more;
  }
  die "no reply\n" . $cyrus->log_text;
}

sub say_to {
  my ($socket, $line) = @_;
  print {$socket} "$line\r\n";
  return heard($socket);
}

# Returns the socket and the reply to LHLO.
sub connect_lmtp {
  my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $cyrus->{port}, Timeout => 20)
    or die "LMTP: $@";
  heard($socket);
  return ($socket, (say_to($socket, 'LHLO localhost'))[1]);
}

# Logs in (RFC 4954); returns the reply, the code of the reply to MAIL FROM, and the client.
sub authenticate {
  my ($mechanism, $user, $password) = @_;
  my ($socket) = connect_lmtp();
  my $conn = Authen::SASL->new(mechanism => $mechanism, callback => { user => $user, pass => $password })
    ->client_new('lmtp', 'localhost');
  my $first = $conn->client_start;
  my ($code, $text) =
    say_to($socket, 'AUTH ' . $conn->mechanism . (length $first ? ' ' . encode_base64($first, '') : ''));
  while ($code == 334) {
    my $message = $conn->client_step(decode_base64($text));
    ($code, $text) = say_to($socket, defined $message ? encode_base64($message, '') : '*');
  }
  return ("$code $text", (say_to($socket, 'MAIL FROM:<fred@example.org>'))[0], $conn);
}

trial 'Cyrus lists our mechanisms, each once' => sub {
  my (undef, $said) = connect_lmtp();
  my ($names) = $said =~ /^AUTH (.*)/m;
  is_deeply [sort split ' ', $names], [sort @MECHANISMS, $OURS], 'in the reply to LHLO';
};

for my $mechanism (@MECHANISMS, $OURS) {
  trial "Cyrus, $mechanism" => sub {
    my ($reply, $letter, $conn) = authenticate($mechanism, 'fred', 'pencil');
    like $reply, qr/\A235 /, 'fred is in' or diag $cyrus->log_text;
    is $letter, 250, 'and may send a letter';
    ok $conn->is_success, 'the server has proved itself' if $mechanism =~ /SCRAM|DIGEST/;
    is $conn->error, undef, 'no error';
    my @refused = map { join ' ', (authenticate($mechanism, @$_))[0, 1] } ['fred', 'crayon'], ['barney', 'pencil'];
    like $refused[0], qr{\A501 .* 430\z}, 'a wrong password';
    is $refused[1], $refused[0], 'an unknown user gets the same reply';
  };
}

done_testing;
