# The clients of Authen::SASL::Rust::Cookbook on the servers that they are for, and its server with a database. A program there
# follows "=for program SERVER".
# Only the server's name, its ports and the file of trusted certificates are replaced.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL ();
use Config;
use File::Temp qw(tempdir);
use Peer::Packaged qw(why_absent);
use PodPrograms qw(programs_in);
use Server::Dovecot ();
use Server::Postfix ();
use Server::Slapd ();
use Server::Trial qw(trial);
use TLS::Certificate ();

my $page = 'lib/Authen/SASL/Rust/Cookbook.pod';
my $scratch = tempdir(CLEANUP => 1);
my @libraries = map { "-I$_" } grep { !ref } @INC;
my $certificate = TLS::Certificate->new;
my $trusted = $certificate->certificate;
my %users = (fred => 'pencil');

# What a program prints, with perl's messages. It trusts the servers' certificate.
sub output_of {
  my ($program) = @_;
  open my $file, '>', "$scratch/program" or die "program: $!";
  print {$file} $program;
  close $file or die "program: $!";
  local $ENV{SSL_CERT_FILE} = $trusted;
  return qx{$^X @libraries $scratch/program 2>&1};
}

# Runs the programs for a server, with these replacements: pairs of a pattern and a text.
sub run_programs {
  my ($server, $count, $log, @replacements) = @_;
  my @programs = programs_in($page, $server);
  is scalar @programs, $count, "programs for $server";
  for my $program (@programs) {
    my @expected = map { "$_\n" } $program =~ /# prints (.*)/g;
    my ($module) = $program =~ /^ *use (?!strict|warnings|Authen|MIME)([\w:]+)/m;
    for (my $n = 0; $n < @replacements; $n += 2) { $program =~ s/$replacements[$n]/$replacements[$n + 1]/g }
    trial "$module, $server" => sub {
      is output_of($program), join('', @expected), 'it prints what the page says' or diag $log->();
      (my $wrong = $program) =~ s/'pencil'/'rubber'/ or die "no password\n";
      unlike output_of($wrong), qr/^\Q$expected[-1]\E/m, 'a wrong password does not do that';
    };
  }
  return;
}

run_programs(sqlite => 1, sub { '' });

my $dovecot = Server::Dovecot->start(users => \%users, external => [$trusted, $trusted, $certificate->key]);
run_programs(
  dovecot => 5, sub { $dovecot->log_text },
  qr/mail\.example\.org/ => 'localhost', qr/\b587\b/ => $dovecot->{submission},
  map { (qr/\b$_->[0]\b/ => $dovecot->{ $_->[1] }) } [993, 'imaps'], [995, 'pop3s'],
);

my $slapd = Server::Slapd->start(users => \%users, binding => 'tls-endpoint', certificate => $certificate);
run_programs(
  slapd => 1, sub { $slapd->log_text },
  qr/ldap:\/\/ldap\.example\.org/ => "ldap://localhost:$slapd->{port}", qr/ldap\.example\.org/ => 'localhost',
  qr/\/etc\/ssl\/certs\/ca-certificates\.crt/ => $trusted,
);

SKIP: {
  my $why = why_absent('postfix');
  skip $why, 2 if $why;
  my ($plugins) = grep { -d } "/usr/lib/$Config{archname}/sasl2", glob '/usr/lib/*/sasl2';
  my $postfix = Server::Postfix->start(
    users => \%users, plugins => $plugins, mechanisms => 'SCRAM-SHA-256 PLAIN', tls => [$trusted, $certificate->key],
  );
  run_programs(
    postfix => 1, sub { $postfix->log_text },
    qr/mail\.example\.org/ => 'localhost', qr/\b587\b/ => $postfix->{port},
  );
}

done_testing;
