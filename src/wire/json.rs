//! Printing of the flat JSON objects that servers of OAuth tokens answer with (RFC 8259).

/// An object of strings, in the order given; members without a value are left out.
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

/// RFC 8259 §7: quotation mark, reverse solidus and control characters must be escaped. What is
/// not ASCII is escaped too, so that no transport has to care.
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
}
