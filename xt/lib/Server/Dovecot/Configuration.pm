package Server::Dovecot::Configuration;

# Dovecot's configuration in the syntax of 2.3 and in that of 2.4, which has other names for half of the settings. Both define
# the same: three protocols on loopback without TLS, passwords in a file, tokens that are checked with the test's own key.

use strict;
use warnings;

my $PASSWORDS = 'plain login cram-md5 digest-md5 scram-sha-1 scram-sha-256 anonymous';
my $TOKENS = 'oauthbearer xoauth2';

sub is_old { return $_[0] =~ /\A2\.[0-3]\./ }

# text($version, $folder, { imap => port, pop3 => port, submission => port, perhaps sieve => port, perhaps introspection => URL })
sub text {
  my ($version, $dir, $port) = @_;
  return (is_old($version) ? old($dir) : new($version, $dir, $port->{introspection})) . common($version, $dir, $port);
}

sub old {
  my ($dir) = @_;
  return <<"CONF";
disable_plaintext_auth = no
auth_username_format =
mail_location = maildir:$dir/mail/%u
passdb {
  driver = passwd-file
  mechanisms = $PASSWORDS
  args = username_format=%u $dir/passwd
}
passdb {
  driver = oauth2
  mechanisms = $TOKENS
  args = $dir/oauth2.conf
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=$dir/mail/%u
}
CONF
}

# The file that args of passdb oauth2 refers to. Tokens are checked with the test's key, or by the provider (RFC 7662).
sub oauth2 {
  my ($dir, $introspection) = @_;
  return introspection($introspection) if defined $introspection;
  return <<"CONF";
introspection_mode = local
local_validation_key_dict = fs:posix:prefix=$dir/keys/
username_attribute = sub
CONF
}

sub introspection {
  my ($url) = @_;
  return <<"CONF";
introspection_mode = post
introspection_url = $url
active_attribute = active
active_value = true
username_attribute = sub
CONF
}

sub new {
  my ($version, $dir, $introspection) = @_;
  my $oauth2 = defined $introspection ? introspection($introspection) : "introspection_mode = local\nusername_attribute = sub\n";
  return <<"CONF";
dovecot_config_version = $version
dovecot_storage_version = $version
auth_allow_cleartext = yes
auth_username_format = %{user}
mail_driver = maildir
mail_path = $dir/mail/%{user}
passdb passwd-file {
  mechanisms_filter = $PASSWORDS
  passwd_file_path = $dir/passwd
}
oauth2 {
$oauth2}
oauth2_local_validation {
  dict fs {
    fs posix {
      prefix = $dir/keys/
    }
  }
}
userdb static {
  fields {
    uid = nobody
    gid = nogroup
    home = $dir/mail/%{user}
  }
}
CONF
}

# TLS with client certificates, whose names log in with EXTERNAL: the CA's certificate, the server's, and its key.
sub certificates {
  my ($version, $authority, $certificate, $key) = @_;
  my $verifies = is_old($version) ? 'ssl_verify_client_cert' : 'ssl_server_request_client_cert';
  return <<"CONF" . (is_old($version) ? <<"OLD" : <<"NEW");
ssl = yes
$verifies = yes
auth_ssl_username_from_cert = yes
CONF
ssl_ca = <$authority
ssl_cert = <$certificate
ssl_key = <$key
ssl_require_crl = no
ssl_cert_username_field = commonName
passdb {
  driver = static
  mechanisms = external
  args = nopassword=y
}
OLD
ssl_server_ca_file = $authority
ssl_server_cert_file = $certificate
ssl_server_key_file = $key
ssl_server_require_crl = no
ssl_server_cert_username_field = commonName
passdb static {
  mechanisms_filter = external
  fields {
    nopassword = yes
  }
}
NEW
}

sub common {
  my ($version, $dir, $port) = @_;
  my $sieve = $port->{sieve} ? ['sieve', <<"CONF"] : ['', ''];
service managesieve-login {
  inet_listener sieve {
    port = $port->{sieve}
  }
}
CONF
  my $external = $port->{external} ? 'external' : '';
  return $sieve->[1] . <<"CONF";
base_dir = $dir/run
state_dir = $dir/state
log_path = $dir/log
auth_verbose = yes
protocols = imap pop3 submission $sieve->[0]
listen = 127.0.0.1
@{[$port->{external} ? certificates($version, @{ $port->{external} }) : 'ssl = no']}
auth_mechanisms = $PASSWORDS $TOKENS $external
auth_username_chars =
auth_failure_delay = 0
auth_anonymous_username = anonymous
mail_uid = nobody
mail_gid = nogroup
mailbox_list_index = no
submission_relay_host = 127.0.0.1
submission_relay_port = 9
hostname = localhost
# No growing delay for an address after failed logins.
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service imap-login {
  inet_listener imap {
    port = $port->{imap}
  }
  inet_listener imaps {
    port = @{[$port->{imaps} || 0]}
    ssl = yes
  }
}
service pop3-login {
  inet_listener pop3 {
    port = $port->{pop3}
  }
  inet_listener pop3s {
    port = @{[$port->{pop3s} || 0]}
    ssl = yes
  }
}
service submission-login {
  inet_listener submission {
    port = $port->{submission}
  }
  inet_listener submissions {
    port = 0
  }
}
CONF
}

1;
