# Arguments whose reading changes or frees the other arguments and moves perl's stack: every function of the extension uses the
# values that it was called with, in whatever order it reads them.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use File::Temp qw(tempdir);
use Test::More;
use Authen::SASL qw(Rust);
use Authen::SASL::Rust::Accounts;
use Authen::SASL::Rust::Layer;
use TwoSides qw(client server);

{
  package Overloaded;
  my $read = sub { $_[0]{code}->() };
  use overload '""' => sub { $_[0]{code}->() }, '0+' => sub { $_[0]{code}->() }, bool => sub { $_[0]{code}->() }, fallback => 1;
  sub new { my ($class, $code) = @_; return bless { code => $code }, $class }

  package Tied;
  sub TIESCALAR { my ($class, $code) = @_; return bless { code => $code }, $class }
  sub FETCH { return $_[0]{code}->() }
  sub STORE { }
}

# Puts many values on perl's stack, so that it moves.
sub deep { my ($n) = @_; no warnings 'recursion'; return $n ? scalar(deep($n - 1, (1) x 500)) : 1 }

# A copy with its own memory, which is freed with it.
sub own { my ($value) = @_; return defined $value && !ref $value ? pack 'a*', $value : $value }

# The result of the call with plain values, and then with each value in turn replaced by one that spoils all others when it is
# read.
sub spoiled {
  my ($name, $call, @values) = @_;
  my $run = sub {
    my ($args, @more) = @_;
    my @got = eval { $call->($args, @more) };
    (my $error = $@) =~ s/ at \S+ line \d+.*//s;
    return join '|', map { defined $_ ? $_ : 'undef' } @got, length $error ? $error : ();
  };
  my $expected = $run->([map { own($_) } @values]);
  for my $at (grep { defined $values[$_] && !ref $values[$_] } 0 .. $#values) {
    for my $how (qw(overloaded tied)) {
      next if $how eq 'overloaded' && $values[$at] =~ /;/;    # an address is a plain string
      my $args = [map { own($_) } @values];
      my $held = $args;    # the array itself stays alive, its values do not
      my $read = sub {
        my $value = own($values[$at]);
        for my $i (grep { $_ != $at } 0 .. $#$held) { undef $held->[$i]; $held->[$i] = 'q' x 100_000 }
        deep(200);
        return $value;
      };
      if ($how eq 'tied') { tie $args->[$at], 'Tied', $read }
      else                { $args->[$at] = Overloaded->new($read) }
      is($run->($args), $expected, "$name: argument $at, $how");
    }
  }
  return $expected;
}

my $long = join '', map { chr 97 + $_ % 26 } 1 .. 900;
my $folder = tempdir(CLEANUP => 1);
my $accounts = Authen::SASL::Rust::Accounts->new(users => "$folder/users");
$accounts->setpass($long, 'pencil');

subtest 'accounts' => sub {
  my $check = spoiled('_check', sub { $accounts->_check(@{ $_[0] }[0 .. 3]) }, $long, 'pencil', 'imap', 'example.org');
  is($check, '1', 'the password is right');
  # The arguments are elements of an array, and so aliases: @{...} does not copy.
  my $set = sub { $accounts->_set(@{ $_[0] }[0 .. 4]); $accounts->check("x$long", "p$long") };
  is(spoiled('_set', $set, "x$long", "p$long", 'SCRAM-SHA-256', 4096, 2), '1', 'the password is set');
  is(spoiled('_disable', sub { $accounts->_disable($_[0][0]); $accounts->check($long, 'pencil') }, $long), '0', 'disabled');
  is(spoiled('_enable', sub { $accounts->_enable($_[0][0]); $accounts->check($long, 'pencil') }, $long), '1', 'enabled');
  my $delete = sub { $accounts->setpass("y$long", 'x'); $accounts->_delete($_[0][0]); $accounts->check("y$long", 'x') };
  is(spoiled('_delete', $delete, "y$long"), '0', 'deleted');
  my $new = sub { my ($method, $args) = @_; my $object = bless {}, 'Authen::SASL::Rust::Accounts'; $object->$method(@$args); ref $object };
  is(spoiled('_users', sub { $new->(_users => $_[0]) }, "$folder/$long"), 'Authen::SASL::Rust::Accounts', 'a users\' file');
  is(spoiled('_saslauthd', sub { $new->(_saslauthd => $_[0]) }, "$folder/mux", 3), 'Authen::SASL::Rust::Accounts', 'a daemon');
  like(spoiled('_cyrus', sub { $new->(_cyrus => $_[0]) }, "$folder/$long", "auxprop_plugin\0$long\0"), qr/\Q$long\E/, 'a plugin that is not there');
  spoiled('_configuration', sub { Authen::SASL::Rust::Accounts::_configuration($_[0][0]) }, "x$long");
};

subtest 'connections' => sub {
  my $conn = server('PLAIN LOGIN', checkpass => sub { 1 });
  is(spoiled('_set', sub { $conn->_set(@{ $_[0] }[0, 1]), $conn->_get('realm') }, 'realm', $long), "1|$long", 'an option');
  like(spoiled('_set', sub { $conn->_set(@{ $_[0] }[0, 1]) }, 'maxbuf', "x$long"), qr/maxbuf/, 'a wrong one');
  is(spoiled('_set', sub { $conn->_set(@{ $_[0] }[0, 1]) }, "x$long", "x$long"), '', 'an unknown one');
  is(spoiled('_get', sub { $conn->_get($_[0][0]) }, 'realm'), $long, 'reading one');
  is(spoiled('_pick', sub { $conn->_pick($_[0][0]) }, 'PLAIN'), '1', 'a mechanism');
  is(spoiled('_add_binding', sub { $conn->_add_binding(@{ $_[0] }[0, 1]) }, "x$long", "y$long"), '', 'data of a binding');
  is(spoiled('_setpass', sub { $conn->_setpass(@{ $_[0] }[0 .. 2]) }, $long, "p$long", 1), '-1', 'setpass');
  is(spoiled('_auxprop', sub { $conn->_auxprop($_[0][0]) }, $long), '', 'a property of the user');
  is(spoiled('_tls', sub { $conn->_tls($_[0][0], 1) }, 256), '', 'a number');
  is(spoiled('encode', sub { $conn->encode(@{ $_[0] }[0, 1]) }, $long, 'more'), $long, 'encode');
  my $got;
  $conn = server('PLAIN', checkpass => sub { $_[2]->(1) });
  my $start = sub { $got = 'none'; $conn->server_start(@{ $_[0] }[0, 1]); ($got, $conn->property('user')) };
  is(spoiled('server_start', $start, "\0$long\0pencil", sub { $got = $_[0] }), "undef|$long", 'a message and a continuation');
  my $sasl = Authen::SASL->new(mechanism => 'PLAIN', callback => { user => $long, pass => 'x' });
  my $make = sub { my $c = Authen::SASL::Rust->client_new($sasl, @{ $_[0] }); ($c->service, $c->host, $c->property('ipremoteport')) };
  is(spoiled('client_new', $make, "i$long", "h$long", '1.2.3.4;5', '6.7.8.9;10'), "i$long|h$long|6.7.8.9;10", 'a new connection');
};

subtest 'the object itself' => sub {
  for my $method (qw(_get _pick _auxprop encode decode server_start server_step)) {
    my $conn = server('PLAIN', checkpass => sub { 1 });
    my $spoil = Overloaded->new(sub { undef $conn; deep(200); 'user' });
    ok(eval { my @r = $conn->$method($spoil); 1 }, "$method on a connection that is freed") or diag $@;
    is($conn, undef, '... indeed');
  }
  my $object = Authen::SASL::Rust::Accounts->new(users => "$folder/users");
  my $spoil = Overloaded->new(sub { undef $object; deep(200); $long });
  is($object->_check($spoil, 'pencil', undef, undef), 1, 'accounts that are freed');
  is($object, undef, '... indeed');
};

subtest 'a subclass that changes the arguments' => sub {
  my ($service, $host) = map { own($_) } "i$long", "h$long";
  { package Spoiling; our @ISA = ('Authen::SASL'); our $spoil;
    sub callback { $spoil->(); return { user => 'fred', pass => 'x' } }
    sub mechanism { $spoil->(); return 'PLAIN' } }
  $Spoiling::spoil = sub { undef $_ for $service, $host; $_ = 'q' x 100_000 for $service, $host; deep(200) };
  my $conn = Authen::SASL::Rust->client_new(bless({}, 'Spoiling'), $service, $host);
  is(join('|', $conn->service, $conn->host), "i$long|h$long", 'service and host are those that were given');
};

subtest 'warnings' => sub {
  my $name = own($long);
  local $SIG{__WARN__} = sub { undef $name; $name = 'q' x 100_000 };
  my $conn = server('PLAIN', checkpass => sub { 1 });
  is($conn->_setpass($name, 'x', 'no number'), -1, 'a number that is none');
  is($name, $long, 'no warning');
};

subtest 'functions' => sub {
  my $make = sub { Authen::SASL::Rust::_make_verifier(@{ $_[0] }[0 .. 4]) };
  like(spoiled('_make_verifier', $make, 'SCRAM-SHA-256', "p$long", "s$long", 4096, 'postgresql'), qr/\ASCRAM-SHA-256\$4096:/, 'a verifier');
  my $load = sub { Authen::SASL::Rust::_plugins(@{ $_[0] }[0 .. 4]) };
  spoiled('_plugins', $load, undef, "$folder/$long", "x$long", 1, "a\0$long\0");
  Authen::SASL::Rust::_no_plugins(undef);
};

subtest 'layers' => sub {
  my %options = (maxssf => 256);
  my $sasl = Authen::SASL->new(mechanism => 'DIGEST-MD5', callback => { user => 'fred', pass => 'pencil', getsecret => sub { 'pencil' } });
  my ($client, $server) = ($sasl->client_new('ldap', 'h', {%options}), $sasl->server_new('ldap', 'h', {%options}));
  my $message = $server->server_start('');
  $client->client_start;
  $message = $server->server_step($client->client_step($message));
  $client->client_step($message);
  cmp_ok($client->property('ssf') || 0, '>', 1, 'there is a layer');
  my ($here, $there) = map { my $l = bless {}, 'Authen::SASL::Rust::Layer'; $l->_own($_); $l } $client, $server;
  my $travel = sub {
    my $frames = $here->_frames(@{ $_[0] }[0 .. 2]);
    $there->_feed($frames) or die $there->_error;
    my $found = $there->_find(substr $frames, 0, 0);
    $there->_take(\my $text, 10_000, 0);
    return $text;
  };
  is(spoiled('_frames', $travel, $long, 100, 700), substr($long, 100, 700), 'a part of a text');
  my $find = sub { $there->_feed($here->_frames("a\nb", 0, 3)); my $at = $there->_find($_[0][0]); $there->_take(\my $rest, 9, 0); $at };
  is(spoiled('_find', $find, "\n"), '2', 'a separator');
  my $take = sub { $there->_feed($here->_frames($long, 0, 900)); my $text = 'abc'; my $n = $there->_take(\$text, @{ $_[0] }); ($n, $text) };
  is(spoiled('_take', $take, 900, 2), "900|ab$long", 'length and offset');
  $there->_feed($here->_frames($long, 0, 900));
  tie my $buffer, 'Tied', sub { undef $there; deep(200); 'abc' };
  is($there->_take(\$buffer, 900, 0), 900, 'a tied buffer that frees the layer');
  ok(!eval { $here->_take('no reference', 1, 0); 1 }, 'a buffer that is not a reference');
};

done_testing;
