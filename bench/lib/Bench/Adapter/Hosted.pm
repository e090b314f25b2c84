package Bench::Adapter::Hosted;
# Cyrus SASL plugins in our host: the same shared objects that libsasl2 loads for Bench::Adapter::Cyrus, and on a server the
# same users through the same sasldb plugin.
use strict;
use warnings;
use parent 'Bench::Adapter::Rust';
use Bench::Adapter::Cyrus;

sub needs { 'Authen::SASL::Rust::Accounts' }

sub prepare {
  my ($self, $dir, $job) = @_;
  Bench::Adapter::Cyrus->prepare($dir, $job);
  $self->{sasldb} = "$dir/sasldb2";
}

sub load {
  my ($self) = @_;
  $self->SUPER::load;
  Authen::SASL::Rust->plugins(load => 'scram digestmd5', prefer => 'plugins');
  $self->{accounts} = Authen::SASL::Rust::Accounts->new(cyrus => { auxprop_plugin => 'sasldb', sasldb_path => $self->{sasldb} });
}

sub server_callbacks { {} }
sub server_options { { accounts => $_[0]{accounts} } }

1;
