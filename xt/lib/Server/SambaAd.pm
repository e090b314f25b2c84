package Server::SambaAd;

# Samba's domain controller of an Active Directory, for the realm AD.EXAMPLE.TEST. Its ports for LDAP cannot be configured: a test
# loads Apart first. Starting it makes this process and its children use the realm through KRB5_CONFIG.

use strict;
use warnings;
use parent 'Server::Daemon';
use File::Copy ();

our $REALM = 'AD.EXAMPLE.TEST';
our $BASE = 'DC=ad,DC=example,DC=test';
our $HOST = 'dc1.ad.example.test';

# The password of Administrator, who may do everything.
our $PASSWORD = 'Kuchen+Torte1';

# start(certificate => TLS::Certificate).
sub prepare {
  my ($self) = @_;
  my $dir = $self->dir;
  $ENV{KRB5_CONFIG} = $self->krb5_conf;
  $ENV{KRB5CCNAME} = "FILE:$dir/no-ccache";
  $ENV{KRB5_KTNAME} = $ENV{KRB5_CLIENT_KTNAME} = "FILE:$dir/no-keytab";
  $ENV{KRB5RCACHEDIR} = $dir;
  my $certificate = $self->{certificate}->certificate;

  # Samba refuses a key that others may read.
  my $key = "$dir/key.pem";
  File::Copy::copy($self->{certificate}->key, $key) && chmod 0600, $key or die "$key: $!";
  $self->{conf} = $self->write_file('smb.conf', <<"CONF");
[global]
  realm = $REALM
  workgroup = AD
  netbios name = DC1
  server role = active directory domain controller
  server services = ldap, kdc
  interfaces = lo
  bind interfaces only = yes
  private dir = $dir/private
  state directory = $dir/state
  cache directory = $dir/cache
  lock directory = $dir/lock
  pid directory = $dir/lock
  binddns dir = $dir/dns
  ncalrpc dir = $dir/ncalrpc
  log file = $dir/samba.log
  tls certfile = $certificate
  tls keyfile = $key
  tls cafile = $certificate
[sysvol]
  path = $dir/state/sysvol
[netlogon]
  path = $dir/state/sysvol/scripts
CONF
  $self->tool(qw(domain provision --server-role=dc --dns-backend=NONE --host-name=dc1 --host-ip=127.0.0.1 --domain=AD),
    "--realm=$REALM", "--adminpass=$PASSWORD");

  # The running server would add this name of its own within some minutes.
  $self->tool(qw(spn add), "ldap/$HOST", 'DC1$');
  return;
}

# samba-tool, whose own changes to the directory need no running server.
sub tool {
  my ($self, $command, $what, @arg) = @_;
  return $self->run($self->program('samba-tool'), $command, $what, "--configfile=$self->{conf}", @arg);
}

sub command { my ($self) = @_; return ($self->program('samba'), '-i', '-M', 'single', '--debug-stdout', '-d', 3, '-s', $self->{conf}) }
sub addresses { return map {"127.0.0.1:$_"} 88, 389, 636 }
sub uri { return "ldap://$HOST" }

# Another krb5.conf of the same realm; a setting of its section libdefaults per argument.
sub krb5_conf {
  my ($self, @setting) = @_;
  my $settings = join "\n  ", "default_realm = $REALM", @setting;
  return $self->write_file('krb5-' . ++$self->{configurations} . '.conf', <<"CONF");
[libdefaults]
  $settings
  dns_canonicalize_hostname = false
  rdns = false
  dns_lookup_kdc = false
  dns_lookup_realm = false
[realms]
  $REALM = {
    kdc = 127.0.0.1:88
  }
[domain_realm]
  .ad.example.test = $REALM
  localhost = $REALM
CONF
}

# A keytab with the keys of a principal.
sub keytab {
  my ($self, $principal) = @_;
  my $path = $self->dir . '/keytab-' . ++$self->{keytabs};
  $self->tool(qw(domain exportkeytab), $path, "--principal=$principal");
  return $path;
}

# A credential cache with a ticket that kinit got.
sub ccache {
  my ($self, $principal, $password) = @_;
  my $cache = 'FILE:' . $self->dir . '/ccache-' . ++$self->{ccaches};
  my $file = $self->write_file("password-$self->{ccaches}", "$password\n");
  $self->run('sh', '-c', 'exec "$0" -c "$1" "$2" < "$3"', $self->program('kinit'), $cache, $principal, $file);
  return $cache;
}

1;
