package Peer::Perl;

# Authen::SASL::Perl in a separate perl: a process should have one backend.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec     ();

use Peer::Process ();

sub name { 'Authen::SASL::Perl' }

sub client { my ($class, %arg) = @_; return _spawn('client', %arg) }
sub server { my ($class, %arg) = @_; return _spawn('server', %arg) }

sub _spawn {
  my ($role, %arg) = @_;
  my $program = File::Spec->catfile(dirname(__FILE__), '..', '..', 'peers', 'authen-sasl-perl.pl');
  my %option = (role => $role, %arg);
  return Peer::Process->new(
    label   => "Authen::SASL::Perl's $arg{mechanism} $role",
    role    => $role,
    env     => {PERL5OPT => ''},
    command => [$^X, $program, map {"$_=$option{$_}"} grep { defined $option{$_} } sort keys %option],
  );
}

1;
