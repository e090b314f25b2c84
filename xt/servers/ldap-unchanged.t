# An unchanged program uses our backend, through PERL5OPT or one perl option.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Config qw(%Config);
use Cwd ();
use File::Temp ();
use Server::Slapd ();
use Server::Trial qw(trial utf8 %PASSWORD);

my $BACKEND = $ENV{SASL_BACKEND} || 'Rust';
my $slapd = Server::Slapd->start(users => \%PASSWORD);
my $folder = File::Temp->newdir;

delete $ENV{PERL5OPT};
$ENV{PERL5LIB} = join $Config{path_sep}, map { Cwd::abs_path($_) } grep { !ref && -d } @INC;

sub write_file {
  my ($name, $text) = @_;
  open my $file, '>', "$folder/$name" or die "$folder/$name: $!";
  print {$file} $text;
  close $file or die "$folder/$name: $!";
  return "$folder/$name";
}

# The first argument, normally Net::LDAP, is only needed for CRAM-MD5, with which Net::LDAP cannot log in to libsasl2:
# LDAP::BareBind explains why.
my $program = write_file('whoami', <<'PROGRAM');
use strict;
use warnings;
use Authen::SASL;
use Net::LDAP;
use Net::LDAP::Extension::WhoAmI;

my ($class, $uri, $mechanism, $user, $password) = @ARGV;
eval "require $class" or die $@;
my $sasl = Authen::SASL->new(
  mechanism => $mechanism,
  callback  => { user => $user, pass => $password },
);
my $ldap = $class->new($uri, timeout => 20) or die "connect: $@";
my $bind = $ldap->bind(sasl => $sasl);
die "bind: ", $bind->error, "\n" if $bind->code;
print $ldap->who_am_i->response, "\n";
PROGRAM

# Prints, at the end of a program, the backends that it had loaded.
write_file('Backends.pm', <<'MODULE');
package Backends;
END {
  open my $file, '>', $ENV{BACKENDS_FILE} or die "$ENV{BACKENDS_FILE}: $!";
  print {$file} join ' ', grep { $INC{"Authen/SASL/$_.pm"} } qw(Cyrus Perl Rust XS);
}
1;
MODULE
$ENV{BACKENDS_FILE} = "$folder/backends";

# Runs perl; returns its status, its output, and the loaded backends.
sub perl {
  my ($options, @arguments) = @_;
  local $ENV{PERL5OPT} = join ' ', @$options, "-I$folder", '-MBackends';
  unlink $ENV{BACKENDS_FILE};
  my $pid = open my $pipe, '-|';
  die "fork: $!" unless defined $pid;
  if (!$pid) {
    open STDERR, '>&', \*STDOUT;
    exec $^X, @arguments or die "$^X: $!";
  }
  my $output = join '', <$pipe>;
  close $pipe;
  my $status = $?;
  open my $file, '<', $ENV{BACKENDS_FILE} or die "$ENV{BACKENDS_FILE}: $!";
  return ($status, $output, scalar <$file>);
}

# Ours only needs to be loaded; the others must be named to Authen::SASL.
my $MODULE = $BACKEND eq 'Rust' ? '-MAuthen::SASL::Rust' : "-MAuthen::SASL=$BACKEND";

# Which one depends on what is installed, and some do not work with Net::LDAP.
trial 'without our module Authen::SASL takes another backend' => sub {
  my ($status, $output, $backends) = perl([], $program, 'Net::LDAP', $slapd->uri, 'PLAIN', 'fred', 'pencil');
  note "$backends: $output";
  isnt $backends, '', 'a backend was loaded';
  unlike $backends, qr/Rust/, 'and not ours';
};

for my $mechanism (qw(PLAIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-512)) {
  my $class = $mechanism eq 'CRAM-MD5' ? 'LDAP::BareBind' : 'Net::LDAP';
  for my $user (sort keys %PASSWORD) {
    my ($name, $password) = map { utf8($_) } $user, $PASSWORD{$user};
    my $identity = 'dn:' . utf8($slapd->dn($user)) . "\n";

    trial "PERL5OPT=$MODULE, $mechanism, $name" => sub {
      my ($status, $output, $backends) =
        perl([$MODULE], $program, $class, $slapd->uri, $mechanism, $name, $password);
      is $output, $identity, 'the program prints its identity';
      is $status, 0, 'and succeeds';
      is $backends, $BACKEND, 'and no other backend was loaded';
    };

    trial "perl -MAuthen::SASL=$BACKEND -e, $mechanism, $name" => sub {
      my ($status, $output, $backends) = perl(
        [], "-MAuthen::SASL=$BACKEND", "-M$class",
        '-MNet::LDAP::Extension::WhoAmI', '-e', <<"LINE", $slapd->uri, $mechanism, $name, $password);
my \$l = $class->new(shift) or die \$@;
my \$r = \$l->bind(sasl => Authen::SASL->new(shift, callback => {user => shift, pass => shift}));
\$r->code and die \$r->error;
print \$l->who_am_i->response, "\\n";
LINE
      is $output, $identity, 'the line prints its identity';
      is $status, 0, 'and succeeds';
      is $backends, $BACKEND, 'and no other backend was loaded';
    };
  }

  trial "PERL5OPT=$MODULE, $mechanism, wrong password" => sub {
    my ($status, $output, $backends) =
      perl([$MODULE], $program, $class, $slapd->uri, $mechanism, 'fred', 'crayon');
    like $output, qr/^bind: SASL\(-13\): \S/, 'the program prints the reason';
    note $output;
    isnt $status, 0, 'and fails';
    is $backends, $BACKEND, 'and no other backend was tried';
  };
}

for my $case (
  ['EXTERNAL', $slapd->ldapi_uri, qr/^dn:gidNumber=\d+\+uidNumber=$>,cn=peercred,cn=external,cn=auth$/],
  ['ANONYMOUS', $slapd->uri, qr/^$/]
  )
{
  my ($mechanism, $uri, $identity) = @$case;
  trial "PERL5OPT=$MODULE, $mechanism" => sub {
    my ($status, $output, $backends) = perl(
      [$MODULE], '-MAuthen::SASL', '-MNet::LDAP',
      '-MNet::LDAP::Extension::WhoAmI', '-e', <<'LINE', $uri, $mechanism);
my $l = Net::LDAP->new(shift) or die $@;
my $r = $l->bind(sasl => Authen::SASL->new(shift));
$r->code and die $r->error;
print $l->who_am_i->response, "\n";
LINE
    like $output, $identity, 'the line prints its identity';
    is $status, 0, 'and succeeds';
    is $backends, $BACKEND, 'and no other backend was loaded';
  };
}
trial 'ANONYMOUS was a login' => sub { ok $slapd->has_anonymous, 'the server has logged it' };

done_testing;
