# sasl-rust-passwd: each command, from standard input and at a terminal, many at the same time, and killed while running.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Command qw(installed run start);
use Test::More;
use Authen::SASL::Rust::Accounts;
use File::Temp qw(tempdir);
use Time::HiRes qw(sleep time);

my $folder = tempdir(CLEANUP => 1);
my $file = "$folder/users";
my @tool = installed('sasl-rust-passwd');

sub slurp { my ($name) = @_; open my $in, '<:raw', $name or return ''; local $/; return scalar <$in> }

# glob splits a directory name at a blank.
sub files {
  my ($in) = @_;
  opendir my $handle, $in or die "$in: $!";
  return map { "$in/$_" } readdir $handle;
}

sub ended_well {
  my ($started, $what) = @_;
  my ($status, $out, $err) = $started->finish;
  is($status, 0, $what) or diag $err;
  return;
}

sub good {
  my ($input, @arg) = @_;
  my ($status, $out, $err) = run($input, @tool, @arg);
  is("$status $err", '0 ', "@arg[0, -1]");
  return $out;
}

sub bad {
  my ($status, $why, $input, @arg) = @_;
  my ($got, $out, $err) = run($input, @tool, @arg);
  is($got >> 8, $status, "@arg: status");
  is($out, '', 'nothing on standard output');
  like($err, $why, 'the reason on standard error');
  unlike($err, qr/pencil|crayon/, 'without a secret');
  return;
}

subtest 'commands' => sub {
  is(good("pencil\n", 'add', $file, 'fred'), '', 'says nothing');
  good(
    "pencil\r\nmore\n", qw(--mechanism SCRAM-SHA-512 --mechanism SCRAM-SHA-1 --iterations 5000 add), $file,
    "j\xc3\xbcrgen"
  );
  is(
    good('', 'list', $file), "fred\tenabled\tSCRAM-SHA-256=4096\n"
      . "j\xc3\xbcrgen\tenabled\tSCRAM-SHA-1=5000\tSCRAM-SHA-512=5000\n", 'list'
  );
  good('pencil', 'verify', $file, $_) for 'fred', "j\xc3\xbcrgen";
  bad(
    1, qr/^sasl-rust-passwd: wrong password, or an unknown or disabled user\n\z/, "crayon\n", 'verify', $file,
    'fred'
  );
  good("pencil\n", qw(--iterations 2000001 add), $file, 'slow');
  bad(1, qr/more iterations than are allowed \(property max_iterations\)/, "pencil\n", 'verify', $file, 'slow');
  good('', 'delete', $file, 'slow');
  good("crayon\n", 'change', $file, "j\xc3\xbcrgen");
  good("crayon\n", 'verify', $file, "j\xc3\xbcrgen");
  good('', 'disable', $file, 'fred');
  like(good('', 'list', $file), qr/^fred\tdisabled\t/, 'disabled');
  bad(1, qr/disabled user/, "pencil\n", 'verify', $file, 'fred');
  good('', 'enable', $file, 'fred');
  good("pencil\n", 'verify', $file, 'fred');
  good('', 'delete', $file, 'fred');
  unlike(good('', 'list', $file), qr/fred/, 'deleted');
  is((stat $file)[2] & 07777, 0600, 'the mode of the file');
};

subtest 'the command line' => sub {
  require Authen::SASL::Rust;
  is(good('', '--version'), "sasl-rust-passwd $Authen::SASL::Rust::VERSION\n", 'its version');
  my $commands = 'add, change, delete, disable, enable, no-otp, otp, verify, list';
  for my $case (
    [['ad', $file, 'fred'], qr/^sasl-rust-passwd: unknown command 'ad'; there are \Q$commands\E$/m, 'an unknown command'],
    [["ad\e[1m", $file, 'fred'], qr/^sasl-rust-passwd: unknown command 'ad\?\[1m'/m, 'as it may be shown'],
    [[], qr/^sasl-rust-passwd: a command is missing$/m, 'none'],
    [['list'], qr/^sasl-rust-passwd: list: the name of the file is missing$/m, 'no file'],
    [['add', $file], qr/^sasl-rust-passwd: add: the name of the user is missing$/m, 'no user'],
    [['add', $file, 'fred', 'x'], qr/^sasl-rust-passwd: add: too many arguments$/m, 'too many'],
    [['list', $file, 'fred'], qr/^sasl-rust-passwd: list: too many arguments$/m, 'too many for list'],
  ) {
    my ($arguments, $text, $what) = @$case;
    bad(2, $text, '', @$arguments);
    bad(2, qr/^Usage:/m, '', @$arguments);
  }
};

