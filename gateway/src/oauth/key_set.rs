//! A provider's public keys (JWK, RFC 7517).

use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::{Map, Value};

use super::algorithms::{Algorithm, Method};
use super::json::{self, base64url};

/// The minimum size of an RSA modulus in bytes: 2048 bits.
const MIN_RSA_BYTES: usize = 256;

/// The maximum number of keys in a set.
const MAX_KEYS: usize = 100;

/// A public key that can check signatures.
#[derive(Debug)]
pub struct Key {
    kid: Option<String>,
    /// The only algorithm that it is for, if it names one.
    algorithm: Option<String>,
    public: Public,
}

#[derive(Debug)]
enum Public {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// Its coordinates.
    Ec {
        curve: String,
        x: Vec<u8>,
        y: Vec<u8>,
    },
    Ed25519(Vec<u8>),
}

impl Key {
    /// `None` for a key that cannot check signatures of any algorithm here: of another kind, for another use, or too weak.
    fn from_jwk(jwk: &Map<String, Value>) -> Option<Key> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let number = |name: &str| text(name).and_then(base64url);
        if jwk.get("use").is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let operations = jwk.get("key_ops").map(|list| list.as_array().map_or(&[][..], Vec::as_slice));
        if operations.is_some_and(|list| !list.iter().any(|operation| operation == "verify")) {
            return None;
        }
        let public = match text("kty")? {
            "RSA" => {
                let n = without_zeros(number("n")?);
                if n.len() < MIN_RSA_BYTES {
                    return None;
                }
                Public::Rsa { n, e: without_zeros(number("e")?) }
            }
            "EC" => Public::Ec { curve: text("crv")?.into(), x: number("x")?, y: number("y")? },
            "OKP" if text("crv")? == "Ed25519" => Public::Ed25519(number("x")?),
            _ => return None,
        };
        let algorithm = match jwk.get("alg") {
            None => None,
            Some(name) => Some(name.as_str()?.to_owned()),
        };
        Some(Key { kid: text("kid").map(str::to_owned), algorithm, public })
    }

    /// Whether it is a key for this algorithm: of its type and curve, and not meant for another one.
    pub fn fits(&self, algorithm: &Algorithm) -> bool {
        self.algorithm.as_deref().is_none_or(|name| name == algorithm.name)
            && match (&self.public, &algorithm.method) {
                (Public::Rsa { .. }, Method::Rsa(_)) | (Public::Ed25519(_), Method::Ed25519) => true,
                (Public::Ec { curve, .. }, Method::Ec(wanted, ..)) => curve == wanted,
                _ => false,
            }
    }

    /// Whether this is its signature of these bytes. An invalid key has no signatures.
    pub fn verifies(&self, algorithm: &Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        match (&self.public, &algorithm.method) {
            (Public::Rsa { n, e }, Method::Rsa(parameters)) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, signed, signature).is_ok()
            }
            (Public::Ec { x, y, .. }, Method::Ec(_, size, method)) => {
                let (Some(x), Some(y)) = (padded(x, *size), padded(y, *size)) else { return false };
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                UnparsedPublicKey::new(*method, point).verify(signed, signature).is_ok()
            }
            (Public::Ed25519(key), Method::Ed25519) => {
                UnparsedPublicKey::new(&signature::ED25519, key).verify(signed, signature).is_ok()
            }
            _ => false,
        }
    }
}

fn without_zeros(number: Vec<u8>) -> Vec<u8> {
    number.into_iter().skip_while(|byte| *byte == 0).collect()
}

/// RFC 7518 section 6.2.1.2 demands the full length; some libraries (Authlib 1.2) leave zeros out.
fn padded(coordinate: &[u8], size: usize) -> Option<Vec<u8>> {
    let zeros = size.checked_sub(coordinate.len())?;
    Some([&vec![0; zeros], coordinate].concat())
}

/// A JSON Web Key Set.
#[derive(Debug, Default)]
pub struct KeySet(Vec<Key>);

impl KeySet {
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let set = json::object(text).ok_or("it is not a JSON object, or a member occurs twice")?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or("it is not a JSON Web Key Set")?;
        if keys.len() > MAX_KEYS {
            return Err(format!("it has more than {MAX_KEYS} keys"));
        }
        Ok(KeySet(keys.iter().filter_map(|key| Key::from_jwk(key.as_object()?)).collect()))
    }

    /// The keys with that `kid`; all of them if the token names none.
    pub fn candidates<'k>(&'k self, kid: Option<&'k str>) -> impl Iterator<Item = &'k Key> {
        self.0.iter().filter(move |key| kid.is_none() || key.kid.as_deref() == kid)
    }

    pub fn has(&self, kid: Option<&str>) -> bool {
        self.candidates(kid).next().is_some()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}
