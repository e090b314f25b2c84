# eg/ldap-bind on a slapd of our own.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use File::Temp ();
use Server::Slapd ();
use Server::Trial qw(%PASSWORD);

my $slapd = Server::Slapd->start(users => \%PASSWORD);
my @lib = map { "-I$_" } grep { !ref } @INC;

sub bind_with {
  my ($password, @options) = @_;
  my $out = File::Temp->new;
  my $pid = open my $in, '|-' // die "fork: $!";
  if (!$pid) {
    open STDOUT, '>&', $out and open STDERR, '>&', $out or die "dup: $!";
    exec $^X, @lib, 'eg/ldap-bind', '--uri', $slapd->uri, '--user', 'fred', @options or die "exec: $!";
  }
  print $in "$password\n";
  close $in;
  my $status = $? >> 8;
  seek $out, 0, 0;
  return ($status, join '', <$out>);
}

my $dn = $slapd->dn('fred');
for my $options ([], ['--mechanism', 'SCRAM-SHA-256'], ['--mechanism', 'PLAIN']) {
  my $name = "@$options" || "a mechanism of the server's list";
  my ($status, $text) = bind_with($PASSWORD{fred}, @$options);
  is($status, 0, $name);
  like($text, qr/^bound by \S+ as dn:\Q$dn\E$/m, "$name: the identity");
  ($status, $text) = bind_with('wrong', @$options);
  isnt($status, 0, "$name: wrong password");
  like($text, qr/^ldap-bind: .*authentication failure/, "$name: with the reason");
}

done_testing;
