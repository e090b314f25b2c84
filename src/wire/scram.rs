//! SCRAM's four messages (RFC 5802 §7).
//!
//! Attributes have a fixed order. Extensions may follow: well-formed attributes with other names, which are ignored. `m=`
//! announces an extension that must not be ignored.

use std::borrow::Cow;

use base64::engine::general_purpose::STANDARD;
use base64::Engine;

use super::gs2::Header;
use super::saslname;
use crate::error::{Error, Malformed, PeerMisbehaved};

/// Names of the messages, for errors.
pub const CLIENT_FIRST: &str = "client-first-message";
/// See [`CLIENT_FIRST`].
pub const SERVER_FIRST: &str = "server-first-message";
/// See [`CLIENT_FIRST`].
pub const CLIENT_FINAL: &str = "client-final-message";
/// See [`CLIENT_FIRST`].
pub const SERVER_FINAL: &str = "server-final-message";

/// Longest nonce of one side, in bytes. Both together may be twice as long.
pub const NONCE_LIMIT: usize = 1024;
/// Longest salt, in bytes: a whole number of base64 groups.
pub const SALT_LIMIT: usize = 1023;

/// The attributes of RFC 5802 §5.1. If one of them appears as an extension, the order is wrong.
const ATTRIBUTES: &[u8] = b"anmrcsipve";

/// `client-first-message = gs2-header [reserved-mext ","] username "," nonce ["," extensions]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFirst<'a> {
    /// The GS2 header.
    pub header: Header<'a>,
    /// Length of the header as it was received, in bytes: `client-first-message-bare` follows.
    pub header_len: usize,
    /// The user name, without escapes, before SASLprep.
    pub name: Cow<'a, str>,
    /// The client's nonce.
    pub nonce: &'a str,
}

impl<'a> ClientFirst<'a> {
    /// Reads the message.
    ///
    /// # Errors
    /// [`Error::Malformed`], or [`PeerMisbehaved::MandatoryExtension`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let text = text(bytes, CLIENT_FIRST)?;
        let (header, bare) = Header::parse(text).map_err(|reason| Error::malformed(CLIENT_FIRST, reason))?;
        let mut fields = Fields::of(bare, CLIENT_FIRST)?;
        let name = fields.take(b'n', "the user name (n=)")?;
        let name = saslname::unescape(name, "the user name (n=)").map_err(|reason| fields.malformed(reason))?;
        let nonce = fields.take_nonce(NONCE_LIMIT)?;
        fields.only_extensions()?;
        Ok(ClientFirst { header, header_len: text.len() - bare.len(), name, nonce })
    }

    /// Appends the message.
    pub fn print(&self, out: &mut Vec<u8>) {
        self.header.print(out);
        out.extend_from_slice(b"n=");
        saslname::escape(&self.name, out);
        out.extend_from_slice(b",r=");
        out.extend_from_slice(self.nonce.as_bytes());
    }
}

/// `server-first-message = [reserved-mext ","] nonce "," salt "," iteration-count ["," extensions]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFirst<'a> {
    /// Both nonces.
    pub nonce: Cow<'a, str>,
    /// The salt, decoded; never empty.
    pub salt: Cow<'a, [u8]>,
    /// The iteration count, 1 to 2147483647.
    pub iterations: u32,
    /// Extensions: `name=value`, separated by commas; empty if there are none.
    pub extensions: &'a str,
}

impl<'a> ServerFirst<'a> {
    /// Reads the message.
    ///
    /// # Errors
    /// As [`ClientFirst::parse`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut fields = Fields::of(text(bytes, SERVER_FIRST)?, SERVER_FIRST)?;
        let nonce = Cow::Borrowed(fields.take_nonce(2 * NONCE_LIMIT)?);
        let salt = fields.take(b's', "the salt (s=)")?;
        // Checked before memory is allocated for it.
        if salt.len() > SALT_LIMIT / 3 * 4 {
            return Err(fields.malformed(Malformed::TooLong { field: "the salt (s=)", limit: SALT_LIMIT }));
        }
        let salt = base64(salt).ok_or_else(|| fields.malformed(Malformed::Base64("the salt (s=)")))?;
        let count = fields.take(b'i', "the iteration count (i=)")?;
        let iterations =
            number(count).ok_or_else(|| fields.malformed(Malformed::Number("the iteration count (i=)")))?;
        let extensions = fields.only_extensions()?;
        Ok(ServerFirst { nonce, salt: Cow::Owned(salt), iterations, extensions })
    }

    /// Appends the message.
    pub fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"r=");
        out.extend_from_slice(self.nonce.as_bytes());
        out.extend_from_slice(b",s=");
        print_base64(&self.salt, out);
        out.extend_from_slice(b",i=");
        out.extend_from_slice(self.iterations.to_string().as_bytes());
        if !self.extensions.is_empty() {
            out.push(b',');
            out.extend_from_slice(self.extensions.as_bytes());
        }
    }
}

