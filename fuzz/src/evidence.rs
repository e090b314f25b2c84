//! What the judge looks at: both sides of an exchange, and what was done to the messages between them.

use authen_sasl_rust::contract::Side;

use crate::facts::ExchangeFacts;
use crate::party::Party;

/// Both sides, and what was done to their messages.
pub struct Evidence {
    /// The client with its application.
    pub client: Party,
    /// The server with its application.
    pub server: Party,
    /// A message was changed, replaced, replayed or made up.
    pub tampered: bool,
    /// A message was signed by an attacker who knows the secret.
    pub forged: bool,
    /// A message did not arrive, or one side has started again and the other has not.
    pub lost: bool,
}

impl Evidence {
    /// Both sides, before either has started.
    pub fn new(facts: &ExchangeFacts) -> Self {
        Evidence {
            client: Party::new(Side::Client, facts),
            server: Party::new(Side::Server, facts),
            tampered: false,
            forged: false,
            lost: false,
        }
    }
}
