# SCRAM-...-PLUS over real TLS 1.2 and 1.3 with IO::Socket::SSL, against libsasl2, libgsasl and ourselves.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use Test::More;

use Authen::SASL::Rust::ChannelBinding ();
use MIME::Base64     qw(encode_base64);
use Peer::Cyrus      ();
use Peer::Exchange   qw(exchange);
use Peer::Gsasl      ();
use Peer::Ours       ();
use POSIX            ();
use TLS::Certificate ();
use TLS::Pair        ();

my $certificate = TLS::Certificate->new;
my $other       = TLS::Certificate->new;
my @account     = (user => 'fred', password => 'pencil', service => 'imap', host => 'localhost');

my %peer = (
  'Peer::Cyrus' => {
    types => [qw(tls-exporter tls-unique tls-server-end-point)],
    bind  => sub { my ($type, $data) = @_; return (binding => $type, binding_data => encode_base64($data, '')) },
  },
  'Peer::Gsasl' => {
    types => [qw(tls-exporter tls-unique)],
    bind  => sub { my ($type, $data) = @_; return ($type => encode_base64($data, '')) },
  },
);

# The data of the peer's end, computed without our code.
sub data_of {
  my ($pair, $type, $of) = @_;
  return $type eq 'tls-server-end-point' ? $of->end_point('sha256') : $pair->theirs->{$type};
}

sub run_pair {
  my ($class, $we_are, $mechanism, $ours, @theirs) = @_;
  my $they_are = $we_are eq 'client' ? 'server' : 'client';
  my $our_side = Peer::Ours->$we_are(@account, mechanism => $mechanism, convention => 'return value', options => $ours);
  my $peer = $class->$they_are(@account, mechanism => $mechanism, @theirs, success_data => 1);
  my ($client, $server) = $we_are eq 'client' ? ($our_side, $peer) : ($peer, $our_side);
  my $end = exchange($client, $server, initial_response => 1, success_data => 1);
  diag($end->{problem}) if $end->{problem};
  return $end;
}

