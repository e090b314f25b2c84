//! Why a session ended, for the log and the metrics.

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// The client or the backend has closed its side.
    Closed,
    /// One of the connections has failed.
    Failed,
    /// By `sasl-gate kick`.
    Kicked,
    /// The user is gone or disabled.
    NoUser,
    /// No access rule leads the user to this backend any more.
    NoAccess,
    /// The client's certificate is revoked.
    CertificateRevoked,
    /// The token is revoked or has expired.
    TokenInvalid,
}

impl EndReason {
    pub const ALL: [EndReason; 7] = [
        EndReason::Closed,
        EndReason::Failed,
        EndReason::Kicked,
        EndReason::NoUser,
        EndReason::NoAccess,
        EndReason::CertificateRevoked,
        EndReason::TokenInvalid,
    ];

    /// Its name in the log and in the metrics.
    pub fn text(self) -> &'static str {
        match self {
            EndReason::Closed => "closed",
            EndReason::Failed => "failed",
            EndReason::Kicked => "kicked",
            EndReason::NoUser => "no-user",
            EndReason::NoAccess => "no-access",
            EndReason::CertificateRevoked => "certificate-revoked",
            EndReason::TokenInvalid => "token-invalid",
        }
    }
}
