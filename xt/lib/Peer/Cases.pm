package Peer::Cases;

# The cases that are tested with each mechanism, as data: what the client sends, what the server knows, and the expected result.
# Names and passwords are characters.

use strict;
use warnings;

my %ACCOUNT = (user => 'fred', password => 'sesame');
my %BEYOND_ASCII = (user => "ren\x{e9}", password => "p\x{e4}ssw\x{f6}rd");
my %BEYOND_LATIN_1 = (user => "\x{17e}ofie", password => "\x{43f}\x{430}\x{440}\x{43e}\x{43b}\x{44c}");
# RFC 2831, section 2.1.2.1: each of the two is converted separately.
my %MIXED = (user => $BEYOND_ASCII{user}, password => $BEYOND_LATIN_1{password});
# Each of these characters is special in some mechanism: SCRAM escapes the comma and the equals sign, DIGEST-MD5 the quote and
# the backslash.
my %PUNCTUATION = (user => 'o"brien\\,=3D', password => 'a"b\\c,d=2C');

# authzid: the mechanism can carry one; verifies: the client detects a server that does not know the password.
my %CARRIES = (
  ANONYMOUS    => {},
  EXTERNAL     => {},
  PLAIN        => {password => 1, authzid => 1},
  LOGIN        => {password => 1},
  'CRAM-MD5'   => {password => 1},
  'DIGEST-MD5' => {password => 1, authzid => 1, verifies => 1},
  NTLM         => {password => 1},
  OTP          => {password => 1},
);

sub of {
  my ($class, $mechanism) = @_;
  return _anonymous() if $mechanism eq 'ANONYMOUS';
  return _external()  if $mechanism eq 'EXTERNAL';
  my $carries = $class->carries($mechanism);
  return (
    _case('right password', {%ACCOUNT}, {%ACCOUNT}, 'done'),
    _case('wrong password', {%ACCOUNT, password => 'simsalabim'}, {%ACCOUNT}, 'fail'),
    _case('unknown user', {%ACCOUNT, user => 'barney'}, {%ACCOUNT}, 'fail'),
    _case('beyond ASCII', {%BEYOND_ASCII}, {%BEYOND_ASCII}, 'done'),
    _case('beyond ASCII, wrong password',
      {%BEYOND_ASCII, password => "p\x{e4}ssword"}, {%BEYOND_ASCII}, 'fail'),
    _case('beyond Latin-1', {%BEYOND_LATIN_1}, {%BEYOND_LATIN_1}, 'done'),
    _case('beyond Latin-1 in the password only', {%MIXED}, {%MIXED}, 'done'),
    _case('punctuation', {%PUNCTUATION}, {%PUNCTUATION}, 'done'),
    $mechanism =~ /\ASCRAM/
      ? _case('SASLprep', {%ACCOUNT, password => "se\x{ad}s\x{aa}me"}, {%ACCOUNT}, 'done') : (),
    $carries->{authzid} ? _authzid() : (),
    $carries->{verifies}
      ? {%{_case('altered proof of the server', {%ACCOUNT}, {%ACCOUNT}, 'fail')},
         on_path => \&_alter_proof}
      : (),
  );
}

sub carries {
  my ($class, $mechanism) = @_;
  return $CARRIES{$mechanism} || {password => 1, authzid => 1, verifies => 1} # SCRAM
}

sub _authzid {
  my %with = (%ACCOUNT, authzid => 'admin');
  return (
    _case('authzid that is allowed', {%with}, {%ACCOUNT, allow => 'admin'}, 'done'),
    _case('authzid that is not allowed', {%with}, {%ACCOUNT, allow => 'wilma'}, 'fail'),
    _case('authzid, wrong password',
      {%with, password => 'simsalabim'}, {%ACCOUNT, allow => 'admin'}, 'fail'),
    _case('authzid with punctuation and beyond ASCII',
      {%with, authzid => "p\x{e8}re,no\x{eb}l=1"}, {%ACCOUNT, allow => "p\x{e8}re,no\x{eb}l=1"}, 'done'),
  );
}

sub _anonymous {
  return (
    _case('a trace', {trace => 'sirhc@example.org'}, {}, 'done'),
    _case('a trace beyond ASCII', {trace => "s\x{ee}rhc\x{40}example.org"}, {}, 'done'),
  );
}

sub _external {
  my %proved = (external => 'fred');
  return (
    _case('the proved identity itself', {external => 'fred'}, {%proved}, 'done'),
    _case('the proved identity by name', {%proved, authzid => 'fred'}, {%proved}, 'done'),
    _case('another identity', {%proved, authzid => 'barney'}, {%proved}, 'fail'),
    _case('nothing proved', {%proved, authzid => 'fred'}, {}, 'fail'),
  );
}

sub _case {
  my ($name, $client, $server, $ends) = @_;
  return {name => $name, client => $client, server => $server, ends => $ends};
}

# SCRAM's v=, DIGEST-MD5's rspauth: one character of the proof becomes another.
sub _alter_proof {
  my ($message) = @_;
  $message =~ s/\A(v=|rspauth="?)(.)/$1 . ($2 eq 'a' ? 'b' : 'a')/e;
  return $message;
}

1;
