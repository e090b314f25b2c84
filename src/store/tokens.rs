//! The tokens that a server has issued to a user, as one secret: with a NUL between them, which no token may hold.
//!
//! A user has one token for each of its devices, and two of a device while they are rotated. Their order is the application's, which
//! learns from it which token the client has proved. An empty entry keeps the place of a token that has expired: it is nobody's.

use crate::error::{Application, Error, Subject};
use crate::secret::Secret;

/// Most tokens of a user. An HMAC is computed for as many, whoever asks and however many there are, so that time does not tell who is
/// known.
pub const TOKENS_LIMIT: usize = 16;

/// The tokens as one secret.
///
/// ```
/// use authen_sasl_rust::store::tokens;
///
/// let secret = tokens::join(["old", "", "new"]);
/// assert_eq!(tokens::split(&secret).collect::<Vec<_>>(), [&b"old"[..], b"", b"new"]);
/// ```
pub fn join<T: AsRef<[u8]>>(tokens: impl IntoIterator<Item = T>) -> Secret {
    let mut joined = Vec::new();
    for (index, token) in tokens.into_iter().enumerate() {
        if index > 0 {
            joined.push(0);
        }
        joined.extend_from_slice(token.as_ref());
    }
    joined.into()
}

/// The tokens in their order.
pub fn split(tokens: &Secret) -> impl Iterator<Item = &[u8]> {
    tokens.expose().split(|&b| b == 0)
}

/// Why these tokens are of no use.
///
/// # Errors
/// [`Application::Unusable`] for more than [`TOKENS_LIMIT`].
pub fn fits(tokens: &[u8]) -> Result<(), Error> {
    if tokens.split(|&b| b == 0).count() > TOKENS_LIMIT {
        return Err(Application::Unusable { what: Subject::HtTokens, reason: "holds more than 16 tokens" }.into());
    }
    Ok(())
}
