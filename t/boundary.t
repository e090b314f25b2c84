# The boundary is robust: whatever a callback does, the program gets an exception or an error, never a crash.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use TwoSides qw(client server);

my $PLAIN = "\0fred\0pencil";

# One connection per place where a callback is called, with the call that leads there.
sub places {
  my ($code) = @_;
  my $later;
  return (
    ['user', client('PLAIN', user => $code, pass => 'x'), sub { $_[0]->client_start }],
    ['pass', client('PLAIN', user => 'fred', pass => [$code, 1, 2]), sub { $_[0]->client_start }],
    ['canonuser of a client', client('PLAIN', user => 'fred', pass => 'x', canonuser => $code), sub { $_[0]->client_start }],
    ['token', client('OAUTHBEARER', token => $code), sub { $_[0]->client_start }],
    ['realm', client('DIGEST-MD5', user => 'fred', pass => 'x', realm => $code),
      sub { $_[0]->client_start; $_[0]->client_step('realm="a",realm="b",nonce="OA6MG9tEQGm2hh",qop="auth",algorithm=md5-sess') }],
    ['checkpass', server('PLAIN', checkpass => $code), sub { $_[0]->server_start($PLAIN) }],
    ['checkpass with a continuation', server('PLAIN', checkpass => $code), sub { $_[0]->server_start($PLAIN, sub { }) }],
    ['getsecret', server('PLAIN', getsecret => $code), sub { $_[0]->server_start($PLAIN) }],
    ['getsecret for SCRAM', server('SCRAM-SHA-256', getsecret => $code), sub { $_[0]->server_start('n,,n=fred,r=abc') }],
    ['scram_keys', client('SCRAM-SHA-256', user => 'fred', scram_keys => $code), sub { $_[0]->client_start }],
    ['authorize', server('PLAIN', checkpass => sub { 1 }, authorize => $code), sub { $_[0]->server_start("wilma$PLAIN") }],
    ['canonuser', server('PLAIN', checkpass => sub { 1 }, canonuser => $code), sub { $_[0]->server_start($PLAIN) }],
    ['checktoken', server('OAUTHBEARER', checktoken => $code), sub { $_[0]->server_start("n,,\x01auth=Bearer abc\x01\x01") }],
    ['authorize after a late answer', server('PLAIN', checkpass => sub { $later = $_[2]; return }, authorize => $code),
      sub { $_[0]->server_start("wilma$PLAIN", sub { }); $later->(1) }],
  );
}

{
  package Own::SASL;
  our @ISA = ('Authen::SASL');
  sub new { my ($class, $code) = @_; return bless { code => $code }, $class }
  sub callback { $_[0]{code}->($_[0]); return { user => 'fred', pass => 'x' } }
  sub mechanism { return 'PLAIN' }

  package Own::Tied;
  sub TIESCALAR { my ($class, $code) = @_; return bless [$code], $class }
  sub FETCH { return $_[0][0]->() }
  sub STORE { }
}

subtest 'die' => sub {
  my $object = bless { any => 'thing' }, 'Own::Exception';
  for my $exception ("a string\n", $object, [1, 2], "\x{263A}\n") {
    my $answer = sub { die $exception };
    for (places(sub { $answer->(@_) })) {
      my ($name, $conn, $run) = @$_;
      is(eval { $run->($conn); 1 }, undef, "$name: dies");
      is($@, $exception, 'the exception is unchanged');
      like($conn->error, qr/callback \S.* died or was left without returning/, 'the exchange is over');
      ok(!$conn->need_step && !$conn->is_success, 'and no success');
      $answer = sub { return 'x' };
      ok(eval { $run->($conn); 1 }, 'it can begin again') or diag $@;
      $answer = sub { die $exception };
    }
  }
};

