package Surface::Answers;

# The behaviours of callbacks: correct unless the tape says otherwise, or anything that a program can do there.

use strict;
use warnings;
no warnings 'exiting';
use Authen::SASL qw(Rust);
use Digest::MD5 ();
use MIME::Base64 ();
use Scalar::Util ();

# Verifiers: of the unknown secret, and of the client's.
my @verifier =
  map { Authen::SASL::Rust->scram_verifier(password => $_, mechanism => 'SCRAM-SHA-256', salt => 'saltsalt') }
  $Surface::UNKNOWN, $Surface::SECRET;

# The state of OTP whose pass phrase is the secret.
my $OTP = "md5\t0009\tfu0001\t14b71c9fd8692019\t" . '0' x 20;

# Hashes, the stronger ones later.
my %STRENGTH = do { my $n; map { ("SCRAM-$_" => ++$n) } qw(SHA-1 SHA-224 SHA-256 SHA-384 SHA-512 SHA3-512) };

# Marks behaviours that may lead to a success without the right secret.
sub permits {
  my ($name, $answer) = @_;
  return if $name !~ /\A(?:checkpass|getsecret|checktoken|ht_tokens|otp_state)\z/;
  if (!tied $$answer) {
    return unless defined $$answer;
    my $mere = ref $$answer && !Scalar::Util::blessed($$answer);
    return if $mere && $name eq 'checkpass';
    return
      if !ref $$answer
      && ($name eq 'checkpass' ? !$$answer : grep { $$answer eq $_ } '', $Surface::UNKNOWN, $verifier[0]);
  }
  $Surface::permitted = 1;
  return;
}

sub right {
  my ($name, @arg) = @_;
  my ($query) = grep { ref eq 'HASH' } @arg;
  my $known = $Surface::world{known} || 0;
  my %right = (
    user => 'fred', authcid => 'fred', auth => 'fred', pass => $Surface::SECRET, password => $Surface::SECRET,
    token => $Surface::TOKEN, ht_token => $Surface::TOKEN,
    realm => 'h', serv => '', host => 'h', port => 143, language => 'en',
    (map { $_ => $Surface::world{acting} ? 'anna' : '' } qw(authname authzid)),
    authorize => 1, setpass => 1,
    getsecret => $known > 1 ? $verifier[1]
    : $known ? $Surface::SECRET
    : ($Surface::world{verifier} ? $verifier[0] : $Surface::UNKNOWN),
    checkpass => $known && $query && ($query->{pass} || '') eq $Surface::SECRET ? 1 : 0,
    checktoken => $known && $query && ($query->{token} || '') eq $Surface::TOKEN ? 'fred' : undef,
    ht_tokens => $known ? ['another', $Surface::TOKEN] : undef,
    otp_state => $known ? $OTP : undef, otp_replace => 1, setverifier => 1,
    canonuser => $arg[-1], channel_binding => 'binding data', challenge => one_time_password(@arg),
    keep_scram_keys => undef, log => undef,
  );
  return \$right{$name};
}

# The behaviours. Each gets the record, the callback's name, and its unchanged arguments; it returns a reference to the answer.
my @behaviours = (
  ['right', sub { my ($r, $name) = splice @_, 0, 2; return right($name, @_) }],
  ['value', sub { my ($r) = @_; return Surface::Values::value($r->[1]) }],
  ['die', sub { die "a string\n" }],
  ['die with an object', sub { die bless ['died'], 'Surface::Values::Overloaded' }],
  ['die with one that is mourned', sub { die bless [], 'Surface::Values::Mourned' }],
  ['last', sub { last }],
  ['next', sub { next }],
  ['goto', sub { goto NOWHERE }],
  ['exit', \&leave],
  ['go on', sub { my ($r, $name) = splice @_, 0, 2; Surface::perform(1 + $r->[1] % 4); return right($name, @_) }],
  [
    'go on, then a value',
    sub { my ($r) = @_; Surface::perform(1 + $r->[1] % 4); return Surface::Values::value($r->[2]) }
  ],
  [
    'forget all',
    sub {
      my ($r, $name) = splice @_, 0, 2;
      my $right = right($name, @_);
      @Surface::world{qw(conn sasl line)} = ();
      return $right;
    }
  ],
  [
    'forget its arguments',
    sub { my ($r, $name) = splice @_, 0, 2; my $right = right($name, @_); @_ = (); return $right }
  ],
  [
    'spoil its arguments',
    sub {
      splice @_, 0, 2;
      $_ = undef for grep { !Internals::SvREADONLY($_) } @_;
      return \undef;
    }
  ],
  [
    'empty the callbacks',
    sub { my ($r, $name, $conn) = splice @_, 0, 3; %{ $conn->callback } = (); return Surface::Values::value($r->[1]) }
  ],
  [
    'change the callbacks',
    sub {
      my ($r, $name, $conn) = splice @_, 0, 3;
      $_ = ${ Surface::Values::value($r->[1]) } for values %{ $conn->callback };
      return right($name, @_);
    }
  ],
  ['keep', sub { my ($r, $name) = splice @_, 0, 2; keep($name, $r->[1], $_[-1]); return \undef }],
  ['keep and answer', sub { my ($r, $name) = splice @_, 0, 2; keep($name, $r->[1], $_[-1]); return right($name, @_) }],
  [
    'answer',
    sub {
      my ($r, $name) = splice @_, 0, 2;
      reply($name, $_[-1], right($name, @_));
      return Surface::Values::value($r->[1]);
    }
  ],
  [
    'answer with a value',
    sub { my ($r, $name) = splice @_, 0, 2; reply($name, $_[-1], Surface::Values::value($r->[1])); return \undef }
  ],
  [
    'no, then yes',
    sub { my ($r, $name) = splice @_, 0, 2; reply($name, $_[-1], \''); $_[-1]->(1) if ref $_[-1] eq 'CODE'; return \1 }
  ],
  [
    'answer twice',
    sub {
      my ($r, $name) = splice @_, 0, 2;
      reply($name, $_[-1], Surface::Values::value($r->[$_])) for 1, 2;
      return right($name, @_);
    }
  ],
  [
    'lose what is caught',
    sub {
      my ($r, $name) = splice @_, 0, 2;
      eval { die "within\n" };
      $_ = 'mine';
      return right($name, @_);
    }
  ],
  [
    'die inside a destructor',
    sub {
      my ($r, $name) = splice @_, 0, 2;
      { my $m = bless [], 'Surface::Values::Mourned' }
      return right($name, @_);
    }
  ],
);

