package Bench::Adapter;
# The interface of the harness to a backend. This class implements the conventions of Authen::SASL::Perl (a server's answers go
# to a callback); a subclass in Bench/Adapter/NAME.pm overrides what a backend does differently.
use strict;
use warnings;
use Bench::Peer;

our $USER = 'user';
our $PASS = 'secret-pass';
our $HOST = 'localhost';

sub for_backend {
  my ($class, $name) = @_;
  my $pkg = 'Bench::Adapter::' . ucfirst $name;
  eval "require $pkg; 1" or die $@;
  bless {}, $pkg;
}

# What the backend does not support: { 'CRAM-MD5' => { server => 'reason' } }
sub lacks { {} }
# Additional modules to load, and additional module directories
sub needs { () }
sub libs  { () }

# Runs in the worker, before the backend is loaded. $dir is a scratch directory.
sub prepare { }

sub load {
  my $self = shift;
  require Authen::SASL;
  my $m = $self->module;
  Authen::SASL->import($m);
  die "$m is not the plugin in use\n" unless join(' ', do { no warnings 'once'; @Authen::SASL::Plugins }) eq $m;
  eval "require $_; 1" or die $@ for $m, $self->needs;
}

sub versions {
  my $self = shift;
  my $m = $self->module;
  join ', ', "$m " . $m->VERSION, 'Authen::SASL ' . Authen::SASL->VERSION, map { "$_ " . $_->VERSION } grep { $_->VERSION } $self->needs;
}

# Keep alive whatever the backend sets up once per process
sub pin { }

sub client_callbacks {
  my ($self, $mech) = @_;
  return { authname => $USER, user => $USER } if $mech eq 'ANONYMOUS';
  return { user => $USER, pass => $PASS };
}

sub server_callbacks {
  my ($self, $mech, $job) = @_;
  if ($mech eq 'PLAIN' or $mech eq 'LOGIN') {
    return { checkpass => sub { $_[2]->($_[1]{user} eq $USER && $_[1]{pass} eq $PASS) } };
  }
  return { getsecret => sub { $_[2]->($PASS) } };
}

# The argument after the host. None for DIGEST-MD5: if a server also offers layers, the hand-made client chooses qop=auth.
sub server_options { () }

# The four steps are timed: functions of (connection, message), called without a method look-up.
sub client_start { $_[0]->client_start }
sub client_step  { $_[0]->client_step($_[1]) }

sub server_start {
  my $out;
  $_[0]->server_start($_[1], sub { $out = $_[0]; return });
  $out;
}

sub server_step {
  my $out;
  $_[0]->server_step($_[1], sub { $out = $_[0]; return });
  $out;
}

# The result of encode, without the length that precedes it on the wire.
sub frame { $_[1] }

# The layer's own call, and a frame in the form that it expects
sub decode   { $_[0]->decode($_[1], length $_[1]) }
sub arriving { $_[1] }

sub server_done { !$_[1]->need_step }
sub server_ok   { $_[1]->is_success ? 1 : 0 }
sub client_ok   { $_[1]->code ? 0 : 1 }
sub error       { my $e = $_[1]->error; defined $e ? $e : '' }

1;
