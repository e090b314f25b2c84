# Net::LDAP with DIGEST-MD5's security layers, on a slapd that demands them.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL ($ENV{SASL_BACKEND} || 'Rust');
use Net::LDAP qw(LDAP_SUCCESS LDAP_NO_SUCH_OBJECT);
use Net::LDAP::Extension::WhoAmI ();
use Server::Slapd ();
use Server::Trial qw(trial);
use Server::Wiretap ();

my $CROWD = 10_000;
my $BELOW = $Server::Slapd::CROWD;

my %slapd;

# One server per demand, kept for the next trial with the same demand.
sub slapd_with {
  my ($secprops) = @_;
  return $slapd{$secprops}
    ||= Server::Slapd->start(users => { fred => 'pencil' }, crowd => $CROWD, secprops => $secprops);
}

# Returns the client, the bind's answer and the connection of Authen::SASL.
sub bind_over {
  my ($uri, %property) = @_;
  my $sasl = Authen::SASL->new(mechanism => 'DIGEST-MD5', callback => { user => 'fred', pass => 'pencil' });
  my $conn = $sasl->client_new('ldap', 'localhost');
  $conn->property(%property) if %property;
  my $ldap = Net::LDAP->new($uri, timeout => 20) or die "$uri: $@";
  return ($ldap, $ldap->bind('', sasl => $conn), $conn);
}

sub answered {
  my ($message, $name) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  is $message->code, LDAP_SUCCESS, $name or diag $message->error;
  return;
}

# The operations of a program: who, search, add, modify, compare, delete.
sub all_works {
  my ($ldap) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  is $ldap->who_am_i->response, 'dn:' . Server::Slapd->dn('fred'), 'whoami returns the name';
  everyone_is_found($ldap);

  my $dn = "cn=newcomer,$BELOW";
  my $long = join ' ', 'readable newcomer', 1 .. 40_000;
  answered($ldap->add($dn, attrs => [objectClass => 'device', cn => 'newcomer', description => $long]), 'add');
  my $found = $ldap->search(base => $dn, scope => 'base', filter => '(objectClass=*)');
  is_deeply [map { $_->get_value('description') } $found->entries], [$long], 'a long value comes back as it was';
  answered($ldap->modify($dn, replace => { description => 'readable changed' }), 'modify');
  $found = $ldap->search(base => $dn, scope => 'base', filter => '(objectClass=*)');
  is_deeply [map { $_->get_value('description') } $found->entries], ['readable changed'], 'and is changed';
  answered($ldap->delete($dn), 'delete');
  $found = $ldap->search(base => $dn, scope => 'base', filter => '(objectClass=*)');
  is $found->code, LDAP_NO_SUCH_OBJECT, 'and is gone';
  answered($ldap->unbind, 'unbind');
  return;
}

sub everyone_is_found {
  my ($ldap) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $found = $ldap->search(base => $BELOW, scope => 'one', filter => '(cn=member*)');
  answered($found, 'search');
  my %wrong = map { $_ => 1 } 1 .. $CROWD;
  for my $entry ($found->entries) {
    my ($n) = ($entry->get_value('description') || '') =~ /\Areadable ([0-9]+)\z/ or next;
    delete $wrong{$n} if $entry->get_value('cn') eq "member $n";
  }
  is $found->count, $CROWD, "$CROWD entries are found";
  is scalar keys %wrong, 0, 'each as it was written';
  return;
}

# Demand of the server, properties of the client, resulting SSF.
my @agreed = (
  ['minssf=128', {}, 128],
  ['none', {}, 128],
  ['minssf=1,maxssf=1', {}, 1],
  ['none', { maxssf => 1 }, 1],
  ['none', { maxssf => 56 }, 56],
  ['none', { maxssf => 40 }, 40],
  ['none', { maxssf => 0 }, 0],
);

for my $case (@agreed) {
  my ($secprops, $property, $ssf) = @$case;
  my $asked = join ', ', map {"$_ $property->{$_}"} sort keys %$property;
  trial "server: $secprops; client: " . ($asked || 'as it comes') . "; strength $ssf" => sub {
    my $tap = Server::Wiretap->before((slapd_with($secprops)->addresses)[0]);
    my ($ldap, $bind, $conn) = bind_over($tap->uri, %$property);
    answered($bind, 'bind');
    ok $conn->is_success, 'the server has proved itself' or diag $conn->error;
    is $conn->property('ssf'), $ssf, 'the strength';
    all_works($ldap);
    my ($sent, $received) = ($tap->sent, $tap->received);
    cmp_ok length $received, '>', 100 * $CROWD, 'the entries came along the wire';
    my $readable = $ssf > 1 ? 0 : 1;
    is $sent =~ /readable newcomer/ ? 1 : 0, $readable, 'what the client sends ' . ($readable ? 'can be read' : 'cannot be read');
    is $received =~ /readable [0-9]/ ? 1 : 0, $readable, 'what the server sends ' . ($readable ? 'can be read' : 'cannot be read');
  };
}

for my $secprops ('minssf=128', 'maxssf=1') {
  for my $maxbuf (256, 1000, 4096, 65_536, 1_000_000) {
    trial "server: $secprops; the client receives $maxbuf" => sub {
      my ($ldap, $bind, $conn) = bind_over(slapd_with($secprops)->uri, maxbuf => $maxbuf);
      answered($bind, 'bind');
      ok $conn->property('ssf'), 'there is a layer';
      all_works($ldap);
    };
  }
}

trial 'the server receives little' => sub {
  my ($ldap, $bind, $conn) = bind_over(slapd_with('minssf=128,maxbufsize=512')->uri);
  answered($bind, 'bind');
  cmp_ok $conn->property('maxout'), '<=', 512, 'the client knows it';
  all_works($ldap);
};

# A side that demands what the other one does not offer gets the reason.
my @refused = (
  ['minssf=128', { maxssf => 0 }, qr/maxssf/, 'none where one is demanded'],
  ['minssf=128', { maxssf => 56 }, qr/maxssf/, 'a weaker one than the server demands'],
  ['maxssf=1', { minssf => 128 }, qr/minssf/, 'a stronger one than the server has'],
  ['maxssf=0', { minssf => 1 }, qr/minssf/, 'one where the server has none'],
);

for my $case (@refused) {
  my ($secprops, $property, $reason, $name) = @$case;
  trial "refused: $name" => sub {
    my ($ldap, $bind, $conn) = bind_over(slapd_with($secprops)->uri, %$property);
    isnt $bind->code, LDAP_SUCCESS, 'bind fails';
    ok !$conn->is_success, 'no success on our side';
    like $conn->error, $reason, 'the reason names the property';
    note $conn->error;
    ok !$conn->property('ssf'), 'no strength is claimed';
  };
}

done_testing;
