package Peer::Process;

# One side of a SASL exchange in a child process: a foreign library behind a protocol of one text line per message, so that it
# shares no process (and no libsasl2) with the tested code.
#
# A message is written as "." (absent), "=" (empty) or base64.
# To the child:    go | <message> | (encode | decode | tell) <message>
# From the child:  more <message>
#                  done <message> <authcid> <authzid>
#                  fail <message> <reason in words>

use strict;
use warnings;

use File::Temp   ();
use MIME::Base64 qw(decode_base64 encode_base64);
use parent 'Peer::Child';

sub new {
  my ($class, %arg) = @_;
  my $self = bless {label => $arg{label}, role => $arg{role}, stderr => File::Temp->new}, $class;
  return $self->run(command => $arg{command}, env => $arg{env}, errors => $self->{stderr});
}

sub start {
  my ($self, $message) = @_;
  return $self->_talk($self->{role} eq 'client' ? 'go' : _written($message));
}

sub step {
  my ($self, $message) = @_;
  return $self->_talk(_written($message));
}

# The security layer, in bytes as on the wire; and its parameters: "ssf maxout".
sub seal { my ($self, $text) = @_; return $self->_talk('encode ' . _written($text)) }
sub unseal { my ($self, $frames) = @_; return $self->_talk('decode ' . _written($frames)) }
sub agreed { my ($self) = @_; return $self->_talk('tell =')->{message} }

sub _talk {
  my ($self, $line) = @_;
  local $SIG{PIPE} = 'IGNORE';
  print { $self->{to} } "$line\n";
  my $answer = readline $self->{from};
  die "$self->{label} died: " . $self->diagnostics . "\n" unless defined $answer;
  chomp $answer;
  my ($state, $message, $rest) = split / /, $answer, 3;
  die "$self->{label} answered '$answer': " . $self->diagnostics . "\n"
    unless defined $message && $state =~ /\A(?:more|done|fail)\z/;
  my %result = (state => $state, message => _read_message($message));
  $result{error} = $rest if $state eq 'fail';
  @result{qw(authcid authzid)} = map { _read_message($_) } split / /, defined $rest ? $rest : ''
    if $state eq 'done';
  return \%result;
}

sub _written {
  my ($message) = @_;
  return !defined $message ? '.' : $message eq '' ? '=' : encode_base64($message, '');
}

sub _read_message {
  my ($word) = @_;
  return !defined $word || $word eq '.' ? undef : $word eq '=' ? '' : decode_base64($word);
}

sub diagnostics {
  my ($self) = @_;
  open my $fh, '<', $self->{stderr}->filename or return '';
  local $/;
  return scalar readline($fh) // '';
}

1;
