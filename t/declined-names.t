# If canonuser rejects a name, the user is unknown. checkpass and getsecret are still called, with another name, so that the time does not
# differ from a wrong password; their answers are ignored.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use File::Temp ();
use Test::More;
use Authen::SASL qw(Rust);
use Authen::SASL::Rust::Accounts;
use TwoSides qw(client server exchange);

my $UNKNOWN = 'nosuchuser';
my $knows_fred = sub { return $_[4] eq 'fred' ? 'fred' : undef };

# Logs in; returns the server and the calls of its callbacks.
sub enter {
  my ($mechanism, $user, $password, %callback) = @_;
  my @asked;
  for my $name (grep { defined $callback{$_} } qw(getsecret checkpass)) {
    my $code = $callback{$name};
    $callback{$name} = sub { push @asked, "$name $_[1]{user}"; return $code->(@_) };
  }
  my $server = server($mechanism, canonuser => $knows_fred, %callback);
  my $client = client($mechanism, user => $user, pass => $password);
  exchange($client, $server);
  return ($server, @asked);
}

for my $mechanism (qw(PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-256 SCRAM-SHA-1)) {
  for my $name ('getsecret', $mechanism =~ /\A(?:PLAIN|LOGIN)\z/ ? 'checkpass' : ()) {
    # These would accept every user.
    my %careless = ($name => sub { return 'pencil' });
    my ($right) = enter($mechanism, 'fred', 'pencil', %careless);
    ok $right->is_success, "$mechanism, $name: fred is in";
    my ($wrong, @of_fred) =
      enter($mechanism, 'fred', 'rubber', $name => sub { return $name eq 'getsecret' ? 'pencil' : 0 });
    my ($declined, @of_nobody) = enter($mechanism, "x' OR 1", 'pencil', %careless);
    ok !$declined->is_success, 'who is declined is not';
    is_deeply \@of_nobody, [map { s/fred/$UNKNOWN/r } @of_fred],
      'as many questions as for a wrong password, and none with that name';
    is $declined->error, $wrong->error, 'the same error';
    is $declined->property('claimed_user'), "x' OR 1", 'whom the client has claimed to be';
    ok !defined $declined->property('user'), 'nobody is in';
  }
}

subtest 'an answer that comes later' => sub {
  my $answer;
  my $server = server('PLAIN', canonuser => $knows_fred, checkpass => sub { $answer = $_[2]; return });
  $server->server_start("\0barney\0pencil", sub { });
  ok $server->need_step, 'it is waited for';
  $answer->(1);
  ok !$server->need_step && !$server->is_success, 'and lets nobody in';
  $server->server_start("\0fred\0pencil", sub { });
  $answer->(1);
  ok $server->is_success, 'fred is in afterwards, on the same connection';
};

subtest 'a store that is away' => sub {
  my $away = Authen::SASL::Rust::Accounts->new(saslauthd => '/nonexistent/mux');
  my @said = map {
    my $server = Authen::SASL->new(mechanism => 'PLAIN', callback => { canonuser => $knows_fred })
      ->server_new('imap', 'mail.example.org', { accounts => $away });
    $server->server_start("\0$_\0pencil");
    $server->error;
  } qw(fred barney);
  like $said[0], qr/SASL_UNAVAIL/, 'is told';
  is $said[1], $said[0], 'of each name alike';
};

subtest 'checkpass' => sub {
  my @asked;
  my $server = server('PLAIN', canonuser => $knows_fred, checkpass => sub { push @asked, $_[1]{user}; return 1 });
  is $server->checkpass('fred', 'pencil'), 1, 'a name with a canonical form';
  is $server->checkpass('barney', 'pencil'), 0, 'one without is refused, though checkpass would take it';
  is_deeply \@asked, ['fred', $UNKNOWN], 'which it is not asked for';

  my $folder = File::Temp->newdir;
  my $accounts = Authen::SASL::Rust::Accounts->new(users => "$folder/users");
  $accounts->setpass($_, 'pencil') for qw(fred barney);
  my $behind = Authen::SASL->new(mechanism => 'PLAIN', callback => { canonuser => $knows_fred })
    ->server_new('imap', 'mail.example.org', { accounts => $accounts });
  is_deeply [map { $behind->checkpass($_, 'pencil') } qw(fred barney)], [1, 0], 'with accounts too';
};

done_testing;
