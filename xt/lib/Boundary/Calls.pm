package Boundary::Calls;

# Every kind of call and every kind of failure at the border between Perl and the core, each as a code reference that must not
# leak. The tests that count leaks and those that watch memory run the same calls.

use strict;
use warnings;
use Storable ();
use Authen::SASL qw(Rust);
use Authen::SASL::Rust::UpgradeTask;
use Boundary::Accounts ();
use Boundary::Layers ();
use Boundary::Lines  ();

my $PLAIN = "\0fred\0pencil";
my @NAMES = (user => 'fred', pass => 'pencil');

{
  package Boundary::Calls::Tied;
  sub TIESCALAR { my ($class, $code) = @_; return bless [$code], $class }
  sub FETCH { return $_[0][0]->() }
  sub STORE { }

  package Boundary::Calls::Overloaded;
  use overload '""' => sub { $_[0][0]->() }, fallback => 1;

  # A callback, and as the source of a token it is told of a refusal.
  package Boundary::Calls::Callable;
  use overload '&{}' => sub { my ($self) = @_; return sub { $self->{answer}->(@_) } }, fallback => 1;
  sub refused { my ($self, $conn) = @_; return $self->{refused}->($conn) }
}

sub callable { my (%code) = @_; return bless {%code}, 'Boundary::Calls::Callable' }

sub client {
  my ($mechanism, @callback) = @_;
  return Authen::SASL->new(mechanism => $mechanism, callback => {@callback})->client_new('imap', 'h');
}

sub server {
  my ($mechanism, @callback) = @_;
  return Authen::SASL->new(mechanism => $mechanism, callback => {@callback})->server_new('imap', 'h', { external_id => 'fred' });
}

# The state of OTP with the pass phrase pencil.
my $OTP = "md5\t0009\tte1234\t27a5f6cf366df446\t" . '0' x 20;

# Runs both sides to the end. `change` may modify a message on its way.
sub exchange {
  my ($mechanism, $secret, $change) = @_;
  my $client = client($mechanism, user => sub { 'fred' }, pass => [sub { 'pencil' }, 1], token => 'abc', ht_token => 'pencil');
  my $server = server($mechanism, getsecret => sub { $secret }, ht_tokens => sub { ['x', $secret] },
    otp_state => sub { defined $secret ? $OTP : undef }, otp_replace => sub { 1 }, checktoken => sub { defined $secret ? 'fred' : undef });
  my $message = $client->client_start;
  $message = $server->server_start($client->property('message_absent') ? undef : $change->($message));
  for (1 .. 4) {
    last unless defined $message && ($client->need_step || length $message);
    $message = $client->client_step($change->($message));
    last unless defined $message && $server->need_step;
    $message = $server->server_step($change->($message));
  }
  my @seen = map { ($_->error, $_->code, $_->is_success, $_->property('user')) } $client, $server;
  return $client->is_success && $server->is_success;
}

sub quietly { my ($code) = @_; local $@; eval { $code->(); 1 }; return }

sub exchanges {
  my $same = sub { $_[0] };
  my @changes = (
    ['cut', sub { substr $_[0], 0, length($_[0]) / 2 }], ['doubled', sub { $_[0] . $_[0] }], ['empty', sub { '' }],
    ['turned', sub { scalar reverse $_[0] }],
  );
  return map {
    my $mechanism = $_;
    (
      ["$mechanism", sub { exchange($mechanism, 'pencil', $same) }],
      ["$mechanism, wrong password", sub { exchange($mechanism, 'rubber', $same) }],
      ["$mechanism, unknown user", sub { exchange($mechanism, undef, $same) }],
      map { my ($how, $change) = @$_; ["$mechanism, messages $how", sub { exchange($mechanism, 'pencil', $change) }] } @changes,
    );
  } grep { !/-(?:PLUS|EXPR|UNIQ|ENDP)\z|\AGS/ } Authen::SASL::Rust->global_listmech;
}

# A login by PLAIN, or with a client of SCRAM, at a server that upgrades verifiers.
sub log_in {
  my ($mechanism, $client, @callback) = @_;
  my @continuation = @callback % 2 ? pop @callback : ();
  my $server = server($mechanism, getsecret => sub { 'pencil' }, @callback);
  $server->property(upgrade => 'SCRAM-SHA-1 4096');
  return $server->server_start("\0fred\0pencil", @continuation) unless $client;
  my $last = $server->server_step($client->client_step($server->server_start($client->client_start)));
  return $client->client_step($last);
}

