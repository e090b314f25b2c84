# Runs every example: the programs in the documentation, and those in eg/, that need no outside server.
#
# A program in POD follows "=for program" (PodPrograms); in README.md it is in a perl code block. It must end with status 0 and
# without a warning, and print what its "# prints" comments say, in their order.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Command ();
use Test::More;
use File::Temp qw(tempdir);
use IO::Socket::INET;
use Loopback ();
use PodPrograms qw(programs_in unmarked_in);

my $scratch = tempdir(CLEANUP => 1);
my @perl = Command::with_perl();
my $SECONDS = 60;

sub slurp { my ($file) = @_; open my $in, '<:raw', $file or die "$file: $!"; local $/; return scalar <$in> }

sub spew {
  my ($file, $text) = @_;
  open my $out, '>:raw', $file or die "$file: $!";
  print $out $text;
  close $out or die "$file: $!";
  return;
}

# A program of Perl.
sub run { my ($input, @command) = @_; return Command::run($input, @perl, @command) }

sub check_program {
  my ($name, $program) = @_;
  my @expected = map { "$_\n" } $program =~ /# prints (.*)/g;
  ok(scalar @expected, "$name tells what it prints");
  spew("$scratch/program", $program);
  my ($status, $out, $err) = run('', "$scratch/program");
  is($out, join('', @expected), "$name prints that");
  is($err, '', "$name warns of nothing");
  is($status, 0, "$name ends well");
  return;
}

# Runs code that must end by itself.
sub in_time {
  my ($code) = @_;
  local $SIG{ALRM} = sub { die "no end after $SECONDS seconds\n" };
  alarm $SECONDS;
  my @result = $code->();
  alarm 0;
  return wantarray ? @result : $result[0];
}

# Starts our mail server on a free port. It ends on request or with this test: perl waits for it, however the test ends.
my $server;
END { local $?; kill TERM => $server if $server }

