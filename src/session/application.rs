//! The application's part in an exchange: questions of the mechanism, and those that the session
//! asks of its own accord on a server (`canonuser`, `authorize`, `getsecret` in place of `checkpass`).
//! What a server's application has no callback for, its accounts answer, if it has any.

use std::hint::black_box;

use crate::accounts::Account;
use crate::contract::{
    Abilities, Answer, CredentialKind, Established, Event, Next, Property, Question, Side, World, NAME_LIMIT,
    SECRET_LIMIT,
};
use crate::error::{Application, Code, Error, Malformed, Refused};
use crate::secret::Secret;
use crate::store::check;
use crate::store::mock::MOCK_NAME;

use super::{Identity, Outcome, Phase, Session};

/// What the session itself wants with the answer that is awaited.
pub(super) enum Errand {
    /// Nothing: the answer is the mechanism's.
    None,
    /// The mechanism asks for the canonical name itself, which is remembered.
    Name,
    /// The canonical name belongs into this question of the mechanism.
    Canonicalize(Box<Question>),
    /// The credential is to be compared with this password; the mechanism gets the verdict.
    Compare(Secret),
    /// The mechanism has ended; names are made canonical, then the application authorizes.
    FinishAuthcid(Box<Established>),
    FinishAuthzid(Box<Established>),
    FinishAuthorize(Box<Established>),
}

impl Session {
    /// Puts a mechanism's question to the application.
    pub(super) fn ask(&mut self, question: Question, next: Next, world: &mut World<'_>) -> Outcome {
        if let Some(error) = overlong(&names_of(&question)) {
            return self.fail(error);
        }
        if let Some(name) = claimed_by(&question) {
            self.claimed_user = Some(name.into());
        }
        if self.side == Side::Server && self.can(Abilities::CANONICALIZE) && self.identity.authcid.is_none() {
            if let Some(name) = authcid_of(&question) {
                let canonicalize =
                    Question::Canonicalize { authzid: false, name: name.to_owned(), realm: self.realm_of(&question) };
                return self.put(
                    canonicalize,
                    Errand::Canonicalize(Box::new(question)),
                    Phase::Application(next),
                    world,
                );
            }
        }
        if let Question::Canonicalize { authzid: false, .. } = &question {
            return self.put(question, Errand::Name, Phase::Application(next), world);
        }
        self.put_or_replace(question, next, world)
    }

    fn put_or_replace(&mut self, question: Question, next: Next, world: &mut World<'_>) -> Outcome {
        if let Question::Credentials { realm: Some(realm), .. } = &question {
            self.identity.realm = Some(realm.as_str().into());
        }
        match question {
            Question::CheckPassword { authcid, authzid, password } if !self.checks_passwords() => {
                let realm = self.config.realm().map(str::to_owned);
                let credentials = Question::Credentials { kind: CredentialKind::Comparable, authcid, authzid, realm };
                self.put(credentials, Errand::Compare(password), Phase::Application(next), world)
            }
            question => self.put(question, Errand::None, Phase::Application(next), world),
        }
    }

    fn put(&mut self, question: Question, errand: Errand, phase: Phase, world: &mut World<'_>) -> Outcome {
        self.errand = errand;
        self.phase = phase;
        let ability = ability_for(&question);
        let accounts = self.accounts.as_ref().filter(|_| !self.config.abilities.contains(ability));
        if let Some(accounts) = accounts {
            if accounts.abilities().contains(ability) {
                return match accounts.answer(&question, &self.config) {
                    Ok(answer) => self.answer(answer, world),
                    Err(Error::Refused(Refused::Unusable(fault))) => {
                        let unknown = unknown_user(&question);
                        // The fault of the original name takes precedence over that of the name looked up instead.
                        self.fault = self.fault.take().or(Some(fault));
                        self.answer(unknown, world)
                    }
                    Err(error) => self.fail(unasked(error)),
                };
            }
        }
        self.question = Some(Box::new(question));
        Outcome::Ask
    }

    /// The application's answer is what it has stored of a user, and that is unusable: to the peer the user is unknown, and
    /// the operator is told why.
    pub fn answer_unusable(&mut self, fault: Error, world: &mut World<'_>) -> Outcome {
        let Some(question) = self.question.as_deref() else { return Outcome::Over };
        let unknown = unknown_user(question);
        self.fault = Some(Box::new(fault));
        self.answer(unknown, world)
    }

