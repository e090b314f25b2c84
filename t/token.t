# sasl-rust-token: get, show and test, with a provider and mail servers made by the test.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Command ();
use Test::More;
use File::Temp qw(tempdir);
use IO::Socket::INET;
use JSON::PP ();
use Loopback ();
use MIME::Base64 qw(decode_base64 encode_base64);
use POSIX ();
use Provider;

if (my $alone = Loopback::missing()) { plan skip_all => $alone }

my $folder = tempdir(CLEANUP => 1);
my $file = "$folder/fred";
my @tool = Command::installed('sasl-rust-token');

my %bearer = (token_type => 'Bearer', expires_in => 3600);
my $provider = Provider->start(
  device => sub {
    my ($request, $state) = @_;
    my $form = $request->{form};
    return { device_code => 'dev-secret', user_code => 'WDJB-MJHT', verification_uri => 'https://example.org/device', expires_in => 60, interval => 1 }
      if $request->{path} =~ /device\z/;
    return { %bearer, access_token => 'token' . ++$state->{number}, refresh_token => 'r-secret', scope => "imap\e[1m" };
  },
  machine => sub {
    my ($request) = @_;
    return [401, { error => 'invalid_client' }] if decode_base64($request->{header}{authorization} =~ s/Basic //r) ne 'x:pencil';
    return { %bearer, access_token => 'token1' };
  },
);

sub slurp { my ($name) = @_; open my $in, '<:raw', $name or return ''; local $/; return scalar <$in> }

sub run {
  my ($input, @arg) = @_;
  my ($status, @printed) = Command::run($input, @tool, @arg);
  my @result = ($status >> 8, @printed);
  unlike("@result", qr/dev-secret|r-secret|pencil|token\d/, "@arg: no secret is printed");
  return @result;
}

sub good {
  my ($input, @arg) = @_;
  my ($status, $out, $err) = run($input, @arg);
  is("$status $err", '0 ', "@arg: status");
  return $out;
}

sub bad {
  my ($status, $why, $input, @arg) = @_;
  my ($got, $out, $err) = run($input, @arg);
  is($got, $status, "@arg: status");
  like($err, $why, 'the reason on standard error');
  return;
}

my @device = ('--client-id', 'x', '--token-endpoint', $provider->url('device/token'), '--device-endpoint', $provider->url('device/device'));

subtest 'get and show' => sub {
  my $out = good('', @device, 'get', $file);
  like($out, qr{^Open https://example\.org/device in a browser and type the code WDJB-MJHT$}m, 'what to do');
  like($out, qr/^logged in$/m, 'and that it is done');
  is((stat $file)[2] & 07777, 0600, 'the mode of the file');
  $out = good('', 'show', $file);
  like($out, qr/^client_id: x\ntoken_endpoint: http\S+\nflow: device\nscope: imap\?\[1m\ntoken: valid\nexpires: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\nrenewable: yes\n\z/,
    'show, printable');
  bad(1, qr/^sasl-rust-token: OAuth, token file: \Q$file\E: it belongs to another client \(client_id\)/, '',
    '--client-id', 'y', '--token-endpoint', $provider->url('device/token'), '--flow', 'client_credentials', 'get', $file);
  my @machine = ('--client-id', 'x', '--token-endpoint', $provider->url('machine/token'), '--flow', 'client_credentials', '--secret');
  good("pencil\r\nmore", @machine, 'get', "$folder/machine");
  bad(1, qr/^sasl-rust-token: OAuth, client credentials: the provider refused: invalid_client/, "crayon\n", @machine, 'get', "$folder/none");
  bad(1, qr/^sasl-rust-token: no client secret$/, '', @machine, 'get', "$folder/none");
  bad(1, qr/^sasl-rust-token: the client secret is empty$/, "\n", @machine, 'get', "$folder/none");
  ok(!-e "$folder/none", 'no file');
};

subtest 'the command line' => sub {
  for my $case (
    [[], qr/a command is missing/], [['got', $file], qr/unknown command 'got'; there are get, show, test/],
    [["g\e[1m", $file], qr/unknown command 'g\?\[1m'/], [['get'], qr/get: the name of the file is missing/],
    [['show', $file, 'x'], qr/show: too many arguments/], [['test', $file], qr/test: imap or smtp was expected/],
    [['test', $file, 'pop3', 'x', 'y'], qr/imap or smtp/], [['test', $file, 'imap'], qr/the name of the server is missing/],
    [['test', $file, 'imap', 'x'], qr/the name of the user is missing/], [['test', $file, 'imap', 'x', 'y', 'z'], qr/too many/],
    [['--plain', 'test', $file, 'imap', 'example.org', 'fred'], qr/--plain is for loopback addresses only/],
    [['test', $file, 'imap', 'a:b:c', 'fred'], qr/HOST or HOST:PORT/], [['--token', 'x', 'get', $file], qr/Unknown option: token/],
  ) {
    my ($arguments, $text) = @$case;
    bad(2, $text, '', @$arguments);
  }
  bad(1, qr/^sasl-rust-token: new: a provider, an issuer or a token_endpoint is required$/, '', '--client-id', 'x', 'get', $file);
  bad(1, qr/^sasl-rust-token: provider: one of google, microsoft was expected$/, '', '--provider', 'x', '--client-id', 'x', 'get', $file);
  bad(1, qr/there is no such file; log in first/, '', 'show', "$folder/none");
  like(good('', '--help'), qr/sasl-rust-token .* get FILE/, '--help');
  like(good('', '--version'), qr/\Asasl-rust-token \d/, '--version');
};

# Mail servers that accept only the token of that number.
my %answer = (
  imap => sub {
    my ($socket, $accepted) = @_;
    print $socket "* OK ready\r\n";
    while (my $line = <$socket>) {
      my ($tag, $command) = $line =~ /\A(\S+) (.*?)\r\n/ or last;
      if ($command eq 'CAPABILITY') { print $socket "* CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2\r\n$tag OK done\r\n"; next }
      last if $command ne 'AUTHENTICATE XOAUTH2';
      print $socket "+ \r\n";
      my ($sent) = decode_base64(<$socket>) =~ /\Auser=fred\x01auth=Bearer (.*)\x01\x01\z/;
      my $yes = $sent eq $accepted;
      if (!$yes) { print $socket '+ ', encode_base64('{"status":"400","schemes":"Bearer"}', ''), "\r\n"; <$socket> }
      print $socket $yes ? "* CAPABILITY IMAP4rev1\r\n$tag OK in\r\n" : "$tag NO [AUTHENTICATIONFAILED] no\e[1m $sent\r\n";
    }
  },
  smtp => sub {
    my ($socket, $accepted) = @_;
    print $socket "220-localhost\r\n220 ready\r\n";
    while (my $line = <$socket>) {
      if ($line =~ /\AEHLO/) { print $socket "250-localhost\r\n250-AUTH PLAIN OAUTHBEARER\r\n250 8BITMIME\r\n"; next }
      if ($line ne "AUTH OAUTHBEARER\r\n") { print $socket "500 what?\r\n"; next }
      print $socket "334 \r\n";
      my ($sent) = decode_base64(<$socket>) =~ /auth=Bearer (.*?)\x01/;
      print $socket $sent eq $accepted ? "235 in\r\n" : "535 5.7.3 no $sent\r\n";
    }
  },
  rude => sub { my ($socket) = @_; print $socket "SSH-2.0-OpenSSH_9.2\r\n" },
  poor => sub { my ($socket) = @_; print $socket "* OK\r\n"; <$socket>; print $socket "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\na1 OK\r\n"; <$socket> },
);

sub server {
  my ($kind, $accepted, $code) = @_;
  my $listener = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die "listen: $@";
  my $pid = fork // die "fork: $!";
  if (!$pid) {
    alarm 60;
    while (my $socket = $listener->accept) { $answer{$kind}->($socket, $accepted); close $socket }
    POSIX::_exit(0);
  }
  $code->('127.0.0.1:' . $listener->sockport);
  kill KILL => $pid;
  waitpid $pid, 0;
  return;
}

# Makes the token look older: one that was renewed after a refusal is not renewed again at once.
sub age {
  my $object = JSON::PP::decode_json(slurp($file));
  $object->{token}{received} -= 600;
  open my $out, '>:raw', $file or die "$file: $!";
  print $out JSON::PP::encode_json($object);
  close $out or die "$file: $!";
  return;
}

# The token that the next renewal will bring.
sub next_token { return 'token' . (1 + grep { $_->{path} =~ /token\z/ } $provider->requests('device')) }

subtest 'test' => sub {
  for my $case (['imap', 'XOAUTH2'], ['smtp', 'OAUTHBEARER']) {
    my ($protocol, $mechanism) = @$case;
    age();
    my $held = JSON::PP::decode_json(slurp($file))->{token}{access_token};
    server($protocol, $held, sub {
      is(good('', '--plain', 'test', $file, $protocol, $_[0], 'fred'), "logged in by $mechanism\n", 'the token is good');
    });
    server($protocol, next_token(), sub {
      is(
        good('', '--plain', 'test', $file, $protocol, $_[0], 'fred'),
        "the server refused the first token; it was renewed\nlogged in by $mechanism\n", 'the token is renewed'
      );
    });
    server($protocol, 'nothing', sub {
      bad(1, qr/^sasl-rust-token: not logged in: .*the server replied: (?:a\d NO \[AUTHENTICATIONFAILED\] no\?\[1m|535 5\.7\.3 no) \[hidden\]$/, '',
        '--plain', 'test', $file, $protocol, $_[0], 'fred');
    });
  }
  server('rude', '', sub { bad(1, qr/the server does not greet: SSH-2\.0/, '', '--plain', 'test', $file, 'imap', $_[0], 'fred') });
  server('poor', '', sub { bad(1, qr/offers none of OAUTHBEARER XOAUTH2; it offers PLAIN/, '', '--plain', 'test', $file, 'imap', $_[0], 'fred') });
  server('imap', '', sub {
    bad(1, eval { require IO::Socket::SSL; 1 } ? qr/no TLS with 127\.0\.0\.1: / : qr/TLS needs IO::Socket::SSL/, '', 'test', $file, 'imap', $_[0], 'fred');
  });
  server('smtp', '', sub { bad(1, qr/the server refuses STARTTLS/, '', '--starttls', 'test', $file, 'smtp', $_[0], 'fred') });
};

done_testing;
