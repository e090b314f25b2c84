package Bench::Peer;
# Hand-made SASL clients and servers, independent of every backend, so that one side of a backend can be timed alone and its
# messages can be checked. Not a SASL library.
use strict;
use warnings;
use Digest::MD5 qw(md5 md5_hex);
use Digest::SHA qw(sha1 sha256 sha512 hmac_sha1 hmac_sha256 hmac_sha512);
use MIME::Base64 qw(encode_base64 decode_base64);

my %H = ('SHA-1' => [\&sha1, \&hmac_sha1, 20], 'SHA-256' => [\&sha256, \&hmac_sha256, 32], 'SHA-512' => [\&sha512, \&hmac_sha512, 64]);
my $SERIAL = 0;
my %CACHE;
our $SALTS = 4;    # number of different salts that the hand-made SCRAM server uses

sub b64 { encode_base64($_[0], '') }
sub nonce { sprintf '%08x%08x%08x', ++$SERIAL, rand 2**32, rand 2**32 }
sub salt { substr(md5('bench salt ' . ($_[0] % $SALTS)), 0, 16) }

sub hmac_md5 {
  my ($data, $key) = @_;
  $key = md5($key) if length $key > 64;
  $key .= "\0" x (64 - length $key);
  md5(($key ^ ("\x5c" x 64)) . md5(($key ^ ("\x36" x 64)) . $data));
}

# salted password, client key, stored key, server key
sub scram_keys {
  my ($h, $pass, $salt, $iters) = @_;
  my $k = join "\0", $h, $pass, $iters, $salt;
  return @{$CACHE{$k}} if $CACHE{$k};
  my ($hash, $hmac) = @{$H{$h}};
  my $u = $hmac->($salt . "\0\0\0\1", $pass);
  my $r = $u;
  for (2 .. $iters) { $u = $hmac->($u, $pass); $r ^= $u }
  my $ck = $hmac->('Client Key', $r);
  $CACHE{$k} = [ $r, $ck, $hash->($ck), $hmac->('Server Key', $r) ];
  @{$CACHE{$k}};
}
sub scram_credentials {
  my ($h, $pass, $salt, $iters) = @_;
  my (undef, undef, $stored, $server) = scram_keys(@_);
  ($salt, $stored, $server, $iters);
}
sub scram_verifier {
  my ($h, $pass, $salt, $iters) = @_;
  my (undef, undef, $stored, $server) = scram_keys(@_);
  sprintf 'SCRAM-%s$%d:%s$%s:%s', $h, $iters, b64($salt), b64($stored), b64($server);
}

# options: mech user pass host service iters; qop, what a DIGEST-MD5 server offers in addition to auth
sub client { my ($class, %o) = @_; bless {%o, role => 'client', stage => 0}, $class }
sub server { my ($class, %o) = @_; bless {%o, role => 'server', stage => 0}, $class }

# The state of an exchange, as a string; an empty one begins a new exchange
my @STATE = qw(stage ok done nonce bare first gs2 salt proved expect got chal);
sub pause { pack '(w/a)*', map { defined $_ ? $_ : '' } @{ $_[0] }{@STATE} }
sub resume { @{ $_[0] }{@STATE} = $_[1] eq '' ? (0) : unpack '(w/a)*', $_[1] }

sub ok   { $_[0]{ok} }
sub done { $_[0]{done} }

sub start {
  my ($self, $in) = @_;
  my $m = $self->{mech};
  if ($self->{role} eq 'client') {
    return "\0$self->{user}\0$self->{pass}" if $m eq 'PLAIN';
    return $self->{user} if $m eq 'ANONYMOUS';
    return '' if $m eq 'EXTERNAL' or $m eq 'LOGIN' or $m eq 'CRAM-MD5' or $m eq 'DIGEST-MD5';
    $self->{nonce} = nonce();
    return 'n,,' . ($self->{bare} = "n=$self->{user},r=$self->{nonce}");
  }
  if ($m eq 'PLAIN') {
    my (undef, $u, $p) = split /\0/, defined $in ? $in : '', 3;
    return $self->finish(defined $p && $u eq $self->{user} && $p eq $self->{pass});
  }
  return $self->finish(1) if $m eq 'EXTERNAL';
  return $self->finish(defined $in && length $in) if $m eq 'ANONYMOUS';
  return 'Username:' if $m eq 'LOGIN';
  return $self->{chal} = '<' . nonce() . ".1\@$self->{host}>" if $m eq 'CRAM-MD5';
  if ($m eq 'DIGEST-MD5') {
    $self->{nonce} = nonce();
    my $qop = $self->{qop} || 'auth';
    my $layer = $qop eq 'auth' ? '' : 'maxbuf=131072,';
    return qq(nonce="$self->{nonce}",realm="$self->{host}",qop="$qop",${layer}charset=utf-8,algorithm=md5-sess);
  }
  if ($m =~ /^SCRAM-(.*)/) {
    my ($gs2, $bare) = defined $in ? $in =~ /^([nyp][^,]*,[^,]*,)(.*)$/s : ();
    my ($r) = defined $bare ? $bare =~ /r=([^,]+)/ : ();
    return $self->finish(0) unless defined $r;
    my $salt = salt($SERIAL);
    $self->{gs2} = $gs2; $self->{bare} = $bare; $self->{salt} = $salt;
    $self->{nonce} = $r . nonce();
    return $self->{first} = "r=$self->{nonce},s=" . b64($salt) . ",i=$self->{iters}";
  }
  die "no hand-made $m server";
}

sub finish { my ($self, $ok) = @_; $self->{done} = 1; $self->{ok} = $ok ? 1 : 0; undef }