    /// The answer to a question that was asked while the mechanism was under way.
    pub(super) fn answered(&mut self, next: Next, answer: Answer, world: &mut World<'_>) -> Outcome {
        let answer = if self.declined { of_unknown(answer) } else { answer };
        match (std::mem::replace(&mut self.errand, Errand::None), answer) {
            (Errand::Canonicalize(question), Answer::Text(name)) => match name.filter(|name| !name.is_empty()) {
                // The user is unknown, which must cost the same as a wrong password, so the secret is still looked up.
                None => {
                    self.declined = true;
                    self.put_or_replace(renamed(*question, MOCK_NAME.into()), next, world)
                }
                Some(name) => {
                    self.identity.authcid = Some(name.as_str().into());
                    self.put_or_replace(renamed(*question, name), next, world)
                }
            },
            (Errand::Name, Answer::Text(name)) => match name.filter(|name| !name.is_empty()) {
                None => self.fail(Refused::Credentials.into()),
                Some(name) => {
                    self.identity.authcid = Some(name.as_str().into());
                    self.advance(next, Event::Answered(Answer::Text(Some(name))), world)
                }
            },
            (Errand::Compare(password), Answer::Credential(stored)) => {
                let stored = self.within_limit(stored);
                self.compare(stored, &password, next, world)
            }
            (Errand::None, Answer::Credential(stored)) if self.side == Side::Server => {
                // Nobody has an empty password.
                let stored = stored.filter(|stored| !stored.is_empty());
                let stored = match self.within_limit(stored) {
                    Some(stored) => self.fitting(stored),
                    None => self.unknown(world),
                };
                self.advance(next, Event::Answered(Answer::Credential(stored)), world)
            }
            (_, Answer::Credential(Some(secret))) if secret.expose().len() > SECRET_LIMIT => {
                self.fail(Application::Unusable { what: "secret", reason: "is longer than 65536 bytes" }.into())
            }
            (Errand::None, answer) => {
                self.remember_names(&answer);
                if self.drops_authzid() {
                    let (what, reason) =
                        (Property::Authzid.describe(), "cannot be sent: this mechanism has no place for it");
                    return self.fail(Application::Unusable { what, reason }.into());
                }
                self.advance(next, Event::Answered(answer), world)
            }
            _ => self.fail(Application::WrongAnswer.into()),
        }
    }

    /// Gives the mechanism the verdict on a password.
    fn compare(&mut self, stored: Option<Secret>, password: &Secret, next: Next, world: &mut World<'_>) -> Outcome {
        let same = match check::check_password(stored, password, self.config.iterations, world.lookups) {
            Ok(same) => same,
            Err(Error::Refused(Refused::Unusable(fault))) => {
                self.fault = Some(fault);
                false
            }
            Err(error) => return self.fail(error),
        };
        self.advance(next, Event::Answered(Answer::Verdict(same)), world)
    }

    /// What is stored of a user, if the mechanism can compute with it.
    fn fitting(&mut self, stored: Secret) -> Option<Secret> {
        let fits = self.mechanism.map_or(Ok(()), |mechanism| check::fits(stored.expose(), mechanism.credential));
        self.usable(stored, fits)
    }

    /// An unknown user: the same is looked at as for a known one.
    fn unknown(&self, world: &World<'_>) -> Option<Secret> {
        let mechanism = self.mechanism?;
        let _ = black_box(check::fits_unknown(mechanism.credential, world.lookups));
        None
    }

    fn within_limit(&mut self, stored: Option<Secret>) -> Option<Secret> {
        let stored = stored?;
        let (what, reason) = ("password or stored key that getsecret gave", "is longer than 65536 bytes");
        let short = stored.expose().len() <= SECRET_LIMIT;
        self.usable(stored, if short { Ok(()) } else { Err(Application::Unusable { what, reason }.into()) })
    }

    /// A user whose secret is unusable is unknown to the mechanism, so that the peer sees no difference.
    fn usable(&mut self, stored: Secret, verdict: Result<(), Error>) -> Option<Secret> {
        match verdict {
            Ok(()) => Some(stored),
            Err(fault) => {
                self.fault = Some(Box::new(fault));
                None
            }
        }
    }

    /// Why nobody can log in as this user, if that is why the exchange has failed.
    pub(super) fn fault_of_accounts(&self) -> Option<Box<Error>> {
        let accounts = self.accounts.as_ref()?;
        let user = self.identity.authcid.as_deref().or(self.claimed_user())?;
        accounts.unusable(user, self.mechanism?.credential).map(Box::new)
    }

    /// A client's names are worth keeping for `answer`; its secrets are not.
    fn remember_names(&mut self, answer: &Answer) {
        match answer {
            Answer::Values(values) => {
                let text = |property| Some(Box::from(values.get(property)?.expose_str()?));
                self.identity.authcid = text(Property::Authcid).or(self.identity.authcid.take());
                self.identity.authzid = text(Property::Authzid).or(self.identity.authzid.take());
                self.identity.realm = text(Property::Realm).or(self.identity.realm.take());
            }
            Answer::Text(Some(realm)) if self.side == Side::Client => {
                self.identity.realm = Some(realm.as_str().into());
            }
            _ => {}
        }
    }

