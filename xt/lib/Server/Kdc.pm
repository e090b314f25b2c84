package Server::Kdc;

# MIT Kerberos' KDC with its own realm, EXAMPLE.TEST. Starting it makes this process and its children use the realm, through
# KRB5_CONFIG and KRB5_KDC_PROFILE, and not the machine's own credentials.

use strict;
use warnings;
use parent 'Server::Daemon';

our $REALM = 'EXAMPLE.TEST';

# start(principals => [names without realm]): each gets a random key. With certificate => TLS::Certificate it also issues
# anonymous tickets.
sub prepare {
  my ($self) = @_;
  my $dir = $self->dir;
  my ($trust, $identity) = ('', '');
  if (my $certificate = $self->{certificate}) {
    my ($public, $private) = ($certificate->certificate, $certificate->key);
    $trust = "pkinit_anchors = FILE:$public\n    pkinit_kdc_hostname = localhost\n    pkinit_eku_checking = none";
    $identity = "pkinit_anchors = FILE:$public\n    pkinit_identity = FILE:$public,$private";
  }
  my $port = $self->{port} = $self->free_port;
  $ENV{KRB5_CONFIG} = $self->write_file('krb5.conf', <<"CONF");
[libdefaults]
  default_realm = $REALM
  dns_canonicalize_hostname = false
  rdns = false
  dns_lookup_kdc = false
  dns_lookup_realm = false
  udp_preference_limit = 1
  kdc_timeout = 5000
[realms]
  $REALM = {
    kdc = 127.0.0.1:$port
    $trust
  }
[domain_realm]
  localhost = $REALM
CONF
  $ENV{KRB5_KDC_PROFILE} = $self->write_file('kdc.conf', <<"CONF");
[kdcdefaults]
  kdc_listen = 127.0.0.1:$port
  kdc_tcp_listen = 127.0.0.1:$port
[realms]
  $REALM = {
    database_name = $dir/principal
    key_stash_file = $dir/stash
    acl_file = $dir/kadm5.acl
    max_life = 10h
    supported_enctypes = aes256-cts-hmac-sha1-96:normal
    $identity
  }
CONF
  $ENV{KRB5CCNAME} = "FILE:$dir/no-ccache";
  $ENV{KRB5_KTNAME} = $ENV{KRB5_CLIENT_KTNAME} = "FILE:$dir/no-keytab";
  $ENV{KRB5RCACHEDIR} = $dir;
  $self->run($self->program('kdb5_util'), 'create', '-s', '-r', $REALM, '-P', 'of no use');
  $self->admin("addprinc -randkey $_") for @{$self->{principals}};
  return;
}

sub command { my ($self) = @_; return ($self->program('krb5kdc'), '-n', '-P', $self->dir . '/pid') }
sub addresses { return ('127.0.0.1:' . $_[0]{port}) }

# Runs one kadmin command. kadmin prints errors but exits with 0 nevertheless.
sub admin {
  my ($self, $command) = @_;
  my $said = $self->run($self->program('kadmin.local'), '-r', $REALM, '-q', $command);
  die "kadmin: $command: $said" if $said =~ /^(?:\w+: )?.*while /m;
  return $said;
}

# A keytab with the present keys of these principals.
sub keytab {
  my ($self, @principals) = @_;
  my $path = $self->dir . '/keytab-' . ++$self->{keytabs};
  $self->admin("ktadd -norandkey -k $path $_") for @principals;
  chmod 0644, $path or die "$path: $!";
  return $path;
}

# A credential cache with a ticket for the principal; returns its name in the form of KRB5CCNAME.
sub ccache {
  my ($self, $principal, @option) = @_;
  my $cache = 'FILE:' . $self->dir . '/ccache-' . ++$self->{ccaches};
  my $keytab = $self->{of}{$principal} ||= $self->keytab($principal);
  $self->run($self->program('kinit'), '-c', $cache, '-k', '-t', $keytab, @option, $principal);
  return $cache;
}

# The same by password.
sub ccache_by_password {
  my ($self, $principal, $password, @option) = @_;
  my $cache = 'FILE:' . $self->dir . '/ccache-' . ++$self->{ccaches};
  my $file = $self->write_file("password-$self->{ccaches}", "$password\n");
  $self->run('sh', '-c', 'exec "$0" -c "$1" "$2" "$3" "$4" < "$5"', $self->program('kinit'), $cache, @option ? @option : ('-l', '1h'), $principal, $file);
  return $cache;
}

# The configuration with a port where no KDC listens.
sub config_without_kdc {
  my ($self) = @_;
  open my $from, '<', $ENV{KRB5_CONFIG} or die "$ENV{KRB5_CONFIG}: $!";
  my $text = join '', <$from>;
  $text =~ s/127\.0\.0\.1:\K\d+/$self->free_port/e;
  return $self->write_file('nobody.conf', $text);
}

# The same with an anonymous ticket (RFC 8062).
sub anonymous_ccache {
  my ($self) = @_;
  my $cache = 'FILE:' . $self->dir . '/ccache-' . ++$self->{ccaches};
  $self->run($self->program('kinit'), '-c', $cache, '-n');
  return $cache;
}

1;
