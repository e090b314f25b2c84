package Surface;

# What Perl programs can do to the extension, and what must hold whatever they do. A program is a tape of records, six
# numbers each. The first says which call is next; or, from 128 on, what a callback does that is called now. A callback
# that finds no such record does what is right. So any order of calls comes about, also of calls within callbacks.

use strict;
use warnings;
use Authen::SASL qw(Rust);
use Scalar::Util ();

# What only the application of a server knows, and what a client is given. A tape cannot spell them.
our ($UNKNOWN, $SECRET, $TOKEN);
BEGIN { ($UNKNOWN, $SECRET, $TOKEN) = ('granite-Q2', 'pencil-R7', 'token-R7') }

use Surface::Answers ();
use Surface::Calls ();
use Surface::Values ();

our ($tape, @texts);    # the program
our @forged;            # objects that look genuine
our @watched;           # references to what programs share; their counts of references must not change
our $found;             # what must not be, to be reported
our $unfinished;        # the program has left by exit
our %world;             # slots: what the program has made so far
our $destroying;        # a destructor runs
our $torn;              # it has left by exit: perl itself loses what it was freeing, so nothing can be counted
our $permitted;         # a callback said yes, or knew the right secret
our $depth;
my ($at, @born);
my $trace = $ENV{SURFACE_TRACE};

my $RECORD = 6;
my $MOST_DEPTH = 4;

# Perl's own words for careless values. All others are findings.
my @usual = (
  qr/\AUse of uninitialized value/,         # undef where text or a number is meant
  qr/\AArgument ".*" isn't numeric/s,
  qr/\AOdd number of elements in/, qr/\AReference found where even-sized list expected/,
  qr/\A\w+\(\) on (?:unopened|closed) /,    # a handle that was closed
  qr/\A(?:Redundant|Missing) argument in /, qr/\AInvalid conversion /,    # printf
  qr/\AMalformed UTF-8 character/,          # a string whose UTF-8 flag lies
  qr/\A\t\(in cleanup\) /,                  # a die in a destructor, or in a continuation that is dropped
);

# The next record, if it is one for a callback or a call.
sub record {
  my ($for_callback) = @_;
  my $from = $RECORD * $at;
  return if $from + $RECORD > length $tape;
  my ($number, @others) = unpack 'C*', substr $tape, $from, $RECORD;
  return if $for_callback && $number < 128;
  $at++;
  return ($number & 127, @others);
}

sub trace { print STDERR '  ' x $depth, @_, "\n" if $trace; return }

sub finding { my ($text) = @_; $found = $text unless defined $found; return }

# No text for people tells a secret, and none is perl's own alarm.
sub examine {
  my ($what, $text) = @_;
  return unless defined $text && !ref $text;
  trace("$what: $text");
  for my $secret ($UNKNOWN, $SECRET, $TOKEN) {
    finding("a secret in $what: $text") if index($text, $secret) >= 0 && !is_a_name($text);
  }
  finding("$what: $text") if $text =~ /\bpanic\b|Attempt to (?:free|reload|copy)|freed (?:scalar|value)|Bizarre/;
  return;
}

# Where the mechanism of one side is another than the other's, a server takes the whole message with the token for a name.
sub is_a_name {
  my ($text) = @_;
  return $text =~ /user=\w+.auth=Bearer /s
    && grep { defined && (Authen::SASL::Rust::Connection->can('mechanism')->($_) // '') !~ /OAUTH/ } @born;
}

sub warned {
  my ($text) = @_;
  examine('a warning', $text);
  finding("a warning: $text") unless ref $text || grep { $text =~ $_ } @usual;
  return;
}

# Runs code that may die.
sub attempt {
  my ($code) = @_;
  local $@;
  my @got;
  return @got if eval { @got = $code->(); 1 };
  my $died = $@;
  examine('an exception',
    Scalar::Util::blessed($died) && ref $died eq 'Authen::SASL::Rust::Error' ? $died->message : $died);
  return;
}

# A connection that was made: looked after until it is gone.
sub born {
  my ($conn) = @_;
  return unless Scalar::Util::blessed($conn) && $conn->isa('Authen::SASL::Rust::Connection');
  push @born, $conn;
  Scalar::Util::weaken($born[-1]);
  return;
}

my %proves_nothing = map { $_ => 1 } qw(ANONYMOUS EXTERNAL);    # the world around the exchange vouches
my $proved_to_client = qr/\A(?:SCRAM-|DIGEST-)/;

sub judge {
  for my $conn (grep { defined } @born) {
    my ($error, $code, $success) = map { Authen::SASL::Rust::Connection->can($_)->($conn) } qw(error code is_success);
    examine('an error', $error);
    finding('an error and a success at once: ' . $error) if defined $error && $success;
    finding('an error without its number, or a number alone') if defined $error != ($code != 0);
    next unless $success;
    my $name = Authen::SASL::Rust::Connection::_mechanism($conn);
    trace("success of $name");
    next if $permitted;
    my $server = Authen::SASL::Rust::Connection::_side($conn);
    finding("a success of $name without the secret, of the " . ($server ? 'server' : 'client'))
      if $server ? !$proves_nothing{$name} : $name =~ $proved_to_client;
  }
  return;
}

# As many records as there are, or as many as a callback wants.
sub perform {
  my ($most) = @_;
  return if $depth >= $MOST_DEPTH;
  local $depth = $depth + 1;
  while ($most-- > 0 and my @record = record()) {
    attempt(sub { Surface::Calls::call(@record) });
    judge();
  }
  return;
}

# Lets go of everything. What holds itself is the program's own circle, and is opened here.
sub settle {
  $at = length $tape;
  %world = ();
  judge();
  my @alive = grep { defined } @born;
  for my $conn (@alive) {
    %{ Authen::SASL::Rust::Connection::_callbacks($conn) } = ();
    %$conn = ();
  }
  @alive = ();
  finding('a connection is still alive') if grep { defined } @born;
  @born = ();
  return;
}

sub run {
  @SIG{qw(__WARN__ PIPE)} = (\&warned, 'IGNORE');
  if (!$unfinished) {
    $unfinished = 1;
    ($found, $torn, $at, $depth, $permitted) = (undef, undef, 0, 0, 0);
    %world = ();
    return undef $unfinished if grep { /granite|pencil-R7|token-R7/ } @texts;
    perform(length $tape);
  }
  ($depth, $@, $_, $destroying) = (0, '', undef, 0);
  delete @SIG{qw(__DIE__)};
  settle();
  undef $unfinished;
  return;
}

push @watched, Surface::Values::shared(), Surface::Answers::shared();

1;
