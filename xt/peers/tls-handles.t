# The channel binding data of TLS connections that other libraries hold: Mojolicious, IO::Async, and Net::SSLeay alone. Each must be what
# IO::Socket::SSL has at the other end.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use IO::Socket::SSL ();
use Net::SSLeay ();
use POSIX ();
use Test::More;

use Authen::SASL qw(Rust);
use Authen::SASL::Rust::ChannelBinding ();
use TLS::Certificate ();

my $certificate = TLS::Certificate->new;
my $binding = 'Authen::SASL::Rust::ChannelBinding';

# A server that sends each client the data that it has itself.
my $listener = IO::Socket::SSL->new(
  Listen => 5, LocalAddr => '127.0.0.1', SSL_startHandshake => 0, SSL_cert_file => $certificate->certificate, SSL_key_file => $certificate->key,
) or die "no listener: $IO::Socket::SSL::SSL_ERROR";
my $port = $listener->sockport;
defined(my $pid = fork) or die "fork: $!";
if (!$pid) {
  alarm 60;
  while (my $socket = $listener->accept) {
    IO::Socket::SSL->start_SSL($socket, SSL_server => 1, SSL_cert_file => $certificate->certificate, SSL_key_file => $certificate->key) or next;
    my $data = $binding->from_tls($socket, 'server');
    print {$socket} join(' ', map { "$_=" . unpack 'H*', $data->{$_} } sort keys %$data), "\n";
    $socket->close(SSL_no_shutdown => 0);
  }
  POSIX::_exit(0);
}
END {
  local $?;
  kill TERM => $pid and waitpid $pid, 0 if $pid;
}

sub compare {
  my ($tls, $line, $what) = @_;
  my %theirs = map { split /=/ } split ' ', $line;
  my $ours = $binding->from_tls($tls, 'client');
  is_deeply({ map { $_ => unpack 'H*', $ours->{$_} } keys %$ours }, \%theirs, "$what: the same as at the other end");
  ok(exists $theirs{'tls-exporter'}, 'with tls-exporter');
  my $conn = Authen::SASL->new(mechanism => 'SCRAM-SHA-256-PLUS', callback => { user => 'u', pass => 'p' })
    ->client_new('imap', 'localhost', { tls => $tls });
  like($conn->client_start, qr/\Ap=tls-exporter,/, 'a connection uses it');
  cmp_ok($conn->property('externalssf'), '>=', 128, 'and knows the strength of TLS');
  return;
}

subtest 'Net::SSLeay' => sub {
  my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "connect: $!";
  my $context = Net::SSLeay::CTX_new();
  my $ssl = Net::SSLeay::new($context);
  Net::SSLeay::set_fd($ssl, fileno $socket);
  ok(Net::SSLeay::connect($ssl) == 1, 'connected') or return;
  compare({ ssl => $ssl }, Net::SSLeay::read($ssl), 'an SSL');
  Net::SSLeay::free($ssl);
  Net::SSLeay::CTX_free($context);
};

subtest 'Mojolicious' => sub {
  plan skip_all => 'the package libmojolicious-perl is needed' unless eval { require Mojo::IOLoop; require Mojo::IOLoop::TLS; 1 };
  my ($line, $found) = ('');
  Mojo::IOLoop->client({ address => '127.0.0.1', port => $port, tls => 1, tls_options => { SSL_verify_mode => 0 } }, sub {
    my ($loop, $error, $stream) = @_;
    return $loop->stop if $error;
    $stream->on(read => sub {
      my ($self, $bytes) = @_;
      $line .= $bytes;
      return if $line !~ /\n/;
      compare($self, $line, 'a stream');
      $found = 1;
      Mojo::IOLoop->stop;
    });
    return;
  });
  Mojo::IOLoop->timer(20 => sub { Mojo::IOLoop->stop });
  Mojo::IOLoop->start;
  ok($found, 'the stream was read');
};

subtest 'IO::Async' => sub {
  plan skip_all => 'the package libio-async-ssl-perl is needed'
    unless eval { require IO::Async::Loop; require IO::Async::SSL; require IO::Async::Stream; 1 };
  my $loop = IO::Async::Loop->new;
  my ($found, $stream);
  my $done = $loop->SSL_connect(
    host => '127.0.0.1', service => $port, socktype => 'stream', family => 'inet', SSL_verify_mode => 0,
    handle => $stream = IO::Async::Stream->new(
      on_read => sub {
        my ($self, $buffer) = @_;
        return 0 unless $$buffer =~ s/\A(.*\n)//;
        compare($self, $1, 'a stream');
        $found = 1;
        $loop->stop;
        return 0;
      }
    ),
  );
  $done->on_fail(sub { diag("@_"); $loop->stop });
  $done->on_done(sub { $loop->add($stream) unless $stream->loop });
  $loop->watch_time(after => 20, code => sub { $loop->stop });
  $loop->run;
  ok($found, 'the stream was read');
};

subtest 'what is no handle' => sub {
  my $connection = sub {
    my ($tls) = @_;
    return eval { Authen::SASL->new(mechanism => 'PLAIN', callback => {})->client_new('imap', 'localhost', { tls => $tls }); 1 };
  };
  for my $case ([1, 'a number'], [12345678, 'an address without a name'], [{ ssl => 1 }, 'a number by the name of an SSL'],
    [{ ssl => 'x' }, 'a word'], [{ ssl => 12345678, more => 1 }, 'another hash'], [bless({}, 'Nothing'), 'an object']) {
    my ($tls, $what) = @$case;
    ok(!$connection->($tls), $what);
    like($@, qr/\Atls: /, 'is refused');
  }
};

done_testing;