/// `client-final-message = channel-binding "," nonce ["," extensions] "," proof`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFinal<'a> {
    /// `c=`: the GS2 header and the channel binding data, decoded.
    pub binding: Vec<u8>,
    /// Both nonces.
    pub nonce: &'a str,
    /// The proof, decoded.
    pub proof: Vec<u8>,
    /// `client-final-message-without-proof`, as received.
    pub without_proof: &'a [u8],
}

impl<'a> ClientFinal<'a> {
    /// Reads the message.
    ///
    /// # Errors
    /// As [`ClientFirst::parse`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let malformed = |reason| Error::malformed(CLIENT_FINAL, reason);
        let text = text(bytes, CLIENT_FINAL)?;
        let (without_proof, proof) =
            text.rsplit_once(",p=").ok_or_else(|| malformed(Malformed::Missing("the proof (p=)")))?;
        let proof = base64(proof).ok_or_else(|| malformed(Malformed::Base64("the proof (p=)")))?;
        let mut fields = Fields::of(without_proof, CLIENT_FINAL)?;
        let binding = fields.take_base64(b'c', "the channel binding (c=)")?;
        let nonce = fields.take_nonce(2 * NONCE_LIMIT)?;
        fields.only_extensions()?;
        Ok(ClientFinal { binding, nonce, proof, without_proof: without_proof.as_bytes() })
    }

    /// Appends `client-final-message-without-proof`.
    pub fn print_without_proof(binding: &[u8], nonce: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"c=");
        print_base64(binding, out);
        out.extend_from_slice(b",r=");
        out.extend_from_slice(nonce.as_bytes());
    }

    /// Appends the proof.
    pub fn print_proof(proof: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(b",p=");
        print_base64(proof, out);
    }
}

/// `server-final-message = (server-error / verifier) ["," extensions]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerFinal<'a> {
    /// `e=`: why the server refused.
    Error(&'a str),
    /// `v=`: the server's signature, decoded.
    Verifier(Vec<u8>),
}

impl<'a> ServerFinal<'a> {
    /// Reads the message.
    ///
    /// # Errors
    /// As [`ClientFirst::parse`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        if let Some(reason) = server_error(bytes) {
            return Ok(ServerFinal::Error(reason));
        }
        let mut fields = Fields::of(text(bytes, SERVER_FINAL)?, SERVER_FINAL)?;
        let verifier = fields.take_base64(b'v', "the server's signature (v=)")?;
        fields.only_extensions()?;
        Ok(ServerFinal::Verifier(verifier))
    }

    /// The message with this signature.
    pub fn print_verifier(signature: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(2 + signature.len().div_ceil(3) * 4);
        out.extend_from_slice(b"v=");
        print_base64(signature, &mut out);
        out
    }
}

/// The reason in a message that begins with `e=`, whatever else is wrong with it. RFC 5802 allows `e=` only in the last
/// message, but some servers send it instead of their first.
pub fn server_error(bytes: &[u8]) -> Option<&str> {
    let rest = bytes.strip_prefix(b"e=")?;
    let reason = rest.split(|&b| b == b',').next().unwrap_or_default();
    // Only shown to people, after `error::printable`.
    Some(std::str::from_utf8(reason).unwrap_or("(not UTF-8)"))
}

fn text<'a>(bytes: &'a [u8], message: &'static str) -> Result<&'a str, Error> {
    std::str::from_utf8(bytes).map_err(|_| Error::malformed(message, Malformed::Utf8("it")))
}

/// `posit-number = %x31-39 *DIGIT`, to 2^31 - 1.
pub fn number(digits: &str) -> Option<u32> {
    let canonical = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|n| canonical && *n <= i32::MAX as u32)
}

/// Canonical, non-empty base64.
pub fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok().filter(|bytes| !bytes.is_empty())
}

