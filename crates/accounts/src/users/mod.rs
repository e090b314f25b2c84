//! Accounts in a file of verifiers: a store without other software.

mod chain;
mod edit;
#[cfg(unix)]
mod file;
#[cfg(not(unix))]
#[path = "file_absent.rs"]
mod file;
mod lookup;
mod one_time;
mod table;
mod usual;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use table::{stored_name, User, Users, NAME_LIMIT};

use authen_sasl_rust::accounts::{Account, Accounts, Proof};
use authen_sasl_rust::config::{Config, ITERATIONS_LIMIT, MIN_ITERATIONS};
use authen_sasl_rust::contract::{Abilities, Answer, CredentialKind, Description, Question, Random};
use authen_sasl_rust::crypto::hash::Hash;
use authen_sasl_rust::crypto::scram::{parse_mechanism_name, usual_iterations, Strength};
use authen_sasl_rust::error::{Application, Code, Error, Subject};
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::otp::{self, OtpState};
use authen_sasl_rust::store::verifier::Verifier;
use authen_sasl_rust::wire;
use authen_sasl_rust::world::OsRandom;
use file::{Locked, Opened, Stamp};

/// How long a writer waits for others.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// A users' file. Each look-up uses its current contents.
#[derive(Debug)]
pub struct UsersFile {
    path: PathBuf,
    last: Mutex<Option<Reading>>,
}

/// The contents as last read.
#[derive(Debug)]
struct Reading {
    stamp: Stamp,
    users: Arc<Users>,
    /// While it is open, no other file gets its inode number.
    _file: Opened,
}

/// A new password.
#[derive(Debug)]
pub struct NewPassword<'a> {
    /// The password, not prepared.
    pub password: &'a Secret,
    /// Names of SCRAM mechanisms, for one verifier each. `None`: those that the user has; SCRAM-SHA-256 for a new user.
    pub mechanisms: Option<&'a str>,
    /// `None`: as many as the user's verifiers have; for a hash that the user does not have, at least the usual ones.
    pub iterations: Option<u32>,
}

/// Whether the user of a new password must exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The user must not exist.
    New,
    /// The user must exist.
    Known,
    /// Both are allowed.
    Either,
}

impl Expected {
    /// Checks the expectation.
    ///
    /// # Errors
    /// If it is not met: the code and the text.
    pub fn check(self, known: bool) -> Result<(), (Code, &'static str)> {
        match (known, self) {
            (true, Expected::New) => Err((Code::NoChange, "this user is there already")),
            (false, Expected::Known) => Err((Code::NoUser, "there is no such user")),
            _ => Ok(()),
        }
    }
}

impl UsersFile {
    /// The file of that name. It need not exist yet.
    ///
    /// # Errors
    /// If a relative name cannot be made absolute. (The process may change its working directory later.)
    pub fn new(path: &Path) -> Result<Self, Error> {
        let path = std::path::absolute(path).map_err(|error| file::refused(path, &error.to_string()))?;
        Ok(UsersFile { path, last: Mutex::default() })
    }

