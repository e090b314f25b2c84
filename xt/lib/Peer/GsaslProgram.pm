package Peer::GsaslProgram;

# The `gsasl` program: base64 lines, as its users type them. It writes absent and empty messages in the same way (an empty
# line), does not check whether a user exists, and authorizes every user.

use strict;
use warnings;

use Encode       ();
use MIME::Base64 qw(decode_base64 encode_base64);
use parent 'Peer::Child';

sub name { 'the gsasl program' }

my %client_first = map { $_ => 1 } qw(ANONYMOUS EXTERNAL PLAIN LOGIN SCRAM-SHA-1 SCRAM-SHA-256);

# The mechanisms in which the exchange ends with the client's message; the first message may be absent.
my %messages_of_client =
  (ANONYMOUS => 1, EXTERNAL => 1, PLAIN => 1, LOGIN => 2, 'CRAM-MD5' => 2);

sub client { my ($class, %arg) = @_; return $class->_spawn('client', %arg) }
sub server { my ($class, %arg) = @_; return $class->_spawn('server', %arg) }

sub _spawn {
  my ($class, $role, %arg) = @_;
  my %flag = (
    mechanism              => $arg{mechanism},
    'authentication-id'    => $role eq 'client' ? $arg{user} : undef,
    'authorization-id'     => $arg{authzid},
    'anonymous-token'      => $arg{trace},
    password               => $arg{password},
    realm                  => $arg{host},
    service                => $arg{service},
    hostname               => $arg{host},
    'iteration-count'      => $role eq 'server' ? 10_000 : undef,
    'quality-of-protection' => 'qop-auth',
  );
  my @command = ('gsasl', "--$role", '--no-starttls', '--application-data',
    map {"--$_=$flag{$_}"} grep { defined $flag{$_} } sort keys %flag);
  my $self = bless {role => $role, said => [], mechanism => $arg{mechanism}}, $class;
  # Its arguments are in the locale's charset.
  return $self->run(command => \@command, env => {LC_ALL => 'C.UTF-8'});
}

sub start {
  my ($self, $message) = @_;
  return $self->_listen if $self->{role} eq 'client';
  # A server begins by writing an empty line, as if challenging.
  my $first = $self->_listen;
  return $first if $first->{state} ne 'more' || !defined $message;
  return $self->step($message);
}

sub step {
  my ($self, $message) = @_;
  local $SIG{PIPE} = 'IGNORE';
  print { $self->{to} } encode_base64(defined $message ? $message : '', ''), "\n";
  return $self->_listen;
}

# It prompts after its last message, too, and ends with the next line.
sub _listen {
  my ($self) = @_;
  my ($message, $prompted) = $self->_read_output;
  $self->{spoken}++;
  my $empty = !defined $message || $message eq '';
  if ($prompted && ($self->_said_all || $empty && $self->{spoken} > 1)) {
    print { $self->{to} } "\n";
    $prompted = ($self->_read_output)[1];
  }
  undef $message if $empty && !$self->_empty_is_a_message;
  return {state => 'more', message => $message} if $prompted;
  waitpid delete $self->{pid}, 0;
  return {state => 'done', message => $message} if $? == 0;
  return {state => 'fail', message => $message, error => $self->{said}[-1]};
}

sub _read_output {
  my ($self) = @_;
  my $message;
  while (defined(my $line = readline $self->{from})) {
    push @{$self->{said}}, $line;
    return ($message, 1) if $line =~ /\AEnter base64 authentication data/;
    next if $line !~ /\AOutput from /;
    chomp($message = readline $self->{from});
    push @{$self->{said}}, "$message\n";
    $message = decode_base64($message);
  }
  return ($message, 0);
}

sub _said_all {
  my ($self) = @_;
  my $all = $messages_of_client{$self->{mechanism}};
  return $self->{role} eq 'client' && $all && $self->{spoken} == $all;
}

sub _empty_is_a_message {
  my ($self) = @_;
  return $self->{role} eq 'client' && $self->{spoken} == 1 && $client_first{$self->{mechanism}};
}

# "{SCRAM-SHA-256}4096,salt,StoredKey,ServerKey", as Dovecot writes it, too.
sub verifier {
  my ($class, $mechanism, $password) = @_;
  local $ENV{LC_ALL} = 'C.UTF-8';
  open my $from, '-|', 'gsasl', '--mkpasswd', "--mechanism=$mechanism", '--iteration-count=4096',
    '--password=' . Encode::encode('UTF-8', $password)
    or die "cannot run gsasl (of the Debian package gsasl): $!\n";
  my $line = readline $from;
  close $from or die "gsasl --mkpasswd failed\n";
  chomp $line;
  return $line;
}

sub diagnostics { return join '', @{$_[0]{said}} }

1;
