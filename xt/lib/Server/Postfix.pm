package Server::Postfix;

# Debian's Postfix as a submission server with libsasl2. Mail is discarded.
# start(users => { name => password }, plugins => $directory, mechanisms => 'PLAIN ...'); tls => [the files of a certificate and its
# key] adds STARTTLS.
# chroot => 1 lets smtpd run in the queue directory, as Debian's Postfix does. Then the file of users has to be in there.
# Only root can start Postfix. Its smtpd opens the plugins before it switches to the user postfix.

use strict;
use warnings;
use parent 'Server::Daemon';
use Server::Sasldb qw(sasldb);

# Debian's directory of its programs.
my $PROGRAMS = '/usr/lib/postfix/sbin';

sub prepare {
  my ($self) = @_;
  my $dir = $self->dir;
  $self->{port} = $self->free_port;
  my $owner = getpwnam 'postfix' or die "there is no user postfix: dev/install test installs Postfix\n";
  for my $name (qw(queue data sasl)) { mkdir "$dir/$name" or die "$dir/$name: $!" }
  chown $owner, -1, "$dir/data" or die "$dir/data: $!";
  my $sasldb = sasldb($self, 'localhost');
  chown $owner, -1, $sasldb or die "$sasldb: $!";
  my $seen = $sasldb;
  if ($self->{chroot}) {
    mkdir "$dir/queue/etc" or die "$dir/queue/etc: $!";
    rename $sasldb, "$dir/queue/etc/sasldb2" or die "$sasldb: $!";
    $seen = '/etc/sasldb2';
  }
  # Debian's Postfix reads it from this subdirectory.
  $self->write_file('sasl/smtpd.conf', <<"CONF");
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: $seen
mech_list: $self->{mechanisms}
CONF
  $self->write_file('main.cf', <<"MAIN");
compatibility_level = 3.6
queue_directory = $dir/queue
data_directory = $dir/data
maillog_file = $dir/log
maillog_file_prefixes = $dir
import_environment = MAIL_CONFIG LANG=C SASL_PATH=$self->{plugins}
myhostname = localhost
mydestination =
inet_protocols = ipv4
alias_maps =
smtpd_sasl_auth_enable = yes
smtpd_sasl_local_domain = localhost
cyrus_sasl_config_path = $dir/sasl
smtpd_relay_restrictions = permit_sasl_authenticated, reject
default_transport = discard:
@{[$self->{tls} ? tls(@{ $self->{tls} }) : '']}
MAIN
  $self->write_file('master.cf', <<"MASTER");
127.0.0.1:$self->{port} inet n - @{[$self->{chroot} ? 'y' : 'n']} - - smtpd
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
discard unix - - n - - discard
@{[$self->{tls} ? 'tlsmgr unix - - n 1000? 1 tlsmgr' : '']}
MASTER
  # Creates the directories of the queue.
  local $ENV{PATH} = "/usr/sbin:$ENV{PATH}";
  $self->run('postfix', '-c', $dir, 'check');
  return;
}

sub tls {
  my ($certificate, $key) = @_;
  return "smtpd_tls_security_level = may\nsmtpd_tls_cert_file = $certificate\nsmtpd_tls_key_file = $key";
}

# The master process. A signal ends it and its children.
sub command {
  my ($self) = @_;
  return ('/usr/bin/env', "MAIL_CONFIG=" . $self->dir, "$PROGRAMS/master", '-c', $self->dir, '-d');
}

sub addresses { return "127.0.0.1:$_[0]{port}" }

1;
