//! SCRAM (RFC 5802, RFC 7677): both sides prove that they know a salted password, without sending it.
//!
//! One implementation serves all hashes. The states read the hash and the channel binding from the mechanism's description.
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

use crate::contract::{available, Abilities, CredentialKind, Description, SecurityFlags, Stateless};
use crate::crypto::hash::Hash;

/// SCRAM-SHA-1 (RFC 5802).
pub static SHA_1: Stateless = scram("SCRAM-SHA-1", Hash::Sha1, false, 52);
/// SCRAM-SHA-224.
pub static SHA_224: Stateless = scram("SCRAM-SHA-224", Hash::Sha224, false, 53);
/// SCRAM-SHA-256 (RFC 7677).
pub static SHA_256: Stateless = scram("SCRAM-SHA-256", Hash::Sha256, false, 54);
/// SCRAM-SHA-384.
pub static SHA_384: Stateless = scram("SCRAM-SHA-384", Hash::Sha384, false, 55);
/// SCRAM-SHA-512.
pub static SHA_512: Stateless = scram("SCRAM-SHA-512", Hash::Sha512, false, 56);
/// SCRAM-SHA3-512.
pub static SHA3_512: Stateless = scram("SCRAM-SHA3-512", Hash::Sha3_512, false, 57);
/// SCRAM-SHA-1-PLUS (RFC 5802).
pub static SHA_1_PLUS: Stateless = scram("SCRAM-SHA-1-PLUS", Hash::Sha1, true, 72);
/// SCRAM-SHA-224-PLUS.
pub static SHA_224_PLUS: Stateless = scram("SCRAM-SHA-224-PLUS", Hash::Sha224, true, 73);
/// SCRAM-SHA-256-PLUS (RFC 7677).
pub static SHA_256_PLUS: Stateless = scram("SCRAM-SHA-256-PLUS", Hash::Sha256, true, 74);
/// SCRAM-SHA-384-PLUS.
pub static SHA_384_PLUS: Stateless = scram("SCRAM-SHA-384-PLUS", Hash::Sha384, true, 75);
/// SCRAM-SHA-512-PLUS.
pub static SHA_512_PLUS: Stateless = scram("SCRAM-SHA-512-PLUS", Hash::Sha512, true, 76);
/// SCRAM-SHA3-512-PLUS.
pub static SHA3_512_PLUS: Stateless = scram("SCRAM-SHA3-512-PLUS", Hash::Sha3_512, true, 77);

const fn scram(name: &'static str, hash: Hash, binds: bool, rank: u8) -> Stateless {
    Stateless {
        description: Description {
            rank,
            security: SecurityFlags::NOPLAINTEXT
                .union(SecurityFlags::NOACTIVE)
                .union(SecurityFlags::NOANONYMOUS)
                .union(SecurityFlags::MUTUAL_AUTH),
            binds,
            credential: CredentialKind::Scram(hash),
            client_needs: Abilities::AUTHCID.union(Abilities::PASSWORD),
            carries_authzid: true,
            derives_keys: true,
            ..Description::new(name)
        },
        client: || Box::new(client::AwaitBegin),
        server: || Box::new(server::AwaitClientFirst),
        unavailable_reason: available,
    }
}
