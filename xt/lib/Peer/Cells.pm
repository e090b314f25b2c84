package Peer::Cells;

# The table of an interoperability test: mechanisms by direction, kind of protocol and case, one subtest per cell.

use strict;
use warnings;

use Encode     ();
use Exporter   qw(import);
use Test::More;

use Peer::Cases    ();
use Peer::Exchange qw(exchange);
use Peer::Ours     ();

our @EXPORT_OK = qw(try_cells);

use constant WHERE => (service => 'imap', host => 'localhost');

# Like IMAP with SASL-IR or LDAP, and like old POP3 or SMTP. Our server is called with each of its two conventions.
my @MANNERS = (
  {name => 'first and last message in place', initial_response => 1, success_data => 1,
   convention => 'return value'},
  {name => 'challenges and answers only', initial_response => 0, success_data => 0,
   convention => 'continuation'},
);

# peer: a driver. client, server: the mechanisms that the peer has in that role. unlike: {"$role $mechanism: $case" => a changed
# case, for what the peer itself cannot do or does differently}. cases: a pattern, for a peer that does not support all. secret: a
# sub that makes, from mechanism and password, the value that our server gets instead of the password.
sub try_cells {
  my (%arg) = @_;
  for my $role (qw(server client)) {
    for my $mechanism (@{$arg{$role}}) {
      next if $ENV{PEER_MECHANISM} && $mechanism !~ /\A(?:$ENV{PEER_MECHANISM})\z/;
      for my $case (Peer::Cases->of($mechanism)) {
        next if $arg{cases} && $case->{name} !~ $arg{cases};
        my $unlike = {%{$arg{unlike}{"$role $mechanism: $case->{name}"} || {}}};
        $unlike->{secret} = $arg{secret} if $arg{secret};
        my $title = $role eq 'server' ? 'our client, ' : 'our server, ';
        $title .= $arg{peer}->name . "'s $role, $mechanism: $case->{name}";
        $title .= ' (by a verifier)' if $arg{secret};
        $title .= " ($unlike->{why})" if $unlike->{why};
        subtest $title => sub {
          _try_cell($arg{peer}, $role, $mechanism, {%$case, %$unlike}, $_) for @MANNERS;
        };
      }
    }
  }
  return;
}

sub _try_cell {
  my ($peer, $role, $mechanism, $case, $manner) = @_;
  my %client = (WHERE, mechanism => $mechanism, %{$case->{client}});
  my %server = (WHERE, mechanism => $mechanism, %{$case->{server}},
    success_data => $manner->{success_data});
  $server{secret} = $case->{secret}->($mechanism, $server{password}) if $case->{secret};
  my ($client, $server) = $role eq 'server'
    ? (Peer::Ours->client(%client), $peer->server(_in_utf8(%server)))
    : ($peer->client(_in_utf8(%client)),
       Peer::Ours->server(%server, convention => $manner->{convention}));
  my $end = exchange($client, $server, %$manner, on_path => $case->{on_path});
  subtest $manner->{name} => sub {
    my $good = is($end->{problem}, undef, 'the exchange came to an end');
    $good &&= $case->{ends} eq 'done'
      ? _good_end($end, $role, $mechanism, $case)
      : _bad_end($end, $role, $mechanism, $case);
    $good or diag(explain($end), map { $_->can('diagnostics') ? $_->diagnostics : () } $client, $server);
  };
  return;
}

sub _good_end {
  my ($end, $role, $mechanism, $case) = @_;
  my $good = is($end->{server}{state}, 'done', 'the server accepts')
    & is($end->{client}{state}, 'done', 'the client is content');
  return $good if $role eq 'server' || $mechanism eq 'ANONYMOUS';
  my $who = $mechanism eq 'EXTERNAL' ? $case->{server}{external} : $case->{client}{user};
  my $whom = defined $case->{client}{authzid} ? $case->{client}{authzid} : $who;
  my ($authcid, $authzid) = map { Peer::Ours::characters($_) } @{$end->{server}}{qw(authcid authzid)};
  return $good & is($authcid, $who, 'our server says who it is')
    & is($authzid, $whom, 'and the authzid');
}

sub _bad_end {
  my ($end, $role, $mechanism, $case) = @_;
  my $ours = $end->{$role eq 'server' ? 'client' : 'server'};
  my $good;
  if ($case->{on_path}) {
    $good = is($end->{client}{state}, 'fail', 'the client sees the forgery');
  }
  else {
    $good = is($end->{server}{state}, 'fail', 'the server refuses');
    $good &= isnt($end->{client}{state}, 'done', 'the client does not take it for success')
      if Peer::Cases->carries($mechanism)->{verifies};
    $good &= is($end->{client}{state}, 'fail', 'the client hears the refusal')
      if defined $end->{server}{message};
  }
  return $good unless $ours->{state} eq 'fail' && Peer::Ours->explains;
  my $password = $case->{server}{password};
  return $good & like($ours->{error}, qr/\Q$mechanism\E/, 'our error names the mechanism')
    & like($ours->{error}, qr/SASL_[A-Z]+/, 'and the SASL_* name')
    & (defined $password
      ? unlike(Encode::encode('UTF-8', $ours->{error}), qr/\Q$password\E/, 'and contains no secret') : 1);
}

sub _in_utf8 {
  my (%arg) = @_;
  return map { $_ => defined $arg{$_} ? Encode::encode('UTF-8', "$arg{$_}") : undef } keys %arg;
}

1;
