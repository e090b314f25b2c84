//! Only for the fuzz targets: the framing of tokens, which is private to this crate.

use super::gs2::{with_header, without_header};

/// The header of an initial token (RFC 2743 §3.1): a token gets one and loses it again, whatever it contains; what is left of bytes
/// that had one is their end.
pub fn header(bytes: &[u8]) {
    assert_eq!(without_header(&with_header(bytes)), Some(bytes));
    if let Some(token) = without_header(bytes) {
        assert!(bytes.ends_with(token) && bytes.len() - token.len() >= 2);
        assert_eq!(without_header(&with_header(token)), Some(token));
    }
}