sub mail_server {
  $server = open my $out, '-|', @perl, 'eg/mail-server' or die "eg/mail-server: $!";
  my ($port) = (in_time(sub { scalar <$out> }) // '') =~ /^listening on 127\.0\.0\.1:(\d+)$/;
  ok($port, 'the mail server prints its port') or die;
  return ($server, $out, $port);
}

# A page may have no program.
my %programs;
for my $file (glob('lib/Authen/SASL/*.pm'), glob('lib/Authen/SASL/Rust/*.p* lib/Authen/SASL/Rust/*/*.pm')) {
  (my $page = $file) =~ s{.*/SASL/}{};
  is(join("\n", unmarked_in($file)), '', "$page: every program is marked as one");
  my @programs = programs_in($file);
  $programs{$page} = @programs;
  check_program("$page, program $_", $programs[$_ - 1]) for 1 .. @programs;
}
ok($programs{$_}, "$_ has programs")
  for 'Rust.pm',
  map { "Rust/$_" } qw(Accounts.pm Callbacks.pod Connection.pm Cookbook.pod Error.pm Migration.pod OAuth.pm OAuth/Error.pm OAuth/Verifier.pm
    Troubleshooting.pod);

my $alone = Loopback::missing();
my ($pid, $log, $port) = $alone ? () : mail_server();

my @readme = slurp('README.md') =~ /^```perl\n(.*?)^```$/msg;
ok(scalar @readme, 'README.md has programs');
for my $number (1 .. @readme) {
  my $program = $readme[$number - 1];
SKIP: {
    if ($program =~ /\b2525\b/) {
      skip $alone, 4 if $alone;
      $program =~ s/\b2525\b/$port/;
    }
    check_program("README.md, program $number", $program);
  }
}

SKIP: {
  skip $alone, 1 if $alone;
  with_server();
}

sub with_server {
  subtest 'eg/mail-client on eg/mail-server' => sub {
    my @to = ('eg/mail-client', '--port', $port);
    my ($status, $out, $err) = run("pencil\n", @to);
    is($status, 0, 'right password') or diag $err;
    like($out, qr/^client: logged in by SCRAM-SHA-256$/m, 'by the strongest mechanism');
    like($out, qr/^S: 250 2.0.0 taken$/m, 'and the message was taken');
    is($err, '', 'no warnings');
    ($status, $out) = run("cr\xc3\xa8me br\xc3\xbbl\xc3\xa9e\n", @to, '--user', "ren\xc3\xa9e", '--mechanism', 'PLAIN');
    is($status, 0, 'PLAIN, with a name and password beyond ASCII');
    ($status, $out) = run("crayon\n", @to);
    is($status >> 8, 1, 'wrong password');
    like($out, qr/^client: the server replied: 535 5\.7\.8 authentication failed$/m, "with the server's words");
    ($status, $out) = run("crayon\n", @to, '--mechanism', 'PLAIN');
    is($status >> 8, 1, 'wrong password, PLAIN');
    like($out, qr/^client: the server replied: 535 /m, 'with the reply');
    ($status, $out) = run("pencil\n", @to, '--user', 'nobody');
    is($status >> 8, 1, 'unknown user');
  };

  # Things that Net::SMTP never does.
  subtest 'eg/mail-server and rude clients' => sub {
    my $talk = sub {
      my ($say, $wanted, $why) = @_;
      my $socket = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port", Timeout => 20) or die "connect: $@";
      my $heard = in_time(
        sub {
          print $socket $say;
          shutdown $socket, 1;
          join '', <$socket>;
        }
      );
      like($heard, $wanted, $why);
    };
    my $plain = 'AGZyZWQAcGVuY2ls';
    $talk->("EHLO x\r\nAUTH PLAIN $plain\r\nQUIT\r\n", qr/^235 .*^221 /ms, 'an initial response');
    $talk->("AUTH PLAIN\r\n$plain\r\nQUIT\r\n", qr/^334 \r\n235 /m, 'a continuation');
    $talk->("AUTH PLAIN =\r\nQUIT\r\n", qr/^535 /m, 'an empty initial response');
    $talk->("AUTH PLAIN\r\n*\r\nAUTH PLAIN $plain\r\nQUIT\r\n", qr/^501 .*^235 /ms, 'cancelled, then well');
    $talk->("AUTH PLAIN !!!!\r\nAUTH PLAIN abc\r\nQUIT\r\n", qr/^501 .*^501 .*^221 /ms, 'not base64');
    $talk->("AUTH\r\nAUTH CRAM-MD5\r\nAUTH X Y Z\r\nQUIT\r\n", qr/^501 .*^504 .*^501 /ms, 'none of our mechanisms');
    $talk->("AUTH PLAIN $plain\r\nAUTH PLAIN $plain\r\nQUIT\r\n", qr/^235 .*^503 /ms, 'twice');
    $talk->("AUTH PLAIN AHgAeA==\r\n" x 4, qr/(?:^535 .*){3}^421 /ms, 'three failures and out');
    $talk->(
      "MAIL FROM:<x\@y>\r\nRCPT TO:<x\@y>\r\nDATA\r\nQUIT\r\n", qr/^530 .*^503 .*^503 .*^221 /ms,
      'mail without a login'
    );
    $talk->('x' x 600, qr/^500 /m, 'a long command line');
    $talk->('AUTH PLAIN ' . 'x' x 13_000, qr/^500 /m, 'a long response');
    $talk->("EHLO x\nQUIT\n", qr/\A220 [^\n]*\n\z/, 'a bare line feed ends no line');
    my $in = "AUTH PLAIN $plain\r\nMAIL FROM:<x\@y>\r\nRCPT TO:<x\@y>\r\nDATA\r\n";
    $talk->(
      $in . ".. dot\r\nend\r\n.\r\nRSET\r\nNOOP\r\nQUIT\r\n", qr/^354 .*^250 .*^250 .*^250 .*^221 /ms,
      'a message'
    );
    $talk->($in . 'x' x 1_001 . "\r\n", qr/^354 .*^500 /ms, 'a long line of text');
    $talk->($in . ('x' x 900 . "\r\n") x 1_200 . ".\r\nQUIT\r\n", qr/^354 .*^552 .*^221 /ms, 'a long message');
  };

  kill TERM => $pid;
  my $rest = in_time(sub { join '', <$log> });
  like($rest, qr/^client \d+: logged in as fred by SCRAM-SHA-256$/m, 'the server has logged who came');
  my $why = 'SCRAM-SHA-256 server: authentication failed: wrong password or unknown user (SASL_BADAUTH)';
  like($rest, qr/^client \d+: refused: \Q$why\E$/m, 'and why a client was refused');
  like($rest, qr/^stopped\n\z/m, 'and ends by SIGTERM');
  ok(close $log, 'with status 0');

  subtest 'eg/mail-server ends with its parent' => sub {
    pipe my $out, my $in or die "pipe: $!";
    my $parent = fork // die "fork: $!";
    if (!$parent) {
      my $server = fork // die "fork: $!";
      if (!$server) {
        open STDOUT, '>&', $in or die "dup: $!";
        close $in;
        close $out;
        exec @perl, 'eg/mail-server' or die;
      }
      require POSIX;
      my $line = eval {
        in_time(sub { scalar <$out> });
      };
      POSIX::_exit(defined $line && $line =~ /^listening on / ? 0 : 1);
    }
    close $in;
    waitpid $parent, 0;
    is($?, 0, 'it was there');
    my $rest = in_time(sub { join '', <$out> });
    like($rest, qr/^stopped\n\z/, 'and is gone');
  };
  return;
}

subtest 'eg/make-verifier' => sub {
  my ($status, $out) = run("pencil\n", 'eg/make-verifier', '--spelling', 'dovecot', '--iterations', 5000);
  is($status, 0, 'status');
  like($out, qr/\A\{SCRAM-SHA-256\}5000,[^,]+,[^,]+,[^,]+\n\z/, 'a verifier');
  ($status, $out, my $err) = run("pencil\n", 'eg/make-verifier', '--mechanism', 'ROT13');
  isnt($status, 0, 'an unknown mechanism is refused');
  like($err, qr/mechanism/, 'by name');
};

subtest 'eg/choose-mechanism' => sub {
  my ($status, $out) = run('', 'eg/choose-mechanism', 'NTLM PLAIN SCRAM-SHA-256', 'mutual_auth');
  is($status, 0, 'status');
  like($out, qr/^NTLM: refused\. .*not supported/m, 'a reason');
  like($out, qr/^PLAIN: refused\. .*mutual_auth/m, 'another');
  like($out, qr/^the choice: SCRAM-SHA-256$/m, 'and the choice');
  ($status, $out) = run('', 'eg/choose-mechanism', 'NTLM');
  is($status >> 8, 1, 'none is left');
};

subtest 'eg/deferred-answers' => sub {
  my ($status, $out, $err) = run('', 'eg/deferred-answers');
  is("$status $err", '0 ', 'status');
  like($out, qr/asked for fred\n.*asked for wilma\n(?s:.*)welcome, fred\n/, 'both are asked for before an answer');
  like($out, qr/^\S+ s  wilma: SCRAM-SHA-256 client: the server refused: invalid-proof/m, 'wilma is refused');
};

subtest "$_ compiles; it needs a server to run" => sub {
  my ($status, $out, $err) = run('', '-c', $_);
  like($err, qr/syntax OK/, $_);
  }
  for qw(eg/ldap-bind eg/beanstalk-client eg/memcached-client);

subtest 'the examples are installed' => sub {
  plan skip_all => 'nothing was built here' unless -d 'blib';
  for my $example (glob 'eg/*') {
    (my $installed = $example) =~ s{\Aeg/}{blib/lib/Authen/SASL/Rust/eg/};
    is(-e $installed && slurp($installed), slurp($example), $example);
  }
};

done_testing;
