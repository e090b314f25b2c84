# One side of an exchange with Authen::SASL::Perl, driven over stdin and stdout as Peer::Process describes. Arguments, each
# key=value: role (client, server), mechanism, user, password, authzid, trace, service, host, allow (server: the authzid that
# the user may take, besides its own name), minssf, maxssf, maxbuf (the layer: none if maxssf is not given).

use strict;
use warnings;

use Authen::SASL qw(Perl);
use MIME::Base64 qw(decode_base64 encode_base64);

$| = 1;
my %option = map { split /=/, $_, 2 } @ARGV;
my $mechanism = $option{mechanism};
my $client = $option{role} eq 'client';
my $conn = $client ? new_client() : new_server();

# In these mechanisms the client's message ends the exchange; the backend's need_step stays true nevertheless, and its empty
# string means both an empty and an absent message.
my %ends_with_client = map { $_ => 1 } qw(ANONYMOUS EXTERNAL PLAIN LOGIN CRAM-MD5);
my %client_first = map { $_ => 1 } qw(ANONYMOUS EXTERNAL PLAIN);

my $steps = 0;
while (defined(my $line = <STDIN>)) {
  chomp $line;
  if ($line =~ /\A([edt])\w* (\S+)\z/) {
    layer($1, $2);
    next;
  }
  my $message = $line =~ /\A(?:\.|go)\z/ ? undef : $line eq '=' ? '' : decode_base64($line);
  my $sent = $client ? client_message($message) : server_message($message);
  $steps++;
  report($sent);
}

sub new_client {
  my %callback = (user => $option{user}, pass => $option{password}, authname => $option{authzid});
  $callback{authname} = $option{trace} if $mechanism eq 'ANONYMOUS';
  $callback{user} = $option{authzid} if $mechanism eq 'EXTERNAL';
  my $sasl = Authen::SASL->new(mechanism => $mechanism, callback => \%callback);
  my $new = $sasl->client_new($option{service}, $option{host});
  $new->property(maxssf => $option{maxssf} || 0);
  set_layer($new);
  return $new;
}

sub new_server {
  my $getsecret = sub {
    my ($self, $asked, $answer) = @_;
    $answer->($asked->{user} eq $option{user} ? $option{password} : undef);
  };
  my $sasl = Authen::SASL->new(mechanism => $mechanism, callback => {getsecret => $getsecret});
  my $new = $sasl->server_new($option{service}, $option{host},
    $option{maxssf} ? {} : {no_integrity => 1, no_confidentiality => 1});
  set_layer($new);
  return $new;
}

sub set_layer {
  my ($new) = @_;
  $new->property($_ => $option{$_}) for grep { defined $option{$_} } qw(minssf maxbuf);
  return;
}

# The backend uses frames without the length; here they get the lengths that precede them on the wire, and plaintext is split to
# the peer's maximum.
sub layer {
  my ($task, $word) = @_;
  my $in = $word eq '=' ? '' : decode_base64($word);
  my $out = '';
  if ($task eq 't') {
    $out = join ' ', $conn->property('ssf') || 0, $conn->property('maxout') || 0;
  }
  elsif ($task eq 'e') {
    my $most = $conn->property('maxout') || 4096;    # its server does not support one
    $out .= pack 'N/a*', $conn->encode($_) for unpack "(a$most)*", $in;
  }
  else {
    for my $frame (unpack '(N/a*)*', $in) {
      my $text = $conn->decode($frame, length $frame);
      return print "fail . a frame is refused\n" if !defined $text;
      $out .= $text;
    }
  }
  print 'more ', $out eq '' ? '=' : encode_base64($out, ''), "\n";
  return;
}

sub client_message {
  my ($message) = @_;
  my $sent = $steps ? $conn->client_step($message) : $conn->client_start;
  undef $sent if !$steps && !$client_first{$mechanism};
  return $sent;
}

sub server_message {
  my ($message) = @_;
  # It does not handle an absent initial response: the protocol asks for it.
  return '' if !$steps && $client_first{$mechanism} && !defined $message && !$conn->{waited}++;
  my $sent;
  my $started = $steps && !($client_first{$mechanism} && $steps == 1 && $conn->{waited});
  my $method = $started ? 'server_step' : 'server_start';
  $conn->$method($message, sub { $sent = shift });
  return $sent;
}

sub report {
  my ($sent) = @_;
  my $word = !defined $sent ? '.' : $sent eq '' ? '=' : encode_base64($sent, '');
  if ($conn->error) {
    (my $reason = $conn->error) =~ s/\s+/ /g;
    print "fail . $reason\n";
  }
  elsif ($client) {
    print client_ended($sent) ? 'done' : 'more', " $word\n";
  }
  elsif ($conn->is_success) {
    report_success($word);
  }
  else {
    print "more $word\n";
  }
}

# The backend authenticates the peer; the application authorizes it.
sub report_success {
  my ($word) = @_;
  my %answer = map { $_ => $conn->answer($_) } qw(user username authname authzid);
  my ($authcid) = grep { defined $_ } @answer{qw(user username)};
  my ($authzid) = grep { defined $_ && length $_ } @answer{qw(authname authzid)}, $authcid;
  my $may = grep { defined $_ && $_ eq $authzid } $authcid, $option{allow};
  return print "fail . authzid not allowed\n" if !$may;
  print join(' ', 'done', $word, map { encode_base64($_, '') } $authcid, $authzid), "\n";
}

sub client_ended {
  my ($sent) = @_;
  return $conn->is_success if !$ends_with_client{$mechanism};
  return $steps == ($mechanism eq 'LOGIN' ? 3 : $client_first{$mechanism} ? 1 : 2);
}
