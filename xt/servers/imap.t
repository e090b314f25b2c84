# IMAP on our own Dovecot: the AUTHENTICATE command written by hand, with and without an initial response, and Mail::IMAPClient.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL ($ENV{SASL_BACKEND} || 'Rust');
use IO::Socket::INET ();
use MIME::Base64 qw(decode_base64 encode_base64);
use Mail::IMAPClient ();
use Server::Dovecot ();
use Server::Trial qw(trial utf8 %PASSWORD);

my $dovecot = Server::Dovecot->start(users => \%PASSWORD);
$dovecot->add_stored('SCRAM-SHA-256', 'stored256', 'marker');

# Returns the socket after the greeting.
sub connect_imap {
  my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $dovecot->{imap}, Timeout => 20)
    or die "IMAP: $@";
  my $greeting = <$socket>;
  die "no greeting: $greeting" unless $greeting =~ /^\* OK/;
  return $socket;
}

# RFC 3501 §6.2.2, and RFC 4959 for the initial response. Returns the server's
# last line, which starts with OK, NO or BAD.
sub authenticate {
  my ($socket, $conn, $with_initial) = @_;
  my $start = $conn->client_start;
  die 'client_start: ' . $conn->error unless defined $start;
  my $pending = $start;
  my $command = 'a AUTHENTICATE ' . $conn->mechanism;
  if ($with_initial && length $start) {
    $command .= ' ' . encode_base64($start, '');
    $pending = '';
  }
  print {$socket} "$command\r\n";
  while (defined(my $line = <$socket>)) {
    $line =~ s/\r\n\z//;
    return $1 if $line =~ /^a (.*)/;
    next unless $line =~ /^\+ ?(.*)/;
    my $challenge = decode_base64($1);
    my $answer;
    if (length $pending) {
      is $challenge, '', 'the server waits for the client to begin';
      ($answer, $pending) = ($pending, '');
    }
    else {
      ($answer) = $conn->client_step($challenge);
    }
    print {$socket} defined $answer ? encode_base64($answer, '') : '*', "\r\n";
  }
  return 'the connection was closed';
}

# The message in the inbox shows whose inbox it is.
sub inbox_is {
  my ($socket, $user) = @_;
  print {$socket} "b SELECT INBOX\r\nc FETCH 1 BODY[HEADER.FIELDS (SUBJECT)]\r\nd LOGOUT\r\n";
  my ($subject) = grep { /^Subject:/ } <$socket>;
  $subject = '' unless defined $subject;
  $subject =~ s/\s+\z//;
  is $subject, 'Subject: ' . Server::Dovecot::letter($user), 'the inbox is this user\'s';
  return;
}

# Dovecot hashes UTF-8 where the standard demands Latin-1: such a user cannot log in with DIGEST-MD5, whatever the client.
sub agreed {
  my ($mechanism, $user) = @_;
  return $mechanism ne 'DIGEST-MD5' || $dovecot->digests_by_the_book($user, $PASSWORD{$user});
}

sub connection {
  my ($mechanism, %callback) = @_;
  return Authen::SASL->new(mechanism => $mechanism, callback => \%callback)->client_new('imap', 'localhost');
}

sub gets_in {
  my ($mechanism, $user, %callback) = @_;
  for my $with_initial (0, 1) {
    my $socket = connect_imap();
    my $conn = connection($mechanism, user => $user, %callback);
    my $way = $with_initial ? 'with an initial response' : 'without one';
    like authenticate($socket, $conn, $with_initial), qr/^OK\b/, "the login succeeds $way"
      or diag $conn->error, $dovecot->log_text;
    is $conn->error, undef, 'no error is left';
    ok $conn->is_success, 'the client has verified what it can';
    ok !$conn->need_step, 'and waits for nothing';
    inbox_is($socket, $user);
  }
  return;
}

sub stays_out {
  my ($mechanism, %callback) = @_;
  my $error;
  for my $with_initial (0, 1) {
    my $conn = connection($mechanism, %callback);
    my $line = authenticate(connect_imap(), $conn, $with_initial);
    like $line, qr/^NO \[AUTHENTICATIONFAILED\] \S/, 'the server refuses with the reason';
    note $line;
    $error = $conn->error;
  }
  return $error;
}

for my $mechanism (qw(PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256)) {
  for my $user (sort keys %PASSWORD) {
    trial "$mechanism, " . utf8($user) => sub {
      return gets_in($mechanism, $user, pass => $PASSWORD{$user}) if agreed($mechanism, $user);
      stays_out($mechanism, user => $user, pass => $PASSWORD{$user});
    };
  }
  trial "$mechanism, wrong password" => sub { stays_out($mechanism, user => 'fred', pass => 'crayon') };
  trial "$mechanism, wrong password beyond ASCII" => sub {
    stays_out($mechanism, user => 'fred', pass => "p\x{e4}\x{20ac}");
  };
  trial "$mechanism, unknown user" => sub { stays_out($mechanism, user => 'nobody', pass => 'pencil') };
}

