package Authen::SASL::Rust::OAuth::Providers;

# Endpoints and scopes of large mail providers, as data. Each has the source that it was taken from, on 2026-11-30.

use strict;
use warnings;

our $VERSION = '1.0';

# device: whether the provider allows this scope in the device flow. extra: parameters of the authorization request without which
# the provider gives no refresh token. host: the name of the loopback address in the redirect URI.
our %PROVIDERS = (
  google => {
    source => 'https://accounts.google.com/.well-known/openid-configuration'
      . ' https://developers.google.com/identity/protocols/oauth2/native-app'
      . ' https://developers.google.com/workspace/gmail/imap/xoauth2-protocol',
    issuer => 'https://accounts.google.com',
    authorization_endpoint => 'https://accounts.google.com/o/oauth2/v2/auth',
    token_endpoint => 'https://oauth2.googleapis.com/token',
    device_authorization_endpoint => 'https://oauth2.googleapis.com/device/code',
    scope => 'https://mail.google.com/',
    flow => 'code',
    client_auth => 'post',
    device => 0,
    extra => { access_type => 'offline', prompt => 'consent' },
    host => '127.0.0.1',
  },
  microsoft => {
    source => 'https://learn.microsoft.com/en-us/exchange/client-developer/legacy-protocols/'
      . 'how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth'
      . ' https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-device-code',
    authorization_endpoint => 'https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize',
    token_endpoint => 'https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token',
    device_authorization_endpoint => 'https://login.microsoftonline.com/{tenant}/oauth2/v2.0/devicecode',
    scope => 'offline_access https://outlook.office.com/IMAP.AccessAsUser.All'
      . ' https://outlook.office.com/POP.AccessAsUser.All https://outlook.office.com/SMTP.Send',
    machine_scope => 'https://outlook.office365.com/.default',
    flow => 'device',
    client_auth => 'post',
    device => 1,
    extra => {},
    host => 'localhost',
    tenant => 'common',
  },
);

# The settings of a provider: settings($name, $tenant, $flow). Undef for an unknown name.
sub settings {
  my ($name, $tenant, $flow) = @_;
  my $provider = $PROVIDERS{$name} or return undef;
  my %settings = %$provider;
  $tenant = $settings{tenant} if !defined $tenant;
  if (defined $tenant) { s/\{tenant\}/$tenant/ for @settings{grep { /_endpoint\z/ } keys %settings} }
  $settings{flow} = $flow if defined $flow;
  $settings{scope} = $settings{machine_scope} if $settings{flow} eq 'client_credentials' && $settings{machine_scope};
  delete @settings{qw(machine_scope source tenant)};
  return \%settings;
}

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::OAuth::Providers - endpoints of large providers

=head1 DESCRIPTION

The data behind C<provider> of L<Authen::SASL::Rust::OAuth/new>, with its sources. Programs do not need this module.

=cut
