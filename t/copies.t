# Copies of the Authen::SASL object, which holds its last connection, made by Storable and in threads: error and name still
# work.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use Config;
use Storable qw(dclone freeze thaw);

my $dead = qr/not a live connection of Authen::SASL::Rust/;

# Objects to copy: without a connection, with a new one, and with a failed one.
sub sasl { return Authen::SASL->new(mechanism => 'plain cram-md5', callback => { user => 'fred', pass => 'pencil' }) }
sub begun { my $sasl = sasl(); $sasl->client_new('imap', 'h')->client_start; return $sasl }

my $failed = Authen::SASL->new(mechanism => 'SCRAM-SHA-256', callback => { user => 'fred', pass => 'pencil' });
$failed->client_new('imap', 'h')->client_start;
$failed->{conn}->client_step('e=unknown-user');
like($failed->error, qr/the server refused: unknown-user/, 'one has failed');

for my $case (['none' => sasl()], ['a new one' => begun()], ['a failed one' => $failed]) {
  my ($what, $sasl) = @$case;
  for my $copy (dclone($sasl), thaw(freeze($sasl)), dclone(dclone($sasl))) {
    is($copy->name, $sasl->name, "connection: $what: name");
    is($copy->error, $sasl->error, 'error');
    next unless $copy->{conn};
    for my $method (qw(client_start need_step is_success code user service listmech)) {
      ok(!eval { $copy->{conn}->$method; 1 }, "$method of a copied connection");
      like($@, $dead, 'dies');
    }
    is(eval { $copy->client_new('imap', 'h')->client_start; $copy->name }, 'cram-md5', 'the copy makes its own connections')
      if $what ne 'a failed one';
  }
  is($sasl->name, $what eq 'a failed one' ? 'SCRAM-SHA-256' : $sasl->{conn} ? 'cram-md5' : 'plain', 'the original is as it was');
}
unlike(freeze($failed), qr/pencil.*pencil/s, 'of the connection, no password is stored');

SKIP: {
  skip 'this perl has no ithreads', 1 unless $Config{useithreads};
  require threads;
  for my $case (['none' => sasl()], ['a new one' => begun()], ['a failed one' => $failed]) {
    my ($what, $sasl) = @$case;
    my @told = threads->create({ context => 'list' }, sub {
      my $inner = threads->create({ context => 'list' }, sub { ($sasl->name, $sasl->error) });
      my $died = $sasl->{conn} && !eval { $sasl->{conn}->need_step; 1 } ? $@ : '';
      ($sasl->name, $sasl->error, $inner->join, $died, dclone($sasl)->name);
    })->join;
    my $died = splice @told, 4, 1;
    is_deeply(\@told, [($sasl->name, $sasl->error) x 2, $sasl->name], "a thread, connection: $what");
    like($died, $what eq 'none' ? qr/\A\z/ : $dead, 'its other methods die');
  }
}

# Server side: the copy of one whose mechanism is not set yet.
{
  my $sasl = Authen::SASL->new(mechanism => 'PLAIN LOGIN', callback => { checkpass => 'x' });
  $sasl->server_new('imap', 'h');
  my $copy = dclone($sasl);
  is_deeply([$copy->name, $copy->error], [undef, undef], 'a server that has not been told the mechanism');
}

for my $words ('', 'PLAIN', undef) {
  local $SIG{__WARN__} = sub { };
  ok(!eval { (bless {}, 'Authen::SASL::Rust::Connection')->STORABLE_thaw(0, $words); 1 }, 'damaged storage is refused');
}
ok(!eval { $failed->{conn}->STORABLE_thaw(0, "PLAIN\0"); 1 }, 'and a live connection does not become a copy');
like($failed->error, qr/unknown-user/, 'it stays as it was');

done_testing;