    /// True if a client would log in as itself although the application has named whom to act as.
    fn drops_authzid(&self) -> bool {
        let Some(mechanism) = self.mechanism.filter(|m| self.side == Side::Client && !m.carries_authzid) else {
            return false;
        };
        let Identity { authcid, authzid, .. } = &self.identity;
        let waits = authcid.is_none() && mechanism.client_needs.contains(Abilities::AUTHCID);
        !waits && authzid != authcid && authzid.as_deref().is_some_and(|name| !name.is_empty())
    }

    /// A server's mechanism is satisfied: make the names canonical and authorize.
    pub(super) fn finish(&mut self, established: Established, world: &mut World<'_>) -> Outcome {
        if let Some(error) = overlong(&[Some(&established.authcid), established.authzid.as_ref()]) {
            return self.fail(error);
        }
        if self.claimed_user.is_none() {
            self.claimed_user = Some(established.authcid.as_str().into());
        }
        let established = Box::new(established);
        if !self.can(Abilities::CANONICALIZE) {
            return self.authorize(established, world);
        }
        match self.identity.authcid.take() {
            // The name was made canonical before its secret was looked up.
            Some(name) => self.finish_authzid(Box::new(Established { authcid: name.into(), ..*established }), world),
            None => {
                let question = self.canonicalize(false, established.authcid.clone());
                self.put(question, Errand::FinishAuthcid(established), Phase::Finishing, world)
            }
        }
    }

    fn finish_authzid(&mut self, established: Box<Established>, world: &mut World<'_>) -> Outcome {
        match &established.authzid {
            None => self.authorize(established, world),
            Some(name) => {
                let question = self.canonicalize(true, name.clone());
                self.put(question, Errand::FinishAuthzid(established), Phase::Finishing, world)
            }
        }
    }

    /// May the authenticated identity act as the one that it names? The default is: only as itself.
    fn authorize(&mut self, established: Box<Established>, world: &mut World<'_>) -> Outcome {
        let Some(authzid) = &established.authzid else { return self.enter(*established) };
        let authcid = &established.authcid;
        if authzid == authcid {
            return self.enter(*established);
        }
        if self.can(Abilities::AUTHORIZE) {
            let question =
                Question::Authorize { authcid: authcid.clone(), authzid: authzid.clone(), realm: self.realm() };
            return self.put(question, Errand::FinishAuthorize(established), Phase::Finishing, world);
        }
        let at = |domain: &str| {
            !domain.is_empty()
                && authzid.strip_prefix(authcid.as_str()).and_then(|r| r.strip_prefix('@')) == Some(domain)
        };
        // The server's own domains alone: a client may name any realm where the server has none (RFC 2831 §2.1.2).
        if at(&self.config.host) || self.config.realm().is_some_and(at) {
            return self.enter(*established);
        }
        self.refuse_authorization(&established)
    }

    /// The user is in: the properties that the application wants of it are looked up.
    fn enter(&mut self, established: Established) -> Outcome {
        let wanted = self.config.auxprop();
        if let Some(accounts) = self.accounts.as_ref().filter(|_| !wanted.is_empty()) {
            let (authcid, authzid) = (established.authcid.as_str(), established.authzid.as_deref());
            let realm = self.realm();
            let account = Account { authcid, authzid, realm: realm.as_deref() };
            match accounts.properties(wanted, account, &self.config) {
                Ok(properties) => self.properties = Some(Box::new(properties)),
                Err(error) => return self.fail(unasked(error)),
            }
        }
        self.succeed(established)
    }

    /// The answer to a question that the session asked after the mechanism's end.
    pub(super) fn finishing_answered(&mut self, answer: Answer, world: &mut World<'_>) -> Outcome {
        match (std::mem::replace(&mut self.errand, Errand::None), answer) {
            (Errand::FinishAuthcid(mut established), Answer::Text(Some(name))) if !name.is_empty() => {
                established.authcid = name;
                self.finish_authzid(established, world)
            }
            (Errand::FinishAuthzid(mut established), Answer::Text(Some(name))) if !name.is_empty() => {
                established.authzid = Some(name);
                self.authorize(established, world)
            }
            (Errand::FinishAuthcid(_) | Errand::FinishAuthzid(_), Answer::Text(_)) => {
                self.fail(Refused::Credentials.into())
            }
            (Errand::FinishAuthorize(established), Answer::Verdict(true)) => self.enter(*established),
            (Errand::FinishAuthorize(established), Answer::Verdict(false)) => self.refuse_authorization(&established),
            _ => self.fail(Application::WrongAnswer.into()),
        }
    }