# One call per place where a callback is called.
sub places {
  my ($what, $code) = @_;
  my $digest = 'realm="a",realm="b",nonce="OA6MG9tEQGm2hh",qop="auth",algorithm=md5-sess';
  return map { my ($place, $run) = @$_; ["$what: $place", sub { quietly($run) }] } (
    ['user', sub { client('PLAIN', user => $code, pass => 'x')->client_start }],
    ['own values', sub { client('PLAIN', user => 'fred', pass => [$code, 1, 'two', [3]])->client_start }],
    ['canonuser of a client', sub { client('PLAIN', @NAMES, canonuser => $code)->client_start }],
    ['realm', sub { my $c = client('DIGEST-MD5', @NAMES, realm => $code); $c->client_start; $c->client_step($digest) }],
    ['checkpass', sub { server('PLAIN', checkpass => $code)->server_start($PLAIN) }],
    ['checkpass, with a continuation', sub { server('PLAIN', checkpass => $code)->server_start($PLAIN, sub { }) }],
    ['getsecret', sub { server('SCRAM-SHA-256', getsecret => $code)->server_start('n,,n=fred,r=abc') }],
    ['getsecret, with a continuation', sub { server('SCRAM-SHA-256', getsecret => $code)->server_start('n,,n=fred,r=abc', sub { }) }],
    ['authorize', sub { server('PLAIN', checkpass => sub { 1 }, authorize => $code)->server_start("wilma$PLAIN") }],
    ['canonuser', sub { server('PLAIN', checkpass => sub { 1 }, canonuser => $code)->server_start($PLAIN) }],
    ['checktoken', sub { server('OAUTHBEARER', checktoken => $code)->server_start("n,,\x01auth=Bearer abc\x01\x01") }],
    ['ht_tokens', sub { server('HT-SHA-256-NONE', ht_tokens => $code)->server_start("fred\0" . 'x' x 32) }],
    ['scram_keys', sub { client('SCRAM-SHA-256', user => 'fred', scram_keys => $code)->client_start }],
    ['keep_scram_keys', sub { log_in('SCRAM-SHA-256', client('SCRAM-SHA-256', @NAMES, keep_scram_keys => $code), keep_scram_keys => $code) }],
    ['setverifier', sub { log_in('PLAIN', undef, setverifier => $code) }],
    ['setverifier, with a continuation', sub { log_in('PLAIN', undef, getsecret => sub { $_[2]->('pencil') }, setverifier => $code, sub { }) }],
    ['otp_state', sub { server('OTP', otp_state => $code, otp_replace => sub { 1 })->server_start("\0fred") }],
    ['otp_replace', sub { server('OTP', otp_state => sub { $OTP }, otp_replace => $code)->server_start("\0fred") }],
    ['realm of a server', sub { server('PLAIN', checkpass => sub { 1 }, realm => $code) }],
  );
}

sub callbacks {
  no warnings 'exiting';
  my $object = bless {}, 'Own::Exception';
  return (
    places('returns', sub { 'fred' }), places('returns undef', sub { undef }), places('returns nothing', sub { return }),
    places('returns a reference', sub { [] }), places('returns a hash', sub { { salt => 1 } }), places('returns characters', sub { "\x{263A}" }),
    places('dies', sub { die "a string\n" }), places('dies with an object', sub { die $object }),
    places('leaves by last', sub { last }), places('leaves by goto', sub { goto NOWHERE }),
    places('re-enters', sub { $_[0]->client_start; $_[0]->client_step('x'); $_[0]->server_start($PLAIN, sub { }); $_[0]->error; 'x' }),
    places('changes the callbacks', sub { %{ $_[0]->callback } = (user => [], pass => sub { }); 'x' }),
    places('makes another', sub { client('PLAIN', @NAMES)->client_start; exchange('SCRAM-SHA-256', 'pencil', sub { $_[0] }); 'x' }),
    places('a tied value that dies', sub :lvalue { tie my $v, 'Boundary::Calls::Tied', sub { die "fetch\n" }; $v }),
    places('an overloaded value', sub { bless [sub { 'x' }], 'Boundary::Calls::Overloaded' }),
    places('an overloaded value that dies', sub { bless [sub { die "string\n" }], 'Boundary::Calls::Overloaded' }),
    places('is an object', callable(answer => sub { 'fred' })), places('is an object that dies', callable(answer => sub { die "answer\n" })),
    (map { places("is $_->[0]", $_->[1]) } ['a string', 'x'], ['a hash', {}], ['an empty array', []], ['another object', $object]),
  );
}

