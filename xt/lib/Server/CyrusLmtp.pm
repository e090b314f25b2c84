package Server::CyrusLmtp;

# LMTP server of Debian's Cyrus IMAP, with libsasl2. (Its imapd uses the same code for authentication, but its package cannot be installed
# beside Dovecot's.)
# start(users => { name => password }, plugins => [files], mechanisms => 'PLAIN ...')
# Only root can start it. It runs as the user cyrus, who must be able to read the plugins, so they are copied.

use strict;
use warnings;
use parent 'Server::Daemon';
use File::Copy qw(copy);
use Server::Sasldb qw(sasldb);

# Debian's directory of its programs.
my $PROGRAMS = '/usr/lib/cyrus/bin';

sub prepare {
  my ($self) = @_;
  my $dir = $self->dir;
  $self->{port} = $self->free_port;
  my ($owner, $group) = (getpwnam 'cyrus')[2, 3]
    or die "there is no user cyrus: dev/install test installs Cyrus IMAP\n";
  for my $name (qw(conf conf/db conf/socket mail plugins)) { mkdir "$dir/$name" or die "$dir/$name: $!" }
  for my $plugin (@{ $self->{plugins} }) { copy($plugin, "$dir/plugins") or die "$plugin: $!" }
  my $sasldb = sasldb($self, 'localhost');
  chown $owner, $group, $dir, "$dir/conf", map({ "$dir/$_" } qw(conf/db conf/socket mail)), $sasldb or die "$dir: $!";
  $self->write_file('imapd.conf', <<"CONF");
configdirectory: $dir/conf
partition-default: $dir/mail
proc_path: $dir/conf/proc
mboxname_lockpath: $dir/conf/lock
servername: localhost
lmtp_admins: fred
allowplaintext: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: $sasldb
sasl_mech_list: $self->{mechanisms}
CONF
  $self->write_file('cyrus.conf', <<"CONF");
START {
  recover cmd="$PROGRAMS/ctl_cyrusdb -C $dir/imapd.conf -r"
}
SERVICES {
  lmtp cmd="$PROGRAMS/lmtpd -C $dir/imapd.conf" listen="127.0.0.1:$self->{port}" proto="tcp4" prefork=0
}
EVENTS {
}
CONF
  return;
}

sub command {
  my ($self) = @_;
  my $dir = $self->dir;
  return ('/usr/bin/env', "SASL_PATH=$dir/plugins", "$PROGRAMS/master", '-D', '-C', "$dir/imapd.conf", '-M',
    "$dir/cyrus.conf", '-p', "$dir/pid");
}

sub addresses { return "127.0.0.1:$_[0]{port}" }

1;
