//! Directives of DIGEST-MD5 (RFC 2831 §7.1), parsed and printed.
//!
//! `1#( name "=" ( token | quoted-string ) )`: a list with commas. White space and empty elements are ignored. The parser
//! of a message decides which directives must be quoted.

use std::borrow::Cow;

use crate::error::Malformed;

/// One directive of a message.
#[derive(Debug, PartialEq, Eq)]
pub struct Directive<'a> {
    /// Its name, which is not case-sensitive.
    pub name: &'a str,
    /// Its value without quotes and escapes.
    pub value: Cow<'a, [u8]>,
    /// Whether the value was a quoted string.
    pub quoted: bool,
}

impl<'a> Directive<'a> {
    /// The value of a directive that must be a quoted string.
    ///
    /// # Errors
    /// If it is a token.
    pub fn into_quoted(self, field: &'static str) -> Result<Vec<u8>, Malformed> {
        if !self.quoted {
            return Err(Malformed::Character(field));
        }
        Ok(self.value.into_owned())
    }

    /// True if the value is this word, ignoring case.
    pub fn is(&self, word: &str) -> bool {
        self.value.eq_ignore_ascii_case(word.as_bytes())
    }

    /// The elements of a value that is a list: `qop`, `cipher`.
    pub fn words(&self) -> impl Iterator<Item = &[u8]> {
        self.value.split(|b| matches!(b, b',' | b' ' | b'\t')).filter(|word| !word.is_empty())
    }
}

/// Iterates over the directives of a message. Ends after the first error.
pub struct Directives<'a> {
    rest: &'a [u8],
}

impl<'a> Directives<'a> {
    /// All directives of `message`.
    pub fn of(message: &'a [u8]) -> Self {
        Directives { rest: message }
    }

    fn element(&mut self) -> Result<Directive<'a>, Malformed> {
        let name = self.token();
        // A token is ASCII, so this cannot fail.
        let name = std::str::from_utf8(name).unwrap_or_default();
        if name.is_empty() {
            return Err(Malformed::Expected("the name of a directive"));
        }
        self.white_space();
        self.rest = self.rest.strip_prefix(b"=").ok_or(Malformed::Expected("an equals sign"))?;
        self.white_space();
        let quoted = self.rest.first() == Some(&b'"');
        let value = if quoted { self.quoted_string()? } else { Cow::Borrowed(self.token()) };
        if !quoted && value.is_empty() {
            return Err(Malformed::Empty("the value of a directive"));
        }
        self.white_space();
        if !matches!(self.rest.first(), None | Some(b',')) {
            return Err(Malformed::Expected("a comma"));
        }
        Ok(Directive { name, value, quoted })
    }

    /// `token = 1*<any CHAR except CTLs or separators>`; empty if there is none.
    fn token(&mut self) -> &'a [u8] {
        let length = self.rest.iter().position(|b| !is_token(*b)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(length);
        self.rest = rest;
        token
    }

    /// `quoted-string = <"> qdstr-val <">`, `qdstr-val = *( qdtext | quoted-pair )`.
    fn quoted_string(&mut self) -> Result<Cow<'a, [u8]>, Malformed> {
        let inside = self.rest.get(1..).unwrap_or_default();
        let plain = inside.iter().position(|b| !PLAIN_TEXT[usize::from(*b)]).unwrap_or(inside.len());
        if inside.get(plain) == Some(&b'"') {
            self.rest = &inside[plain + 1..];
            return Ok(Cow::Borrowed(&inside[..plain]));
        }
        let mut value = inside[..plain].to_vec();
        let mut bytes = inside[plain..].iter();
        loop {
            match bytes.next() {
                None => return Err(Malformed::Missing("a closing quotation mark")),
                Some(b'"') => break,
                // quoted-pair = "\" CHAR. Names need no control characters, so they are refused.
                Some(b'\\') => match bytes.next() {
                    Some(&b) if is_text(b) && b.is_ascii() => value.push(b),
                    _ => return Err(Malformed::Escape("a quoted string")),
                },
                Some(&b) if is_text(b) => value.push(b),
                Some(_) => return Err(Malformed::Character("a quoted string")),
            }
        }
        self.rest = bytes.as_slice();
        Ok(Cow::Owned(value))
    }

    /// `LWS = [CRLF] 1*( SP | HT )`, any number of them.
    fn white_space(&mut self) {
        self.rest = loop {
            self.rest = match self.rest {
                [b' ' | b'\t', rest @ ..] | [b'\r', b'\n', b' ' | b'\t', rest @ ..] => rest,
                rest => break rest,
            };
        };
    }
}

impl<'a> Iterator for Directives<'a> {
    type Item = Result<Directive<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        self.white_space();
        while let Some(rest) = self.rest.strip_prefix(b",") {
            self.rest = rest;
            self.white_space();
        }
        if self.rest.is_empty() {
            return None;
        }
        let element = self.element();
        if element.is_err() {
            self.rest = &[];
        }
        Some(element)
    }
}

/// A character of a token: no control character, no separator.
fn is_token(b: u8) -> bool {
    TOKEN[usize::from(b)]
}

/// A table: searching the separators for each byte took a tenth of a handshake.
const TOKEN: [bool; 256] = {
    let separators = b"()<>@,;:\\\"/[]?={}";
    let mut table = [false; 256];
    let mut b = b'!';
    while b <= b'~' {
        table[b as usize] = true;
        b += 1;
    }
    let mut at = 0;
    while at < separators.len() {
        table[separators[at] as usize] = false;
        at += 1;
    }
    table
};

