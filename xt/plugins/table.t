# The mechanisms of Debian's plugins in our host, both sides of each, against our own mechanisms, against each other, and
# against libsasl2 in another process. Ends with the table of the tested combinations.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use Test::More;

use Peer::Cells  qw(try_cells);
use Peer::Cyrus  ();
use Peer::Hosted ();
use Peer::Ours   ();
use Peer::Own    ();

my @loaded = Authen::SASL::Rust->plugins(prefer => 'plugins');
my %plugin_of;
for my $plugin (@loaded) {
  $plugin_of{$_} = $plugin->{plugin} for @{$plugin->{client}}, @{$plugin->{server}};
}

my @all = ('Peer::Own', 'Peer::Hosted', 'Peer::Cyrus');
my $usual = qr/\A(?:right password|wrong password|unknown user|beyond ASCII|punctuation|SASLprep|a trace|authzid that|altered)/;
my $names = qr/\A(?:right password|wrong password|unknown user)\z/;
my @rows = (
  (map { {mechanism => $_, peers => \@all, cases => $usual} }
    qw(ANONYMOUS PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-256)),
  (map { {mechanism => "SCRAM-SHA-$_", peers => \@all, cases => $names} } qw(1 224 384 512)),
  {mechanism => 'NTLM', peers => [@all[1, 2]], cases => $names},
  # The server does not store a password: xt/plugins/otp.t tests our server.
  {mechanism => 'OTP', peers => [$all[2]], cases => $names, roles => ['client']},
);

is_deeply [grep { !$plugin_of{$_->{mechanism}} } @rows], [], 'the plugins of Debian are there';

my @table;
for my $row (@rows) {
  my $mechanism = $row->{mechanism};
  for my $role (@{$row->{roles} || [qw(client server)]}) {
    my $other = $role eq 'client' ? 'server' : 'client';
    for my $peer (@{$row->{peers}}) {
      my @before = Test::More->builder->summary;
      # Our own client prepares the password (RFC 4013); a plugin uses it unchanged.
      my $prepared = $peer eq 'Peer::Own' && $other eq 'client';
      try_cells(
        peer   => $peer,
        $other => [$mechanism],
        cases  => $row->{cases},
        unlike => $prepared ? {} : {"$other $mechanism: SASLprep" => {why => 'a plugin has no SASLprep', ends => 'fail'}},
      );
      my @after = Test::More->builder->summary;
      my @cells = splice @after, scalar @before;
      my $failed = grep { !$_ } @cells;
      push @table, sprintf '%-9s %-14s our %-7s %-12s %s', $plugin_of{$mechanism}, $mechanism, $role,
        $peer->name, $failed ? "$failed of " . @cells . ' FAILED' : @cells . ' cases ok';
      ok scalar @cells, "$mechanism, our $role: something was tried with $peer";
    }
  }
}
diag join "\n", '', 'plugin    mechanism      side        against', @table;

done_testing;
