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

use crate::contract::{
    available, Abilities, CredentialKind, Description, Outline, SecurityFlags, Sent, Side, Stateless,
};
use crate::crypto::hash::Hash;
use crate::wire::gs2::Flag;
use crate::wire::scram::{self as wire, ClientFinal, ClientFirst, ServerFinal, ServerFirst};

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

/// Nonces, salt and binding data by their lengths; no proof, and no signature.
fn outline(_: &Description, message: &Sent<'_>) -> Option<Outline> {
    let bytes = message.bytes;
    if message.from == Side::Server {
        if let Ok(first) = ServerFirst::parse(bytes) {
            let outline = Outline::new(wire::SERVER_FIRST).elided("r", &*first.nonce).elided("s", &first.salt);
            let outline = outline.text("i", first.iterations.to_string());
            let extensions = Some(first.extensions).filter(|text| !text.is_empty());
            return Some(extensions.map_or(outline.clone(), |text| outline.elided("extensions", text)));
        }
        let outline = Outline::new(wire::SERVER_FINAL);
        return Some(match ServerFinal::parse(bytes).ok()? {
            ServerFinal::Verifier(_) => outline.secret("v"),
            ServerFinal::Error(reason) => outline.word("e", reason.as_bytes(), &REASONS),
        });
    }
    if let Ok(first) = ClientFirst::parse(bytes) {
        let outline = match first.header.flag {
            Flag::Unsupported => Outline::new(wire::CLIENT_FIRST).text("gs2-cbind-flag", "n"),
            Flag::Unoffered => Outline::new(wire::CLIENT_FIRST).text("gs2-cbind-flag", "y"),
            Flag::Bound(kind) => Outline::new(wire::CLIENT_FIRST).text("p", kind),
        };
        let outline = outline.text_if("a", first.header.authzid.as_deref()).text("n", &*first.name);
        return Some(outline.elided("r", first.nonce));
    }
    let last = ClientFinal::parse(bytes).ok()?;
    Some(Outline::new(wire::CLIENT_FINAL).elided("c", &last.binding).elided("r", last.nonce).secret("p"))
}

/// The words of `server-error-value` (RFC 5802 §7).
const REASONS: [&str; 12] = [
    "invalid-encoding",
    "extensions-not-supported",
    "invalid-proof",
    "channel-bindings-dont-match",
    "server-does-support-channel-binding",
    "channel-binding-not-supported",
    "unsupported-channel-binding-type",
    "unknown-user",
    "invalid-username-encoding",
    "no-resources",
    "other-error",
    "server-does-not-support-channel-binding",
];

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
        outline,
    }
}
