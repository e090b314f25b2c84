package Authen::SASL::Rust::OAuth::Redirect;

# The loopback address that the provider sends the user's browser back to (RFC 8252 section 7.3): a web server for one request.

use strict;
use warnings;
use Authen::SASL::Rust::OAuth::Error;
use Digest::SHA qw(sha256);
use IO::Select ();
use IO::Socket::INET ();
use Time::HiRes qw(time);

our $VERSION = '1.0';

my $STEP = 'authorization';
my $LIMIT = 16_384;
my $MAX_CONNECTIONS = 20;

# new($host): the provider's spelling of the loopback address.
sub new {
  my ($class, $host) = @_;
  my $socket = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', LocalPort => 0)
    or Authen::SASL::Rust::OAuth::Error->throw($STEP, "cannot listen on 127.0.0.1: $@");
  return bless { socket => $socket, uri => "http://$host:" . $socket->sockport . '/' }, $class;
}

sub uri { return $_[0]{uri} }

# Waits for the redirect with this state and returns its parameters. Any page in the user's browser can send requests to this
# port, so one with another state ends nothing: it is answered with an error, and the wait goes on. Browsers open connections that
# they do not use, so several are read at a time.
sub await {
  my ($self, $state, $seconds) = @_;
  my ($end, $forged, %text) = (time + $seconds, 0);
  my $select = IO::Select->new($self->{socket});
  while ((my $left = $end - time) > 0) {
    for my $ready ($select->can_read($left)) {
      if ($ready == $self->{socket}) {
        my $browser = $ready->accept or next;
        binmode $browser;    # PERL_UNICODE may have given it a layer, on which sysread dies
        $text{ fileno $browser } = '';
        $select->add($browser) if $select->count <= $MAX_CONNECTIONS;
        next;
      }
      my $text = \$text{ fileno $ready };
      my $read = sysread $ready, $$text, 4096, length $$text;
      next if $read && $$text !~ /\r?\n\r?\n/ && length $$text <= $LIMIT;
      $select->remove($ready);
      next if !$read;
      my $parameters = _parameters($$text);
      my $right = defined $parameters && _same($parameters->{state}, $state);
      _answer($ready, $right, $parameters);
      return $parameters if $right;
      $forged++ if defined $parameters;
    }
  }
  my $why = "no redirect from the browser within $seconds seconds";
  $why .= "; $forged with a wrong state were refused" if $forged;
  return Authen::SASL::Rust::OAuth::Error->throw($STEP, $why);
}

# Constant time: compares digests.
sub _same {
  my ($got, $wanted) = @_;
  return defined $got && sha256($got) eq sha256($wanted);
}

# The parameters of the redirect; undef if the request is another one, such as a browser's for its icon.
sub _parameters {
  my ($text) = @_;
  my ($query) = $text =~ m{\AGET /\?([\x21-\x7e]*) HTTP/1\.[01]\r?\n} or return undef;
  my %parameters;
  for my $pair (split /&/, $query) {
    my ($name, $value) = map { tr/+/ /; s/%([0-9A-Fa-f]{2})/chr hex $1/ge; $_ } split /=/, $pair, 2;
    next if !defined $name;
    return undef if exists $parameters{$name};    # RFC 6749 section 3.1
    $parameters{$name} = defined $value ? $value : '';
  }
  return $parameters{state} || $parameters{code} || $parameters{error} ? \%parameters : undef;
}

sub _answer {
  my ($browser, $right, $parameters) = @_;
  local $SIG{PIPE} = 'IGNORE';
  my ($status, $text) =
      $right ? ('200 OK', 'The program has the answer. You can close this window.')
    : defined $parameters ? ('400 Bad Request', 'This response does not belong to the login that is waiting.')
    : ('404 Not Found', 'Nothing is here.');
  my $page = "<!DOCTYPE html><html><head><title>Login</title></head><body><p>$text</p></body></html>\n";
  # RFC 6819 section 5.1.4: the code must not reach a third party by the Referer header or a cache.
  my $head = join "\r\n", "HTTP/1.1 $status", 'Content-Type: text/html; charset=utf-8',
    'Content-Length: ' . length $page,
    'Cache-Control: no-store', 'Referrer-Policy: no-referrer', 'Connection: close', '', '';
  local ($\, $,);
  print {$browser} $head, $page;
  close $browser;
  return;
}

1;

__END__

=encoding utf8

=head1 NAME

Authen::SASL::Rust::OAuth::Redirect - the end of a login in a browser

=head1 DESCRIPTION

A web server for one request, for the flow C<code> of L<Authen::SASL::Rust::OAuth/LOGGING IN>. Programs do not need this module.

=cut
