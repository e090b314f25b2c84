# Net::POP3 on our own Dovecot.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL ($ENV{SASL_BACKEND} || 'Rust');
use Net::POP3 ();
use Server::Dovecot ();
use Server::Trial qw(trial utf8 %PASSWORD);

my $dovecot = Server::Dovecot->start(users => \%PASSWORD);
$dovecot->add_stored('SCRAM-SHA-1', 'stored1', 'marker');
$dovecot->add_stored('SCRAM-SHA-256', 'stored256', 'marker');
$dovecot->add_user('erin@example.org', 'marker');

sub connect_pop3 {
  return Net::POP3->new('127.0.0.1', Port => $dovecot->{pop3}, Timeout => 20) || die "POP3: $@";
}

# Logs in; returns the client and whether it succeeded.
sub auth_as {
  my ($mechanism, %callback) = @_;
  my $sasl = Authen::SASL->new(mechanism => $mechanism, callback => \%callback);
  my $pop3 = connect_pop3();
  my $in = $pop3->auth($sasl);
  return ($pop3, $in, $sasl);
}

# The message in the inbox shows whose inbox it is.
sub inbox_is {
  my ($pop3, $user) = @_;
  my ($subject) = grep { /^Subject:/ } @{ $pop3->top(1) || ['nothing'] };
  $subject = '' unless defined $subject;
  $subject =~ s/\s+\z//;
  is $subject, 'Subject: ' . Server::Dovecot::letter($user), 'the inbox is this user\'s';
  return;
}

# The server's reply to a refused login, as the client keeps it.
sub refused {
  my ($pop3, $in) = @_;
  ok !$in, 'the login is refused';
  my $reason = join ' ', $pop3->message;
  like $reason, qr/Authentication failed/, 'the client reports the server\'s reason';
  note $reason;
  ok !$pop3->top(1), 'and no letter is shown';
  return;
}

# DIGEST-MD5: this server lists an empty realm, has users of other realms, and hashes UTF-8.
{
  package WithOptions;
  our @ISA = ('Authen::SASL');
  sub client_new { my ($self, $service, $host) = @_; return $self->SUPER::client_new($service, $host, $self->{options}) }
}
trial 'DIGEST-MD5, digest_md5_utf8' => sub {
  for my $user (sort keys %PASSWORD) {
    my $sasl = WithOptions->new(mechanism => 'DIGEST-MD5', callback => { user => $user, pass => $PASSWORD{$user} });
    $sasl->{options} = { digest_md5_utf8 => 1 };
    my $pop3 = connect_pop3();
    ok $pop3->auth($sasl), utf8($user) . ' is in' or diag $pop3->message;
    inbox_is($pop3, $user);
  }
};
trial 'DIGEST-MD5, a realm that the server did not list' => sub {
  my ($pop3, $in) = auth_as('DIGEST-MD5', user => 'erin', realm => 'example.org', pass => 'marker');
  ok $in, 'the login succeeds' or diag $pop3->message, $dovecot->log_text;
  inbox_is($pop3, 'erin@example.org');
  ($pop3, $in) = auth_as('DIGEST-MD5', user => 'erin', pass => 'marker');
  refused($pop3, $in);
};

for my $mechanism (qw(PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256)) {
  for my $user (sort keys %PASSWORD) {
    trial "$mechanism, " . utf8($user) => sub {
      my ($pop3, $in, $sasl) = auth_as($mechanism, user => $user, pass => $PASSWORD{$user});
      if ($mechanism eq 'DIGEST-MD5' && !$dovecot->digests_by_the_book($user, $PASSWORD{$user})) {
        note 'this server hashes UTF-8 where the standard wants Latin-1';
        return refused($pop3, $in);
      }
      ok $in, 'the login succeeds' or diag $pop3->message, $dovecot->log_text;
      is $sasl->name, $mechanism, 'by the mechanism asked for';
      is $sasl->error, undef, 'no error is left';
      inbox_is($pop3, $user);
    };
  }

  trial "$mechanism, names and passwords as bytes" => sub {
    my ($user) = grep { /[^\x00-\xff]/ } keys %PASSWORD;
    my ($pop3, $in) = auth_as($mechanism, user => utf8($user), pass => utf8($PASSWORD{$user}));
    ok $in, 'the login succeeds' or diag $pop3->message;
    inbox_is($pop3, $user);
  };

  trial "$mechanism, wrong password" => sub {
    my ($pop3, $in) = auth_as($mechanism, user => 'fred', pass => 'crayon');
    refused($pop3, $in);
  };

  trial "$mechanism, wrong and then right on one connection" => sub {
    my ($pop3, $in) = auth_as($mechanism, user => 'fred', pass => 'crayon');
    ok !$in, 'the wrong password is refused';
    my $right = Authen::SASL->new(mechanism => $mechanism, callback => { user => 'fred', pass => 'pencil' });
    ok $pop3->auth($right), 'the right one is taken' or diag $pop3->message;
    inbox_is($pop3, 'fred');
  };

  trial "$mechanism, unknown user" => sub {
    my ($pop3, $in) = auth_as($mechanism, user => 'nobody', pass => 'pencil');
    refused($pop3, $in);
  };
}

