# Each file imports only files of lower floors, according to the table of floors in the root of its crate, and no files
# import each other in a circle.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use lib 'xt/lib';
use File::Basename qw(dirname);
use File::Path qw(mkpath);
use File::Temp ();
use Test::More;
use RustImports qw(faults);

my @roots = grep { -e } map { ("$_/lib.rs", "$_/main.rs") } 'src', glob('*/src */*/src');
cmp_ok(scalar @roots, '>', 0, 'crates are found');
is_deeply([faults($_)], [], $_) for grep { $_ ne 'crates/saslplug/src/lib.rs' } @roots;    # saslplug is one file

# A crate of these files; faults() of it.
sub faults_of {
  my (%file) = @_;
  my $folder = File::Temp->newdir;
  for my $name (keys %file) {
    mkpath(dirname("$folder/$name"));
    open my $out, '>', "$folder/$name" or die "$name: $!";
    print {$out} $file{$name};
    close $out or die "$name: $!";
  }
  return [faults("$folder/lib.rs")];
}

sub table {
  my (@rows) = @_;
  my $text = "//! A crate.\n//!\n//! | floor | files | what |\n//! |---|---|---|\n";
  for my $floor (reverse 1 .. @rows) {
    my $files = join ', ', map { "`$_`" } @{ shift @rows };
    $text .= "//! | $floor | $files | x |\n";
  }
  return "$text\n";
}

# Three floors. Comments, strings, tests, visibility and other crates do not count.
my $three = table(['top.rs', 'mechanism/'], ['wire/'], ['error.rs']);
my %good = (
  'lib.rs' => "${three}mod error; mod mechanism; pub mod top;\nmod wire;\npub use top::Top;\n",
  'top.rs' => <<'RUST',
use std::{fmt, io};
use crate::{error::{self, Error as Fault}, wire::*};
pub struct Top<'a>(&'a str, char);
fn top(x: wire::Text) -> error::Other { let _ = ('"', '\'', "crate::mechanism::f", r#""crate::mechanism"#); x.into() }
RUST
  'wire/mod.rs' =>
    "mod number;\npub mod text;\nuse crate::error;\npub use text::Text;\nfn f() -> error::Error { number::f::<u8>() }\n",
  'wire/number.rs' =>
    "// use crate::top;\nuse super::text::{Text, word};\npub(in crate::wire) fn f() {}\n/* crate::top::Top */\n",
  'wire/text.rs' => "pub struct Text;\n#[cfg(test)]\nmod tests {\n  use super::*;\n  use crate::top::Top;\n}\n",
  'mechanism/mod.rs' =>
    "mod plain { use super::super::error; fn f() { error::f(); super::g() } }\nfn g() { crate::wire::text::word() }\n"
    . "#[cfg(test)]\nmod exchanges;\n#[cfg(all(test, unix))]\nmod sockets;\n",
  'mechanism/exchanges.rs' => "use crate::top::Top;\n",
  'mechanism/sockets.rs' => "use crate::top::Top;\n",
  'error.rs' =>
    "pub enum Error {}\nmacro_rules! m { () => { \$crate::error::Error } }\n#[cfg(test)]\nuse crate::top::{Top};\n",
);
is_deeply(faults_of(%good), [], 'a crate in order has no faults');

# Each adds a line to one of the files. The fault is expected; a circle may come with it.
for my $case (
  ['an import upwards', 'error.rs', 'use crate::top::Top;', 'top.rs'],
  ['of the same floor', 'top.rs', 'use crate::mechanism;', 'mechanism/mod.rs'],
  ['in a group', 'error.rs', "use crate::{\n  wire::{text},\n};", 'wire/text.rs'],
  ['under another name', 'wire/text.rs', 'use crate::top as down;', 'top.rs'],
  ['by super', 'wire/text.rs', 'use super::super::top;', 'top.rs'],
  ['a path within code', 'error.rs', 'fn f() { crate::wire::number::f() }', 'wire/number.rs'],
  [
    'a path that begins with an imported name', 'wire/text.rs', "use crate::mechanism as m;\nfn f() { m::plain::f() }",
    'mechanism/mod.rs'
  ],
  ['a path within a macro', 'error.rs', 'macro_rules! n { () => { $crate::top::Top } }', 'top.rs'],
  ['within a module', 'error.rs', 'mod inner { use super::super::top; }', 'top.rs'],
  ['of the root', 'error.rs', 'use crate::Top;', 'lib.rs'],
  )
{
  my ($what, $from, $line, $to) = @$case;
  my $faults = faults_of(%good, $from => "$good{$from}$line\n");
  is_deeply([grep { !/^circle: / } @$faults], ["$from imports $to, which is not below it"], $what);
}

for my $case (
  ['siblings', { 'wire/text.rs' => "use super::number::f;\n" }, 'wire/number.rs -> wire/text.rs -> wire/number.rs'],
  ['a child and its parent', { 'wire/text.rs' => "use super::f;\n" }, 'wire/mod.rs -> wire/text.rs -> wire/mod.rs'],
  [
    'three files',
    { 'wire/text.rs' => "use super::word::f;\n", 'wire/word.rs' => "use super::number::f;\n" },
    'wire/number.rs -> wire/text.rs -> wire/word.rs -> wire/number.rs'
  ],
  )
{
  my ($what, $files, $circle) = @$case;
  is(faults_of(%good, %$files)->[0], "circle: $circle", "a circle of $what");
}

for my $case (
  ['a root without a table', "//! A crate.\n", 'there is no table of floors'],
  ['a file missing from the table', table(['top.rs', 'mechanism/'], ['wire/']), 'error.rs has no floor'],
  [
    'a file that was removed', table(['top.rs', 'mechanism/'], ['wire/'], ['error.rs', 'old.rs']),
    'the table names old.rs, which does not exist'
  ],
  [
    'a file on two floors', table(['top.rs', 'mechanism/'], ['wire/', 'error.rs'], ['error.rs']),
    'the table names error.rs twice'
  ],
  ['floors in disorder', table(['error.rs'], ['wire/']) =~ s/\| 1 /| 3 /r, 'floor 3 comes below floor 2'],
  )
{
  my ($what, $root, $fault) = @$case;
  is_deeply([grep { !/imports/ } @{ faults_of(%good, 'lib.rs' => $root) }], [$fault], $what);
}

# The longest matching entry counts.
my %apart = (
  'lib.rs' => table(['store/'], ['wire.rs'], ['store/key.rs']),
  'wire.rs' => "use crate::store::key::Key;\n",
  'store/mod.rs' => "mod key;\nmod file;\nuse crate::wire;\n",
  'store/key.rs' => '',
  'store/file.rs' => "use super::key::Key;\nuse crate::wire::f;\n",
);
is_deeply(faults_of(%apart), [], 'a file may be on a lower floor than its folder');
is(
  faults_of(%apart, 'store/key.rs' => "use super::file::f;\n")->[0],
  'store/key.rs imports store/file.rs, which is not below it',
  'and may not import from the folder then'
);

done_testing;
