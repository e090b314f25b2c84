# The Kerberos security layers between our side and libsasl2's, byte by byte: GSSAPI and GSS-SPNEGO.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;

use Peer::Cyrus      ();
use Peer::Gsasl      ();
use Peer::LayerCells qw(agree layer_works);
use Server::Kdc      ();

my $kdc = Server::Kdc->start(principals => [qw(fred ldap/localhost)]);
$ENV{KRB5_KTNAME} = $kdc->keytab('ldap/localhost');
$ENV{KRB5CCNAME} = $kdc->ccache('fred');
$ENV{KRB5RCACHENAME} = 'none:';    # hundreds of tokens; xt/kerberos/errors.t tests the replay

my %strength = (integrity => 1, confidentiality => 256);

# Our limits, libsasl2's, and how libsasl2 applies its own.
sub limits {
  my ($mechanism, $role, $kind) = @_;
  my $ssf = $strength{$kind};
  my %limits = (minssf => $ssf, maxssf => $ssf);
  # As a client libsasl2 always requests SPNEGO's confidentiality flag, and then encrypts regardless of maxssf.
  my $known = $mechanism eq 'GSS-SPNEGO' && $role eq 'server' ? 256 : $ssf;
  return ({%limits, mechanism => $mechanism}, {%limits}, $known);
}

for my $mechanism (qw(GSSAPI GSS-SPNEGO)) {
  for my $role (qw(client server)) {
    for my $kind (sort keys %strength) {
      my ($ours, $theirs, $known) = limits($mechanism, $role, $kind);
      for my $buffers ([65_536, 65_536], [1000, 1000], [256, 65_536], [65_536, 256], [16_777_215, 8191]) {
        my ($our, $their) = @$buffers;
        # With SPNEGO no side learns how much the other one accepts.
        next if $mechanism eq 'GSS-SPNEGO' && $our > $their;
        layer_works("libsasl2, $mechanism, $kind, we receive $our, they $their", 'Peer::Cyrus', $role,
          $strength{$kind}, {%$ours, maxbuf => $our}, {%$theirs, maxbuf => $their}, $known);
      }
      # Both use the same library; each role is tested.
      frames_are_guarded($mechanism, $role, $kind) if ($mechanism eq 'GSSAPI') == ($role eq 'client');
    }
  }
}

# Each changed byte of a frame, and a truncated, repeated or misplaced frame, is refused, and the layer ends.
sub frames_are_guarded {
  my ($mechanism, $role, $kind) = @_;
  my ($ours, $theirs) = limits($mechanism, $role, $kind);
  subtest "our $role, libsasl2, $mechanism, $kind: frames that are changed" => sub {
    # The frames' lengths are odd: a frame may be rotated (RFC 4121 section 4.2.5), which by its own length is no change.
    my $text = 'a readable text';
    my $refused = sub {
      my ($title, $deed) = @_;
      my ($we, $they) = agree('Peer::Cyrus', $role, $ours, $theirs);
      my ($one, $two) = map { unpack 'N/a*', $they->seal("$text $_")->{message} } 1, 2;
      my @arriving = $deed->($one, $two);
      my $last = pop @arriving;
      is $we->unseal(pack 'N/a*', $_)->{state}, 'more', "$title: what comes before is taken" for @arriving;
      my $got = $we->unseal(pack 'N/a*', $last);
      is $got->{state}, 'fail', "$title: refused";
      like $got->{error}, qr/\(SASL_(?:BADMAC|BADPROT|BADAUTH|FAIL)\)\z/, 'with a reason';
      is $we->unseal(pack 'N/a*', $two)->{state}, 'fail', 'and the layer has ended';
      $_->end for $we, $they;
    };
    my ($we, $they) = agree('Peer::Cyrus', $role, $ours, $theirs);
    my $length = length(unpack 'N/a*', $they->seal("$text 1")->{message});
    for my $at (0 .. $length - 1) {
      $refused->("byte $at of $length changed", sub { my ($one) = @_; substr($one, $at, 1) ^= "\1"; $one });
    }
    $refused->("cut to $_ bytes", sub { substr $_[0], 0, $_ }) for 0 .. 4, 15, 16, $length - 1;
    $refused->('longer by a byte', sub {"$_[0]\0"});
    $refused->('sent again', sub { @_[0, 0] });
    $refused->('out of order', sub { $_[1] });

    # libsasl2 refuses ours too.
    my $frame = $we->seal($text)->{message};
    substr($frame, -3, 1) ^= "\1";
    is $they->unseal($frame)->{state}, 'fail', 'libsasl2 refuses a changed frame from us';
    $_->end for $we, $they;
  };
  return;
}

# Many messages of each length, alternating in both directions.
subtest 'ten thousand messages' => sub {
  for my $mechanism (qw(GSSAPI GSS-SPNEGO)) {
    my ($ours, $theirs) = limits($mechanism, 'client', 'confidentiality');
    my ($we, $they) = agree('Peer::Cyrus', 'client', $ours, $theirs);
    my $bad = 0;
    for my $number (1 .. 2500) {
      my $text = join ' ', $number, 'x' x ($number % 700);
      for my $way ([$we, $they], [$they, $we]) {
        my $sealed = $way->[0]->seal($text);
        my $got = $way->[1]->unseal($sealed->{message} // '');
        $bad++ if ($got->{message} // '') ne $text;
      }
    }
    is $bad, 0, "$mechanism: all of them came through";
    $_->end for $we, $they;
  }
};

# GNU SASL has no layers. When it gets them, this fails; then add it to the list above.
my %gsasl = (
  client => [{user => 'fred', authzid => 'fred'}, qr/GSSAPI client: no security layer is left .*\(SASL_TOOWEAK\)/],
  server => [{user => 'fred@EXAMPLE.TEST'}, qr/GSSAPI server: layer selection: .* not one that this side offered/],
);
for my $role (qw(client server)) {
  my ($theirs, $reason) = @{$gsasl{$role}};
  ok !eval { agree('Peer::Gsasl', $role, {mechanism => 'GSSAPI', minssf => 1}, $theirs); 1 },
    "our $role, libgsasl: a layer that we insist on";
  like $@, $reason, 'cannot be had';
}

done_testing;
