package Peer::Ours;

# Our side of an exchange, through the interface that every program uses. With SASL_BACKEND=Perl, Gsasl or Cyrus that peer
# replaces it, which shows whether a failing cell is caused by the other peer or by the driver.

use strict;
use warnings;

use Encode ();

my $backend = $ENV{SASL_BACKEND} || 'Rust';

if ($backend eq 'Rust') {
  require Authen::SASL;
  Authen::SASL->import('Rust');
}
else {
  require "Peer/$backend.pm";
}

# Whether its error names mechanism and code.
sub explains { return $backend eq 'Rust' }

sub client {
  my ($class, %arg) = @_;
  return "Peer::$backend"->client(_in_utf8(%arg)) if $backend ne 'Rust';
  my %callback = (user => $arg{user}, pass => $arg{password}, authname => $arg{authzid});
  $callback{authname} = $arg{trace} if $arg{mechanism} eq 'ANONYMOUS';
  $callback{authzid} = delete $callback{authname} if $arg{mechanism} eq 'EXTERNAL';
  delete $callback{$_} for grep { !defined $callback{$_} } keys %callback;
  my $sasl = Authen::SASL->new(mechanism => $arg{mechanism}, callback => \%callback);
  my $conn = $sasl->client_new(@arg{qw(service host)}, $arg{options} || ());
  return bless {conn => $conn, role => 'client', convention => 'return value'}, $class;
}

sub server {
  my ($class, %arg) = @_;
  return "Peer::$backend"->server(_in_utf8(%arg)) if $backend ne 'Rust';
  my $by_return = $arg{convention} eq 'return value';
  my $tell = sub {
    my ($answer, $continue) = @_;
    return $answer if $by_return;
    $continue->($answer);
    return;
  };
  my $secret = exists $arg{secret} ? $arg{secret} : $arg{password};
  my %callback = (
    authorize => sub {
      my ($conn, $authcid, $authzid) = @_;
      my @may = grep { defined $_ } $authcid, $arg{allow};
      return scalar grep { characters($authzid) eq characters($_) } @may;
    },
    getsecret => sub {
      my ($conn, $asked, $continue) = @_;
      return $tell->(characters($asked->{user}) eq $arg{user} ? $secret : undef, $continue);
    },
  );
  # Programs may use either callback for the plain text mechanisms; the test alternates between them.
  $callback{checkpass} = sub {
    my ($conn, $asked, $continue) = @_;
    my $right = characters($asked->{user}) eq $arg{user}
      && characters($asked->{pass}) eq $arg{password};
    return $tell->($right ? 1 : 0, $continue);
  } if !$by_return;
  # Without an identity no server can be made with only EXTERNAL; a client may name it nevertheless.
  my $unproved = $arg{mechanism} eq 'EXTERNAL' && !defined $arg{external};
  my $list = $unproved ? 'EXTERNAL ANONYMOUS' : $arg{mechanism};
  my $sasl = Authen::SASL->new(mechanism => $list, callback => \%callback);
  my %option = (%{ $arg{options} || {} }, defined $arg{external} ? (external_id => $arg{external}) : ());
  my $conn = $sasl->server_new(@arg{qw(service host)}, \%option);
  $conn->mechanism('EXTERNAL') if $unproved;
  return bless {conn => $conn, role => 'server', convention => $arg{convention}}, $class;
}

sub start { my ($self, @message) = @_; return $self->_take("$self->{role}_start", @message) }
sub step  { my ($self, @message) = @_; return $self->_take("$self->{role}_step",  @message) }
sub end   { delete $_[0]{conn}; return }

sub _take {
  my ($self, $method, @message) = @_;
  my $conn = $self->{conn};
  my @sent;
  if ($self->{convention} eq 'return value') {
    @sent = $conn->$method(@message);
    die "$method returned " . @sent . " elements\n" if @sent > 1;
    die "$method returned an empty list without an error\n" if !@sent && !$conn->error;
    @sent = () if @sent && $sent[0] eq '' && $conn->property('message_absent');
  }
  else {
    my $times = 0;
    my @returned = $conn->$method(@message, sub { $times++; @sent = grep { defined $_ } @_ });
    die "$method with a continuation returned " . @returned . " elements\n" if @returned;
    die "the continuation of $method was called $times times\n" if $times != 1;
  }
  return $self->_result($method, @sent);
}

sub _result {
  my ($self, $method, @sent) = @_;
  my $conn = $self->{conn};
  my ($error, $need, $success) = ($conn->error, $conn->need_step, $conn->is_success);
  die "$method: success with the error '$error'\n" if $error && $success;
  die "$method: success that needs another step\n" if $need && $success;
  die "$method: no error, no success and no step needed\n" if !$error && !$need && !$success;
  my %result = (state => $error ? 'fail' : $success ? 'done' : 'more', message => $sent[0]);
  $result{error} = $error if $error;
  @result{qw(authcid authzid)} = map { characters($conn->property($_)) } qw(authuser user)
    if $success && $self->{role} eq 'server';
  return \%result;
}

# Passes the client's empty response to the server's last message.
sub bears_empty_answer {
  my ($self) = @_;
  my @sent;
  if ($self->{convention} eq 'return value') { @sent = $self->{conn}->server_step('') }
  else { $self->{conn}->server_step('', sub { @sent = @_ }) }
  my $conn = $self->{conn};
  die 'the empty answer to the last message became: ' . $conn->error . "\n" if $conn->error;
  die "the empty answer to the last message undid the success\n" if !$conn->is_success;
  return 'borne';
}

sub characters {
  my ($text) = @_;
  return $text if !defined $text || utf8::is_utf8($text);
  my $copy = $text;
  return eval { Encode::decode('UTF-8', $copy, Encode::FB_CROAK()) } // $text;
}

sub _in_utf8 {
  my (%arg) = @_;
  return map { $_ => defined $arg{$_} ? Encode::encode('UTF-8', "$arg{$_}") : undef } keys %arg;
}

1;
