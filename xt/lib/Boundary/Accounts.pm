package Boundary::Accounts;

# Every kind of call of accounts, and of the plugins of Cyrus SASL as far as none is opened, each as a code reference that
# leaves nothing behind: a part of Boundary::Calls.

use strict;
use warnings;
use Authen::SASL qw(Rust);
use Authen::SASL::Rust::Accounts ();
use File::Temp ();

sub quietly {
  my ($code) = @_;
  local $@;
  eval { $code->(); 1 };
  return;
}

# Accounts of which fred is one.
sub some {
  my ($folder) = @_;
  my $accounts = Authen::SASL::Rust::Accounts->new(users => "$folder/users");
  $accounts->setpass('fred', 'pencil');
  return $accounts;
}

sub all {
  my $folder = File::Temp->newdir;
  my $accounts = some($folder);
  my $log_in = sub {
    my ($mechanism, $password) = @_;
    my $client = Authen::SASL->new(mechanism => $mechanism, callback => { user => 'fred', pass => $password })
      ->client_new('imap', 'h');
    my $server = Authen::SASL->new(mechanism => $mechanism)->server_new('imap', 'h', { accounts => $accounts });
    my $message = $server->server_start($client->client_start);
    $message = $server->server_step($client->client_step($message)) if $server->need_step;
    my @seen = ($server->error, $server->is_success);
  };
  return (
    ['made anew', sub { some(File::Temp->newdir) }],
    [
      'checked',
      sub { $accounts->check('fred', $_) for 'pencil', 'rubber'; $accounts->check('wilma', 'x', service => 'imap') }
    ],
    ['changed', sub { $accounts->setpass('fred', 'pencil', iterations => 4096, mechanism => 'SCRAM-SHA-256') }],
    ['made and deleted', sub { $accounts->setpass('wilma', 'x', create => 1); $accounts->delete('wilma') }],
    [
      'shut and opened',
      sub { $accounts->disable('fred'); $accounts->check('fred', 'pencil'); $accounts->enable('fred') }
    ],
    ['listed', sub { my @users = $accounts->list }],
    [
      'not there',
      sub {
        for my $method (qw(delete disable enable)) { quietly(sub { $accounts->$method("nobody") }) }
      }
    ],
    [
      'wrong arguments',
      sub {
        quietly(sub { Authen::SASL::Rust::Accounts->new(users => [], nosuch => 1) });
        quietly(sub { Authen::SASL::Rust::Accounts->new(users => '/nonexistent/users')->list });
        quietly(sub { $accounts->setpass('fred', undef) });
        quietly(sub { $accounts->setpass('fred', 'x', iterations => 1) });
        quietly(sub { $accounts->check('fred', 'x', nosuch => 1) });
        quietly(sub { $accounts->setpass("\x{263A}\0", 'x', create => 1) });
      }
    ],
    [
      'a daemon that is not there',
      sub {
        my $daemon = Authen::SASL::Rust::Accounts->new(saslauthd => "$folder/mux", timeout => 1);
        quietly(sub { $daemon->check('fred', 'pencil') });
        quietly(sub { $daemon->list });
      }
    ],
    (
      map {
        my ($mechanism, $password) = @$_;
        ["$mechanism with $password", sub { $log_in->($mechanism, $password) }]
      } ['PLAIN', 'pencil'],
      ['PLAIN', 'rubber'],
      ['SCRAM-SHA-256', 'pencil'],
      ['SCRAM-SHA-256', 'rubber']
    ),
    [
      'plugins',
      sub {
        my @report = Authen::SASL::Rust->plugins;
        quietly(sub { Authen::SASL::Rust->plugins(load => 'nosuch', path => "$folder") });
        quietly(sub { Authen::SASL::Rust->plugins(nosuch => 1) });
        Authen::SASL::Rust->plugins(0);
      }
    ],
  );
}

1;
