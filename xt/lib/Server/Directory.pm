package Server::Directory;

# OpenLDAP's slapd as a directory of accounts: users below ou=people with verifiers and passwords that only a service account may
# read, groups, StartTLS, ldaps and EXTERNAL.

use strict;
use warnings;
use parent -norequire, 'Server::Slapd';
use Encode ();
use MIME::Base64 qw(encode_base64);
use POSIX ();
use Server::Slapd ();
use Time::HiRes qw(sleep);

our $BASE = $Server::Slapd::BASE;
our $SERVICE = "cn=gateway,$BASE";
our $SERVICE_PASSWORD = 'keeper';

# With public => 1 anybody may see the users, without their passwords. With silent => 1 it logs nothing.
#
# start(entries => { DN below $BASE => { attribute => value or [values] } }, authority => TLS::Authority), all in characters.
sub prepare {
  my ($self) = @_;
  my ($dir, $authority) = ($self->dir, $self->{authority});
  @$self{qw(port tls_port)} = ($self->free_port, $self->free_port);
  mkdir "$dir/db" or die "$dir/db: $!";
  my ($certificate, $key) = $authority->issue('/CN=localhost', 'DNS:localhost');
  my $others = $self->{public} ? 'read' : 'none';
  my $size = 4194304 + 16384 * keys %{ $self->{entries} };
  my ($ca, $uid, $gid) = ($authority->certificate, $>, (split ' ', $))[0]);
  $self->{conf} = $self->write_file('slapd.conf', <<"CONF");
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
pidfile $dir/slapd.pid
argsfile $dir/slapd.args
TLSCertificateFile $certificate
TLSCertificateKeyFile $key
TLSCACertificateFile $ca
TLSVerifyClient try
password-hash {CLEARTEXT}
attributetype ( 1.3.6.1.4.1.4203.1.3.4 NAME 'authPassword' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 )
objectclass ( 1.3.6.1.4.1.4203.1.4.7 NAME 'authPasswordObject' SUP top AUXILIARY MAY authPassword )
authz-regexp "gidNumber=$gid\[+]uidNumber=$uid,cn=peercred,cn=external,cn=auth" "$SERVICE"
authz-regexp "cn=sasl-gate" "$SERVICE"
access to attrs=authPassword,userPassword by dn.exact="$SERVICE" read by anonymous auth by * none
access to dn.subtree="ou=people,$BASE" by dn.exact="$SERVICE" read by * $others
access to * by * read
database mdb
suffix $BASE
rootdn cn=root,$BASE
rootpw root
directory $dir/db
maxsize $size
index objectClass,uid eq
overlay memberof
CONF
  my $ldif = $self->write_file('entries.ldif', join "\n", $self->entries);
  $self->run($self->program('slapadd'), '-q', '-f', $self->{conf}, '-l', $ldif);
  return;
}

sub entries {
  my ($self) = @_;
  my @unit = map {
    { dn => "ou=$_,$BASE", objectClass => 'organizationalUnit', ou => $_ }
  } qw(people groups);
  my @user = map { +{ %{ $self->{entries}{$_} }, dn => "$_,$BASE" } } sort { length $a <=> length $b || $a cmp $b } keys %{ $self->{entries} };
  my @top = ({ dn => $BASE, objectClass => ['dcObject', 'organization'], dc => 'example', o => 'Example' },
    { dn => $SERVICE, objectClass => ['organizationalRole', 'simpleSecurityObject'], cn => 'gateway', userPassword => $SERVICE_PASSWORD });
  return map { ldif($_) } @top, @unit, @user;
}

sub ldif {
  my ($entry) = @_;
  my $text = '';
  for my $name ('dn', grep { $_ ne 'dn' } sort keys %$entry) {
    my $value = $entry->{$name};
    $text .= "${name}:: " . encode_base64(Encode::encode('UTF-8', $_), '') . "\n" for ref $value ? @$value : $value;
  }
  return $text;
}

sub command {
  my ($self) = @_;
  return ($self->program('slapd'), '-d', $self->{silent} ? 'none' : 'stats', '-f', $self->{conf}, '-h', join ' ', $self->uri, "ldaps://127.0.0.1:$self->{tls_port}", $self->ldapi_uri);
}

# The URLs with a name that is in the certificate.
sub named_uri { return "ldap://localhost:$_[0]{port}" }
sub tls_uri { return "ldaps://localhost:$_[0]{tls_port}" }

# Ends the server, and starts it again with the same data and addresses.
sub halt {
  my ($self) = @_;
  $self->_signal('TERM');
  waitpid $self->{keeper}, 0;
  return;
}

sub resume {
  my ($self) = @_;
  $self->launch;
  $self->await;
  return;
}

# Changes entries, as LDIF, while the server runs.
sub change {
  my ($self, $ldif) = @_;
  my $file = $self->write_file('change.ldif', $ldif);
  return $self->run($self->program('ldapmodify'), '-x', '-H', $self->uri, '-D', "cn=root,$BASE", '-w', 'root', '-f', $file);
}

# Lets it answer nothing for a while.
sub pause { return $_[0]->_signal('STOP') }
sub go_on { return $_[0]->_signal('CONT') }

sub _signal {
  my ($self, $name) = @_;
  open my $file, '<', $self->dir . '/slapd.pid' or die "slapd.pid: $!";
  chomp(my $pid = <$file>);
  kill $name => $pid or die "kill: $!";
  return;
}

1;
