//! Messages as text: base64 (RFC 4648 §4), as IMAP, SMTP, POP3, XMPP and IRC transfer them.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use zeroize::Zeroizing;

use crate::error::{Error, Malformed};
use crate::limits::MESSAGE_LIMIT;

/// In an initial response, `=` stands for an empty message, because an empty text would be none (RFC 4954 §4).
const EMPTY: &str = "=";

/// The bytes of a text. They are wiped after use, because a response can contain a password.
pub(super) fn decode(message: &'static str, text: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    if text.len() / 4 * 3 > MESSAGE_LIMIT {
        let reason = Malformed::TooLong { field: "it", limit: MESSAGE_LIMIT };
        return Err(Error::malformed(message, reason));
    }
    STANDARD.decode(text).map(Zeroizing::new).map_err(|_| Error::malformed(message, Malformed::Base64("it")))
}

pub(super) fn encode(message: &[u8]) -> String {
    STANDARD.encode(message)
}

pub(super) fn decode_initial(text: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    if text == EMPTY {
        return Ok(Zeroizing::default());
    }
    decode("initial response", text)
}

pub(super) fn encode_initial(message: &[u8]) -> String {
    if message.is_empty() {
        return EMPTY.into();
    }
    encode(message)
}
