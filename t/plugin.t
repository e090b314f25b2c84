# How a program selects this backend, and that no other backend gets data that ours has refused.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Config;

delete $ENV{PERL5OPT};    # each program here loads its own modules

# Runs a program in its own perl; returns its output.
sub run {
  my ($program, @switches) = @_;
  local $ENV{PERL5LIB} = join $Config{path_sep}, map { File::Spec->rel2abs($_) } grep { !ref } @INC;
  my $pid = open(my $child, '-|') // die "fork: $!";
  if (!$pid) {
    open STDERR, '>&', \*STDOUT or die;
    exec $^X, @switches, '-we', $program or die "exec: $!";
  }
  local $/;
  my $text = <$child>;
  close $child;
  return $text;
}

require File::Spec;

my $new = q{
  my $sasl = Authen::SASL->new(mechanism => 'PLAIN', callback => { user => 'fred', pass => 'x' });
  my $conn = eval { $sasl->client_new('imap', 'h', $ARGV[0] || '') };
  print $conn ? ref $conn : "died: $@";
};

is(run("use Authen::SASL qw(Rust); $new"), 'Authen::SASL::Rust::Connection', 'use Authen::SASL qw(Rust)');
is(run("use Authen::SASL; use Authen::SASL::Rust; $new"), 'Authen::SASL::Rust::Connection', 'use Authen::SASL::Rust');
is(run("use Authen::SASL::Rust; use Authen::SASL; $new"), 'Authen::SASL::Rust::Connection', 'the other way round');
{
  local $ENV{PERL5OPT} = '-MAuthen::SASL::Rust';
  is(run("use Authen::SASL; $new"), 'Authen::SASL::Rust::Connection', 'PERL5OPT, and no line of the program changes');
  is(run('use Authen::SASL; print "@Authen::SASL::Plugins"'), 'Authen::SASL::Rust', 'the only plugin there, too');
}
is(run('use Authen::SASL qw(Rust); print "@Authen::SASL::Plugins"'), 'Authen::SASL::Rust', 'the only plugin');
is(run('use Authen::SASL::Rust; print "@Authen::SASL::Plugins"'), 'Authen::SASL::Rust', 'the only plugin, by its own name');

my $refused = q{
  my $sasl = Authen::SASL->new(mechanism => 'PLAIN', callback => { user => 'fred', pass => 'x' });
  my $conn = eval { $sasl->client_new('imap', 'h', 'noplaintext') };
  print $conn ? ref($conn) . ': ' . $conn->client_start : "died: $@";
};
like(run("use Authen::SASL qw(Rust); $refused"), qr/^died: client: no mechanism is usable: PLAIN: .*noplaintext/,
  'a password that our policy refuses goes to no other backend');
like(run("use Authen::SASL; use Authen::SASL::Rust; $refused"), qr/^died: client: no mechanism/, 'nor here');

is(run('use Authen::SASL qw(Rust Perl); print "@Authen::SASL::Plugins"'), 'Authen::SASL::Rust Authen::SASL::Perl',
  'who wants a fallback names it');
my $fallback = q{
  my $sasl = Authen::SASL->new(mechanism => $m, callback => { user => 'fred', pass => 'x' });
  print ref $sasl->client_new('imap', 'h');
};
is(run("use Authen::SASL qw(Rust Perl); my \$m = 'PLAIN'; $fallback"), 'Authen::SASL::Rust::Connection', 'ours comes first');
is(run("use Authen::SASL qw(Perl); use Authen::SASL::Rust (); my \$m = 'PLAIN'; $fallback"), 'Authen::SASL::Perl::PLAIN',
  'loading without import leaves the choice to the program');

# The methods of a subclass are used.
{
  package OwnSASL;
  require Authen::SASL::Rust;
  require Authen::SASL;
  our @ISA = ('Authen::SASL');
  sub mechanism { return 'PLAIN' }
  sub callback { my $self = shift; return @_ ? $self->SUPER::callback(@_) : { user => 'wilma', pass => 'y' } }
}
Authen::SASL::Rust->import;
is(OwnSASL->new->client_new('imap', 'h')->client_start, "\0wilma\0y", "a subclass's own methods");

# What Authen::SASL itself adds.
my $sasl = Authen::SASL->new(mechanism => 'LOGIN', user => 'fred', password => 'x');
is($sasl->name, 'LOGIN', 'name before');
my $conn = $sasl->client_new('imap', 'h');
is($sasl->name, 'LOGIN', 'name');
$conn->client_start;
is($sasl->challenge('Username:'), 'fred', 'challenge');
is($sasl->error, undef, 'error');
is(Authen::SASL->new(mech => 'PLAIN', user => 'fred', response => 'x')->initial, "\0fred\0x", 'initial');

done_testing;
