# `dev/bench --instructions`: its counts, and its verdict on a count that is not as recorded.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Authen::SASL::Rust;
use File::Temp qw(tempdir);
use Test::More;
use lib 'bench/lib';
use Bench::Callgrind;
use Bench::Recorded;

my $folder = tempdir(CLEANUP => 1);

sub case_of {
  my ($part, $count, $case) = @_;
  return { part => $part, case => $case || 'PLAIN client', unit => 'handshake', count => $count };
}

# The count of an empty loop of so many rounds.
my $runs = 0;
sub loop {
  my ($rounds) = @_;
  my $program = 'sub mark { my $parent = getppid } mark(); for my $n (1 .. 20 * shift) { } mark(); print qq(loop\tround\t20\n)';
  my ($cases) = Bench::Callgrind::count($folder, 'loop' . $runs++, $^X, '-e', $program, $rounds);
  return $cases->[0]{count};
}

subtest 'counts' => sub {
  my ($is, $again, $more) = (loop(1000), loop(1000), loop(1050));
  cmp_ok(abs($again / $is - 1), '<', 0.001, 'two runs give the same count');
  my $table = "$folder/loop.txt";
  Bench::Recorded->write_to($table, { core => 'a toolchain' }, case_of('core', $is));
  my $recorded = Bench::Recorded->read_from($table);
  my $fault = sub { ($recorded->judge({ core => 'a toolchain' }, case_of('core', $_[0])))[0]{fault} };
  is($fault->($again), undef, 'which is no fault');
  is($fault->($more), 'MORE', '5 % more is a fault');

  my $parts = 'sub mark { my $parent = getppid } for (1, 2) { mark(); for my $n (1 .. 1000) { } mark(); print qq(loop\tround\t1000\n) }';
  my ($cases) = Bench::Callgrind::count($folder, 'parts', $^X, '-e', $parts);
  is(scalar @$cases, 1, 'two parts are one case');
  is_deeply($cases->[0]{dumps}, ['parts.2', 'parts.4'], 'with two dumps');
  my $part = 'sub mark { my $parent = getppid } mark(); mark(); print qq(loop\tround\t1\n)';
  ($cases) = Bench::Callgrind::count($folder, 'parts', $^X, '-e', $part);
  is_deeply($cases->[0]{dumps}, ['parts.2'], 'dumps of an earlier run of the same name do not count');

  ok(!eval { Bench::Callgrind::count($folder, 'bad', $^X, '-e', 'print qq(loop\tround\t1\n)'); 1 }, 'a program without marks is refused');
  like($@, qr/without a call of getppid/, 'with the reason');
  my $third = 'getppid for 1 .. 3; print qq(loop\tround\t1\n)';
  ok(!eval { Bench::Callgrind::count($folder, 'third', $^X, '-e', $third); 1 }, 'so is one with a mark too many');
  ok(!eval { Bench::Callgrind::count($folder, 'dies', $^X, '-e', 'exit 1'); 1 }, 'and one that fails');
};

subtest 'comparing with the table' => sub {
  my %toolchain = (core => 'rustc 1, valgrind 2 (avx2)', perl => 'perl 5');
  my $table = "$folder/table.txt";
  Bench::Recorded->write_to($table, \%toolchain, case_of('core', 10_000), case_of('perl', 50_000));
  my $recorded = Bench::Recorded->read_from($table);
  my $faults = sub {
    my ($of, @cases) = @_;
    my @rows = $recorded->judge({ %toolchain, %$of }, @cases);
    return { judged => scalar(grep { $_->{judged} } @rows), map { $_->{fault} ? ($_->{name} => $_->{fault}) : () } @rows };
  };
  my $name = 'PLAIN client, per handshake';
  for my $case (
    [10_000, 50_000, {}],
    [10_299, 48_501, {}],
    [10_301, 50_000, { "core: $name" => 'MORE' }],
    [10_000, 51_501, { "perl: $name" => 'MORE' }],
    [9699, 48_499, { "core: $name" => 'LESS', "perl: $name" => 'LESS' }],
  ) {
    my ($core, $perl, $expected) = @$case;
    is_deeply($faults->({}, case_of('core', $core), case_of('perl', $perl)), { judged => 2, %$expected }, "$core and $perl");
  }
  my @slow = (case_of('core', 20_000), case_of('perl', 50_000));
  is_deeply($faults->({ core => 'rustc 2' }, @slow), { judged => 0 }, 'another toolchain of the core: nothing is judged');
  is_deeply($faults->({ perl => 'perl 6' }, @slow), { judged => 1, "core: $name" => 'MORE' }, 'another perl: the core is judged');
  is_deeply($faults->({}, @slow[0, 1], case_of('core', 1, 'NEW client')),
    { judged => 3, "core: $name" => 'MORE', 'core: NEW client, per handshake' => 'NOT RECORDED' }, 'a case that is not in the table');
  is_deeply($faults->({}, case_of('core', 10_000)), { judged => 2, "perl: $name" => 'NOT COUNTED' }, 'a case that was not counted');
  is_deeply([map { $_->{judged} } Bench::Recorded->read_from("$folder/none")->judge(\%toolchain, @slow)], [0, 0], 'no table');

  open my $broken, '>>', $table or die "$table: $!";
  print $broken "fast  core: PLAIN server, per handshake\n";
  close $broken or die "$table: $!";
  ok(!eval { Bench::Recorded->read_from($table); 1 }, 'a damaged line is refused');
};

subtest 'the table' => sub {
  my $recorded = Bench::Recorded->read_from('bench/instructions.txt');
  ok(defined $recorded->toolchain($_), "it names the toolchain of part $_") for qw(core perl);
  # Kerberos belongs to the system. Channel binding is the same code for each hash, so SCRAM and HT are counted once with it.
  my @mechanisms = grep { !/^GS|^SCRAM-.*-PLUS$|^HT.*-(?:EXPR|UNIQ|ENDP)$/ } Authen::SASL::Rust->global_listmech;
  cmp_ok(scalar @mechanisms, '>', 10, 'the mechanisms are known');
  my @names = $recorded->names;
  for my $mechanism (@mechanisms, 'SCRAM-SHA-256-PLUS', 'HT-SHA-256-EXPR') {
    for my $side (qw(client server)) {
      ok((grep { /^core: \Q$mechanism $side\E[ ,].*per handshake$/ } @names), "$mechanism $side");
    }
  }
};

done_testing;
