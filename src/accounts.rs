//! A server's accounts, and the properties of users that they know.
//!
//! [`crate::guide::account_store`] shows how to write a store.
//!
//! ```
//! use authen_sasl_rust::accounts::Properties;
//!
//! let mut properties = Properties::default();
//! properties.add("mail", [b"fred@example.org"[..].to_vec().into()]);
//! assert!(properties.get("mail")[0].ct_eq(b"fred@example.org"));
//! assert!(properties.get("phone").is_empty());
//! ```

use std::fmt;

use crate::config::Config;
use crate::crypto::scram::Strength;
use crate::error::{Code, Error};
use crate::secret::Secret;
use crate::vocabulary::{Abilities, Answer, CredentialKind, Description, Question};

/// A server's accounts. They answer the questions that its application does not answer itself.
///
/// The session asks the application first, and the accounts for the rest. They answer at once: an implementation that
/// reads a file or waits for a daemon must limit the time it takes.
pub trait Accounts: Send + Sync + fmt::Debug {
    /// The questions that it answers: any of [`Abilities::CHECK_PASSWORD`], [`Abilities::CREDENTIALS`],
    /// [`Abilities::CANONICALIZE`], [`Abilities::AUTHORIZE`] and [`Abilities::OTP`].
    fn abilities(&self) -> Abilities;

    /// Answers a question of one of these kinds. "Unknown user" and "refused" are answers, not errors.
    ///
    /// # Errors
    /// [`Error::Outside`] if there is no answer: the store cannot be read, or the daemon does not reply.
    /// [`crate::error::Refused::Unusable`] if the stored secret of this one user cannot be used. The peer is then answered as
    /// for an unknown user.
    fn answer(&self, question: &Question, config: &Config) -> Result<Answer, Error>;

    /// Why a mechanism cannot be offered although its questions can be answered: for instance, the store has verifiers and
    /// the mechanism needs passwords.
    fn unfit_reason(&self, _mechanism: &Description) -> Option<String> {
        None
    }

    /// Checks that the accounts can be asked now. If they cannot, this error is reported rather than a reason for each
    /// mechanism.
    ///
    /// # Errors
    /// [`Error::Outside`] with the reason.
    fn available(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Why this user cannot log in with a mechanism that needs this kind of credential: the user is disabled, or has no such
    /// credential. `None` if the user can. The operator sees the reason after a failed login; the client does not.
    fn unusable(&self, _authcid: &str, _kind: CredentialKind) -> Option<Error> {
        None
    }

    /// Why this user may not log in at all, whatever proves the identity: the account is disabled. `None` for an active user and
    /// for an unknown one, and if the accounts do not say who is disabled. The session asks before a success that the accounts
    /// have not decided themselves: by a token, a certificate, Kerberos, or an answer of the application. The client is answered
    /// as for a wrong credential; the operator sees the reason.
    ///
    /// # Errors
    /// [`Error::Outside`] if the accounts cannot be asked. Then the client is not let in.
    fn disabled_reason(&self, _of: Account<'_>, _config: &Config) -> Result<Option<Error>, Error> {
        Ok(None)
    }

    /// Why a mechanism must not be offered at all, even if the application answers for it: the administrator's list of
    /// mechanisms excludes it.
    fn excluded_reason(&self, _mechanism: &Description) -> Option<String> {
        None
    }

    /// Looks up the properties that the application has asked for. Properties that the user does not have are left out.
    ///
    /// # Errors
    /// As [`Accounts::answer`].
    fn properties(&self, _wanted: &[Box<str>], _of: Account<'_>, _config: &Config) -> Result<Properties, Error> {
        Ok(Properties::default())
    }

    /// Sets properties of a user. A value of `None` removes the property.
    ///
    /// # Errors
    /// [`Error::Outside`] if this fails, or if these accounts cannot be changed.
    fn store(&self, _of: Account<'_>, _values: &[(&str, Option<&Secret>)], _config: &Config) -> Result<(), Error> {
        Err(Error::outside(Code::NoChange, "these accounts cannot be changed"))
    }

    /// Gives a user who has just logged in a verifier of this strength, if none of the user's is as strong, and the stored secret has not
    /// changed since. True if it was stored. It must not wait for long: the login waits for it.
    ///
    /// # Errors
    /// As [`Accounts::store`]. The login succeeds nevertheless.
    fn upgrade(&self, _of: Account<'_>, _proof: &Proof<'_>, _wanted: Strength) -> Result<bool, Error> {
        Err(Error::outside(Code::NoChange, "these accounts cannot be changed"))
    }
}

/// What a login has proved.
#[derive(Debug, Clone, Copy)]
pub struct Proof<'a> {
    /// The password.
    pub password: &'a Secret,
    /// The stored secret that it fits.
    pub stored: &'a Secret,
}

/// A user about whom accounts are asked. The names are canonical.
#[derive(Debug, Clone, Copy)]
pub struct Account<'a> {
    /// Authentication identity.
    pub authcid: &'a str,
    /// Authorization identity, if it differs.
    pub authzid: Option<&'a str>,
    /// The realm, where the mechanism has one.
    pub realm: Option<&'a str>,
}

/// Properties of a user by name, each with its values in order.
#[derive(Debug, Default)]
pub struct Properties(Vec<(Box<str>, Vec<Secret>)>);

impl Properties {
    /// Adds values to a property.
    pub fn add(&mut self, name: &str, values: impl IntoIterator<Item = Secret>) {
        match self.0.iter_mut().find(|(n, _)| **n == *name) {
            Some((_, known)) => known.extend(values),
            None => self.0.push((name.into(), values.into_iter().collect())),
        }
    }

    /// The values of a property; empty if the user does not have it.
    pub fn get(&self, name: &str) -> &[Secret] {
        self.0.iter().find(|(n, _)| **n == *name).map_or(&[], |(_, values)| values)
    }
}
