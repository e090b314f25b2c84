package Boundary::Accounts;

# Calls of a server's account store, for Boundary::Calls: none of them leaks.

use strict;
use warnings;
use Authen::SASL qw(Rust);
use Authen::SASL::Rust::Accounts;

my $CLASS = 'Authen::SASL::Rust::Accounts';
my $PLAIN = "\0fred\0pencil";

# File::Temp would run perl's Cwd, in which valgrind finds errors that are not ours.
{
  package Boundary::Accounts::Folder;
  my $count = 0;
  sub CLONE_SKIP { return 1 }

  sub new {
    my ($class) = @_;
    my $path = "/tmp/boundary-accounts-$$-" . int(rand 1e9) . '-' . $count++;
    mkdir $path, 0700 or die "$path: $!";
    return bless \$path, $class;
  }
  sub DESTROY { unlink glob "${$_[0]}/*"; rmdir ${ $_[0] }; return }
}

sub server {
  my ($options) = @_;
  return Authen::SASL->new(mechanism => 'PLAIN')->server_new('imap', 'h', $options);
}

sub quietly {
  my ($code) = @_;
  local $@;
  eval { $code->(); 1 };
  return;
}

sub all {
  my $folder = Boundary::Accounts::Folder->new;
  my $file = $$folder . '/users';
  my $accounts = $CLASS->new(users => $file);
  $accounts->setpass('fred', 'pencil');
  my $away = $CLASS->new(saslauthd => "$$folder/mux", timeout => 1);
  my $said = sub { my ($conn, $message) = @_; $conn->server_start($message); return $conn->error };
  my %calls = (
    'a login' => sub { $said->(server({ accounts => $accounts, auxprop => 'mail' }), $PLAIN) },
    'a wrong password' => sub { $said->(server({ accounts => $accounts }), "\0fred\0crayon") },
    'an unknown user' => sub { $said->(server({ accounts => $accounts }), "\0nobody\0pencil") },
    'a file by its name' => sub { $said->(server({ users => $file }), $PLAIN) },
    'taken away' => sub { server({ users => $file })->property(users => undef) },
    'properties' => sub { my $conn = server({ accounts => $accounts }); my @none = $conn->property('auxprop:mail') },
    'a daemon that is away' => sub { $said->(server({ accounts => $away }), $PLAIN) },
    'check' => sub { $accounts->check('fred', $_) for 'pencil', 'crayon', '' },
    'checkpass and setpass' => sub {
      my $conn = server({ accounts => $accounts });
      $conn->checkpass('fred', 'pencil');
      $conn->setpass('anna', "cr\x{e8}me\x{263A}");
    },
    'changes' => sub {
      $accounts->setpass('eve', 'x');
      $accounts->setotp('eve', 'a pass phrase of eve');
      my $otp = Authen::SASL->new(mechanism => 'OTP', callback => {})->server_new('imap', 'h', { accounts => $accounts });
      $otp->server_start("\0$_") for qw(eve nobody);
      $accounts->delete_otp('eve');
      $accounts->disable('eve');
      $accounts->enable('eve');
      my @users = $accounts->list;
      $accounts->delete('eve');
    },
    'a change that fails' => sub {
      eval { $accounts->delete('nobody') };
      $accounts->error;
    },
    'a wrong name' => sub { $accounts->setpass("a\nb", 'x') },
    'no accounts' => sub { $CLASS->new(users => '') },
    'a wrong limit' => sub { $CLASS->new(saslauthd => '/x', timeout => 0) },
    'twice' => sub { $accounts->_users($file) },
    'no object' => sub { Authen::SASL::Rust::Accounts::_list({}) },
    'no accounts of a server' => sub { server({ accounts => {} }) },
    'no plugin' => sub { $CLASS->new(cyrus => { auxprop_plugin => 'nix' }) },
    'no configuration' => sub { $CLASS->new(cyrus => 'no-such-service') },
    'an invalid file name' => sub { $CLASS->configuration('../x') },
  );
  return map {
    my $code = $calls{$_};
    [$_, sub { quietly($code) if $folder }]
  } sort keys %calls;
}

1;
