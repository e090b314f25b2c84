# The server that has the accounts goes away and comes back in the middle of logins, and 1,500 clients log in again at once, each a user of
# its own. The benchmark measures the same, and counts what has become of each login.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use lib 'bench/lib';
use Test::More;
use Bench::Accounts ();
use Server::Trial qw(trial);

my $accounts = Bench::Accounts->new(users => 1500);

for my $case ([ postgres => 'PostgreSQL' ], [ ldap => 'LDAP' ]) {
  my ($place, $name) = @$case;
  trial $name => sub {
    is $accounts->herd(1500, $place)->{error}, undef, '1,500 clients are in again at their first try';
    is $accounts->away($place)->{error}, undef, 'while it is away nobody is let in or refused, then all are in, and no connection is lost';
  };
}

done_testing;
