# The security layer of DIGEST-MD5's plugin in our host, against libsasl2 in another process.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use Test::More;

use Peer::Cyrus      ();
use Peer::LayerCells qw(agree layer_works frames_are_guarded);
use Peer::OurLayer   ();

my $any = {maxssf => 256, maxbuf => 65_536};
my ($plugin) = Authen::SASL::Rust->plugins(load => 'digestmd5', prefer => 'plugins');
is_deeply [@{$plugin->{client}}, @{$plugin->{server}}], ['DIGEST-MD5', 'DIGEST-MD5'], 'the plugin is there';

for my $role (qw(client server)) {
  for my $ssf (1, 56, 128) {
    layer_works("a plugin, strength $ssf", 'Peer::Cyrus', $role, $ssf, {minssf => $ssf, maxssf => $ssf}, $any);
  }
  layer_works('a plugin, we receive little', 'Peer::Cyrus', $role, 128, {maxbuf => 1000}, $any);
  layer_works('a plugin, we send little', 'Peer::Cyrus', $role, 128, {}, {maxssf => 256, maxbuf => 1000});
  frames_are_guarded('a plugin', 'Peer::Cyrus', $role, {minssf => 128}, $any);
  ok !eval { agree('Peer::Cyrus', $role, {minssf => 56}, {maxssf => 1}); 1 }, "our $role, a plugin: a layer that is too weak is none";
  like $@, qr/fails: /, 'and a side says so';
}

done_testing;
