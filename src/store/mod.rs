//! Stored verifiers as values, what stands for unknown users, and a client's memory of derived keys.

pub mod check;
pub mod keys;
pub mod mock;
pub mod verifier;