/// An octet of `TEXT`: any but control characters; the tab is allowed.
const fn is_text(b: u8) -> bool {
    b == b'\t' || !b.is_ascii_control()
}

/// Text that stands for itself in a quoted string. A table, like [`TOKEN`].
const PLAIN_TEXT: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < table.len() {
        table[b] = is_text(b as u8) && !matches!(b as u8, b'"' | b'\\');
        b += 1;
    }
    table
};

/// True if [`Printer::quoted`] can print this value in the grammar.
pub fn is_quotable(value: &[u8]) -> bool {
    value.iter().all(|b| is_text(*b))
}

/// Prints a message, directive by directive.
pub struct Printer(Vec<u8>);

impl Printer {
    /// An empty message with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Printer(Vec::with_capacity(capacity))
    }

    /// `name=value`, for values that are tokens.
    pub fn token(&mut self, name: &str, value: &[u8]) -> &mut Self {
        self.name(name);
        self.0.extend_from_slice(value);
        self
    }

    /// `name="value"`. Quotation marks and backslashes in the value are escaped (CVE-2022-24407, CVE-2026-107161).
    pub fn quoted(&mut self, name: &str, value: &[u8]) -> &mut Self {
        self.name(name);
        self.0.push(b'"');
        let mut rest = value;
        while let Some(at) = rest.iter().position(|b| matches!(b, b'"' | b'\\')) {
            self.0.extend_from_slice(&rest[..at]);
            self.0.extend_from_slice(&[b'\\', rest[at]]);
            rest = &rest[at + 1..];
        }
        self.0.extend_from_slice(rest);
        self.0.push(b'"');
        self
    }

    fn name(&mut self, name: &str) {
        if !self.0.is_empty() {
            self.0.push(b',');
        }
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(b'=');
    }

    /// The message.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// A name as text: UTF-8 if the message says so, else ISO 8859-1.
///
/// # Errors
/// [`Malformed::Utf8`].
pub fn decode(bytes: &[u8], utf8: bool, field: &'static str) -> Result<String, Malformed> {
    if utf8 || bytes.is_ascii() {
        return std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Malformed::Utf8(field));
    }
    Ok(bytes.iter().map(|&b| char::from(b)).collect())
}

/// A name as bytes of the message; `None` if it must be ISO 8859-1 but does not fit.
pub fn encode(text: &str, utf8: bool) -> Option<Cow<'_, [u8]>> {
    if utf8 || text.is_ascii() {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    text.chars().map(|c| u8::try_from(c).ok()).collect::<Option<Vec<u8>>>().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(message: &[u8]) -> Result<Vec<(String, Vec<u8>, bool)>, Malformed> {
        Directives::of(message).map(|d| d.map(|d| (d.name.to_owned(), d.value.into_owned(), d.quoted))).collect()
    }

    #[test]
    fn tokens_and_quoted_strings_with_white_space_and_empty_elements() {
        let expected = vec![("a".to_owned(), b"1".to_vec(), false), ("b".to_owned(), b"x, y=z".to_vec(), true)];
        for message in [
            &b"a=1,b=\"x, y=z\""[..],
            b" , ,a=1 ,\t,b=\"x, y=z\" , ",
            b"a=1,\r\n b=\"x, y=z\"",
            b",,a = 1\t,,b\t=\r\n\t\"x, y=z\",,",
        ] {
            assert_eq!(parse(message).unwrap(), expected, "{}", message.escape_ascii());
        }
        assert_eq!(parse(b"").unwrap(), vec![]);
        assert_eq!(parse(b" ,, ").unwrap(), vec![]);
    }

    #[test]
    fn broken_lists_are_errors() {
        for message in [
            &b"a"[..],
            b"a=",
            b"=1",
            b"a=1 b=2",
            b"a=\"",
            b"a=\"x",
            b"a=\"x\\",
            b"a=\"x\"y",
            b"a=\"\\\n\"",
            b"a=\"\0\"",
            b"a=\"\x7f\"",
            b"a=\"\\\xe9\"",
            b"a=x/y",
            b"a=\xe9",
            b"a=1\r\nb=2",
            b"a=1,\nb=2",
            b"\"a\"=1",
            b"a==1",
            b"a=1;b=2",
            b"a=1\0",
        ] {
            assert!(parse(message).is_err(), "{}", message.escape_ascii());
        }
    }

    #[test]
    fn printing_is_parsed_back() {
        for value in
            [&b""[..], b"\"", b"\\", b"a\"b\\c\\\"", b"\\\\\\\\", b"a,b=c", "r\u{e9}alm\u{20ac}".as_bytes(), b"\t"]
        {
            let mut printer = Printer::with_capacity(0);
            printer.quoted("realm", value).token("qop", b"auth");
            assert!(is_quotable(value));
            let expected =
                vec![("realm".to_owned(), value.to_vec(), true), ("qop".to_owned(), b"auth".to_vec(), false)];
            assert_eq!(parse(&printer.finish()).unwrap(), expected);
        }
        assert!(!is_quotable(b"a\0b") && !is_quotable(b"\x7f") && !is_quotable(b"a\r\n b"));
    }

    #[test]
    fn latin_1_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        let text = decode(&all, false, "all").unwrap();
        assert_eq!(encode(&text, false).unwrap(), &all[..]);
        assert_eq!(encode("\u{e9}", true).unwrap(), "\u{e9}".as_bytes());
        assert_eq!(encode("\u{20ac}", false), None);
        assert!(decode(b"\xe9", true, "x").is_err());
    }
}
