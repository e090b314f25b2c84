package Peer::Cyrus;

# Cyrus libsasl2 in a small C program, with its own user file: the library's state is process-wide and keeps the first caller's
# settings.

use strict;
use warnings;

use File::Temp ();

use Peer::Compiler ();
use Peer::Process  ();

sub name { 'libsasl2' }

sub client { my ($class, %arg) = @_; return _spawn('client', %arg) }

sub server {
  my ($class, %arg) = @_;
  my ($user, $password) = delete @arg{qw(user password)};
  $arg{sasldb} = _user_file($user, $password, $arg{host}) if defined $password;
  return _spawn('server', %arg);
}

my %user_file;

sub _user_file {
  my ($user, $password, $realm) = @_;
  my $made = \$user_file{join "\0", $user, $password, $realm};
  return "$$made/sasldb" if $$made;
  my $folder = File::Temp->newdir;
  local $ENV{PATH} = "$ENV{PATH}:/usr/sbin:/sbin";    # a user's PATH may lack them
  open my $to, '|-', 'saslpasswd2', '-p', '-c', '-f', "$folder/sasldb", '-u', $realm, $user
    or die "cannot run saslpasswd2 (of the Debian package sasl2-bin): $!\n";
  print {$to} $password;
  close $to or die "saslpasswd2 failed\n";
  $$made = $folder;
  return "$folder/sasldb";
}

sub _spawn {
  my ($role, %arg) = @_;
  my $program = Peer::Compiler->build('cyrus-peer', 'sasl2');
  my %option = (role => $role, %arg);
  return Peer::Process->new(
    label   => "libsasl2's $arg{mechanism} $role",
    role    => $role,
    command => [$program, map {"$_=$option{$_}"} grep { defined $option{$_} } sort keys %option],
  );
}

1;
