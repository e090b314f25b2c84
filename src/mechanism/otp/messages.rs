//! The three messages.

use crate::contract::Outline;
use crate::crypto::otp::words::{self, WordsFault};
use crate::crypto::otp::{parse_hex, print_hex, Otp, OtpHash};
use crate::error::{Error, Malformed};
use crate::store::otp::{seed, sequence, OtpState};

pub const FIRST: &str = "first message";
pub const CHALLENGE: &str = "challenge";
pub const RESPONSE: &str = "response";

/// Longest challenge and longest response, in bytes.
pub const LENGTH_LIMIT: usize = 512;

/// `[authzid] NUL authcid` (RFC 2444 §3).
#[derive(Debug, PartialEq, Eq)]
pub struct Identities<'a> {
    pub authzid: &'a str,
    pub authcid: &'a str,
}

impl<'a> Identities<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let malformed = |reason| Error::malformed(FIRST, reason);
        let mut parts = bytes.split(|&byte| byte == 0);
        let authzid = parts.next().unwrap_or_default();
        let authcid = parts.next().ok_or_else(|| malformed(Malformed::Missing("the authentication identity")))?;
        if parts.next().is_some() {
            return Err(malformed(Malformed::Trailing("the authentication identity")));
        }
        if authcid.is_empty() {
            return Err(malformed(Malformed::Empty("the authentication identity")));
        }
        let text = |bytes, field| std::str::from_utf8(bytes).map_err(|_| malformed(Malformed::Utf8(field)));
        Ok(Identities {
            authzid: text(authzid, "the authorization identity")?,
            authcid: text(authcid, "the authentication identity")?,
        })
    }

    pub fn print(&self) -> Vec<u8> {
        [self.authzid.as_bytes(), b"\0", self.authcid.as_bytes()].concat()
    }

    pub fn outline(&self) -> Outline {
        Outline::new(FIRST).text("authzid", self.authzid).text("authcid", self.authcid)
    }
}

/// `"otp-" hash SP sequence SP seed SP "ext" *("," extension)` (RFC 2289 §6.2, RFC 2243 §3). Of the extensions only `ext` is known.
#[derive(Debug, PartialEq, Eq)]
pub struct Challenge {
    pub hash: OtpHash,
    pub sequence: u32,
    pub seed: Box<str>,
}

impl Challenge {
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let malformed = |reason| Error::malformed(CHALLENGE, reason);
        let mut words = text(CHALLENGE, bytes)?.split_ascii_whitespace();
        let begins = words.next().and_then(|word| word.strip_prefix("otp-"));
        let hash = begins.ok_or_else(|| malformed(Malformed::Expected("otp- and a hash")))?;
        let hash = OtpHash::find(hash)
            .ok_or_else(|| malformed(Malformed::Expected("the hash md5 or sha1; no other is supported")))?;
        let (sequence, seed) = parameters(CHALLENGE, words.next(), words.next())?;
        let extensions = words.next().unwrap_or_default();
        if extensions.split(',').next() != Some("ext") {
            return Err(malformed(Malformed::Missing("the list of extensions (ext)")));
        }
        if words.next().is_some() {
            return Err(malformed(Malformed::Trailing("the list of extensions")));
        }
        Ok(Challenge { hash, sequence, seed })
    }

    pub fn print(&self) -> Vec<u8> {
        format!("otp-{} {} {} ext", self.hash.name(), self.sequence, self.seed).into()
    }

    pub fn outline(&self) -> Outline {
        let outline = Outline::new(CHALLENGE).text("hash", self.hash.name());
        outline.text("sequence", self.sequence.to_string()).text("seed", &*self.seed)
    }
}

/// The extended responses (RFC 2243 §3 and §4).
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    /// The one-time password that the challenge asks for.
    pub current: Otp,
    /// `init-hex` and `init-word`: the chain that the client begins; or why it cannot be used. The password counts all the same.
    pub renewed: Option<Result<OtpState, Error>>,
}

