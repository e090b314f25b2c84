# Plugins and their process: libsasl2 with the same plugins in the same process, threads, forks, and the environment of a
# program that has more rights than its user.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use Config;
use File::Temp ();
use Test::More;

use Boundary::Plugins ();
use Peer::Packaged    qw(perl_peer why_absent);

my $SYSTEM = (grep { -d } "/usr/lib/$Config{archname}/sasl2", glob '/usr/lib/*/sasl2')[0];

# Runs code in a separate process; returns its output.
sub in_process {
  my ($code, %env) = @_;
  my $folder = File::Temp->newdir;
  open my $file, '>', "$folder/program" or die "$folder: $!";
  print {$file} "use strict; use warnings;\n$code";
  close $file;
  local @ENV{keys %env} = values %env;
  my $text = qx{$^X -Mblib -Ixt/lib $folder/program 2>&1};
  return wantarray ? ($text, $?) : $text;
}

# Authen::SASL::Cyrus and its successor load libsasl2 into the process, which loads all plugins. Either libsasl2 or our host may
# be first.
my $THEIRS = perl_peer('Authen::SASL::Cyrus', 'Authen::SASL::XS');
my $both = <<'PERL';
use Boundary::Plugins;
use THEIRS;
my @kept;    # its connections use an object without holding a reference
sub theirs {
  push @kept, my $sasl = Authen::SASL->new(mechanism => $_[0], callback => {user => 'fred', auth => 'fred', pass => 'pencil'});
  local @Authen::SASL::Plugins = ('THEIRS');
  return $sasl->client_new('ldap', 'localhost');
}
sub ours { return Boundary::Plugins::client($_[0]) }
sub first { $_[0] eq 'theirs' ? theirs('PLAIN')->client_start : Boundary::Plugins::load(); return }
first($_) for @ORDER;
my $good = 0;
for my $round (1 .. 20) {
  for my $mechanism (qw(PLAIN CRAM-MD5 SCRAM-SHA-256 DIGEST-MD5)) {
    for my $client (theirs($mechanism), ours($mechanism)) {
      my $server = Boundary::Plugins::server($mechanism);
      my $message = $client->client_start;
      $message = $server->server_start(length $message ? $message : undef);
      while (!$server->error && $server->need_step) {
        $message = $client->client_step($message);
        $message = $server->server_step($message);
      }
      die "$mechanism: ", $server->error if $server->error;
      $good++;
    }
  }
}
open my $maps, '<', '/proc/self/maps' or die $!;
my %mapped = map { (split)[5] || '' => 1 } <$maps>;
print "$good good, ", (grep { m{sasl2/libplain\.so} } keys %mapped) ? 'loaded twice' : 'loaded once', "\n";
PERL
SKIP: {
  if (!$THEIRS) {
    my $why = why_absent('libauthen-sasl-cyrus-perl,libauthen-sasl-xs-perl');
    skip $why, 4 if $why;
    die "neither Authen::SASL::Cyrus nor Authen::SASL::XS is here: dev/install test installs one\n";
  }
  $both =~ s/THEIRS/$THEIRS/g;
  for my $order (['theirs', 'ours'], ['ours', 'theirs']) {
    my $code = 'our @ORDER; BEGIN { @ORDER = qw(' . "@$order) }\n$both";
    my ($text, $status) = in_process($code);
    is $status, 0, "$THEIRS in the same process, $order->[0] first: it ends well" or diag $text;
    is $text, "160 good, loaded twice\n", 'and both log in, each with its own plugins';
  }
}

# Eight threads at the same time, each with its own connections and steps.
my ($text, $status) = in_process(<<'PERL');
use threads;
use Boundary::Plugins;
Boundary::Plugins::load();
my @threads = map {
  threads->create(sub {
    for my $round (1 .. 10) {
      for my $mechanism (qw(PLAIN CRAM-MD5 SCRAM-SHA-256 DIGEST-MD5 NTLM)) {
        Boundary::Plugins::carry(Boundary::Plugins::client($mechanism), Boundary::Plugins::server($mechanism)) or return 0;
      }
    }
    return 1;
  });
} 1 .. 8;
my $good = grep { $_->join } @threads;
print "$good threads";
PERL
is $status, 0, 'eight threads: the program ends well' or diag $text;
is $text, '8 threads', 'and all have logged in';

# After a fork the plugins are initialized again, and an exchange in progress continues in both processes.
($text, $status) = in_process(<<'PERL');
use Boundary::Plugins;
Boundary::Plugins::load();
my ($client, $server) = map { $_->('CRAM-MD5') } \&Boundary::Plugins::client, \&Boundary::Plugins::server;
my $answer;
my $late = Boundary::Plugins::server('PLAIN', checkpass => sub { $answer = $_[-1]; return });
my $challenge = $server->server_start;
my $heard;
$late->server_start("\0fred\0pencil", sub { $heard = 1 });
my @children;
for my $n (1 .. 3) {
  my $pid = fork;
  die "fork: $!" if !defined $pid;
  if (!$pid) {
    $server->server_step($client->client_step($challenge));
    $answer->(1);
    my $good = $server->is_success && $late->is_success && $heard;
    $good &&= Boundary::Plugins::carry(Boundary::Plugins::client($_), Boundary::Plugins::server($_))
      for qw(PLAIN SCRAM-SHA-256 DIGEST-MD5 NTLM);
    require POSIX;
    POSIX::_exit($good ? 42 : 1);
  }
  push @children, $pid;
}
my $good = grep { waitpid($_, 0) == $_ && $? == 42 << 8 } @children;
$server->server_step($client->client_step($challenge));
print "$good children, ", $server->is_success ? 'and the parent' : $server->error;
PERL
is $status, 0, 'forks: the program ends well' or diag $text;
is $text, '3 children, and the parent', 'and all have logged in';

# SASL_PATH names the directories; a program with more rights than its user ignores it (CVE-2004-0884).
SKIP: {
  my $folder = File::Temp->newdir;
  chmod 0755, $folder;
  symlink((glob "$SYSTEM/libcrammd5.so")[0], "$folder/libcrammd5.so") or die "symlink: $!";
  my $list = 'print join " ", map { "$_->{plugin}" } grep { @{$_->{client}} } Authen::SASL::Rust->plugins(1);';
  is scalar in_process("use Authen::SASL qw(Rust); $list", SASL_PATH => $folder), 'crammd5', 'SASL_PATH is looked at';
  is scalar in_process("use Authen::SASL qw(Rust); $list", SASL_PATH => "/no/such:$folder"), 'crammd5', 'it may have several folders';
  my $other = 'use Authen::SASL qw(Rust); print scalar Authen::SASL::Rust->global_listmech';
  my %env = (SASL_PATH => $folder, AUTHEN_SASL_RUST_PLUGINS => 'ntlm');
  skip 'only root can give up rights by halves', 3 if $>;
  my $half = '$> = 65534; $> == 65534 or die "seteuid: $!";';
  my $text = in_process("use Authen::SASL qw(Rust); BEGIN { require Authen::SASL::Rust::Plugins } $half $list", SASL_PATH => $folder);
  like $text, qr/\bplain\b/, 'uid and euid differ: the folders are the system\'s';
  like scalar in_process($other, %env, SASL_PATH => $SYSTEM), qr/NTLM/, 'the environment asks for plugins';
  unlike scalar in_process("use Authen::SASL qw(Rust); $half print scalar Authen::SASL::Rust->global_listmech", %env, SASL_PATH => $SYSTEM),
    qr/NTLM/, 'and asks in vain where uid and euid differ';
}

done_testing;
