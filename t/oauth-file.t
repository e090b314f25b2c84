# The token file of Authen::SASL::Rust::OAuth: who may read it, programs that share it, and programs that die.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL::Rust::OAuth;
use Fcntl qw(:flock);
use File::Temp qw(tempdir);
use JSON::PP ();
use Loopback ();
use POSIX ();
use Provider;
use Time::HiRes qw(sleep time);

if (my $alone = Loopback::missing()) { plan skip_all => $alone }

my $folder = tempdir(CLEANUP => 1);
my $file = "$folder/fred";
my %bearer = (token_type => 'Bearer', expires_in => 3600);

# A provider that rotates: each refresh token is good for one request.
my $rotate = sub {
  my ($request, $state) = @_;
  sleep 0.2;
  my $number = $state->{number} ||= 1;
  return [400, { error => 'invalid_grant' }] if $request->{form}{refresh_token} ne "r$number";
  $state->{number}++;
  return { %bearer, access_token => "access$number", refresh_token => 'r' . ($number + 1), scope => 'mail' };
};
my $provider = Provider->start(
  (map { $_ => $rotate } qw(one two three four five)),
  machine => sub { return { %bearer, access_token => 'machine' } },
);

sub slurp { my ($name) = @_; open my $in, '<:raw', $name or return ''; local $/; return scalar <$in> }

sub spew {
  my ($name, $text, $mode) = @_;
  unlink $name;
  open my $out, '>:raw', $name or die "$name: $!";
  chmod defined $mode ? $mode : 0600, $name or die "$name: $!";
  print {$out} $text;
  close $out or die "$name: $!";
  return;
}

# A token file as a login leaves it, with a token that expires at that time.
sub stored {
  my ($name, %token) = @_;
  return JSON::PP->new->canonical->encode({
    client => { client_id => 'x', flow => 'code', token_endpoint => $provider->url("$name/token") },
    token => { access_token => 'old', refresh_token => 'r1', received => time - 3600, expires => time - 60, %token },
  });
}

sub of_file { return Authen::SASL::Rust::OAuth->new(file => $file, timeout => 5, @_) }

sub failure {
  my ($oauth) = @_;
  is(eval { $oauth->token }, undef, 'no token');
  my $error = $@;
  like("$error", qr/\AOAuth, [^\n]+\n\z/, 'an error in one line');
  unlike("$error", qr/old|\br1\b/, 'without a secret');
  return "$error";
}

sub left { opendir my $handle, $folder or die; return sort grep { !/\A\.\.?\z/ } readdir $handle }

subtest 'a login writes it' => sub {
  my $oauth = of_file(
    client_id => 'x', client_secret => 'pencil', flow => 'client_credentials', token_endpoint => $provider->url('machine/token')
  );
  my $before = umask 0;
  $oauth->login;
  umask $before;
  is((stat $file)[2] & 07777, 0600, 'only its owner can read it, whatever the umask');
  is(of_file()->token, 'machine', 'another program needs the name only');
  is_deeply([left()], ['.fred.lock', 'fred'], 'and nothing else is left');
  is((stat "$folder/.fred.lock")[2] & 07777, 0600, 'the lock is private too');
  is(scalar $provider->requests('machine'), 1, 'by one request');
  my $info = of_file()->info;
  is_deeply([@{$info}{qw(client_id flow valid renewable)}], ['x', 'client_credentials', 1, 1], 'what may be shown');
  is(join(' ', grep { defined && /machine\z|pencil/ } values %$info), '', 'has no secret');
};

subtest 'characters' => sub {
  my $secret = "cr\x{e8}me br\x{fb}l\x{e9}e \x{20ac}";
  utf8::encode(my $octets = $secret);
  for my $form ($secret, $octets, "cr\x{e8}me") {
    my %client = (
      client_id => 'x', client_secret => $form, client_auth => 'post', flow => 'client_credentials',
      token_endpoint => $provider->url('machine/token')
    );
    of_file(%client)->login;
    of_file()->login;
    my @sent = map { $_->{form}{client_secret} } ($provider->requests('machine'))[-2, -1];
    my $wanted = $form eq "cr\x{e8}me" ? "cr\xc3\xa8me" : $octets;
    is_deeply(\@sent, [($wanted) x 2], 'a secret is sent in UTF-8, by the program and from the file');
    unlink $file;
  }
};

subtest 'renewal' => sub {
  spew($file, stored('one'));
  my $oauth = of_file();
  is($oauth->token, 'access1', 'renewed');
  my $object = JSON::PP::decode_json(slurp($file));
  is($object->{token}{refresh_token}, 'r2', 'the new refresh token is stored');
  is($object->{token}{scope}, 'mail', 'and the scope');
  is((stat $file)[2] & 07777, 0600, 'its mode');
  is(of_file()->token, 'access1', 'another program uses it');
  is(scalar $provider->requests('one'), 1, 'by one request');
  $object->{token}{access_token} = 'by-another-program';
  spew($file, JSON::PP::encode_json($object));
  is($oauth->token, 'by-another-program', 'a program that runs already, too');
};

subtest 'another client while the program runs' => sub {
  spew($file, stored('five'));
  my $oauth = of_file();
  is($oauth->token, 'access1', 'a token of the first');
  spew($file, stored('four'));
  is($oauth->token, 'access1', 'a token of the second');
  is(scalar $provider->requests($_), 1, "its refresh token was sent to $_ only") for qw(five four);
};

