# Kerberos exchanges, complete and damaged, with a layer, under valgrind: no invalid access, and no leak in our code.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;

use Config;
use File::Spec  ();
use Server::Kdc ();

my $kdc = Server::Kdc->start(principals => [qw(fred ldap/localhost)]);
$ENV{KRB5_KTNAME} = $kdc->keytab('ldap/localhost');
$ENV{KRB5CCNAME} = $kdc->ccache('fred', '-f');
$ENV{DELEGATED} = 'FILE:' . $kdc->dir . '/delegated';
$ENV{KRB5RCACHENAME} = 'none:';

my $program = <<'PERL';
use strict;
use warnings;
use Authen::SASL qw(Rust);
my $good = 0;
for my $mechanism (qw(GSSAPI GSS-SPNEGO GS2-KRB5)) {
  for my $length (undef, 0, 3, 4, 20, 300) {
    my $sasl = Authen::SASL->new(mechanism => $mechanism, callback => {});
    my $client = $sasl->client_new('ldap', 'localhost', {delegate => 1});
    my $server = $sasl->server_new('ldap', 'localhost', {delegated_ccache => $ENV{DELEGATED}});
    my $message = $client->client_start;
    $message = substr $message, 0, $length if defined $length;
    $message = $server->server_start($message);
    while (!$server->error && $client->need_step) {
      $message = $client->client_step($message);
      last if $client->error || !$server->need_step;
      $message = $server->server_step($message);
    }
    next if !$client->is_success || !$server->is_success;
    die 'no delegation' if !$server->property('delegated');
    $good++;
    next if !$client->property('ssf');
    my $text = 'x' x 1000;
    die 'a layer' if $server->decode($client->encode($text)) ne $text;
    $server->decode(substr $client->encode($text), 0, 30);
  }
}
print "$good good\n";
PERL

my $log = $kdc->dir . '/valgrind';
local $ENV{PERL5LIB} = join $Config{path_sep}, map { File::Spec->rel2abs($_) } grep { !ref } @INC;
open my $child, '-|', 'valgrind', '--leak-check=full', '--show-leak-kinds=definite', '--num-callers=40',
  "--log-file=$log", $^X, '-e', $program
  or die "valgrind: $!";
is join('', <$child>), "3 good\n", 'the exchanges end as they should';
close $child;
is $?, 0, 'the program ends well';

open my $file, '<', $log or die "$log: $!";
my $report = do { local $/; <$file> };
like $report, qr/ERROR SUMMARY/, 'valgrind has come to its end';
my @ours = grep { /gss|krb5|asr_|authen_sasl/i } split /^==\d+== *\n/m, $report;
is scalar(grep { /Invalid|uninitialised|overlap|free\(\)/ } @ours), 0, 'no wrong access' or diag @ours;
is scalar(grep { /definitely lost in/ } @ours), 0, 'nothing is lost' or diag @ours;

done_testing;
