# One side of an exchange by this very module, driven over stdin and stdout as
# Peer::Process says: for a process of its own, with libraries of its own.
# Arguments, each key=value: role (client, server), mechanism, and properties.

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
while (defined(my $line = <STDIN>)) {
  my ($task, $word) = $line =~ /\A(?:(encode|decode|tell) )?(\S+)$/ or die "what is '$line'?\n";
  my $message = $word =~ /\A(?:\.|go)\z/ ? undef : $word eq '=' ? '' : decode_base64($word);
  my $done = !$side
    ? {state => 'fail', error => $refusal}
    : !$task         ? ($started++ ? $side->step($message) : $side->start($message))
    : $task eq 'tell'   ? {state => 'more', message => $side->agreed}
    : $task eq 'encode' ? $side->seal($message)
    :                     $side->unseal($message);
  $done->{error} =~ s/\s+/ /g if defined $done->{error};
  print join(' ', $done->{state}, written($done->{message}),
    $done->{state} eq 'fail' ? $done->{error} : $done->{state} eq 'done' ? map { written($side->name($_)) } qw(authcid user) : ()), "\n";
}

sub written {
  my ($message) = @_;
  return !defined $message ? '.' : $message eq '' ? '=' : encode_base64($message, '');
}
