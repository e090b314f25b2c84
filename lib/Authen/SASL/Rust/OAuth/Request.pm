package Authen::SASL::Rust::OAuth::Request;

# One HTTP request to an authorization server: a form is posted, or a document fetched, and a JSON object comes back. The whole
# request has a deadline, and the response a size limit. Redirects are not followed: they could carry secrets elsewhere.

use strict;
use warnings;
use Authen::SASL::Rust::Connection ();
use Authen::SASL::Rust::OAuth::Deadline;
use Authen::SASL::Rust::OAuth::Error;
use HTTP::Tiny ();
use JSON::PP ();
use MIME::Base64 qw(encode_base64);

our $VERSION = '1.0';

my $ERROR = 'Authen::SASL::Rust::OAuth::Error';
my $LIMIT = 1 << 18;
my $DEPTH = 16;

# Form fields that are secret.
my @SECRET = qw(client_secret code code_verifier device_code refresh_token token);

# new(timeout => seconds, ca_file => a file of certificate authorities)
sub new {
  my ($class, %arg) = @_;
  return bless {%arg}, $class;
}

# Whether requests may be sent to this URL: https, or http to this host. Returns the reason why not, or undef.
sub unfit_url {
  my ($url) = @_;
  return 'a URL was expected' if !defined $url || ref $url;
  return 'the URL contains a character that no URL may contain' if $url =~ /[^\x21-\x7e]/;
  return 'the URL may not contain a fragment' if $url =~ /#/;
  my ($scheme, $authority) = $url =~ m{\A([A-Za-z][A-Za-z0-9+.-]*)://([^/?]+)}
    or return 'a URL with https:// was expected';
  return 'the URL may not contain a user name' if $authority =~ /\@/;
  return undef if lc $scheme eq 'https';
  return 'only https is accepted, except for loopback addresses' unless lc $scheme eq 'http' && is_loopback($authority);
  return undef;
}

sub is_loopback {
  my ($authority) = @_;
  return $authority =~ /\A(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]+)?\z/i ? 1 : 0;
}

# post($step, $url, \%form, $client): $client holds client_id, client_secret and client_auth. Returns the object of a successful
# response, and throws for every other.
sub post {
  my ($self, $step, $url, $form, $client) = @_;
  my %form = %$form;
  my %header = ('Content-Type' => 'application/x-www-form-urlencoded');
  my $secret = $client->{client_secret};
  if (defined $secret && ($client->{client_auth} || 'basic') eq 'basic') {
    # RFC 6749 section 2.3.1: both are encoded as in a form first.
    my $pair = join ':', map { escaped($_) } $client->{client_id}, $secret;
    $header{Authorization} = 'Basic ' . encode_base64($pair, '');
  }
  else {
    $form{client_id} = $client->{client_id} if defined $client->{client_id};
    $form{client_secret} = $secret if defined $secret;
  }
  my $content = join '&', map { escaped($_) . '=' . escaped($form{$_}) } grep { defined $form{$_} } sort keys %form;
  my $response = $self->_send($step, POST => $url, { headers => \%header, content => $content });
  return $self->_object($step, $url, $response, @form{@SECRET}, $secret);
}

sub get {
  my ($self, $step, $url) = @_;
  return $self->_object($step, $url, $self->_send($step, GET => $url, {}));
}

# As get; undef if the server does not have the document, which the caller may find elsewhere.
sub get_if_there {
  my ($self, $step, $url) = @_;
  my $response = $self->_send($step, GET => $url, {});
  return undef if $response->{status} =~ /\A4/;
  return $self->_object($step, $url, $response);
}

sub escaped {
  my $text = Authen::SASL::Rust::Connection::_encoded($_[0]);
  $text =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ge;
  return $text;
}

sub _send {
  my ($self, $step, $method, $url, $what) = @_;
  my $unfit = unfit_url($url);
  $ERROR->throw($step, printable_url($url) . ": $unfit") if defined $unfit;
  my $seconds = $self->{timeout};
  my ($authority) = $url =~ m{\A[^:]+://([^/?]+)};
  my $http = HTTP::Tiny->new(
    agent => 'Authen-SASL-Rust',
    max_redirect => 0,
    max_size => $LIMIT,
    timeout => Authen::SASL::Rust::OAuth::Deadline->new($seconds),
    verify_SSL => 1,
    default_headers => { Accept => 'application/json' },
    defined $self->{ca_file} ? (SSL_options => { SSL_ca_file => $self->{ca_file} }) : (),
    is_loopback($authority) ? (proxy => undef, http_proxy => undef, https_proxy => undef) : (),
  );
  my $response = $http->request($method, $url, $what);
  return $response if $response->{status} != 599;
  my $why = $response->{content};
  # The text of HTTP::Tiny ends with one of its lines; a deadline has its own words there.
  $why =~ s/ at \S+ line [0-9]+\.?\s*\z//;
  $why = "no answer within $seconds seconds" if $why =~ /timed? ?out/i;
  return $ERROR->throw($step, printable_url($url) . ': ' . Authen::SASL::Rust::OAuth::Error::printable($why));
}

# The URL for an error text, without its query.
sub printable_url {
  my ($url) = @_;
  return 'the URL' if !defined $url || ref $url;
  $url =~ s/[?#].*//s;
  $url =~ s{//[^/]*\@}{//};
  return Authen::SASL::Rust::OAuth::Error::printable($url);
}

sub _object {
  my ($self, $step, $url, $response, @secrets) = @_;
  my $status = $response->{status};
  my $object = eval { JSON::PP->new->utf8->max_depth($DEPTH)->decode($response->{content}) };
  $object = undef if ref $object ne 'HASH';
  my $failed = sub { $ERROR->throw($step, printable_url($url) . " $_[0]", status => $status) };
  return $object || $failed->("answered with status $status, but without a JSON object") if $status =~ /\A2/;
  $failed->("answered with a redirect (status $status), which is not followed") if $status =~ /\A3/;
  $ERROR->refused($step, $object, $status, @secrets)
    if $object && defined $object->{error} && !ref $object->{error} && length $object->{error};
  return $failed->("answered with status $status and without an OAuth error");
}

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::OAuth::Request - requests to an authorization server

=head1 DESCRIPTION

Sends requests by HTTP::Tiny for L<Authen::SASL::Rust::OAuth>, with a deadline and limits. Programs do not need this module.

=cut
