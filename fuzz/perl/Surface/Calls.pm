package Surface::Calls;

# Everything that a program can call, including with unsuitable arguments.

use strict;
use warnings;
use Authen::SASL qw(Rust);
use Authen::SASL::Rust::Accounts ();
use Authen::SASL::Rust::AuthLine ();
use Authen::SASL::Rust::ChannelBinding ();
use Authen::SASL::Rust::Error ();
use Authen::SASL::Rust::Layer ();
use Authen::SASL::Rust::Options ();
use Authen::SASL::Rust::Passwords ();
use Scalar::Util ();
use Socket ();
use Surface::Answers ();
use Surface::Values ();

my $class = 'Authen::SASL::Rust::Connection';
my @mechanisms = (grep { !/\AGS/ } Authen::SASL::Rust->global_listmech);
my @lists = (@mechanisms, join(' ', @mechanisms), 'SCRAM-SHA-256 PLAIN', 'PLAIN LOGIN ANONYMOUS', '', 'NOSUCH',
  'DIGEST-MD5 CRAM-MD5');
my ($with_layer) = grep { $lists[$_] eq 'DIGEST-MD5' } 0 .. $#lists;
# An account store without users, with a daemon that does not run, and the mechanisms that it allows, with and without -PLUS.
my @allowed = qw(PLAIN SCRAM-SHA-1 SCRAM-SHA-256 EXTERNAL);
my $accounts = Authen::SASL::Rust::Accounts->new(
  cyrus => { pwcheck_method => 'saslauthd', saslauthd_path => '/nonexistent/mux', mech_list => "@allowed" });
push @Surface::watched, $accounts;
my @flags = ('', 'noplaintext', 'noanonymous noactive', 'nonsense', 'mutual_auth', '1.2.3.4;5', 0);
my @properties =
  qw(user authuser authid authcid authzid realm service serverfqdn mechname authsource sockname peername iplocalport
  ipremoteport minssf maxssf externalssf ssf maxbuf maxout secflags channel_binding channel_binding_policy tls no_integrity
  no_confidentiality external_id min_iterations max_iterations salt_key fake_salt_key claimed_user pending_error die_on_failure message_absent offered_mechanisms
  offered_bindings ccache keytab principal delegate colour);
my @plain_methods =
  qw(host service mechanism error code need_step is_success user callback listmech _order _acceptable _get _layered _side _callbacks
  _usable _unbind property answer setpass checkpass global_listmech);
my %slow = map { $_ => 1 } qw(login scram_verifier _own _make_verifier bootstrap can isa import CLONE);

# All our subs, public or not, except those that wait for a peer, run for a requested time, begin a thread, or change objects that
# programs share.
my @subs = map {
  my $package = $_;
  no strict 'refs';
  map { \&{"${package}::$_"} } grep { !$slow{$_} && defined &{"${package}::$_"} } sort keys %{"${package}::"};
} map { "Authen::SASL::Rust$_" } '', qw(::Connection ::Options ::Passwords ::Layer ::Layer::Handle ::AuthLine ::Error ::ChannelBinding);

# Messages that a peer might send; two of them come close to a login.
my @messages = (
  "\0fred\0$Surface::SECRET", "\0fred\0rubber", "wilma\0fred\0$Surface::SECRET", 'fred', $Surface::SECRET, '',
  'n,,n=fred,r=abcdef', 'y,,n=fred,r=abcdef',
  'n,a=wilma,n=fred,r=abc', 'p=tls-unique,,n=fred,r=abc', 'r=abcdef,s=QSXCR+Q6sek8bf92,i=4096', 'v=AAAA',
  'e=invalid-proof',
  'realm="a",realm="b",nonce="OA6MG9tEQGm2hh",qop="auth,auth-int,auth-conf",cipher="rc4,3des",algorithm=md5-sess,charset=utf-8',
  'nonce="OA6MG9tEQGm2hh",qop="auth",algorithm=md5-sess', 'rspauth=00000000000000000000000000000000',
  '<1896.697170952@h>',
  "n,,\x01auth=Bearer $Surface::TOKEN\x01\x01", "user=fred\x01auth=Bearer $Surface::TOKEN\x01\x01", "\x01",
  '{"status":"invalid_token"}',
);