sub number_of {
  my ($name) = @_;
  my ($number) = grep { $behaviours[$_][0] eq $name } 0 .. $#behaviours;
  return $number;
}

sub leave {
  return \undef if $Surface::destroying && $ENV{SURFACE_WHOLE};
  $Surface::torn = 1 if $Surface::destroying;
  exit 0;
}

sub keep {
  my ($name, $slot, $reply) = @_;
  $Surface::world{later}[$slot % 2] = ref $reply eq 'CODE' ? $reply : undef;
  $Surface::world{asked}[$slot % 2] = $name;
  return;
}

sub reply {
  my ($name, $reply, $answer) = @_;
  return unless ref $reply eq 'CODE';
  permits($name, $answer);
  return $reply->($$answer);
}

# Called by the extension. A reference, so that the answer keeps its magic.
sub called {
  my $name = shift;
  Surface::examine('an argument of a callback', $_) for grep { defined && !ref && $name !~ /checkpass|checktoken/ } @_;
  proved($name, @_);
  my @record = Surface::record(1);
  Surface::trace("callback $name") unless @record;
  return answered($name, right($name, @_)) unless @record;
  my $number = shift @record;
  my ($what, $do) = @{ $behaviours[$number % @behaviours] };
  Surface::trace("callback $name: $what");
  undef $Surface::plain;
  $Surface::meddled = 1 if $what =~ /\A(?:last|next|goto|exit)\z/;
  return answered($name, $do->([$number, @record], $name, @_));
}

# Callbacks that are called only after the application knew the secret, and what they must get. From then on no text may show the keys.
my %after_proof = (setverifier => \&upgraded, keep_scram_keys => \&kept, otp_replace => \&replaced);

sub proved {
  my ($name, $conn, @arg) = @_;
  my $its = $after_proof{$name} or return;
  Surface::finding("$name without the secret") unless $Surface::permitted;
  Surface::finding("$name after a failure") if defined Authen::SASL::Rust::Connection->can('error')->($conn);
  my ($query) = grep { ref eq 'HASH' } @arg or return Surface::finding("$name without its hash");
  return $its->($query);
}

# Keys that are derived from the client's secret, if the program has done nothing unusual.
sub are_those_of_the_secret {
  my ($what, $mechanism, $iterations, $salt, $keys) = @_;
  return unless $Surface::plain && $Surface::world{undisturbed};
  my $verifier = Authen::SASL::Rust->scram_verifier(password => $Surface::SECRET, mechanism => $mechanism,
    iterations => $iterations, salt => $salt);
  Surface::finding("$what of another password") if index($verifier, $keys) < 0;
  return;
}

