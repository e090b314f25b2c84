//! GSSAPI and GSS-SPNEGO, which send tokens without a header before them.

use crate::gssapi::Speaking;
use authen_sasl_rust::config::Config;

/// Token framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// RFC 4752: the layer is negotiated in separate messages.
    Gssapi,
    /// The layer follows from the context's flags.
    Spnego,
}

impl Dialect {
    /// The GSS-API mechanism of the tokens.
    pub fn speaking(self) -> Speaking {
        match self {
            Dialect::Gssapi => Speaking::Kerberos,
            Dialect::Spnego => Speaking::Spnego,
        }
    }
}

/// The channel binding of contexts without a GS2 header: the type that Active Directory requires.
pub fn end_point(config: &Config) -> Option<Vec<u8>> {
    const KIND: &str = "tls-server-end-point";
    let data = config.binding(KIND)?;
    Some([KIND.as_bytes(), b":", data].concat())
}