/// Fills `out` from canonical base64. False if that is not what the text decodes to.
pub fn fill_from_base64(text: &str, out: &mut [u8]) -> bool {
    STANDARD.decode_slice(text, out) == Ok(out.len())
}

/// Appends base64.
pub fn print_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, b'=');
    // The buffer has exactly the size of the encoding, so all of it is written.
    let _ = STANDARD.encode_slice(bytes, &mut out[start..]);
}

/// The attributes of one message, from left to right.
struct Fields<'a> {
    message: &'static str,
    rest: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn of(text: &'a str, message: &'static str) -> Result<Self, Error> {
        if text.starts_with("m=") {
            return Err(Error::misbehaved(message, PeerMisbehaved::MandatoryExtension));
        }
        Ok(Fields { message, rest: Some(text) })
    }

    fn malformed(&self, reason: Malformed) -> Error {
        Error::malformed(self.message, reason)
    }

    fn next(&mut self) -> Option<&'a str> {
        let (field, rest) = match self.rest?.split_once(',') {
            Some((field, rest)) => (field, Some(rest)),
            None => (self.rest?, None),
        };
        self.rest = rest;
        Some(field)
    }

    /// The value of the attribute that must come next.
    fn take(&mut self, attribute: u8, what: &'static str) -> Result<&'a str, Error> {
        let field = self.next().ok_or_else(|| self.malformed(Malformed::Missing(what)))?;
        match field.as_bytes() {
            [name, b'=', ..] if *name == attribute => {}
            [] => return Err(self.malformed(Malformed::Missing(what))),
            _ => return Err(self.malformed(Malformed::Expected(what))),
        }
        if field.len() == 2 {
            return Err(self.malformed(Malformed::Empty(what)));
        }
        Ok(&field[2..])
    }

    fn take_base64(&mut self, attribute: u8, what: &'static str) -> Result<Vec<u8>, Error> {
        let value = self.take(attribute, what)?;
        base64(value).ok_or_else(|| self.malformed(Malformed::Base64(what)))
    }

    /// `nonce = "r=" 1*printable`, without comma.
    fn take_nonce(&mut self, limit: usize) -> Result<&'a str, Error> {
        let nonce = self.take(b'r', "the nonce (r=)")?;
        if nonce.len() > limit {
            return Err(self.malformed(Malformed::TooLong { field: "the nonce (r=)", limit }));
        }
        if !nonce.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(self.malformed(Malformed::Character("the nonce (r=)")));
        }
        Ok(nonce)
    }

    /// `extensions = attr-val *("," attr-val)`; `attr-val = ALPHA "=" value`
    fn only_extensions(&mut self) -> Result<&'a str, Error> {
        let all = self.rest.unwrap_or_default();
        while let Some(field) = self.next() {
            match field.as_bytes() {
                [b'm', b'=', ..] => return Err(Error::misbehaved(self.message, PeerMisbehaved::MandatoryExtension)),
                [name, b'=', _, ..] if ATTRIBUTES.contains(name) => {
                    return Err(self.malformed(Malformed::Trailing("the last attribute")));
                }
                [name, b'=', value @ ..] if name.is_ascii_alphabetic() && !value.is_empty() && !value.contains(&0) => {}
                _ => return Err(self.malformed(Malformed::Trailing("the last attribute"))),
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_inverts_parsing() {
        for message in ["n,,n=user,r=abc", "y,a=z=2Ce,n=a=3Db,r=!~+", "p=tls-exporter,,n=\u{fc},r=x"] {
            let mut printed = Vec::new();
            ClientFirst::parse(message.as_bytes()).unwrap().print(&mut printed);
            assert_eq!(printed, message.as_bytes());
        }
        for message in [
            "r=abcdef,s=QSXCR+Q6sek8bf92,i=4096",
            "r=x,s=AA==,i=1",
            "r=x,s=AA==,i=2147483647",
            "r=x,s=AA==,i=1,h=a,x=b",
        ] {
            let mut printed = Vec::new();
            ServerFirst::parse(message.as_bytes()).unwrap().print(&mut printed);
            assert_eq!(printed, message.as_bytes());
        }
        for message in ["c=biws,r=abcdef,p=AAAA", "c=biws,r=abcdef,p=/w=="] {
            let parsed = ClientFinal::parse(message.as_bytes()).unwrap();
            let mut printed = Vec::new();
            ClientFinal::print_without_proof(&parsed.binding, parsed.nonce, &mut printed);
            ClientFinal::print_proof(&parsed.proof, &mut printed);
            assert_eq!(printed, message.as_bytes());
        }
        assert_eq!(ServerFinal::parse(b"v=AAAA"), Ok(ServerFinal::Verifier(vec![0; 3])));
        assert_eq!(ServerFinal::print_verifier(&[0; 3]), b"v=AAAA");
        assert_eq!(ServerFinal::parse(b"e=other-error"), Ok(ServerFinal::Error("other-error")));
    }

    #[test]
    fn unknown_extensions_are_ignored_and_known_attributes_are_not() {
        assert!(ClientFirst::parse(b"n,,n=user,r=abc,x=1,Y=2=3").is_ok());
        assert!(ServerFirst::parse(b"r=a,s=AA==,i=1,h=abc").is_ok());
        assert_eq!(ClientFinal::parse(b"c=biws,r=a,x=y,p=AAAA").unwrap().without_proof, b"c=biws,r=a,x=y");
        assert!(ServerFinal::parse(b"v=AAAA,x=y").is_ok());
        for wrong in ["", "x", "x=", "1=a", "xx=a", "i=2", "r=b", "s=AA==", "x=1,", "x=1,,y=2", "x=\0"] {
            assert!(ServerFirst::parse(format!("r=a,s=AA==,i=1,{wrong}").as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn mandatory_extensions_fail() {
        let expected = |message| Error::misbehaved(message, PeerMisbehaved::MandatoryExtension);
        assert_eq!(ClientFirst::parse(b"n,,m=x,n=user,r=abc"), Err(expected(CLIENT_FIRST)));
        assert_eq!(ClientFirst::parse(b"n,,n=user,r=abc,m=x"), Err(expected(CLIENT_FIRST)));
        assert_eq!(ServerFirst::parse(b"m=x,r=a,s=AA==,i=1"), Err(expected(SERVER_FIRST)));
        assert_eq!(ServerFirst::parse(b"r=a,s=AA==,i=1,m=x"), Err(expected(SERVER_FIRST)));
        assert_eq!(ClientFinal::parse(b"m=x,c=biws,r=a,p=AAAA"), Err(expected(CLIENT_FINAL)));
    }

    #[test]
    fn order_and_values_are_strict() {
        for wrong in [
            "n,,r=abc,n=user",
            "n,,n=,r=abc",
            "n,,n=user,r=",
            "n,,n=user",
            "n,,n=user,",
            "n,,n=user,r=a b",
            "n,,n=user,r=\u{e4}",
            "n,,n=us=er,r=a",
            "n,,N=user,r=a",
            "n,,n=user,,r=a",
            "n,n=user,r=a",
            "n,,",
        ] {
            assert!(ClientFirst::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
        for wrong in [
            "r=a,i=1,s=AA==",
            "r=a,s=,i=1",
            "r=a,s=AA,i=1",
            "r=a,s=AB==,i=1",
            "r=a,s=A A=,i=1",
            "r=a,s=AA==",
            "r=a,s=AA==,i=",
            "r=a,s=AA==,i=0",
            "r=a,s=AA==,i=01",
            "r=a,s=AA==,i=+1",
            "r=a,s=AA==,i=-1",
            "r=a,s=AA==,i=1 ",
            "r=a,s=AA==,i=2147483648",
            "r=a,s=AA==,i=99999999999999999999",
            "r=a,s=AA==,i=1e4",
            "",
            "r=a",
            "s=AA==,i=1",
            " r=a,s=AA==,i=1",
        ] {
            assert!(ServerFirst::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
        for wrong in [
            "c=biws,r=a",
            "c=biws,r=a,p=",
            "c=biws,r=a,p=AAA",
            "c=,r=a,p=AAAA",
            "r=a,c=biws,p=AAAA",
            "p=AAAA",
            "c=biws,p=AAAA,r=a",
            "c=biws,p=AAAA",
            "c=biws,r=a,p=AAAA,x=1",
            "c=biws,r=a,p=AAAA,p=AAAA",
        ] {
            assert!(ClientFinal::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
        for wrong in ["", "v=", "v=AAA", "x=AAAA", "v", "v=AAAA,v=AAAA", "v=AAAA,e=other-error"] {
            assert!(ServerFinal::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(ServerFirst::parse(b"r=a\xff,s=AA==,i=1").is_err());
    }
}
