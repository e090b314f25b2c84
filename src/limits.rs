//! Limits of what is read from a peer and taken from the application.

/// Longest message that is read from a peer, in bytes. Tickets with a Windows authorization are the longest
/// that there are, some hundred kilobytes.
pub const MESSAGE_LIMIT: usize = 1 << 20;

/// Longest name (authentication or authorization identity, host, port), in bytes, from a peer or from the
/// application. The longest that a standard allows is XMPP's address of 3071 bytes (RFC 7622 §3.1).
pub const NAME_LIMIT: usize = 4096;

/// Longest password, token or verifier that the application gives, in bytes.
pub const SECRET_LIMIT: usize = 1 << 16;