# A stronger verifier.
sub upgraded {
  my ($query) = @_;
  my ($mechanism, $iterations, $salt, $keys) =
    ($query->{verifier} // '') =~ /\A([^\$]+)\$([0-9]+):([^\$]+)\$([^\$]+)\z/
    or return Surface::finding('setverifier without a verifier');
  push @Surface::keys, split /:/, $keys;
  Surface::finding("$mechanism with $iterations iterations replaces $1 with $2")
    if ($query->{stored} // '') =~ /\A(SCRAM-[^\$]+)\$([0-9]+):/
    && ($STRENGTH{$1} > $STRENGTH{$mechanism} || $2 > $iterations || $1 eq $mechanism && $2 == $iterations);
  return are_those_of_the_secret('a verifier', $mechanism, $iterations, MIME::Base64::decode_base64($salt), $keys);
}

# SCRAM keys.
sub kept {
  my ($keys) = @_;
  my ($mechanism, $iterations, $salt, $client, $server) = @$keys{qw(mechanism iterations salt client_key server_key)};
  return Surface::finding('keep_scram_keys without keys') if grep { !length } $client, $server;
  push @Surface::keys, map { ($_, MIME::Base64::encode_base64($_, '')) } $client, $server;
  return are_those_of_the_secret('a key', $mechanism, $iterations, $salt, MIME::Base64::encode_base64($server, ''));
}

# A chain of OTP goes down by one: hashing the new one-time password gives the old one.
sub replaced {
  my ($query) = @_;
  my ($old, $new) = map { [($_ // '') =~ /\A(md5|sha1)\t([0-9]{4})\t([0-9a-z]{1,16})\t([0-9a-f]{16})\t[0-9]{20}\z/] }
    @$query{qw(old new)};
  return Surface::finding('otp_replace without a new state') unless @$new;
  return if !@$old || "@$old" eq "@$new" || $old->[2] ne $new->[2];    # a program's own state, a lock, or a new chain
  Surface::finding("OTP: number $new->[1] follows $old->[1]") if $new->[1] != $old->[1] - 1;
  Surface::finding('a one-time password of another chain')
    if $old->[0] eq 'md5' && unpack('H16', otp_step(pack 'H16', $new->[3])) ne $old->[3];
  return;
}

# One step of a chain with MD5 (RFC 2289 appendix A).
sub otp_step {
  my ($left, $right) = unpack 'a8 a8', Digest::MD5::md5($_[0]);
  return $left ^ $right;
}

# The user's answer to a challenge of OTP.
sub one_time_password {
  my ($challenge) = grep { defined && !ref && /\Aotp-md5 / } @_;
  my ($number, $seed) = ($challenge // '') =~ /\Aotp-md5 ([0-9]{1,3}) (\w+) / or return undef;
  my $otp = lc($seed) . $Surface::SECRET;
  $otp = otp_step($otp) for 0 .. $number;
  return 'hex:' . unpack 'H16', $otp;
}

sub answered { my ($name, $answer) = @_; permits($name, $answer) unless $name eq 'none'; return $answer }

# A value is read: a part of the program may run there too.
sub interlude {
  my @record = Surface::record(1) or return;
  my ($what, $do) = @{ $behaviours[$record[0] % @behaviours] };
  Surface::trace("read: $what");
  ($Surface::plain, $Surface::meddled) = (undef, 1);
  $do->(\@record, 'none', undef) if $what =~ /die|last|goto|go on|forget all|exit/;
  return;
}

our @CLIENT = qw(user pass authname realm token ht_token serv host port canonuser authcid auth password authzid channel_binding
  keep_scram_keys challenge);
our @SERVER = qw(getsecret checkpass checktoken ht_tokens otp_state otp_replace authorize canonuser realm setpass channel_binding
  setverifier keep_scram_keys log);
my %plain = map {
  my $name = $_;
  $name => sub { ${ called($name, @_) } }
} @CLIENT, @SERVER;
my %lvalue = map {
  my $name = $_;
  $name => sub : lvalue { ${ called($name, @_) } }
} @CLIENT, @SERVER;
my $own = ['own'];
my %with_own = map { $_ => [$plain{$_}, 1, $own, undef, 'two'] } @CLIENT, @SERVER;

sub shared {
  return (map { values %$_ } \(%plain, %lvalue, %with_own)), $own;
}

# The callbacks of one side; `few` omits unnecessary ones, `form` is the form of each.
sub callbacks {
  my ($server, $form, $few, $odd) = @_;
  my @names = $server ? @SERVER : @CLIENT;
  @names = @names[0 .. ($server ? 2 : 1)] if $few % 4 == 0;
  @names = @names[0 .. 4] if $few % 4 == 1;
  @names = grep { !/auth|password|channel/ } @names if $few % 4 == 2;
  my %given = map {
    $_ => $form % 5 == 0 ? ${ right($_) } : $form % 5 == 1 ? $lvalue{$_} : $form % 5 == 2 ? $with_own{$_} : $plain{$_}
  } @names;
  if ($form % 5 == 0) {
    my @only_code = $server ? qw(checkpass checktoken ht_tokens otp_state otp_replace authorize canonuser setpass setverifier log) : 'challenge';
    $given{$_} = $plain{$_} for grep { exists $given{$_} } @only_code, 'keep_scram_keys';
  }
  delete $given{challenge} unless $odd & 1;    # otherwise a client's password is the pass phrase
  delete $given{channel_binding} if $given{channel_binding} && !ref $given{channel_binding};
  $given{getsecret} = ${ right('getsecret') } if $server && $form % 5 == 0;
  permits('getsecret', \$given{getsecret}) if $server && !ref $given{getsecret};
  if ($form % 5 == 4) {
    my $name = $names[$odd % @names];
    $given{$name} = ${ Surface::Values::value($odd) };
    undef $Surface::plain;
    $Surface::permitted = 1 if $name =~ /\A(?:checkpass|getsecret|checktoken|ht_tokens|otp_state)\z/;    # it may be code that returns true
  }
  return \%given;
}

1;
