//! Limits of the options and their defaults.

/// Longest value of an option, and of a channel binding's data, in bytes.
pub const VALUE_LIMIT: usize = 1 << 16;
/// Types of channel binding that one connection can have data of; three are in use.
pub const BINDINGS_LIMIT: usize = 16;
/// Longest frame of a security layer that can be agreed on, in bytes: its length has three octets
/// (RFC 4752 §3.1, RFC 2831 §2.1.1).
pub const FRAME_LIMIT: u32 = 0xFF_FFFF;
/// Longest frame that is received unless the caller says otherwise, in bytes (RFC 2831 §2.1.1).
pub const DEFAULT_MAX_BUF: u32 = 65536;
/// SCRAM's iterations: the fewest that a client accepts (RFC 7677 §4) and a server names, unless the caller
/// says otherwise; a server cannot name fewer.
pub const MIN_ITERATIONS: u32 = 4096;
/// The most that a client accepts unless the caller says otherwise: a second of work.
pub const MAX_ITERATIONS: u32 = 2_000_000;
/// The most that a server can be told to name: nobody waits for more.
pub const ITERATIONS_LIMIT: u32 = 100_000_000;
