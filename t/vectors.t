# The exchanges of t/vectors (t/vectors/README.md has their format) through the Perl API. The nonces of a mechanism cannot be
# chosen here: this side's nonce is read from its message and replaces the vector's, and an exchange that must succeed with a
# proof over nonces runs client against server.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use FindBin ();
use Authen::SASL qw(Rust);

sub unescaped {
  my ($text, $place) = @_;
  return undef if $text eq '(absent)';
  return '' if $text eq '(empty)';
  my %known = ('\\0' => "\0", '\\\\' => '\\');
  $text =~ s{\\(?:x([0-9a-fA-F]{2})|.|\z)}{
    defined $1 ? chr hex $1 : exists $known{$&} ? $known{$&} : die "$place: unknown escape $&\n"
  }gse;
  return $text;
}

sub vectors_of {
  my ($file) = @_;
  open my $handle, '<:raw', $file or die "$file: $!";
  my ($name) = $file =~ m{([^/]+)\z};
  my (@vectors, $vector);
  while (defined(my $line = <$handle>)) {
    chomp $line;
    if ($line !~ /\S/) { undef $vector; next }
    next if $line =~ /\A#/;
    my ($key, $value) = $line =~ /\A([^:]+): (.+)\z/s or die "$name:$.: this is no line of a vector\n";
    push @vectors, $vector = { place => "$name:$.", facts => {}, lines => [], expect => [] } unless $vector;
    if ($key eq 'expect') {
      my ($text, $side) = $value =~ /\A(.*?)(?: on (client|server))?\z/s;
      push @{ $vector->{expect} }, map { [$_, $text] } $side || ('client', 'server');
    }
    elsif ($key eq 'C' || $key eq 'S') {
      push @{ $vector->{lines} }, [$key eq 'C' ? 'client' : 'server', unescaped($value, "$name:$.")];
    }
    else {
      # Names are octets in UTF-8.
      $value = unescaped($value, "$name:$.");
      utf8::decode(my $characters = $value) or die "$name:$.: a header is UTF-8\n";
      $vector->{facts}{$key} = $value;
    }
  }
  return @vectors;
}

my %callback = (
  authcid => 'user', authzid => 'authname', password => 'pass', token => 'token', 'ht-token' => 'ht_token', 'scram-keys' => 'scram_keys', realm => 'realm', host => 'host',
  port => 'port', 'serv-name' => 'serv',
);

sub client_callbacks {
  my ($facts) = @_;
  return map { $callback{$_} => $facts->{$_} } grep { defined $facts->{$_} } keys %callback;
}

sub first_defined { return (grep { defined } @_)[0] }

sub server_callbacks {
  my ($facts) = @_;
  my $known = first_defined(@{$facts}{qw(user authcid)});
  my $secret = first_defined(@{$facts}{qw(verifier secret password)});
  my $is_known = sub { defined $known && $_[0]{user} eq $known };
  my %callback = (
    getsecret => sub { $is_known->($_[1]) ? $secret : undef },
    checktoken => sub {
      my ($conn, $question) = @_;
      my $right = defined $facts->{token} && $question->{token} eq $facts->{token};
      return first_defined($facts->{'token-identity'}, $known) if $right && !defined $facts->{'refuse-status'};
      return {
        status => first_defined($facts->{'refuse-status'}, 'invalid_token'),
        defined $facts->{'refuse-scope'} ? (scope => $facts->{'refuse-scope'}) : (),
        defined $facts->{'refuse-configuration'} ? ('openid-configuration' => $facts->{'refuse-configuration'}) : (),
      };
    },
  );
  my $tokens = first_defined(@{$facts}{qw(ht-tokens ht-token)});
  $callback{ht_tokens} = sub { $is_known->($_[1]) ? [map { length ? $_ : { token => 'x', expires => 1 } } split /\0/, $tokens] : undef }
    if defined $tokens;
  if (defined(my $state = $facts->{'otp-state'})) {
    $callback{otp_state} = sub { $is_known->($_[1]) ? $state : undef };
    $callback{otp_replace} = sub { $_[1]{old} eq $state or return 0; $state = $_[1]{new}; 1 };
  }
  # A secret other than the client's password is only for getsecret.
  $callback{checkpass} = sub { $is_known->($_[1]) && defined $secret && $_[1]{pass} eq $secret }
    unless defined $facts->{secret} || defined $facts->{verifier};
  $callback{authorize} = sub { $facts->{authorize} eq 'yes' } if defined $facts->{authorize};
  return %callback;
}

