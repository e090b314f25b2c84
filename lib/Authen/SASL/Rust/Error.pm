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

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::Error - the exception of a failed SASL exchange

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

With the option or property C<die_on_failure>, a step that fails dies with an object of this class. This is
for programs, and for modules below them, that do not look at what a step returns. As a string it is the
message and a line feed; it is always true.

=head1 METHODS

=head2 message

The text, as C<< $conn->error >> has it.

=head2 code

The negative number, see L<Authen::SASL::Rust/ERRORS>.

=head2 mechanism

The name of the mechanism; undef if none was chosen.

=head2 response

A last message that the peer must hear all the same, or undef. A polite program sends it.

=head2 throw

    Authen::SASL::Rust::Error->throw($conn, $response)

Dies with the failure of the connection. For the connection's own use.

=head1 SEE ALSO

L<Authen::SASL::Rust>, L<Authen::SASL::Rust::Connection>

=cut
