# Debian's Postfix as a server with libsasl2 and our guest. The client does not use libsasl2.

use strict;
use warnings;
use lib 't/lib';
use Isolated;

use Authen::SASL qw(Rust);
use Net::SMTP ();
use Peer::Guest ();
use Peer::Packaged qw(why_absent);
use Server::Postfix ();
use Server::Trial qw(trial utf8 %PASSWORD);
use Test::More;

plan skip_all => 'only root can start Postfix' if $>;
plan skip_all => why_absent('postfix') if why_absent('postfix');

my @MECHANISMS = qw(SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 DIGEST-MD5 CRAM-MD5 PLAIN LOGIN);
# libsasl2 does not have this mechanism, so the list is that of our guest.
my $OURS = 'SCRAM-SHA3-512';

our $postfix = Server::Postfix->start(
  users => \%PASSWORD, plugins => Peer::Guest::folder('sasldb'),
  mechanisms => "@MECHANISMS $OURS"
);

# Logs in and tries to send a letter; returns the reply to the log-in.
sub submit {
  my ($mechanism, $user, $password) = @_;
  my $smtp = Net::SMTP->new('127.0.0.1', Port => $postfix->{port}, Timeout => 20, Hello => 'localhost')
    or die "SMTP: $@";
  my $in = $smtp->auth(Authen::SASL->new(mechanism => $mechanism, callback => { user => $user, pass => $password }));
  my $reply = join ' ', $smtp->code, $smtp->message;
  my $sent =
    $smtp->mail('fred@example.org') && $smtp->to('wilma@example.org') && $smtp->data("Subject: hello\n\n$mechanism\n");
  is !!$sent, !!$in, $in ? 'the letter is taken' : 'no letter is taken' or diag $smtp->message, $postfix->log_text;
  return $reply =~ s/\s+\z//r;
}

trial 'Postfix lists our mechanisms, each once' => sub {
  my $smtp = Net::SMTP->new('127.0.0.1', Port => $postfix->{port}, Timeout => 20, Hello => 'localhost')
    or die "SMTP: $@";
  is_deeply [sort split ' ', $smtp->supports('AUTH') // ''], [sort @MECHANISMS, $OURS], 'in the reply to EHLO'
    or diag $postfix->log_text;
};

for my $mechanism (@MECHANISMS, $OURS) {
  trial "Postfix, $mechanism" => sub {
    for my $user (sort keys %PASSWORD) {
      like submit($mechanism, $user, $PASSWORD{$user}), qr/\A235 /, utf8("$user is in") or diag $postfix->log_text;
    }
    ok $postfix->logs("sasl_method=$mechanism, sasl_username=fred"), 'Postfix knows who it is'
      or diag $postfix->log_text;
    my @refused = map { submit($mechanism, @$_) } ['fred', 'crayon'], ['barney', 'pencil'];
    like $refused[0], qr/\A535 .*authentication failure/, 'a wrong password';
    is $refused[1], $refused[0], 'an unknown user gets the same reply';
  };
}

# Debian's default. smtpd opens the plugin before it enters the directory, and the file of users after it.
trial 'smtpd in a chroot' => sub {
  my $jailed = Server::Postfix->start(
    users => \%PASSWORD, plugins => Peer::Guest::folder('sasldb'), mechanisms => "@MECHANISMS $OURS", chroot => 1,
  );
  local $postfix = $jailed;
  for my $mechanism ($OURS, 'SCRAM-SHA-256', 'PLAIN') {
    like submit($mechanism, 'fred', 'pencil'), qr/\A235 /, "$mechanism: fred is in" or diag $jailed->log_text;
    like submit($mechanism, 'fred', 'crayon'), qr/\A535 /, "$mechanism: a wrong password";
  }
};

done_testing;
