package Boundary::Methods;

# The public methods of a class and of all classes below its name, found by introspection, and which of them were called.

use strict;
use warnings;
use B ();

# Made or called by perl itself. An AUTOLOAD gets its name in the package where it was compiled, so it cannot be watched from
# here.
my %not_called = map { $_ => 1 } qw(bootstrap import CLONE CLONE_SKIP AUTOLOAD);

# Starts counting calls, except in classes below the one named second. Some modules are only loaded when needed, so all of them are
# loaded here.
sub watch {
  my ($class, $root, $except) = @_;
  (my $folder = $root) =~ s{::}{/}g;
  my ($library) = map { s{/\Q$folder\E\.pm\z}{}r } $INC{"$folder.pm"};
  require substr $_, 1 + length $library for glob "$library/$folder/*.pm";
  my %called;
  for my $package (grep { !defined $except || !/\A\Q$except\E(?:::|\z)/ } _below($root)) {
    no strict 'refs';
    for my $name (keys %{"${package}::"}) {
      next if $name =~ /\A[_(]|::\z/ || $not_called{$name} || !defined &{"${package}::$name"};
      my $code = \&{"${package}::$name"};
      next if B::svref_2object($code)->GV->STASH->NAME ne $package;
      my $count = \($called{"${package}::$name"} = 0);
      no warnings 'redefine';
      *{"${package}::$name"} = sub { $$count++; return &$code };
    }
  }
  return bless { called => \%called }, $class;
}

sub _below {
  my ($package) = @_;
  no strict 'refs';
  return ($package, map { s/::\z// ? _below("${package}::$_") : () } keys %{"${package}::"});
}

sub all { my ($self) = @_; my @all = sort keys %{ $self->{called} }; return @all }
sub uncalled {
  my ($self) = @_;
  return grep { !$self->{called}{$_} } $self->all;
}

1;
