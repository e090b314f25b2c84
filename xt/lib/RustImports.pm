package RustImports;

# Which files of a crate import which, and what is wrong with that: imports that do not go down to a lower floor, and
# circles.
#
# The floors are a table in the doc comment of the crate's root (lib.rs or main.rs), the highest floor first:
#
#     //! | floor | files | what |
#     //! |---|---|---|
#     //! | 2 | `session/`, `queue.rs` | ... |
#     //! | 1 | `wire/` | ... |
#
# An entry covers a file and the folder of the same name (`wire/` covers wire.rs and everything below wire/); the
# longest matching entry counts. Files of one entry may import each other, but not in a circle. The root is above all
# floors. Test modules are ignored.

use strict;
use warnings;
use Exporter 'import';
use File::Find ();
use RustCode qw(code_of);
use Slurp qw(slurp);

our @EXPORT_OK = qw(faults table_of);

# What is wrong with the crate that has this root, as a list of sentences. File names are relative to the root's folder.
sub faults {
  my ($root) = @_;
  my $text = slurp($root);
  my ($floors, @faults) = table_of($text);
  return @faults if @faults;
  my ($folder, $name) = $root =~ m{\A(.*)/([^/]+)\z};
  my $files = files_of($folder, $name);
  my %entry = map { $_ => $_ eq $name ? undef : entry_of($_, $floors) } keys %$files;
  push @faults, map { "$_ has no floor" } grep { $_ ne $name && !defined $entry{$_} } sort keys %$files;
  my %used = map { $_ => 1 } grep { defined } values %entry;
  push @faults, map { "the table names $_, which does not exist" } grep { !$used{$_} } sort keys %$floors;
  my $imports = imports_of($folder, $files);

  for my $from (sort keys %$imports) {
    my $mine = $entry{$from};
    for my $to (sort keys %{ $imports->{$from} }) {
      my $its = $entry{$to};
      next if $from eq $name || defined $mine && defined $its && ($mine eq $its || $floors->{$its} < $floors->{$mine});
      push @faults, "$from imports $to, which is not below it";
    }
  }
  return @faults, map { 'circle: ' . join ' -> ', @$_ } circles_in($imports);
}

