# Imports that name another backend do not deselect ours in the same process.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Config;
use File::Spec;

delete $ENV{PERL5OPT};    # each program here loads its own modules

my @lib = map { File::Spec->rel2abs($_) } grep { !ref } @INC;

# Runs a program in its own perl; returns its output and perl's messages.
sub run {
  my ($program, @switches) = @_;
  local $ENV{PERL5LIB} = join $Config{path_sep}, @lib;
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

# The backends in use, and the class of the connection.
my $tell = q{
  my $sasl = Authen::SASL->new(mechanism => 'PLAIN', callback => { user => 'fred', pass => 'x' });
  my $conn = eval { $sasl->client_new('imap', 'h', $flags || '') };
  print "@Authen::SASL::Plugins, ", $conn ? ref $conn : 'none', ', ', Authen::SASL::Rust->can('in_use') ? Authen::SASL::Rust->in_use : '-';
};
my $ours = 'Authen::SASL::Rust, Authen::SASL::Rust::Connection, 1';
my $perl = 'Authen::SASL::Perl, Authen::SASL::Perl::PLAIN, 0';
my $both = 'Authen::SASL::Rust Authen::SASL::Perl, Authen::SASL::Rust::Connection, 1';
my $last = 'Authen::SASL::Perl Authen::SASL::Rust, Authen::SASL::Perl::PLAIN, 0';

for my $case (
  ['use Authen::SASL::Rust; use Authen::SASL qw(Perl)', $ours, 'an import after ours'],
  ['use Authen::SASL qw(Rust); use Authen::SASL 2.11 qw(Perl)', $ours, 'ours by Authen::SASL, then one with a version'],
  [
    'use Authen::SASL::Rust; require Authen::SASL; Authen::SASL->import("Authen::SASL::Perl")', $ours,
    'at run time, by the whole name'
  ],
  ['use Authen::SASL qw(Perl); use Authen::SASL::Rust', $ours, 'an import before ours'],
  ['use Authen::SASL qw(Perl); use Authen::SASL qw(Rust)', $ours, 'an import before ours by Authen::SASL'],
  ['use Authen::SASL::Perl; use Authen::SASL::Rust; use Authen::SASL', $ours, 'the other backend loaded earlier'],
  ['use Authen::SASL::Rust; use Authen::SASL qw(Cyrus Perl)', $ours, 'several names'],
  ['use Authen::SASL::Rust; use Authen::SASL qw(NoSuchBackend)', $ours, 'a name of which nothing is installed'],
  ['use Authen::SASL qw(Rust Perl); use Authen::SASL qw(Perl)', $both, 'a fallback that was named stays'],
  ['use Authen::SASL::Rust; use Authen::SASL qw(Rust Perl)', $both, 'a later list that names ours is obeyed'],
  ['use Authen::SASL::Rust; use Authen::SASL qw(Perl Rust)', $last, 'with its order'],
  ['use Authen::SASL::Rust; use Authen::SASL qw(Perl Rust); use Authen::SASL qw(Perl)', $last, 'which then stays'],
  ['use Authen::SASL::Rust q(:shared); use Authen::SASL qw(Perl)', $perl, ':shared obeys every import'],
  ['use Authen::SASL::Rust q(:shared); use Authen::SASL', $ours, ':shared chooses ours'],
  [
    'use Authen::SASL::Rust q(:shared); use Authen::SASL qw(Perl); use Authen::SASL::Rust; use Authen::SASL qw(Perl)',
    $ours,
    'a later one without :shared'
  ],
  ['use Authen::SASL::Rust (); use Authen::SASL qw(Perl)', $perl, 'loaded without being chosen'],
  [
    'use Authen::SASL::Rust; use Authen::SASL; @Authen::SASL::Plugins = "Authen::SASL::Perl"', $perl,
    'the list itself is the program\'s'
  ],
  )
{
  my ($program, $expected, $what) = @$case;
  is(run("$program; my \$flags; $tell"), $expected, $what);
}

is(
  run(
    q{use Authen::SASL::Rust; use Authen::SASL qw(Perl); print $Authen::SASL::Perl::VERSION ? 'loaded' : 'not loaded'}),
  'loaded',
  'the module that was named is loaded: programs look at its version'
);
is(run(q{use Authen::SASL::Rust; $@ = 'kept'; Authen::SASL->import('NoSuchBackend'); print $@}), 'kept', '$@ stays');
like(run(q{use Authen::SASL qw(NoSuchBackend)}), qr/no valid Authen::SASL plugins found at -e line 1/,
  'without ours upstream decides');
like(
  run(q{use Authen::SASL::Rust q(:shared); use Authen::SASL qw(NoSuchBackend)}),
  qr/no valid Authen::SASL plugins found at -e line 1/,
  'and with :shared, on behalf of the same line'
);
like(run(q{use Authen::SASL::Rust qw(:shard)}),
  qr/unknown import :shard: only ':shared' is allowed at -e line 1/, 'a mistyped tag');

is(
  run("use Authen::SASL qw(Rust); use Authen::SASL qw(Perl); my \$flags = 'noplaintext'; $tell"),
  'Authen::SASL::Rust, none, 1',
  'the password that our policy refuses is not sent by the other one'
);

# Threads and servers: they share one list.
is(
  run(
    q{use Authen::SASL::Rust; use Authen::SASL qw(Perl);
  my $sasl = Authen::SASL->new(mechanism => 'PLAIN', callback => { checkpass => sub { 1 } });
  print ref $sasl->server_new('imap', 'h')}
  ),
  'Authen::SASL::Rust::Connection',
  'servers alike'
);

subtest 'PERL5OPT' => sub {
  my $program = "use Authen::SASL qw(Perl); my \$flags; $tell";
  {
    local $ENV{PERL5OPT} = '-MAuthen::SASL::Rust';
    is(run($program), $ours, 'reaches a program that names another backend');
    my @taint = ('-T', map { "-I$_" } @lib);
    like(run($program, @taint), qr/^Authen::SASL::Perl, Authen::SASL::Perl::PLAIN, /, 'perl ignores it under -T');
    is(run($program, @taint, '-MAuthen::SASL::Rust'), $ours, 'where the command line names us');
  }
  local $ENV{PERL5OPT} = '-MAuthen::SASL::Rust=:shared';
  is(run($program), $perl, 'with :shared');
};

done_testing;