sub continuations {
  my $start = sub {
    my ($answer, $continuation) = @_;
    my $later;
    my $conn = server('PLAIN', checkpass => sub { $later = $_[2]; return });
    $conn->server_start($PLAIN, $continuation || sub { });
    return $answer->($conn, $later, \$later);
  };
  return (
    ['answered at once', sub { server('PLAIN', checkpass => sub { $_[2]->(1); $_[2]->(0); 1 })->server_start($PLAIN, sub { my @x = @_ }) }],
    ['answered at once by a reference', sub { server('PLAIN', getsecret => sub { $_[2]->([1]) })->server_start($PLAIN, sub { }) }],
    ['a message without a question', sub { server('PLAIN', checkpass => sub { 1 })->server_start(undef, sub { my @x = @_ }) }],
    ['answered late', sub { $start->(sub { $_[1]->(1); $_[1]->(1) }) }],
    ['answered late, negative', sub { $start->(sub { $_[1]->(0); $_[0]->error }) }],
    ['answered late by a reference', sub { $start->(sub { $_[1]->([]); $_[0]->error }) }],
    ['answered after the end', sub { $start->(sub { undef $_[0]; $_[1]->(1) }) }],
    ['never answered', sub { $start->(sub { }) }],
    ['never answered, the connection goes last', sub { $start->(sub { undef ${ $_[2] }; undef $_[1]; $_[0]->error }) }],
    ['dropped at once', sub { server('PLAIN', checkpass => sub { return })->server_start($PLAIN, sub { }) }],
    ['kept without a continuation', sub { my $k; server('PLAIN', checkpass => sub { $k = $_[2]; 1 })->server_start($PLAIN) }],
    ['replaced by a new start', sub { $start->(sub { my ($c, $l) = @_; $c->server_start($PLAIN, sub { }); $l->(1) }) }],
    ['busy', sub { $start->(sub { $_[0]->server_step('x', sub { }); $_[0]->error; $_[1]->(1) }) }],
    ['holds the connection', sub {
      my $later;
      my $conn = server('PLAIN', checkpass => sub { $later = $_[2]; return });
      $conn->server_start($PLAIN, sub { $conn->error });
      $later->(1);
    }],
    ['holds the connection, never answered', sub {
      local our $later;                 # not a lexical: the callback would hold it, and with it the connection
      my $conn = server('PLAIN', checkpass => sub { $later = $_[2]; return });
      $conn->server_start($PLAIN, sub { $conn->error });
    }],
    ['dies', sub { quietly(sub { server('PLAIN', checkpass => sub { 1 })->server_start(undef, sub { die "continuation\n" }) }) }],
    ['dies late', sub { quietly(sub { $start->(sub { $_[1]->(1) }, sub { die "continuation\n" }) }) }],
    ['dies when dropped', sub { local $SIG{__WARN__} = sub { }; $start->(sub { undef ${ $_[2] } }, sub { die "continuation\n" }) }],
    ['answered by what dies when it is read', sub {
      quietly(sub { $start->(sub { tie my $v, 'Boundary::Calls::Tied', sub { die "fetch\n" }; $_[1]->($v) }) });
    }],
    ['answered late by what dies', sub {
      quietly(sub { $start->(sub { $_[1]->(bless [sub { die "string\n" }], 'Boundary::Calls::Overloaded') }) });
    }],
    ['starts the next exchange', sub {
      my $rounds = 0;
      my $conn = server('PLAIN', checkpass => sub { $_[2]->(1) });
      my $again; $again = sub { $conn->server_start($PLAIN, $again) if $rounds++ < 3 };
      $again->();
      undef $again;
    }],
  );
}

