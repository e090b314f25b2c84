# The files that sasl-gate reads and writes: which are refused, and with which error texts.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use POSIX ();
use Server::Beanstalkd ();
use Server::JobTalk qw(connect_to login logs_in);
use Server::SaslGate ();
use Server::Trial qw(trial);
use Slurp qw(slurp);

my $beanstalkd = Server::Beanstalkd->start;
my $gate = Server::SaslGate->start(backend => "127.0.0.1:$beanstalkd->{port}", tls => 1);
my ($binary, $dir) = ($gate->binary, $gate->dir);

# Returns the output of --check with these options.
sub check {
  my (@option) = @_;
  return eval { $gate->run('timeout', 20, $binary, '--config', "$dir/gate.toml", '--check', @option) } || $@;
}

sub openssl { return $gate->run('openssl', @_) }

trial 'a Secret of Kubernetes' => sub {
  mkdir "$dir/..$_" or die $! for 1, 2;
  symlink '..1', "$dir/..data" or die $!;
  my %text = (users => slurp("$dir/users"), 'key.pem' => slurp("$dir/key.pem"), 'cert.pem' => slurp("$dir/cert.pem"));
  for my $name (sort keys %text) {
    unlink "$dir/$name" or die $!;
    chmod 0440, $gate->write_file("..$_/$name", $text{$name}) or die $! for 1, 2;
    symlink "..data/$name", "$dir/$name" or die $!;
  }
  like check(), qr/configuration OK/, 'is read behind its links';
  my $anna = $gate->passwd('anna', 'bell', 'SCRAM-SHA-256');
  chmod 0600, "$dir/..2/users";
  $gate->write_file('..2/users', $anna);
  symlink '..2', "$dir/..data_tmp" or die $!;
  rename "$dir/..data_tmp", "$dir/..data" or die $!;
  $gate->signal('HUP');
  ok $gate->metric_becomes(reloads_total => 1), 'when it changes it is loaded again';
  ok logs_in("127.0.0.1:$gate->{port}", user => 'anna', pass => 'bell'), '... and holds';
  chmod 0644, "$dir/..2/users";
  like check(), qr/users: others can read or write it/, 'the file behind the links is judged';
  chmod 0600, "$dir/..2/users";
};

trial 'something that is not a file' => sub {
  POSIX::mkfifo("$dir/pipe", 0600) or die "pipe: $!";
  mkdir "$dir/folder", 0700 or die "folder: $!";
  for my $what ('pipe', 'folder') {
    for my $option ('--users', '--tokens', '--certificate', '--key', '--client-ca', '--backend-ca', '--config') {
      my $said = $option eq '--config'
        ? eval { $gate->run('timeout', 20, $binary, '--check', $option, "$dir/$what") } || $@
        : check($option => "$dir/$what");
      like $said, qr{/$what: .*regular file}, "a $what for $option is refused";
    }
    for my $setting ('salt_key', 'passwords') {
      $gate->configure(lines => "$setting = '$dir/$what'\n");
      like check(), qr{/$what: .*regular file}, "... and for $setting";
    }
    $gate->configure(lines => '');
  }
};

trial 'keys of TLS' => sub {
  my $key = $gate->write_secret('other.pem', slurp("$dir/key.pem"));
  like check('--key', $key), qr/configuration OK/, 'one is good';
  chmod 0644, $key;
  like check('--key', $key), qr/other\.pem: others can read or write it/, '... but not if others can read it';
  for my $case (['pkcs8', qw(pkcs8 -topk8 -v2 aes256)], ['traditional', qw(ec -aes256)]) {
    my ($name, @how) = @$case;
    openssl(@how, '-passout', 'pass:secret', '-in', "$dir/key.pem", '-out', "$dir/$name.pem");
    chmod 0600, "$dir/$name.pem";
    like check('--key', "$dir/$name.pem"), qr/$name\.pem: the key is encrypted/, "an encrypted one ($name) is reported";
  }
};

