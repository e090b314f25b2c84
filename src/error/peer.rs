//! What a peer can do wrong: a message that does not parse, and one that parses and breaks a rule.

use thiserror::Error;

/// Ways in which a peer's message can fail to parse.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Malformed {
    /// A required field is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field is where another one must be, or an unknown field is there.
    #[error("{0} was expected here")]
    Expected(&'static str),
    /// A field occurs twice.
    #[error("{0} occurs more than once")]
    Duplicate(&'static str),
    /// A field is empty that must not be.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// A field is not base64, or not in canonical form.
    #[error("{0} is not valid base64")]
    Base64(&'static str),
    /// A field is no number, or one out of its range.
    #[error("{0} is not a number in its range")]
    Number(&'static str),
    /// A field is not valid UTF-8.
    #[error("{0} is not valid UTF-8")]
    Utf8(&'static str),
    /// A field contains a character that its grammar forbids.
    #[error("{0} holds a forbidden character")]
    Character(&'static str),
    /// An escape sequence is wrong.
    #[error("{0} holds a wrong escape sequence")]
    Escape(&'static str),
    /// A field is longer than our limit.
    #[error("{field} is longer than {limit} bytes")]
    TooLong {
        /// The field, or `the message`.
        field: &'static str,
        /// The limit, in bytes.
        limit: usize,
    },
    /// Bytes follow after the end of the message.
    #[error("unexpected bytes follow {0}")]
    Trailing(&'static str),
    /// The message must be empty but is not, or must not come at all.
    #[error("{0}")]
    Unexpected(&'static str),
}

/// Rules that a peer can break with a well-formed message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// The peer did not return the nonce of this exchange.
    #[error("the nonce is not the one of this exchange")]
    NonceMismatch,
    /// The server added nothing to the client's nonce (RFC 5802 §5.1).
    #[error("the server added nothing to the client's nonce")]
    NonceNotExtended,
    /// `m=` announces a mandatory extension, which we do not support (RFC 5802 §5.1).
    #[error("it requires an extension that is not supported (m=)")]
    MandatoryExtension,
    /// Fewer iterations than the minimum that is acceptable.
    #[error("{got} iterations are fewer than the least acceptable, {least} (property min_iterations)")]
    IterationsTooLow {
        /// The peer's count.
        got: u32,
        /// Our limit.
        least: u32,
    },
    /// More iterations than the maximum that is acceptable.
    #[error("{got} iterations are more than the most acceptable, {most} (property max_iterations)")]
    IterationsTooHigh {
        /// The peer's count.
        got: u32,
        /// Our limit.
        most: u32,
    },
    /// The server could not prove that it knows the password or its verifier.
    #[error("the server's proof is wrong: it does not know the password, or is not the server it claims to be")]
    ServerProof,
    /// The server ended without the proof that the mechanism requires.
    #[error("the server ended without its proof")]
    ServerProofMissing,
    /// `c=` does not repeat the GS2 header and channel binding (RFC 5802 §6).
    #[error("the channel binding does not match: a man in the middle, or another TLS connection")]
    ChannelBindingMismatch,
    /// The library does not confirm that a context is bound to the GS2 header (RFC 5801 §5.1).
    #[error("the library does not confirm that it is bound to the GS2 header: the client has not bound it, or this library is older than MIT Kerberos 1.19 or Heimdal 8")]
    BindingUnconfirmed,
    /// The client believes that we offer no -PLUS, but we do (RFC 5802 §6).
    #[error("the client says that this server offers no channel binding, which it does: the list of mechanisms was changed on the way")]
    Downgrade,
    /// The server offered other mechanisms or binding types than those that arrived (XEP-0474).
    #[error("the server offered other mechanisms or channel binding types than offered_mechanisms and offered_bindings name: the list was changed on the way")]
    OffersChanged,
    /// The server says that its connection has another version of TLS (XEP-0515).
    #[error("the server's version of TLS is not this client's (tls_version): there is a man in the middle")]
    TlsVersion,
    /// The list that arrived has -PLUS without a type that the client has data for, and the server does not confirm the
    /// list.
    #[error("the list that has arrived names no channel binding type that this side has data for, and the server's hash (XEP-0474) does not confirm it: somebody may have changed it on the way")]
    NoCommonBinding,
    /// The peer asks for a binding type that this side has no data for.
    #[error("this side has no channel binding data of the type that the peer asks for")]
    ChannelBindingUnsupported,
    /// A directive has a value that this side did not offer.
    #[error("{0} is not one that this side offered")]
    NotOffered(&'static str),
    /// A nonce was used again (RFC 2831 §2.1.2).
    #[error("the nonce was used before")]
    Replay,
    /// The peer has disconnected, or started something else.
    #[error("the peer ended the exchange before its end")]
    Abandoned,
    /// A frame of a security layer has a wrong authentication code.
    #[error("the authentication code is wrong: the frame was changed on the way")]
    Damaged,
    /// The peer binds to the channel (`p=`) in a mechanism without channel binding (RFC 5801 §2).
    #[error("it binds to a channel (p=), which this mechanism does not")]
    UnexpectedBinding,
    /// The peer does not bind to the channel although the mechanism (RFC 5801 §2) or this side's policy requires it.
    #[error("it binds to no channel, which this mechanism must")]
    MissingBinding,
    /// `digest-uri` names another service or host (RFC 2831 §2.1.2).
    #[error("digest-uri names another service or host than this server's")]
    OtherService,
    /// A client of GSSAPI selects no security layer, or several (RFC 4752 §3.1).
    #[error("exactly one security layer must be selected")]
    LayerSelection,
    /// A client of Kerberos delegates credentials that are not its own.
    #[error("the client has delegated the credentials of somebody else")]
    ForeignDelegation,
    /// A frame of DIGEST-MD5 has a message type other than 1 (RFC 2831 §2.3).
    #[error("its message type is not 1")]
    MessageType,
    /// A frame is out of sequence.
    #[error("its sequence number is not the next one: a frame was repeated, lost or moved")]
    OutOfSequence,
    /// A frame is not encrypted although confidentiality was negotiated.
    #[error("it is not encrypted, although encryption was negotiated")]
    NotEncrypted,
    /// A frame's plaintext would be longer than the frame.
    #[error("its plaintext is longer than the frame")]
    Inflated,
}
