package Bench::Adapter::Cyrus;
# Authen::SASL::Cyrus wraps libsasl2 and returns responses. PLAIN and LOGIN servers use
# the checkpass callback, all others read a sasldb (a Berkeley DB hash) written here.
use strict;
use warnings;
use parent 'Bench::Adapter';
use Fcntl;

sub module { 'Authen::SASL::Cyrus' }
sub needs  { 'DB_File' }

sub lacks {
  my $ext = 'needs SASL_AUTH_EXTERNAL, which property() cannot set';
  return { EXTERNAL => { server => $ext, client => $ext } };
}

sub prepare {
  my ($self, $dir, $job) = @_;
  my $mech = $job->{mech} || '';
  $ENV{SASL_CONF_PATH} = $dir;
  open my $f, '>', "$dir/bench.conf" or die "$dir/bench.conf: $!";
  print $f "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: $dir/sasldb2\n",
    "scram_iteration_counter: $job->{iters}\n",
    "mech_list: PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-512 ANONYMOUS EXTERNAL\n";
  close $f or die "$dir/bench.conf: $!";
  require DB_File;
  tie my %db, 'DB_File', "$dir/sasldb2", O_RDWR | O_CREAT, 0600, $DB_File::DB_HASH or die "sasldb: $!";
  my $key = join "\0", $Bench::Adapter::USER, $Bench::Adapter::HOST;
  if ($mech =~ /^SCRAM-(.*)/) {
    $db{"$key\0authPassword"} = Bench::Peer::scram_verifier($1, $Bench::Adapter::PASS, Bench::Peer::salt(0), $job->{iters});
  }
  else {
    $db{"$key\0userPassword"} = $Bench::Adapter::PASS;
  }
  untie %db;
}

sub client_callbacks {
  my ($u, $p) = ($Bench::Adapter::USER, $Bench::Adapter::PASS);
  return { user => $u, auth => $u, pass => $p };
}

sub server_callbacks {
  my ($self, $mech) = @_;
  return {} unless $mech eq 'PLAIN' or $mech eq 'LOGIN';
  my ($u, $p) = ($Bench::Adapter::USER, $Bench::Adapter::PASS);
  return { checkpass => sub { $_[0] eq $u && $_[1] eq $p ? 1 : 0 } };
}

# The last DESTROY unloads libsasl2's plugins, and the next connection loads them all
# again: a spare connection, never freed, keeps them.
sub pin {
  my ($self, $parent, $connection) = @_;
  $self->{pin} = [ $parent, $connection ];
}

# A mechanism in which the server sends first must be started without any argument.
sub server_start { defined $_[1] && length $_[1] ? $_[0]->server_start($_[1]) : $_[0]->server_start }
sub server_step  { $_[0]->server_step(defined $_[1] ? $_[1] : '') }
sub client_step  { $_[0]->client_step(defined $_[1] ? $_[1] : '') }
sub frame        { substr $_[1], 4 }
sub decode       { $_[0]->decode($_[1]) }
sub arriving     { pack 'N/a*', $_[1] }
sub server_ok    { $_[1]->code == 0 ? 1 : 0 }
sub client_ok    { $_[1]->code >= 0 ? 1 : 0 }
sub error        { join '; ', grep { defined } $_[1]->error }

1;
