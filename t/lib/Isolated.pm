package Isolated;

# Isolates a test, and the programs that it starts, from this machine's configuration of SASL, Kerberos and LDAP and from the
# user's own: for example, Debian's package sendmail leaves a file in the directory where libsasl2 looks for its configuration.
# Every test loads this first. tests/ gets the same from .cargo/config.toml.

use strict;
use warnings;
use Cwd            ();
use File::Basename ();

BEGIN {
  # Cargo and rustup are in the home directory, unless the environment names another one.
  my $home = defined $ENV{HOME} ? $ENV{HOME} : (getpwuid $>)[7];
  for my $its (['CARGO_HOME', '.cargo'], ['RUSTUP_HOME', '.rustup']) {
    my ($name, $folder) = @$its;
    $ENV{$name} = "$home/$folder" if !defined $ENV{$name} && defined $home && -d "$home/$folder";
  }
  # dev/test collects the results of this run, not of those that a test starts.
  delete @ENV{'PERL_TEST_HARNESS_DUMP_TAP', 'SASL_PATH', 'AUTHEN_SASL_RUST_PLUGINS', grep { /\A(?:KRB5|GSS|LDAP)/ } keys %ENV};
  %ENV = (
    %ENV,
    HOME           => '/nonexistent',
    SASL_CONF_PATH => '/nonexistent',
    KRB5_CONFIG    => Cwd::abs_path(File::Basename::dirname(__FILE__)) . '/krb5.conf',
    LDAPNOINIT     => 1,
  );
}

1;
