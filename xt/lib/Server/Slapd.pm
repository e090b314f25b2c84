package Server::Slapd;

# OpenLDAP's slapd with Cyrus libsasl2. The users are in its directory with passwords in clear text, which slapd itself passes
# to libsasl2.

use strict;
use warnings;
use parent 'Server::Daemon';
use Encode ();
use MIME::Base64 qw(encode_base64);

our $BASE = 'dc=example,dc=org';

# The base of the entries of the option crowd.
our $CROWD = "ou=crowd,$BASE";

# start(users => { name => password, ... }), both in characters. With certificate => TLS::Certificate and binding => tls-unique
# or tls-endpoint it supports StartTLS and channel binding. secprops: its requirements for mechanisms and layers, as in
# slapd.conf(5). crowd: the number of entries below $CROWD, which every user may read and change.
sub prepare {
  my ($self) = @_;
  my $dir = $self->dir;
  my $secprops = $self->{secprops} || 'none';
  my $crowd_access = $self->{crowd} ? qq{access to dn.subtree="$CROWD" by users write by * none\nsizelimit unlimited} : '';
  my $size = 4194304 + 16384 * ($self->{crowd} || 0);
  $self->{port} = $self->free_port;
  mkdir "$dir/db" or die "$dir/db: $!";

  my $tls = $self->{certificate} ? join '', map {"$_\n"}
    'TLSCertificateFile ' . $self->{certificate}->certificate, 'TLSCertificateKeyFile ' . $self->{certificate}->key,
    "sasl-cbinding $self->{binding}" : '';

  # Only the owner of an entry can read it, so that a search proves who is logged in.
  $self->{conf} = $self->write_file('slapd.conf', <<"CONF");
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
pidfile $dir/slapd.pid
argsfile $dir/slapd.args
modulepath /usr/lib/ldap
moduleload back_mdb
sasl-host localhost
sasl-secprops $secprops
password-hash {CLEARTEXT}
authz-regexp uid=([^,]*),.*cn=auth uid=\$1,$BASE
${tls}$crowd_access
access to attrs=userPassword by anonymous auth by * none
access to dn.children="$BASE" by self read by anonymous auth by * none
access to * by * read
database mdb
suffix $BASE
directory $dir/db
maxsize $size
CONF
  my $ldif = $self->write_file('users.ldif', join "\n", $self->entries);
  $self->run($self->program('slapadd'), '-q', '-f', $self->{conf}, '-l', $ldif);
  return;
}

sub entries {
  my ($self) = @_;
  my @entries = ("dn: $BASE\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n");
  for my $user (sort keys %{ $self->{users} }) {
    my $name = encode_base64(Encode::encode('UTF-8', $user), '');
    my $dn = encode_base64(Encode::encode('UTF-8', $self->dn($user)), '');
    my $pass = encode_base64(Encode::encode('UTF-8', $self->{users}{$user}), '');
    push @entries,
      "dn:: $dn\nobjectClass: account\nobjectClass: simpleSecurityObject\n" . "uid:: $name\nuserPassword:: $pass\n";
  }
  return @entries unless $self->{crowd};
  push @entries, "dn: $CROWD\nobjectClass: organizationalUnit\nou: crowd\n";
  push @entries, map {"dn: cn=member $_,$CROWD\nobjectClass: device\ncn: member $_\ndescription: readable $_\n"} 1 .. $self->{crowd};
  return @entries;
}

sub command {
  my ($self) = @_;
  return ($self->program('slapd'), '-d', 'stats', '-f', $self->{conf}, '-h', join ' ', $self->uri, $self->ldapi_uri);
}

sub addresses { my ($self) = @_; return ('127.0.0.1:' . $self->{port}, $self->dir . '/ldapi') }
sub uri { return "ldap://127.0.0.1:$_[0]{port}" }

sub ldapi_uri {
  my ($self) = @_;
  (my $path = $self->dir . '/ldapi') =~ s{([^A-Za-z0-9._-])}{sprintf '%%%02X', ord $1}ge;
  return "ldapi://$path";
}

# Whether the server has logged an anonymous login with that mechanism; to the client it looks as if there was no login.
sub has_anonymous { return $_[0]->logs('BIND dn="<empty>" mech=ANONYMOUS') }

# The name of a user's entry, in characters.
sub dn { return "uid=$_[1],$BASE" }

1;
