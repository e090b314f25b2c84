package Server::Saslauthd;

# Cyrus SASL's saslauthd, which checks each password with an IMAP server: start(imap => port).

use strict;
use warnings;
use parent 'Server::Daemon';

sub prepare { return }
sub mux { return $_[0]->dir . '/mux' }
sub addresses { return $_[0]->mux }

sub command {
  my ($self) = @_;
  return ($self->program('saslauthd'), '-a', 'rimap', '-O', "127.0.0.1/$self->{imap}", '-m', $self->dir, '-n', 1, '-d');
}

1;