# The floor of each entry in a root's table, and what is wrong with the table.
sub table_of {
  my ($text) = @_;
  my ($rows) = $text =~ m{^//! \| floor \| files \|[^\n]*\n//! \|-[^\n]*\n((?://! \|[^\n]*\n)+)}m
    or return {}, 'there is no table of floors';
  my (%floors, @faults, $last);
  for my $row (split /\n/, $rows) {
    my ($floor, $files) = $row =~ /\A\/\/! \| *(\d+) *\|([^|]*)\|/ or return {}, "a malformed row of the table: $row";
    push @faults, "floor $floor comes below floor $last" if defined $last && $floor >= $last;
    $last = $floor;
    for my $entry ($files =~ /`([^`]+)`/g) {
      push @faults, "the table names $entry twice" if exists $floors{$entry};
      $floors{$entry} = $floor;
    }
  }
  return \%floors, @faults;
}

# The entry that covers a file: the longest.
sub entry_of {
  my ($file, $floors) = @_;
  my ($best) = sort { length $b <=> length $a } grep { covers($_, $file) } keys %$floors;
  return $best;
}

sub covers {
  my ($entry, $file) = @_;
  (my $stem = $entry) =~ s{/\z|\.rs\z}{};
  return $file eq "$stem.rs" || index($file, "$stem/") == 0;
}

# The module of each file below a folder; the root's is ''. Test modules and programs (bin/) are left out.
sub files_of {
  my ($folder, $root) = @_;
  my (%module, @tests);
  my $wanted = sub { m{\.rs\z} && !m{\A\Q$folder\E/bin/} and $module{ substr $_, 1 + length $folder } = undef };
  File::Find::find({ no_chdir => 1, wanted => $wanted }, $folder);
  for my $file (keys %module) {
    my $path = $file eq $root ? '' : $file =~ s{(?:/mod)?\.rs\z}{}r;
    $module{$file} = $path =~ s{/}{::}gr;
    my $code = code_of(slurp("$folder/$file"));
    my $above = length $module{$file} ? "$module{$file}::" : '';
    push @tests, map { "$above$_" } $code =~ /#\[cfg\((?:test|all\(\s*test\b[^]]*)\)\]\s*(?:pub\s*(?:\([^)]*\)\s*)?)?mod\s+(\w+)\s*;/g;
    push @tests, $module{$file} if $code =~ /\A\s*#!\[cfg\(test\)\]/;
  }
  for my $test (@tests) {
    delete @module{ grep { "$module{$_}::" =~ /\A\Q$test\E::/ } keys %module };
  }
  return \%module;
}

# The files that each file imports.
sub imports_of {
  my ($folder, $module) = @_;
  my %file = map { $module->{$_} => $_ } keys %$module;
  my %imports;
  for my $from (keys %$module) {
    for my $path (paths_in(code_without_tests(slurp("$folder/$from")), $module->{$from}, \%file)) {
      my $to = $file{ deepest($path, \%file) };
      $imports{$from}{$to} = 1 if $to ne $from;
    }
  }
  return \%imports;
}

# The deepest module with a file that a path begins with.
sub deepest {
  my ($path, $file) = @_;
  1 while !exists $file->{$path} && ($path =~ s/::\w+\z// || $path =~ s/\A.+\z//s);
  return $path;
}

sub code_without_tests {
  my ($text) = @_;
  my $code = code_of($text);
  $code =~ s{
    \#\[cfg\((?:test|all\(\s*test\b[^]]*)\)\]\s*
    (?:\#\[[^]]*\]\s*)*
    [^;\{]*
    (?: ; | (\{ (?: [^\{\}]++ | (?1) )* \}) )
  }{ }gx;
  return $code;
}

# The paths into this crate that a file of this module names, each from the crate's root.
sub paths_in {
  my ($code, $module, $file) = @_;
  my (@uses, @paths, %named);
  my @scopes = ([$module, 0]);
  my $depth = 0;
  my $word = qr/(?:r#)?[A-Za-z_]\w*/;
  for ($code) {
    while (!/\G\s*\z/gc) {
      my $scope = $scopes[-1][0];
      next if /\G\s+/gc || /\Gpub\s*\(\s*(?:in\s+|crate\b|super\b|self\b)[^)]*\)/gc;
      if (/\Guse\s+([^;]+);/gc) {
        push @uses, map { [$scope, @$_] } tree($1);
      }
      elsif (/\Gmod\s+($word)\s*\{/gc) {
        push @scopes, [below($scope, $1), $depth++];
      }
      elsif (/\G\{/gc) {
        $depth++;
      }
      elsif (/\G\}/gc) {
        pop @scopes if --$depth == $scopes[-1][1] && @scopes > 1;
      }
      elsif (/\G(::\s*)?((?:\$\s*)?$word(?:\s*::\s*$word)*)/gc) {
        push @paths, [$scope, $2 =~ s/\s+//gr] if !defined $1 && $2 =~ tr/://;
      }
      else {
        /\G./gcs;
      }
    }
  }
  my @found;
  for my $use (@uses) {
    my ($scope, $path, $name) = @$use;
    my $whole = from_root($scope, $path, $file, {});
    next if !defined $whole;
    push @found, $whole;
    $named{$scope}{$name} = $whole if exists $file->{$whole};
  }
  return @found, grep { defined } map { from_root(@$_, $file, $named{ $_->[0] } || {}) } @paths;
}

# A path as seen in a module, from the crate's root; undef if it is of another crate.
sub from_root {
  my ($scope, $path, $file, $named) = @_;
  my ($head, @rest) = split /::/, $path;
  my $at;
  if ($head =~ /\A\$?crate\z/) {
    $at = '';
  }
  elsif ($head eq 'self') {
    $at = $scope;
  }
  elsif ($head eq 'super') {
    $at = above($scope);
    while (@rest && $rest[0] eq 'super') {
      $at = above($at);
      shift @rest;
    }
  }
  elsif (exists $named->{$head}) {
    $at = $named->{$head};
  }
  elsif (exists $file->{ below($scope, $head) }) {
    $at = below($scope, $head);
  }
  else {
    return undef;
  }
  $at = below($at, $_) for @rest;
  return $at;
}

sub below { my ($module, $name) = @_; return length $module ? "$module\::$name" : $name }
sub above { my ($module) = @_; return $module =~ s/(?:\A|::)\w+\z//r }

# The paths of a use declaration, each with the name that it gets here.
sub tree {
  my ($text) = @_;
  $text =~ s/\A\s+|\s+\z//g;
  if ($text =~ /\A(.*?)\{(.*)\}\z/s) {
    my ($front, @parts) = ($1 =~ s/\s+//gr, '');
    my $depth = 0;
    for my $piece (split /([{},])/, $2) {
      $depth += $piece eq '{' ? 1 : $piece eq '}' ? -1 : 0;
      if ($piece eq ',' && !$depth) { push @parts, '' }
      else { $parts[-1] .= $piece }
    }
    my ($last) = $front =~ /(\w+)::\z/;
    my @found;
    for my $inner (map { tree($_) } grep { /\S/ } @parts) {
      my ($path, $name) = @$inner;
      $name = $last if $path eq 'self' && $name eq 'self';
      push @found, [($front . $path) =~ s/::self\z//r, $name];
    }
    return @found;
  }
  my ($path, $alias) = $text =~ /\A(.*?)(?:\s+as\s+(\w+))?\z/s;
  $path =~ s/\s+//g;
  $path =~ s/::\*\z//;
  return [$path, defined $alias ? $alias : $path =~ s/.*:://r];
}

# A shortest circle for each group of files that reach each other.
sub circles_in {
  my ($imports) = @_;
  my (@circles, %seen);
  for my $start (sort keys %$imports) {
    next if $seen{$start};
    my @ways = map { [$start, $_] } sort keys %{ $imports->{$start} };
    my %been;
    while (my $way = shift @ways) {
      my $at = $way->[-1];
      if ($at eq $start) {
        push @circles, $way;
        $seen{$_} = 1 for @$way;
        last;
      }
      next if $been{$at}++;
      push @ways, map { [@$way, $_] } sort keys %{ $imports->{$at} || {} };
    }
  }
  return @circles;
}

1;
