# Unchanged Debian programs that name Authen::SASL's Perl backend use ours through PERL5OPT, with servers that report the mechanism.
# Each then uses a mechanism that it does not have otherwise: SCRAM, or Kerberos without the Perl module GSSAPI.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Config qw(%Config);
use Cwd ();
use File::Temp ();
use Server::Dovecot ();
use Server::Kdc ();
use Server::Prosody ();
use Server::Slapd ();
use Server::Trial qw(trial);
use TLS::Certificate ();

my %users = (fred => 'pencil');
my $folder = File::Temp->newdir;
my @lib = map { Cwd::abs_path($_) } grep { !ref && -d } @INC;
delete $ENV{PERL5OPT};
$ENV{PERL5LIB} = join $Config{path_sep}, @lib;
my $OURS = '-MAuthen::SASL::Rust';

sub write_file {
  my ($name, $text) = @_;
  open my $file, '>', "$folder/$name" or die "$folder/$name: $!";
  print {$file} $text;
  close $file or die "$folder/$name: $!";
  return "$folder/$name";
}

# Runs a program with that input; returns its exit status and its output.
sub run {
  my ($input, @command) = @_;
  my $in = write_file('input', $input);
  my $pid = open my $out, '-|';
  die "fork: $!" unless defined $pid;
  if (!$pid) {
    open STDIN, '<', $in and open STDERR, '>&', \*STDOUT or die "dup: $!";
    alarm 60;
    exec { $command[0] } @command or die "$command[0]: $!";
  }
  local $/;
  my $said = <$out>;
  close $out;
  return ($?, $said);
}

sub with_ours { local $ENV{PERL5OPT} = $OURS; return run(@_) }

sub names_another {
  my ($file) = @_;
  open my $in, '<', $file or return fail("$file is missing: dev/install test installs it");
  ok((grep { /^\s*(?:use Authen::SASL [\d. ]*qw.Perl|Authen::SASL->import\(qw.Perl)/ } <$in>), "$file names another backend");
  return;
}

# One user per client, so that the log shows which client logged in.
my $dovecot = Server::Dovecot->start(users => { %users, wilma => 'pebbles' }, sieve => 1);

trial 'sieve-connect' => sub {
  names_another('/usr/bin/sieve-connect');
  my @command = (
    '/usr/bin/sieve-connect', '--server', '127.0.0.1', '--port', $dovecot->{sieve}, qw(--nosrv --user fred --passwordfd 0 --clearchan),
  );
  my ($status, $said) = with_ours("pencil\n", @command, '--list');
  is $status, 0, 'the login succeeds' or diag $said;
  ok $dovecot->has_logged_in('managesieve', 'fred', 'SCRAM-SHA-256'), 'by SCRAM' or diag $dovecot->log_text;
  my $script = write_file('script.sieve', "keep;\n");
  ($status, $said) = with_ours("pencil\n", @command, '--upload', '--localsieve', $script, '--remotesieve', 'ours');
  is $status, 0, 'a script is stored' or diag $said;
  (undef, $said) = with_ours("pencil\n", @command, '--list');
  like $said, qr/"ours"/, 'and listed';
  ($status, $said) = with_ours("crayon\n", @command, '--list');
  isnt $status, 0, 'a wrong password';
  like $said, qr/Authentication refused by server/, 'with the reason';
  ($status, $said) = with_ours("pencil\n", @command, '--noclearauth', '--authmech', 'PLAIN', '--list');
  like $said, qr/no mechanism is usable: PLAIN: it does not satisfy the security flag noplaintext/, 'its security flags are ours to keep';

  ($status, $said) = run("pencil\n", @command, '--list');
  is $status, 0, 'without ours' or diag $said;
  ok $dovecot->has_logged_in('managesieve', 'fred', 'DIGEST-MD5'), 'it has no SCRAM';
};

# The programs themselves do not run under -T, because they use tainted input.
trial 'under -T, where perl ignores PERL5OPT' => sub {
  my @said;
  for my $ours ([], [$OURS]) {
    my @command = ($^X, '-T', (map { "-I$_" } @lib), @$ours, '-MAuthen::SASL=Perl', '-e', 'print "@Authen::SASL::Plugins\n"');
    push @said, (with_ours('', @command))[1];
  }
  is_deeply \@said, ["Authen::SASL::Perl\n", "Authen::SASL::Rust\n"], 'the command line has to name us';
};

trial 'Net::Sieve' => sub {
  names_another('/usr/share/perl5/Net/Sieve.pm');
  my $program = write_file('net-sieve', <<'PROGRAM');
use Net::Sieve;
my ($port, $password, $mechanism) = @ARGV;
my $sieve = Net::Sieve->new(server => '127.0.0.1', port => $port, user => 'wilma', password => $password, ssl_verify => 0,
  $mechanism ? (sasl_mech => $mechanism) : ());
$sieve->put('hers', "keep;\n");
print "$_->{name}\n" for $sieve->list;
PROGRAM
  my ($status, $said) = with_ours('', $^X, $program, $dovecot->{sieve}, 'pebbles');
  is $status, 0, 'the login succeeds' or diag $said;
  like $said, qr/^hers$/m, 'stores a script and lists it';
  ok $dovecot->has_logged_in('managesieve', 'wilma', 'SCRAM-SHA-256'), 'by SCRAM' or diag $dovecot->log_text;
  ($status, $said) = with_ours('', $^X, $program, $dovecot->{sieve}, 'crayon');
  isnt $status, 0, 'a wrong password';
  like $said, qr/Authentication refused by server/, 'with the reason';

  ($status, $said) = run('', $^X, $program, $dovecot->{sieve}, 'pebbles');
  is $status, 0, 'without ours' or diag $said;
  ok $dovecot->has_logged_in('managesieve', 'wilma', 'DIGEST-MD5'), 'it has no SCRAM' or diag $dovecot->log_text;
};

trial 'git send-email' => sub {
  names_another('/usr/lib/git-core/git-send-email');
  my $pid = open my $log, '-|', $^X, 'eg/mail-server' or die "eg/mail-server: $!";
  my ($port) = readline($log) =~ /:([0-9]+)$/ or die 'eg/mail-server does not start';
  my $patch = write_file('0001-a-change.patch', "From: a\@example.org\nSubject: [PATCH] a change\n\nIt changes.\n");
  my @command = (
    'git', 'send-email', '--smtp-server=127.0.0.1', "--smtp-server-port=$port", '--smtp-user=fred', '--confirm=never', '--suppress-cc=all',
    '--smtp-domain=localhost', '--from=fred@example.org', '--to=wilma@example.org',
  );
  local @ENV{qw(GIT_CONFIG_NOSYSTEM GIT_TERMINAL_PROMPT GIT_ASKPASS)} = (1, 0, '/bin/false');
  local @ENV{map { ("GIT_${_}_NAME", "GIT_${_}_EMAIL") } qw(AUTHOR COMMITTER)} = ('Fred', 'fred@example.org') x 2;
  my ($status, $said) = with_ours('', @command, '--smtp-pass=pencil', $patch);
  is $status, 0, 'the patch is sent' or diag $said;
  unlike $said, qr/uninitialized/, 'without a warning of perl';
  ($status, $said) = with_ours('', @command, '--smtp-pass=crayon', $patch);
  isnt $status, 0, 'a wrong password';
  unlike $said, qr/uninitialized/, 'without a warning of perl, too';
  kill 'TERM', $pid;
  my $told = do { local $/; <$log> };
  close $log;
  like $told, qr/logged in as fred by SCRAM-SHA-256$/m, 'by SCRAM';
  like $told, qr/bytes from fred\@example\.org for wilma\@example\.org, sent by fred$/m, 'and the letter has come';
  like $told, qr/refused: SCRAM-SHA-256 server/, 'the other one was refused';
};

my $prosody = Server::Prosody->start(users => \%users, certificate => TLS::Certificate->new);

# The mechanisms of the logins so far.
sub mechanisms_of_prosody { return join ' ', $prosody->log_text =~ /Received\[c2s_unauthed\]: <auth [^>]*mechanism='([^']+)'/g }

