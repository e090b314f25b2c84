package Server::Prosody;

# Prosody, an XMPP server, with a host localhost, TLS by STARTTLS, and passwords in clear text.

use strict;
use warnings;
use parent 'Server::Daemon';

# start(users => { name => password, ... }, certificate => TLS::Certificate).
sub prepare {
  my ($self) = @_;
  my $dir = $self->dir;
  $self->{port} = $self->free_port;
  mkdir "$dir/$_" or die "$dir/$_: $!" for qw(data data/localhost data/localhost/accounts);
  for my $user (keys %{$self->{users}}) {
    $self->write_file("data/localhost/accounts/$user.dat", qq(return { password = "$self->{users}{$user}" };\n));
  }
  my ($key, $certificate) = ($self->{certificate}->key, $self->{certificate}->certificate);
  $self->{conf} = $self->write_file('prosody.cfg.lua', <<"CONF");
run_as_root = true
daemonize = false
pidfile = "$dir/prosody.pid"
data_path = "$dir/data"
log = { { levels = { min = "debug" }, to = "console" } }
interfaces = { "127.0.0.1" }
c2s_ports = { $self->{port} }
s2s_ports = {}
modules_enabled = { "saslauth", "tls" }
modules_disabled = { "s2s", "offline" }
authentication = "internal_plain"
c2s_require_encryption = true
ssl = { key = "$key", certificate = "$certificate", protocol = "tlsv1_2+" }
VirtualHost "localhost"
CONF
  return;
}

# Whether it supports channel binding with TLS 1.3 (tls-exporter): since version 13, which also lists the types.
sub binds_tls13 {
  my ($self) = @_;
  my ($version) = $self->run('prosodyctl', '--config', $self->{conf}, 'about') =~ /^Prosody (\d+)/m;
  return defined $version && $version >= 13;
}

sub command   { my ($self) = @_; return ($self->program('prosody'), '-F', '--config', $self->{conf}) }
sub addresses { return "127.0.0.1:$_[0]{port}" }
sub port      { return $_[0]{port} }

1;