for my $mechanism (qw(SCRAM-SHA-256 PLAIN LOGIN)) {
  trial "$mechanism against verifiers" => sub {
    gets_in($mechanism, 'stored256', pass => 'marker');
    stays_out($mechanism, user => 'stored256', pass => 'crayon');
  };
}

trial 'ANONYMOUS' => sub {
  my $socket = connect_imap();
  my $conn = connection('ANONYMOUS', authname => 'trace@example.org');
  like authenticate($socket, $conn, 1), qr/^OK\b/, 'the login succeeds' or diag $dovecot->log_text;
  ok $dovecot->has_logged_in('imap', 'anonymous', 'ANONYMOUS'), 'as anonymous' or diag $dovecot->log_text;
};

# What this server reports about a token that it does not accept.
my %STATUS = (OAUTHBEARER => qr/invalid_token/, XOAUTH2 => qr/\b401\b/);

for my $mechanism (sort keys %STATUS) {
  for my $user (sort keys %PASSWORD) {
    trial "$mechanism, " . utf8($user) => sub { gets_in($mechanism, $user, token => $dovecot->token($user)) };
  }
  for my $case (
    ['of another user', token => $dovecot->token('stored256')],
    ['signed with another key', token => $dovecot->token('fred', key => 'wrong')],
    ['that has expired', token => $dovecot->token('fred', exp => time - 60)]
    )
  {
    my ($what, %token) = @$case;
    trial "$mechanism, a token $what" => sub {
      my $error = stays_out($mechanism, user => 'fred', %token);
      return is $error, undef, 'the server gives no status'
        if $what eq 'of another user' && !$dovecot->tells_of_other_users;
      like $error, $STATUS{$mechanism}, 'the error has the status that the server sent';
      note $error;
    };
  }
}

# Mail::IMAPClient calls a code reference for each response and passes the challenge; both are in base64.
sub mail_client {
  my ($mechanism, %callback) = @_;
  my $imap = Mail::IMAPClient->new(Server => '127.0.0.1', Port => $dovecot->{imap}, Timeout => 20, Uid => 0)
    or die "Mail::IMAPClient: $@";
  my $conn = connection($mechanism, %callback);
  my ($first, $begun) = ($conn->client_start);
  my $in = $imap->authenticate(
    $mechanism,
    sub {
      my ($challenge) = @_;

      # A client that sends first gets an empty challenge.
      my $answer = !$begun++ && length $first ? $first : $conn->client_step(decode_base64($challenge));
      return defined $answer ? encode_base64($answer, '') : '*';
    }
  );
  return ($imap, $in, $conn);
}

for my $mechanism (qw(PLAIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256 OAUTHBEARER XOAUTH2)) {
  for my $user (sort keys %PASSWORD) {
    my %secret = $mechanism =~ /OAUTH/ ? (token => $dovecot->token($user)) : (pass => $PASSWORD{$user});
    trial "Mail::IMAPClient, $mechanism, " . utf8($user) => sub {
      my ($imap, $in, $conn) = mail_client($mechanism, user => $user, %secret);
      return ok !$in, 'the login is refused' unless agreed($mechanism, $user);
      ok $in, 'the login succeeds' or diag $imap->LastError, $dovecot->log_text;
      ok $conn->is_success, 'the client has verified what it can';
      $imap->select('INBOX');
      is $imap->subject(1), Server::Dovecot::letter($user), 'the inbox is this user\'s';
      $imap->logout;
    };
  }
  trial "Mail::IMAPClient, $mechanism, wrong secret" => sub {
    my ($imap, $in) = mail_client(
      $mechanism, user => 'fred',
      $mechanism =~ /OAUTH/ ? (token => 'wrong') : (pass => 'crayon')
    );
    ok !$in, 'the login is refused';
    like $imap->LastError, qr/AUTHENTICATIONFAILED/, 'with the server\'s reason';
    note $imap->LastError;
  };
}

# Its own DIGEST-MD5 calls client_step on a connection that was never started.
for my $user (grep { agreed('DIGEST-MD5', $_) } sort keys %PASSWORD) {
  trial 'Mail::IMAPClient, the DIGEST-MD5 that it brings, ' . utf8($user) => sub {
    my %account = (Server => '127.0.0.1', Port => $dovecot->{imap}, Timeout => 20, User => $user);
    my $imap = Mail::IMAPClient->new(%account, Password => $PASSWORD{$user}, Authmechanism => 'DIGEST-MD5');
    ok $imap, 'the login succeeds' or diag "$@", $dovecot->log_text;
    $imap->select('INBOX');
    is $imap->subject(1), Server::Dovecot::letter($user), 'the inbox is this user\'s';
    $imap->logout;
    $imap = Mail::IMAPClient->new(%account, Password => 'crayon', Authmechanism => 'DIGEST-MD5');
    is $imap, undef, 'a wrong password is refused';
    like "$@", qr/AUTHENTICATIONFAILED/, 'with the server\'s reason';
  };
}

done_testing;
