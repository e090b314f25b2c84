//! What asks one kind of server.

use std::future::Future;
use std::pin::Pin;

use authen_sasl_rust::secret::Secret;

use crate::account::{Account, Unavailable};

/// A question that is being asked. It is dropped if there is no answer in time, and leaves nothing in disorder then.
pub type Asking<'a, T> = Pin<Box<dyn Future<Output = Result<T, Unavailable>> + Send + 'a>>;

/// Asks one kind of server. The [`crate::Store`] around it limits how long and how often; it knows nothing of that.
pub trait Engine: Send + Sync + 'static {
    /// The account of a user; `None` if there is no such user. The name is prepared with SASLprep and contains no NUL.
    fn find<'a>(&'a self, name: &'a str) -> Asking<'a, Option<Account>>;

    /// Whether the server can be asked, and has what the settings say.
    fn probe(&self) -> Asking<'_, ()>;

    /// True if the server checks passwords itself and shows no verifiers, so that only mechanisms that send the password work.
    fn checks_passwords(&self) -> bool {
        false
    }

    /// Whether [`Engine::find`] tells who exists and who is disabled.
    fn knows_users(&self) -> bool {
        true
    }

    /// Checks a password: the user's account; `None` if the user is unknown, disabled, or has another password.
    fn check<'a>(&'a self, _name: &'a str, _password: &'a Secret) -> Asking<'a, Option<Account>> {
        Box::pin(async { Err(Unavailable::new("this server checks no passwords")) })
    }

    /// Gives a user a stronger verifier, if the user still has `stored`, with which the password was compared. Atomic. Returns whether it was
    /// stored.
    fn strengthen<'a>(&'a self, _name: &'a str, _verifier: &'a Secret, _stored: &'a Secret) -> Asking<'a, bool> {
        Box::pin(async { Err(Unavailable::new("this server's accounts cannot be changed")) })
    }
}