subtest 'what cannot be done' => sub {
  my $before = slurp($file);
  bad(1, qr/this user is there already/, "pencil\n", 'add', $file, "j\xc3\xbcrgen");
  bad(1, qr/there is no such user/, "pencil\n", 'change', $file, 'nobody');
  bad(1, qr/there is no such user/, '', $_, $file, 'nobody') for qw(delete disable enable);
  bad(1, qr/no password/, '', $_, $file, 'new') for qw(add change verify);
  bad(1, qr/the password is empty/, "\n", 'add', $file, 'new');
  bad(1, qr/holds a colon/, "pencil\n", 'add', $file, 'a:b');
  bad(1, qr/SASLprep prohibits/, "pencil\n", 'add', $file, "a\nb");
  bad(1, qr/mechanism: names of SCRAM/, "pencil\n", qw(--mechanism PLAIN add), $file, 'new');
  bad(1, qr/iterations: a number/, "pencil\n", qw(--iterations 100 add), $file, 'new');
  bad(1, qr/\(os error 2\)/, "pencil\n", 'change', "$folder/none", 'fred');
  bad(2, qr/^Usage:/m, '', @$_) for [], ['list'], ['list', $file, 'fred'], ['add', $file], ['fly', $file, 'fred'],
    ['add', $file, 'fred', 'pencil'], ['--password', 'x', 'add', $file, 'fred'], ['add', '', 'fred'];
  is(slurp($file), $before, 'nothing has changed');
  my ($status, $out) = run('', @tool, '--help');
  is($status, 0, '--help');
  like($out, qr/sasl-rust-passwd .* add FILE USER.*--iterations NUMBER/s, 'tells how');
  chmod 0644, $file;
  bad(1, qr/others can read or write it/, '', 'list', $file);
  chmod 0600, $file;
};

# A terminal made by script(1): its screen contents go to the output.
subtest 'at a terminal' => sub {
  plan skip_all => 'script(1) of util-linux is missing'
    unless (qx{script --version 2>/dev/null} || '') =~ /util-linux/;
  my $count = 0;
  my $typed = sub {
    my ($lines, @arg) = @_;
    my $screen = "$folder/screen-" . $count++;
    my $command = join ' ', map { quotemeta } @tool, @arg;
    # Without it, script takes the user's login shell, which may be nologin.
    local $ENV{SHELL} = '/bin/sh';
    local $SIG{PIPE} = 'IGNORE';
    open my $in, '|-', "script -qec '$command; echo status=\$?' /dev/null >\Q$screen\E 2>&1" or die "script: $!";
    $in->autoflush;
    my $end = time + 20;
    for my $prompts (1 .. @$lines) {
      sleep 0.02 until $prompts == (() = slurp($screen) =~ /(?:Password|Again): /g) || time > $end;
      print $in "$lines->[$prompts - 1]\n";
    }
    sleep 0.02 until slurp($screen) =~ /status=/ || time > $end;
    close $in;
    return slurp($screen);
  };
  my $screen = $typed->(['pencil', 'pencil'], 'add', $file, 'typist');
  like($screen, qr/\APassword: \r?\nAgain: \r?\nstatus=0/, 'asked for twice, and not shown');
  good("pencil\n", 'verify', $file, 'typist');
  $screen = $typed->(['pencil', 'crayon'], 'change', $file, 'typist');
  like($screen, qr/the passwords differ\r?\nstatus=1/, 'twice the same');
  $screen = $typed->(['pencil'], 'verify', $file, 'typist');
  like($screen, qr/\APassword: \r?\nstatus=0/, 'asked for once to verify');
  unlike($screen, qr/pencil/, 'and not shown');
  good('', 'delete', $file, 'typist');
};