# The object in a slot. A missing connection is made: a client or a server, depending on the number.
# Calls code with these values themselves, at most three. map would copy them, and perl frees a copy twice if reading a tied value leaves it
# by goto.
sub with_values {
  my ($code, @numbers) = @_;
  my @values = map { value($_) } @numbers;
  return $code->() if !@values;
  return $code->(${ $values[0] }) if @values == 1;
  return $code->(${ $values[0] }, ${ $values[1] }) if @values == 2;
  return $code->(${ $values[0] }, ${ $values[1] }, ${ $values[2] });
}

sub slot {
  my ($kind, $number) = @_;
  my $slot = $number % 4;
  make($slot % 2, [$slot, $number >> 2, 3, 2 | $number & 4, 0])
    if $kind eq 'conn' && !exists $Surface::world{conn}[$slot];
  my $what = $Surface::world{$kind}[$slot];
  die "nothing is in that slot\n" unless defined $what;
  return $what;
}
sub value { return Surface::Values::value($_[0]) }

# A server that wants stronger verifiers, and a trace.
my $upgrades = { maxssf => 256, external_id => 'fred', upgrade => 'SCRAM-SHA-1 4097', debug => \&traced };
push @Surface::watched, $upgrades;
sub traced { my ($line) = @_; Surface::examine('a trace', $line); return }

# A server with this account store, and a mechanism that it does not allow.
sub is_excluded {
  my ($conn, $name) = @_;
  my $its = $conn->{property} && $conn->{property}{accounts};
  return ref $its && $its == $accounts && !grep { $name =~ /\A\Q$_\E(?:-PLUS)?\z/ } @allowed;
}

# The numbers of a record select the message: the last one for a slot, perhaps changed; a usual one; any value.
sub message {
  my ($way, $which) = @_;
  my $last = $Surface::world{message}[$which % 4];
  my $text = defined $last ? $last : '';
  return
      $way < 96 ? \$last
    : $way < 160 ? \(my $usual = $messages[$which % @messages])
    : $way < 168 ? \(my $cut = substr $text, 0, $which % (1 + length $text))
    : $way < 176 ? \(my $doubled = $text . $text)
    : $way < 184 ? \(my $turned = scalar reverse $text)
    : $way < 200 ? do { substr($text, $which % length $text, 1) ^= chr(1 + $which % 255) if length $text; \$text }
    : value($which);
}

# Stores the result of a step for the slot's peer.
sub returned {
  my ($slot, @got) = @_;
  Surface::finding('a step returned ' . @got . ' values') if @got > 1;
  $Surface::world{message}[$slot % 4] = $got[0];
  return;
}

my @continuations = (
  sub { Surface::perform(2) }, sub { die "a continuation\n" }, sub { returned(1, @_) },
  sub {
    my ($conn) = @{ $Surface::world{conn} || [] };
    Authen::SASL::Rust::Connection::server_start($conn, undef, sub { });
  },
);

sub continuation {
  my ($number) = @_;
  return $number < 128 ? () : $number < 240 ? $continuations[$number % @continuations] : ${ value($number % 32 * 7) };
}

