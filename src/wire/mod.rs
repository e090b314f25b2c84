//! Parsing and printing. Each is the inverse of the other.

pub mod digest;
pub mod fields;
pub mod gs2;
pub mod hex;
pub mod json;
pub mod kvpairs;
pub mod names;
pub mod saslname;
pub mod saslprep;
pub mod scram;
