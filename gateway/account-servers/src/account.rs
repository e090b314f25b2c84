//! What a server knows of a user.

use std::fmt;
use std::sync::Arc;

use authen_sasl_rust::contract::CredentialKind;
use authen_sasl_rust::crypto::hash::Hash;
use authen_sasl_rust::crypto::scram::Strength;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::verifier::Verifier;

/// Names of groups. Copies share them.
pub type Groups = Arc<[Box<str>]>;

/// A user's account.
#[derive(Debug, Default)]
pub struct Account {
    /// The SCRAM verifiers, as text, with their hashes. They are wiped when the account is dropped.
    pub verifiers: Vec<(Hash, Secret)>,
    /// A disabled user cannot log in.
    pub disabled: bool,
    /// The user's groups, for access rules.
    pub groups: Groups,
    /// What is wrong with the stored secrets. The user is treated as one who lacks these, and the operator should know.
    pub faults: Vec<Box<str>>,
}

impl Account {
    /// Adds a stored secret. Only verifiers are used: a password or another hash is a fault.
    pub fn add(&mut self, stored: Secret) {
        match Verifier::read(&stored) {
            Ok(Some(verifier)) if self.verifiers.iter().any(|(hash, _)| *hash == verifier.hash) => {
                self.faults.push(format!("a second SCRAM-{} verifier", verifier.hash.name()).into());
            }
            Ok(Some(verifier)) => self.verifiers.push((verifier.hash, stored)),
            Ok(None) => self.faults.push("a stored secret that is not a SCRAM verifier".into()),
            Err(error) => self.faults.push(error.to_string().into()),
        }
    }

    /// How strong its verifiers are.
    pub fn strengths(&self) -> impl Iterator<Item = Strength> + use<'_> {
        self.verifiers.iter().filter_map(|(_, text)| Some(Verifier::read(text).ok()??.strength()))
    }

    /// The verifier for a mechanism of this kind: the one with its hash or, for a mechanism that sends the password, the one with
    /// the `usual` hash or else the first. `None` if the user is disabled or has none.
    pub fn verifier(&self, kind: CredentialKind, usual: Hash) -> Option<&Secret> {
        let with = |wanted| self.verifiers.iter().find(|(hash, _)| *hash == wanted);
        let found = match kind.hash() {
            Some(hash) => with(hash),
            None => with(usual).or_else(|| self.verifiers.first()),
        };
        found.filter(|_| !self.disabled).map(|(_, text)| text)
    }
}

/// What a look-up finds: an account, nothing, or that the server could not be asked.
pub type Answer = Result<Option<Arc<Account>>, Unavailable>;

/// The server could not be asked: what, and why. It contains no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable(Arc<str>);

impl Unavailable {
    /// With this text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Unavailable(text.into())
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
