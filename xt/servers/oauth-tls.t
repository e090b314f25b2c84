# Authen::SASL::Rust::OAuth with a provider behind TLS: the certificate and its name are verified before a secret is sent.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use lib 'xt/lib';
use Test::More;
use Authen::SASL::Rust::OAuth;
use File::Temp ();
use IO::Select ();
use IO::Socket::SSL ();
use POSIX ();
use TLS::Certificate ();

my ($certificate, $other) = map { TLS::Certificate->new } 1, 2;
my $received = File::Temp->new;

# Answers each request with a token, and writes down what it has received. The certificate does not have the second address.
my $listener = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die "listen: $@";
my $elsewhere = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.2', LocalPort => $listener->sockport) or die "listen: $@";
my $both = IO::Select->new($listener, $elsewhere);
my $child = fork // die "fork: $!";
if (!$child) {
  alarm 120;
  $SIG{PIPE} = 'IGNORE';
  while (my ($ready) = $both->can_read) {
    my $socket = $ready->accept or next;
    IO::Socket::SSL->start_SSL(
      $socket, SSL_server => 1, SSL_cert_file => $certificate->certificate, SSL_key_file => $certificate->key
    ) or next;
    my ($head, $length) = ('', 0);
    while (defined(my $line = <$socket>)) {
      $length = $1 if $line =~ /^Content-Length: (\d+)/i;
      $head .= $line;
      last if $line eq "\r\n";
    }
    read $socket, my ($body), $length;
    open my $out, '>>', $received->filename or die "log: $!";
    print {$out} $head, $body, "\n";
    close $out;
    my $answer = '{"access_token":"x","token_type":"Bearer"}';
    print {$socket} "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ", length $answer, "\r\n\r\n$answer";
    close $socket;
  }
  POSIX::_exit(0);
}
END { if ($child) { local $?; kill KILL => $child; waitpid $child, 0 } }

# A token from that host, or the reason why there is none.
sub token_from {
  my ($host, $authority) = @_;
  my $oauth = Authen::SASL::Rust::OAuth->new(
    client_id => 'x', client_secret => 'pencil', flow => 'client_credentials', timeout => 10, ca_file => $authority->certificate,
    token_endpoint => "https://$host:" . $listener->sockport . '/token'
  );
  return eval { $oauth->token } || "$@";
}

my $refused = qr/\AOAuth, client credentials: https:\S+: .*(?:certificate|verif|hostname)/i;
like(token_from('localhost', $other), $refused, 'a certificate of another authority is refused');
like(token_from('127.0.0.2', $certificate), $refused, 'and one for another name');
is(-s $received->filename, 0, 'and no secret was sent');
is(token_from($_, $certificate), 'x', "$_ with its certificate") for 'localhost', '127.0.0.1';
cmp_ok(-s $received->filename, '>', 0, 'gets the request');

done_testing;
