//! Sets: of what an application can answer, and of security flags.

use super::values::Property;

/// What an application can answer, as a set: the properties of a client, the questions of a server.
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
    /// Client: `challenge`.
    pub const CHALLENGE: Self = Abilities(1 << 15);
    /// Server: `checkpass`.
    pub const CHECK_PASSWORD: Self = Abilities(1 << 16);
    /// Server: `getsecret`.
    pub const CREDENTIALS: Self = Abilities(1 << 17);
    /// Server: `authorize`.
    pub const AUTHORIZE: Self = Abilities(1 << 18);
    /// Server: `checktoken`.
    pub const CHECK_TOKEN: Self = Abilities(1 << 19);
    /// Server: `canonuser`.
    pub const CANONICALIZE: Self = Abilities(1 << 20);
    /// Server: `ht_tokens`.
    pub const HT_TOKENS: Self = Abilities(1 << 21);

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

/// The security flags of the API, as a set: what a caller demands, or a mechanism satisfies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SecurityFlags(pub u16);

impl SecurityFlags {
    /// No flag.
    pub const NONE: Self = SecurityFlags(0);
    /// The password or token does not travel readable.
    pub const NOPLAINTEXT: Self = SecurityFlags(1);
    /// Not susceptible to active attacks without a dictionary.
    pub const NOACTIVE: Self = SecurityFlags(2);
    /// Not susceptible to passive dictionary attacks.
    pub const NODICTIONARY: Self = SecurityFlags(4);
    /// Authenticates somebody.
    pub const NOANONYMOUS: Self = SecurityFlags(8);
    /// Breaking one session does not help to break the next.
    pub const FORWARD_SECRECY: Self = SecurityFlags(16);
    /// Can pass client credentials on.
    pub const PASS_CREDENTIALS: Self = SecurityFlags(32);
    /// The server proves itself too.
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
