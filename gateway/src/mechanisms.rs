//! The mechanisms that the gateway supports.

use authen_sasl_rust::config::Config;
use authen_sasl_rust::contract::{CredentialKind, Mechanism};
use authen_sasl_rust::crypto::scram::Strength;
use authen_sasl_rust::mechanism;

macro_rules! scram {
    () => {
        "SCRAM-SHA-512-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1"
    };
}

/// The SCRAM mechanisms, the strongest first.
pub const SCRAM: &str = scram!();

/// What clients are offered by default. Each connection is offered those that are possible on it.
pub const DEFAULT: &str = concat!("EXTERNAL ", scram!(), " OAUTHBEARER PLAIN");

/// The same with accounts in a server. Which hashes its users have cannot be known in advance; most have this one.
pub const DEFAULT_OF_SERVER: &str = "EXTERNAL SCRAM-SHA-256-PLUS SCRAM-SHA-256 OAUTHBEARER PLAIN";

/// The mechanism of that name, unless the gateway does not support it.
pub fn supported(name: &str) -> Option<&'static dyn Mechanism> {
    // The gateway issues no tokens for HT, and stores no state of OTP.
    let left_out = |kind| matches!(kind, CredentialKind::HtTokens(_) | CredentialKind::Otp);
    let serves = |mechanism: &'static dyn Mechanism| !left_out(mechanism.credential);
    mechanism::ALL.iter().copied().find(|mechanism| mechanism.name == name && serves(*mechanism))
}

/// Whether the mechanism of that name proves nothing itself, but takes an identity that the transport has proved.
pub fn proved_outside(name: &str) -> bool {
    supported(name).is_some_and(|mechanism| mechanism.credential == CredentialKind::Outside)
}

/// Whether the server derives a key from the client's password, which takes a while.
pub fn derives_key(kind: CredentialKind) -> bool {
    kind == CredentialKind::Comparable
}

/// What the setting `upgrade` says: a SCRAM mechanism, and iterations if it names them.
pub fn strength(text: &str) -> Result<Strength, String> {
    let mut config = Config::default();
    config.set("upgrade", Some(text)).map_err(|error| error.to_string())?;
    config.upgrade().ok_or_else(|| "upgrade: empty".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use authen_sasl_rust::crypto::hash::Hash;

    #[test]
    fn the_setting_is_a_mechanism_and_a_count() {
        assert_eq!(strength("SCRAM-SHA-512"), Ok(Strength { hash: Hash::Sha512, iterations: 10_000 }));
        assert_eq!(strength("SCRAM-SHA-256 20000"), Ok(Strength { hash: Hash::Sha256, iterations: 20_000 }));
        for text in ["", "PLAIN", "SCRAM-SHA-256 10", "SCRAM-SHA-256 20000 1", "SCRAM-SHA-256 3000000"] {
            assert!(strength(text).is_err_and(|error| error.contains("upgrade")), "{text}");
        }
    }
}
