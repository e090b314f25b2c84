package Surface;

# Operations of Perl programs on the extension, and assertions that must always hold. A program is a tape of records of six
# numbers. The first number selects the next call, or from 128 on, the behaviour of the callback that is called now. A callback
# that finds no such record behaves correctly. So calls occur in any order, including calls within callbacks.

use strict;
use warnings;
use Authen::SASL qw(Rust);
use Encode ();
use Scalar::Util ();

# A secret that only the server's application knows, and those that a client gets. A tape cannot contain them.
our ($UNKNOWN, $SECRET, $TOKEN);
BEGIN { ($UNKNOWN, $SECRET, $TOKEN) = ('granite-Q2', 'pencil-R7', 'token-R7') }

use Surface::Answers ();
use Surface::Calls ();
use Surface::Values ();

our ($tape, @texts);    # the program
our @forged;            # objects that look genuine
our @watched;           # references to objects that programs share; their reference counts must not change
our $found;             # a violated assertion, to be reported
our $unfinished;        # the program has called exit
our %world;             # slots: objects that the program has made so far
our $destroying;        # a destructor runs
our $torn;              # it has called exit: perl itself leaks what it was freeing, so nothing can be counted
our $permitted;         # a callback returned true, or knew the right secret
our $depth;
our $plain;         # so far the program has only made connections and exchanges
our %successes;     # mechanisms that have succeeded
our @keys;          # keys that callbacks were given: no text shows them
our $meddled;       # it has called private methods, or left or entered a call in an unsupported way
my ($at, @born, @lines);
my (%list, %exchanges);    # a connection's mechanisms; exchanges that servers of an AUTH line have begun, and requests that were refused without one
my $trace = $ENV{SURFACE_TRACE};

my $RECORD = 6;
my $MAX_DEPTH = 4;

# Permitted warnings about careless values: Perl's own, and two of ours. All others are findings.
my @usual = (
  qr/\AUse of uninitialized value/,         # undef where text or a number is meant
  qr/\AArgument ".*" isn't numeric/s,
  qr/\AOdd number of elements in/, qr/\AReference found where even-sized list expected/,
  qr/\A\w+\(\) on (?:unopened|closed) /,    # a handle that was closed
  qr/\AWide character in printf? at \S+\/Surface\/Calls\.pm /,    # a handle without a layer
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

# No text for users contains a secret, and none is an internal error of perl.
sub examine {
  my ($what, $text) = @_;
  return unless defined $text && !ref $text;
  Encode::_utf8_off($text);    # a value whose UTF-8 flag lies may be in it, which no pattern survives
  trace("$what: $text");
  for my $secret ($UNKNOWN, $SECRET, $TOKEN) {
    finding("a secret in $what: $text") if index($text, $secret) >= 0 && !is_a_name($text);
  }
  finding("a key in $what: $text") if grep { index($text, $_) >= 0 } @keys;
  finding("$what: $text") if $text =~ $alarm;
  return;
}

# If the two sides use different mechanisms, a server may interpret the whole message, including the token, as a name.
sub is_a_name {
  my ($text) = @_;
  return $text =~ /(?:user=\w+|\bn,.*)(?:.|\\u\{1\})auth=Bearer /s
    && grep { defined && (Authen::SASL::Rust::Connection->can('mechanism')->($_) // '') !~ /OAUTH/ } @born;
}

sub warned {
  my ($text) = @_;
  Encode::_utf8_off($text) unless ref $text;
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

# Registers a new connection, with its list of mechanisms if known: it is checked until it is destroyed.
sub born {
  my ($conn, $list) = @_;
  return unless Scalar::Util::blessed($conn) && $conn->isa('Authen::SASL::Rust::Connection');
  push @born, $conn;
  Scalar::Util::weaken($born[-1]);
  $list{ Scalar::Util::refaddr($conn) } = { map { uc $_ => 1 } split /[^A-Za-z0-9_-]+/, $list }
    if defined $list && !ref $list;
  return;
}

# Registers an AUTH line server.
sub lined {
  my ($line) = @_;
  push @lines, $line;
  Scalar::Util::weaken($lines[-1]);
  $exchanges{ Scalar::Util::refaddr($line) } = 0;
  return;
}

# Counts the exchanges that an AUTH line server begins, and the requests that it refuses.
{
  my %seen = (
    _ask => sub { $_[1] eq 'server_start' ? 1 : 0 },
    _unauthorized => sub { $_[1] =~ /\A\S+ is not offered\z|\Aauth-step: no exchange is in progress\z/ ? 1 : 0 },
    _unavailable => sub { -1 },    # neither accepted nor rejected
  );
  no warnings 'redefine';
  no strict 'refs';
  for my $name (keys %seen) {
    my $full = "Authen::SASL::Rust::AuthLine::$name";
    my ($own, $counts) = (\&$full, $seen{$name});
    *$full = sub { $exchanges{ Scalar::Util::refaddr($_[0]) } += $counts->(@_) if ref $_[0]; goto &$own };
  }
}

my %proves_nothing = map { $_ => 1 } qw(ANONYMOUS EXTERNAL);    # the identity is proved outside the exchange, or not at all
my $proved_to_client = qr/\A(?:SCRAM-|DIGEST-)/;

sub judge {
  for my $conn (grep { defined } @born) {
    my ($error, $code, $success) = map { Authen::SASL::Rust::Connection->can($_)->($conn) } qw(error code is_success);
    examine('an error', $error);
    # A message that encode refuses leaves the layer as it was.
    finding('an error and a success at once: ' . $error)
      if defined $error && $success && $error !~ /\Athe message is longer than one frame may be /;
    finding('an error without its number, or a number alone') if defined $error != ($code != 0);
    my $server = Authen::SASL::Rust::Connection::_side($conn);
    unproved($conn) if $server && !$success && !Authen::SASL::Rust::Connection::_layered($conn);    # a layer may break later
    next unless $success;
    my $name = Authen::SASL::Rust::Connection::_get($conn, 'mechname');
    trace("success of $name");
    $successes{$name} = 1;
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

# A program that treats a name as a success must be right.
sub unproved {
  my ($conn) = @_;
  my @told = grep { defined Authen::SASL::Rust::Connection::_get($conn, $_) } qw(user authuser authcid authzid);
  push @told, 'user()' if $conn->isa('Authen::SASL::Rust::Connection') && defined $conn->user;
  finding("names before they are proved: @told") if @told;
  return;
}

# Each AUTH line exchange that has begun has succeeded or is counted as one failure, as soon as the line is closed.
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

# Runs all records, or as many as a callback wants.
sub perform {
  my ($most) = @_;
  return if $depth >= $MAX_DEPTH;
  local $depth = $depth + 1;
  while ($most-- > 0 and my @record = record()) {
    attempt(sub { Surface::Calls::call(@record) });
    judge();
  }
  return;
}

# Frees everything. Reference cycles that the program itself has made are broken here.
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
    %successes = @keys = ();
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