    fn refuse_authorization(&mut self, established: &Established) -> Outcome {
        let authzid = established.authzid.clone().unwrap_or_default();
        self.fail(Error::Refused(Refused::Authorization { authcid: established.authcid.clone(), authzid }))
    }

    fn canonicalize(&self, authzid: bool, name: String) -> Question {
        Question::Canonicalize { authzid, name, realm: self.realm() }
    }

    fn can(&self, ability: Abilities) -> bool {
        self.negotiation().setup.answered().contains(ability)
    }

    /// True if a password is given to somebody for a verdict. Where the application has getsecret
    /// and no checkpass, its word counts before the accounts'.
    fn checks_passwords(&self) -> bool {
        let own = self.config.abilities;
        own.contains(Abilities::CHECK_PASSWORD)
            || !own.contains(Abilities::CREDENTIALS) && self.can(Abilities::CHECK_PASSWORD)
    }

    fn realm(&self) -> Option<String> {
        self.identity.realm.as_deref().or(self.config.realm()).map(str::to_owned)
    }

    fn realm_of(&self, question: &Question) -> Option<String> {
        match question {
            Question::Credentials { realm: Some(realm), .. } => Some(realm.clone()),
            _ => self.realm(),
        }
    }
}

/// The answer to a question about a user who is unknown.
fn unknown_user(question: &Question) -> Answer {
    match question {
        Question::CheckPassword { .. } => Answer::Verdict(false),
        Question::Canonicalize { .. } => Answer::Text(None),
        _ => Answer::Credential(None),
    }
}

/// The same kind of answer for an unknown user.
fn of_unknown(answer: Answer) -> Answer {
    match answer {
        Answer::Verdict(_) => Answer::Verdict(false),
        Answer::Credential(_) => Answer::Credential(None),
        other => other,
    }
}

/// An error of the accounts. What says nothing of the user, but that they do not work, has one code in an exchange, by which a
/// protocol tells it from a wrong password.
pub(super) fn unasked(error: Error) -> Error {
    match error {
        Error::Outside { code: Code::Fail | Code::NoMem | Code::ConfigErr, text } => {
            Error::outside(Code::Unavail, text)
        }
        other => other,
    }
}

/// Who can answer this question of a server; a client's application answers for itself.
fn ability_for(question: &Question) -> Abilities {
    match question {
        Question::CheckPassword { .. } => Abilities::CHECK_PASSWORD,
        Question::Credentials { .. } => Abilities::CREDENTIALS,
        Question::Authorize { .. } => Abilities::AUTHORIZE,
        Question::Canonicalize { .. } => Abilities::CANONICALIZE,
        Question::Token { .. } => Abilities::CHECK_TOKEN,
        Question::Values(_) | Question::Realm { .. } | Question::Challenge { .. } => Abilities::NONE,
    }
}

/// The names that the peer has sent; a client's questions have none.
fn names_of(question: &Question) -> [Option<&String>; 4] {
    match question {
        Question::CheckPassword { authcid, authzid, .. } => [Some(authcid), authzid.as_ref(), None, None],
        Question::Credentials { authcid, authzid, realm, .. } => {
            [Some(authcid), authzid.as_ref(), realm.as_ref(), None]
        }
        Question::Token { user, host, port, .. } => [user.as_ref(), host.as_ref(), port.as_ref(), None],
        _ => [None; 4],
    }
}

/// What is wrong if one of the names is longer than [`NAME_LIMIT`].
fn overlong(names: &[Option<&String>]) -> Option<Error> {
    let found = names.iter().flatten().any(|name| name.len() > NAME_LIMIT);
    let reason = Malformed::TooLong { field: "a name", limit: NAME_LIMIT };
    found.then(|| Error::malformed("message", reason))
}

fn authcid_of(question: &Question) -> Option<&str> {
    match question {
        Question::CheckPassword { authcid, .. } | Question::Credentials { authcid, .. } => Some(authcid),
        _ => None,
    }
}

/// Whom the client of a server claims to be, as far as the question tells.
fn claimed_by(question: &Question) -> Option<&str> {
    match question {
        Question::Token { user, .. } => user.as_deref(),
        Question::Canonicalize { authzid: false, name, .. } => Some(name),
        question => authcid_of(question),
    }
}

fn renamed(question: Question, name: String) -> Question {
    match question {
        Question::CheckPassword { authzid, password, .. } => {
            Question::CheckPassword { authcid: name, authzid, password }
        }
        Question::Credentials { kind, authzid, realm, .. } => {
            Question::Credentials { kind, authcid: name, authzid, realm }
        }
        other => other,
    }
}
