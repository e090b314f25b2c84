//! What a mechanism needs of the gateway: which of its files, or an identity from the transport.

use authen_sasl_rust::mechanism;

/// What a mechanism needs.
#[derive(PartialEq, Eq)]
pub enum Need {
    /// A verifier: for SCRAM one of the same hash, otherwise any.
    Verifier,
    Password,
    Token,
    /// An identity that the transport has proved.
    TransportIdentity,
    Nothing,
}

/// `None` for a mechanism that the gateway does not support.
pub fn need(name: &str) -> Option<Need> {
    mechanism::find(name)?;
    match name {
        "CRAM-MD5" | "DIGEST-MD5" => Some(Need::Password),
        "OAUTHBEARER" | "XOAUTH2" => Some(Need::Token),
        "EXTERNAL" => Some(Need::TransportIdentity),
        "ANONYMOUS" => Some(Need::Nothing),
        _ if name.starts_with("SCRAM-") || derives_key(name) => Some(Need::Verifier),
        _ => None,
    }
}

/// Whether the gateway supports the mechanism.
pub fn is_supported(name: &str) -> bool {
    need(name).is_some()
}

/// Whether the server derives a key from the client's password, which takes a while.
pub fn derives_key(mechanism: &str) -> bool {
    ["PLAIN", "LOGIN"].contains(&mechanism)
}
