//! The `key=value` pairs of OAUTHBEARER and XOAUTH2. 0x01 ends each pair, and another 0x01 ends the list:
//!
//! ```text
//! kvsep  = %x01
//! key    = 1*(ALPHA)
//! value  = *(VCHAR / SP / HTAB / CR / LF)
//! kvpair = key "=" value kvsep
//! list   = *kvpair kvsep                      (RFC 7628 §3.1)
//! ```
//!
//! Values are UTF-8 here, because XOAUTH2's user name is. OAUTHBEARER allows only ASCII.

use crate::error::Malformed;

/// The separator.
pub const SEPARATOR: u8 = 1;

/// Iterates over the pairs of a list. Ends after an error.
pub struct Pairs<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Pairs<'a> {
    /// The pairs of a list.
    pub fn new(list: &'a [u8]) -> Self {
        Pairs { rest: Some(list) }
    }

    fn pair(&mut self, rest: &'a [u8]) -> Option<Result<(&'a str, &'a str), Malformed>> {
        let Some(end) = rest.iter().position(|&b| b == SEPARATOR) else {
            return Some(Err(Malformed::Missing("the final 0x01")));
        };
        if end == 0 {
            return (rest.len() > 1).then_some(Err(Malformed::Trailing("the final 0x01")));
        }
        let pair = match std::str::from_utf8(&rest[..end]) {
            Ok(text) => parse(text),
            Err(_) => Err(Malformed::Utf8("a key or value")),
        };
        if pair.is_ok() {
            self.rest = Some(&rest[end + 1..]);
        }
        Some(pair)
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<(&'a str, &'a str), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        self.pair(rest)
    }
}

fn parse(pair: &str) -> Result<(&str, &str), Malformed> {
    let (key, value) = pair.split_once('=').ok_or(Malformed::Expected("key=value"))?;
    if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphabetic()) {
        return Err(Malformed::Character("a key"));
    }
    if !value.chars().all(is_value) {
        return Err(Malformed::Character("a value"));
    }
    Ok((key, value))
}

/// True for a character that a value may contain.
pub fn is_value(c: char) -> bool {
    !c.is_control() || matches!(c, '\t' | '\r' | '\n')
}

/// Appends one pair. The caller has checked key and value.
pub fn push(message: &mut Vec<u8>, key: &str, value: &[&str]) {
    message.extend_from_slice(key.as_bytes());
    message.push(b'=');
    for part in value {
        message.extend_from_slice(part.as_bytes());
    }
    message.push(SEPARATOR);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(list: &[u8]) -> Result<Vec<(&str, &str)>, Malformed> {
        Pairs::new(list).collect()
    }

    #[test]
    fn parsing_inverts_printing() {
        let pairs = [("host", "server.example.com"), ("port", "143"), ("auth", ""), ("x", "a=b \t\r\nc")];
        let mut list = Vec::new();
        for (key, value) in pairs {
            push(&mut list, key, &[value]);
        }
        list.push(SEPARATOR);
        assert_eq!(all(&list), Ok(pairs.to_vec()));
        assert_eq!(all(b"\x01"), Ok(vec![]));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for list in [
            &b""[..],
            b"a=b",
            b"a=b\x01",
            b"a\x01\x01",
            b"=b\x01\x01",
            b"a1=b\x01\x01",
            b"a =b\x01\x01",
            b"a=\0\x01\x01",
            b"a=\x7f\x01\x01",
            b"a=\xff\x01\x01",
            b"a=\xc2\x85\x01\x01",
            b"\xc3\xa4=b\x01\x01",
            b"a=b\x01\x01\x01",
            b"a=b\x01\x01c=d\x01\x01",
            b"\x01a=b\x01\x01",
        ] {
            assert!(all(list).is_err(), "{list:?}");
        }
    }

    #[test]
    fn an_error_is_the_last_item() {
        let mut pairs = Pairs::new(b"a=b\x01c\x01d=e\x01\x01");
        assert!(pairs.next().is_some_and(|p| p.is_ok()));
        assert!(pairs.next().is_some_and(|p| p.is_err()));
        assert!(pairs.next().is_none());
    }
}
