package Peer::Guest;

# libsasl2 with our mechanisms: the plugin of guest/, in a directory that contains nothing else except the plugin for the user
# database.

use strict;
use warnings;

use File::Spec ();
use File::Temp ();

use Crate       ();
use Peer::Cyrus ();

sub name { 'libsasl2 with our guest' }

# Whether its error always names the mechanism. If libsasl2 itself refuses, it does not.
sub explains { return 0 }

my %folder;

# The plugin: the one that SASL_GUEST names, else that of this working copy.
sub built { return $ENV{SASL_GUEST} || Crate::built('guest') . '/libsaslrust.so' }

# Where Debian has its plugins.
sub installed {
  my ($name) = @_;
  my ($found) = grep { -e } map {"$_/$name"} glob('/usr/lib/*/sasl2'), '/usr/lib/sasl2';
  return $found || die "$name is missing: dev/install test installs it\n";
}

# A directory with our plugin and those plugins of Debian's.
sub folder {
  my (@others) = @_;
  my $made = \$folder{join ' ', @others};
  return "$$made" if $$made;
  my $new = File::Temp->newdir;
  symlink built(), "$new/libsaslrust.so" or die "symlink: $!";
  for my $name (@others) { symlink installed("lib$name.so"), "$new/lib$name.so" or die "symlink: $!" }
  $$made = $new;
  return "$new";
}

sub client { my ($class, %arg) = @_; return $class->_among('client', %arg) }
sub server { my ($class, %arg) = @_; return $class->_among('server', %arg) }

sub _among {
  my ($class, $role, %arg) = @_;
  delete @arg{qw(convention options secret)};
  local $ENV{SASL_PATH} = folder('sasldb');
  return Peer::Cyrus->$role(%arg);
}

1;
