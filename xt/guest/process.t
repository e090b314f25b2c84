# Our guest in one process with its peer: many logins, threads, forks, prompts, damaged messages, reused connections, layers in
# both directions at the same time, libsasl2 shut down and initialized again; and all of it under valgrind. And what the plugin exports.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use File::Temp     ();
use Peer::Compiler ();
use Peer::Cyrus    ();
use Peer::Guest    ();
use Test::More;

my $pair = Peer::Compiler->build('cyrus-pair', 'sasl2', 'pthread');
my $sasldb = Peer::Cyrus::_user_file('fred', 'sesame', 'localhost');
$ENV{SASL_PATH} = Peer::Guest::folder('sasldb');

# Returns the program's output; the arguments before it may run valgrind.
sub pair {
  my ($deed, @argument) = @_;
  my @before = ref $argument[-1] ? @{ pop @argument } : ();
  open my $from, '-|', 'timeout', 300, @before, $pair, $deed, $sasldb, @argument or die "cannot run $pair: $!\n";
  my $said = do { local $/; <$from> };
  close $from;
  is $? >> 8, 0, "$deed @argument: the program ends well";
  return $said // '';
}

is_deeply [sort map { (split)[-1] } qx{nm -D --defined-only '${\ Peer::Guest::built()}'}],
  ['sasl_client_plug_init', 'sasl_server_plug_init'], 'the plugin exports its two entry points and nothing else';

my @mechanisms = qw(SCRAM-SHA-256 SCRAM-SHA3-512 DIGEST-MD5 CRAM-MD5 PLAIN LOGIN);
my $refused = 'authentication failed: wrong password or unknown user';

for my $mechanism (@mechanisms) {
  my $said = pair('users', $mechanism);
  like $said, qr/^right: fred is in, as fred$/m, "$mechanism: logs in";
  my ($wrong, $unknown) = map { $said =~ /^$_: (.*)$/m } qw(wrong unknown);
  like $wrong, qr/server: SASL\(-13\): authentication failure: \Q$mechanism\E server: $refused/, 'a wrong password, with our reason';
  is $unknown, $wrong, 'an unknown user gets the same reply';
  like $said, qr/^no password: refused; client: SASL\(-1\): .*SASL_CB_PASS failed/m, 'a callback that fails is named';

  $said = pair('prompts', $mechanism);
  like $said, qr/^0x4002 [^|]+\|[^|]+\|$/m, 'the user is asked for the name';
  like $said, qr/^0x4004 Password\|/m, 'and for the password';
  like $said, qr/^client 0, server 0, fred, prompts taken back$/m, 'and is in';
  like $said, qr/^unanswered 2$/m, 'one who does not answer is none';

  is pair('again', $mechanism), "first 0\nthen ANONYMOUS 1 anonymous\n", 'a failure leaves no name for the next exchange';
}

for my $mechanism (qw(SCRAM-SHA-256 PLAIN)) {
  is pair('threads', $mechanism), "45 of 50\n" x 2, "$mechanism in two threads";
  my $said = pair('fork', $mechanism);
  like $said, qr/^$_: fred is in/m, "$_ of a fork" for qw(before parent child);
  is pair('begin again', $mechanism), "first: fred is in, as fred\nlast: fred is in, as fred\n", 'after sasl_done';
}

# A LOGIN client does not read the prompts, so they may contain anything.
for my $mechanism (qw(CRAM-MD5 PLAIN SCRAM-SHA-1)) {
  my ($tried, $in) = pair('damages', $mechanism) =~ /\A([0-9]+) tried, ([0-9]+) in\n\z/;
  cmp_ok $tried, '>', 20, "$mechanism: $tried damaged messages";
  is $in, 0, 'and none succeeds';
}

for my $ssf (1, 40, 55, 56, 112, 128) {
  my $said = pair('layers', 'DIGEST-MD5', $ssf);
  like $said, qr/^ssf $ssf$/m, "a layer of $ssf";
  like $said, qr/^whole 1, parts 1, bytes 1, long 1, nothing 1$/m, 'however the data are cut';
  like $said, qr/^both ways at once 300 300$/m, 'by two threads';
  like $said, qr/^changed -9 0; then -9: .*the frame was changed on the way$/m, 'a changed frame ends it';
}

for my $case (['PLAIN', 10_000], ['CRAM-MD5', 2000], ['DIGEST-MD5', 2000], ['SCRAM-SHA-1', 400]) {
  my ($mechanism, $count) = @$case;
  my ($more) = pair('many', $mechanism, $count) =~ /^(-?[0-9]+) bytes more$/m;
  cmp_ok $more, '<', 256 * 1024, "$count logins by $mechanism: no growth ($more bytes)";
}

# libsasl2 itself keeps some memory permanently; a leak is ours if its stack has a frame of ours.
for my $case (map { ['users', $_] } @mechanisms, ['prompts', 'PLAIN'], ['layers', 'DIGEST-MD5', 128]) {
  my $log = File::Temp->new;
  pair(@$case, ['valgrind', '--leak-check=full', '--num-callers=40', "--log-file=$log"]);
  my $report = do { local (@ARGV, $/) = "$log"; <> };
  like $report, qr/ERROR SUMMARY/, 'valgrind has come to its end';
  $report =~ s/^==\d+== ?//mg;
  my @ours = grep { /libsaslrust/ && /^\s+(?:at|by) 0x/m } split /\n\s*\n/, $report;
  is scalar @ours, 0, "@$case: nothing wrong, and nothing lost" or diag join "\n\n", @ours;
}

# The administrator's settings.
{
  local $ENV{CHOICE} = 'plain SCRAM-SHA-256 OAUTHBEARER';
  is_deeply [sort split /\n/, pair('list', '-')], [sort qw(PLAIN SCRAM-SHA-256 OAUTHBEARER EXTERNAL)], 'rust_mech_list';
  local $ENV{CHOICE} = '';
  is pair('list', '-'), "EXTERNAL\n", 'an empty one is none';
}

done_testing;