sub both_are {
  my ($end, $state, $name) = @_;
  my @states = map { $end->{$_}{state} } qw(client server);
  my $as_wanted = $state eq 'done' ? "@states" eq 'done done' : !grep { $_ eq 'done' } @states;
  ok($as_wanted && !$end->{problem}, $name)
    or diag(join "\n", map { "$_: $end->{$_}{state} " . ($end->{$_}{error} // '') } qw(client server));
  return;
}

for my $version (qw(TLSv1_2 TLSv1_3)) {
  for my $we_are (qw(client server)) {
    my $pair   = TLS::Pair->new(version => $version, certificate => $certificate, here => $we_are);
    my $theirs = $we_are eq 'client' ? $other : $certificate;
    # Two connections: a man in the middle terminates ours, and opens another one to the peer.
    my $ours_in_attack = TLS::Pair->new(version => $version, certificate => $other, here => $we_are);
    my $tls = $pair->handle;
    is($tls->get_sslversion, $version, "$version is what is spoken");

    for my $class (sort keys %peer) {
      for my $type (@{$peer{$class}{types}}) {
        next if $type eq 'tls-unique' && $version eq 'TLSv1_3';
        for my $mechanism (qw(SCRAM-SHA-1-PLUS SCRAM-SHA-256-PLUS)) {
          my $name = "$version, our $we_are, " . $class->name . ", $mechanism, $type";
          my @bind = $peer{$class}{bind}->($type, data_of($pair, $type, $certificate));
          my $only = {offered_bindings => $type};
          my $end  = run_pair($class, $we_are, $mechanism, {tls => $tls, %$only}, @bind);
          both_are($end, 'done', $name);
          like($end->{transcript}[0], qr/\AC: p=\Q$type\E,/, "$name: bound by it");

          $end = run_pair($class, $we_are, $mechanism, {tls => $ours_in_attack->handle, %$only}, @bind);
          both_are($end, 'fail', "$name: a man in the middle fails");
          $end = run_pair($class, $we_are, $mechanism, {channel_binding => {$type => 'x' x 32}}, @bind);
          both_are($end, 'fail', "$name: other data fail");
        }
      }
    }

    # The default choice.
    if ($we_are eq 'client') {
      my $client = Authen::SASL->new(mechanism => 'PLAIN SCRAM-SHA-256-PLUS', callback => {user => 'fred', pass => 'pencil'})
        ->client_new('imap', 'localhost', {tls => $tls});
      my $default = $version eq 'TLSv1_2' ? 'tls-unique' : 'tls-exporter';
      like($client->client_start, qr/\Ap=$default,/, "$version: $default by default");
      cmp_ok($client->property('externalssf'), '>=', 128, "$version: the cipher's bits are the external strength");
      $client->property(externalssf => 0);
      is($client->property('externalssf'), 0, 'unless the program says another one');
      my $silent = Authen::SASL->new(mechanism => 'SCRAM-SHA-256', callback => {user => 'fred', pass => 'pencil'})
        ->client_new('imap', 'localhost', {externalssf => 56, tls => $tls});
      is($silent->property('externalssf'), 56, 'also where it said so at first');
      like($silent->client_start, qr/\Ay,,/, 'a client that names no -PLUS says y');
      my $plain = Authen::SASL->new(mechanism => 'PLAIN', callback => {user => 'fred', pass => 'pencil'})
        ->client_new('imap', 'localhost', {secflags => 'noplaintext', tls => $tls});
      is($plain->mechanism, 'PLAIN', 'noplaintext allows PLAIN over TLS');
    }
    my $unique = eval {
      Authen::SASL->new(mechanism => 'SCRAM-SHA-1-PLUS', callback => {user => 'f', pass => 'p', getsecret => sub { 'p' }})
        ->${\"${we_are}_new"}('imap', 'localhost', {tls => $tls, offered_bindings => 'tls-unique'});
    };
    is($unique ? 'given' : 'not given', $version eq 'TLSv1_2' ? 'given' : 'not given', "$version, $we_are: tls-unique");
  }
}

# A stripped -PLUS: the client supports channel binding, but saw a list without it.
for my $class (sort keys %peer) {
  my $pair = TLS::Pair->new(version => 'TLSv1_3', certificate => $certificate, here => 'client');
  my @bind = $peer{$class}{bind}->('tls-exporter', $pair->theirs->{'tls-exporter'});
  my $end  = run_pair($class, 'client', 'SCRAM-SHA-256', {tls => $pair->handle}, @bind);
  like($end->{transcript}[0], qr/\AC: y,/, 'our client says y');
  both_are($end, 'fail', 'a stripped -PLUS: ' . $class->name . ' refuses');
}
{
  my $pair = TLS::Pair->new(version => 'TLSv1_3', certificate => $certificate, here => 'server');
  my $theirs = Authen::SASL->new(mechanism => 'SCRAM-SHA-256', callback => {user => 'fred', pass => 'pencil'})
    ->client_new('imap', 'localhost', {channel_binding => $pair->theirs});
  my $server = Authen::SASL->new(mechanism => 'SCRAM-SHA-256', callback => {getsecret => sub { 'pencil' }})
    ->server_new('imap', 'localhost', {tls => $pair->handle, offered_mechanisms => 'SCRAM-SHA-256-PLUS SCRAM-SHA-256'});
  my $said = $server->server_start($theirs->client_start);
  is($said, 'e=server-does-support-channel-binding', 'a stripped -PLUS: our server refuses');
  $server->property(offered_mechanisms => undef);
  like($server->server_start($theirs->client_start), qr/\Ar=/, 'and takes the client where it has offered none');
}

# For a resumed session tls-unique is the server's Finished message, for a new one the client's (RFC 5929 section 3.1).
{
  my $listener = IO::Socket::INET->new(Listen => 2, LocalAddr => '127.0.0.1') or die "listen: $!";
  my $pid = fork;
  die "fork: $!" unless defined $pid;
  if (!$pid) {
    alarm 40;
    my $context = IO::Socket::SSL::SSL_Context->new(SSL_server => 1, SSL_version => 'TLSv1_2',
      SSL_cert_file => $certificate->certificate, SSL_key_file => $certificate->key);
    eval {
      for (1, 2) {
        my $socket = IO::Socket::SSL->start_SSL(scalar $listener->accept, SSL_server => 1, SSL_reuse_ctx => $context)
          or die $IO::Socket::SSL::SSL_ERROR;
        my $data = Authen::SASL::Rust::ChannelBinding->from_tls($socket, 'server')->{'tls-unique'};
        print {$socket} unpack('H*', $data), "\n";
        readline $socket;
      }
    };
    warn $@ if $@;
    POSIX::_exit(0);
  }
  my $context = IO::Socket::SSL::SSL_Context->new(SSL_version => 'TLSv1_2', SSL_session_cache_size => 4,
    SSL_verify_mode => IO::Socket::SSL::SSL_VERIFY_NONE());
  for my $resumed (0, 1) {
    my $socket = IO::Socket::SSL->new(PeerAddr => '127.0.0.1', PeerPort => $listener->sockport,
      SSL_reuse_ctx => $context, SSL_session_key => 'this') or die $IO::Socket::SSL::SSL_ERROR;
    chomp(my $theirs = readline $socket);
    is($socket->get_session_reused ? 1 : 0, $resumed, $resumed ? 'a resumed session' : 'a new session');
    my $ours = unpack 'H*', Authen::SASL::Rust::ChannelBinding->from_tls($socket, 'client')->{'tls-unique'};
    is($ours, $theirs, 'both sides have the same data');
    my $finished = '';
    Net::SSLeay::get_peer_finished($socket->_get_ssl_object, $finished);
    is($ours eq unpack('H*', $finished) ? 1 : 0, $resumed, $resumed ? 'those of the server' : 'not those of the server');
    print {$socket} "bye\n";
    close $socket;
  }
  waitpid $pid, 0;
}

my $plain = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1');
ok(!eval { Authen::SASL->new(mechanism => 'PLAIN', callback => {})->client_new('imap', 'localhost', {tls => $plain}); 1 }
    && $@ =~ /tls: an IO::Socket::SSL handle was expected, or a stream that has one/, 'a socket without TLS dies') or diag($@);
my $early = IO::Socket::SSL->new_from_fd(fileno $plain, SSL_startHandshake => 0);
ok(!eval { Authen::SASL->new(mechanism => 'PLAIN', callback => {})->client_new('imap', 'localhost', {tls => $early}); 1 }
    && $@ =~ /tls: the TLS handshake of this handle has not finished/, 'a handle before the handshake dies') or diag($@);

done_testing;
