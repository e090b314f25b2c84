package Authen::SASL::Rust::Error;

use strict;
use warnings;
use overload '""' => sub { $_[0]{message} . "\n" }, bool => sub { 1 }, fallback => 1;

# Called by the connection where die_on_failure is set.
sub throw {
  my ($class, $conn, $response) = @_;
  die bless {
    message => $conn->error, code => $conn->code, mechanism => $conn->mechanism, response => $response,
  }, $class;
}

sub message { $_[0]{message} }
sub code { $_[0]{code} }
sub mechanism { $_[0]{mechanism} }
sub response { $_[0]{response} }

1;
