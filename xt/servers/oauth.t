# Authen::SASL::Rust::OAuth and Dovecot: the test's provider gives out tokens, and Dovecot asks it about each one (RFC 7662).

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use lib 'xt/lib';
use Test::More;
use Authen::SASL qw(Rust);
use Authen::SASL::Rust::OAuth;
use File::Temp qw(tempdir);
use HTTP::Tiny ();
use IO::Socket::INET ();
use Mail::IMAPClient ();
use MIME::Base64 qw(decode_base64 encode_base64);
use Net::SMTP ();
use Provider ();
use Server::Dovecot ();

# Its tokens are token1, token2, ...; those before the last revocation are inactive.
my $provider = Provider->start(
  as => sub {
    my ($request, $state) = @_;
    my ($what) = $request->{path} =~ m{([^/]+)\z};
    my $number = $state->{number} ||= 0;
    if ($what eq 'revoke') { $state->{revoked} = $number; return {} }
    if ($what eq 'introspect') {
      my ($token) = $request->{form}{token} =~ /\Atoken(\d+)\z/;
      return { active => JSON::PP::false() } if !$token || $token > $number || $token <= ($state->{revoked} || 0);
      return { active => JSON::PP::true(), sub => 'fred', exp => time + 3600, token_type => 'Bearer' };
    }
    return { access_token => 'token' . ++$state->{number}, token_type => 'Bearer', expires_in => 3600 };
  },
);
my $dovecot = Server::Dovecot->start(users => { fred => 'pencil' }, introspection => $provider->url('as/introspect'));
my $folder = tempdir(CLEANUP => 1);
my $file = "$folder/fred";
my $oauth = Authen::SASL::Rust::OAuth->new(
  client_id => 'x', flow => 'client_credentials', token_endpoint => $provider->url('as/token'), file => $file
);
$oauth->login;

# Makes the token of the file inactive, and older: one that was renewed after a refusal is not renewed again at once.
sub revoke {
  my $store = Authen::SASL::Rust::OAuth::File->new($file, 20);
  $store->locked(sub {
    my $object = $store->read;
    $object->{token}{received} -= 600;
    $store->write($store->prepare, $object);
  });
  HTTP::Tiny->new(proxy => undef)->post_form($provider->url('as/revoke'), {})->{success} or die 'revoke';
  return;
}

sub issued { return scalar grep { $_->{path} eq '/as/token' } $provider->requests('as') }

sub connection {
  my ($mechanism) = @_;
  return Authen::SASL->new(mechanism => $mechanism, callback => { user => 'fred', token => $oauth })->client_new('imap', 'localhost');
}

# RFC 3501 section 6.2.2, by hand.
sub by_hand {
  my ($mechanism) = @_;
  my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $dovecot->{imap}, Timeout => 20) or die "IMAP: $@";
  my $conn = connection($mechanism);
  <$socket>;
  print {$socket} "a AUTHENTICATE $mechanism ", encode_base64($conn->client_start, ''), "\r\n";
  while (defined(my $line = <$socket>)) {
    return ($line =~ /\Aa OK/ ? 1 : 0, $conn) if $line =~ /\Aa /;
    print {$socket} encode_base64($conn->client_step(decode_base64($1)), ''), "\r\n" if $line =~ /\A\+ ?(.*)\r\n/;
  }
  return (0, $conn);
}

sub imap_client {
  my ($mechanism) = @_;
  my $imap = Mail::IMAPClient->new(Server => '127.0.0.1', Port => $dovecot->{imap}) or die "IMAP: $@";
  my $conn = connection($mechanism);
  my $first = $conn->client_start;
  my $in = $imap->authenticate($mechanism, sub {
    my ($challenge) = @_;
    my $answer = defined $first ? $first : $conn->client_step(decode_base64($challenge));
    undef $first;
    return defined $answer ? encode_base64($answer, '') : '*';
  });
  return ($in && $imap->exists('INBOX') ? 1 : 0, $conn);
}

sub submission {
  my ($mechanism) = @_;
  my $smtp = Net::SMTP->new('127.0.0.1', Port => $dovecot->{submission}, Timeout => 20) or die "SMTP: $@";
  my $sasl = Authen::SASL->new(mechanism => $mechanism, callback => { user => 'fred', token => $oauth });
  return ($smtp->auth($sasl) ? 1 : 0, $sasl->{conn});
}

my %program = ('by hand' => \&by_hand, 'Mail::IMAPClient' => \&imap_client, 'Net::SMTP' => \&submission);
for my $mechanism (qw(OAUTHBEARER XOAUTH2)) {
  for my $name (sort keys %program) {
    subtest "$mechanism, $name" => sub {
      my $log_in = sub { my ($in, $conn) = $program{$name}->($mechanism); return $in };
      my $before = issued();
      is($log_in->(), 1, 'logged in') or diag $dovecot->log_text;
      is(issued() - $before, 0, 'with the token of the file');
      revoke();
      my ($in, $conn) = $program{$name}->($mechanism);
      is($in, 0, 'a token that the provider has revoked is refused');
      is($conn->code, -13, 'which the connection knows') or diag $conn->error;
      is($log_in->(), 1, 'the next login has a new token') or diag $dovecot->log_text;
      is(issued() - $before, 1, 'by one request');
      revoke();
      my $attempts = 0;
      is($oauth->retry(sub { $attempts++; $log_in->() }), 1, 'retry') or diag $dovecot->log_text;
      is($attempts, 2, 'has tried twice');
      is(issued() - $before, 2, 'one more request');
    };
  }
}

subtest 'sasl-rust-token' => sub {
  my @perl = ($^X, map { "-I$_" } grep { !ref } @INC);
  my $run = sub {
    open my $out, '-|', @perl, 'bin/sasl-rust-token', @_ or die "fork: $!";
    my $text = join '', <$out>;
    return close $out ? $text : "status $?: $text";
  };
  for my $case (['imap', $dovecot->{imap}], ['smtp', $dovecot->{submission}]) {
    my ($protocol, $port) = @$case;
    my @test = ('--plain', 'test', $file, $protocol, "127.0.0.1:$port", 'fred');
    is($run->(@test), "logged in by OAUTHBEARER\n", "$protocol");
    revoke();
    is($run->(@test), "the server refused the first token; it was renewed\nlogged in by OAUTHBEARER\n", "$protocol, renewed");
    is($run->('--mechanism', 'XOAUTH2', @test), "logged in by XOAUTH2\n", "$protocol, by the other mechanism");
  }
};

done_testing;