    /// The current users. The file is read again if it has changed.
    ///
    /// # Errors
    /// [`Error::Outside`] if it cannot be read, may be read by others, or is malformed.
    pub fn users(&self) -> Result<Arc<Users>, Error> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = file::stamp(&self.path)?;
        if let Some(reading) = last.as_ref().filter(|reading| reading.stamp == stamp) {
            return Ok(reading.users.clone());
        }
        *last = None;
        let opened = Opened::read_only(&self.path)?;
        let users = Arc::new(self.parse(&opened.content(&self.path)?)?);
        *last = Some(Reading { stamp: opened.stamp(), users: users.clone(), _file: opened });
        Ok(users)
    }

    fn parse(&self, text: &Secret) -> Result<Users, Error> {
        Users::parse(text).map_err(|what| file::refused(&self.path, &what))
    }

    /// Sets a user's password. The file is created if a new user may be added.
    ///
    /// # Errors
    /// [`Error::Application`] for an invalid name, password, mechanism or count; [`Error::Outside`] with
    /// [`Code::NoUser`] or [`Code::NoChange`] if the user is not as expected; else as [`UsersFile::users`].
    pub fn set_password(&self, name: &str, new: &NewPassword<'_>, expected: Expected) -> Result<(), Error> {
        let name = stored_name(name)?;
        // Checked before the file is read: another writer may create it at any time, and then it stays.
        let known = match self.path.exists() {
            true => self.users()?.find(&name).map_or_else(Vec::new, |user| user.keys),
            false => Vec::new(),
        };
        // Before the file is locked, since this takes time.
        let keys = new.keys(&known)?;
        let salt_key = new_salt_key()?;
        self.change(expected != Expected::Known, |users| {
            self.expect(&users, &name, expected)?;
            Ok(users.with_keys(&name, &keys).and_then(|users| users.with_salt_key(&salt_key)))
        })
    }

    /// Gives a user whose password was proved a verifier of this strength, unless one is as strong. `stored` is the verifier with which
    /// the password was compared. If the user's verifiers have changed since, nothing is changed: somebody has set another password.
    ///
    /// # Errors
    /// As [`UsersFile::set_password`]; [`Code::TryAgain`] if another program is writing the file: a login does not wait for it.
    pub fn upgrade(&self, name: &str, password: &Secret, stored: &Secret, wanted: Strength) -> Result<bool, Error> {
        let name = stored_name(name)?;
        let users = self.users()?;
        let Some(user) = users.find(&name).filter(|user| !user.disabled) else { return Ok(false) };
        let strengths = user.keys.iter().map(|&(hash, iterations)| Strength { hash, iterations });
        let proved = users.texts(&name).any(|text| text.ct_eq(stored.expose()));
        let Some(due) = wanted.due(strengths).filter(|_| proved) else { return Ok(false) };
        let verifier = new_verifier(due.hash, password, due.iterations)?;
        self.strengthen(&name, &verifier, Duration::ZERO, |current| same_texts(current, &users, &name))
    }

    /// Gives a user this verifier, unless one is as strong. `stored` is the verifier with which the password was compared. If the user
    /// does not have it any more, nothing is changed: somebody has set another password.
    ///
    /// # Errors
    /// As [`UsersFile::set_password`].
    pub fn set_stronger(&self, name: &str, verifier: &Secret, stored: &Secret) -> Result<bool, Error> {
        let name = stored_name(name)?;
        let verifier = Verifier::read(verifier)?
            .ok_or(Application::Unusable { what: Subject::StoredSecret, reason: "is not a SCRAM verifier" })?;
        self.strengthen(&name, &verifier, LOCK_WAIT, |current| {
            let user = current.find(&name).filter(|user| !user.disabled);
            let strengths = user.iter().flat_map(|user| &user.keys);
            let strengths = strengths.map(|&(hash, iterations)| Strength { hash, iterations });
            current.texts(&name).any(|text| text.ct_eq(stored.expose()))
                && user.is_some()
                && verifier.strength().due(strengths).is_some()
        })
    }

    /// Adds or replaces a verifier, if the current file still fits what it was made from. `wait`: for other writers.
    fn strengthen(
        &self,
        name: &str,
        verifier: &Verifier,
        wait: Duration,
        fits: impl FnOnce(&Users) -> bool,
    ) -> Result<bool, Error> {
        let salt_key = new_salt_key()?;
        let locked = Locked::new(&self.path, false, wait)?;
        let current = self.parse(&locked.content()?)?;
        if !fits(&current) {
            return Ok(false);
        }
        let changed = current.with_stronger(name, verifier).and_then(|users| users.with_salt_key(&salt_key));
        let changed = changed.map_err(|what| file::refused(&self.path, &what))?;
        locked.replace(&changed.print()).map(|()| true)
    }

    /// Gives a user a chain of one-time passwords, or removes it. The file is created and the user added, if there are none.
    ///
    /// # Errors
    /// As [`UsersFile::set_password`]; [`Code::NoUser`] if there is no chain to be removed.
    pub fn set_chain(&self, name: &str, chain: Option<&OtpState>) -> Result<(), Error> {
        let name = stored_name(name)?;
        let salt_key = new_salt_key()?;
        self.change(chain.is_some(), |users| {
            if chain.is_none() && users.find(&name).is_none_or(|user| user.otp.is_none()) {
                let text = format!("users file {}: this user has no one-time passwords", self.path.display());
                return Err(Error::outside(Code::NoUser, text));
            }
            Ok(users.with_chain(&name, chain).and_then(|users| users.with_salt_key(&salt_key)))
        })
    }

    /// Replaces a user's chain if it is still the old one. The file is locked meanwhile, so that of two logins with one password one
    /// succeeds. An unknown user is locked and unlocked like a known one, in pretence.
    fn replace_chain(&self, name: &str, old: &Secret, new: &Secret, salt_key: Option<&Secret>) -> Result<bool, Error> {
        let new = OtpState::parse(new.expose())?;
        let users = self.users()?;
        if users.chain(name).is_none() {
            let unlocked = |state: OtpState| OtpState { locked_until: 0, ..state };
            let mock = users.chain_or_mock(name, salt_key);
            return Ok(unlocked(OtpState::parse(old.expose())?) == mock && unlocked(new) == mock);
        }
        let new_key = new_salt_key()?;
        let locked = Locked::new(&self.path, false, LOCK_WAIT)?;
        let current = self.parse(&locked.content()?)?;
        if !current.chain(name).is_some_and(|chain| chain.print().ct_eq(old.expose())) {
            return Ok(false);
        }
        let changed = current.with_chain(&lookup::canonical_name(name), Some(&new));
        let changed = changed.and_then(|users| users.with_salt_key(&new_key));
        let changed = changed.map_err(|what| file::refused(&self.path, &what))?;
        locked.replace(&changed.print()).map(|()| true)
    }

    /// Removes a user.
    ///
    /// # Errors
    /// As [`UsersFile::set_password`].
    pub fn delete(&self, name: &str) -> Result<(), Error> {
        let name = stored_name(name)?;
        self.change(false, |users| {
            self.expect(&users, &name, Expected::Known)?;
            Ok(users.without(&name))
        })
    }

    /// Disables or enables a user. A disabled user is treated as unknown.
    ///
    /// # Errors
    /// As [`UsersFile::set_password`].
    pub fn disable(&self, name: &str, disabled: bool) -> Result<(), Error> {
        let name = stored_name(name)?;
        self.change(false, |users| {
            self.expect(&users, &name, Expected::Known)?;
            Ok(users.with_disabled(&name, disabled))
        })
    }

    fn expect(&self, users: &Users, name: &str, expected: Expected) -> Result<(), Error> {
        let outside = |(code, what)| Error::outside(code, format!("users file {}: {what}", self.path.display()));
        expected.check(users.find(name).is_some()).map_err(outside)
    }

    fn change(
        &self,
        create: bool,
        change: impl FnOnce(Users) -> Result<Result<Users, String>, Error>,
    ) -> Result<(), Error> {
        let locked = Locked::new(&self.path, create, LOCK_WAIT)?;
        let changed = change(self.parse(&locked.content()?)?)?.map_err(|what| file::refused(&self.path, &what))?;
        locked.replace(&changed.print())
    }
}