subtest 'twenty at once' => sub {
  my $crowd = "$folder/crowd";
  my @started = map { start("pencil\n", @tool, 'add', $crowd, "user-$_") } 1 .. 20;
  ended_well($_, 'added') for @started;
  is_deeply(
    [sort map { $_->{user} } Authen::SASL::Rust::Accounts->new(users => $crowd)->list],
    [sort map { "user-$_" } 1 .. 20],
    'all are there'
  );
  my @names = map { "user-$_" } 1 .. 20;
  @started =
    map { $_ % 2 ? start('', @tool, 'delete', $crowd, $names[$_]) : start("crayon\n", @tool, 'change', $crowd, $names[$_]) } 0 .. 19;
  ended_well($_, 'deleted or changed') for @started;
  my $accounts = Authen::SASL::Rust::Accounts->new(users => $crowd);
  is(scalar(() = $accounts->list), 10, 'half of them are left');
  is($accounts->check($names[$_], 'crayon'), 1, 'with the new password') for grep { !($_ % 2) } 0 .. 19;
  is_deeply(
    [grep { !/\A(?:crowd|\.crowd\.lock)\z/ } map { s{.*/}{}r } grep { m{/(?:\.c|crowd)[^/]*\z} } files($folder)], [],
    'and nothing else is left in the folder'
  );
};

# Continuous writers, killed at any point of their work.
subtest 'killed on the way' => sub {
  my $file = "$folder/killed";
  my $accounts = Authen::SASL::Rust::Accounts->new(users => $file);
  my $began = time;
  $accounts->setpass('fred', 'pencil');
  my ($one, $changed) = (time - $began, 0);

  # A loaded machine may kill many of them before they have begun.
  my $end = time + 120;
  for (my $round = 1; $round <= 40 || $changed <= 5 && time < $end; $round++) {
    my $before = slurp($file);
    my $pid = fork // die "fork: $!";
    if (!$pid) {
      my $n = 0;
      while (1) { $accounts->setpass('user-' . $n++ % 50, 'pencil') }
    }
    sleep rand 4 * $one;
    kill KILL => $pid;
    waitpid $pid, 0;
    $changed++ if slurp($file) ne $before;
    is(eval { $accounts->check('fred', 'pencil') }, 1, "whole after $round") or diag $@;
  }
  cmp_ok($changed, '>', 5, 'they were at work');
  $accounts->setpass('last', 'pencil');
  is($accounts->check('last', 'pencil'), 1, 'the next writer goes on');
  is(-e "$folder/.killed.new", undef, 'and has taken away what was left');
};

subtest 'who may read the file cannot lock it' => sub {
  require Fcntl;
  my $file = "$folder/read-by-a-group";
  my $accounts = Authen::SASL::Rust::Accounts->new(users => $file);
  $accounts->setpass('fred', 'pencil');
  chmod 0640, $file or die "chmod: $!";
  open my $reader, '<', $file or die "$file: $!";
  flock $reader, Fcntl::LOCK_EX() | Fcntl::LOCK_NB() or die "flock: $!";
  ok(eval { $accounts->setpass('fred', 'crayon'); 1 }, 'a change in spite of its lock') or diag $@;
  ok($accounts->check('fred', 'crayon'), 'is made');
  my $lock = "$folder/.read-by-a-group.lock";
  is((stat $lock)[2] & 07777, 0600, 'no other user can open the lock file');
  is((stat $file)[2] & 07777, 0640, "the users' file stays as it was");
  unlink $lock or die "$lock: $!";
  symlink 'elsewhere', $lock or die "symlink: $!";
  ok(!eval { $accounts->setpass('fred', 'x'); 1 }, 'a symbolic link is not a lock');
  ok(!-e "$folder/elsewhere", 'and nothing is made there');
  unlink $lock or die "$lock: $!";
  open my $open, '>', $lock or die "$lock: $!";
  chmod 0666, $lock or die "chmod: $!";
  ok(!eval { $accounts->setpass('fred', 'x'); 1 }, 'nor one that others can hold');
  like($@, qr/\.read-by-a-group\.lock: others can hold this lock; remove it/, 'which it says');
};

done_testing;
