package Bench::Adapter::Hosted;
# Cyrus' plugins in our host: the same shared objects that libsasl2 loads for Bench::Adapter::Cyrus.
use strict;
use warnings;
use parent 'Bench::Adapter::Rust';

sub load {
  my ($self) = @_;
  $self->SUPER::load;
  Authen::SASL::Rust->plugins(load => 'scram', prefer => 'plugins');
}

1;
