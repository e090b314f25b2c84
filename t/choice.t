# The choice of the mechanism, by order, flags, SSF and callbacks, and the error if there is none.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);

my %all = (user => 'fred', pass => 'pencil');

sub client {
  my ($list, $callback, @options) = @_;
  return Authen::SASL->new(mechanism => $list, callback => $callback || {%all})->client_new('smtp', 'h', @options);
}

sub choice { return client(@_)->mechanism }

sub refusal {
  my @arg = @_;
  return eval { client(@arg); 1 } ? 'none' : $@;
}

subtest 'order' => sub {
  my @ranked = qw(SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 DIGEST-MD5 CRAM-MD5 PLAIN ANONYMOUS);
  for my $i (0 .. $#ranked) {
    my @rest = @ranked[$i .. $#ranked];
    is(choice("@rest"), $rest[0], "strongest first: $rest[0]");
    is(choice(join ' ', reverse @rest), $rest[0], 'whatever the order of the list');
  }
  my @outside = (undef, { externalssf => 256 });
  is(choice('EXTERNAL CRAM-MD5', @outside), 'EXTERNAL', "ties go by the caller's order");
  is(choice('CRAM-MD5 EXTERNAL', @outside), 'CRAM-MD5', 'both ways');
  is(choice('PLAIN LOGIN'), 'PLAIN', 'PLAIN and LOGIN are equal');
  is(choice('LOGIN PLAIN'), 'LOGIN', 'too');
  my %token = (%all, token => 'abc');
  is(choice('PLAIN XOAUTH2 OAUTHBEARER', \%token), 'OAUTHBEARER', 'OAUTHBEARER before XOAUTH2');
  is(choice('PLAIN XOAUTH2', \%token), 'XOAUTH2', 'before PLAIN');
  is(choice('OAUTHBEARER CRAM-MD5', \%token), 'CRAM-MD5', 'after CRAM-MD5');
};

subtest 'the list' => sub {
  is(uc(choice($_)), 'PLAIN', "separators: $_") for 'NOSUCH PLAIN', 'plain', 'Plain,ANONYMOUS', "\tPLAIN\r\n", '(PLAIN)', 'PLAIN;PLAIN';
  is(choice(join ' ', ('X' x 21), 'PLAIN'), 'PLAIN', 'a name that is too long is none');
  my $refused = qr/^client: no mechanism is usable: /;
  for my $list ('', ' ', '!!!', '=?', "\0", "\xE4\xF6", "\x{5B89}", 'PLAINX', 'PLAI', 'SCRAM', 'PLAIN-', '-PLUS', '*', 'ALL') {
    like(refusal($list), $refused, 'an empty or garbage list refuses: ' . (join ' ', map { sprintf '%x', ord } split //, $list));
  }
  like(refusal(undef), $refused, 'no list refuses');
  like(refusal(''), qr/none was named \(SASL_NOMECH\)$/m, 'and says why');
  like(refusal('x' x 65536), $refused, '64 KiB of a name');
  like(refusal('x ' x 32768), $refused, '64 KiB of names');
  ok(length(refusal('x ' x 32768)) < 4096, 'with an error that can be read');
  unlike(refusal("\x1b[31mX"), qr/\x1b/, 'and no control characters');
};

subtest 'reasons' => sub {
  my $text = refusal('PLAIN CRAM-MD5 XOAUTH2 SCRAM-SHA-256-PLUS NOSUCH', { user => 'fred' });
  like($text, qr/PLAIN: there is no callback pass/, 'a missing callback');
  like($text, qr/CRAM-MD5: there is no callback pass/, 'for each mechanism');
  like($text, qr/XOAUTH2: there is no callback token/, 'token');
  like($text, qr/SCRAM-SHA-256-PLUS: there is no channel binding data/, 'channel binding');
  like($text, qr/NOSUCH: not supported/, 'unknown');
  like(refusal('PLAIN', { realm => 'x' }), qr/no callback user, no callback pass/, 'all that miss');
  like(refusal('PLAIN', undef, 'noplaintext'), qr/PLAIN: it does not satisfy the security flag noplaintext/, 'a flag');
  like(refusal('PLAIN', undef, { minssf => 56 }), qr/PLAIN: minssf is 56; this mechanism offers at most/, 'strength');
  like(refusal('PLAIN EXTERNAL', undef, { channel_binding_policy => 'require' }), qr/PLAIN: channel binding is required/, 'binding');
};

subtest 'flags' => sub {
  my %token = (%all, token => 'abc');
  my %refused = (
    noplaintext => [qw(PLAIN LOGIN OAUTHBEARER XOAUTH2)],
    noanonymous => ['ANONYMOUS'],
    mutual_auth => [qw(PLAIN LOGIN CRAM-MD5 EXTERNAL ANONYMOUS)],
    forward_secrecy => [qw(PLAIN CRAM-MD5 SCRAM-SHA-256)],
    pass_credentials => [qw(PLAIN CRAM-MD5 SCRAM-SHA-256)],
    noactive => [qw(PLAIN CRAM-MD5)],
    nodictionary => [qw(PLAIN CRAM-MD5 SCRAM-SHA-256)],
  );
  for my $flag (sort keys %refused) {
    for my $mechanism (@{ $refused{$flag} }) {
      like(refusal($mechanism, \%token, $flag), qr/$mechanism: it does not satisfy the security flag $flag/, "$flag: no $mechanism");
    }
  }
  is(choice('PLAIN CRAM-MD5', undef, 'noplaintext'), 'CRAM-MD5', 'the next best is taken');
  is(choice('PLAIN ANONYMOUS', undef, { secflags => 'noanonymous' }), 'PLAIN', 'flags as an option');
  is(choice('SCRAM-SHA-256', undef, 'noplaintext noanonymous mutual_auth'), 'SCRAM-SHA-256', 'SCRAM satisfies three');
  is(choice('PLAIN', undef, { secflags => 'noplaintext', externalssf => 128 }), 'PLAIN', 'below TLS the password may travel');
  is(refusal('PLAIN'), 'none', 'without flags it may anyway');
};

subtest 'strength' => sub {
  is(choice('PLAIN', undef, { minssf => 128, externalssf => 128 }), 'PLAIN', 'the strength outside counts');
  like(refusal('PLAIN SCRAM-SHA-256', undef, { minssf => 1 }), qr/SCRAM-SHA-256: minssf is 1; this mechanism offers at most/, 'no layer here');
  is(choice('PLAIN', undef, { maxssf => 0 }), 'PLAIN', 'no layer is asked for');
};

subtest 'once more at the start' => sub {
  my $conn = client('PLAIN CRAM-MD5', undef, 'noplaintext');
  is($conn->mechanism, 'CRAM-MD5', 'at first');
  $conn = client('PLAIN ANONYMOUS');
  is($conn->mechanism, 'PLAIN', 'PLAIN');
  $conn->property(secflags => 'noplaintext');
  is_deeply([$conn->client_start], [''], 'a property changed: another choice');
  is($conn->mechanism, 'ANONYMOUS', 'ANONYMOUS');
  $conn->property(minssf => 56);
  is_deeply([$conn->client_start], [], 'none is left');
  like($conn->error, qr/ANONYMOUS: minssf is 56; this mechanism offers at most/, 'with the reasons');
  is($conn->code, -4, 'SASL_NOMECH');
  $conn->property(externalssf => 256);
  is($conn->client_start, "\0fred\0pencil", 'TLS was declared: PLAIN again');
  $conn->callback(pass => undef);
  is_deeply([$conn->client_start], [''], 'a callback was taken back');
  is($conn->mechanism, 'ANONYMOUS', 'ANONYMOUS');
};

# As with Authen::SASL::Perl. Failures that callbacks cannot change are still reported immediately.
subtest 'callbacks that the connection is given later' => sub {
  my $conn = client('LOGIN PLAIN CRAM-MD5', {});
  is($conn->mechanism, 'CRAM-MD5', 'the strongest, for the time being');
  is_deeply([$conn->client_start], [], 'without callbacks there is no exchange');
  like($conn->error, qr/CRAM-MD5: there is no callback user, no callback pass \(/, 'for that reason');
  $conn->callback(%all);
  is_deeply([$conn->client_start], [''], 'with them there is');
  $conn = client('PLAIN', {});
  $conn->callback(%all);
  is($conn->client_start, "\0fred\0pencil", 'at the first start');
  is(client('PLAIN ANONYMOUS', {})->mechanism, 'ANONYMOUS', 'a mechanism that needs none is chosen before');
  like(refusal('PLAIN', {}, 'noplaintext'), qr/PLAIN: it does not satisfy the security flag noplaintext/, 'a flag');
  like(refusal('NOSUCH', {}), qr/NOSUCH: not supported/, 'an unknown name');
  like(refusal('PLAIN', { user => 'fred' }), qr/PLAIN: there is no callback pass/, 'a program that gives some gives all');
};

subtest "a mail server's list, as Net::SMTP hands it over" => sub {
  my $list = 'XOAUTH2 PLAIN LOGIN OAUTHBEARER CRAM-MD5';
  is(choice($list, { user => 'fred', pass => 'pencil' }), 'CRAM-MD5', 'a password is not a token');
  is(choice('XOAUTH2 PLAIN-CLIENTTOKEN OAUTHBEARER PLAIN', { user => 'fred', pass => 'pencil' }), 'PLAIN', 'Gmail');
  unlike(client($list, { user => 'fred', pass => 'pencil' })->client_start, qr/Bearer/, 'and is not sent as one');
  my $conn = Authen::SASL->new(mechanism => $list, callback => { user => 'fred', pass => 'x', authname => 'fred' })
    ->client_new('smtp', 'h', 0);
  is($conn->mechanism, 'CRAM-MD5', 'with 0 as the third argument');
};

subtest 'a server' => sub {
  my $server = sub {
    my ($list, %callback) = @_;
    return Authen::SASL->new(mechanism => $list, callback => \%callback)->server_new('imap', 'h');
  };
  my $conn = $server->('PLAIN LOGIN ANONYMOUS', getsecret => sub { 'pencil' });
  is($conn->mechanism, undef, 'that offers several has none yet');
  is_deeply([$conn->server_start("\0fred\0pencil")], [], 'and cannot start');
  like($conn->error, qr/name the one mechanism that the client chose/, 'it says why');
  is($conn->mechanism('PLAIN'), 'PLAIN', "the client's choice");
  is_deeply([$conn->server_start("\0fred\0pencil")], [''], 'starts');
  $conn->property(externalssf => 128);
  is_deeply([$conn->server_start("\0fred\0pencil")], [''], 'and stays when a property changes');
  is(eval { $conn->mechanism('CRAM-MD5'); 1 }, undef, 'a mechanism that was not named');
  like($@, qr/not in the list of mechanisms/, 'is refused');
  is($conn->mechanism, 'PLAIN', 'and changes nothing');
  $conn->property(minssf => 256);
  is_deeply([$conn->server_start("\0fred\0pencil")], [], 'policy holds for the one that was picked');
  like($conn->error, qr/PLAIN: minssf is 256/, 'with its reason');

  is($server->('PLAIN', checkpass => sub { 1 })->mechanism, 'PLAIN', 'one is the choice');
  for my $case (['PLAIN', 'checkpass or getsecret'], ['SCRAM-SHA-256', 'getsecret'], ['OAUTHBEARER', 'checktoken']) {
    is(eval { $server->($case->[0]); 1 }, undef, "$case->[0] without callbacks");
    like($@, qr/$case->[0]: there is no callback $case->[1]/, "needs $case->[1]");
  }
  is(eval { $server->(''); 1 }, undef, 'an empty list refuses');
};

subtest 'listmech' => sub {
  my $conn = client('ANONYMOUS PLAIN NOSUCH CRAM-MD5 XOAUTH2 plain');
  is_deeply([$conn->listmech], [qw(CRAM-MD5 PLAIN ANONYMOUS)], 'usable ones, the strongest first, each once');
  is(scalar $conn->listmech, 'CRAM-MD5 PLAIN ANONYMOUS', 'as a string');
  is($conn->listmech('(', ',', ')'), '(CRAM-MD5,PLAIN,ANONYMOUS)', 'with prefix, separator and suffix');
  my @global = Authen::SASL::Rust->global_listmech;
  is_deeply([$conn->global_listmech], \@global, 'global_listmech');
  is($conn->global_listmech, "@global", 'as a string');
  for my $name (qw(SCRAM-SHA-512-PLUS SCRAM-SHA-256 DIGEST-MD5 CRAM-MD5 EXTERNAL OAUTHBEARER XOAUTH2 PLAIN LOGIN ANONYMOUS)) {
    ok((grep { $_ eq $name } @global), "has $name");
  }
};

done_testing;
