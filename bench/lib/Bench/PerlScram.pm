package Bench::PerlScram;
# Authen::SASL::Perl before 2.2100 has no SCRAM: its users add Authen::SCRAM. These thin mechanism classes replace that add-on,
# and do nothing if the mechanism exists.
use strict;
use warnings;
use Authen::SASL::Perl;

for my $hash (qw(SHA-1 SHA-256 SHA-512)) {
  (my $class = "Authen::SASL::Perl::SCRAM-$hash") =~ tr/-/_/;
  (my $file = "$class.pm") =~ s{::}{/}g;
  next if eval { require $file };
  $INC{$file} = __FILE__;
  no strict 'refs';
  @{"$class\::ISA"} = ('Bench::PerlScram::Mechanism');
  *{"$class\::mechanism"} = sub { "SCRAM-$hash" };
  *{"$class\::digest"} = sub { $hash };
}

package Bench::PerlScram::Mechanism;
our @ISA = ('Authen::SASL::Perl');

sub _order    { 10 }
sub _secflags { shift; scalar @_ }

sub client_start {
  my $self = shift;
  require Authen::SCRAM::Client;
  $self->{error} = undef;
  $self->{need_step} = 1;
  $self->{scram} = Authen::SCRAM::Client->new(
    username => $self->_call('user'), password => $self->_call('pass'), digest => $self->digest);
  $self->{scram}->first_msg;
}

sub client_step {
  my ($self, $challenge) = @_;
  my $out = eval {
    if ($self->{final}++) { $self->{scram}->validate($challenge); $self->set_success; '' }
    else                  { $self->{scram}->final_msg($challenge) }
  };
  defined $out ? $out : $self->set_error($@);
}

sub server_start {
  my ($self, $message, $cb) = @_;
  require Authen::SCRAM::Server;
  $self->{scram} = Authen::SCRAM::Server->new(credential_cb => $self->callback('getsecret'), digest => $self->digest);
  my $out = eval { $self->{scram}->first_msg($message) };
  return $self->set_error($@) unless defined $out;
  $cb->($out);
  return;
}

sub server_step {
  my ($self, $message, $cb) = @_;
  my $out = eval { $self->{scram}->final_msg($message) };
  return $self->set_error($@) unless defined $out;
  $self->set_success;
  $cb->($out);
  return;
}

1;
