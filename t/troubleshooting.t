# The texts that Authen::SASL::Rust::Troubleshooting explains are those that a program gets.
#
# Each =item of that page is compared with errors that are provoked here. Three dots stand for anything. What cannot be
# provoked without a realm, a daemon or a plugin is looked for in the sources.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use Authen::SASL::Rust::Accounts;
use File::Temp qw(tempdir);
use PodPrograms qw(pod_of);
use TwoSides qw(exchange);

my $scratch = tempdir(CLEANUP => 1);
my @provoked;
my %exporter = (channel_binding => { 'tls-exporter' => 'e' x 32 });

# A connection; the error of one that cannot be made is collected.
sub made {
  my ($side, $mechanism, $callback, $options) = @_;
  my $method = "${side}_new";
  my $conn = eval {
    Authen::SASL->new(mechanism => $mechanism, callback => $callback)->$method('imap', 'mail.example.org', $options);
  };
  push @provoked, $@ if !$conn;
  return $conn;
}
sub client { return made('client', $_[0], { user => 'fred', pass => 'pencil', %{ $_[1] || {} } }, $_[2]) }
sub server {
  return made('server', $_[0], { getsecret => sub { 'pencil' }, %{ $_[1] || {} } }, $_[2]);
}

# Collects the error of a connection, or that of code that dies.
sub failed {
  my (@conns) = @_;
  push @provoked, grep { defined } map { $_->error } @conns;
  return;
}

sub dies {
  my ($code) = @_;
  push @provoked, $@ if !eval { $code->(); 1 };
  return;
}

sub steps {
  my ($conn, @messages) = @_;
  my ($start, $step) = map { ($conn->_side ? 'server' : 'client') . "_$_" } qw(start step);
  $conn->_side ? $conn->$start(shift @messages) : $conn->$start;
  $conn->$step($_) for @messages;
  failed($conn);
  return $conn;
}

# No mechanism is usable.
client('NTLM');
made('client', 'PLAIN', { user => 'fred' });
client('PLAIN', {}, 'noplaintext');
client('PLAIN', {}, { minssf => 128 });
client('SCRAM-SHA-256-PLUS');
client('SCRAM-SHA-256', {}, { %exporter, channel_binding_policy => 'require' });
client('SCRAM-SHA-256-PLUS', {}, { %exporter, channel_binding_policy => 'disable' });
client('CRAM-MD5', { authname => 'boss' });
made('server', 'EXTERNAL', {});
my $users = "$scratch/users";
Authen::SASL::Rust::Accounts->new(users => $users)->setpass('fred', 'pencil');
made('server', 'CRAM-MD5 SCRAM-SHA-512 OTP', {}, { users => $users });
made(
  'server', 'PLAIN', {},
  { accounts => Authen::SASL::Rust::Accounts->new(cyrus => { pwcheck_method => 'saslauthd', mech_list => 'LOGIN' }) }
);
my $two = server('PLAIN SCRAM-SHA-256');
dies(sub { $two->mechanism('LOGIN') });
steps($two, "\0fred\0pencil");

# A client cannot log in.
steps(client('OAUTHBEARER', { token => 'x' }), '{"status":"invalid_token"}');
steps(client('PLAIN', { pass => sub { undef } }));
steps(client('PLAIN', { pass => '' }));
steps(client('PLAIN', { user => "fred\0" }));
for my $keys ('SCRAM-SHA-256 4096', 'SCRAM-SHA-256 4096 QUJD' . (' ' . 'A' x 43 . '=') x 2) {
  my $keyed = client('SCRAM-SHA-256', { pass => undef, scram_keys => $keys });
  my ($nonce) = ($keyed->client_start || '') =~ /r=(.*)/;
  $keyed->client_step("r=${nonce}x,s=QUJE,i=4096") if defined $nonce;
  failed($keyed);
}
server('PLAIN', { log => sub { push @provoked, $_[2] } }, { upgrade => 'SCRAM-SHA-512' })->server_start("\0fred\0pencil");
my $scram = client('SCRAM-SHA-256');
my ($nonce) = $scram->client_start =~ /r=(.*)/;
$scram->client_step("r=${nonce}x,s=QUJD,i=4096");
$scram->client_step('v=' . 'A' x 43 . '=');
failed($scram);

for my $first ('s=QUJD,i=100', 's=QUJD,i=3000000', 'i=4096') {
  my $conn = client('SCRAM-SHA-256');
  ($nonce) = $conn->client_start =~ /r=(.*)/;
  $conn->client_step("r=${nonce}x,$first");
  failed($conn);
}
steps(client('SCRAM-SHA-256'), 'r=another,s=QUJD,i=4096');
my $unproved = client('SCRAM-SHA-256');
my $honest = server('SCRAM-SHA-256');
$unproved->client_step($honest->server_start($unproved->client_start));
$unproved->client_step('');
failed($unproved);
failed(exchange(client('DIGEST-MD5', { pass => "p\x{e4}" }), server('DIGEST-MD5', { getsecret => sub { 'rubber' } })));
steps(client('DIGEST-MD5', { pass => "p\x{e4}" }), 'nonce="x",qop="auth",algorithm=md5-sess,charset=utf-8', '');
my $left = server('SCRAM-SHA-256');
$left->server_start('n,,n=fred,r=abc');
$left->abandon;
failed($left);

# Channel binding.
my $plus = 'SCRAM-SHA-256-PLUS SCRAM-SHA-256';
failed(
  exchange(
    client($plus, {}, {%exporter}),
    server('SCRAM-SHA-256-PLUS', {}, { channel_binding => { 'tls-exporter' => 'f' x 32 } })
  )
);
failed(
  exchange(
    client('SCRAM-SHA-256', {}, {%exporter}),
    do { my $s = server($plus, {}, {%exporter}); $s->mechanism('SCRAM-SHA-256'); $s }
  )
);
failed(
  exchange(
    client($plus, {}, { %exporter, offered_mechanisms => $plus }),
    server('SCRAM-SHA-256-PLUS', {}, { %exporter, offered_mechanisms => "$plus PLAIN" })
  )
);

