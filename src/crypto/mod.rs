//! Hash families, HMAC, key derivation: thin, over RustCrypto.

pub mod hash;
pub mod pbkdf2;
pub mod scram;
