//! The messages of DIGEST-MD5, parsed and printed.
//!
//! Directives that are quoted strings in the grammar must be quoted. Those that are tokens may be quoted too, since many
//! peers do that; the meaning is the same.

use crate::contract::{Description, Outline, Sent, Side};
use crate::error::{Error, Malformed, PeerMisbehaved};
use crate::wire::digest::{self, Directive, Directives, Printer};
use crate::wire::fields::once;
use crate::wire::hex;

use super::protection::{self, Offer, Protection};
use super::quality::{Cipher, Qop};
use super::response::NONCE_COUNT;

/// A challenge must be shorter than this (RFC 2831 §2.1.1).
pub const CHALLENGE_LIMIT: usize = 2048;
/// A response must be shorter than this (RFC 2831 §2.1.2).
pub const RESPONSE_LIMIT: usize = 4096;

/// `digest-challenge` (RFC 2831 §2.1.1).
#[derive(Debug, PartialEq, Eq)]
pub struct Challenge {
    pub realms: Vec<String>,
    pub nonce: Vec<u8>,
    pub offer: Offer,
    /// `charset=utf-8`: names may be UTF-8, else they are ISO 8859-1.
    pub utf8: bool,
}

impl Challenge {
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        parse_challenge(bytes).map_err(|reason| Error::malformed("digest-challenge", reason))
    }

    pub fn print(&self) -> Vec<u8> {
        let mut printer = Printer::with_capacity(160);
        for realm in &self.realms {
            // A realm that was parsed without charset=utf-8 fits ISO 8859-1.
            let bytes = digest::encode(realm, self.utf8);
            printer.quoted("realm", bytes.as_deref().unwrap_or(realm.as_bytes()));
        }
        printer.quoted("nonce", &self.nonce).quoted("qop", self.offer.qops().as_bytes());
        if let Some(ciphers) = self.offer.ciphers() {
            printer.quoted("cipher", ciphers.as_bytes());
        }
        if let Some(max_buf) = self.offer.max_buf() {
            printer.token("maxbuf", max_buf.to_string().as_bytes());
        }
        printer.token("algorithm", b"md5-sess");
        if self.utf8 {
            printer.token("charset", b"utf-8");
        }
        printer.finish()
    }
}

fn parse_challenge(bytes: &[u8]) -> Result<Challenge, Malformed> {
    let mut raw_realms = Vec::new();
    let (mut nonce, mut qop, mut cipher, mut max_buf) = (None, None, None, None);
    let (mut utf8, mut algorithm, mut stale) = (None, None, None);
    for directive in directives(bytes, CHALLENGE_LIMIT)? {
        let directive = directive?;
        match lower(&directive).as_slice() {
            b"realm" => raw_realms.push(directive.into_quoted("realm")?),
            b"nonce" => once(&mut nonce, "nonce", directive.into_quoted("nonce")?)?,
            b"qop" => once(&mut qop, "qop", directive)?,
            b"cipher" => once(&mut cipher, "cipher", directive)?,
            b"maxbuf" => once(&mut max_buf, "maxbuf", protection::max_buf(&directive.value)?)?,
            b"charset" => once(&mut utf8, "charset", charset(&directive)?)?,
            b"algorithm" if !directive.is("md5-sess") => return Err(Malformed::Expected("algorithm=md5-sess")),
            b"algorithm" => once(&mut algorithm, "algorithm", ())?,
            // It has no meaning in initial authentication, the only kind that is supported.
            b"stale" => once(&mut stale, "stale", ())?,
            _ => {} // auth-param: extensions are ignored and may be repeated
        }
    }
    algorithm.ok_or(Malformed::Missing("algorithm"))?;
    let nonce = nonce.ok_or(Malformed::Missing("nonce"))?;
    if nonce.is_empty() {
        return Err(Malformed::Empty("nonce"));
    }
    let offer = Offer::parsed(qop.as_ref().map(Directive::words), cipher.as_ref().map(Directive::words), max_buf);
    let utf8 = utf8.is_some();
    // The charset may come after the realms.
    let realms = raw_realms.iter().map(|raw| digest::decode(raw, utf8, "realm")).collect::<Result<_, _>>()?;
    Ok(Challenge { realms, nonce, offer, utf8 })
}

