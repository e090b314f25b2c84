# Net::SMTP on the submission service of our own Dovecot. To relay mail it would need another server, but it authenticates
# without one.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL ($ENV{SASL_BACKEND} || 'Rust');
use Net::SMTP ();
use Server::Dovecot ();
use Server::Trial qw(trial utf8 %PASSWORD);

my $dovecot = Server::Dovecot->start(users => \%PASSWORD);

sub connect_smtp {
  return Net::SMTP->new('127.0.0.1', Port => $dovecot->{submission}, Timeout => 20, Hello => 'localhost')
    || die "SMTP: $@";
}

sub auth_as {
  my ($mechanism, %callback) = @_;
  my $sasl = Authen::SASL->new(mechanism => $mechanism, callback => \%callback);
  my $smtp = connect_smtp();
  my $in = $smtp->auth($sasl);
  return ($smtp, $in, $sasl);
}

sub accepted {
  my ($smtp, $in, $user, $mechanism) = @_;
  ok $in, 'the login succeeds' or diag $smtp->code, ' ', $smtp->message, $dovecot->log_text;
  is $smtp->code, 235, 'with the reply for it';
  ok $dovecot->has_logged_in('submission', $user, $mechanism), 'as this user, by this mechanism'
    or diag $dovecot->log_text;
  return;
}

sub refused {
  my ($smtp, $in) = @_;
  ok !$in, 'the login is refused';
  is $smtp->code, 535, 'with the reply for it';
  my $reason = join ' ', $smtp->message;
  like $reason, qr/Authentication failed/, 'the client reports the server\'s reason';
  note $reason;
  return;
}

for my $mechanism (qw(PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256)) {
  for my $user (sort keys %PASSWORD) {
    trial "$mechanism, " . utf8($user) => sub {
      my ($smtp, $in, $sasl) = auth_as($mechanism, user => $user, pass => $PASSWORD{$user});
      if ($mechanism eq 'DIGEST-MD5' && !$dovecot->digests_by_the_book($user, $PASSWORD{$user})) {
        note 'this server hashes UTF-8 where the standard wants Latin-1';
        return refused($smtp, $in);
      }
      accepted($smtp, $in, $user, $mechanism);
      is $sasl->error, undef, 'no error is left';
    };
  }
  trial "$mechanism, wrong password" => sub { refused(auth_as($mechanism, user => 'fred', pass => 'crayon')) };
  trial "$mechanism, unknown user" => sub { refused(auth_as($mechanism, user => 'nobody', pass => 'pencil')) };
}

for my $mechanism (qw(OAUTHBEARER XOAUTH2)) {
  trial $mechanism => sub {
    my ($smtp, $in) = auth_as($mechanism, user => 'fred', token => $dovecot->token('fred'));
    accepted($smtp, $in, 'fred', $mechanism);
    refused(auth_as($mechanism, user => 'fred', token => 'wrong'));
  };
}

# The usual call: the server's whole list, and the name as authname too.
trial 'auth(user, password), mechanism left to us' => sub {
  my ($user) = grep { /[^\x00-\xff]/ } keys %PASSWORD;
  my $smtp = connect_smtp();
  accepted($smtp, $smtp->auth($user, $PASSWORD{$user}), $user, 'SCRAM-SHA-256');
  $smtp = connect_smtp();
  refused($smtp, $smtp->auth($user, 'crayon'));
};

done_testing;