sub make {
  my ($server, $r) = @_;
  my ($slot, $list, $form, $few, $third) = @$r;
  $Surface::world{known} = $few >> 2 & 3;
  $Surface::world{verifier} = $few >> 4 & 1;
  # A client with these callbacks acts as anna, or reports an error.
  $Surface::world{acting} = my $acting = $few >> 7;
  my $parent = $Surface::world{sasl}[$slot % 4];
  if (!$parent || $few & 32) {
    my $callbacks = Surface::Answers::callbacks($server, $form, $few, $third);
    $callbacks = { %$callbacks, %{ Surface::Answers::callbacks(!$server, $form, 2, 0) } } if $few & 64;
    $parent =
      Authen::SASL->new(mechanism => $list < 224 ? $lists[$list % @lists] : ${ value($third) }, callback => $callbacks);
    $Surface::world{sasl}[$slot % 4] = $parent;
  }
  my @third =
      $third < 64 ? ()
    : $server && $third >= 72 && $third < 80 ? ($upgrades)
    : $server && $third >= 80 && $third < 96 ? ({ maxssf => 256, external_id => 'fred', accounts => $accounts })
    : $third < 96 ? ({ maxssf => 256, external_id => 'fred' })
    : $third >= 104 && $third < 112
    ? ({ external_id => 'fred', channel_binding => { map { $_ => "data of $_" } qw(tls-unique tls-exporter tls-server-end-point) } })
    : $third < 104 ? ({ maxssf => 256, maxbuf => 64, channel_binding => { 'tls-unique' => 'x', ldap => 'y' } })
    : $third < 136 ? $flags[$third % @flags]
    : $third < 144 ? ('1.2.3.4;5', '5.6.7.8;9')
    : (${ value($third) }, $third % 3 ? () : ${ value($form) });
  my ($service, $host) = $third % 16 == 15 ? (${ value($form) }, ${ value($few) }) : ('ldap', 'h');
  my $new = $server ? 'server_new' : 'client_new';
  my $conn = $parent->$new($service, $host, @third);
  Surface::born($conn, $parent->mechanism);
  $Surface::world{conn}[$slot % 4] = $conn;
  $Surface::world{acts}[$slot % 4] = $acting && !$server && $few % 4 == 1;
  $Surface::world{message}[$slot % 4] = undef;
  return;
}