sub step {
  my ($self, $in) = @_;
  $in = '' unless defined $in;
  my ($m, $n) = ($self->{mech}, ++$self->{stage});
  my $client = $self->{role} eq 'client';
  if ($m eq 'LOGIN') {
    return $n == 1 ? $self->{user} : $n == 2 ? $self->{pass} : '' if $client;
    if ($n == 1) { $self->{got} = $in; return 'Password:' }
    return $self->finish($self->{got} eq $self->{user} && $in eq $self->{pass});
  }
  if ($m eq 'CRAM-MD5') {
    my $d = unpack 'H*', hmac_md5($client ? $in : $self->{chal}, $self->{pass});
    return "$self->{user} $d" if $client;
    return $self->finish($in eq "$self->{user} $d");
  }
  return $client ? $self->digest_client($in, $n) : $self->digest_server($in, $n) if $m eq 'DIGEST-MD5';
  return $client ? $self->scram_client($in, $n) : $self->scram_server($in, $n) if $m =~ /^SCRAM-/;
  die "no hand-made $m step";
}

sub scram_client {
  my ($self, $in, $n) = @_;
  if ($n > 1) {
    $self->{ok} = $in eq $self->{expect} ? 1 : 0;
    return '';
  }
  my ($h) = $self->{mech} =~ /^SCRAM-(.*)/;
  my $hmac = $H{$h}[1];
  my ($r, $s, $i) = $in =~ /^r=([^,]+),s=([^,]+),i=(\d+)/ or return '';
  my (undef, $ck, $stored, $skey) = scram_keys($h, $self->{pass}, decode_base64($s), $i);
  my $bare = "c=biws,r=$r";
  my $auth = "$self->{bare},$in,$bare";
  $self->{expect} = 'v=' . b64($hmac->($auth, $skey));
  "$bare,p=" . b64($ck ^ $hmac->($auth, $stored));
}

sub scram_server {
  my ($self, $in, $n) = @_;
  return $self->finish($self->{proved}) if $n > 1;
  my ($h) = $self->{mech} =~ /^SCRAM-(.*)/;
  my ($hash, $hmac) = @{$H{$h}};
  my ($bare, $r, $p) = $in =~ /^(c=[^,]+,r=([^,]+)),p=([^,]+)$/ or return $self->finish(0);
  my (undef, undef, $stored, $skey) = scram_keys($h, $self->{pass}, $self->{salt}, $self->{iters});
  my $auth = "$self->{bare},$self->{first},$bare";
  my $ck = decode_base64($p) ^ $hmac->($auth, $stored);
  my $ok = $r eq $self->{nonce} && $hash->($ck) eq $stored && $bare =~ /^c=\Q@{[b64($self->{gs2})]}\E,/;
  return $self->finish(0) unless $ok;
  $self->finish(1);
  'v=' . b64($hmac->($auth, $skey));
}

sub digest_parse {
  my ($in) = @_;
  my %p;
  while ($in =~ /\G\s*,*\s*([\w-]+)=(?:"((?:[^"\\]|\\.)*)"|([^,]*))/g) {
    $p{$1} = defined $2 ? $2 : $3;
  }
  \%p;
}

# response and rspauth
sub digest_values {
  my ($self, $p) = @_;
  my $tail = exists $p->{authzid} ? ":$p->{authzid}" : '';
  my $realm = defined $p->{realm} ? $p->{realm} : '';
  my $a1 = md5(md5("$self->{user}:$realm:$self->{pass}") . ":$p->{nonce}:$p->{cnonce}$tail");
  my $h1 = unpack 'H*', $self->{session} = $a1;
  my $qop = $p->{qop} || 'auth';
  my $body = $qop eq 'auth' ? '' : ':' . '0' x 32;
  map { md5_hex("$h1:$p->{nonce}:$p->{nc}:$p->{cnonce}:$qop:" . md5_hex("$_:$p->{'digest-uri'}$body")) } 'AUTHENTICATE', '';
}

# Whether this is the client's first frame
sub first_frame_ok {
  my ($self, $text, $frame) = @_;
  my $key = md5($self->{session} . 'Digest session key to client-to-server signing key magic constant');
  return $frame eq $text . substr(hmac_md5("\0\0\0\0$text", $key), 0, 10) . "\0\1\0\0\0\0";
}

sub digest_client {
  my ($self, $in, $n) = @_;
  my $p = digest_parse($in);
  if ($n > 1) {
    $self->{ok} = ($p->{rspauth} || '') eq $self->{expect} ? 1 : 0;
    return '';
  }
  my %r = (nonce => $p->{nonce}, realm => $p->{realm}, cnonce => nonce(), nc => '00000001',
    qop => 'auth', 'digest-uri' => "$self->{service}/$self->{host}");
  (my $resp, $self->{expect}) = $self->digest_values(\%r);
  qq(username="$self->{user}",realm="$r{realm}",nonce="$r{nonce}",cnonce="$r{cnonce}",nc=$r{nc},qop=$r{qop},)
    . qq(digest-uri="$r{'digest-uri'}",response=$resp,charset=utf-8);
}

sub digest_server {
  my ($self, $in, $n) = @_;
  return $self->finish($self->{proved}) if $n > 1;
  my $p = digest_parse($in);
  for (qw(username nonce cnonce nc response digest-uri)) { return $self->finish(0) unless defined $p->{$_} }
  my ($want, $rspauth) = $self->digest_values($p);
  $self->{proved} = $want eq $p->{response} && $p->{nonce} eq $self->{nonce} && ($p->{qop} || 'auth') eq ($self->{qop} || 'auth');
  $self->finish($self->{proved});
  return unless $self->{proved};
  "rspauth=$rspauth";
}

1;
