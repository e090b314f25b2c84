# Real servers that use libsasl2 with our guest, and independent clients; and a client with our guest on a slapd without it.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use Cwd ();
use Peer::Guest ();
use Server::Memcached ();
use Server::Slapd ();
use Server::Trial qw(trial);
use Test::More;

my %stock = (cyrus => Peer::Guest::installed('libscram.so') =~ s{/[^/]+\z}{}r, guest => Peer::Guest::folder('sasldb'));

# saslpluginviewer lists our mechanisms on both sides.
{
  local $ENV{SASL_PATH} = $stock{guest};
  local $ENV{PATH} = "$ENV{PATH}:/usr/sbin:/sbin";
  my $said = qx{saslpluginviewer 2>&1};
  my ($server, $client) = $said =~ /^List of server plugins follows\n(.*)^Installed.*^List of client plugins follows\n(.*)/ms;
  for my $mechanism (qw(SCRAM-SHA3-512 SCRAM-SHA-512 SCRAM-SHA-1 DIGEST-MD5 CRAM-MD5 PLAIN LOGIN ANONYMOUS)) {
    for my $list ($server, $client) {
      like $list, qr/Plugin "saslrust" \[loaded\], \tAPI version: 4\n\tSASL mechanism: \Q$mechanism\E,/, "$mechanism is listed";
    }
  }
  unlike $server, qr/OAUTHBEARER/, 'a server of tokens is not there by itself';
  like $client, qr/OAUTHBEARER/, 'a client is';
  my ($names) = $said =~ /\(client side\) mechanisms are:\n(.*)/;
  like $names, qr/PLAIN.*LOGIN.*OAUTHBEARER.*XOAUTH2.*ANONYMOUS/, 'and comes after all that is better';
}

# The mechanism of the first directory is used.
for my $first (qw(guest cyrus)) {
  my $second = $first eq 'guest' ? 'cyrus' : 'guest';
  local $ENV{SASL_PATH} = "$stock{$first}:$stock{$second}";
  local $ENV{PATH} = "$ENV{PATH}:/usr/sbin:/sbin";
  my ($server) = qx{saslpluginviewer -s 2>/dev/null} =~ /^List of server plugins follows\n(.*)/ms;
  my %used;
  $used{$2} ||= $1 while $server =~ /^Plugin "([^"]+)".*\n\tSASL mechanism: ([^,]+),/mg;
  my %own = (guest => 'saslrust');
  for my $case (['SCRAM-SHA-512', 'scram'], ['SCRAM-SHA-1', 'scram'], ['CRAM-MD5', 'crammd5'], ['PLAIN', 'plain']) {
    my ($mechanism, $theirs) = @$case;
    is $used{$mechanism}, $own{$first} || $theirs, "$mechanism: $first before $second";
  }
}

my @MECHANISMS = qw(SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 DIGEST-MD5 CRAM-MD5);
my $users = { fred => 'pencil', "ren\x{e9}" => "p\x{e4}ssw\x{f6}rd" };

# The system's ldapwhoami, with libsasl2's own mechanisms or ours.
sub whoami {
  my ($slapd, $whose, $mechanism, $name, $password, @more) = @_;
  local $ENV{SASL_PATH} = $stock{$whose};
  local $ENV{LDAPNOINIT} = 1;
  my $said = eval {
    $slapd->run('ldapwhoami', '-Q', '-H', $slapd->uri =~ s/127\.0\.0\.1/localhost/r, '-Y', $mechanism, '-U', $name, '-w', $password, @more)
  };
  return defined $said ? $said : "failed: $@";
}

# The reasons that ldapwhoami prints when it is refused.
sub refusal {
  my $said = whoami(@_);
  return $said =~ /\Afailed: .*? failed: (.*)/s ? $1 : '';
}

for my $server (qw(guest cyrus)) {
  my $slapd = do { local $ENV{SASL_PATH} = $stock{$server}; Server::Slapd->start(users => $users) };
  for my $client (qw(guest cyrus)) {
    next if $server eq 'cyrus' && $client eq 'cyrus';
    for my $mechanism (@MECHANISMS, qw(PLAIN LOGIN)) {
      # Without this, ldapwhoami does not use them.
      my @open = $mechanism =~ /\A(?:PLAIN|LOGIN)\z/ ? ('-O', 'none') : ();
      trial "slapd with $server, ldapwhoami with $client, $mechanism" => sub {
        is whoami($slapd, $client, $mechanism, 'fred', 'pencil', @open), 'dn:' . $slapd->dn('fred') . "\n", 'logs in';
        my $wrong = refusal($slapd, $client, $mechanism, 'fred', 'rubber', @open);
        like $wrong, qr/Invalid credentials \(49\)/, 'a wrong password';
        my $unknown = refusal($slapd, $client, $mechanism, 'barney', 'pencil', @open);
        if ($server eq 'guest') { is $unknown, $wrong, 'an unknown user gets the same reply: slapd sends the text of sasl_errdetail' }
        else { ok length $unknown, "an unknown user (libsasl2's own plugins reveal more)" }
      };
    }
    trial "slapd with $server, ldapwhoami with $client: the layer" => sub {
      is whoami($slapd, $client, 'DIGEST-MD5', 'fred', 'pencil', '-O', "minssf=$_,maxssf=$_"), 'dn:' . $slapd->dn('fred') . "\n",
        "strength $_"
        for 0, 1, 128;
    };
  }
}

my $memcached = do {
  local $ENV{SASL_PATH} = $stock{guest};
  Server::Memcached->start(users => { fred => 'pencil' }, mechanisms => join ' ', @MECHANISMS, qw(PLAIN LOGIN ANONYMOUS));
};
for my $mechanism (@MECHANISMS, qw(PLAIN LOGIN ANONYMOUS)) {
  trial "memcached with our guest, $mechanism" => sub {
    my $client = sub {
      return eval { $memcached->run($^X, '-Mblib', 'eg/memcached-client', "127.0.0.1:$memcached->{port}", 'fred', $_[0], $mechanism) } // $@;
    };
    is $client->('pencil'), "logged in by $mechanism\nset and got\ndeleted\n", 'logs in and works';
    like $client->('crayon'), qr/the server refused/, 'a wrong password' if $mechanism ne 'ANONYMOUS';
  };
}

done_testing;
