package Authen::SASL::Rust;

use strict;
use warnings;
use Authen::SASL ();
use Authen::SASL::Rust::Connection;
use Authen::SASL::Rust::Error;
use Carp ();
use XSLoader;

our $VERSION = '0.1';

XSLoader::load(__PACKAGE__, $VERSION);

# Authen::SASL tries the next plugin when client_new dies: another backend would then send the password
# that our policy refused. So loading this one makes it the only one.
sub import {
  @Authen::SASL::Plugins = (__PACKAGE__);
}

# All mechanisms that there are, as a list or as one string.
sub global_listmech {
  my @names = split / /, _usable();
  return wantarray ? @names : "@names";
}

sub scram_verifier {
  my ($class, %arg) = @_;
  my $mechanism = delete $arg{mechanism};
  my $password = delete $arg{password};
  my ($salt, $iterations, $spelling) = delete @arg{qw(salt iterations spelling)};
  Carp::croak('scram_verifier: unknown argument ' . join ', ', sort keys %arg) if %arg;
  Carp::croak('scram_verifier: a password is needed') unless defined $password;
  $mechanism = 'SCRAM-SHA-256' unless defined $mechanism;
  $iterations = 4096 unless defined $iterations;
  Carp::croak('scram_verifier: iterations: a number from 4096 to 100000000 was expected')
    unless $iterations =~ /\A[0-9]{1,9}\z/ && $iterations >= 4096 && $iterations <= 100_000_000;
  return _make_verifier($mechanism, $password, $salt, $iterations, defined $spelling ? $spelling : 'postgresql');
}

# getsecret's hash as the one text that the core reads; undef if it is none.
sub _stored_key {
  my ($hash) = @_;
  for my $field (qw(mechanism iterations salt stored_key server_key)) {
    return undef unless defined $hash->{$field} && !ref $hash->{$field};
  }
  require MIME::Base64;
  my ($salt, $stored, $server) =
    map { my $bytes = $_; utf8::downgrade($bytes, 1) or return undef; MIME::Base64::encode_base64($bytes, '') }
    @{$hash}{qw(salt stored_key server_key)};
  return "$hash->{mechanism}\$$hash->{iterations}:$salt\$$stored:$server";
}

1;
