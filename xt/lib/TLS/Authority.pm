package TLS::Authority;

# A certificate authority in a temporary directory, made with openssl.

use strict;
use warnings;
use File::Temp ();

sub new {
  my ($class, $name) = @_;
  my $self = bless { folder => File::Temp->newdir(TMPDIR => 1), serial => 1, revoked => '' }, $class;
  $self->_openssl(
    qw(req -x509 -nodes -days 2 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -addext),
    'keyUsage=critical,keyCertSign,cRLSign', '-subj', "/CN=$name", '-keyout', $self->path('ca.key'), '-out',
    $self->certificate
  );
  return $self;
}

sub path { return "$_[0]{folder}/$_[1]" }
sub certificate { return $_[0]->path('ca.pem') }

# Issues a certificate for this subject, with alternative names if given; returns the paths of certificate and key.
sub issue {
  my ($self, $subject, $names) = @_;
  my $serial = $self->{serial}++;
  my ($certificate, $key, $request) = map { $self->path("$serial.$_") } qw(pem key csr);
  $self->_openssl(
    qw(req -new -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256), '-subj', $subject, '-keyout', $key,
    '-out', $request
  );
  my $extensions =
    $self->_write("$serial.ext", 'basicConstraints=CA:FALSE' . "\n" . ($names ? "subjectAltName=$names\n" : ''));
  $self->_openssl(
    qw(x509 -req -days 2), '-in', $request, '-CA', $self->certificate, '-CAkey', $self->path('ca.key'),
    '-set_serial', $serial, '-extfile', $extensions, '-out', $certificate
  );
  return ($certificate, $key);
}

# The path of a CRL that revokes the certificate issued last.
sub revoke_last {
  my ($self) = @_;
  $self->{revoked} .= sprintf "R\t401231235959Z\t%s\t%02X\tunknown\t/CN=x\n", '250101000000Z', $self->{serial} - 1;
  my $index = $self->_write('index', $self->{revoked});
  my $number = $self->_write('number', "01\n");
  my $config = $self->_write(
    'config', join '', map { "$_\n" } '[ca]', 'default_ca = this', '[this]', "database = $index",
    "crlnumber = $number", 'default_md = sha256', 'default_crl_days = 2', 'crl_extensions = extensions', '[extensions]',
    'authorityKeyIdentifier = keyid'
  );
  $self->_openssl(
    qw(ca -gencrl), '-config', $config, '-cert', $self->certificate, '-keyfile', $self->path('ca.key'), '-out',
    $self->path('crl.pem')
  );
  return $self->path('crl.pem');
}

sub _write {
  my ($self, $name, $text) = @_;
  open my $file, '>', $self->path($name) or die "$name: $!";
  print {$file} $text;
  close $file or die "$name: $!";
  return $self->path($name);
}

sub _openssl {
  my (undef, @command) = @_;
  my $output = qx{openssl @{[join ' ', map { quotemeta } @command]} 2>&1};
  die "openssl @command: $output" if $?;
  return;
}

1;
