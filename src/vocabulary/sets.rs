//! Sets: abilities of an application, and security flags.

use super::values::Property;
use crate::crypto::hash::Hash;

/// The abilities of an application, as a set: the properties that a client's can give, the questions that a server's can
/// answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Abilities(pub u32);

impl Abilities {
    /// Nothing.
    pub const NONE: Self = Abilities(0);
    /// Client: [`Property::Authcid`].
    pub const AUTHCID: Self = Abilities(1 << Property::Authcid as u8);
    /// Client: [`Property::Authzid`].
    pub const AUTHZID: Self = Abilities(1 << Property::Authzid as u8);
    /// Client: [`Property::Password`].
    pub const PASSWORD: Self = Abilities(1 << Property::Password as u8);
    /// Client: [`Property::Token`].
    pub const TOKEN: Self = Abilities(1 << Property::Token as u8);
    /// Client: [`Property::HtToken`].
    pub const HT_TOKEN: Self = Abilities(1 << Property::HtToken as u8);
    /// Client: an authorization identity that is known to differ from the authentication identity.
    pub const ACTS_AS_OTHER: Self = Abilities(1 << 14);
    /// Client: [`super::Question::Challenge`].
    pub const CHALLENGE: Self = Abilities(1 << 15);
    /// Server: [`super::Question::CheckPassword`].
    pub const CHECK_PASSWORD: Self = Abilities(1 << 16);
    /// Server: [`super::Question::Credentials`].
    pub const CREDENTIALS: Self = Abilities(1 << 17);
    /// Server: [`super::Question::Authorize`].
    pub const AUTHORIZE: Self = Abilities(1 << 18);
    /// Server: [`super::Question::Token`].
    pub const CHECK_TOKEN: Self = Abilities(1 << 19);
    /// Server: [`super::Question::Canonicalize`].
    pub const CANONICALIZE: Self = Abilities(1 << 20);
    /// Server: `ht_tokens`.
    pub const HT_TOKENS: Self = Abilities(1 << 21);
    /// [`super::Question::KeepKeys`].
    pub const KEEP_KEYS: Self = Abilities(1 << 28);
    /// Server: [`super::Question::SetVerifier`].
    pub const SET_VERIFIER: Self = Abilities(1 << 29);

    /// Server: the state of OTP, which it can also replace ([`super::Question::Replace`]).
    pub const OTP: Self = Abilities(1 << 30);

    /// Client: [`Property::ScramKeys`] of this hash (bits 22 to 27).
    pub const fn scram_keys(hash: Hash) -> Self {
        Abilities(1 << (22 + hash as u32))
    }

    /// Both sets together.
    pub const fn union(self, other: Self) -> Self {
        Abilities(self.0 | other.0)
    }

    /// True if all of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// True if the sets share an element.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Security flags, as a set: those that a caller requires, or that a mechanism satisfies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SecurityFlags(pub u16);

impl SecurityFlags {
    /// No flag.
    pub const NONE: Self = SecurityFlags(0);
    /// The password or token is not sent in the clear.
    pub const NOPLAINTEXT: Self = SecurityFlags(1);
    /// Not susceptible to active attacks without a dictionary.
    pub const NOACTIVE: Self = SecurityFlags(2);
    /// Not susceptible to passive dictionary attacks.
    pub const NODICTIONARY: Self = SecurityFlags(4);
    /// It does not accept anonymous users.
    pub const NOANONYMOUS: Self = SecurityFlags(8);
    /// Breaking one session does not help to break the next.
    pub const FORWARD_SECRECY: Self = SecurityFlags(16);
    /// Can pass client credentials on.
    pub const PASS_CREDENTIALS: Self = SecurityFlags(32);
    /// The server is authenticated too.
    pub const MUTUAL_AUTH: Self = SecurityFlags(64);

    /// The flags by the names that callers use.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("noplaintext", Self::NOPLAINTEXT),
        ("noactive", Self::NOACTIVE),
        ("nodictionary", Self::NODICTIONARY),
        ("noanonymous", Self::NOANONYMOUS),
        ("forward_secrecy", Self::FORWARD_SECRECY),
        ("pass_credentials", Self::PASS_CREDENTIALS),
        ("mutual_auth", Self::MUTUAL_AUTH),
    ];

    /// Both sets together.
    pub const fn union(self, other: Self) -> Self {
        SecurityFlags(self.0 | other.0)
    }

    /// True if all of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
