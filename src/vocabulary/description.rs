//! The description of a mechanism, as data. No code tests a mechanism's name.

use crate::crypto::hash::Hash;
use crate::error::{Error, Side};

use super::sets::{Abilities, SecurityFlags};

/// The description of a mechanism. [`Description::new`] has defaults for all fields; a mechanism sets those that differ.
#[derive(Debug, Clone)]
pub struct Description {
    /// The registered name, 1 to 20 characters of A-Z, 0-9, hyphen and underscore (RFC 4422 §3.1).
    pub name: &'static str,
    /// The side that it serves, if only one.
    pub side: Option<Side>,
    /// The side that sends the first message (RFC 4422 §5, item 2a).
    pub first: Side,
    /// Preference among mechanisms: higher is stronger. [`crate::mechanism`] has the scale.
    pub rank: u8,
    /// Strength of the best security layer it can negotiate; 0 for none.
    pub max_ssf: u32,
    /// Security flags that it satisfies.
    pub security: SecurityFlags,
    /// It binds to the channel, as mechanisms do whose names end in -PLUS (RFC 5801 §2).
    pub binds: bool,
    /// The only type of channel binding that it uses, if its name says so (HT-SHA-256-EXPR). Elsewhere the client's message names
    /// the type.
    pub binding_type: Option<&'static str>,
    /// The kind of credential that a server needs.
    pub credential: CredentialKind,
    /// What a client's application must provide: all of these.
    pub client_needs: Abilities,
    /// It can send an authorization identity (ANONYMOUS: its trace).
    pub carries_authzid: bool,
    /// A client derives keys that are worth caching ([`crate::world::DerivedKeys`]).
    pub derives_keys: bool,
}

impl Description {
    /// A mechanism of that name with defaults: the client sends first, nothing is needed and nothing is protected.
    pub const fn new(name: &'static str) -> Self {
        Description {
            name,
            side: None,
            first: Side::Client,
            rank: 0,
            max_ssf: 0,
            security: SecurityFlags::NONE,
            binds: false,
            binding_type: None,
            credential: CredentialKind::None,
            client_needs: Abilities::NONE,
            carries_authzid: false,
            derives_keys: false,
        }
    }

    /// What a server's application or accounts must answer: at least one of these; empty if nothing.
    pub fn server_needs(&self) -> Abilities {
        match self.credential {
            CredentialKind::Comparable => Abilities::CHECK_PASSWORD.union(Abilities::CREDENTIALS),
            CredentialKind::Password | CredentialKind::Scram(_) => Abilities::CREDENTIALS,
            CredentialKind::Token => Abilities::CHECK_TOKEN,
            CredentialKind::HtTokens(_) => Abilities::HT_TOKENS,
            CredentialKind::Otp => Abilities::OTP,
            CredentialKind::None | CredentialKind::Outside => Abilities::NONE,
        }
    }

    /// The hash of a mechanism of the SCRAM or HT family.
    ///
    /// # Errors
    /// [`Error::System`] for mechanisms of other families.
    pub fn require_hash(&self) -> Result<Hash, Error> {
        match self.credential {
            CredentialKind::Scram(hash) | CredentialKind::HtTokens(hash) => Ok(hash),
            _ => Err(Error::System("the mechanism's description names no hash")),
        }
    }

    /// True if it serves that side.
    pub fn serves(&self, side: Side) -> bool {
        self.side.is_none_or(|only| only == side)
    }
}

/// The kind of credential that a server needs. An account store uses it to return the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    /// None.
    None,
    /// One that a received password can be compared with: the password, or any verifier.
    Comparable,
    /// The password itself; a verifier cannot be used.
    Password,
    /// The password, or a SCRAM verifier of this hash (RFC 5803).
    Scram(Hash),
    /// A token of the client, which the application checks (RFC 7628).
    Token,
    /// The tokens that the server has issued to the user ([`crate::store::tokens`]), for an HMAC with this hash (SASL-HT).
    HtTokens(Hash),
    /// The state of a chain of one-time passwords ([`crate::store::otp`]), which [`super::Question::Replace`] changes.
    Otp,
    /// An identity that was proved outside SASL (EXTERNAL, RFC 4422 appendix A).
    Outside,
}

impl CredentialKind {
    /// The hash that a verifier must have, if a certain one is needed.
    pub fn hash(self) -> Option<Hash> {
        match self {
            CredentialKind::Scram(hash) => Some(hash),
            _ => None,
        }
    }
}
