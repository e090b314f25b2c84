//! Stored verifiers and issued tokens as values, what stands for unknown users, and a client's memory of derived keys.

pub mod check;
pub mod keys;
pub mod mock;
pub mod tokens;
pub mod verifier;