# Here the server has no password from which it could derive keys.
for my $case (
  ['SCRAM-SHA-1', 'stored1'], ['SCRAM-SHA-256', 'stored256'],
  ['PLAIN', 'stored1'], ['PLAIN', 'stored256']
  )
{
  my ($mechanism, $user) = @$case;
  trial "$mechanism against the verifiers of $user" => sub {
    my ($pop3, $in) = auth_as($mechanism, user => $user, pass => 'marker');
    ok $in, 'the login succeeds' or diag $pop3->message;
    inbox_is($pop3, $user);
    refused(auth_as($mechanism, user => $user, pass => 'crayon'));
  };
}

trial 'an identity to act for, equal to our own' => sub {
  my ($pop3, $in) = auth_as('PLAIN', user => 'fred', authname => 'fred', pass => 'pencil');
  ok $in, 'PLAIN takes it' or diag $pop3->message;
  inbox_is($pop3, 'fred');
};

trial 'an identity to act for that is not ours' => sub {
  refused(auth_as('PLAIN', user => 'fred', authname => 'stored1', pass => 'pencil'));
};

# The usual call: Net::POP3 names all the server's mechanisms and passes the name as authname too.
trial 'auth(user, password), mechanism left to us' => sub {
  my $pop3 = connect_pop3();
  ok $pop3->auth('fred', 'pencil'), 'the login succeeds' or diag $pop3->message, $dovecot->log_text;
  ok $dovecot->has_logged_in('pop3', 'fred', 'SCRAM-SHA-256'), 'by the strongest mechanism'
    or diag $dovecot->log_text;
  inbox_is($pop3, 'fred');
  $pop3 = connect_pop3();
  refused($pop3, $pop3->auth('fred', 'crayon'));
};

# The server's whole list, and only the necessary callbacks.
trial 'the strongest of the mechanisms that the server offers' => sub {
  my ($pop3, $in, $sasl) = auth_as(undef, user => 'fred', pass => 'pencil');
  ok $in, 'the login succeeds' or diag $pop3->message;
  is $sasl->name, 'SCRAM-SHA-256', 'by the strongest';
  inbox_is($pop3, 'fred');
};

# What this server reports about a token that it does not accept.
my %STATUS = (OAUTHBEARER => qr/invalid_token/, XOAUTH2 => qr/\b401\b/);

for my $mechanism (sort keys %STATUS) {
  for my $user (sort keys %PASSWORD) {
    trial "$mechanism, " . utf8($user) => sub {
      my ($pop3, $in, $sasl) =
        auth_as($mechanism, user => $user, token => $dovecot->token($user));
      ok $in, 'the login succeeds' or diag $pop3->message, $dovecot->log_text;
      is $sasl->error, undef, 'no error is left';
      inbox_is($pop3, $user);
    };
  }

  trial "$mechanism, the token given as password" => sub {
    my ($pop3, $in) = auth_as($mechanism, user => 'fred', pass => $dovecot->token('fred'));
    ok $in, 'the login succeeds' or diag $pop3->message;
    inbox_is($pop3, 'fred');
  };

  for my $case (
    ['of another user', token => $dovecot->token('stored1')],
    ['signed with another key', token => $dovecot->token('fred', key => 'wrong')],
    ['that has expired', token => $dovecot->token('fred', exp => time - 60)]
    )
  {
    my ($what, %token) = @$case;
    trial "$mechanism, a token $what" => sub {
      my ($pop3, $in, $sasl) = auth_as($mechanism, user => 'fred', %token);
      refused($pop3, $in);
      return is $sasl->error, undef, 'the server gives no status'
        if $what eq 'of another user' && !$dovecot->tells_of_other_users;
      like $sasl->error, $STATUS{$mechanism}, 'the error has the status that the server sent';
      note $sasl->error;
    };
  }
}

done_testing;
