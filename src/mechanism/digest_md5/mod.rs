//! DIGEST-MD5 (RFC 2831): both sides prove the password with digests over both nonces.
//!
//! Deprecated (RFC 6331); it is for peers that support nothing better. Subsequent authentication (§2.2) is not supported: a
//! nonce lives as long as the server object that created it, and is used once.
//!
//! - `messages`: the three messages, parsed and printed;
//! - `quality`: the qualities of protection, and the ciphers;
//! - `protection`: their negotiation;
//! - `layer`: the security layer;
//! - `ciphers`: the ciphers of that layer;
//! - `response`: the digests;
//! - `client`, `server`: the states.

#[cfg(test)]
mod attacks;
mod ciphers;
mod client;
mod layer;
#[cfg(test)]
mod layer_tests;
pub(super) mod messages;
mod protection;
mod quality;
mod response;
mod server;
#[cfg(test)]
mod tests;

use crate::contract::{available, Abilities, CredentialKind, Description, SecurityFlags, Side, Stateless};

pub static MECHANISM: Stateless = Stateless {
    description: Description {
        first: Side::Server,
        rank: 30,
        max_ssf: 128,
        security: SecurityFlags::NOPLAINTEXT.union(SecurityFlags::NOANONYMOUS).union(SecurityFlags::MUTUAL_AUTH),
        credential: CredentialKind::Password,
        client_needs: Abilities::AUTHCID.union(Abilities::PASSWORD),
        carries_authzid: true,
        ..Description::new("DIGEST-MD5")
    },
    client: || Box::new(client::AwaitChallenge),
    server: || Box::new(server::AwaitBegin),
    unavailable_reason: available,
    outline: messages::outline,
};