# A server refuses a client.
steps(server('PLAIN'), "\0fred\0rubber");
steps(server('PLAIN', { getsecret => sub { [] } }), "\0fred\0pencil");
steps(server('PLAIN'), "boss\0fred\0pencil");
steps(server('OAUTHBEARER', { checktoken => sub { undef } }), "n,,\1auth=Bearer abc\1\1", "\1");
my $elsewhere = Authen::SASL->new(mechanism => 'DIGEST-MD5', callback => { getsecret => sub { 'pencil' } })
  ->server_new('imap', 'other.example.org');
failed(exchange(client('DIGEST-MD5'), $elsewhere));
my %tls = (externalssf => 256);
failed(
  exchange(
    client('HT-SHA-256-NONE', { ht_token => 'stone' }, {%tls}),
    server('HT-SHA-256-NONE', { ht_tokens => sub { ['chalk'] } }, {%tls})
  )
);
my $early = server('PLAIN');
$early->server_step('x');
failed($early);
my $kept;
my $waiting = server('PLAIN', { checkpass => sub { $kept = $_[2]; return } });
$waiting->server_start("\0fred\0pencil", sub { });
$waiting->server_step('');
failed($waiting);
steps(server('PLAIN', { checkpass => sub { $kept = $_[2]; return } }), "\0fred\0pencil");
steps(server('PLAIN', { checkpass => sub { {} } }), "\0fred\0pencil");
my $dead = server('PLAIN', { checkpass => sub { die "x\n" } });
eval { $dead->server_start("\0fred\0pencil") };
failed($dead);
steps(server('PLAIN', { checkpass => 'x' }), "\0fred\0pencil");

# Account stores.
sub with_file {
  my ($mode, $line) = @_;
  open my $out, '>', $users or die "$users: $!";
  print {$out} $line;
  close $out or die "$users: $!";
  chmod $mode, $users or die "$users: $!";
  dies(sub { Authen::SASL::Rust::Accounts->new(users => $users)->list });
  return;
}
with_file(0666, '');
with_file(0600, "fred:pencil\n");
dies(
  sub {
    my $accounts = Authen::SASL::Rust::Accounts->new(users => "$scratch/other");
    $accounts->setpass('fred', 'pencil', create => 1) for 1, 2;
  }
);
dies(sub { Authen::SASL::Rust::Accounts->new(saslauthd => "$scratch/mux")->check('fred', 'pencil') });
dies(sub { Authen::SASL::Rust::Accounts->new(cyrus => 'nosuch', path => []) });
dies(sub { Authen::SASL::Rust::Accounts->new(cyrus => { auto_transition => 'yes' }) });

# Security layers.
sub layers {
  my (@options) = @_;
  return exchange(client('DIGEST-MD5', {}, $options[0]), server('DIGEST-MD5', {}, $options[1]));
}
failed(layers({ maxssf => 0 }, { minssf => 128 }));
failed(layers({ minssf => 1, maxssf => 1 }, { minssf => 40, maxssf => 128 }));
my ($one, $other) = layers({ minssf => 1, maxssf => 1 }, { maxssf => 256 });
$one->encode('x' x ($one->property('maxout') + 1));
failed($one);
my $frame = $other->encode('x');
($one, $other) = layers({ minssf => 1, maxssf => 1 }, { maxssf => 256 });
$one->decode($frame);
failed($one);
($one, $other) = layers({ minssf => 1, maxssf => 1 }, { maxssf => 256 });
$one->decode($_) for ($other->encode('x')) x 2;
failed($one);

# Options and arguments.
client('PLAIN', {}, { minsff => 1 });
my $plain = client('PLAIN');
dies(sub { $plain->property(min_iterations => -1) });
dies(sub { $plain->property(ssf => 1) });
dies(sub { $plain->server_start });
made('client', ['PLAIN'], {});
dies(sub { bless({}, ref $plain)->client_start });
dies(sub { $plain->client_step("\x{263a}") });
dies(sub { Authen::SASL::Rust->plugins(path => $scratch, load => 'otp') });

# The strings in our code, where an item cannot be provoked.
sub sources {
  my @files = map { glob $_ } map { ("$_/*.rs", "$_/*/*.rs", "$_/*/*/*.rs") } 'src', glob 'crates/*/src';
  return join '', map { open my $in, '<:raw', $_ or die "$_: $!"; local $/; <$in> } @files,
    glob('lib/Authen/SASL/Rust/*.pm'), glob('xs/*.h');
}

my ($sources, %shown);
for my $item (pod_of('lib/Authen/SASL/Rust/Troubleshooting.pod') =~ /^=item (.+)$/mg) {
  my @parts = split /\s*\.\.\.\s*/, $item, -1;
  my $pattern = join '.*?', map { quotemeta } @parts;
  my @errors = grep { /(?:\A|: |; )$pattern/s } @provoked;
  if (@errors) {
    $shown{$_} = 1 for @errors;
    pass("'$item' occurs");
    next;
  }
  $sources = sources() if !defined $sources;
  my @absent = grep { /\w/ && index($sources, $_) < 0 } map { s/\A[\s:;(]+|[\s:;]+\z//gr } @parts;
  is(join('; ', @absent), '', "'$item' is in the code");
  note('not provoked');
}
cmp_ok(scalar keys %shown, '>=', 40, 'most items are provoked');
is(join("\n", grep { !$shown{$_} } @provoked), '', 'and the page has each of these errors');

done_testing;
