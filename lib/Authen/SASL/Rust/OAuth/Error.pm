package Authen::SASL::Rust::OAuth::Error;

use strict;
use warnings;
use overload '""' => sub { $_[0]{message} . "\n" }, bool => sub { 1 }, fallback => 1;

our $VERSION = '1.0';

# What the error codes of the standards mean (RFC 6749 sections 4.1.2.1 and 5.2, RFC 8628 section 3.5, RFC 7009 section 2.2.1).
my %MEANING = (
  access_denied => 'access was denied',
  authorization_pending => 'the user has not logged in yet',
  expired_token => 'the code has expired; log in again',
  interaction_required => 'the user has to log in again',
  invalid_client => 'the client_id or client_secret is wrong',
  invalid_grant => 'the code or refresh token is invalid, expired or revoked; log in again',
  invalid_request => 'the request is invalid',
  invalid_scope => 'the scope is unknown or not allowed for this client',
  server_error => 'the provider has failed',
  slow_down => 'the requests come too fast',
  temporarily_unavailable => 'the provider is temporarily unavailable',
  unauthorized_client => 'this client may not use this flow',
  unsupported_grant_type => 'the provider does not support this flow',
  unsupported_response_type => 'the provider does not support this flow',
);

my $LIMIT = 300;

# throw($step, $message, code => ..., description => ..., status => ...)
sub throw {
  my ($class, $step, $message, %fact) = @_;
  die bless { %fact, step => $step, message => "OAuth, $step: $message" }, $class;
}

# An error response of the provider. @secrets are what this side has sent: a description that repeats one must not bring it into
# a log.
sub refused {
  my ($class, $step, $answer, $status, @secrets) = @_;
  my ($code, $description) = map { printable($_, @secrets) } @{$answer}{qw(error error_description)};
  my $message = "the provider refused: $code";
  $message .= " ($MEANING{$code})" if $MEANING{$code};
  $message .= ": $description" if length $description;
  return $class->throw($step, $message, code => $code, description => $description, status => $status);
}

# A peer's text, for people: one line of ASCII, which is what RFC 6749 section 5.2 allows, of limited length.
sub printable {
  my ($text, @secrets) = @_;
  return '' if !defined $text || ref $text;
  for my $secret (grep { defined && length } @secrets) {
    $text =~ s/\Q$secret\E/[hidden]/g;
  }
  $text =~ s/\s+/ /g;
  $text =~ s/[^\x20-\x7e]/?/g;
  $text =~ s/\A | \z//g;
  return length $text > $LIMIT ? substr($text, 0, $LIMIT) . '...' : $text;
}

sub message { return $_[0]{message} }
sub step { return $_[0]{step} }
sub code { return $_[0]{code} }
sub description { return $_[0]{description} }
sub status { return $_[0]{status} }

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::OAuth::Error - an OAuth step that failed

=head1 SYNOPSIS

=for program

    use strict;
    use warnings;
    use Authen::SASL::Rust::OAuth;

    my $oauth = Authen::SASL::Rust::OAuth->new(
        client_id      => 'mail-program',
        flow           => 'client_credentials',
        token_endpoint => 'http://127.0.0.1:1/token',
    );
    if (!eval { $oauth->token; 1 }) {
        print ref $@, "\n";
        print $@->step, "\n";
    }
    # prints Authen::SASL::Rust::OAuth::Error
    # prints client credentials

=head1 DESCRIPTION

The methods of L<Authen::SASL::Rust::OAuth> die with an object of this class. As a string, the object is the message and a line feed: it
names the step, and where the provider refused, its error code, the meaning of that code, and the provider's description. The description
is reduced to one line of at most 300 ASCII characters. No secret of the program is in it, even if the provider repeats one.

=head1 METHODS

=head2 message

The text.

=head2 step

One of C<discovery>, C<device authorization>, C<device token>, C<authorization>, C<authorization code>, C<client credentials>, C<refresh>,
C<token file>, C<introspection>, C<key set>, C<token>.

=head2 code

The error code of RFC 6749 section 5.2 or RFC 8628 section 3.5, for instance C<invalid_grant>; undef if the provider sent none.

=head2 description

The provider's description, made printable; undef if the provider sent no error.

=head2 status

The HTTP status, if there was a response; else undef.

=head2 throw, refused, printable

For the modules under Authen::SASL::Rust::OAuth.

=head1 SEE ALSO

L<Authen::SASL::Rust::OAuth>

=cut
