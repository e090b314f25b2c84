//! Flat JSON objects (RFC 8259), in which servers refuse OAuth tokens: printing, and reading one member.

/// An object of strings, in this order. Members without a value are left out.
pub fn object(members: &[(&str, Option<&str>)]) -> String {
    let mut text = String::from("{");
    for (name, value) in members.iter().filter_map(|(name, value)| Some((name, (*value)?))) {
        if text.len() > 1 {
            text.push(',');
        }
        string(&mut text, name);
        text.push(':');
        string(&mut text, value);
    }
    text.push('}');
    text
}

/// RFC 8259 §7: quotation mark, reverse solidus and control characters must be escaped. Characters beyond ASCII are
/// escaped too, so that no transport can damage them.
fn string(text: &mut String, value: &str) {
    text.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => {
                text.push('\\');
                text.push(c);
            }
            ' '..='~' => text.push(c),
            _ => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    text.push('"');
}

/// The string member of that name in a flat object; `None` if there is none, if it is not a string, or if the text is not a
/// flat object. If a member occurs twice, the first one is used.
pub fn member(text: &str, name: &str) -> Option<String> {
    let mut rest = text.trim_start().strip_prefix('{')?.trim_start();
    let mut found = None;
    while !rest.starts_with('}') {
        let (key, after) = read_string(rest)?;
        rest = after.trim_start().strip_prefix(':')?.trim_start();
        if rest.starts_with('"') {
            let (value, after) = read_string(rest)?;
            if key == name && found.is_none() {
                found = Some(value);
            }
            rest = after.trim_start();
        } else {
            // A number or a word. Lists and objects are not flat.
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c))?;
            rest = if end > 0 { rest[end..].trim_start() } else { return None };
        }
        match rest.strip_prefix(',') {
            Some(after) if after.trim_start().starts_with('"') => rest = after.trim_start(),
            Some(_) => return None,
            None if rest.starts_with('}') => {}
            None => return None,
        }
    }
    rest[1..].trim().is_empty().then_some(found)?
}

/// Parses a string (RFC 8259 §7). Returns it and the text that follows.
fn read_string(text: &str) -> Option<(String, &str)> {
    let mut chars = text.strip_prefix('"')?.char_indices();
    let mut units: Vec<u16> = Vec::new();
    let mut buffer = [0; 2];
    while let Some((at, c)) = chars.next() {
        let unescaped = match c {
            '"' => return Some((String::from_utf16(&units).ok()?, &text[at + 2..])),
            '\\' => match chars.next()?.1 {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let mut unit = 0;
                    for _ in 0..4 {
                        unit = unit << 4 | chars.next()?.1.to_digit(16)? as u16;
                    }
                    units.push(unit);
                    continue;
                }
                c @ ('"' | '\\' | '/') => c,
                _ => return None,
            },
            c if c < ' ' => return None,
            c => c,
        };
        units.extend_from_slice(unescaped.encode_utf16(&mut buffer));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error object of RFC 7628 §4.3.
    #[test]
    fn rfc_7628_error_object() {
        assert_eq!(
            object(&[
                ("status", Some("invalid_token")),
                ("scope", Some("example_scope")),
                ("openid-configuration", Some("https://example.com/.well-known/openid-configuration")),
            ]),
            r#"{"status":"invalid_token","scope":"example_scope","openid-configuration":"https://example.com/.well-known/openid-configuration"}"#
        );
    }

    #[test]
    fn nothing_breaks_out_of_a_string() {
        assert_eq!(object(&[]), "{}");
        assert_eq!(object(&[("a", None), ("b", Some(""))]), r#"{"b":""}"#);
        assert_eq!(
            object(&[("a", Some("\"},{\\\n\0\u{7f}\u{e4}\u{1f600}"))]),
            r#"{"a":"\"},{\\\u000a\u0000\u007f\u00e4\ud83d\ude00"}"#
        );
    }

    #[test]
    fn reading_inverts_printing() {
        for value in ["", "invalid_token", "\"},{\\\n\0\u{7f}\u{e4}\u{1f600}"] {
            let text = object(&[("scope", Some("x")), ("status", Some(value))]);
            assert_eq!(member(&text, "status").as_deref(), Some(value));
        }
        assert_eq!(member(" { \"n\" : 12.5e+3 , \"status\" : \"a\\/b\" } ", "status").as_deref(), Some("a/b"));
        assert_eq!(member(r#"{"status":"a","status":"b"}"#, "status").as_deref(), Some("a"));
    }

    #[test]
    fn what_is_no_flat_object_has_no_members() {
        let whole = r#"{"status":"invalid_token","n":1}"#;
        for end in 0..whole.len() {
            assert_eq!(member(&whole[..end], "status"), None, "{end}");
        }
        for text in [
            "[]",
            "{}",
            "{\"status\":401}",
            "{\"status\":\"a\"}x",
            "{\"status\":\"a\",}",
            "{\"o\":{},\"status\":\"a\"}",
            "{\"status\":\"\\x\"}",
            "{\"status\":\"\\ud800\"}",
            "{\"status\":\"\\u+123\"}",
            "{\"status\":\"\\u12\"}",
            "{\"status\":\"\n\"}",
            "{,\"status\":\"a\"}",
            "{\"status\":}",
        ] {
            assert_eq!(member(text, "status"), None, "{text}");
        }
    }
}
