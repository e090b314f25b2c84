# Accounts in an LDAP directory: a real slapd, with verifiers in its entries, and with passwords that it checks itself.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use File::Temp ();
use IO::Socket::INET ();
use IO::Socket::SSL ();
use POSIX ();
use Server::Beanstalkd ();
use Server::Directory ();
use Server::JobTalk qw(connect_to login say_raw all_heard job_works);
use Server::SaslGate ();
use Server::Trial qw(trial);
use TLS::Authority ();
use Time::HiRes qw(time);

# A connection that the gateway has closed is still closed on this side.
$SIG{PIPE} = 'IGNORE';
my ($BASE, $SERVICE) = ($Server::Directory::BASE, $Server::Directory::SERVICE);
my %verifier = map { $_ => Authen::SASL::Rust->scram_verifier(password => 'pencil', mechanism => $_) } qw(SCRAM-SHA-256 SCRAM-SHA-512);
my %person = (objectClass => ['account', 'simpleSecurityObject', 'authPasswordObject'], userPassword => 'pencil');
my $odd = "j\x{fc}rgen (*)\\ \x{1f600}";
my $dovecot = Authen::SASL::Rust->scram_verifier(password => 'pencil', spelling => 'dovecot');
my $authority = TLS::Authority->new('Example');
my $directory = Server::Directory->start(authority => $authority, entries => {
  'uid=fred,ou=people' => { %person, uid => 'fred', authPassword => [values %verifier], memberOf => "cn=workers,ou=groups,$BASE" },
  'cn=odd,ou=people' => { %person, objectClass => [@{ $person{objectClass} }, 'extensibleObject'], cn => 'odd', uid => $odd,
    authPassword => $verifier{'SCRAM-SHA-256'}, memberOf => "cn=workers,ou=elsewhere,ou=groups,$BASE" },
  'uid=dove,ou=people' => { %person, uid => 'dove', userPassword => ['{SSHA}AAAAAAAAAAAAAAAAAAAAAAAAAAA=', $dovecot] },
  'uid=gone,ou=people' => { %person, uid => 'gone', authPassword => $verifier{'SCRAM-SHA-256'}, description => 'Disabled' },
  'uid=tagged,ou=people' => { %person, uid => 'tagged', authPassword => $verifier{'SCRAM-SHA-256'}, 'description;lang-en' => 'disabled' },
  'uid=moved,ou=people' => { %person, uid => 'moved', authPassword => $verifier{'SCRAM-SHA-256'}, l => 'Nowhere', description => 'moved' },
  'uid=leaver,ou=people' => { %person, uid => 'leaver', authPassword => $verifier{'SCRAM-SHA-256'} },
  'uid=plain,ou=people' => { %person, uid => 'plain' },
  'uid=broken,ou=people' => { %person, uid => 'broken', authPassword => 'SCRAM-SHA-256$4096:x$y:z' },
  'uid=twin,ou=people' => { %person, uid => 'twin', authPassword => $verifier{'SCRAM-SHA-256'} },
  'cn=other,ou=people' => { %person, objectClass => [@{ $person{objectClass} }, 'extensibleObject'], cn => 'other', uid => 'twin' },
});
my $beanstalkd = Server::Beanstalkd->start;
my $LIMITS = "failures_per_address = 1000\nfailures_per_user = 1000\n";
my @start = (backend => "127.0.0.1:$beanstalkd->{port}", tls => 1, elsewhere => 1, limits => $LIMITS);

# The table, with these settings instead of the usual ones; undef leaves one out.
my $secret;
my %usual = (url => $directory->uri, bind_dn => $SERVICE, password_file => \$secret, base => "ou=people,$BASE", disabled => 'description=disabled',
  groups => 'memberOf', group_base => "ou=groups,$BASE");

