//! The escaped names of GS2 headers and SCRAM messages (RFC 5801 §4, RFC 5802 §7):
//! `saslname = 1*(value-safe-char / "=2C" / "=3D")`.

use std::borrow::Cow;

use crate::error::Malformed;

/// Escapes a name: `=` becomes `=3D` and a comma becomes `=2C`.
pub fn escape(name: &str) -> Cow<'_, str> {
    if !name.contains(['=', ',']) {
        return Cow::Borrowed(name);
    }
    let mut escaped = String::with_capacity(name.len() + 8);
    for c in name.chars() {
        match c {
            '=' => escaped.push_str("=3D"),
            ',' => escaped.push_str("=2C"),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

/// Reverses [`escape`]. Anything else after `=`, lower-case digits among it, is an error: one name
/// has one spelling.
///
/// # Errors
/// [`Malformed::Escape`] for a wrong escape, [`Malformed::Character`] for a bare comma or a NUL.
pub fn unescape(name: &str) -> Result<Cow<'_, str>, Malformed> {
    if name.contains([',', '\0']) {
        return Err(Malformed::Character("the name"));
    }
    let mut parts = name.split('=');
    let plain = parts.next().unwrap_or_default();
    if plain.len() == name.len() {
        return Ok(Cow::Borrowed(name));
    }
    let mut unescaped = String::with_capacity(name.len());
    unescaped.push_str(plain);
    for part in parts {
        let (c, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(Malformed::Escape("the name")),
        };
        unescaped.push(c);
        unescaped.push_str(rest);
    }
    Ok(Cow::Owned(unescaped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unescaping_inverts_escaping() {
        for name in ["", "user", "=", ",", "=2C", "a=b,c", ",,==", "J\u{fc}rgen", "=3D2C"] {
            let escaped = escape(name).into_owned();
            assert!(!escaped.contains(','), "{escaped}");
            assert_eq!(unescape(&escaped).as_deref(), Ok(name));
        }
        assert_eq!(escape("=2C"), "=3D2C");
    }

    #[test]
    fn other_escapes_are_refused() {
        for name in ["=", "a=", "=2", "=3", "=2c", "=3d", "=20", "==3D", "a=C2"] {
            assert_eq!(unescape(name), Err(Malformed::Escape("the name")), "{name}");
        }
        for name in ["a,b", "a\0b"] {
            assert_eq!(unescape(name), Err(Malformed::Character("the name")));
        }
    }
}
