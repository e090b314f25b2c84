package Bench::Adapter::Perl;
use strict;
use warnings;
use parent 'Bench::Adapter';

sub module { 'Authen::SASL::Perl' }
sub needs  { qw(Digest::HMAC_MD5 Authen::SCRAM Bench::PerlScram) }

sub lacks {
  my $none = { server => 'no server side' };
  return { 'CRAM-MD5' => $none, ANONYMOUS => $none, EXTERNAL => $none };
}

sub server_callbacks {
  my ($self, $mech, $job) = @_;
  my ($hash) = $mech =~ /^SCRAM-(.*)/ or return $self->SUPER::server_callbacks($mech, $job);
  my @stored = Bench::Peer::scram_credentials($hash, $Bench::Adapter::PASS, Bench::Peer::salt(0), $job->{iters});
  return { getsecret => sub { @stored } };
}

1;
