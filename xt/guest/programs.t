# Unchanged programs on libsasl2 with our guest in it: mbsync, svnserve with svn, and python-ldap with threads.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use File::Temp qw(tempdir);
use IO::Socket::INET ();
use Peer::Cyrus ();
use Peer::Guest ();
use Server::Dovecot ();
use Server::Slapd ();
use Server::Trial qw(trial);
use Test::More;

my $folder = tempdir(CLEANUP => 1);
$ENV{SASL_PATH} = Peer::Guest::folder('sasldb');
$ENV{HOME} = $folder;

sub write_file {
  my ($name, $text) = @_;
  open my $out, '>', "$folder/$name" or die "$name: $!";
  print $out $text;
  close $out or die "$name: $!";
  return "$folder/$name";
}

# Returns a program's status and output. No program may wait forever.
sub run {
  my (@command) = @_;
  my $said = do {
    open my $from, '-|', '/bin/sh', '-c', 'exec timeout 60 "$@" 2>&1 </dev/null', 'sh', @command or die "@command: $!";
    local $/;
    my $text = <$from>;
    close $from;
    $text;
  };
  return ($? >> 8, $said);
}

my $dovecot = Server::Dovecot->start(users => { fred => 'pencil' });

sub mbsync {
  my ($mechanism, $secret) = @_;
  mkdir "$folder/mail";
  my $rc = write_file('mbsyncrc', <<"RC");
IMAPStore there
Host 127.0.0.1
Port $dovecot->{imap}
User fred
Pass $secret
SSLType None
AuthMechs $mechanism

MaildirStore here
Path $folder/mail/
Inbox $folder/mail/INBOX

Channel all
Far :there:
Near :here:
Patterns INBOX
Create Near
SyncState *
RC
  return run('mbsync', '-c', $rc, '-a');
}

for my $mechanism (qw(SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 PLAIN LOGIN)) {
  trial "mbsync, $mechanism" => sub {
    my ($status, $said) = mbsync($mechanism, 'pencil');
    is $status, 0, 'reads the mail' or diag $said;
    ($status, $said) = mbsync($mechanism, 'rubber');
    isnt $status, 0, 'a wrong password';
  };
}
for my $mechanism (qw(OAUTHBEARER XOAUTH2)) {
  trial "mbsync, $mechanism" => sub {
    my ($status, $said) = mbsync($mechanism, $dovecot->token('fred'));
    is $status, 0, 'reads the mail' or diag $said;
    ($status, $said) = mbsync($mechanism, $dovecot->token('fred', exp => time - 60));
    isnt $status, 0, 'a token that has expired';
    isnt $status, 124, 'ends the program, which does not hang';
    like $said, qr/AUTHENTICATIONFAILED|Authentication failed/i, "in the server's own words";
  };
}

trial 'svnserve and svn' => sub {
  my $sasldb = Peer::Cyrus::_user_file('fred', 'sesame', 'project');
  local $ENV{SASL_CONF_PATH} = $folder;
  write_file('svn.conf', "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: $sasldb\nmech_list: SCRAM-SHA-256 DIGEST-MD5\n");
  is((run('svnadmin', 'create', "$folder/repository"))[0], 0, 'a repository') or return;
  my $conf = "[general]\nanon-access = none\nauth-access = write\nrealm = project\n[sasl]\nuse-sasl = true\n";
  write_file('repository/conf/svnserve.conf', $conf);
  my $port = Server::Dovecot->free_port;
  my $pid = fork;
  die "fork: $!" if !defined $pid;
  if (!$pid) {
    exec 'svnserve', '--daemon', '--foreground', '--listen-host', '127.0.0.1', '--listen-port', $port, '--root', $folder or die "svnserve: $!";
  }
  for (1 .. 200) {
    last if IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port");
    select undef, undef, undef, 0.05;
  }
  my @svn = ('svn', '--non-interactive', '--no-auth-cache', '--config-dir', "$folder/svn", '--username', 'fred');
  my $url = "svn://127.0.0.1:$port/repository";
  my ($status, $said) = run(@svn, '--password', 'sesame', 'mkdir', '-m', 'x', "$url/folder");
  is $status, 0, 'changes the repository' or diag $said;
  ($status, $said) = run(@svn, '--password', 'sesame', 'log', $url);
  like $said, qr/^r1 \| fred \|/m, 'as that user';
  ($status, $said) = run(@svn, '--password', 'simsalabim', 'ls', $url);
  isnt $status, 0, 'a wrong password';
  kill TERM => $pid;
  waitpid $pid, 0;
};

trial 'python-ldap with eight threads' => sub {
  my $slapd = Server::Slapd->start(users => { fred => 'pencil' });
  (my $uri = $slapd->uri) =~ s/127\.0\.0\.1/localhost/;
  my $program = write_file('threads.py', <<'PYTHON');
import sys, threading, ldap, ldap.sasl
uri, results, lock = sys.argv[1], [], threading.Lock()
def login(number):
    for attempt in range(5):
        password = 'rubber' if (number + attempt) % 4 == 3 else 'pencil'
        mechanism = ('SCRAM-SHA-256', 'DIGEST-MD5', 'SCRAM-SHA-1')[number % 3]
        values = {ldap.sasl.CB_AUTHNAME: 'fred', ldap.sasl.CB_PASS: password}
        connection = ldap.initialize(uri)
        try:
            connection.sasl_interactive_bind_s('', ldap.sasl.sasl(values, mechanism))
            said = connection.whoami_s()
        except ldap.INVALID_CREDENTIALS:
            said = 'refused'
        except Exception as error:
            said = repr(error)
        with lock:
            results.append((password, said))
threads = [threading.Thread(target=login, args=(number,)) for number in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
for password, said in sorted(set(results)): print(password, said, results.count((password, said)))
PYTHON
  # Debian's own library, for which there is a package.
  my ($status, $said) = run('/usr/bin/python3', $program, $uri);
  is $status, 0, 'the program ends well';
  is $said, 'pencil dn:' . $slapd->dn('fred') . " 30\nrubber refused 10\n", 'each login ends as expected';
};

done_testing;
