//! Signature algorithms (RFC 7518 section 3.1, RFC 8037).

use ring::signature::{self, EcdsaVerificationAlgorithm, RsaParameters};

pub struct Algorithm {
    pub name: &'static str,
    pub method: Method,
}

pub enum Method {
    Rsa(&'static RsaParameters),
    /// The curve, the bytes of a coordinate.
    Ec(&'static str, usize, &'static EcdsaVerificationAlgorithm),
    Ed25519,
}

/// Public-key signatures only. `none` and HMAC are not in the table: with a public key as its secret, anybody could make an HMAC.
pub static ALGORITHMS: [Algorithm; 9] = [
    Algorithm { name: "ES256", method: Method::Ec("P-256", 32, &signature::ECDSA_P256_SHA256_FIXED) },
    Algorithm { name: "ES384", method: Method::Ec("P-384", 48, &signature::ECDSA_P384_SHA384_FIXED) },
    Algorithm { name: "EdDSA", method: Method::Ed25519 },
    Algorithm { name: "PS256", method: Method::Rsa(&signature::RSA_PSS_2048_8192_SHA256) },
    Algorithm { name: "PS384", method: Method::Rsa(&signature::RSA_PSS_2048_8192_SHA384) },
    Algorithm { name: "PS512", method: Method::Rsa(&signature::RSA_PSS_2048_8192_SHA512) },
    Algorithm { name: "RS256", method: Method::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256) },
    Algorithm { name: "RS384", method: Method::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384) },
    Algorithm { name: "RS512", method: Method::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512) },
];
