//! The mechanisms that the gateway supports.

use authen_sasl_rust::contract::{CredentialKind, Mechanism};
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
