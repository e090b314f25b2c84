package Server::Sasldb;

# The users of a server with libsasl2, in a sasldb.

use strict;
use warnings;
use Encode ();
use Exporter qw(import);

our @EXPORT_OK = qw(sasldb);

# sasldb($server, $realm, ...) creates the file in the server's directory, with each user in each realm, and returns its path.
sub sasldb {
  my ($server, @realms) = @_;
  my $file = $server->dir . '/sasldb';
  my $users = $server->{users};
  for my $user (sort keys %$users) {
    for my $realm (@realms) {
      open my $to, '|-', $server->program('saslpasswd2'), '-p', '-c', '-f', $file, '-u', $realm,
        Encode::encode('UTF-8', $user)
        or die "saslpasswd2: $!";
      print {$to} Encode::encode('UTF-8', $users->{$user});
      close $to or die "saslpasswd2 failed\n";
    }
  }
  return $file;
}

1;
