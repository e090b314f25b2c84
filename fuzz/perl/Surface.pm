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
our $plain;         # so far the program has made connections and exchanges with them, and nothing else
our $meddled;       # it has called what is private, or left or entered a call where no program should
my ($at, @born, @lines);
my (%list, %exchanges);    # a connection's mechanisms; exchanges that servers of an AUTH line have begun, and requests that were refused without one
my $trace = $ENV{SURFACE_TRACE};

my $RECORD = 6;
my $MOST_DEPTH = 4;

# Words for careless values: Perl's own, and two of ours. All others are findings.
my @usual = (
  qr/\AUse of uninitialized value/,         # undef where text or a number is meant
  qr/\AArgument ".*" isn't numeric/s,
  qr/\AOdd number of elements in/, qr/\AReference found where even-sized list expected/,
  qr/\A\w+\(\) on (?:unopened|closed) /,    # a handle that was closed
  qr/\A(?:Redundant|Missing) argument in /, qr/\AInvalid conversion /,    # printf
  qr/\AMalformed UTF-8 character/,          # a string whose UTF-8 flag lies
  qr/\Aignored, since no security flag resembles it: /, qr/\Aproperty .* is stored and has no effect; did you mean /s,
  qr/\A\t\(in cleanup\) /,                  # a die in a destructor, or in a continuation that is dropped
);

my $alarm = qr/\bpanic\b|Attempt to (?:free|reload|copy)|freed (?:scalar|value)|Bizarre/;    # perl's own

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
  finding("$what: $text") if $text =~ $alarm;
  return;
}

# Where the mechanism of one side is another than the other's, a server takes the whole message with the token for a name.
sub is_a_name {
  my ($text) = @_;
  return $text =~ /(?:user=\w+|\bn,.*)(?:.|\\u\{1\})auth=Bearer /s
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

# A connection that was made, of a list of mechanisms if it is known: looked after until it is gone.
sub born {
  my ($conn, $list) = @_;
  return unless Scalar::Util::blessed($conn) && $conn->isa('Authen::SASL::Rust::Connection');
  push @born, $conn;
  Scalar::Util::weaken($born[-1]);
  $list{ Scalar::Util::refaddr($conn) } = { map { uc $_ => 1 } split /[^A-Za-z0-9_-]+/, $list }
    if defined $list && !ref $list;
  return;
}

# A server of an AUTH line.
sub lined {
  my ($line) = @_;
  push @lines, $line;
  Scalar::Util::weaken($lines[-1]);
  $exchanges{ Scalar::Util::refaddr($line) } = 0;
  return;
}

# What a server of an AUTH line begins and what it refuses is seen on the way.
{
  my %seen = (
    _ask => sub { $_[1] eq 'server_start' ? 1 : 0 },
    _unauthorized => sub { $_[1] =~ /\A\S+ is not offered\z|\Aauth-step: no exchange is under way\z/ ? 1 : 0 },
    _unavailable => sub { -1 },    # nobody was judged
  );
  no warnings 'redefine';
  no strict 'refs';
  for my $name (keys %seen) {
    my $full = "Authen::SASL::Rust::AuthLine::$name";
    my ($own, $counts) = (\&$full, $seen{$name});
    *$full = sub { $exchanges{ Scalar::Util::refaddr($_[0]) } += $counts->(@_) if ref $_[0]; goto &$own };
  }
}

my %proves_nothing = map { $_ => 1 } qw(ANONYMOUS EXTERNAL);    # the world around the exchange vouches
my $proved_to_client = qr/\A(?:SCRAM-|DIGEST-)/;

sub judge {
  for my $conn (grep { defined } @born) {
    my ($error, $code, $success) = map { Authen::SASL::Rust::Connection->can($_)->($conn) } qw(error code is_success);
    examine('an error', $error);
    finding('an error and a success at once: ' . $error) if defined $error && $success;
    finding('an error without its number, or a number alone') if defined $error != ($code != 0);
    my $server = Authen::SASL::Rust::Connection::_side($conn);
    unproved($conn) if $server && !$success && !Authen::SASL::Rust::Connection::_layered($conn);    # a layer may break later
    next unless $success;
    my $name = Authen::SASL::Rust::Connection::_get($conn, 'mechname');
    trace("success of $name");
    my $list = $list{ Scalar::Util::refaddr($conn) };
    finding("a success of $name, which is none of the server's mechanisms") if $server && $list && !$list->{$name};
    finding("a success of $name, which the accounts' mech_list does not have")
      if $server && !$meddled && Surface::Calls::is_excluded($conn, $name);
    next if $permitted;
    finding("a success of $name without the secret, of the " . ($server ? 'server' : 'client'))
      if $server ? !$proves_nothing{$name} : $name =~ $proved_to_client;
  }
  return;
}

# A program that takes a name for a success must not be wrong.
sub unproved {
  my ($conn) = @_;
  my @told = grep { defined Authen::SASL::Rust::Connection::_get($conn, $_) } qw(user authuser authcid authzid);
  push @told, 'user()' if $conn->isa('Authen::SASL::Rust::Connection') && defined $conn->user;
  finding("names before they are proved: @told") if @told;
  return;
}

# Each exchange of an AUTH line that has begun has succeeded, or is counted as a failure, once: as soon as the line is closed.
sub count {
  my ($line) = @_;
  for my $gone (0, 1) {
    $line->hang_up if $gone;
    next unless $line->is_closed;
    my ($begun, $done) = ($exchanges{ Scalar::Util::refaddr($line) }, $line->is_done ? 1 : 0);
    finding("of $begun exchanges $done have succeeded, and " . $line->failures . ' are counted as failures')
      if $line->failures != $begun - $done;
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
  for my $line ($meddled || $torn ? () : grep { defined } @lines) {
    attempt(sub { count($line) });
  }
  @lines = ();
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
  %list = %exchanges = ();
  return;
}

sub run {
  @SIG{qw(__WARN__ PIPE)} = (\&warned, 'IGNORE');
  if (!$unfinished) {
    $unfinished = 1;
    ($found, $torn, $at, $depth, $permitted, $plain, $meddled) = (undef, undef, 0, 0, 0, 1, 0);
    %world = ();
    return undef $unfinished if grep { /granite|pencil-R7|token-R7|$alarm/ } @texts;
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
