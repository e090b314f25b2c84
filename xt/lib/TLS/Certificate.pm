package TLS::Certificate;

# A self-signed certificate for localhost, made by openssl in a temporary directory.

use strict;
use warnings;
use File::Temp ();

# Option: digest, an argument of openssl req.
sub new {
  my ($class, %option) = @_;
  my $self = bless {folder => File::Temp->newdir(TMPDIR => 1)}, $class;
  my @command = (
    qw(openssl req -x509 -nodes -days 2 -subj /CN=localhost -addext), 'subjectAltName=DNS:localhost,IP:127.0.0.1',
    '-newkey', 'rsa:2048', $option{digest} ? "-$option{digest}" : (),
    '-keyout', $self->key, '-out', $self->certificate,
  );
  my $output = qx{@{[join ' ', map { quotemeta } @command]} 2>&1};
  die "@command: $output" if $?;
  chmod 0755, "$self->{folder}";
  chmod 0644, $self->key, $self->certificate;
  return $self;
}

sub key         { return "$_[0]{folder}/key.pem" }
sub certificate { return "$_[0]{folder}/certificate.pem" }

# tls-server-end-point as openssl computes it.
sub end_point {
  my ($self, $hash) = @_;
  my $file = quotemeta $self->certificate;
  return scalar qx{openssl x509 -in $file -outform der | openssl dgst -$hash -binary};
}

1;
