package RustCode;

# The code of a Rust file, for tests that count and compare its contents.

use strict;
use warnings;
use Exporter 'import';

our @EXPORT_OK = qw(code_of);

# Returns the text without comments, strings and character literals.
sub code_of {
  my ($text) = @_;
  $text =~ s{
      //[^\n]*
    | /\*.*?\*/
    | b?r(\#*)".*?"\1
    | [bc]?"(?:[^"\\]|\\.)*"
    | b?'(?:[^'\\]|\\x[0-9A-Fa-f]{2}|\\u\{[0-9A-Fa-f]+\}|\\[^ux])'
  }{ }gsx;
  return $text;
}

1;