trial 'a certificate that has expired' => sub {
  openssl(qw(req -new -nodes -key), "$dir/key.pem", qw(-subj /CN=localhost -out), "$dir/old.csr");
  my %days = (expired => [qw(20200101000000Z 20210101000000Z)], early => [qw(20400101000000Z 20410101000000Z)]);
  $gate->write_file('ca.conf', "[ca]\ndefault_ca = this\n[this]\ndatabase = $dir/index\nserial = $dir/serial\n"
      . "new_certs_dir = $dir\ndefault_md = sha256\npolicy = any\nx509_extensions = v3\n[any]\ncommonName = supplied\n[v3]\nbasicConstraints = CA:FALSE\n");
  for my $name (sort keys %days) {
    $gate->write_file(@$_) for ['index', ''], ['serial', "01\n"];
    openssl(qw(ca -batch -selfsign -config), "$dir/ca.conf", '-keyfile', "$dir/key.pem", '-in', "$dir/old.csr", '-out',
      "$dir/$name.pem", '-startdate', $days{$name}[0], '-enddate', $days{$name}[1]);
    my $word = $name eq 'early' ? qr/is not valid yet \(2040-01-01/ : qr/has expired \(2021-01-01/;
    like check('--certificate', "$dir/$name.pem"), qr/$name\.pem: the certificate of CN=localhost $word/, "$name: --check says so";
  }
  $gate->configure(tail => "[tls]\ncertificate = '$dir/expired.pem'\nkey = '$dir/key.pem'\n");
  $gate->signal('HUP');
  ok $gate->metric_becomes(reloads_total => 2), 'a gateway that runs takes it';
  ok $gate->logs('has expired'), '... with a word';
  $gate->configure(tail => "[tls]\ncertificate = '$dir/cert.pem'\nkey = '$dir/key.pem'\n");
};

trial 'sasl-gate token --tokens' => sub {
  my $tokens = "$dir/tokens";
  my $old = umask 0;
  my $said = $gate->run($binary, 'token', 'fred', '--tokens', $tokens);
  umask $old;
  is + (stat $tokens)[2] & 07777, 0600, 'the file is for its owner alone';
  like $said, qr/\A[0-9a-f]{64}\n\z/, 'the token alone is printed';
  $gate->write_file('tokens', "# machines\n" . slurp($tokens) =~ s/\n\z//r);
  $gate->run($binary, 'token', '--tokens', $tokens, '--days', 3, 'anna');
  like slurp($tokens), qr/\A# machines\nfred:SHA-256\$[0-9a-f]{64}\nanna:SHA-256\$[0-9a-f]{64}\$\d+\n\z/,
    'another one gets its own line';
  like check('--tokens', $tokens), qr/configuration OK/, 'which the gateway reads';
  chomp $said;
  my $bearer = Server::SaslGate->start(backend => "127.0.0.1:$beanstalkd->{port}",
    lines => "tokens = '$tokens'\nmechanisms = 'OAUTHBEARER'\n");
  ok logs_in($bearer->dir . '/socket', mechanism => 'OAUTHBEARER', user => 'fred', token => $said), 'it lets in';
  $gate->write_file('tokens', "fred:nonsense\n");
  ok !eval { $gate->run($binary, 'token', 'fred', '--tokens', $tokens); 1 }, 'a file with a wrong line is not made longer';
  like $@, qr/tokens: line 1/, '... and the line is reported';
  chmod 0644, $tokens;
  ok !eval { $gate->run($binary, 'token', 'fred', '--tokens', $tokens); 1 }, 'nor one that others can read';
};

trial 'metrics at a name' => sub {
  like check('--metrics', 'localhost:9123'), qr/configuration OK/, 'as an option';
  my $serves = Server::SaslGate->start(backend => "127.0.0.1:$beanstalkd->{port}", by_name => 1);
  like $serves->metric('logins_total'), qr/\A0\z/, 'as a setting they are served there';
};

unlike $gate->log_text, qr/panicked/, 'no panic';

done_testing;