sub others {
  my $conn = client('PLAIN', @NAMES);
  my $class = 'Authen::SASL::Rust::Connection';
  my $refused = sub {
    my (%code) = @_;
    my $client = client('OAUTHBEARER', user => 'fred', token => callable(answer => sub { 'abc' }, %code));
    $client->client_start;
    quietly(sub { $client->client_step('{"status":"invalid_token"}') });
    return $client->error;
  };
  return (
    ['a refused token of an object', sub { $refused->(refused => sub { $_[0]->error }) }],
    ['a refused token of an object that dies', sub { $refused->(refused => sub { die "refused\n" }) }],
    ['a refused token of an object that starts again', sub { $refused->(refused => sub { $_[0]->client_start }) }],
    ['a connection that is not used', sub { client('PLAIN', @NAMES) }],
    ['the same connection again', sub { $conn->client_start; $conn->client_start; $conn->client_step('x'); $conn->error }],
    ['no mechanism', sub { quietly(sub { client('NOSUCH PLAIN', user => 'fred') }) }],
    ['a wrong option', sub { quietly(sub { Authen::SASL->new(mechanism => 'PLAIN', callback => {@NAMES})->client_new('i', 'h', { minssf => 'x' }) }) }],
    ['wrong flags', sub { quietly(sub { Authen::SASL->new(mechanism => 'PLAIN', callback => {@NAMES})->client_new('i', 'h', 'nonsense') }) }],
    ['addresses', sub { Authen::SASL->new(mechanism => 'PLAIN', callback => {@NAMES})->client_new('i', 'h', '1.2.3.4;5', '1.2.3.4;6') }],
    ['properties', sub {
      my $c = client('PLAIN', @NAMES);
      $c->property(maxbuf => 1000, sockname => 'x', colour => [], realm => "J\x{FC}rgen");
      $c->property($_) for qw(maxbuf colour realm user ssf nosuch message_absent secflags);
      quietly(sub { $c->property(minssf => 'x') });
      quietly(sub { $c->property(minssf => []) });
      quietly(sub { $c->property(ssf => 1) });
    }],
    ['methods', sub { my @x = map { my $m = $_; $conn->$m } qw(host service mechanism error code need_step is_success user callback listmech global_listmech _order) }],
    ['callbacks set', sub { my $c = client('PLAIN', @NAMES); $c->callback(user => sub { 'x' }, pass => undef, password => 'y'); $c->client_start }],
    ['a choice once more', sub { my $c = client('PLAIN ANONYMOUS', @NAMES); $c->property(secflags => 'noplaintext'); $c->client_start }],
    ['a choice that fails', sub { my $c = client('PLAIN', @NAMES); $c->property(secflags => 'noplaintext'); $c->client_start; $c->error }],
    ['die_on_failure', sub { quietly(sub {
      my $c = server('PLAIN', checkpass => sub { 0 });
      $c->property(die_on_failure => 1);
      eval { $c->server_start($PLAIN) };
      my @read = map { $@->$_ } qw(code mechanism message response);
    }) }],
    ['copies', sub { my $copy = Storable::dclone($conn); my @x = ($copy->mechanism, $copy->error); quietly(sub { $copy->need_step }) }],
    ['who is in use', sub { Authen::SASL::Rust->in_use }],
    ['plugins', sub { my @known = Authen::SASL::Rust->plugins }],
    ['die_on_failure with a continuation', sub { quietly(sub {
      my $c = server('PLAIN', checkpass => sub { $_[2]->(0) });
      $c->property(die_on_failure => 1);
      $c->server_start($PLAIN, sub { });
    }) }],
    ['a wide character', sub { quietly(sub { client('LOGIN', @NAMES)->client_step("\x{263A}") }) }],
    ['a message that dies when it is read', sub { quietly(sub {
      tie my $v, 'Boundary::Calls::Tied', sub { die "fetch\n" };
      server('PLAIN', checkpass => sub { 1 })->server_start($v, sub { });
    }) }],
    ['the last reference', sub { my $c; $c = client('PLAIN', user => sub { undef $c; 'x' }, pass => 'x'); $c->client_start }],
    ['forged objects', sub { for my $forged (bless(\(my $i = 1), $class), bless({}, $class), $class, undef) {
      for my $method (qw(client_start server_step error _get)) { my $m = $class->can($method); quietly(sub { $m->($forged, 'x') }) }
    } }],
    ['callbacks that die when they are copied', sub { quietly(sub {
      my $sasl = Authen::SASL->new(mechanism => 'PLAIN', callback => {@NAMES});
      tie $sasl->callback->{$_}, 'Boundary::Calls::Tied', sub { die "fetch\n" } for qw(user pass);
      $sasl->client_new('imap', 'h');
    }) }],
    ['no parent', sub { quietly(sub { Authen::SASL::Rust->client_new({}) }) }],
    ['characters', sub { client('PLAIN', user => "J\xFCrgen", pass => "\x{263A}", authname => 42)->client_start }],
    ['checkpass and setpass', sub {
      my $c = server('PLAIN', checkpass => [sub { $_[3]->(1) }, 1], setpass => sub { 1 });
      $c->checkpass('a', 'b');
      $c->setpass('a', 'b');
    }],
    ['checkpass with other callbacks', sub {
      my @log = (log => [sub { 1 }, 1]);
      server('PLAIN', getsecret => sub { $_ }, canonuser => sub { $_[4] eq 'a' ? 'a' : undef }, @log)->checkpass($_, 'b')
        for 'a', 'SCRAM-SHA-256$broken';
    }],
    ['verifiers', sub {
      my $text = Authen::SASL::Rust->scram_verifier(password => 'x', salt => 'salt');
      exchange('SCRAM-SHA-256', $text, sub { $_[0] });
      quietly(sub { Authen::SASL::Rust->scram_verifier(password => 'x', mechanism => 'NO') });
    }],
    ['remembered keys', sub {
      my $sasl = Authen::SASL->new(mechanism => 'SCRAM-SHA-256', callback => { @NAMES, getsecret => sub { 'pencil' } });
      for (1, 2) {
        my ($c, $s) = ($sasl->client_new('i', 'h'), $sasl->server_new('i', 'h'));
        $c->client_step($s->server_step($c->client_step($s->server_start($c->client_start))));
      }
      delete $sasl->{conn};
    }],
    (map {
      my ($name, $value) = @$_;
      ["channel binding: $name", sub {
        quietly(sub {
          my $c = client('SCRAM-SHA-1-PLUS SCRAM-SHA-1', @NAMES, channel_binding => { ldap => 'x' });
          $c->property(channel_binding => $value);
          $c->client_start;
          $c->property(channel_binding => undef, offered_bindings => ['ldap'], offered_mechanisms => 'SCRAM-SHA-1');
          $c->client_start;
          $c->callback(channel_binding => $value);
        });
        quietly(sub { client('SCRAM-SHA-1-PLUS', @NAMES, channel_binding => $value)->client_start });
      }]
    } (
      ['a hash', { 'tls-unique' => 'x', ldap => "\xFF\0" }], ['code', sub { 'x' x 32 }], ['code that dies', sub { die "no\n" }],
      ['no data', { a => '' }], ['a wrong type', { 'a,b' => 'x' }], ['a wide character', { a => "\x{263A}" }],
      ['a reference', { a => [] }], ['a string', 'x'],
    )),
    ['tls that is none', sub { quietly(sub { $conn->property(tls => []) }) }],
    ['an upgrade task', sub {
      my $task = Authen::SASL::Rust::UpgradeTask->new(mechanism => 'SCRAM-SHA-1', iterations => 4096);
      my @x = map { $task->$_ } qw(name mechanism iterations salt);
      my $of = Authen::SASL::Rust::UpgradeTask->of_name($task->name);
      $task->verifier($of->salted_password(password => 'x', salt => $task->salt, iterations => 4096));
      quietly(sub { $task->verifier('x') });
      quietly(sub { $of->salted_password(password => "\a", salt => 'x', iterations => 4096) });
    }],
    ['global_listmech', sub { my @x = Authen::SASL::Rust->global_listmech }],
  );
}

# All calls, each as [name, code].
sub all {
  my @groups = (
    ['exchange', exchanges()], ['callback', callbacks()], ['continuation', continuations()], ['call', others()],
    ['layer', Boundary::Layers::all()], ['AUTH', Boundary::Lines::all()],
    ['accounts', Boundary::Accounts::all()],
  );
  return map { my ($group, @calls) = @$_; map { ["$group: $_->[0]", $_->[1]] } @calls } @groups;
}

1;
