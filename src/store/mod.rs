//! Where secrets come from besides the application's own words: stored keys and remembered keys.

pub mod keys;
pub mod verifier;
