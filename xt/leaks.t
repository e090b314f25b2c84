# No call and no failure leaks a scalar or memory; and the calls include every public method of every class.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use lib 'xt/lib';
use Test::More;
use Test::LeakTrace qw(leaked_count);
use Authen::SASL::Rust::AuthLine ();
use Boundary::Calls;
use Boundary::Memory qw(grows);
use Boundary::Methods ();
use TLS::Certificate ();
use TLS::Pair ();

my $tls = TLS::Pair->new(version => 'TLSv1_3', certificate => TLS::Certificate->new, here => 'client');
my @all = (
  Boundary::Calls::all(),
  ['from_tls', sub { my $found = Authen::SASL::Rust::ChannelBinding->from_tls($tls->handle, 'client') }],
  ['otp_state', sub { my $state = Authen::SASL::Rust->otp_state(phrase => 'This is a test.') }],
  [
    'otp_state of a short phrase',
    sub {
      local $@;
      eval { Authen::SASL::Rust->otp_state(phrase => 'short') }
    }
  ],
  [
    'from_tls of no TLS',
    sub {
      local $@;
      eval { Authen::SASL::Rust::ChannelBinding->from_tls([], 'client') }
    }
  ],
);
cmp_ok(scalar @all, '>', 300, scalar(@all) . ' kinds of calls');

# OAuth calls no C and needs a provider: t/oauth-callback.t tests that its objects are freed.
my $methods = Boundary::Methods->watch('Authen::SASL::Rust', 'Authen::SASL::Rust::OAuth');
cmp_ok(scalar $methods->all, '>', 70, scalar($methods->all) . ' public methods');
is_deeply([$methods->uncalled], [$methods->all], 'none of them is called yet');

my $control = leaked_count { my $x = {}; $x->{x} = $x };
cmp_ok($control, '>', 0, 'a leak would be seen');

my $counted = 0;
for my $call (@all) {
  my ($name, $code) = @$call;
  $code->() for 1, 2;    # what perl itself keeps after a first call is not a leak
  my $leaked = leaked_count { $code->() };
  is($leaked, 0, $name);
  $counted++;
}
is($counted, scalar @all, 'all were counted');
is_deeply([$methods->uncalled], [], 'every public method of every class was among them');

my $same = sub { $_[0] };
my @hoard;
cmp_ok(grows(5_000, sub { push @hoard, 'x' x 1_000 }), '>', 4_000_000, 'growth would be seen');
cmp_ok(
  grows(
    50_000,
    sub {
      Boundary::Calls::client('PLAIN', user => 'fred', pass => sub { 'x' })->client_start;
    }
  ),
  '<',
  512 * 1024,
  '100,000 connections'
);
cmp_ok(grows(5_000, sub { Boundary::Calls::exchange('CRAM-MD5', 'pencil', $same) }), '<', 512 * 1024,
  '10,000 exchanges');
cmp_ok(grows(150, sub { Boundary::Calls::exchange('SCRAM-SHA-256', 'pencil', $same) }), '<', 512 * 1024,
  '300 exchanges of SCRAM');
my @rest = grep { $_->[0] !~ /^exchange/ } @all;
cmp_ok(grows(30, sub { $_->[1]->() for @rest }), '<', 512 * 1024, 'every other call, 60 times');

done_testing;