sub party {
  my ($side, $facts) = @_;
  my %callbacks = $side eq 'client' ? client_callbacks($facts) : server_callbacks($facts);
  # A server that can only use EXTERNAL is not made if it cannot use that.
  my $unproved = $side eq 'server' && $facts->{mechanism} eq 'EXTERNAL' && !length first_defined($facts->{'external-id'}, '');
  my $list = $unproved ? 'EXTERNAL ANONYMOUS' : $facts->{mechanism};
  my $sasl = Authen::SASL->new(mechanism => $list, callback => \%callbacks);
  my %option = map { /\A(?:$side-)?option-(.+)/ ? ($1 => $facts->{$_}) : () } keys %$facts;
  $option{realm} = $facts->{realm} if $side eq 'server' && defined $facts->{realm};
  $option{external_id} = $facts->{'external-id'} if defined $facts->{'external-id'};
  if (defined $facts->{'channel-binding'}) {
    my ($type, $data) = split / /, $facts->{'channel-binding'};
    $option{channel_binding} = { $type => pack 'H*', $data };
  }
  my $new = "${side}_new";
  my $conn = $sasl->$new(first_defined($facts->{service}, ''), first_defined($facts->{host}, ''), \%option);
  $conn->mechanism('EXTERNAL') if $unproved;
  return $conn;
}

# Makes one call; returns the message, or undef if there is none.
sub said {
  my ($conn, $call, @arg) = @_;
  my @message = $conn->$call(@arg);
  return undef if !@message || ($conn->property('message_absent') && !$conn->error);
  return $message[0];
}

sub named { return join ' ', map { defined && length ? quotemeta : 'nobody' } @_ }

sub check_identity {
  my ($conn, $facts, $at) = @_;
  my $authcid = first_defined(@{$facts}{qw(identity user authcid)});
  my $authzid = first_defined(@{$facts}{qw(acts-as authzid)});
  my $acts_as = $conn->property('authzid');
  $_ = defined $_ && defined $authcid && $_ eq $authcid ? undef : $_ for $authzid, $acts_as;
  is(named($conn->answer('user'), $acts_as), named($authcid, $authzid), "$at: identity");
  return;
}

sub check_end {
  my ($conn, $side, $wanted, $facts, $at) = @_;
  if ($wanted eq 'done') {
    ok($conn->is_success, "$at: success") or diag(first_defined($conn->error, 'no error'));
    ok(!$conn->need_step && !defined $conn->error && $conn->code == 0, "$at: it is over");
    check_identity($conn, $facts, $at) if $side eq 'server';
  }
  else {
    like(first_defined($conn->error, ''), qr/\Q$wanted\E/, "$at: the error");
    ok(!$conn->is_success && !$conn->need_step && $conn->code < 0, "$at: it failed");
  }
  return;
}

# Values that depend on nonces, and so cannot be predicted: the proofs of CRAM-MD5, DIGEST-MD5 and SCRAM.
my $PROOF = qr/(?:\bresponse|\brspauth)="?[0-9a-f]{32}|(?<= )[0-9a-f]{32}\z|(?:\A|,)[pv]=[A-Za-z0-9+\/]{26,}=*/;

# Matches a message that differs in proofs and in one nonce, which is captured.
sub like_line {
  my ($text, $nonce) = @_;
  my @parts;
  for my $part (defined $nonce ? split /\Q$nonce\E/, $text, -1 : $text) {
    my @plain = map { quotemeta } split /$PROOF/, $part, -1;
    push @parts, join '[^ ]{26,}?', @plain;
  }
  my $pattern = shift @parts;
  $pattern .= '([^",@>]+?)' . shift @parts if @parts;
  $pattern .= '\g1' . $_ for @parts;
  return qr/\A$pattern\z/;
}

