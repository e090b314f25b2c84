//! What a program lends the core, as traits.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;

use crate::crypto::hash::Hash;
use crate::crypto::scram::Strength;
use crate::error::Error;
use crate::secret::Secret;

/// What a program lends the core for one call.
pub struct World<'w> {
    /// Random bytes for nonces.
    pub random: &'w mut dyn Random,
    /// A client's cache of derived keys, if the application has one.
    pub keys: Option<&'w dyn DerivedKeys>,
    /// The key from which a server derives the salts of users who have none, including unknown users.
    pub salt_key: &'w [u8],
    /// What a server knows about the credentials of its users.
    pub lookups: &'w dyn Lookups,
    /// The time, in seconds since 1970, if the program has a clock. Servers of OTP need it.
    pub clock: Option<fn() -> u64>,
}

/// A source of random bytes that is good enough for nonces.
pub trait Random {
    /// Fills the whole of `buffer`.
    ///
    /// # Errors
    /// [`Error::System`] if the operating system has none. A weaker source must not be used instead.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Error>;

    /// A nonce: printable, without comma, never empty. A source that replays a published exchange returns the nonces of that
    /// exchange.
    ///
    /// # Errors
    /// As [`Random::fill`].
    fn nonce(&mut self) -> Result<String, Error> {
        let mut bytes = [0; 24];
        self.fill(&mut bytes)?;
        Ok(STANDARD.encode(bytes))
    }
}

/// A client's cache of keys that are expensive to derive.
pub trait DerivedKeys {
    /// The keys for exactly these inputs, including the password.
    fn find(&self, id: &KeyId<'_>) -> Option<Secret>;
    /// Stores keys. Must be called only after the server has proved that they are right.
    fn remember(&self, id: &KeyId<'_>, keys: Secret);
}

/// The inputs of a key derivation.
pub struct KeyId<'a> {
    /// The hash's name, for instance `SHA-256`.
    pub hash: &'static str,
    /// The user name as sent.
    pub authcid: &'a str,
    /// The prepared password.
    pub password: &'a Secret,
    /// The salt.
    pub salt: &'a [u8],
    /// The iteration count.
    pub iterations: u32,
}

/// A server's memory of the kinds of its users' credentials. With it, unknown users take as long as known users with a
/// wrong password.
///
/// With a verifier, PLAIN needs a key derivation and SCRAM none. With a plain password, SCRAM needs one and PLAIN none. So
/// every login does the work of all kinds that were seen before, whatever its own kind is. While none was seen, both kinds
/// are expected: a process that serves a single connection has no better information.
pub trait Lookups {
    /// Records the kind of a known user's credential: a verifier, or else a password.
    fn record_kind(&self, verifier: bool);
    /// True if users may have verifiers.
    fn expects_verifiers(&self) -> bool;
    /// True if users may have plain passwords.
    fn expects_passwords(&self) -> bool;
    /// Records the verifier of a known user.
    fn record_strength(&self, _strength: Strength) {}
    /// The strength of the verifiers seen, which unknown users imitate unless the caller has set a count: of the hash, or of any.
    fn usual_strength(&self, _hash: Option<Hash>) -> Option<Strength> {
        None
    }
}