impl Response {
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let (form, rest) = text(RESPONSE, bytes)?.trim_ascii().split_once(':').ok_or_else(unknown_form)?;
        let form = form.to_ascii_lowercase();
        let password: fn(&str) -> Result<Otp, Error> = match form.trim_start_matches("init-") {
            "hex" => hex,
            "word" => six_words,
            _ => return Err(unknown_form()),
        };
        match &*form {
            "hex" | "word" => Ok(Response { current: password(rest)?, renewed: None }),
            "init-hex" | "init-word" => {
                let (current, rest) = rest.split_once(':').unwrap_or((rest, ""));
                Ok(Response { current: password(current)?, renewed: Some(new_chain(rest, password)) })
            }
            _ => Err(unknown_form()),
        }
    }

    /// In hexadecimal digits.
    pub fn print(&self) -> Vec<u8> {
        let current = print_hex(&self.current);
        match &self.renewed {
            Some(Ok(OtpState { hash, sequence, seed, otp, .. })) => {
                format!("init-hex:{current}:{} {sequence} {seed}:{}", hash.name(), print_hex(otp)).into()
            }
            _ => format!("hex:{current}").into(),
        }
    }

    pub fn outline(&self) -> Outline {
        let outline = Outline::new(RESPONSE).secret("one-time-password");
        match &self.renewed {
            Some(Ok(OtpState { hash, sequence, seed, .. })) => outline
                .text("new-hash", hash.name())
                .text("new-sequence", sequence.to_string())
                .text("new-seed", &**seed)
                .secret("new-one-time-password"),
            _ => outline,
        }
    }
}

fn unknown_form() -> Error {
    Error::malformed(RESPONSE, Malformed::Expected("hex:, word:, init-hex: or init-word: at its beginning"))
}

/// `hash SP sequence SP seed ":" new-password` (RFC 2243 §4).
fn new_chain(text: &str, password: fn(&str) -> Result<Otp, Error>) -> Result<OtpState, Error> {
    let malformed = |reason| Error::malformed(RESPONSE, reason);
    let (new, otp) = text.split_once(':').ok_or_else(|| malformed(Malformed::Missing("the new one-time password")))?;
    let mut words = new.split_ascii_whitespace();
    let hash = words.next().and_then(OtpHash::find);
    let hash = hash.ok_or_else(|| malformed(Malformed::Expected("the new hash md5 or sha1; no other is supported")))?;
    let (sequence, seed) = parameters(RESPONSE, words.next(), words.next())?;
    if words.next().is_some() {
        return Err(malformed(Malformed::Trailing("the new seed")));
    }
    Ok(OtpState { hash, sequence, seed, otp: password(otp)?, locked_until: 0 })
}

fn text<'a>(message: &'static str, bytes: &'a [u8]) -> Result<&'a str, Error> {
    if bytes.len() > LENGTH_LIMIT {
        return Err(Error::malformed(message, Malformed::TooLong { field: "it", limit: LENGTH_LIMIT }));
    }
    std::str::from_utf8(bytes).map_err(|_| Error::malformed(message, Malformed::Utf8("it")))
}

fn parameters(message: &'static str, number: Option<&str>, word: Option<&str>) -> Result<(u32, Box<str>), Error> {
    let expected = |what| Error::malformed(message, Malformed::Expected(what));
    let number = number.and_then(sequence).ok_or_else(|| expected("a sequence number from 0 to 9999"))?;
    let word = word.and_then(seed).ok_or_else(|| expected("a seed of 1 to 16 letters and digits"))?;
    Ok((number, word))
}

fn hex(text: &str) -> Result<Otp, Error> {
    let expected = Malformed::Expected("16 hexadecimal digits");
    parse_hex(text).ok_or_else(|| Error::malformed(RESPONSE, expected))
}

fn six_words(text: &str) -> Result<Otp, Error> {
    let expected = |fault| match fault {
        WordsFault::Count => "six words",
        WordsFault::Unknown => "words of the standard dictionary; alternative dictionaries are not supported",
        WordsFault::Checksum => "six words with a valid checksum",
    };
    words::parse(text).map_err(|fault| Error::malformed(RESPONSE, Malformed::Expected(expected(fault))))
}
