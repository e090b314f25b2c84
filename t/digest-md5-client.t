# DIGEST-MD5's client: realms that the server does not list, and characters beyond ASCII.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use Digest::MD5 qw(md5 md5_hex);

my $CHALLENGE = 'nonce="abc",qop="auth",charset=utf-8,algorithm=md5-sess';

sub client {
  my ($callback, $options) = @_;
  my $conn = Authen::SASL->new(mechanism => 'DIGEST-MD5', callback => $callback)->client_new('sieve', 'mail.example.org', $options);
  $conn->client_start;
  return $conn;
}

subtest 'the realm that the user names' => sub {
  my %fred = (user => 'fred', pass => 'pencil');
  for my $realms ('', 'realm="",', 'realm="mail.example.org",', 'realm="a",realm="b",') {
    for my $name ('example.org', sub { 'example.org' }) {
      my $said = client({ %fred, realm => $name })->client_step($realms . $CHALLENGE);
      like($said, qr/,realm="example\.org",/, "it is sent, whatever is listed: '$realms'");
    }
  }
  my @offered;
  client({ %fred, realm => sub { (undef, @offered) = @_; undef } })->client_step("realm=\"\",$CHALLENGE");
  is_deeply(\@offered, [], 'an empty realm is none to choose from');
};

# RFC 2831 section 2.1.2.1, with name and password hashed in the given encoding.
sub response {
  my ($conn, $encode) = @_;
  my ($name, $password) = map { my $text = $_; $encode->($text); $text } "ren\xe9e", "cr\xe8me";
  my $message = $conn->client_step($CHALLENGE);
  my ($cnonce) = $message =~ /cnonce="([^"]+)"/;
  my ($uri) = $message =~ /digest-uri="([^"]+)"/;
  my $a1 = md5("$name\::$password") . ":abc:$cnonce";
  my $hashed = sub { md5_hex(join ':', md5_hex($a1), 'abc', '00000001', $cnonce, 'auth', md5_hex("$_[0]:$uri")) };
  return ($message, $hashed->('AUTHENTICATE'), $hashed->(''));
}

subtest 'characters beyond ASCII' => sub {
  my %renee = (user => "ren\xe9e", pass => "cr\xe8me");
  for my $case ([undef, sub { }, 'Latin-1'], [{ digest_md5_utf8 => 1 }, sub { utf8::encode($_[0]) }, 'UTF-8']) {
    my ($options, $encode, $name) = @$case;
    my $conn = client(\%renee, $options);
    my ($message, $expected, $proof) = response($conn, $encode);
    like($message, qr/username="ren\xc3\xa9e"/, "$name: the name travels in UTF-8");
    like($message, qr/response=$expected,/, "$name: hashed");
    $conn->client_step("rspauth=$proof");
    ok($conn->is_success, "$name: the server's proof is of the same key") or diag($conn->error);
    is($conn->property('digest_md5_utf8'), $options ? 1 : 0, 'the option reads back');
  }
  for my $answer ('', 'sorry') {
    my $conn = client(\%renee);
    $conn->client_step($CHALLENGE);
    is_deeply([$conn->client_step($answer)], [], "no proof: '$answer'");
    like($conn->error, qr/gave no proof: .*in UTF-8 \(option digest_md5_utf8\).*SASL_BADAUTH/, 'the error names the option');
    for my $other ([\%renee, { digest_md5_utf8 => 1 }], [{ user => 'fred', pass => 'pencil' }]) {
      $conn = client(@$other);
      $conn->client_step($CHALLENGE);
      $conn->client_step($answer);
      unlike($conn->error, qr/digest_md5_utf8/, 'where it could make a difference');
    }
  }
};

done_testing;
