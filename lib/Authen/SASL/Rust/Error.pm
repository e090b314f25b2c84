package Authen::SASL::Rust::Error;

use strict;
use warnings;
use overload '""' => sub { $_[0]{message} . "\n" }, bool => sub { 1 }, fallback => 1;

our $VERSION = '1.0';

# Called by the connection if die_on_failure is set.
sub throw {
  my ($class, $conn, $response) = @_;
  die bless {
    message => $conn->error, code => $conn->code, mechanism => $conn->property('mechname'), response => $response,
  }, $class;
}

sub message { $_[0]{message} }
sub code { $_[0]{code} }
sub mechanism { $_[0]{mechanism} }
sub response { $_[0]{response} }

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::Error - error codes, and the exception for a failed SASL exchange

=head1 SYNOPSIS

=for program

    use strict;
    use warnings;
    use Authen::SASL qw(Rust);

    my $conn = Authen::SASL->new(mechanism => 'PLAIN', callback => { getsecret => sub { 'pencil' } })
        ->server_new('imap', 'mail.example.org', { die_on_failure => 1 });

    if (!eval { $conn->server_start("\0fred\0rubber"); 1 }) {
        print $@->code, ' ', $@->mechanism, "\n";
        print $@;
    }
    # prints -13 PLAIN
    # prints PLAIN server: authentication failed: wrong password or unknown user (SASL_BADAUTH)

=head1 DESCRIPTION

With the option or property L<die_on_failure|Authen::SASL::Rust::Connection/die_on_failure>, a step that fails dies with an object of this
class. This is for programs, or modules that they use, that do not check what a step returns. As a string, the object is the message and a
line feed; as a boolean it is true.

=head1 CODES

C<< $conn->error >> is undef if there is no error. Otherwise it is one string: the mechanism and side, what happened, and the
name of an error code. It never contains a secret. C<< $conn->code >> is the number of that code, as in F<sasl.h>. When
C<client_new> or C<server_new> dies, the text has the same form.

    name           number  means, typically, and what to do
    SASL_OK             0  no error
    SASL_FAIL          -1  no random bytes, or a defect of this library:
                           report it
    SASL_NOMECH        -4  no mechanism is usable: name others, or add the
                           callback that the text names
    SASL_BADPROT       -5  the peer's message is malformed, or violates the
                           protocol: the text names the message and the field
    SASL_BADPARAM      -7  a callback is missing or returned an unusable value;
                           a verifier is malformed; a step was taken while an
                           answer is pending: fix what the text names
    SASL_BADMAC        -9  a frame of the security layer was changed: close the
                           connection
    SASL_BADSERV      -10  the server could not prove that it knows the
                           password: do not go on, it may be an impostor
    SASL_NOTINIT      -12  server_step before server_start: fix the program
    SASL_BADAUTH      -13  wrong password or unknown user; a token was refused;
                           the server refused, in its words: ask the user again
    SASL_NOAUTHZ      -14  right password, but authcid may not act as authzid:
                           the callback authorize decides
    SASL_TOOWEAK      -15  the server names fewer iterations than
                           min_iterations: lower it, if you trust the server
    SASL_BADBINDING   -32  channel binding is required and missing, or does not
                           match: see Authen::SASL::Rust::ChannelBinding

These codes come from account stores and plugins, from Kerberos (SASL_EXPIRED, SASL_DISABLED, SASL_UNAVAIL), and from OTP (SASL_TRYAGAIN);
the text says what failed, and at what:

    SASL_NOMEM               -2  out of memory
    SASL_BUFOVER             -3  a buffer is too small
    SASL_NOTDONE             -6  the exchange has not ended
    SASL_TRYAGAIN            -8  a temporary failure
    SASL_WRONGMECH          -11  the mechanism does not support the request
    SASL_ENCRYPT            -16  encryption is needed for this mechanism
    SASL_TRANS              -17  log in once with a plain text mechanism
    SASL_EXPIRED            -18  the password has expired
    SASL_DISABLED           -19  the account is disabled
    SASL_NOUSER             -20  there is no such user
    SASL_PWLOCK             -21  the password is locked
    SASL_NOCHANGE           -22  nothing was changed, or no change is possible
    SASL_BADVERS            -23  the versions do not match
    SASL_UNAVAIL            -24  the authentication server cannot be reached
    SASL_NOVERIFY           -26  the user has no verifier for this mechanism
    SASL_WEAKPASS           -27  the new password is too weak
    SASL_NOUSERPASS         -28  the user may not set a password
    SASL_NEED_OLD_PASSWD    -29  the old password is required too
    SASL_CONSTRAINT_VIOLAT  -30  the new value violates a constraint
    SASL_CONFIGERR         -100  the configuration is wrong

"Wrong password" and "unknown user" share one text on purpose. With L<die_on_failure|Authen::SASL::Rust::Connection/die_on_failure> a
failure dies, see L</CALLERS THAT IGNORE FAILURES>. Programming errors always die: an unknown option value, a wide character in a message, a
connection of another thread.

=head1 CALLERS THAT IGNORE FAILURES

Net::SMTP and other modules look at the server's replies and not at what a step returns. An impostor that does not know
the password can send an invented proof, then 235, and C<auth> returns true. So let a failed step die:

=over

=item *

with the option or property L<die_on_failure|Authen::SASL::Rust::Connection/die_on_failure>, if the program makes the connection itself;

=item *

with the variable C<$Authen::SASL::Rust::DIE_ON_FAILURE>, if a module makes the connection. Its value is the default of
that option for each connection that C<client_new> and C<server_new> make.

=back

The exception passes through the module in the middle of a dialogue: close that connection. If a server says 235 before
it has sent its proof, no step fails, because no further step is taken. Therefore check C<is_success> at the end. The
Authen::SASL object holds the connection:

    my $sasl = Authen::SASL->new(mechanism => 'SCRAM-SHA-256', callback => { user => $user, pass => $pass });
    my $in   = do {
        local $Authen::SASL::Rust::DIE_ON_FAILURE = 1;
        eval { $smtp->auth($sasl) } && $sasl->{conn}->is_success;
    };
    die 'not logged in: ', $@ || $sasl->error || 'the last reply was ' . $smtp->code if !$in;

C<< $smtp->auth($user, $pass) >> makes its own object, which the program cannot check afterwards; there the variable is
the only protection.

=head1 METHODS

=head2 message

The text, the same as C<< $conn->error >>.

=head2 code

The negative number, see L</CODES>.

=head2 mechanism

The name of the mechanism; undef if none was chosen.

=head2 response

A last message for the peer, or undef. A program should send it, so that the peer learns of the failure.

=head2 throw

    Authen::SASL::Rust::Error->throw($conn, $response)

Dies with the failure of the connection. For internal use by the connection.

=head1 SEE ALSO

L<Authen::SASL::Rust::Troubleshooting>, which lists the texts; L<Authen::SASL::Rust>, L<Authen::SASL::Rust::Connection>

=cut
