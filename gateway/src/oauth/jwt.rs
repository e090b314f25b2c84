//! Signed tokens (JWS in compact form, RFC 7515), with the rules of RFC 8725: the algorithms are those that the settings allow, the
//! key is one of the issuer's and fits the algorithm, and what the token itself says about keys is ignored.

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::algorithms::{Algorithm, ALGORITHMS};
use super::claims::Refusal;
use super::json::{self, base64url};
use super::key_set::KeySet;

/// Maximum length in bytes.
const LIMIT: usize = 16_384;

/// A token whose signature is not verified yet.
pub struct Unverified {
    signed: Zeroizing<Vec<u8>>,
    algorithm: &'static Algorithm,
    kid: Option<String>,
    claims: Map<String, Value>,
    signature: Zeroizing<Vec<u8>>,
}

/// Whether it has the form of a signed token. Others may be for the provider to judge.
pub fn is_signed(token: &[u8]) -> bool {
    token.iter().filter(|byte| **byte == b'.').count() == 2
}

impl Unverified {
    /// `kind`: the type that the header must state.
    pub fn parse(token: &[u8], allowed: &[String], kind: Option<&str>) -> Result<Self, Refusal> {
        if token.len() > LIMIT {
            return Err(Refusal::new(format!("it is longer than {LIMIT} bytes")));
        }
        let token = std::str::from_utf8(token).unwrap_or_default();
        let mut parts = token.split('.');
        let (Some(head), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::new("it is not a signed token: three parts were expected"));
        };
        let signed = Zeroizing::new(token.as_bytes()[..head.len() + 1 + claims.len()].to_vec());
        let decoded = |part| base64url(part).ok_or_else(|| Refusal::new("a part is not base64url"));
        let (head, claims, signature) = (decoded(head)?, decoded(claims)?, Zeroizing::new(decoded(signature)?));
        let object = |what, text: &[u8]| {
            json::object(text)
                .ok_or_else(|| Refusal::new(format!("its {what} is not a JSON object with distinct members")))
        };
        let (head, claims) = (object("header", &head)?, object("claims set", &claims)?);
        let algorithm = head.get("alg").and_then(Value::as_str).filter(|name| allowed.iter().any(|own| own == name));
        let algorithm = algorithm.and_then(|name| ALGORITHMS.iter().find(|known| known.name == name));
        let algorithm = algorithm.ok_or_else(|| Refusal::new("its algorithm is not allowed"))?;
        // `b64` (RFC 7797) must be listed in `crit`; without that it means nothing.
        if head.contains_key("crit") {
            return Err(Refusal::new("its header has critical extensions (crit), and none is supported"));
        }
        if !has_type(head.get("typ"), kind) {
            return Err(Refusal::new("its type (typ) is not the expected one"));
        }
        let kid = match head.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.clone()),
            Some(_) => return Err(Refusal::new("its kid is not a string")),
        };
        Ok(Unverified { signed, algorithm, kid, claims, signature })
    }

    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The claims, if a key of the set has signed them.
    pub fn verify(self, keys: &KeySet) -> Result<Map<String, Value>, Refusal> {
        let fitting: Vec<_> = keys.candidates(self.kid()).filter(|key| key.fits(self.algorithm)).collect();
        if fitting.is_empty() {
            return Err(Refusal::new("no key of the issuer fits its kid and algorithm"));
        }
        match fitting.iter().any(|key| key.verifies(self.algorithm, &self.signed, &self.signature)) {
            true => Ok(self.claims),
            false => Err(Refusal::new("its signature is wrong")),
        }
    }
}

/// RFC 8725 section 3.11, RFC 9068 section 2.1: a type is compared without case and without "application/".
fn has_type(stated: Option<&Value>, wanted: Option<&str>) -> bool {
    let Some(stated) = stated else { return wanted.is_none() };
    let Some(stated) = stated.as_str().map(str::to_ascii_lowercase) else { return false };
    let stated = stated.strip_prefix("application/").unwrap_or(&stated);
    match wanted {
        Some(wanted) => stated == wanted.to_ascii_lowercase(),
        None => stated == "jwt" || stated == "at+jwt",
    }
}

#[cfg(test)]
mod tests;
