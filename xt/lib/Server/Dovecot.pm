package Server::Dovecot;

# Dovecot with IMAP, POP3 and submission (SMTP), and one password database for all three. Its processes switch to the users that
# its package creates, so it is started as root.

use strict;
use warnings;
use parent 'Server::Daemon';
use Digest::SHA ();
use Encode ();
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use Server::Dovecot::Configuration ();

# start(users => { name => password, ... }), both in characters. sieve => 1 adds ManageSieve from Pigeonhole. external => [the files
# of a CA, a certificate and its key] adds TLS, with STARTTLS and from the start, and EXTERNAL for the CA's clients. introspection =>
# URL: that provider checks the tokens, not the test's key.
sub prepare {
  my ($self) = @_;
  die "Dovecot is started as root only\n" if $>;
  my $dir = $self->dir;
  $self->{$_} = $self->free_port
    for qw(imap pop3 submission), $self->{sieve} ? 'sieve' : (), $self->{external} ? qw(imaps pop3s) : ();
  $self->{key} = join '', map { sprintf '%02x', rand 256 } 1 .. 32;

  mkdir "$dir/$_" or die "$dir/$_: $!" for qw(run state keys keys/default keys/default/HS256 mail);
  $self->write_file('keys/default/HS256/default', encode_base64($self->{key}, ''));

  my $users = $self->{users};
  $self->write_file('passwd', utf8(join '', map { "$_:{PLAIN}$users->{$_}\n" } sort keys %$users));
  $self->give_mail($_) for sort keys %$users;
  $self->write_file('oauth2.conf', Server::Dovecot::Configuration::oauth2($dir, $self->{introspection})) if $self->is_old;
  $self->{conf} = $self->write_file('dovecot.conf', Server::Dovecot::Configuration::text($self->version, $dir, $self));
  return;
}

# 2.3.19, 2.4.1, ...
sub version {
  my ($self) = @_;
  return $self->{version} ||= ($self->run($self->program('dovecot'), '--version') =~ /^(\d+\.\d+\.\d+)/)[0];
}

sub is_old { return Server::Dovecot::Configuration::is_old($_[0]->version) }

# Whether a valid token of another user is refused with the mechanism's own message. Since 2.4 the token is accepted, and only
# the protocol refuses the user.
sub tells_of_other_users { return $_[0]->is_old }

# Puts one message into the user's inbox, so that reading it shows whose inbox it is.
sub give_mail {
  my ($self, $user) = @_;
  my @path = map { $self->dir . '/mail/' . utf8($user) . $_ } '', qw(/cur /new /tmp);
  for my $path (@path) { mkdir $path or die "$path: $!" }
  push @path, $self->write_file(
    'mail/' . utf8($user) . '/new/1.letter.localhost',
    'Subject: ' . letter($user) . "\n\nHello\n"
  );
  my ($uid, $gid) = (getpwnam 'nobody')[2, 3];
  chown $uid, $gid, $self->dir . '/mail', @path or die "chown: $!";
  return;
}

# The subject of a user's message.
sub letter { return 'letter to ' . unpack 'H*', utf8($_[-1]) }

# Adds a user for whom the server stores only a key derived from the password, with a scheme of `doveadm pw`. The password is
# ASCII.
sub add_stored {
  my ($self, $scheme, $user, $password) = @_;
  chomp(
    my $stored = $self->run(
      $self->program('doveadm'), '-c', $self->{conf},
      'pw', '-s', $scheme, '-u', $user, '-p', $password
    )
  );
  die "doveadm pw: $stored" unless $stored =~ /^\{\Q$scheme\E\}/;
  $self->give_mail($user);
  open my $file, '>>', $self->dir . '/passwd' or die "passwd: $!";
  print {$file} "$user:$stored\n";
  close $file or die "passwd: $!";
  return;
}

# Adds a user with a password in clear text, which DIGEST-MD5 needs.
sub add_user {
  my ($self, $user, $password) = @_;
  $self->give_mail($user);
  open my $file, '>>', $self->dir . '/passwd' or die "passwd: $!";
  print {$file} utf8("$user:{PLAIN}$password\n");
  close $file or die "passwd: $!";
  return;
}

# Whether the server has logged this login. Since 2.4 it logs it when the user's own process has taken over.
sub has_logged_in {
  my ($self, $protocol, $user, $mechanism) = @_;
  my $words = $self->is_old ? 'Login' : 'Logged in';
  return $self->logs(sprintf '%s-login: Info: %s: user=<%s>, method=%s,', $protocol, $words, utf8($user), $mechanism);
}

sub utf8 { return Encode::encode('UTF-8', $_[0]) }

sub command {
  my ($self) = @_;
  return ($self->program('dovecot'), '-F', '-c', $self->{conf});
}

sub addresses {
  my ($self) = @_;
  return map { '127.0.0.1:' . $self->{$_} } grep { $self->{$_} } qw(imap imaps pop3 pop3s submission sieve);
}

# Whether Dovecot's DIGEST-MD5 hashes these strings as RFC 2831 §2.1.2.1 demands. It always hashes UTF-8; the standard demands
# Latin-1 for each string that fits. They agree on an ASCII string, and on one with a character beyond Latin-1.
sub digests_by_the_book {
  my (undef, @strings) = @_;
  return !grep { /[^\x00-\x7f]/ && !/[^\x00-\xff]/ } @strings;
}

# A token (RFC 7519) that this server accepts for the user, unless other claims or another key are given.
sub token {
  my ($self, $user, %claim) = @_;
  my $key = exists $claim{key} ? delete $claim{key} : $self->{key};
  my $json = JSON::PP->new->utf8->canonical;
  my $text = join '.', map { base64url($json->encode($_)) } { alg => 'HS256', typ => 'JWT' },
    { sub => $user, iat => time - 10, exp => time + 600, %claim };
  return $text . '.' . base64url(Digest::SHA::hmac_sha256($text, $key));
}

sub base64url {
  my $text = encode_base64($_[0], '');
  $text =~ tr{+/=}{-_}d;
  return $text;
}

1;
