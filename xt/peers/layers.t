# The security layers of DIGEST-MD5 between our side and other implementations.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use Test::More;

use Peer::Cyrus      ();
use Peer::Gsasl      ();
use Peer::LayerCells qw(agree layer_works frames_are_guarded);
use Peer::Perl       ();

my %strength = ('auth-int' => 1, 'rc4-40' => 40, des => 55, 'rc4-56' => 56, '3des' => 112, rc4 => 128);
my $any = {maxssf => 256, maxbuf => 65_536};

sub only { my ($ssf, %more) = @_; return {minssf => $ssf, maxssf => $ssf, %more} }

for my $role (qw(client server)) {
  for my $cipher (qw(auth-int rc4-40 rc4-56 rc4)) {
    my $ssf = $strength{$cipher};
    layer_works("libsasl2, $cipher", 'Peer::Cyrus', $role, $ssf, only($ssf), $any);
    frames_are_guarded("libsasl2, $cipher", 'Peer::Cyrus', $role, only($ssf), $any);
  }
  for my $ssf (1, 128) {
    for my $buffers ([256, 65_536], [65_536, 256], [1000, 1000], [4096, 1_000_000], [16_777_215, 8191]) {
      my ($our, $their) = @$buffers;
      layer_works("libsasl2, strength $ssf, we receive $our, they $their",
        'Peer::Cyrus', $role, $ssf, only($ssf, maxbuf => $our), {maxssf => 256, maxbuf => $their});
    }
  }
  layer_works('libsasl2, whatever both have', 'Peer::Cyrus', $role, 128, {}, $any);
  layer_works('libsasl2, des', 'Peer::Cyrus', $role, 55, only(55), $any);
  frames_are_guarded('libsasl2, des', 'Peer::Cyrus', $role, only(55), $any);
  # When it can, this fails; then add 3des to the list above.
  ok !eval { agree('Peer::Cyrus', $role, only(112), $any); 1 }, "our $role, libsasl2, 3des: it cannot, on OpenSSL 3";
  like $@, qr/init cipher '3des'/, 'and it is libsasl2 that says so';

  layer_works('libgsasl, auth-int', 'Peer::Gsasl', $role, 1, {}, {maxssf => 1});
  frames_are_guarded('libgsasl, auth-int', 'Peer::Gsasl', $role, {}, {maxssf => 1});
  layer_works('libgsasl, auth-int, we receive little',
    'Peer::Gsasl', $role, 1, {maxbuf => 1000}, {maxssf => 1, maxout => 900});
}

# Its client counts 56 bits for des, others count 55.
for my $cipher (qw(auth-int rc4-40 rc4-56 rc4 des)) {
  my $ssf = $strength{$cipher};
  layer_works("Authen::SASL::Perl, $cipher", 'Peer::Perl', 'server', $ssf, only($ssf), $any, $cipher eq 'des' ? 56 : $ssf);
  frames_are_guarded("Authen::SASL::Perl, $cipher", 'Peer::Perl', 'server', only($ssf), $any);
}

# Its server signs and encrypts with the keys of the client's direction, and uses its own cipher if the client has named
# another. Ours follows RFC 2831, sections 2.3 and 2.4. When it is fixed, this fails.
for my $ssf (1, 40, 128) {
  my ($we, $they) = agree('Peer::Perl', 'client', only($ssf), {maxssf => 256});
  my $name = "our client, Authen::SASL::Perl's server, strength $ssf";
  like $we->agreed, qr/\A$ssf /, "$name: agreed on";
  like $they->agreed, $ssf == 40 ? qr/\A128 / : qr/\A$ssf /, 'as far as its server listens';
  is $they->unseal($we->seal('to you')->{message})->{state}, 'fail', 'it does not understand our frame';
  my $got = $we->unseal($they->seal('to you')->{message});
  is $got->{state}, 'fail', 'we refuse its frame';
  like $got->{error}, qr/\(SASL_BADMAC\)/, 'whose code of authentication is wrong';
  $_->end for $we, $they;
}

done_testing;
