package Server::Prosody;

# Prosody, an XMPP server, with a host localhost, TLS by STARTTLS, and passwords in clear text.

use strict;
use warnings;
use parent 'Server::Daemon';

# start(users => { name => password, ... }, certificate => TLS::Certificate), and modules => [names] of prosody-modules.
sub prepare {
  my ($self) = @_;
  my $dir = $self->dir;
  $self->{port} = $self->free_port;
  mkdir "$dir/$_" or die "$dir/$_: $!" for qw(data data/localhost data/localhost/accounts);
  for my $user (keys %{$self->{users}}) {
    $self->write_file("data/localhost/accounts/$user.dat", qq(return { password = "$self->{users}{$user}" };\n));
  }
  my $modules = join '', map { qq(, "$_") } map { ('connection_methods', @$_) } $self->{modules} || ();
  # The modules are for a later Prosody than 0.12, which lacks some methods, does not tell which user a stream is
  # from, and prints whole seconds only.
  $self->write_file('mod_connection_methods.lua', <<'LUA') if $modules;
local times = require "util.datetime";
local print_time = times.datetime;
function times.datetime(time) return print_time(time and math.floor(time)); end
local stanza = require "util.stanza".stanza_mt.__index;
stanza.get_child_attr = stanza.get_child_attr or function (self, name, xmlns, attribute)
  local child = self:get_child(name, xmlns);
  return child and child.attr[attribute];
end
module:hook("stream-features", function (event)
  local methods = getmetatable(event.origin.conn).__index;
  event.stream = event.stream or { from = "somebody@localhost" };
  methods.ssl_info = methods.ssl_info or function (self) return self:socket():info(); end
  methods.ssl_peerfinished = methods.ssl_peerfinished or function (self) return self:socket():getpeerfinished(); end
end, 1000);
LUA
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
plugin_paths = { "$dir" }
modules_enabled = { "saslauth", "tls"$modules }
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