# Runs both sides to the end; a message may be changed on its way.
sub exchange {
  my ($r) = @_;
  my ($client, $server, $changed, $how, $way) = @$r;
  my ($c, $s) = (slot(conn => $client), slot(conn => $server));
  local $Surface::world{undisturbed} = $changed % 16 == 15;
  my $pass = sub {
    my ($round, $text) = @_;
    return $text if $changed % 16 != $round;
    $Surface::world{message}[3] = $text;
    return ${ message($how, $way - $way % 4 + 3) };
  };
  my $text = $c->client_start;
  return unless defined $text;
  $text = $s->server_start($c->property('message_absent') ? undef : $pass->(1, $text));
  for my $round (1 .. 4) {
    last unless defined $text && ($c->need_step || length $text);
    $text = $c->client_step($pass->(2 * $round, $text));
    last unless defined $text && $s->need_step;
    $text = $s->server_step($pass->(2 * $round + 1, $text));
  }
  return unless $Surface::plain && $Surface::world{undisturbed} && $s->is_success;
  acted($s) if $Surface::world{acts}[$client % 4];
  Surface::finding('the token of HT is the second one')
    if ($s->property('mechname') || '') =~ /\AHT/ && ($s->property('ht_token_index') // '') ne '1';
  return;
}

# A client with an authzid must not silently log in as itself.
sub acted {
  my ($s) = @_;
  my $name = $s->property('mechname') || '';
  return if !$Surface::world{acting} || $name =~ /\A(?:ANONYMOUS|EXTERNAL)?\z/;
  my $authzid = $s->property('authzid');
  Surface::finding("$name: the client acts as " . ($authzid // 'itself') . ', and was told to act as anna')
    unless ($authzid // '') eq 'anna';
  return;
}

sub property_value {
  my ($name, $number) = @_;
  my $value = value($number);
  # The number of iterations is work that the program itself requests.
  return $name =~ /iterations/ && !ref $$value && ($$value || 0) =~ /\A[0-9e]+\z/ ? \4096 : $value;
}

# A client and a server with a security layer, and a handle for each.
sub connected {
  my ($r) = @_;
  my @pair = (0, 1);
  undef @Surface::world{qw(sasl conn)};
  make($_, [$_, $with_layer, $r->[0] % 4, 2 | 4, 64]) for @pair;
  $_->property(minssf => $r->[1] % 3 * 56) for @{ $Surface::world{conn} }[@pair];
  exchange([@pair, 255, 0, 0]);
  socketpair my $near, my $far, Socket::AF_UNIX(), Socket::SOCK_STREAM(), Socket::PF_UNSPEC() or return;
  $_->blocking(0) for $near, $far;
  my $method = $r->[2] % 4 ? 'securesocket' : 'tiesocket';
  $Surface::world{layer} = [map { $Surface::world{conn}[$_]->$method(($near, $far)[$_]) } @pair];
  return;
}

# A layer on one end of a socket pair; the other end sends nothing and does not block.
sub cover {
  my ($r) = @_;
  my $conn = slot(conn => $r->[0]);
  socketpair my $near, my $far, Socket::AF_UNIX(), Socket::SOCK_STREAM(), Socket::PF_UNSPEC() or return;
  $_->blocking(0) for $near, $far;
  my $handle = $r->[1] < 200 ? $near : ${ value($r->[2]) };
  my $method = $r->[1] % 4 ? 'securesocket' : 'tiesocket';
  $Surface::world{layer}[$r->[0] % 2] = $conn->$method($handle);
  $Surface::world{far}[$r->[0] % 2] = $far;
  return;
}

my @on_handle = (
  sub { my ($h, $r) = @_; print {$h} ${ value($r->[2]) } }, sub { my ($h, $r) = @_; syswrite $h, ${ value($r->[2]) } },
  sub { my ($h, $r) = @_; syswrite $h, ${ value($r->[2]) }, $r->[3], $r->[4] - 128 },
  sub { my ($h, $r) = @_; sysread $h, my $buffer, $r->[2] },
  sub { my ($h, $r) = @_; my $buffer = ${ value($r->[2]) }; sysread $h, $buffer, $r->[3], $r->[4] - 128 },
  sub { my ($h, $r) = @_; sysread $h, ${ value($r->[2]) }, 4 }, sub { my ($h) = @_; my $line = readline $h },
  sub { my ($h) = @_; my @lines = readline $h },
  sub { my ($h, $r) = @_; local $/ = ${ value($r->[2]) }; my $line = readline $h },
  sub { my ($h) = @_; local $/ = \3; my $line = readline $h },
  sub { my ($h) = @_; getc $h }, sub { my ($h) = @_; eof $h }, sub { my ($h) = @_; close $h },
  sub { my ($h, $r) = @_; printf {$h} '%s', ${ value($r->[2]) } },
  sub { my ($h) = @_; no warnings 'untie'; untie *$h },
  sub { my ($h, $r) = @_; my $f = $Surface::world{far}[$r->[0] % 2]; syswrite $f, ${ value($r->[2]) } },
  sub {
    my ($h, $r) = @_;
    my ($n, $f) = map { $Surface::world{far}[$_] } 0, 1;
    sysread $n, my $bytes, 5000;
    substr($bytes, $r->[3], 1) ^= 'x' if $r->[2] > 200;
    syswrite $f, $bytes;
  },
  sub { my ($h) = @_; $h->flush; $h->pending; $h->unsent; my $number = fileno $h; $h->getline; $h->error },
  sub { my ($h, $r) = @_; $h->read(my $buffer, $r->[2], $r->[3]) },
);

my @calls = (
  (['client_new', sub { make(0, @_) }]) x 2,
  (['server_new', sub { make(1, @_) }]) x 2,
  ['client_start', sub { my ($r) = @_; returned($r->[0], slot(conn => $r->[0])->client_start) }],
  ['client_step', sub { my ($r) = @_; returned($r->[0], slot(conn => $r->[0])->client_step(${ message(@$r[1, 2]) })) }],
  [
    'server_start',
    sub {
      my ($r) = @_;
      returned($r->[0], slot(conn => $r->[0])->server_start(${ message(@$r[1, 2]) }, continuation($r->[3])));
    }
  ],
  [
    'server_step',
    sub {
      my ($r) = @_;
      returned($r->[0], slot(conn => $r->[0])->server_step(${ message(@$r[1, 2]) }, continuation($r->[3])));
    }
  ],
  (['exchange', \&exchange]) x 2,
  ['property', sub { my ($r) = @_; slot(conn => $r->[0])->property($properties[$r->[1] % @properties]) }],
  [
    'set a property',
    sub {
      my ($r) = @_;
      my $name = $properties[$r->[1] % @properties];
      slot(conn => $r->[0])->property($name => ${ property_value($name, $r->[2]) });
    }
  ],
  [
    'any property',
    sub {
      my ($r) = @_;
      my $conn = slot(conn => $r->[0]);
      with_values(sub { $conn->property(@_) }, @$r[1 .. 1 + $r->[4] % 3]);
    }
  ],
  [
    'a method',
    sub {
      my ($r) = @_;
      my $method = $plain_methods[$r->[1] % @plain_methods];
      my $conn = slot(conn => $r->[0]);
      with_values(sub { $conn->$method(@_) }, @$r[2 .. 1 + $r->[4] % 3]);
    }
  ],
  ['mechanism', sub { my ($r) = @_; slot(conn => $r->[0])->mechanism($lists[$r->[1] % @lists]) }],
  [
    'callback',
    sub {
      my ($r) = @_;
      my $name = ('user', @Surface::Answers::SERVER, @Surface::Answers::CLIENT)[$r->[1] % 20];
      $Surface::permitted = 1 if $name =~ /\A(?:checkpass|getsecret|checktoken|ht_tokens|otp_state)\z/;
      slot(conn => $r->[0])->callback($name, ${ value($r->[2]) });
    }
  ],
  ['empty callbacks', sub { my ($r) = @_; %{ slot(conn => $r->[0])->callback } = () }],
  [
    'a late answer',
    sub {
      my ($r) = @_;
      my $slot = $r->[0] % 2;
      my $answer = $r->[1] % 2 ? Surface::Answers::right($Surface::world{asked}[$slot]) : value($r->[2]);
      Surface::Answers::reply($Surface::world{asked}[$slot], $Surface::world{later}[$slot], $answer);
    }
  ],
  ['no answer', sub { my ($r) = @_; undef $Surface::world{later}[$r->[0] % 2] }],
  [
    'encode',
    sub { my ($r) = @_; $Surface::world{message}[$r->[1] % 4] = slot(conn => $r->[0])->encode(${ value($r->[2]) }) }
  ],
  ['decode', sub { my ($r) = @_; slot(conn => $r->[0])->decode(${ message(@$r[1, 2]) }) }],
  ['securesocket', \&cover],
  ['connected', \&connected],
  (['the handle', sub { my ($r) = @_; $on_handle[$r->[1] % @on_handle]->(slot(layer => $r->[0] % 2), $r) }]) x 3,
  [
    'any sub',
    sub {
      my ($r) = @_;
      $Surface::meddled = 1;
      my $self = $r->[0] < 128 ? slot(conn => $r->[0]) : $r->[0] < 160 ? $Surface::world{line}[$r->[0] % 2] : undef;
      $self = tied *{ $Surface::world{layer}[$r->[0] % 2] } if $r->[0] >= 160 && $r->[0] < 200;
      my $sub = $subs[$r->[1] % @subs];
      with_values(sub { $sub->(defined $self ? $self : (), @_) }, @$r[2 .. 1 + $r->[4] % 4]);
    }
  ],
  ['copy', sub { my ($r) = @_; $Surface::world{conn}[$r->[1] % 4] = slot(conn => $r->[0]) }],
  [
    'copy the hash',
    sub { my ($r) = @_; $Surface::world{conn}[$r->[1] % 4] = bless { %{ slot(conn => $r->[0]) } }, $class }
  ],
  ['forget', sub { my ($r) = @_; undef $Surface::world{ (qw(conn sasl layer later line))[$r->[1] % 5] }[$r->[0] % 4] }],
  ['another class', sub { my ($r) = @_; bless slot(conn => $r->[0]), $r->[1] % 2 ? $class : 'Surface::Values::Bare' }],
  ['empty the object', sub { my ($r) = @_; %{ slot(conn => $r->[0]) } = () }],
  ['put in a slot', sub { my ($r) = @_; $Surface::world{conn}[$r->[0] % 4] = ${ value($r->[1]) } }],
  [
    'scram_verifier',
    sub {
      my ($r) = @_;
      Authen::SASL::Rust->scram_verifier(password => ${ value($r->[0]) }, salt => ${ value($r->[1]) },
        mechanism => $r->[2] % 2 ? 'SCRAM-SHA-1' : ${ value($r->[2]) });
    }
  ],
  [
    'an AUTH line',
    sub {
      my ($r) = @_;
      my $side = $r->[1] % 2 ? 'server' : 'client';
      $Surface::world{line}[$r->[0] % 2] =
        Authen::SASL::Rust::AuthLine->$side(sasl => $Surface::world{sasl}[$r->[2] % 4],
        $r->[3] > 128 && $side eq 'server' ? (on_reply => $continuations[$r->[3] % 3]) : ());
      Surface::born($Surface::world{line}[$r->[0] % 2]->connection, $Surface::world{sasl}[$r->[2] % 4]->mechanism);
      Surface::lined($Surface::world{line}[$r->[0] % 2]) if $side eq 'server';
    }
  ],
  [
    'AUTH lines to the end',
    sub {
      my ($client, $server) = @{ $Surface::world{line} }[0, 1];
      $Surface::meddled = 1 if $Surface::depth > 1;    # a program that continues within its callback
      my $to_server = $client->begin;
      for (1 .. 8) { $to_server = $client->feed($server->feed($to_server)); Surface::born($client->connection) }
    }
  ],
  [
    'feed',
    sub {
      my ($r) = @_;
      my $line = $Surface::world{line}[$r->[0] % 2];
      $Surface::meddled = 1 if $Surface::depth > 1;
      $line->feed(
        $r->[1] < 128
        ? (
          map { ref $_ ? $$_ : $_ } "auth-start PLAIN 14\r\n", "auth-list-mechanisms\r\n", "OK 5\r\nPLAIN\r\n",
          message($r->[2], $r->[3])
        )[$r->[1] % 4]
        : ${ value($r->[2]) }
      );
      Surface::born($line->connection);
    }
  ],
  [
    'an error',
    sub {
      my ($r) = @_;
      Authen::SASL::Rust::Error->throw(slot(conn => $r->[0]), $r->[1] % 2 ? ${ value($r->[2]) } : ());
    }
  ],
  ['die on failure', sub { my ($r) = @_; slot(conn => $r->[0])->property(die_on_failure => $r->[1] % 2) }],
  [
    'globals',
    sub {
      my ($r) = @_;
      $_ = ${ value($r->[0]) };
      $SIG{__DIE__} = sub { Surface::Answers::interlude() }
        if $r->[1] % 2;
      $@ = 'left over';
    }
  ],
);

# The number in a record that stands for a call, or for a mechanism in the list of a new connection.
sub number_of {
  my ($name) = @_;
  my ($number) = grep { $calls[$_][0] eq $name } 0 .. $#calls;
  return $number;
}
sub number_of_list {
  my ($list) = @_;
  my ($number) = grep { $lists[$_] eq $list } 0 .. $#lists;
  return $number;
}
sub number_of_property {
  my ($name) = @_;
  my ($number) = grep { $properties[$_] eq $name } 0 .. $#properties;
  return $number;
}

# One record.
sub call {
  my ($number, @r) = @_;
  my ($name, $do) = @{ $calls[$number % @calls] };
  Surface::trace("$name (@r)");
  undef $Surface::plain unless $name =~ /\A(?:client_new|server_new|exchange)\z/;
  return $do->(\@r);
}

1;
