//! Parsing and printing, each the other's inverse.

pub mod digest;
pub mod hex;
pub mod json;
pub mod kvpairs;
pub mod saslname;
pub mod saslprep;
