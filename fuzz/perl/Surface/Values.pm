package Surface::Values;

# Arguments of every kind. Each is passed as a reference to the scalar itself, so that it keeps its magic.

use strict;
use warnings;
use Encode ();
use Scalar::Util ();

{
  package Surface::Values::Tied;
  sub TIESCALAR { my ($class, $value) = @_; return bless [$value], $class }
  sub FETCH { Surface::Values::read_by_perl(); return $_[0][0] }
  sub STORE { my ($self, $value) = @_; $self->[0] = $value; return }

  package Surface::Values::Overloaded;
  use overload '""' => sub { Surface::Values::read_by_perl(); return $_[0][0] }, fallback => 1;

  package Surface::Values::Code;
  use overload '&{}' => sub {
    my $self = shift;
    return sub { Surface::Values::read_by_perl(); return $self->[0] }
  }, '""' => sub { 'code' };

  package Surface::Values::Mourned;
  sub DESTROY { local $Surface::destroying = 1; Surface::Values::read_by_perl(); return }

  package Surface::Values::Bare;
}

# Reading may run a part of the program.
sub read_by_perl { return Surface::Answers::interlude() }

my $class = 'Authen::SASL::Rust::Connection';
my ($array, $hash, $code, $scalar) =
  ([1, 'two', undef], { a => 1, user => 'wilma' }, sub { return 'called' }, \my $plain);
my ($object, $forged, $forged_scalar) =
  (bless({}, 'Surface::Values::Bare'), bless({}, $class), bless(\(my $i = 12345), $class));
my $options = { maxbuf => 4096, colour => 'blue', externalssf => 256 };
my ($two_keys, $limits) =
  ({ salt => 'c2FsdA==', iterations => 4096 }, { minssf => 0, maxssf => 256, no_integrity => 0 });

sub shared {
  return $array, $hash, $code, $scalar, $object, $forged, $forged_scalar, $options, $two_keys, $limits, \*SHARED;
}

sub tied_to { my ($value) = @_; tie my $tied, 'Surface::Values::Tied', $value; return \$tied }
sub overloaded { my ($value) = @_; my $over = bless [$value], 'Surface::Values::Overloaded'; return \$over }

my @plain = (
  undef, '', 0, 1, -1, 42, 1e300, '0', 'fred', "J\xFCrgen", "\x{263A}", "nul\0inside", '9' x 400, 'x' x 70_000,
  'PLAIN', 'SCRAM-SHA-256', 'NOSUCH', 'noplaintext', '1.2.3.4;56', 'a@b', "\xFF\xFE", "\r\n", 'allow', 'require', 4096,
  4097,
  17, 256, '-0', 'inf', '0 but true', "tls-unique", 'ldap', 'realm,"with\\quotes"',
  $array, $hash, $code, $scalar, $object, $forged, $forged_scalar, $options, $two_keys, $limits,
);

my @made = (
  sub { \undef }, sub { my $v = [$code, 1, undef, 'x']; \$v }, sub { my $v = []; \$v }, sub { my $v = [undef]; \$v },
  sub { my $v = [$array]; \$v }, sub { my $v = \*SHARED; \$v }, sub { my $v = *SHARED; \$v },
  sub { my $v = qr/x/; \$v },
  sub { my $v = \\'x'; \$v },
  sub { my $v = bless [], $class; \$v },
  sub { my $v = $class; \$v },
  sub {
    my $v = sub { };
    \$v;
  },
  sub { Encode::_utf8_on(my $v = "broken\xFF\xC3"); \$v }, sub { my $v = Scalar::Util::dualvar(7, 'seven'); \$v },
  sub { my $v = v1.22.333; \$v }, sub { Internals::SvREADONLY(my $v = 'fixed', 1); \$v },
  sub { my $v = $array; Scalar::Util::weaken($v); \$v }, sub { my $v = [1]; Scalar::Util::weaken($v); \$v },
  sub { my $v = bless [$code], 'Surface::Values::Code'; \$v },
  sub { my $v = bless [], 'Surface::Values::Mourned'; \$v },
  sub { tied_to('fred') },
  sub { tied_to(undef) },
  sub { tied_to($array) },
  sub { tied_to($code) },
  sub { tied_to([$code]) },
  sub { tied_to("\x{263A}") }, sub { overloaded('fred') }, sub { overloaded('') }, sub { overloaded("\x{263A}") },
  sub { my $v = 'substring'; \substr $v, 0, 3 },
  sub { my $v = 'abc'; pos($v) = 1; \pos $v },
  sub { my $v = 'abc'; \vec $v, 0, 8 },
  sub { \$1 }, sub { \$! }, sub { \$0 }, sub { \$_ }, sub { \$@ }, sub { \$ENV{SURFACE_NONE} }, sub { \$#{ [1, 2] } },
  sub { my $v = { a => 1 }; Internals::SvREADONLY(%$v, 1); \$v },
  sub { tie my %v, 'Surface::Values::Hash'; my $v = \%v; \$v },
  sub { my $v = \&Surface::Values::none; \$v },
  sub { my %v = (key => 1); my ($v) = keys %v; \$v },
);

{
  package Surface::Values::Hash;
  sub TIEHASH { return bless { user => 'fred', maxbuf => 100 }, $_[0] }
  sub FETCH { Surface::Values::read_by_perl(); return $_[0]{ $_[1] } }
  sub STORE { $_[0]{ $_[1] } = $_[2]; return }
  sub DELETE { return delete $_[0]{ $_[1] } }
  sub CLEAR { %{ $_[0] } = (); return }
  sub EXISTS { return exists $_[0]{ $_[1] } }
  sub FIRSTKEY { my @keys = sort keys %{ $_[0] }; return $keys[0] }
  sub NEXTKEY {
    my @keys = grep { $_ gt $_[1] } sort keys %{ $_[0] };
    return $keys[0];
  }
}

# Objects that the program has made itself.
my @own = map {
  my $kind = $_;
  map {
    my $slot = $_;
    sub { my $v = $Surface::world{$kind}[$slot]; \$v }
  } 0, 1
} qw(conn sasl layer later line message);

my @all = (
  (
    map {
      my $value = $_;
      sub { my $v = $value; \$v }
    } @plain
  ),
  @made,
  @own,
  map {
    my $n = $_;
    sub { my $v = $Surface::forged[$n]; \$v }
  } 0 .. 3
);
my $TEXTS = 224;    # numbers from here on denote the program's texts

sub value {
  my ($number) = @_;
  my $made = $number < $TEXTS || !@Surface::texts ? $all[$number % @all]->() : do {
    my $v = $Surface::texts[($number - $TEXTS) % @Surface::texts];
    \$v;
  };
  Surface::trace('value ', $number % @all) if $number < $TEXTS;
  return $made;
}

1;
