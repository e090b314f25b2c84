//! Limits of the values that are read from a peer and taken from the application.

/// Longest message that is read from a peer, in bytes. The longest in practice are Kerberos tickets with Windows
/// authorization data: some hundred kilobytes.
pub const MESSAGE_LIMIT: usize = 1 << 20;

/// Longest name (authentication or authorization identity, host, port) of a peer or of the application, in bytes.
/// The longest name in a standard is XMPP's address of 3071 bytes (RFC 7622 §3.1).
pub const NAME_LIMIT: usize = 4096;

/// Longest password, token or verifier of the application, in bytes.
pub const SECRET_LIMIT: usize = 1 << 16;
