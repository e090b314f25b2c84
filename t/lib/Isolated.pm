package Isolated;

# Nothing that this machine's owner has set up for SASL, Kerberos, LDAP or himself reaches a test, nor the programs that the test
# starts: Debian's package sendmail, for one, leaves a file in the folder where libsasl2 looks for its configuration. Every test
# loads this first. tests/ has the same from .cargo/config.toml.

use strict;
use warnings;
use Cwd            ();
use File::Basename ();

BEGIN {
  # Cargo and rustup live in the home folder, unless the environment says where.
  my $home = defined $ENV{HOME} ? $ENV{HOME} : (getpwuid $>)[7];
  for my $its (['CARGO_HOME', '.cargo'], ['RUSTUP_HOME', '.rustup']) {
    my ($name, $folder) = @$its;
    $ENV{$name} = "$home/$folder" if !defined $ENV{$name} && defined $home && -d "$home/$folder";
  }
  delete @ENV{'SASL_PATH', 'AUTHEN_SASL_RUST_PLUGINS', grep { /\A(?:KRB5|GSS|LDAP)/ } keys %ENV};
  %ENV = (
    %ENV,
    HOME           => '/nonexistent',
    SASL_CONF_PATH => '/nonexistent',
    KRB5_CONFIG    => Cwd::abs_path(File::Basename::dirname(__FILE__)) . '/krb5.conf',
    LDAPNOINIT     => 1,
  );
}

1;
