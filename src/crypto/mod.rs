//! Hashes, HMAC and key derivation: thin layers over RustCrypto.

pub mod hash;
pub mod pbkdf2;
pub mod scram;
