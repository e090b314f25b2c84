package Authen::SASL::Rust::UpgradeTask;

use strict;
use warnings;
use Authen::SASL::Rust;
use Carp ();

our $VERSION = '1.0';

our @CARP_NOT = ('Authen::SASL::Rust');

sub new {
  my ($class, %arg) = @_;
  my ($mechanism, $iterations, $salt) = delete @arg{qw(mechanism iterations salt)};
  my $unknown = Authen::SASL::Rust::_unknown(\%arg, qw(mechanism iterations salt));
  Carp::croak("new: $unknown") if defined $unknown;
  $mechanism = _mechanism($mechanism);
  Carp::croak('mechanism: the name of a SCRAM mechanism without -PLUS was expected') unless defined $mechanism;
  if (!defined $iterations) {
    my $verifier = Authen::SASL::Rust->scram_verifier(mechanism => $mechanism, password => 'x');
    ($iterations) = $verifier =~ /\$(\d+):/;
  }
  _check_count(iterations => $iterations, 4096, 2_000_000);
  $salt = Authen::SASL::Rust::_random(16) unless defined $salt;
  return bless { mechanism => $mechanism, iterations => $iterations, salt => $salt }, $class;
}

# The task of that name; undef if it is none of ours.
sub of_name {
  my ($class, $name) = @_;
  my $mechanism = defined $name && $name =~ /\AUPGR-(.+)\z/s ? _mechanism($1) : undef;
  return defined $mechanism ? bless({ mechanism => $mechanism }, $class) : undef;
}

sub _mechanism {
  my ($name) = @_;
  return undef unless defined $name && $name =~ /\ASCRAM-[A-Z0-9-]+\z/ && $name !~ /-PLUS\z/;
  return grep({ $_ eq $name } Authen::SASL::Rust->global_listmech) ? $name : undef;
}

sub _check_count {
  my ($name, $count, $least, $most) = @_;
  Carp::croak("$name: a number from $least to $most was expected")
    unless defined $count && $count =~ /\A[0-9]{1,9}\z/ && $count >= $least && $count <= $most;
  return;
}

sub name { return "UPGR-$_[0]{mechanism}" }
sub mechanism { return $_[0]{mechanism} }
sub iterations { return $_[0]{iterations} }
sub salt { return $_[0]{salt} }

# Client: what it sends.
sub salted_password {
  my ($self, %arg) = @_;
  my ($password, $salt, $iterations, $least, $most) =
    delete @arg{qw(password salt iterations min_iterations max_iterations)};
  my $unknown = Authen::SASL::Rust::_unknown(\%arg, qw(password salt iterations min_iterations max_iterations));
  Carp::croak("salted_password: $unknown") if defined $unknown;
  Carp::croak('salted_password: a password and a salt are required') unless defined $password && defined $salt;
  _check_count(
    iterations => $iterations, defined $least ? $least : 4096,
    defined $most ? $most : 2_000_000
  );
  return pack 'H*', Authen::SASL::Rust::_salted_password($self->mechanism, $password, $salt, $iterations);
}

# Server: what it stores.
sub verifier {
  my ($self, $salted) = @_;
  Carp::croak('verifier: this task was not made by new') unless defined $self->salt;
  Carp::croak('verifier: a salted password was expected') if !defined $salted || ref $salted;
  return Authen::SASL::Rust::_verifier_of_salted($self->mechanism, $salted, $self->salt, $self->iterations);
}

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::UpgradeTask - SCRAM upgrade tasks of XMPP (XEP-0480), without the XML

=head1 SYNOPSIS

=for program

    use strict;
    use warnings;
    use Authen::SASL::Rust::UpgradeTask;

    # The server wants verifiers for another mechanism, and offers this task in its stream features.
    my $wanted = Authen::SASL::Rust::UpgradeTask->new(mechanism => 'SCRAM-SHA-512', iterations => 10_000);
    print $wanted->name, "\n";                                         # prints UPGR-SCRAM-SHA-512

    # The client has logged in, and gets the name, the salt and the iterations.
    my $task   = Authen::SASL::Rust::UpgradeTask->of_name('UPGR-SCRAM-SHA-512') or die "unknown task\n";
    my $salted = $task->salted_password(password => 'pencil', salt => $wanted->salt, iterations => $wanted->iterations);
    print length $salted, "\n";                                        # prints 64

    # The server stores what getsecret will return.
    my $verifier = $wanted->verifier($salted);
    print substr($verifier, 0, 20), "\n";                              # prints SCRAM-SHA-512$10000:

=head1 DESCRIPTION

A server that stores SCRAM verifiers cannot make a verifier for another hash from them, and SCRAM does not show it the password. In XMPP, a
client that has logged in can send the salted password for the new mechanism: an upgrade task (XEP-0480) within SASL2 (XEP-0388). This class
computes the values of the task; the program reads and writes the XML:

=over

=item 1.

In the server's C<authentication> element, an element C<upgrade> (namespace C<urn:xmpp:sasl:upgrade:0>) with C<name>. The client repeats it in
its C<authenticate>.

=item 2.

After the login, C<continue> with that C<name> in C<tasks>; the client's C<next> names it.

=item 3.

The server's C<task-data> has an element C<salt> (namespace C<urn:xmpp:scram-upgrade:0>): C<salt> in base64, and C<iterations> as an attribute of
that name.

=item 4.

The client's C<task-data> has an element C<hash> (same namespace): C<salted_password> in base64. The server stores C<verifier>.

=back

B<The salted password is as good as the password> at this server. A client should send it only under TLS, and only after a login that has
authenticated the server, preferably with channel binding; a server should ask for it only after the login has succeeded.

If the server sees the password, because the client logs in by PLAIN or LOGIN, no task is needed: see
L<Authen::SASL::Rust::Connection/upgrade>.

=head1 METHODS

=head2 new

    $task = Authen::SASL::Rust::UpgradeTask->new(mechanism => $name, iterations => $count, salt => $bytes)

A server's task. C<iterations> is 4096 to 2000000; by default the usual count of the hash (L<Authen::SASL::Rust/scram_verifier>).
C<salt> is by default random. Make a new task for each user.

=head2 of_name

    $task = Authen::SASL::Rust::UpgradeTask->of_name($name)

A client's task; undef if the name is not that of a SCRAM upgrade task that this version knows.

=head2 name, mechanism, salt, iterations

The values of the task. C<of_name> gives no salt and iterations.

=head2 salted_password

    $bytes = $task->salted_password(password => $password, salt => $bytes, iterations => $count)

Client: the value that the server has asked for. Dies if the server's count is below C<min_iterations> (4096) or above C<max_iterations> (2000000), both of
which may be given, before anything is computed; and if SASLprep does not allow the password.

=head2 verifier

    $text = $task->verifier($salted_password)

Server: the verifier to store, in the format of RFC 5803. Dies if the length of the client's value is not that of the hash. The server
cannot check that the value belongs to the user's password, so it must store it only for the user who has logged in.

=head1 SEE ALSO

L<Authen::SASL::Rust::Callbacks/VERIFIERS>, L<Authen::SASL::Rust>

=cut