trial 'sendxmpp' => sub {
  names_another('/usr/bin/sendxmpp');
  my @command = ('/usr/bin/sendxmpp', qw(--tls --no-tls-verify --username fred --jserver), 'localhost:' . $prosody->port);
  my ($status, $said) = with_ours("hello\n", @command, '--password', 'pencil', 'fred@localhost');
  is $status, 0, 'the message is sent' or diag $said;
  is mechanisms_of_prosody(), 'SCRAM-SHA-256', 'by SCRAM';
  ($status, $said) = with_ours("hello\n", @command, '--password', 'crayon', 'fred@localhost');
  isnt $status, 0, 'a wrong password';
};

trial 'AnyEvent::XMPP' => sub {
  names_another('/usr/share/perl5/AnyEvent/XMPP/Writer.pm');
  my $program = write_file('anyevent-xmpp', <<'PROGRAM');
use strict;
use AnyEvent;
use AnyEvent::XMPP::IM::Connection;
my ($port, $password) = @ARGV;
my $done = AnyEvent->condvar;
my $connection = AnyEvent::XMPP::IM::Connection->new(
  username => 'fred', domain => 'localhost', host => '127.0.0.1', port => $port, password => $password,
);
$connection->reg_cb(
  session_ready => sub { $done->send('ready') },
  disconnect => sub { $done->send("disconnected: $_[3]") },
);
my $timer = AnyEvent->timer(after => 40, cb => sub { $done->send('silence') });
$connection->connect;
my $said = $done->recv;
print "$said\n", $said eq 'ready' ? ref($connection->{writer}{sasl}) . "\n" : '';
PROGRAM
  my ($status, $said) = with_ours('', $^X, $program, $prosody->port, 'pencil');
  like $said, qr/^ready\nAuthen::SASL::Rust::Connection$/m, 'the login succeeds, with ours';
  ($status, $said) = with_ours('', $^X, $program, $prosody->port, 'crayon');
  like $said, qr/^disconnected: .*not-authorized/m, 'a wrong password';
};

trial 'mutt_ldap_query' => sub {
  names_another('/usr/bin/mutt_ldap_query');
  my $kdc = Server::Kdc->start(principals => [qw(fred ldap/localhost)]);
  local $ENV{KRB5_KTNAME} = $kdc->keytab('ldap/localhost');
  my $slapd = Server::Slapd->start(users => \%users, crowd => 3);
  local $ENV{KRB5CCNAME} = $kdc->ccache('fred');
  (my $uri = $slapd->uri) =~ s/127\.0\.0\.1/localhost/;
  my ($status, $said) = with_ours('', '/usr/bin/mutt_ldap_query', '--server', $uri, '--search_base', $Server::Slapd::CROWD,
    '--sasl_mech', 'GSSAPI', '--search_fields', 'cn', '--expected_answers', 'cn description', '--format_email', '${description}',
    '--format_realname', '${cn}', '--format_comment', '', 'member 2');
  like $said, qr/^readable 2\tmember 2\t/m, 'finds the one';
  ok $slapd->logs('mech=GSSAPI bind_ssf='), 'after a bind with Kerberos' or diag $said;
};

done_testing;
