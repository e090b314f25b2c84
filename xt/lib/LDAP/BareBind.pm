package LDAP::BareBind;

# Net::LDAP that leaves out the credentials field of a bind request where the
# client has nothing to send yet.
#
# RFC 4511 §4.2 makes the field OPTIONAL: absent means that there is no initial
# response, empty means that there is an empty one. client_start says '' in
# both cases, and Net::LDAP always sends the field. libsasl2 refuses an initial
# response, even an empty one, where the server speaks first, so CRAM-MD5 over
# an unaltered Net::LDAP fails on OpenLDAP whatever the SASL backend. Our
# connection tells the two apart by the property message_absent; that is all
# that is asked here. The class of the messages is exchanged by overriding
# Net::LDAP's own factory method.

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
