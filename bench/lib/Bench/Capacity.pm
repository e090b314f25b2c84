package Bench::Capacity;
# What docs/capacity.md computes from a recorded run: the figures, and how many gateways and processors a number of connections takes.
use strict;
use warnings;
use POSIX qw(ceil);

# The example of the page.
my %EXAMPLE = (
  connections => 1_000_000,
  memory => 8 * 2**30,        # of a gateway's machine, in bytes
  memory_share => 0.75,       # of it, for connections
  processors => 2,            # of a gateway's machine
  processor_share => 0.5,     # of them, and of the engine's
  ports => 64_512,            # to one address of the backend
  interval => 10,             # seconds between two requests on a connection
  after_one => 60,            # seconds until all are in again, after a gateway has failed
  after_all => 600,           # the same after all have failed
);

my @PLACE = ([ file => "users' file", 'file' ], [ postgres => 'PostgreSQL', 'PostgreSQL' ], [ ldap => 'LDAP', 'LDAP' ]);

# With the text of a recorded run.
sub new {
  my ($class, $text) = @_;
  my %line;
  for (split /\n/, $text) {
    my ($name, $ours, $peer, $ratio) = split / {2,}/;
    $line{$name} = { ours => $ours, peer => $peer, ratio => $ratio } if defined $ratio;
  }
  my $self = bless { line => \%line }, $class;
  $self->{kernel} = $self->number('accounts: idle connection, kernel');
  $self->{request} = $self->number('polling: 10,000/s, 1,000 connections') / 1e6;
  for (@PLACE) {
    my ($place, undef, $name) = @$_;
    $self->{$place} = {
      bytes => $self->number($place eq 'file' ? 'gateway, idle connection' : "accounts: idle connection, $name"),
      login => $self->number("accounts: login in a gateway, $name") / 1e6,
      server => $place eq 'file' ? 0 : $self->number("accounts: login in $name") / 1e6,
    };
  }
  return $self;
}

sub cell {
  my ($self, $name, $column) = @_;
  my $line = $self->{line}{$name} or die "the recorded run has no line \"$name\"\n";
  return $line->{ $column || 'ours' };
}

# A figure without its unit, or the value of a ratio.
sub number {
  my ($self, $name) = @_;
  my ($number, $thousand) = $self->cell($name) =~ /\A([\d.]+)(k?)/ or die "\"$name\" has no figure\n";
  return $number * ($thousand ? 1000 : 1);
}

sub table {
  my ($head, @rows) = @_;
  return join '', map { '| ' . join(' | ', @$_) . " |\n" } $head, [ map {'---'} @$head ], @rows;
}