impl NewPassword<'_> {
    /// The verifiers of the new password, for a user who has verifiers with these hashes and counts.
    ///
    /// # Errors
    /// [`Error::Application`] for an invalid password, mechanism or count.
    pub fn keys(&self, known: &[(Hash, u32)]) -> Result<Vec<Verifier>, Error> {
        let kept = known.iter().map(|key| key.1.min(ITERATIONS_LIMIT)).max().unwrap_or(0);
        if self.iterations.is_some_and(|count| !(MIN_ITERATIONS..=ITERATIONS_LIMIT).contains(&count)) {
            let (least, most) = (MIN_ITERATIONS, ITERATIONS_LIMIT);
            return Err(Application::Number { name: "iterations", least, most }.into());
        }
        let hashes = match self.mechanisms {
            Some(names) => hashes(names)?,
            None if known.is_empty() => vec![Hash::Sha256],
            None => known.iter().map(|key| key.0).collect(),
        };
        // A file from elsewhere may have counts that are not allowed for new verifiers.
        let least = |hash| match known.iter().any(|key| key.0 == hash) {
            true => MIN_ITERATIONS,
            false => usual_iterations(hash),
        };
        let iterations = |hash| self.iterations.unwrap_or_else(|| kept.max(least(hash)));
        hashes.into_iter().map(|hash| new_verifier(hash, self.password, iterations(hash))).collect()
    }
}

fn new_salt_key() -> Result<Secret, Error> {
    let mut key = vec![0; 32];
    OsRandom.fill(&mut key)?;
    Ok(key.into())
}

fn new_verifier(hash: Hash, password: &Secret, iterations: u32) -> Result<Verifier, Error> {
    let password = password.expose_str();
    let password = password.ok_or(Application::Unusable { what: Subject::Password, reason: "is not valid UTF-8" })?;
    let mut salt = [0; 16];
    OsRandom.fill(&mut salt)?;
    Verifier::make(hash, password, &salt, iterations)
}

/// True if the user has the same verifiers in both.
fn same_texts(one: &Users, other: &Users, name: &str) -> bool {
    let (mut one, mut other) = (one.texts(name), other.texts(name));
    loop {
        match (one.next(), other.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a.ct_eq(b.expose()) => {}
            _ => return false,
        }
    }
}

