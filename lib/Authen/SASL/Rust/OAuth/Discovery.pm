package Authen::SASL::Rust::OAuth::Discovery;

# The endpoints of an issuer, from its metadata (RFC 8414).

use strict;
use warnings;
use Authen::SASL::Rust::OAuth::Error;
use Authen::SASL::Rust::OAuth::Request;

our $VERSION = '1.0';

my $STEP = 'discovery';

# metadata($request, $issuer): the metadata, checked. Most providers have it in the place of OpenID Connect only (RFC 8414
# section 5).
sub metadata {
  my ($request, $issuer) = @_;
  my ($origin, $path) = $issuer =~ m{\A([^:]+://[^/?]+)(/[^?]*)?\z}
    or Authen::SASL::Rust::OAuth::Error->throw($STEP, 'issuer: a URL without a query was expected');
  $path = '' if !defined $path;
  $path =~ s{/\z}{};
  my $found = $request->get_if_there($STEP, "$origin/.well-known/oauth-authorization-server$path")
    || $request->get($STEP, "$origin$path/.well-known/openid-configuration");

  # RFC 8414 section 3.3: otherwise one issuer could name the endpoints of another.
  Authen::SASL::Rust::OAuth::Error->throw($STEP, 'the metadata names another issuer')
    if !defined $found->{issuer} || ref $found->{issuer} || $found->{issuer} ne $issuer;
  for my $name (grep { /_endpoint\z|\Ajwks_uri\z/ } sort keys %$found) {
    my $unfit = Authen::SASL::Rust::OAuth::Request::unfit_url($found->{$name});
    delete $found->{$name} if defined $unfit;
  }
  return $found;
}

# Adds to the client what the metadata says and the program has not given.
sub complete {
  my ($request, $client) = @_;
  my $found = metadata($request, $client->{issuer});
  for my $name (qw(authorization_endpoint device_authorization_endpoint token_endpoint)) {
    $client->{$name} = $found->{$name} if !defined $client->{$name} && defined $found->{$name};
  }
  my $methods = $found->{token_endpoint_auth_methods_supported};
  if (!defined $client->{client_auth} && ref $methods eq 'ARRAY') {
    my %has = map { $_ => 1 } grep { defined } @$methods;
    $client->{client_auth} = 'post' if $has{client_secret_post} && !$has{client_secret_basic};
  }
  $client->{code_challenge_methods_supported} = $found->{code_challenge_methods_supported};
  $client->{iss_supported} = $found->{authorization_response_iss_parameter_supported} ? 1 : 0;
  return;
}

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::OAuth::Discovery - the endpoints of an issuer

=head1 DESCRIPTION

Reads the metadata of an issuer (RFC 8414) for L<Authen::SASL::Rust::OAuth>. Programs do not need this module.

=cut
