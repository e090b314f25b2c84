//! What a mechanism needs of the gateway: which of its files, or an identity from the transport.

use authen_sasl_rust::mechanism;

/// What a mechanism needs of the files.
#[derive(PartialEq, Eq)]
pub enum Need {
    /// A stored key: of its own hash for SCRAM, else any.
    Key,
    Password,
    Token,
    Outside,
    Nothing,
}

/// `None` for a mechanism that is no use here.
pub fn need(name: &str) -> Option<Need> {
    mechanism::find(name)?;
    match name {
        "CRAM-MD5" | "DIGEST-MD5" => Some(Need::Password),
        "OAUTHBEARER" | "XOAUTH2" => Some(Need::Token),
        "EXTERNAL" => Some(Need::Outside),
        "ANONYMOUS" => Some(Need::Nothing),
        _ if name.starts_with("SCRAM-") || derives(name) => Some(Need::Key),
        _ => None,
    }
}

/// Whether the mechanism is one of those that a gateway can offer.
pub fn is_known(name: &str) -> bool {
    need(name).is_some()
}

/// Whether the server derives a key from a password for it, which takes its time.
pub fn derives(mechanism: &str) -> bool {
    ["PLAIN", "LOGIN"].contains(&mechanism)
}
