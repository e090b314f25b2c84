# Values whose reading runs Perl code: tied and overloaded values, including ones that die or destroy the object that reads
# them.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use TwoSides qw(client server);

{
  package Tied;
  sub TIESCALAR { my ($class, $code) = @_; return bless { code => $code, fetched => 0 }, $class }
  sub FETCH { my ($self) = @_; $self->{fetched}++; return $self->{code}->() }
  sub STORE { }

  package Overloaded;
  use overload '""' => sub { $_[0]{code}->() }, bool => sub { $_[0]{code}->() }, fallback => 1;
  sub new { my ($class, $code) = @_; return bless { code => $code }, $class }

  package TiedArray;
  sub TIEARRAY { my ($class, @code) = @_; return bless [@code], $class }
  sub FETCH { return $_[0][$_[1]]->() }
  sub FETCHSIZE { return scalar @{ $_[0] } }
}

sub tied_value { my ($code) = @_; tie my $value, 'Tied', $code; return \$value }

my $PLAIN = "\0fred\0pencil";

subtest 'they are read like any other value, once' => sub {
  my $fetched = 0;
  my $input = tied_value(sub { $fetched++; $PLAIN });
  my $conn = server('PLAIN', checkpass => sub { 1 });
  is_deeply([$conn->server_start($$input)], [''], 'a tied message');
  is($fetched, 1, 'one FETCH');
  is_deeply([$conn->server_start(Overloaded->new(sub { $PLAIN }))], [''], 'an overloaded message');
  is(client('PLAIN', user => Overloaded->new(sub { 'fred' }), pass => sub { Overloaded->new(sub { 'x' }) })->client_start, "\0fred\0x",
    'overloaded values');
  is(client('PLAIN', user => Overloaded->new(sub { "J\x{FC}rgen" }), pass => 'x')->client_start, "\0J\xC3\xBCrgen\0x", 'with their characters');
  my $user = tied_value(sub { 'fred' });
  is(client('PLAIN', user => sub :lvalue { $$user }, pass => 'x')->client_start, "\0fred\0x", 'a tied scalar as a return value');
  my $tied = client('PLAIN', user => 'x', pass => 'x');
  $fetched = 0;
  tie $tied->callback->{user}, 'Tied', sub { $fetched++; 'wilma' };
  is($tied->client_start, "\0wilma\0x", 'a tied string as a callback');
  is($fetched, 1, 'one FETCH');
  tie $tied->callback->{user}, 'Tied', sub { my $name = 'barney'; sub { $name } };
  is($tied->client_start, "\0barney\0x", 'a tied code reference');
  for my $yes (1, 0) {
    my $conn = server('PLAIN', checkpass => sub { Overloaded->new(sub { $yes }) });
    $conn->server_start($PLAIN);
    is(!!$conn->is_success, !!$yes, "an overloaded verdict: $yes");
    $conn->server_start($PLAIN, sub { });
    my $answered = server('PLAIN', checkpass => sub { $_[2]->(${ tied_value(sub { $yes }) }) });
    $answered->server_start($PLAIN, sub { });
    is(!!$answered->is_success, !!$yes, "a tied answer: $yes");
  }
  my $host = Authen::SASL->new(mechanism => 'ANONYMOUS', callback => {});
  my $made = $host->client_new(Overloaded->new(sub { 'imap' }), ${ tied_value(sub { 'h' }) });
  is($made->service . $made->host, 'imaph', 'service and host');
};

subtest "the program's values stay as they were" => sub {
  require B;
  my $flags = sub { B::svref_2object(\$_[0])->FLAGS };
  my ($int, $float, $string) = (42, 1.5, 'fred');
  my @before = map { $flags->($_) } $int, $float, $string;
  my $conn = server('ANONYMOUS');
  $conn->server_start($_) for $int, $float, $string;
  Authen::SASL->new(mechanism => 'ANONYMOUS', callback => {})->client_new($int, $float);
  client('PLAIN', user => sub { $int }, pass => sub { $float })->client_start;
  is_deeply([map { $flags->($_) } $int, $float, $string], \@before, 'numbers stay numbers');
};

