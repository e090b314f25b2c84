package LDAP::BareBind;

# A Net::LDAP that omits the credentials field of a bind request if the client has nothing to send yet.
#
# RFC 4511 §4.2 makes the field OPTIONAL: absent means no initial response, empty means an empty one. client_start returns '' in
# both cases, and Net::LDAP always sends the field. libsasl2 refuses an initial response, even an empty one, if the server sends
# first, so CRAM-MD5 with an unmodified Net::LDAP fails on OpenLDAP with every SASL backend. The property message_absent of our
# connection distinguishes the two cases; this class uses nothing else. It replaces the message class by overriding Net::LDAP's
# own factory method.

use strict;
use warnings;
use parent 'Net::LDAP';

sub message {
  my ($self, $class, @rest) = @_;
  $class = 'LDAP::BareBind::Message' if $class eq 'Net::LDAP::Bind';
  return $self->SUPER::message($class, @rest);
}

package LDAP::BareBind::Message;

use Net::LDAP::Bind ();
our @ISA = ('Net::LDAP::Bind');

sub encode {
  my ($self, %request) = @_;
  my $authentication = $request{bindRequest}{authentication};
  my $connection = $self->{sasl};
  if ($connection && $connection->property('message_absent')) {
    delete $authentication->{sasl}{credentials};
  }
  return $self->SUPER::encode(%request);
}

1;
