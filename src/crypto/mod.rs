//! Hashes, HMAC and key derivation: thin layers over RustCrypto.
//!
//! ```
//! use authen_sasl_rust::crypto::hash::Hash;
//! use authen_sasl_rust::crypto::pbkdf2::derive;
//! use authen_sasl_rust::wire::scram::print_base64;
//!
//! // The salted password of RFC 5802 §5 (SaltedPassword), and the client's key.
//! let salted = derive(Hash::Sha1, b"pencil", &[0x41, 0x25, 0xc2, 0x47, 0xe4, 0x3a, 0xb1, 0xe9, 0x3c, 0x6d, 0xff, 0x76], 4096);
//! let client_key = Hash::Sha1.hmac(&salted, &[b"Client Key"]);
//! let mut text = Vec::new();
//! print_base64(&Hash::Sha1.digest(&client_key), &mut text);
//! assert_eq!(text, b"6dlGYMOdZcOPutkcNY8U2g7vK9Y=");
//! ```

pub mod hash;
#[cfg(feature = "otp")]
#[doc(hidden)]
pub mod otp;
#[doc(hidden)]
pub mod pbkdf2;
#[doc(hidden)]
pub mod scram;
