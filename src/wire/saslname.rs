//! Names inside GS2 headers and SCRAM messages: `=` and `,` are escaped.
//!
//! ```text
//! saslname = 1*(value-safe-char / "=2C" / "=3D")      RFC 5802 §7
//! ```

use std::borrow::Cow;

use crate::error::Malformed;

/// Appends the name, with `=` as `=3D` and `,` as `=2C`.
pub fn escape(name: &str, out: &mut Vec<u8>) {
    for byte in name.bytes() {
        match byte {
            b'=' => out.extend_from_slice(b"=3D"),
            b',' => out.extend_from_slice(b"=2C"),
            other => out.push(other),
        }
    }
}

/// Parses a name. Only `=2C` and `=3D`, in upper case, are escapes (RFC 5802 §5.1).
///
/// # Errors
/// [`Malformed`] with `field`, if the name is empty or contains another escape, a bare comma or a NUL.
pub fn unescape<'a>(escaped: &'a str, field: &'static str) -> Result<Cow<'a, str>, Malformed> {
    if escaped.is_empty() {
        return Err(Malformed::Empty(field));
    }
    if escaped.bytes().any(|b| b == 0 || b == b',') {
        return Err(Malformed::Character(field));
    }
    let mut parts = escaped.split('=');
    let Some(first) = parts.next().filter(|first| first.len() < escaped.len()) else {
        return Ok(Cow::Borrowed(escaped));
    };
    let mut name = String::with_capacity(escaped.len());
    name.push_str(first);
    for part in parts {
        let (character, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(Malformed::Escape(field)),
        };
        name.push(character);
        name.push_str(rest);
    }
    Ok(Cow::Owned(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_inverts_parsing() {
        for name in ["user", "a=b", "a,b", "=", ",", "=2C", "=3D,", "\u{fc}=,", "==,,"] {
            let mut escaped = Vec::new();
            escape(name, &mut escaped);
            let escaped = String::from_utf8(escaped).unwrap();
            assert!(!escaped.contains(','), "{escaped}");
            assert_eq!(unescape(&escaped, "it").unwrap(), name);
        }
    }

    #[test]
    fn other_escapes_are_refused() {
        for wrong in ["=", "a=", "=2", "=2c", "=3d", "=2D", "=3C", "a=b", "=\u{e4}C", "==3D", "=2C="] {
            assert_eq!(unescape(wrong, "it"), Err(Malformed::Escape("it")), "{wrong}");
        }
        assert_eq!(unescape("", "it"), Err(Malformed::Empty("it")));
        assert_eq!(unescape("a\0", "it"), Err(Malformed::Character("it")));
        assert_eq!(unescape("a,b", "it"), Err(Malformed::Character("it")));
    }
}
