# eg/xmpp-fast at a Prosody of our own: the password once, then the token, which the server may refuse.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use File::Temp ();
use JSON::PP qw(decode_json encode_json);
use Peer::Packaged qw(why_absent);
use Server::Prosody ();
use TLS::Certificate ();

my $absent = why_absent('prosody-modules');
plan(skip_all => $absent) if defined $absent;

my $certificate = TLS::Certificate->new;
my $prosody = Server::Prosody->start(users => { fred => 'pencil' }, certificate => $certificate, modules => ['sasl2', 'sasl2_fast']);
my $folder = File::Temp->newdir;
my $file = "$folder/state";
my @lib = map { "-I$_" } grep { !ref } @INC;

sub run {
  my ($password, @more) = @_;
  my $pid = open my $in, '|-' // die "fork: $!";
  if (!$pid) {
    open STDOUT, '>', "$folder/out" and open STDERR, '>&', \*STDOUT or die "dup: $!";
    exec $^X, @lib, 'eg/xmpp-fast', '--jid', 'fred@localhost', '--state', $file, '--server', '127.0.0.1:' . $prosody->port, '--ca',
      $certificate->certificate, @more
      or die "exec: $!";
  }
  local $SIG{PIPE} = 'IGNORE';
  print {$in} "$password\n" if length $password;
  close $in;
  my $status = $? >> 8;
  return $status . ' ' . content("$folder/out");
}

sub content { my ($name) = @_; open my $in, '<', $name or return ''; local $/; return scalar <$in> // '' }
sub state_of { return decode_json(content($file)) }

like(run('rubber'), qr/\A1 xmpp-fast: the server refused: /, 'a wrong password');
like(run('pencil'), qr/\A0 logged in by SCRAM-SHA-\S*\n\z/, 'the password');
my $first = state_of();
ok(length $first->{token}, 'a token is stored');
is((stat $file)[2] & 0777, 0600, 'for its owner only');
unlike(content($file), qr/pencil/, 'but no password');
for my $login (1, 2) {
  like(run(''), qr/\A0 logged in by HT-SHA-256-NONE\n\z/, "login $login with the token");
  my $state = state_of();
  cmp_ok($state->{count}, '==', $state->{token} eq $first->{token} ? $login : 0, 'is counted');
}
open my $out, '>', $file or die $!;
print {$out} encode_json({ %$first, token => "$first->{token}x" });
close $out or die $!;
like(run(''), qr/\A1 xmpp-fast: the token was refused: log in with the password\n\z/, 'a token that the server refuses');
is(state_of()->{token}, undef, 'is forgotten');
is(state_of()->{client_id}, $first->{client_id}, 'unlike the name of the client');
like(run('pencil'), qr/\A0 logged in by SCRAM/, 'then the password works again');

done_testing;
