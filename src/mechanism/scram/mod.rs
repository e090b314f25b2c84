//! SCRAM (RFC 5802, RFC 7677): a salted password is proved by both sides without being sent.
//!
//! One implementation serves all hashes: the states read hash and -PLUS off the mechanism's name.
//!
//! ```text
//! SaltedPassword  = Hi(Normalize(password), salt, i)           RFC 5802 §3
//! ClientKey       = HMAC(SaltedPassword, "Client Key")
//! StoredKey       = H(ClientKey)
//! ServerKey       = HMAC(SaltedPassword, "Server Key")
//! AuthMessage     = client-first-message-bare + "," + server-first-message + ","
//!                   + client-final-message-without-proof
//! ClientProof     = ClientKey XOR HMAC(StoredKey, AuthMessage)
//! ServerSignature = HMAC(ServerKey, AuthMessage)
//! ```

mod client;
mod downgrade;
mod server;
#[cfg(test)]
mod tests;

use crate::contract::{available, Abilities, Mechanism, SecurityFlags, Side};
use crate::crypto::hash::Hash;
use crate::crypto::scram::family;
use crate::error::Error;

/// SCRAM-SHA-1 (RFC 5802).
pub static SHA_1: Mechanism = scram("SCRAM-SHA-1", 52);
/// SCRAM-SHA-224.
pub static SHA_224: Mechanism = scram("SCRAM-SHA-224", 53);
/// SCRAM-SHA-256 (RFC 7677).
pub static SHA_256: Mechanism = scram("SCRAM-SHA-256", 54);
/// SCRAM-SHA-384.
pub static SHA_384: Mechanism = scram("SCRAM-SHA-384", 55);
/// SCRAM-SHA-512.
pub static SHA_512: Mechanism = scram("SCRAM-SHA-512", 56);
/// SCRAM-SHA3-512.
pub static SHA3_512: Mechanism = scram("SCRAM-SHA3-512", 57);
/// SCRAM-SHA-1-PLUS (RFC 5802).
pub static SHA_1_PLUS: Mechanism = scram("SCRAM-SHA-1-PLUS", 72);
/// SCRAM-SHA-224-PLUS.
pub static SHA_224_PLUS: Mechanism = scram("SCRAM-SHA-224-PLUS", 73);
/// SCRAM-SHA-256-PLUS (RFC 7677).
pub static SHA_256_PLUS: Mechanism = scram("SCRAM-SHA-256-PLUS", 74);
/// SCRAM-SHA-384-PLUS.
pub static SHA_384_PLUS: Mechanism = scram("SCRAM-SHA-384-PLUS", 75);
/// SCRAM-SHA-512-PLUS.
pub static SHA_512_PLUS: Mechanism = scram("SCRAM-SHA-512-PLUS", 76);
/// SCRAM-SHA3-512-PLUS.
pub static SHA3_512_PLUS: Mechanism = scram("SCRAM-SHA3-512-PLUS", 77);

const fn scram(name: &'static str, rank: u8) -> Mechanism {
    Mechanism {
        name,
        first: Side::Client,
        rank,
        max_ssf: 0,
        security: SecurityFlags::NOPLAINTEXT
            .and(SecurityFlags::NOACTIVE)
            .and(SecurityFlags::NOANONYMOUS)
            .and(SecurityFlags::MUTUAL_AUTH),
        client_needs: Abilities::AUTHCID.and(Abilities::PASSWORD),
        server_needs: Abilities::CREDENTIALS,
        carries_authzid: true,
        derives_keys: true,
        unavailable: available,
        client: || Box::new(client::AwaitBegin),
        server: || Box::new(server::AwaitClientFirst),
    }
}

/// [`family`] of a mechanism of this folder's own, whose names all fit.
fn own_family(mechanism: &Mechanism) -> Result<(Hash, bool), Error> {
    family(mechanism.name).ok_or(Error::System("a SCRAM mechanism is named for no known hash"))
}
