package Authen::SASL::Rust::OAuth::Login;

# The logins with a browser: device authorization grant (RFC 8628), and authorization code grant with PKCE (RFC 7636) and a
# redirect to this host (RFC 8252). Both return the provider's token response.

use strict;
use warnings;
use Authen::SASL::Rust::OAuth::Error;
use Authen::SASL::Rust::OAuth::Redirect;
use Authen::SASL::Rust::OAuth::Request;
use Digest::SHA qw(sha256);
use MIME::Base64 qw(encode_base64);
use Time::HiRes ();

our $VERSION = '1.0';

my $ERROR = 'Authen::SASL::Rust::OAuth::Error';
my $DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
my $MAX_DEVICE_SECONDS = 1800;

# Seconds between two requests: RFC 8628 section 3.5.
my ($INTERVAL, $MAX_INTERVAL) = (5, 300);

sub wait_for { Time::HiRes::sleep($_[0]); return }

# device($request, \%client, $prompt)
sub device {
  my ($request, $client, $prompt) = @_;
  my $step = 'device authorization';
  my $began = $request->post($step, $client->{device_authorization_endpoint}, { scope => $client->{scope} }, $client);
  # Google calls it verification_url.
  my $uri = defined $began->{verification_uri} ? $began->{verification_uri} : $began->{verification_url};
  for (['device_code', $began->{device_code}], ['user_code', $began->{user_code}], ['verification_uri', $uri]) {
    my ($name, $value) = @$_;
    $ERROR->throw($step, "the response has no $name") if !defined $value || ref $value || !length $value;
  }
  my $complete = $began->{verification_uri_complete};
  for my $url ($uri, defined $complete ? $complete : ()) {
    my $unfit = Authen::SASL::Rust::OAuth::Request::unfit_url($url);
    $ERROR->throw($step, "verification_uri: $unfit") if defined $unfit;
  }
  my $seconds = seconds($began->{expires_in});
  $seconds = $MAX_DEVICE_SECONDS if !defined $seconds || $seconds > $MAX_DEVICE_SECONDS;
  my $interval = seconds($began->{interval});
  $interval = $INTERVAL if !defined $interval;
  my $end = time + $seconds;
  $prompt->(
    {
      flow => 'device', user_code => Authen::SASL::Rust::OAuth::Error::printable($began->{user_code}),
      verification_uri => $uri, verification_uri_complete => $complete, expires_in => $seconds,
    }
  );
  return _poll($request, $client, $began->{device_code}, $interval, $end);
}

sub _poll {
  my ($request, $client, $device_code, $interval, $end) = @_;
  my $step = 'device token';
  while (1) {
    $interval = $interval < 1 ? 1 : $interval > $MAX_INTERVAL ? $MAX_INTERVAL : $interval;
    $ERROR->throw($step, 'the user has not logged in in time') if time + $interval > $end;
    wait_for($interval);
    my $answer = eval {
      $request->post(
        $step, $client->{token_endpoint}, { grant_type => $DEVICE_GRANT, device_code => $device_code },
        $client
      );
    };
    return $answer if $answer;
    my $error = $@;
    die $error unless ref $error && $error->isa($ERROR);
    my $code = defined $error->code ? $error->code : '';
    if ($code eq 'slow_down') { $interval += 5 }
    elsif (!length $code && !defined $error->status) { $interval *= 2 }    # no connection, or no answer in time
    else { die $error if $code ne 'authorization_pending' }
  }
}

# code($request, \%client, $prompt, $seconds)
sub code {
  my ($request, $client, $prompt, $seconds) = @_;
  my $step = 'authorization';
  my $methods = $client->{code_challenge_methods_supported};
  $ERROR->throw($step, 'the provider does not support PKCE with S256')
    if ref $methods eq 'ARRAY' && !grep { defined && $_ eq 'S256' } @$methods;
  my $redirect = Authen::SASL::Rust::OAuth::Redirect->new($client->{host} || '127.0.0.1');
  # RFC 7636 sections 4.1 and 4.2
  my ($state, $verifier) = (random(), random());
  my %query = (
    %{ $client->{extra} || {} },
    response_type => 'code', client_id => $client->{client_id}, redirect_uri => $redirect->uri,
    scope => $client->{scope},
    state => $state, code_challenge => base64url(sha256($verifier)), code_challenge_method => 'S256',
    login_hint => $client->{login_hint},
  );
  my $url = $client->{authorization_endpoint};
  $url .= ($url =~ /\?/ ? '&' : '?') . join '&',
    map { "$_=" . Authen::SASL::Rust::OAuth::Request::escaped($query{$_}) }
    grep { defined $query{$_} } sort keys %query;
  $prompt->({ flow => 'code', url => $url, redirect_uri => $redirect->uri, expires_in => $seconds });
  my $answer = $redirect->await($state, $seconds);

  # RFC 9207: a response of another provider is refused. A provider that does not send iss cannot be told apart.
  $ERROR->throw($step, 'the redirect comes from another issuer')
    if defined $client->{issuer} && defined $answer->{iss} && $answer->{iss} ne $client->{issuer}
    || $client->{iss_supported} && !defined $answer->{iss};
  $ERROR->refused($step, $answer, undef, $state) if defined $answer->{error};
  $ERROR->throw($step, 'the redirect has no code') if !defined $answer->{code} || !length $answer->{code};
  return $request->post(
    'authorization code',
    $client->{token_endpoint},
    {
      grant_type => 'authorization_code', code => $answer->{code}, redirect_uri => $redirect->uri,
      code_verifier => $verifier,
    },
    { %$client, defined $client->{client_secret} ? () : (client_auth => 'post') }
  );
}

# A number of seconds in a response; some providers send it as a string. Undef if there is none.
sub seconds {
  my ($value) = @_;
  return defined $value && !ref $value && $value =~ /\A[0-9]{1,9}\z/ ? $value + 0 : undef;
}

# 256 random bits of the operating system, in the characters that RFC 7636 section 4.1 allows.
sub random {
  open my $source, '<:raw', '/dev/urandom' or $ERROR->throw('authorization', "/dev/urandom: $!");
  my $read = read $source, my $bytes, 32;
  $ERROR->throw('authorization', '/dev/urandom: no random bytes') unless $read && $read == 32;
  return base64url($bytes);
}

sub base64url {
  my $text = encode_base64($_[0], '');
  $text =~ tr{+/=}{-_}d;
  return $text;
}

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::OAuth::Login - logins with a browser

=head1 DESCRIPTION

The flows C<device> and C<code> of L<Authen::SASL::Rust::OAuth/LOGGING IN>. Programs do not need this module.

=cut
