package Peer::LayerCells;

# One security layer between our side and a peer's, as a subtest: data of many lengths in both directions, and modified frames.

use strict;
use warnings;

use Exporter qw(import);
use Test::More;

use Peer::OurLayer ();

our @EXPORT_OK = qw(agree layer_works frames_are_guarded);

use constant TIME_LIMIT => 60;

# agree($peer, our role, {ours}, {theirs}): both parties after the exchange; dies with the reason of the side that refuses. A
# mechanism other than DIGEST-MD5 is named in {ours}.
sub agree {
  my ($peer, $role, $ours, $theirs) = @_;
  my $other = $role eq 'client' ? 'server' : 'client';
  my $mechanism = $ours->{mechanism} || 'DIGEST-MD5';
  my $we = Peer::OurLayer->$role(%$ours, mechanism => $mechanism);
  my $they = $peer->$other(
    mechanism => $mechanism, service => 'ldap', host => 'localhost',
    $mechanism eq 'DIGEST-MD5' ? (user => 'fred', password => 'pencil') : (),
    $other eq 'server' ? (success_data => 1) : (), %$theirs,
  );
  my ($client, $server) = $role eq 'client' ? ($we, $they) : ($they, $we);
  my $answer = $client->start;
  die "the client fails: $answer->{error}\n" if $answer->{state} eq 'fail';
  my $sent = $server->start($answer->{message});
  for (1 .. 4) {
    die "the server fails: $sent->{error}\n" if $sent->{state} eq 'fail';
    $answer = $client->step($sent->{message} // '');
    die "the client fails: $answer->{error}\n" if $answer->{state} eq 'fail';
    last if $sent->{state} eq 'done';
    $sent = $server->step($answer->{message} // '');
    last if $sent->{state} eq 'done' && !defined $sent->{message};
  }
  die "the exchange does not end: $sent->{state}, $answer->{state}\n"
    if $sent->{state} ne 'done' || $answer->{state} ne 'done';
  return ($we, $they);
}

sub _within_time {
  my ($name, $code) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 2;
  alarm TIME_LIMIT;
  subtest $name => sub { eval { $code->(); 1 } or fail("no exception: $@") };
  alarm 0;
  return;
}

# Text in which a lost or exchanged part is noticed.
sub _text {
  my ($length) = @_;
  my $text = '';
  my $n = 0;
  $text .= 'readable ' . $n++ . ' ' while length $text < $length;
  return substr $text, 0, $length;
}

# If the peer counts the same strength differently, $known is its value.
sub layer_works {
  my ($name, $peer, $role, $ssf, $ours, $theirs, $known) = @_;
  $known = $ssf unless defined $known;
  _within_time("our $role, $name" => sub {
    my ($we, $they) = agree($peer, $role, $ours, $theirs);
    like $we->agreed, qr/\A$ssf /, 'our side knows the strength';
    like $they->agreed, qr/\A$known /, 'so does the other';
    for my $length (1, 2, 7, 100, 4096, 65_537, 1 << 20, 3) {
      my $text = _text($length);
      for my $way ([$we, $they, 'from us'], [$they, $we, 'to us']) {
        my ($from, $to, $which) = @$way;
        my $sealed = $from->seal($text);
        is $sealed->{state}, 'more', "$length bytes $which are encoded" or return diag $sealed->{error};
        unlike $sealed->{message}, qr/readable/, 'and cannot be read' if $ssf > 1 && $length > 50;
        my $got = $to->unseal($sealed->{message});
        is $got->{state}, 'more', 'and decoded' or return diag $got->{error};
        ok $got->{message} eq $text, 'as they were';
      }
    }
    $_->end for $we, $they;
  });
  return;
}

# What an attacker on the path makes of two frames; undef stands for the first one, unchanged.
my %deed = (
  'the text changed' => sub { my ($one) = @_; substr($one, 0, 1) ^= "\1"; $one },
  'the code of authentication changed' => sub { my ($one) = @_; substr($one, -7, 1) ^= "\1"; $one },
  'the type changed' => sub { my ($one) = @_; substr($one, -5, 1) ^= "\3"; $one },
  'the number changed' => sub { my ($one) = @_; substr($one, -1) ^= "\1"; $one },
  'cut by a byte' => sub { my ($one) = @_; substr $one, 0, -1 },
  'longer by a byte' => sub { my ($one) = @_; "$one\0" },
  'only its trailer' => sub { my ($one) = @_; substr $one, -16 },
  'sent again' => sub { my ($one) = @_; (undef, $one) },
  'out of order' => sub { my ($one, $two) = @_; $two },
);

sub frames_are_guarded {
  my ($name, $peer, $role, $ours, $theirs) = @_;
  _within_time("our $role, $name: a frame that is changed" => sub {
    for my $deed (sort keys %deed) {
      my ($we, $they) = agree($peer, $role, $ours, $theirs);
      my @frame = map { unpack 'N/a*', $they->seal("a message, the ${_}th")->{message} } 4, 5;
      my @arriving = map { defined $_ ? $_ : $frame[0] } $deed{$deed}->(@frame);
      my $last = pop @arriving;
      is $we->unseal(pack 'N/a*', $_)->{state}, 'more', "$deed: what comes before is taken" for @arriving;
      my $got = $we->unseal(pack 'N/a*', $last);
      is $got->{state}, 'fail', "$deed: refused";
      ok !defined $got->{message}, 'without any plaintext';
      like $got->{error}, qr/\(SASL_(?:BADMAC|BADPROT)\)/, 'with a reason';
      is $we->unseal(pack 'N/a*', $frame[@arriving])->{state}, 'fail', 'and the right frame does not help afterwards';
      is $we->seal('x')->{state}, 'fail', 'and nothing is sent any more';
      $_->end for $we, $they;
    }
  });
  return;
}

1;
