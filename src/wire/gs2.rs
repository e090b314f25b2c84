//! The GS2 header that begins a client's first message (RFC 5801 §4, RFC 5802 §7).
//!
//! ```text
//! gs2-header     = gs2-cbind-flag "," [ authzid ] ","
//! gs2-cbind-flag = ("p=" cb-name) / "n" / "y"
//! cb-name        = 1*(ALPHA / DIGIT / "." / "-")
//! authzid        = "a=" saslname
//! ```
//! The `F,` of RFC 5801 is only for GSS mechanisms without the standard token header.

use std::borrow::Cow;

use super::saslname;
use crate::error::Malformed;

/// What the client says about channel binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag<'a> {
    /// `n`: it does not support channel binding.
    Unsupported,
    /// `y`: it supports channel binding, but believes that the server does not.
    Unoffered,
    /// `p=`: it binds to a channel of this type.
    Bound(&'a str),
}

/// A GS2 header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header<'a> {
    /// Channel binding.
    pub flag: Flag<'a>,
    /// Authorization identity, without escapes.
    pub authzid: Option<Cow<'a, str>>,
}

impl<'a> Header<'a> {
    /// Parses a header. Returns it and the text that follows.
    ///
    /// # Errors
    /// [`Malformed`] for anything that the grammar does not allow.
    pub fn parse(text: &'a str) -> Result<(Self, &'a str), Malformed> {
        let (flag, rest) = text.split_once(',').ok_or(Malformed::Missing("the GS2 header"))?;
        let flag = match flag {
            "n" => Flag::Unsupported,
            "y" => Flag::Unoffered,
            _ => {
                let kind = flag.strip_prefix("p=").ok_or(Malformed::Expected("a channel binding flag (n, y or p=)"))?;
                let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'-';
                if kind.is_empty() {
                    return Err(Malformed::Empty("the channel binding type"));
                }
                if !kind.bytes().all(fits) {
                    return Err(Malformed::Character("the channel binding type"));
                }
                Flag::Bound(kind)
            }
        };
        let (authzid, rest) = rest.split_once(',').ok_or(Malformed::Missing("the GS2 header's second comma"))?;
        let authzid = match authzid {
            "" => None,
            named => {
                let escaped = named.strip_prefix("a=").ok_or(Malformed::Expected("an authorization identity (a=)"))?;
                Some(saslname::unescape(escaped, "the authorization identity")?)
            }
        };
        Ok((Header { flag, authzid }, rest))
    }

    /// Appends the header.
    pub fn print(&self, out: &mut Vec<u8>) {
        match self.flag {
            Flag::Unsupported => out.push(b'n'),
            Flag::Unoffered => out.push(b'y'),
            Flag::Bound(kind) => {
                out.extend_from_slice(b"p=");
                out.extend_from_slice(kind.as_bytes());
            }
        }
        out.push(b',');
        if let Some(authzid) = &self.authzid {
            out.extend_from_slice(b"a=");
            saslname::escape(authzid, out);
        }
        out.push(b',');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_inverts_parsing() {
        for text in ["n,,", "y,,", "p=tls-exporter,,", "n,a=zoe,", "p=tls-unique,a=a=2Cb=3D,", "p=ldap,,"] {
            let (header, rest) = Header::parse(text).unwrap();
            assert_eq!(rest, "");
            let mut printed = Vec::new();
            header.print(&mut printed);
            assert_eq!(printed, text.as_bytes());
        }
        assert_eq!(Header::parse("n,,n=user,r=x").unwrap().1, "n=user,r=x");
    }

    /// A GS2 header that is cut off at any length is an error, never a shorter header.
    #[test]
    fn truncated_at_every_length() {
        let whole = "p=tls-unique,a=zo=2Ce,";
        assert!(Header::parse(whole).is_ok());
        for length in 0..whole.len() {
            assert!(Header::parse(&whole[..length]).is_err(), "{}", &whole[..length]);
        }
    }

    #[test]
    fn other_headers_are_refused() {
        for wrong in ["", ",", ",,", "N,,", "x,,", "nn,,", "n=,,", "p,,", "p=,,", "p=a b,,", "p=\u{e4},,", "F,n,,"] {
            assert!(Header::parse(wrong).is_err(), "{wrong}");
        }
        for wrong in ["n,a=,", "n,zoe,", "n,A=zoe,", "n,a=a=b,", "n,a=\0,", "n, ,"] {
            assert!(Header::parse(wrong).is_err(), "{wrong}");
        }
    }
}