# The tables of the page, by their headings.
sub tables {
  my ($self) = @_;
  my @measured = (
    [ 'gateway memory of an idle connection', 'gateway, idle connection', map {"accounts: idle connection, $_"} qw(PostgreSQL LDAP) ],
    [ "gateway's processor time of a login", map {"accounts: login in a gateway, $_"} qw(file PostgreSQL LDAP) ],
    [ "engine's processor time of a login", undef, map {"accounts: login in $_"} qw(PostgreSQL LDAP) ],
    [ '1,500 clients log in again at once', map {"accounts: 1,500 log in again, $_"} qw(file PostgreSQL LDAP) ],
    [ 'the engine is back, until all are in', undef, map {"accounts: $_ is away"} qw(PostgreSQL LDAP) ],
  );
  my @logins = map {
    my ($gates, $cached) = @$_;
    my @name = map { "accounts: $_$cached, $gates gateway" . ($gates > 1 ? 's' : '') } qw(PostgreSQL LDAP);
    [ "$gates gateway" . ($gates > 1 ? 's' : '') . ($cached ? ', the answer is known' : ', the engine is asked'),
      map { my $peer = $self->cell($_, 'peer') =~ s/\Afile //r; $self->cell($_) . " ($peer)" } @name ]
  } map { my $cached = $_; map { [ $_, $cached ] } 1, 4, 16 } '', ' cached';
  my @size = map {
    my $size = $_;
    [ $size, map { $self->cell("accounts: among $size, $_") . ' (' . $self->cell("accounts: among $size, $_", 'ratio') . ')' } qw(median p99) ]
  } '100,000', '1,000,000';
  return (
    '## What is measured' => table([ '', map { $_->[1] } @PLACE ],
      (map { my ($what, @name) = @$_; [ $what, map { defined $_ ? $self->cell($_) : '-' } @name ] } @measured),
      [ "kernel memory of a connection's two sockets", ($self->cell('accounts: idle connection, kernel')) x 3 ],
      [ 'processor time of a request', ($self->cell('polling: 10,000/s, 1,000 connections')) x 3 ]),
    'Logins per second' => table([ '', 'PostgreSQL', 'LDAP' ], @logins),
    'The time of a look-up' => table([ 'accounts', 'median (ratio to 1,000)', 'p99' ], @size),
    '## A million connections' => $self->example,
  );
}

# How many gateways each of the conditions asks for, and what the engine needs.
sub example {
  my ($self) = @_;
  my @row = map { [$_] } "by memory", 'by ports, with one address of the backend', 'by requests', 'by logins after one has failed', 'by logins after all have failed',
    '**gateways, with one to spare**', '**the same without the limit of ports**', 'logins a second after one has failed', 'processors of the engine then', 'logins a second after all have failed', 'processors of the engine then',
    'connections to the engine';
  for my $place (map { $_->[0] } @PLACE) {
    my %need = $self->needs($place, %EXAMPLE);
    my @value = (@need{qw(memory ports requests one all gateways unlimited)});
    push @value, map { $place eq 'file' && $_ =~ /processors|links/ ? '-' : $need{$_} } qw(rate_one processors_one rate_all processors_all links);
    push @{ $row[$_] }, $value[$_] for 0 .. $#row;
  }
  return table([ '', map { $_->[1] } @PLACE ], @row);
}

sub needs {
  my ($self, $place, %c) = @_;
  my $own = $self->{$place};
  my $busy = $c{processors} * $c{processor_share};
  my %need = (
    memory => ceil($c{connections} * ($own->{bytes} + $self->{kernel}) / ($c{memory} * $c{memory_share})),
    ports => ceil($c{connections} / $c{ports}),
    requests => ceil($c{connections} / $c{interval} * $self->{request} / $busy),
    all => ceil($c{connections} * $own->{login} / ($c{after_all} * $busy)),
    one => 2,
  );
  # The clients of one of G gateways are shared by the other ones.
  ++$need{one} while $c{connections} / $need{one} / ($need{one} - 1) * $own->{login} > $c{after_one} * $busy;
  # The gateway to spare is the one that may fail.
  for my $case ([ gateways => qw(memory ports requests all) ], [ unlimited => qw(memory requests all) ]) {
    my ($name, @condition) = @$case;
    my ($most) = sort { $b <=> $a } map { $_ + 1 } @need{@condition};
    $need{$name} = $most > $need{one} ? $most : $need{one};
  }
  my %rate = (one => $c{connections} / $need{gateways} / $c{after_one}, all => $c{connections} / $c{after_all});
  for (keys %rate) {
    $need{"rate_$_"} = sprintf '%.0f', $rate{$_};
    $need{"processors_$_"} = sprintf '%.1f', $rate{$_} * $own->{server} / $c{processor_share};
  }
  $need{links} = $need{gateways} * ($place eq 'postgres' ? 2 : 1);
  return %need;
}

# The table of busy polling: with it, and without.
sub polling {
  my ($self) = @_;
  my @rows = map {
    my $case = $_;
    map { [ "$_ a second, $case", map { $self->cell("polling: $_->[0]/s, $case", $_->[1]) =~ s/\Aoff //r } [ $_, 'ours' ], [ $_, 'peer' ], [ $_, 'ratio' ] ] } '1', '100', '10,000'
  } '1 connection', '1,000 connections';
  for my $name ('one job at a time', '16 jobs at once') {
    push @rows, [ "$name, processor time of a job", map { $self->cell("polling: $name, processor", $_) =~ s/\Aoff //r } qw(ours peer ratio) ],
      [ "$name, jobs a second", map { $self->cell("polling: $name", $_) =~ s/\Aoff //r } qw(ours peer ratio) ];
  }
  return ('  Processor time of a request in the gateway' => join '', map {"  $_\n"} split /\n/, table([ '', 'polling', 'never', 'ratio' ], @rows));
}

1;
