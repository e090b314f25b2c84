# Cyrus plugins in our host, each side, against our own mechanisms, against each other, and against libsasl2 in another
# process.

use strict;
use warnings;

use Test::More;

use Peer::Cells  qw(try_cells);
use Peer::Cyrus  ();
use Peer::Hosted ();
use Peer::Ours   ();
use Peer::Own    ();

my @loaded = Authen::SASL::Rust->plugins(prefer => 'plugins');
my %found = map { my $plugin = $_; map { $_ => $plugin->{plugin} } @{$plugin->{client}}, @{$plugin->{server}} } @loaded;
is_deeply [grep { !$found{$_} } qw(ANONYMOUS PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-256 NTLM OTP GSSAPI)], [],
  'the plugins of Debian are there';

my @mechanisms = (qw(ANONYMOUS PLAIN LOGIN CRAM-MD5 DIGEST-MD5), map {"SCRAM-SHA-$_"} qw(1 256 512));
my $prepares_nothing = {why => 'the plugin has no SASLprep', ends => 'fail'};
my %unlike = map { my $role = $_; map { ("$role $_: SASLprep" => $prepares_nothing) } @mechanisms } qw(client server);

for my $peer (qw(Peer::Own Peer::Hosted Peer::Cyrus)) {
  try_cells(
    peer   => $peer,
    client => \@mechanisms,
    server => \@mechanisms,
    unlike => \%unlike,
    cases  => qr/\A(?:right password|wrong password|unknown user|beyond ASCII|punctuation|SASLprep|a trace|authzid that|altered)/,
  );
}

done_testing;