subtest 'a tied array' => sub {
  tie my @array, 'TiedArray', sub { sub { join ',', @_[1 .. $#_] } }, sub { 'a' }, sub { 'b' };
  my $conn = client('PLAIN', user => \@array, pass => 'x');
  my @got = $conn->client_start;
  ok("@got" eq "\0a,b\0x" || $conn->error =~ /callback user is an array reference; a string, a code reference/, 'serves or is refused');
  my @partly = (sub { join ',', map { defined ? $_ : 'undef' } @_[1 .. $#_] }, 1, 2, 3);
  tie $partly[2], 'Tied', sub { splice @partly, 0; 'two' };
  is(client('PLAIN', user => \@partly, pass => 'x')->client_start, "\0001,two,undef\0x", 'an element that empties its array');
};

# Everything that takes a value, each with a value that runs code when it is read.
sub readers {
  my ($do) = @_;
  my @readers;
  for my $way (['tied', sub { tied_value($_[0]) }], ['overloaded', sub { my $o = Overloaded->new($_[0]); \$o }]) {
    my ($how, $make) = @$way;
    my $value = $make->($do);
    my $later;
    push @readers, map { [ "$how $_->[0]", @$_[1, 2] ] } (
      ['message', server('PLAIN', checkpass => sub { 1 }), sub { $_[0]->server_start($$value) }],
      ['continuation argument', server('PLAIN', checkpass => sub { 1 }), sub { my $f = sub { }; $_[0]->server_start($$value, $f) }],
      ['user', client('PLAIN', user => sub :lvalue { $$value }, pass => 'x'), sub { $_[0]->client_start }],
      ['canonical name', client('PLAIN', user => 'x', pass => 'x', canonuser => sub :lvalue { $$value }), sub { $_[0]->client_start }],
      ['password of a server', server('PLAIN', getsecret => sub :lvalue { $$value }), sub { $_[0]->server_start($PLAIN) }],
      ['verdict', server('PLAIN', checkpass => sub :lvalue { $$value }), sub { $_[0]->server_start($PLAIN) }],
      ['answer', server('PLAIN', checkpass => sub { $_[2]->($$value); return }), sub { $_[0]->server_start($PLAIN, sub { }) }],
      ['late answer', server('PLAIN', checkpass => sub { $later = $_[2]; return }),
        sub { $_[0]->server_start($PLAIN, sub { }); $later->($$value) }],
      ['late password', server('PLAIN', getsecret => sub { $later = $_[2]; return }),
        sub { $_[0]->server_start($PLAIN, sub { }); $later->($$value) }],
      ['token of a server', server('OAUTHBEARER', checktoken => sub :lvalue { $$value }),
        sub { $_[0]->server_start("n,,\x01auth=Bearer abc\x01\x01") }],
      ['property', client('PLAIN', user => 'fred', pass => 'x'), sub { $_[0]->property(realm => $$value) }],
      ['name of a property', client('PLAIN', user => 'fred', pass => 'x'), sub { $_[0]->_get($$value) }],
      ['value of a property', client('PLAIN', user => 'fred', pass => 'x'), sub { $_[0]->_set('realm', $$value) }],
      ['name of a mechanism', server('PLAIN LOGIN', checkpass => sub { 1 }), sub { eval { $_[0]->mechanism($$value) } }],
      ['own value of an array', do { my @a = (sub { 'x' }, 1); $a[1] = $$value if $how ne 'tied'; tie $a[1], 'Tied', $do if $how eq 'tied';
        client('PLAIN', user => \@a, pass => 'x') }, sub { $_[0]->client_start }],
    );
  }
  return @readers;
}

subtest 'reading dies' => sub {
  my $object = bless {}, 'Own::Exception';
  for my $reader (readers(sub { die $object })) {
    my ($name, $conn, $run) = @$reader;
    next if $name =~ /^overloaded own value|mechanism$/;         # passed on unchanged; caught by ourselves
    ok(!eval { $run->($conn); 1 }, "$name: dies");
    is($@, $object, 'the exception is unchanged');
    ok(!$conn->is_success, 'no success');
    ok(eval { $conn->error; $conn->need_step; 1 }, 'the connection lives');
  }
};

subtest 'reading ends the connection' => sub {
  my $conn;
  my $what = 'x';
  for my $reader (readers(sub { undef $conn; $what })) {
    my ($name, undef, $run) = @$reader;
    next if $name =~ /^overloaded own value/;                    # passed on unchanged
    ($conn, $reader->[1]) = ($reader->[1], undef);
    ok(eval { my @r = $run->($conn); 1 } || $@ =~ /not a live connection|on an undefined value/, $name) or diag $@;
    is($conn, undef, 'it is gone');
  }
};

subtest 'reading runs the connection' => sub {
  my ($conn, @within);
  my $depth = 0;
  my $do = sub {
    return 'x' if $depth++;
    push @within, map { my ($method, @arg) = @$_; eval { $conn->$method(@arg) } } # those of the other side die
      ['client_start'], [client_step => 'y'], [server_start => $PLAIN];
    return 'x';
  };
  for my $reader (readers($do)) {
    (my $name, $conn, my $run) = @$reader;
    $depth = 0;
    ok(eval { $run->($conn); 1 }, $name) or diag $@;
    eval { $conn->$_($PLAIN) } for qw(client_start server_start);
    ok(eval { $conn->error; 1 }, 'and the connection lives');
  }
};

subtest 'reading changes what else was given' => sub {
  my ($service, $host) = ('imap' x 100, '');
  tie $host, 'Tied', sub { $service = 'x' x 1_000_000; undef $service; 'h' };
  my $sasl = Authen::SASL->new(mechanism => 'ANONYMOUS', callback => {});
  is($sasl->client_new($service, $host)->service, 'imap' x 100, 'the service, while the host is read');
  my %given = (continuation => sub { }, message => undef);
  tie $given{message}, 'Tied', sub { %given = (); $PLAIN };
  my $conn = server('PLAIN', checkpass => sub { $_[2]->(1) });
  ok(eval { $conn->server_start($given{message}, $given{continuation}); 1 }, 'the continuation, while the message is read');
  ok($conn->is_success, 'and goes on');
  my $parent = Authen::SASL->new(mechanism => 'PLAIN', callback => { user => 'fred', pass => 'x' });
  my $host_of = Overloaded->new(sub { $parent->{callback} = { user => 'wilma', pass => 'y' }; 'h' });
  is($parent->client_new('imap', $host_of)->client_start, "\0wilma\0y", 'the callbacks, while the host is read');
  my @names = qw(authsource optctx peername principal realm service serverfqdn sockname);
  my $options = { map { $_ => $_ } @names };
  tie $options->{$_}, 'Tied', sub { %$options = () if $options; undef $options; 'x' } for @names;
  ok($parent->client_new('imap', 'h', $options), 'the hash of options, while one is read');
  is($options, undef, 'indeed');
  tie my $limit, 'Tied', sub { [] };
  ok(!eval { $parent->client_new('imap', 'h', { minssf => $limit }); 1 }, 'an option that turns into a reference');
  my $cb;
  my $late = server('PLAIN', checkpass => sub { $cb = $_[2]; return });
  $late->server_start($PLAIN, sub { });
  ok(eval { $cb->(${ tied_value(sub { undef $cb; undef $late; 1 }) }); 1 }, 'the continuation itself, while the answer is read');
};

subtest 'a subclass that moves the stack' => sub {
  {
    package DeepSASL;
    our @ISA = ('Authen::SASL');
    sub deep { no warnings 'recursion'; my $n = shift; return $n ? deep($n - 1, @_, 1 .. 20) : 1 }
    sub callback { deep(200); return { user => 'fred', pass => 'x' } }
    sub mechanism { deep(200); return 'PLAIN' }
  }
  my $conn = bless({}, 'DeepSASL')->client_new('imap', 'h', { maxbuf => 1000, sockname => 'blue' });
  is($conn->property('sockname'), 'blue', 'the options are still found');
};

done_testing;
