//! GSSAPI and GSS-SPNEGO, which send tokens without a header before them.

use crate::gssapi::Speaking;
use authen_sasl_rust::config::Config;

/// Token framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// RFC 4752: the layer is negotiated by messages of its own.
    Gssapi,
    /// The layer follows from the context's flags.
    Spnego,
}

impl Dialect {
    /// What the tokens are made by.
    pub fn speaking(self) -> Speaking {
        match self {
            Dialect::Gssapi => Speaking::Kerberos,
            Dialect::Spnego => Speaking::Spnego,
        }
    }
}

/// The channel binding of contexts that have no header to bind: the one that Active Directory asks for.
pub fn end_point(config: &Config) -> Option<Vec<u8>> {
    const KIND: &str = "tls-server-end-point";
    let data = config.binding(KIND)?;
    Some([KIND.as_bytes(), b":", data].concat())
}