sub table {
  my (%change) = @_;
  my %setting = (%usual, %change);
  my $seconds = delete $setting{seconds} || 1;
  my $text = "[ldap]\n";
  for my $name (sort keys %setting) {
    my $value = ref $setting{$name} ? ${ $setting{$name} } : $setting{$name};
    $text .= "$name = " . ($value =~ /\A(?:true|\[)/ ? $value : "'$value'") . "\n" if defined $value;
  }
  return "${text}[store]\nseconds = $seconds\ncache_seconds = 0\n";
}

my $gate = do {
  my $folder = File::Temp->newdir;
  my $write = sub {
    my ($name, $text) = @_;
    open my $file, '>', "$folder/$name" or die "$name: $!";
    print {$file} $text;
    close $file;
    chmod 0600, "$folder/$name" or die "$name: $!";
    return "$folder/$name";
  };
  $secret = $write->('password', "$Server::Directory::SERVICE_PASSWORD\n");
  my $salt_key = $write->('salt', '0123456789abcdef');
  my $gate = Server::SaslGate->start(@start, lines => "salt_key = '$salt_key'\nmechanisms = 'SCRAM-SHA-512 SCRAM-SHA-256 LOGIN PLAIN'\n", tables => table());
  $gate->{folder} = $folder;
  $gate;
};
my $address = "127.0.0.1:$gate->{port}";

# Configures the gateway anew, and waits for it.
sub with {
  my (%change) = @_;
  my $more = delete $change{more} || '';
  my $limits = delete $change{limits} || $LIMITS;
  my $before = $gate->metric('reloads_total');
  $gate->configure(limits => $limits, tables => table(%change) . $more);
  $gate->signal('HUP');
  $gate->metric_becomes('reloads_total', $before + 1) or die "no reload: " . $gate->log_text;
  return;
}

# The answer of --check.
sub checked {
  my (%change) = @_;
  $gate->configure(tables => table(%change));
  my $said = eval { $gate->run($gate->binary, '--config', $gate->dir . '/gate.toml', '--check') };
  return defined $said ? $said : $@;
}

sub tls_to {
  my $socket = IO::Socket::SSL->new(PeerAddr => "127.0.0.1:$gate->{tls_port}", SSL_ca_file => $gate->dir . '/cert.pem',
    SSL_verifycn_name => 'localhost', SSL_verifycn_scheme => 'http', Timeout => 10);
  return $socket || die $IO::Socket::SSL::SSL_ERROR;
}

# 'in', or the word by which the gateway turns the client away.
sub came {
  my ($mechanism, $user, $password) = @_;
  my ($socket, $auth) = login($mechanism =~ /\ASCRAM/ ? connect_to($address) : tls_to(), mechanism => $mechanism, user => $user, pass => $password // 'pencil');
  return $mechanism =~ /\ASCRAM/ && job_works($socket) || 'in' if $socket;
  return $auth->error =~ /\b(UNAUTHORIZED|INTERNAL_ERROR)\b/ ? $1 : $auth->error;
}

# None of these is fred, whatever the filter makes of it.
my @attack = ('*', 'f*', 'FRED', 'fred ', ' fred', 'fred)(uid=*', 'fred)(|(uid=*', '*)(uid=fred', 'fred)(!(x=y)', 'fr\\65d', '\\2a', 'fred,ou=people', "fred\x{ad}\x{fe0f}*",
  ')', '(', '\\', '&', 'cn=odd', '');

sub everyone {
  my (@mechanism) = @_;
  for my $mechanism (@mechanism) {
    is came($mechanism, $_), 'in', ($_ eq 'fred' ? $_ : 'an odd name') . " by $mechanism" for 'fred', $odd;
    is came($mechanism, 'fred', 'crayon'), 'UNAUTHORIZED', "a wrong password by $mechanism";
    is came($mechanism, $_), 'UNAUTHORIZED', "$_ by $mechanism" for 'nobody', 'gone';
  }
  my $failures = $gate->metric('login_failures_total');
  my @in = grep { length && came($mechanism[0], $_) ne 'UNAUTHORIZED' } @attack;
  is_deeply \@in, [], 'no other name matches';
  return;
}

trial 'verifiers' => sub {
  everyone('SCRAM-SHA-256', 'PLAIN');
  is came('SCRAM-SHA-512', 'fred'), 'in', 'another verifier';
  is came('SCRAM-SHA-512', $odd), 'UNAUTHORIZED', 'none for this mechanism';
  is came('LOGIN', 'fred'), 'in', 'LOGIN';
  is came('SCRAM-SHA-256', 'dove'), 'in', 'a verifier among other passwords';
  is came($_, 'plain'), 'UNAUTHORIZED', "a password is not a verifier: $_" for qw(SCRAM-SHA-256 PLAIN);
  is came('SCRAM-SHA-256', 'broken'), 'UNAUTHORIZED', 'a malformed one';
  ok $gate->logs('unusable secret'), '... is in the log';
};

trial 'a user in two entries' => sub {
  my $failures = $gate->metric('login_failures_total');
  my $errors = $gate->metric('store_errors_total');
  is came($_, 'twin'), 'INTERNAL_ERROR', $_ for qw(SCRAM-SHA-256 PLAIN);
  ok $gate->logs('several entries match'), 'the log has the reason';
  is $gate->metric('login_failures_total'), $failures, 'nobody has failed';
  is $gate->metric('store_errors_total'), $errors + 2, 'and that is counted apart';
};

trial 'groups in the rules' => sub {
  with(more => "[[access]]\ngroups = ['workers']\n");
  is came('SCRAM-SHA-256', 'fred'), 'in', 'a member';
  is came('SCRAM-SHA-256', $odd), 'UNAUTHORIZED', 'a member of a group of the same name elsewhere';
  is came('SCRAM-SHA-256', 'dove'), 'UNAUTHORIZED', 'a member of none';
  with(group_base => undef, more => "[[access]]\ngroups = ['cn=workers,ou=groups,$BASE']\n");
  is came('SCRAM-SHA-256', 'fred'), 'in', 'by the name of its entry';
};

# The directory returns description;lang-en for description, description for its OID, and l for localityName.
for my $case (
  ['verifiers', 'DESCRIPTION=DISABLED', 'gone', 'tagged'], ['verifiers', '2.5.4.13=disabled', 'gone', 'tagged'],
  ['verifiers', 'localityName', 'moved'], ['bind', '2.5.4.13', 'gone', 'tagged', 'moved'], ['bind', 'localityName=nowhere', 'moved'],
) {
  my ($check, $disabled, @out) = @$case;
  trial "$check: $disabled disables" => sub {
    with(check => $check, disabled => $disabled);
    my %is_out = map { $_ => 1 } @out;
    is came('PLAIN', $_), $is_out{$_} ? 'UNAUTHORIZED' : 'in', $_ for qw(fred gone tagged moved);
  };
}

my @trusting = (ca => $authority->certificate);
my @distrusting = (ca => $gate->dir . '/cert.pem');
my @client = do { my ($certificate, $key) = $authority->issue('/CN=sasl-gate'); (certificate => $certificate, key => $key) };
my @no_account = (bind_dn => undef, password_file => undef);
for my $case (
  ['StartTLS', 'in', url => $directory->named_uri, start_tls => 'true', @trusting],
  ['StartTLS, another authority', 'INTERNAL_ERROR', url => $directory->named_uri, start_tls => 'true', @distrusting],
  ['StartTLS, another name', 'INTERNAL_ERROR', url => $directory->uri, start_tls => 'true', @trusting],
  ['ldaps', 'in', url => $directory->tls_uri, @trusting],
  ['ldaps, another authority', 'INTERNAL_ERROR', url => $directory->tls_uri, @distrusting],
  ['EXTERNAL by certificate', 'in', url => $directory->tls_uri, @trusting, @client, @no_account, external => 'true'],
  ['EXTERNAL on a Unix socket', 'in', url => $directory->ldapi_uri, @no_account, external => 'true'],
  ['a wrong service account', 'INTERNAL_ERROR', bind_dn => "cn=nobody,$BASE"],
  ['a base that does not exist', 'INTERNAL_ERROR', base => "ou=nowhere,$BASE"],
) {
  my ($name, $result, %change) = @$case;
  trial $name => sub {
    with(%change);
    is came('SCRAM-SHA-256', 'fred'), $result, 'fred';
    my $wanted = $result eq 'in' ? qr/configuration OK: accounts in ldap/ : qr/ldap: /;
    like checked(%change), $wanted, '--check agrees';
  };
}

for my $tls ([url => $directory->uri], [url => $directory->tls_uri, @trusting]) {
  trial "passwords that the directory checks, $tls->[1]" => sub {
    with(@$tls, check => 'bind');
    everyone('PLAIN', 'LOGIN');
    my $scram = connect_to($address);
    say_raw($scram, "auth-start SCRAM-SHA-256 19\r\nn,,n=fred,r=abcdefg\r\nquit\r\n");
    is all_heard($scram), "UNAUTHORIZED\r\n", 'SCRAM is not possible';
    my $socket = tls_to();
    say_raw($socket, "auth-list-mechanisms\r\nquit\r\n");
    is join('', <$socket>), "OK 11\r\nLOGIN PLAIN\r\n", 'nor offered';
    is came('PLAIN', 'plain'), 'in', 'a user without a verifier';

    # A bind without a password would succeed (RFC 4513 section 5.1.2). The second is empty after SASLprep.
    for my $empty ('', "\xc2\xad", "\xe1\xa0\x86\xc2\xad") {
      my $message = "\0fred\0$empty";
      my $raw = tls_to();
      say_raw($raw, 'auth-start PLAIN ' . length($message) . "\r\n$message\r\nquit\r\n");
      is join('', <$raw>), "UNAUTHORIZED\r\n", 'an empty password, ' . length($empty) . ' bytes';
    }
    is came('PLAIN', 'twin'), 'INTERNAL_ERROR', 'a user in two entries';

    # The service account still is who it was, after any number of users.
    is came('PLAIN', $_), 'in', 'then another' for 'fred', $odd, 'fred';
    like $directory->log_text, qr/BIND dn="uid=fred,ou=people,\Q$BASE\E" mech=SIMPLE/, 'the directory has seen them';
  };
}

trial 'an unknown user takes the same steps' => sub {
  with(check => 'bind', unknown_dn => "uid=plain,ou=people,$BASE");
  my $binds = sub { scalar(() = $directory->log_text =~ /BIND dn="uid=plain,/g) };
  my $before = $binds->();
  is came('PLAIN', 'nobody', 'pencil'), 'UNAUTHORIZED', 'even if that entry has this password';
  is came('PLAIN', 'gone'), 'UNAUTHORIZED', 'a disabled one';
  for my $try (1 .. 100) { last if $binds->() > $before + 1; select undef, undef, undef, 0.02 }
  cmp_ok $binds->(), '>', $before + 1, 'the other entry was bound to';
};

for my $check ('verifiers', 'bind') {
  trial "$check: a user who is disabled or deleted while logged in" => sub {
    with(check => $check, limits => "${LIMITS}revocation_seconds = 1\n");
    my ($stays, $goes) = map { (login(tls_to(), mechanism => 'PLAIN', user => $_, pass => 'pencil'))[0] } 'fred', 'leaver';
    ok $stays && $goes, 'both are in' or return;
    $directory->change("dn: uid=leaver,ou=people,$BASE\nchangetype: modify\nreplace: description\ndescription: DISABLED\n");
    is sysread($goes, my $byte, 1) || 0, 0, 'the connection ends';
    say_raw($stays, "quit\r\n");
    is came('PLAIN', 'leaver'), 'UNAUTHORIZED', 'there is no next one';
    $directory->change("dn: uid=leaver,ou=people,$BASE\nchangetype: modify\nreplace: description\ndescription: back\n");
  };
}

# All of them wait for the directory when none has failed yet. This user has failed once before.
trial 'guesses at the same time' => sub {
  with(check => 'bind', limits => "failures_per_address = 1000\nfailures_per_user = 3\n", seconds => 20);
  my @guess = map { tls_to() } 1 .. 12;
  $directory->pause;
  say_raw($_, "auth-start PLAIN 12\r\n\0dove\0crayon\r\nquit\r\n") for @guess;
  select undef, undef, undef, 0.3;
  $directory->go_on;
  my $heard = grep { defined && /UNAUTHORIZED/ } map { scalar <$_> } @guess;
  cmp_ok $heard, '>=', 2, 'some hear that they were wrong';
  cmp_ok $heard, '<', 8, 'the others are turned away';
};

trial 'the directory is stopped, and started again' => sub {
  for my $check ('verifiers', 'bind') {
    with(check => $check);
    is came('PLAIN', 'fred'), 'in', "$check: before";
    my $failures = $gate->metric('login_failures_total');
    $directory->halt;
    is came('PLAIN', $_), 'INTERNAL_ERROR', "$check: $_ meanwhile" for 'fred', 'nobody';
    is $gate->metric('login_failures_total'), $failures, "$check: nobody has failed";
    $directory->resume;
    my ($result, $end) = ('', time + 10);
    until (($result = came('PLAIN', 'fred')) eq 'in' || time > $end) { select undef, undef, undef, 0.05 }
    is $result, 'in', "$check: afterwards";
    is came('PLAIN', 'fred', 'crayon'), 'UNAUTHORIZED', "$check: a wrong password";
  }
};

# One accepts and says nothing, the other talks about something else.
for my $case (['silent', ''], ['something else', "220 mail.example.org ESMTP\r\n"], ['a message that is cut', "0\x84\0\0\1\0\2\1\1"]) {
  my ($name, $says) = @$case;
  my $listener = IO::Socket::INET->new(Listen => 50, LocalAddr => '127.0.0.1') or die "listen: $!";
  my $pid = fork // die "fork: $!";
  if (!$pid) {
    my @open;
    while (my $socket = $listener->accept) { push @open, $socket; syswrite $socket, $says if length $says }
    POSIX::_exit(0);
  }
  trial "a server that is no directory: $name" => sub {
    with(url => 'ldap://127.0.0.1:' . $listener->sockport);
    my $begin = time;
    is came($_, 'fred'), 'INTERNAL_ERROR', $_ for qw(SCRAM-SHA-256 PLAIN);
    cmp_ok time - $begin, '<', 8, 'within the deadline';
    unlike $gate->log_text, qr/panicked/, 'in order';
  };
  kill KILL => $pid;
  waitpid $pid, 0;
}

trial 'settings' => sub {
  for my $case (
    ['a filter without a name', qr/ldap\.filter: expected \{name\}/, filter => '(uid=fred)'],
    ['a name in the place of an attribute', qr/ldap\.filter: not a filter/, filter => '({name}=fred)'],
    ['secrets in clear text', qr/clear text/, url => 'ldap://192.0.2.1'],
    ['TLS without a CA', qr/ldap\.ca/, url => 'ldaps://localhost'],
    ['an unknown setting', qr/unknown field `bindDN`/, bindDN => 'x'],
    ['EXTERNAL without an identity', qr/ldap\.external/, @no_account, external => 'true'],
    ['verifiers without a service account', qr/need a service account/, @no_account],
    ['a file that is missing', qr{/nowhere: }, password_file => '/nowhere'],
  ) {
    my ($name, $text, %change) = @$case;
    like checked(%change), $text, $name;
  }
};

unlike $gate->log_text . $directory->log_text, qr/pencil|crayon|$Server::Directory::SERVICE_PASSWORD/, 'no password is in a log';

done_testing;