/// `digest-response` (RFC 2831 §2.1.2). Its nonce count is always [`NONCE_COUNT`].
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    /// In the charset of the message.
    pub username: Vec<u8>,
    /// In the charset of the message.
    pub realm: Option<Vec<u8>>,
    pub nonce: Vec<u8>,
    pub cnonce: Vec<u8>,
    pub digest_uri: Vec<u8>,
    /// Always UTF-8.
    pub authzid: Option<Vec<u8>>,
    pub response: [u8; 32],
    pub protection: Protection,
    /// `charset=utf-8`, else the names are ISO 8859-1.
    pub utf8: bool,
}

impl Response {
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let (response, nonce_count) =
            parse_response(bytes).map_err(|reason| Error::malformed("digest-response", reason))?;
        if nonce_count != NONCE_COUNT.as_bytes() {
            return Err(Error::misbehaved("digest-response", PeerMisbehaved::Replay));
        }
        Ok(response)
    }

    pub fn print(&self) -> Vec<u8> {
        let mut printer = Printer::with_capacity(256);
        if self.utf8 {
            printer.token("charset", b"utf-8");
        }
        printer.quoted("username", &self.username);
        if let Some(realm) = &self.realm {
            printer.quoted("realm", realm);
        }
        printer
            .quoted("nonce", &self.nonce)
            .token("nc", NONCE_COUNT.as_bytes())
            .quoted("cnonce", &self.cnonce)
            .quoted("digest-uri", &self.digest_uri)
            .token("response", &self.response)
            .token("qop", self.protection.qop.name().as_bytes());
        if let Some(cipher) = self.protection.cipher {
            printer.token("cipher", cipher.name().as_bytes());
        }
        if let Some(max_buf) = self.protection.max_buf() {
            printer.token("maxbuf", max_buf.to_string().as_bytes());
        }
        if let Some(authzid) = &self.authzid {
            printer.quoted("authzid", authzid);
        }
        printer.finish()
    }
}

fn parse_response(bytes: &[u8]) -> Result<(Response, [u8; 8]), Malformed> {
    let (mut username, mut realm, mut nonce, mut cnonce) = (None, None, None, None);
    let (mut digest_uri, mut authzid, mut response, mut nonce_count) = (None, None, None, None);
    let (mut qop, mut cipher, mut max_buf, mut utf8) = (None, None, None, None);
    for directive in directives(bytes, RESPONSE_LIMIT)? {
        let directive = directive?;
        match lower(&directive).as_slice() {
            b"username" => once(&mut username, "username", directive.into_quoted("username")?)?,
            b"realm" => once(&mut realm, "realm", directive.into_quoted("realm")?)?,
            b"nonce" => once(&mut nonce, "nonce", directive.into_quoted("nonce")?)?,
            b"cnonce" => once(&mut cnonce, "cnonce", directive.into_quoted("cnonce")?)?,
            b"nc" => once(&mut nonce_count, "nc", count(&directive.value)?)?,
            b"qop" => {
                // The word is hashed as sent, so it must be in lower case.
                let chosen = Qop::find(&directive.value).filter(|q| q.name().as_bytes() == &*directive.value);
                once(&mut qop, "qop", chosen.ok_or(Malformed::Expected("qop=auth, auth-int or auth-conf"))?)?;
            }
            b"digest-uri" => once(&mut digest_uri, "digest-uri", directive.into_quoted("digest-uri")?)?,
            b"response" => {
                let digits = hex::digits(&directive.value).ok_or(Malformed::Character("response"))?;
                once(&mut response, "response", digits)?;
            }
            b"maxbuf" => once(&mut max_buf, "maxbuf", protection::max_buf(&directive.value)?)?,
            b"charset" => once(&mut utf8, "charset", charset(&directive)?)?,
            b"cipher" => once(&mut cipher, "cipher", Cipher::find(&directive.value))?,
            b"authzid" => once(&mut authzid, "authzid", directive.into_quoted("authzid")?)?,
            _ => {} // auth-param
        }
    }
    let filled = |value: Option<Vec<u8>>, name| match value {
        None => Err(Malformed::Missing(name)),
        Some(value) if value.is_empty() => Err(Malformed::Empty(name)),
        Some(value) => Ok(value),
    };
    if authzid.as_ref().is_some_and(Vec::is_empty) {
        return Err(Malformed::Empty("authzid"));
    }
    let parsed = Response {
        username: filled(username, "username")?,
        realm,
        nonce: filled(nonce, "nonce")?,
        cnonce: filled(cnonce, "cnonce")?,
        digest_uri: filled(digest_uri, "digest-uri")?,
        authzid,
        response: response.ok_or(Malformed::Missing("response"))?,
        protection: Protection::parsed(qop, cipher.flatten(), max_buf),
        utf8: utf8.is_some(),
    };
    Ok((parsed, nonce_count.ok_or(Malformed::Missing("nc"))?))
}

