//! What a program must have to lend, as traits.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;

use crate::error::Error;
use crate::secret::Secret;

/// What stands outside the core and is lent to it for the time of one call.
pub struct World<'w> {
    /// Random bytes for nonces.
    pub random: &'w mut dyn Random,
    /// A client's memory of derived keys, if the application keeps one.
    pub keys: Option<&'w dyn DerivedKeys>,
    /// What a server derives the salts of users without a stored salt from, unknown ones included.
    pub salt_key: &'w [u8],
    /// What a server has learned about the look-ups that its application answers.
    pub lookups: &'w dyn Lookups,
}

/// A source of random bytes fit for nonces.
pub trait Random {
    /// Fills the whole of `buffer`.
    ///
    /// # Errors
    /// [`Error::System`] if the operating system has none; never a weaker source instead.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Error>;

    /// A nonce: printable, without comma, never empty. A source that repeats a published exchange
    /// gives that exchange's nonces here.
    ///
    /// # Errors
    /// As [`Random::fill`].
    fn nonce(&mut self) -> Result<String, Error> {
        let mut bytes = [0; 24];
        self.fill(&mut bytes)?;
        Ok(STANDARD.encode(bytes))
    }
}

/// A client's memory of keys that were expensive to derive.
pub trait DerivedKeys {
    /// The keys remembered for exactly these inputs, the password among them.
    fn find(&self, id: &KeyId<'_>) -> Option<Secret>;
    /// Remembers keys. Call it only after the server has proved that they are right.
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

/// What a server remembers of its application's `getsecret` answers, so that unknown users cost as much time as
/// known ones with a wrong password.
///
/// A verifier costs PLAIN a key derivation and SCRAM none; a plain password costs SCRAM one and PLAIN none. So every
/// login does the work of all kinds that were seen before it, whatever its own kind is. As long as nothing was seen,
/// both kinds are expected: a process that serves one connection cannot know better.
pub trait Lookups {
    /// A known user's credential was seen: was it a verifier?
    fn record_kind(&self, verifier: bool);
    /// True if users may have verifiers.
    fn expects_verifiers(&self) -> bool;
    /// True if users may have plain passwords.
    fn expects_passwords(&self) -> bool;
}
