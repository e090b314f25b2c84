//! Limits of the options and their defaults.

/// Longest value of an option, and of a channel binding's data, in bytes.
pub const VALUE_LIMIT: usize = 1 << 16;
/// Maximum number of channel binding types per connection; three types are in use.
pub const BINDINGS_LIMIT: usize = 16;
/// Longest frame of a security layer that can be negotiated, in bytes: its length has three octets
/// (RFC 4752 §3.1, RFC 2831 §2.1.1).
pub const FRAME_LIMIT: u32 = 0xFF_FFFF;
/// Default of the longest frame that is received, in bytes (RFC 2831 §2.1.1).
pub const DEFAULT_MAX_BUF: u32 = 65536;
/// SCRAM iterations: the default of the minimum that a client accepts (RFC 7677 §4), and of the number that a server
/// sends. A server cannot be set to fewer.
pub const MIN_ITERATIONS: u32 = 4096;
/// SCRAM iterations: the default of the maximum that a client accepts, which takes about a second.
pub const MAX_ITERATIONS: u32 = 2_000_000;
/// SCRAM iterations: the maximum that a server can be set to. More would take too long.
pub const ITERATIONS_LIMIT: u32 = 100_000_000;
/// Highest sequence number of OTP, as with libsasl2.
pub const OTP_SEQUENCE_LIMIT: u32 = 9999;