/// `response-auth` (RFC 2831 §2.1.3): the server's proof; `None` if the message has none.
pub fn parse_response_auth(bytes: &[u8]) -> Result<Option<[u8; 32]>, Malformed> {
    let mut proof = None;
    for directive in directives(bytes, CHALLENGE_LIMIT)? {
        let directive = directive?;
        if lower(&directive).as_slice() == b"rspauth" {
            let digits = hex::digits(&directive.value).ok_or(Malformed::Character("rspauth"))?;
            once(&mut proof, "rspauth", digits)?;
        }
    }
    Ok(proof)
}

/// The server's proof as a message.
pub fn print_response_auth(proof: &[u8; 32]) -> Vec<u8> {
    let mut printer = Printer::with_capacity(40);
    printer.token("rspauth", proof);
    printer.finish()
}

/// The directives that are no secret, in their order.
pub fn outline(_: &Description, message: &Sent<'_>) -> Option<Outline> {
    const SHOWN: [&str; 12] = [
        "username",
        "realm",
        "digest-uri",
        "authzid",
        "nc",
        "qop",
        "maxbuf",
        "cipher",
        "algorithm",
        "charset",
        "stale",
        "nonce",
    ];
    let mut outline = Outline::new(match (message.from, parse_response_auth(message.bytes)) {
        (Side::Client, _) => "digest-response",
        (Side::Server, Ok(Some(_))) => "response-auth",
        (Side::Server, _) => "digest-challenge",
    });
    for directive in directives(message.bytes, RESPONSE_LIMIT).ok()? {
        let directive = directive.ok()?;
        let name = SHOWN.iter().copied().find(|name| name.eq_ignore_ascii_case(directive.name));
        outline = match (name, directive.name) {
            (Some("nonce"), _) => outline.elided("nonce", &directive.value),
            (Some(name), _) => outline.text(name, &directive.value),
            (None, name) if name.eq_ignore_ascii_case("cnonce") => outline.elided("cnonce", &directive.value),
            (None, name) if name.eq_ignore_ascii_case("response") => outline.secret("response"),
            (None, name) if name.eq_ignore_ascii_case("rspauth") => outline.secret("rspauth"),
            (None, _) => outline.elided("auth-param", &directive.value),
        };
    }
    Some(outline)
}

fn directives(bytes: &[u8], limit: usize) -> Result<Directives<'_>, Malformed> {
    if bytes.len() >= limit {
        return Err(Malformed::TooLong { field: "it", limit: limit - 1 });
    }
    Ok(Directives::of(bytes))
}

/// The name in lower case; empty for a name that is longer than all known ones.
fn lower(directive: &Directive<'_>) -> Name {
    let mut name = Name { bytes: [0; 10], length: 0 };
    let bytes = directive.name.as_bytes();
    if let Some(room) = name.bytes.get_mut(..bytes.len()) {
        room.copy_from_slice(bytes);
        room.make_ascii_lowercase();
        name.length = bytes.len();
    }
    name
}

/// A directive's name, on the stack. The longest known one is `digest-uri`.
struct Name {
    bytes: [u8; 10],
    length: usize,
}

impl Name {
    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

fn charset(directive: &Directive<'_>) -> Result<(), Malformed> {
    if directive.is("utf-8") {
        Ok(())
    } else {
        Err(Malformed::Expected("charset=utf-8"))
    }
}

/// `nc-value = 8LHEX`
fn count(value: &[u8]) -> Result<[u8; 8], Malformed> {
    let value: Result<[u8; 8], _> = value.try_into();
    value
        .ok()
        .filter(|digits| digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
        .ok_or(Malformed::Number("nc"))
}
