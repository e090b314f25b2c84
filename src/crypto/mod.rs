//! Hash families, HMAC, key derivation: thin, over RustCrypto.

pub mod des;
pub mod hash;
pub mod hmac_md5;
mod hmac_md5_rc4;
pub mod pbkdf2;
pub mod rc4;
pub mod scram;