# Runs one side against the other side's lines. The actual nonce replaces this side's nonce of the vector; the exchange ends
# before a line with a proof over it.
sub scripted {
  my ($vector, $side, $wanted) = @_;
  my ($facts, @lines) = ($vector->{facts}, @{ $vector->{lines} });
  my $at = "$vector->{place} on $side";
  my $nonce = $facts->{"$side-nonce"};
  my $conn = party($side, $facts);
  my ($message, $live);
  if (@lines && $lines[0][0] ne $side) {
    my $call = $side eq 'server' ? 'server_start' : 'client_step';
    $message = said($conn, $call, (shift @lines)->[1]);
  }
  else { $message = said($conn, "${side}_start") }
  for my $line (@lines) {
    my ($speaker, $text) = @$line;
    if (!defined $text) {
      is($message, undef, "$at: nothing is said") if $speaker eq $side;
    }
    elsif ($speaker ne $side) {
      if (defined $nonce && $wanted eq 'done' && $text =~ $PROOF) {
        return ok($conn->need_step && !defined $conn->error, "$at: it goes on to a proof");
      }
      $text =~ s/\Q$nonce\E/$live/g if defined $live;
      $message = said($conn, "${side}_step", $text);
    }
    elsif (defined $nonce) {
      my $pattern = defined $live ? do { $text =~ s/\Q$nonce\E/$live/g; like_line($text) } : like_line($text, $nonce);
      like($message, $pattern, "$at: message but for nonce and proof")
        or return diag(first_defined($conn->error, 'no error'));
      $live = $1 if !defined $live && $message =~ $pattern && defined $1;
    }
    else {
      is($message, $text, "$at: message") or return diag(first_defined($conn->error, 'no error'));
    }
  }
  return check_end($conn, $side, $wanted, $facts, $at);
}

# Removes what differs between runs.
sub masked {
  my ($text) = @_;
  s/$PROOF/*/g, s/\b(c?nonce)="[^"]*"/$1="*"/g, s/\A<[^@]*@/<*@/, s/\br=[^,]+/r=*/g for $text;
  return $text;
}

# Runs both sides against each other.
sub live {
  my ($vector) = @_;
  my $facts = $vector->{facts};
  my %conn = map { $_ => party($_, $facts) } qw(client server);
  my $message = said($conn{client}, 'client_start');
  my @said = defined $message ? ([client => masked($message)]) : ();
  $message = said($conn{server}, 'server_start', $message);
  my $speaker = 'server';
  while (defined $message && @said < 9) {
    push @said, [$speaker => masked($message)];
    $speaker = $speaker eq 'server' ? 'client' : 'server';
    last unless $conn{$speaker}->need_step;
    $message = said($conn{$speaker}, "${speaker}_step", $message);
  }
  my @lines = map { [$_->[0], masked($_->[1])] } @{ $vector->{lines} };
  is_deeply(\@said, \@lines, "$vector->{place}: the messages, but for nonces and proofs");
  check_end($conn{ $_->[0] }, @$_, $facts, "$vector->{place} on $_->[0]") for @{ $vector->{expect} };
  return;
}

# A success, or a refusal after the proofs, needs proofs over the actual nonces.
sub needs_proofs {
  my ($vector) = @_;
  return 0 unless grep { defined $vector->{facts}{"$_-nonce"} } qw(client server);
  my @expect = @{ $vector->{expect} };
  return 1 if grep { $_->[1] =~ /may not act as/ } @expect;
  return 2 == grep { $_->[1] eq 'done' } @expect;
}

my %run;
for my $file (sort glob "$FindBin::Bin/vectors/*.txt") {
  my ($name) = $file =~ m{([^/]+)\.txt\z};
  subtest $name => sub {
    for my $vector (vectors_of($file)) {
      if (needs_proofs($vector)) {
        live($vector);
        $run{live}++;
      }
      else {
        for my $expected (@{ $vector->{expect} }) {
          scripted($vector, @$expected);
          $run{scripted}++;
        }
      }
    }
  };
}
cmp_ok($run{scripted}, '>', 200, 'exchanges of one side against written lines');
cmp_ok($run{live}, '>', 15, 'exchanges of both sides');

done_testing;
