//! No panic reaches C.

pub use saslplug::shielded;

/// The reason of a failure that a panic has caused.
pub const DEFECT: &str = "internal error: a defect of this library, please report it";
