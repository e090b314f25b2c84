//! A server's accounts, and the properties of users that they know.

use std::fmt;

use crate::config::Config;
use crate::error::{Code, Error};
use crate::secret::Secret;
use crate::vocabulary::{Abilities, Answer, CredentialKind, Description, Question};

/// A server's accounts: who answers the questions that its application has no callback for.
///
/// The session asks the application first; what it has no callback for goes here, and is answered at once:
/// an implementation that reads a file or waits for a daemon bounds the time that it takes.
pub trait Accounts: Send + Sync + fmt::Debug {
    /// The questions that it answers: any of [`Abilities::CHECK_PASSWORD`], [`Abilities::CREDENTIALS`],
    /// [`Abilities::CANONICALIZE`] and [`Abilities::AUTHORIZE`].
    fn abilities(&self) -> Abilities;

    /// Answers a question of one of these kinds. An unknown user is an answer, as a refusal is.
    ///
    /// # Errors
    /// [`Error::Outside`] when there is no answer: the store is unreadable, the daemon silent.
    /// [`crate::error::Refused::Unusable`] when what is stored of this one user is no use: the peer is answered as if the user were
    /// unknown.
    fn answer(&self, question: &Question, config: &Config) -> Result<Answer, Error>;

    /// Why a mechanism whose questions it answers cannot be offered all the same, for instance because
    /// there are verifiers where a password is needed.
    fn unfit_reason(&self, _mechanism: &Description) -> Option<String> {
        None
    }

    /// Whether they can be asked now: where they cannot, no mechanism is to blame for it.
    ///
    /// # Errors
    /// [`Error::Outside`] with the reason why not.
    fn available(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Why nobody can log in as this user by a mechanism that computes with this kind, if that is so: the user is disabled,
    /// or has no such credential.
    /// It is for the operator, once a login has failed.
    fn unusable(&self, _authcid: &str, _kind: CredentialKind) -> Option<Error> {
        None
    }

    /// Why a mechanism is not to be offered at all, whoever answers for it: the administrator's list of mechanisms.
    fn excluded_reason(&self, _mechanism: &Description) -> Option<String> {
        None
    }

    /// Looks up the properties that the application has asked for. One that the user lacks is left out.
    ///
    /// # Errors
    /// As [`Accounts::answer`].
    fn properties(&self, _wanted: &[Box<str>], _of: Account<'_>, _config: &Config) -> Result<Properties, Error> {
        Ok(Properties::default())
    }

    /// Sets properties of a user, or takes away those whose value is `None`.
    ///
    /// # Errors
    /// [`Error::Outside`] if it cannot be done, or not here at all.
    fn store(&self, _of: Account<'_>, _values: &[(&str, Option<&Secret>)], _config: &Config) -> Result<(), Error> {
        Err(Error::outside(Code::NoChange, "these accounts cannot be changed"))
    }
}

/// Whose properties are looked up. The names are canonical.
#[derive(Debug, Clone, Copy)]
pub struct Account<'a> {
    /// Authentication identity.
    pub authcid: &'a str,
    /// Authorization identity, if it is another.
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

    /// The values of a property; none if the user lacks it.
    pub fn get(&self, name: &str) -> &[Secret] {
        self.0.iter().find(|(n, _)| **n == *name).map_or(&[], |(_, values)| values)
    }
}