/// The hashes of these mechanisms, each one once.
fn hashes(names: &str) -> Result<Vec<Hash>, Error> {
    let mut hashes = Vec::new();
    for name in wire::names::names(names) {
        let (hash, _) = parse_mechanism_name(&name.to_ascii_uppercase())
            .ok_or(Application::Option { name: "mechanism", range: "names of SCRAM mechanisms" })?;
        if !hashes.contains(&hash) {
            hashes.push(hash);
        }
    }
    if hashes.is_empty() {
        return Err(Application::Option { name: "mechanism", range: "names of SCRAM mechanisms" }.into());
    }
    Ok(hashes)
}

impl Accounts for UsersFile {
    fn abilities(&self) -> Abilities {
        Abilities::CREDENTIALS.union(Abilities::CANONICALIZE).union(Abilities::OTP)
    }

    fn answer(&self, question: &Question, config: &Config) -> Result<Answer, Error> {
        Ok(match question {
            Question::Credentials { kind: CredentialKind::Otp, authcid, .. } => {
                Answer::Credential(Some(self.users()?.chain_or_mock(authcid, config.salt_key()).print()))
            }
            Question::Replace { kind: CredentialKind::Otp, authcid, old, new, .. } => {
                Answer::Verdict(self.replace_chain(authcid, old, new, config.salt_key())?)
            }
            Question::Credentials { kind, authcid, .. } => {
                let (salt_key, iterations) =
                    (config.salt_key(), config.iterations(kind.hash().unwrap_or(Hash::Sha256)));
                let key = self.users()?.credential(authcid, *kind, salt_key, iterations);
                Answer::Credential(Some(key))
            }
            Question::Canonicalize { name, .. } => Answer::Text(Some(lookup::canonical_name(name))),
            _ => return Err(Application::WrongAnswer.into()),
        })
    }

    fn unusable(&self, authcid: &str, kind: CredentialKind) -> Option<Error> {
        self.users().ok()?.unusable(authcid, kind).map(|reason| file::refused(&self.path, reason))
    }

    fn disabled_reason(&self, of: Account<'_>, _: &Config) -> Result<Option<Error>, Error> {
        let is_disabled = self.users()?.find(&lookup::canonical_name(of.authcid)).is_some_and(|user| user.disabled);
        Ok(is_disabled.then(|| file::refused(&self.path, lookup::DISABLED)))
    }

    /// A chain of one-time passwords is the only property that can be set.
    fn store(&self, of: Account<'_>, values: &[(&str, Option<&Secret>)], _: &Config) -> Result<(), Error> {
        let &[(otp::PROPERTY, state)] = values else {
            return Err(file::refused(&self.path, "it has no properties of users"));
        };
        let chain = state.map(|state| OtpState::parse(state.expose())).transpose()?;
        self.set_chain(of.authcid, chain.as_ref())
    }

    fn upgrade(&self, of: Account<'_>, proof: &Proof<'_>, wanted: Strength) -> Result<bool, Error> {
        UsersFile::upgrade(self, of.authcid, proof.password, proof.stored, wanted)
    }

    fn available(&self) -> Result<(), Error> {
        self.users().map(drop)
    }

    fn unfit_reason(&self, mechanism: &Description) -> Option<String> {
        self.users().map_or_else(|error| Some(error.to_string()), |users| users.unfit_reason(mechanism))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of RFC 7677 §3.
    pub(super) const KEY: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
        WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
    /// A verifier that no password matches, with a salt of 6 bytes.
    pub(super) const SHA_1: &str =
        "SCRAM-SHA-1$4096:c2FsdHNh$AAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    pub(super) fn parse(text: &str) -> Result<Users, String> {
        Users::parse(&Secret::new(text.as_bytes()))
    }

    #[test]
    fn counts_from_elsewhere_are_kept_within_the_limits() {
        let count = |known: u32, given: Option<u32>| {
            let password = Secret::new(b"pencil");
            let new = NewPassword { password: &password, mechanisms: Some("SCRAM-SHA-1"), iterations: given };
            new.keys(&[(Hash::Sha1, known)]).map(|keys| keys[0].iterations)
        };
        assert_eq!(count(5000, None), Ok(5000));
        assert_eq!(count(1000, None), Ok(MIN_ITERATIONS));
        assert_eq!(count(1000, Some(4097)), Ok(4097));
        assert!(count(5000, Some(1000)).is_err());
    }
}
