package Peer::Gsasl;

# GNU SASL: libgsasl in a small C program that distinguishes an absent message from an empty one. Peer::GsaslProgram is the
# `gsasl` program itself.

use strict;
use warnings;

use Peer::Compiler ();
use Peer::Process  ();

sub name { 'libgsasl' }

sub client { my ($class, %arg) = @_; return _spawn('client', %arg) }
sub server { my ($class, %arg) = @_; return _spawn('server', %arg) }

sub _spawn {
  my ($role, %arg) = @_;
  my $program = Peer::Compiler->build('gsasl-peer', 'gsasl');
  my %option = (role => $role, realm => $arg{host}, iterations => 4096, %arg);
  delete @option{qw(success_data)};
  delete $option{realm} if $role eq 'client';
  return Peer::Process->new(
    label   => "libgsasl's $arg{mechanism} $role",
    role    => $role,
    command => [$program, map {"$_=$option{$_}"} grep { defined $option{$_} } sort keys %option],
  );
}

1;
