//! What an application stores of a password, and comparing a received password with it.

use crate::contract::Lookups;
use crate::error::Error;
use crate::secret::Secret;
use crate::wire::saslprep;

/// Is `password`, as received, the one that `stored` was made of? `None` is an unknown user.
///
/// # Errors
/// When `stored` begins like a stored key and is none.
pub fn check_password(stored: Option<&Secret>, password: &Secret, lookups: &dyn Lookups) -> Result<bool, Error> {
    let Some(stored) = stored else { return Ok(false) };
    lookups.saw(false);
    let prepare = |secret: &Secret| {
        let text = secret.expose_str()?;
        Some(Secret::new(saslprep::query(text).ok()?.as_bytes()))
    };
    Ok(match (prepare(stored), prepare(password)) {
        (Some(ours), Some(theirs)) => ours.ct_eq(theirs.expose()),
        _ => stored.ct_eq(password.expose()) && !stored.is_empty(),
    })
}
