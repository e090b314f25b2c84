//! What an application stores of a password, and comparing a received password with it.

use crate::contract::Lookups;
use crate::error::{Application, Error};
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

/// The stored text as a password, for the mechanisms that compute with the password itself.
///
/// # Errors
/// When it begins like a stored key of SCRAM: that is never a password.
pub fn plain_password(stored: &Secret) -> Result<&Secret, Error> {
    let bytes = stored.expose().trim_ascii_start();
    let after = |prefix: &str| {
        let (start, rest) = bytes.split_at_checked(prefix.len())?;
        start.eq_ignore_ascii_case(prefix.as_bytes()).then_some(rest)
    };
    // RFC 5803 has a dollar sign after the hash's name; without it a password may begin like this.
    let is_named =
        |rest: &[u8]| rest.iter().find(|b| !b.is_ascii_alphanumeric() && **b != b'-').is_some_and(|b| *b == b'$');
    let is_key = after("{SCRAM-").is_some() || after("SCRAM-").is_some_and(is_named);
    if is_key {
        return Err(
            Application::Verifier("a stored key of SCRAM does not do: this mechanism needs the password").into()
        );
    }
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_key_is_never_a_password() {
        for key in [
            "SCRAM-SHA-256$4096:c2FsdA==$a:b",
            "SCRAM-SHA-1$",
            "{SCRAM-SHA-256}4096,c2FsdA==,a,b",
            "{SCRAM-",
            " scram-sha-1$",
        ] {
            let error = plain_password(&Secret::new(key.as_bytes())).unwrap_err();
            assert!(matches!(error, Error::Application(Application::Verifier(_))), "{key}");
        }
        for password in ["", "SCRAM-SHA-256", "SCRAM-bled eggs$", "$SCRAM-SHA-1$", "{SCRAM"] {
            assert!(plain_password(&Secret::new(password.as_bytes())).is_ok(), "{password}");
        }
    }
}