subtest 'out of a callback by last, next, redo, goto' => sub {
  no warnings 'exiting';
  for my $leave (['last', sub { last }], ['next', sub { next }], ['last LABEL', sub { last OUTER }], ['redo', sub { redo }],
    ['goto', sub { goto BEYOND }]) {
    my ($how, $code) = @$leave;
    my $rounds = 0;
    OUTER: for my $place (places($code)) {
      my ($name, $conn, $run) = @$place;
      $rounds++;
      ok(!eval { $run->($conn); 1 }, "$how out of $name") or last;
      like($@, qr/^(?:Can't "\w+" outside a loop block|Label not found|Can't find label)/, 'is an exception');
      like($conn->error, qr/left without returning/, 'the exchange is over');
    }
    is($rounds, 14, "$how did not leave our loop");
  }
  my @jump = places(sub { goto &{ sub { 'x' } } });
  ok(eval { $_->[2]->($_->[1]); 1 }, "goto &sub in $_->[0] is a call") for @jump;
  BEYOND: pass('here we come by ourselves');
};

subtest 'while a connection is made' => sub {
  no warnings 'exiting';
  my $object = bless {}, 'Own::Exception';
  my @code = (['die', sub { die $object }, $object], ['last', sub { last }, qr/outside a loop block/], ['next', sub { next AROUND }, qr/Label not found/],
    ['goto', sub { goto BEYOND }, qr/Can't find label/]);
  my $rounds = 0;
  AROUND: for my $code (@code) {
    my ($how, $leave, $expected) = @$code;
    my $tied = do { tie my $t, 'Own::Tied', $leave; \$t };
    my %make = (
      'the realm of a server' => sub {
        my $sasl = Authen::SASL->new(mechanism => 'PLAIN', callback => { checkpass => sub { 1 }, realm => $leave });
        Authen::SASL::Rust->server_new($sasl, 'imap', 'h');
      },
      'a method of a subclass' => sub { Authen::SASL::Rust->client_new(Own::SASL->new($leave), 'imap', 'h') },
      'a tied host' => sub { Authen::SASL::Rust->client_new(Own::SASL->new(sub { }), 'imap', $$tied) },
      'a tied option' => sub {
        my %option;
        tie $option{colour}, 'Own::Tied', $leave;
        Authen::SASL::Rust->client_new(Own::SASL->new(sub { }), 'imap', 'h', \%option);
      },
    );
    for my $what (sort keys %make) {
      $rounds++;
      ok(!eval { $make{$what}->(); 1 }, "$how in $what");
      ref $expected eq 'Regexp' ? like($@, $expected, 'is an exception') : is($@, $expected, 'the exception is unchanged');
    }
  }
  is($rounds, 16, 'our loop was not left');
  my $sasl;
  $sasl = Own::SASL->new(sub { undef $sasl });
  is(Authen::SASL::Rust->client_new($sasl, 'imap', 'h')->client_start, "\0fred\0x", 'its maker may go meanwhile');
  my $conn = eval { Authen::SASL::Rust->client_new(Own::SASL->new(sub { $_[0] = 'x'; undef $_[0] }), 'imap', 'h') };
  ok($conn, 'in every way') or diag $@;
};

subtest 'into the same connection' => sub {
  for my $what (qw(start step)) {
    my (@returned, $error, $seen, $method);
    my $code = sub {
      my ($conn) = @_;
      $method = ($conn->_side ? 'server' : 'client') . "_$what";
      @returned = $conn->$method('x');
      $error = $conn->error;
      $seen = join ' ', $conn->host, $conn->mechanism, $conn->property('service'), $conn->need_step ? 'needed' : 'not';
      return 'x';
    };
    for (places($code)) {
      my ($name, $conn, $run) = @$_;
      $run->($conn);
      is_deeply(\@returned, [], "$method within $name is refused");
      like($error, qr/still waits for the answer of a callback/, 'with a clear error');
      like($seen, qr/^mail\.example\.org [A-Z0-9-]+ imap needed$/, 'property, mechanism and host work there');
      unlike(defined $conn->error ? $conn->error : '', qr/still waits/, 'and the exchange goes on');
    }
  }
  my $inner;
  my $conn = client('PLAIN', user => 'fred', pass => sub { $inner = client('PLAIN', user => 'wilma', pass => 'y')->client_start; 'x' });
  is($conn->client_start, "\0fred\0x", 'another connection may run meanwhile');
  is($inner, "\0wilma\0y", 'to its end');
  my $server;
  my $depth = 0;
  $server = server('PLAIN', checkpass => sub { $_[2]->(1); return });
  my $again; $again = sub { $server->server_start($PLAIN, $again) if $depth++ < 50 };
  $server->server_start($PLAIN, $again);
  is($depth, 51, 'a continuation may begin the next exchange');
  undef $again;
};

subtest 'the last reference' => sub {
  my ($conn, $freed);
  my $end = sub { undef $conn; return 'x' };
  for my $case (places(sub { $end->() })) {
    my ($name, undef, $run) = @$case;
    ($conn, $case->[1]) = ($case->[1], undef);
    my $guard = bless [\$freed], 'Guard';
    $conn->{guard} = $guard;
    undef $guard;
    $freed = 0;
    ok(eval { my @r = $run->($conn); 1 }, "undef within $name") or diag $@;
    is($freed, 1, 'it is freed, once');
  }
  my $later;
  my $got = 0;
  $conn = server('PLAIN', checkpass => sub { $later = $_[2]; return });
  $conn->server_start($PLAIN, sub { undef $conn; $got++ });
  $later->(1);
  is($got, 1, 'undef within a continuation');
  is($conn, undef, 'gone');
  $conn = server('PLAIN', checkpass => sub { my $cb = $_[2]; undef $conn; $cb->(1); return 1 });
  ok(eval { $conn->server_start($PLAIN); 1 }, 'the continuation after undef');
};

{ package Guard; sub DESTROY { ${ $_[0][0] }++ } }

subtest 'what a callback may return' => sub {
  my %value = (
    undef => undef, empty => '', 'a wide character' => "\x{263A}\x{1F511}", 'a surrogate' => chr 0xD800, 'beyond Unicode' => chr 0x7FFFFFFF,
    'invalid UTF-8' => "\xFF\xFE", NUL => "\0", 'an array' => [], 'a hash' => {}, 'a code reference' => sub { }, 'a glob' => \*STDOUT,
    'a reference' => \'x', 'a regexp' => qr/x/, 'a number' => 1e300, NaN => 9**9**9 / 9**9**9, 'an object' => bless([], 'Some::Class'),
    'a typeglob' => *STDOUT, 'a version string' => v1.2.3, 'a megabyte' => 'x' x 1_048_576,
  );
  no warnings;
  for my $name (sort keys %value) {
    for (places(sub { $value{$name} })) {
      my ($place, $conn, $run) = @$_;
      ok(eval { $run->($conn); 1 }, "$name from $place") or diag $@;
      ok(!$conn->is_success || !ref $value{$name}, 'a reference is not a success') or diag $conn->error;
      my $text = join '', map { defined ? $_ : '' } $conn->error, $conn->property('authcid');
      unlike($text, qr/\(0x[0-9a-f]+\)/, 'no address is taken for a string');
      unlike($text, qr/\x{FFFD}/, 'nor is a name replaced by another');
    }
  }
};

subtest 'the callbacks change under us' => sub {
  for my $change (
    ['deletes all', sub { %{ $_[0]->callback } = (); 'x' }],
    ['replaces all', sub { my $c = $_[0]; $c->callback(map { $_ => sub { 'y' } } keys %{ $c->callback }); 'x' }],
    ['replaces strings by references', sub { $_ = [] for values %{ $_[0]->callback }; 'x' }],
    ['undefs the code', sub { my $c = $_[0]; undef $_ for values %{ $c->callback }; 'x' }],
    ['adds many', sub { $_[0]->callback(map { $_ => $_ } 1 .. 1000); 'x' }],
  ) {
    for (places($change->[1])) {
      my ($place, $conn, $run) = @$_;
      ok(eval { $run->($conn); 1 }, "$place $change->[0]") or diag $@;
      my $user = $conn->property('authcid');
      unlike(defined $user ? $user : '', qr/\(0x/, 'no reference becomes a name');
    }
  }
  my @array;
  @array = (sub { @array = (); undef @array; 'x' }, 1 .. 10);
  is(client('PLAIN', user => \@array, pass => 'y')->client_start, "\0x\0y", 'an array that empties itself');
  my $conn = client('PLAIN', user => 'fred', pass => sub { $_[0]->callback(user => sub { 'evil' }); 'x' });
  is($conn->client_start, "\0fred\0x", 'a string stays what it was when the exchange began');
};

subtest 'forged objects' => sub {
  my $class = 'Authen::SASL::Rust::Connection';
  my $real = client('PLAIN', user => 'fred', pass => 'x');
  my @forged = (
    ['a number', bless \(my $i = 12345), $class], ['a hash', bless {}, $class], ['an array', bless [], $class],
    ['code', bless sub { }, $class], ['a copy', bless {%$real}, $class], ['the class', $class], ['undef', undef], ['a string', 'x'],
    ['a plain reference', \1], ['a glob', bless(do { no strict 'refs'; \*{'Forged::glob'} }, $class)], ['a regexp', bless qr/x/, $class], ['an empty string', ''],
  );
  my @methods = qw(client_start client_step server_start server_step need_step is_success error code _mechanism _order _get _set _pick
    _callbacks _callbacks_changed _die_on_failure _side host property mechanism answer);
  for my $forged (@forged) {
    for my $method (@methods) {
      my $code = $class->can($method) or next;
      ok(!eval { $code->($forged->[1], 'x', 'y'); 1 }, "$method on $forged->[0]");
    }
  }
  for my $method (qw(client_new server_new)) {
    my $code = Authen::SASL::Rust->can($method);
    for my $parent (undef, 'Authen::SASL', {}, [], \1, bless([], 'Authen::SASL'), bless({}, 'No::Such::Class'), bless(sub { }, 'Authen::SASL')) {
      ok(!eval { $code->('Authen::SASL::Rust', $parent, 'imap', 'h'); 1 }, "$method with " . (defined $parent ? ref $parent || $parent : 'undef'));
    }
  }
  my $homeless = bless {}, 'Soon::Gone';
  { no strict 'refs'; undef %{'Soon::Gone::'}; delete $Soon::{'Gone::'} }
  ok(!eval { Authen::SASL::Rust->client_new($homeless); 1 }, 'an object whose class is gone');
  bless $real, 'Some::Other';
  is($class->can('client_start')->($real), "\0fred\0x", 'a connection stays one in another class');
  ok(!eval { $class->can('client_start')->(); 1 }, 'no arguments at all');
};

subtest 'long and deep' => sub {
  for my $length (1 << 20, (1 << 20) + 1, 1 << 24) {
    my $long = 'x' x $length;
    my $conn = client('LOGIN', user => 'fred', pass => 'x');
    $conn->client_start;
    my @answer = $conn->client_step($long);
    is(!!@answer, $length == 1 << 20, "a message of $length bytes");
    like($conn->error, qr/it is longer than 1048576 bytes/, 'is refused') unless @answer;
    is_deeply([server('PLAIN', checkpass => sub { 1 })->server_start("\0$long\0$long")], [], 'for a server');
    my $client = client('PLAIN', user => $long, pass => sub { $long });
    is_deeply([$client->client_start], [], 'as a name');
    like($client->error, qr/authentication identity .* is longer than 4096 bytes/, '... which it says');
    ok(!eval { server('PLAIN', checkpass => sub { 1 })->property(realm => $long); 1 }, 'as a property');
    like($@, qr/^realm: at most 65536 bytes/, '... which it says');
    $client = client('SCRAM-SHA-256', user => 'fred', pass => $long);
    is_deeply([$client->client_start], [], 'as a password of SCRAM');
    like($client->error, qr/password .* must not be longer than 65536 bytes/, '... which it says');
    my $list = Authen::SASL->new(mechanism => "$long PLAIN", callback => { user => 'fred', pass => 'x' });
    is($list->client_new($long, $long)->mechanism, 'PLAIN', 'as names of mechanism, service and host');
  }
  no warnings 'recursion';
  my $depth = 0;
  my $user; $user = sub { $depth++ < 2000 ? length client('PLAIN', user => $user, pass => 'x')->client_start : 'end' };
  like(client('PLAIN', user => $user, pass => 'x')->client_start, qr/\A\0\d+\0x\z/, '2000 connections, each within the callback of another');
  is($depth, 2001, 'all of them');
  $depth = 0;
  my $dying; $dying = sub { $depth++ < 500 ? client('PLAIN', user => $dying, pass => 'x')->client_start : die "bottom\n" };
  is(eval { client('PLAIN', user => $dying, pass => 'x')->client_start; 1 }, undef, 'die through 500 of them');
  is($@, "bottom\n", 'arrives');
  undef $user;
  undef $dying;
};

done_testing;
