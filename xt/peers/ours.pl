# One side of an exchange with this module, driven over stdin and stdout as Peer::Process describes: for a separate process with
# other libraries. Arguments, each key=value: role (client, server), mechanism, and properties.

use strict;
use warnings;

use FindBin      ();
use MIME::Base64 qw(decode_base64 encode_base64);

use lib "$FindBin::Bin/../lib";
use Peer::OurLayer ();

$| = 1;
my %option = map { split /=/, $_, 2 } @ARGV;
delete @option{qw(service host success_data)};    # Peer::OurLayer has its own
my $role = delete $option{role};
my $side = eval { Peer::OurLayer->$role(%option) };
my $refusal = $@;

my $started;
my %task = (
  encode => sub { return $side->seal($_[0]) },
  decode => sub { return $side->unseal($_[0]) },
  tell => sub { return {state => 'more', message => $side->agreed} },
  step => sub { return $started++ ? $side->step($_[0]) : $side->start($_[0]) },
);
while (defined(my $line = <STDIN>)) {
  my ($name, $word) = $line =~ /\A(?:(encode|decode|tell) )?(\S+)$/ or die "what is '$line'?\n";
  my $message = $word =~ /\A(?:\.|go)\z/ ? undef : $word eq '=' ? '' : decode_base64($word);
  my $come_to = $side ? $task{$name || 'step'}->($message) : {state => 'fail', error => $refusal};
  my @more;
  @more = $come_to->{error} =~ s/\s+/ /gr if $come_to->{state} eq 'fail';
  @more = map { written($side->name($_)) } qw(authcid user) if $come_to->{state} eq 'done';
  print join(' ', $come_to->{state}, written($come_to->{message}), @more), "\n";
}

sub written {
  my ($message) = @_;
  return !defined $message ? '.' : $message eq '' ? '=' : encode_base64($message, '');
}