subtest 'twelve programs at once' => sub {
  spew($file, stored('two'));
  my @children;
  for (1 .. 12) {
    my $pid = fork // die "fork: $!";
    push @children, $pid and next if $pid;
    my $token = eval { of_file(timeout => 20)->token };
    print STDERR $@ if !defined $token;
    POSIX::_exit(defined $token && $token eq 'access1' ? 0 : 1);
  }
  is_deeply([map { waitpid $_, 0; $? } @children], [(0) x 12], 'all have the same token');
  is(scalar $provider->requests('two'), 1, 'by one request');
};

subtest 'who may read it' => sub {
  for my $mode (0644, 0640, 0604, 0620, 0666) {
    spew($file, stored('three'), $mode);
    like(failure(of_file()), qr/others can read or write it \(mode [0-7]{3}\); chmod 600 it/, sprintf 'mode %o', $mode);
  }
  unlink $file;
  spew("$folder/target", stored('three'));
  symlink "$folder/target", $file or die "symlink: $!";
  like(failure(of_file()), qr/it is a symbolic link/, 'a link');
  unlink $file, "$folder/target";
  mkdir $file or die "mkdir: $!";
  like(failure(of_file()), qr/not a regular file|directory/i, 'a directory');
  rmdir $file;
  POSIX::mkfifo($file, 0600) or die "mkfifo: $!";
  like(failure(of_file()), qr/not a regular file|not a token file/, 'a FIFO');
  unlink $file;
  SKIP: {
    skip 'only root can give a file away', 1 if $>;
    spew($file, stored('three'));
    chown 65534, -1, $file or die "chown: $!";
    like(failure(of_file()), qr/it belongs to another user/, "another user's");
  }
  is(scalar $provider->requests('three'), 0, 'no such file reaches the provider');
};

subtest 'what is in it' => sub {
  unlink $file;
  like(failure(of_file()), qr/\AOAuth, token file: \Q$file\E: there is no such file; log in first/, 'no file');
  for my $text ('', '{', '[]', '{}', '{"client":{},"token":[]}', "\0" x 100, '{"client":' . '[' x 1000, ' ' x 70_000) {
    spew($file, $text);
    like(failure(of_file()), qr/not a token file|longer than 65536 bytes/, substr $text, 0, 20);
  }
  for my $wrong ({ expires => 'soon' }, { received => -1 }, { access_token => ['x'] }, { refresh_token => undef }, { expires => {} }) {
    spew($file, stored('three', %$wrong));
    like(failure(of_file()), qr/not a token file/, join ' ', 'wrong:', keys %$wrong);
  }
  spew($file, stored('three') =~ s/"client_id":"x"/"client_id":["x"]/r);
  like(failure(of_file()), qr/not a token file/, 'wrong: client_id');
  spew($file, stored('three'));
  for my $arg (
    [client_id => 'another', token_endpoint => $provider->url('three/token')], [client_id => 'x', token_endpoint => $provider->url('evil/token')],
  ) {
    like(failure(of_file(@$arg, flow => 'code')), qr/it belongs to another client/, "$arg->[0] $arg->[1]");
  }
  spew($file, stored('three') =~ s/127\.0\.0\.1/192.0.2.1/r);
  like(failure(of_file()), qr/only https is accepted/, 'an endpoint without TLS');
  is(scalar $provider->requests($_), 0, "nothing was sent to $_") for qw(three evil);
};

subtest 'it cannot be written' => sub {
  spew($file, stored('three'));
  my $next = $file =~ s{([^/]+)\z}{.$1.new}r;
  mkdir $next or die "$next: $!";
  like(failure(of_file()), qr/\Q$next\E: File exists/, 'what stands where the new file is to be written');
  rmdir $next or die "$next: $!";
  if ($>) {    # root can write everywhere
    chmod 0500, $folder;
    like(failure(of_file()), qr/Permission denied/, 'the folder');
    chmod 0700, $folder;
  }
  is(scalar $provider->requests('three'), 0, 'the refresh token was not used up');
};

subtest 'a lock that is never released' => sub {
  spew($file, stored('three'));
  open my $lock, '>>', "$folder/.fred.lock" or die "lock: $!";
  flock $lock, LOCK_EX or die "flock: $!";
  my $began = time;
  my $oauth = of_file(timeout => 1);
  $oauth->{store}{seconds} = 1;
  like(failure($oauth), qr/another program has held its lock for 1 seconds/, 'a program that was stopped');
  cmp_ok(time - $began, '<', 10, 'in time');
  close $lock;
  chmod 0666, "$folder/.fred.lock";
  like(failure(of_file()), qr/\.fred\.lock: others can read or write it/, 'a lock that others can hold');
  chmod 0600, "$folder/.fred.lock";
};

subtest 'killed on the way' => sub {
  my $object = JSON::PP::decode_json(stored('machine'));
  $object->{client}{flow} = 'client_credentials';
  delete $object->{token}{refresh_token};
  my $machine = JSON::PP::encode_json($object);
  for my $round (1 .. 20) {
    spew($file, $machine);
    my $pid = fork // die "fork: $!";
    if (!$pid) { of_file()->login while 1 }
    sleep 0.01 + rand 0.05;
    kill KILL => $pid;
    waitpid $pid, 0;
    ok(eval { of_file()->token }, "whole after $round") or diag $@;
  }
  of_file()->login;
  is_deeply([left()], ['.fred.lock', 'fred'], 'and nothing else is left');
};

done_testing;
