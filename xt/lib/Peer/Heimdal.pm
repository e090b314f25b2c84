package Peer::Heimdal;

# Our own side with Heimdal's GSS-API library, in a separate process in which MIT's is hidden. Otherwise MIT's would be used.

use strict;
use warnings;

use Cwd            qw(abs_path);
use File::Basename qw(dirname);

use Peer::HiddenLibrary ();
use Peer::Process       ();

sub name { 'our side on Heimdal' }

sub client { my ($class, %arg) = @_; return _spawn('client', %arg) }
sub server { my ($class, %arg) = @_; return _spawn('server', %arg) }

my $hidden;

sub _spawn {
  my ($role, %arg) = @_;
  $hidden ||= Peer::HiddenLibrary->folder('libgssapi_krb5.so.2');
  my $program = abs_path(dirname(__FILE__) . '/../../peers/ours.pl');
  my %option = (role => $role, %arg);
  return Peer::Process->new(
    label   => "Heimdal's $arg{mechanism} $role",
    role    => $role,
    env     => {LD_LIBRARY_PATH => "$hidden"},
    command => [$^X, (map {"-I$_"} grep { !ref } @INC), $program,
      map {"$_=$option{$_}"} grep { defined $option{$_} } sort keys %option],
  );
}

1;
