//! The application's part in an exchange: questions of the mechanism, and those that a server's session asks itself (for
//! a canonical name, for authorization, and for a stored secret instead of a password check). The accounts answer what the
//! application does not.

use std::hint::black_box;

use crate::accounts::Account;
use crate::contract::{
    Abilities, Answer, CredentialKind, Established, Next, Property, Question, Side, TokenVerdict, World, SECRET_LIMIT,
};
use crate::error::{Application, Code, Error, Refused, Subject};
use crate::secret::Secret;
use crate::store::check;
use crate::store::mock::MOCK_NAME;

use super::questions::{
    ability_for, authcid_of, claimed_by, decides_admission, names_of, overlong, overlong_answer, renamed, unknown_user,
};
use super::state::{Identity, Outcome, PendingAnswer, Phase, Session};

/// How an exchange continues after a question or its answer.
pub(super) enum Progress {
    /// The caller continues: something must be sent or asked, or the exchange has ended.
    Return(Outcome),
    /// The mechanism continues with the answer to its question.
    Resume(Next, Answer),
}

impl Session {
    /// Asks a mechanism's question.
    pub(super) fn ask(&mut self, question: Question, next: Next, world: &mut World<'_>) -> Result<Progress, Error> {
        if let Some(error) = overlong(&names_of(&question)) {
            return Err(error);
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
                    PendingAnswer::Canonicalize(Box::new(question)),
                    Phase::Application(next),
                    world,
                );
            }
        }
        if let Question::Canonicalize { authzid: false, .. } = &question {
            return self.put(question, PendingAnswer::Name, Phase::Application(next), world);
        }
        // The credential was looked up by the canonical name.
        let question = match (&question, self.identity.authcid.as_deref()) {
            (Question::Replace { .. }, Some(name)) if self.side == Side::Server => renamed(question, name.into()),
            _ => question,
        };
        self.put_or_replace(question, next, world)
    }

    fn put_or_replace(&mut self, question: Question, next: Next, world: &mut World<'_>) -> Result<Progress, Error> {
        if let Question::Credentials { realm: Some(realm), .. } = &question {
            self.identity.realm = Some(realm.as_str().into());
        }
        if let Question::CheckPassword { password, .. } = &question {
            self.note_password(password);
        }
        match question {
            Question::CheckPassword { authcid, authzid, password } if !self.checks_passwords() => {
                let realm = self.config.realm().map(str::to_owned);
                let credentials = Question::Credentials { kind: CredentialKind::Comparable, authcid, authzid, realm };
                self.put(credentials, PendingAnswer::Compare(password), Phase::Application(next), world)
            }
            question => self.put(question, PendingAnswer::None, Phase::Application(next), world),
        }
    }

    pub(super) fn put(
        &mut self,
        question: Question,
        pending: PendingAnswer,
        phase: Phase,
        world: &mut World<'_>,
    ) -> Result<Progress, Error> {
        self.pending = pending;
        self.phase = phase;
        let ability = ability_for(&question);
        let accounts = self.accounts.as_ref().filter(|_| !self.config.abilities.contains(ability));
        if let Some(accounts) = accounts {
            if accounts.abilities().contains(ability) {
                self.kept_out = self.kept_out.or(decides_admission(&question).then_some(false));
                return match accounts.answer(&question, &self.config) {
                    Ok(answer) => self.take_answer(answer, world),
                    Err(Error::Refused(Refused::Unusable(fault))) => {
                        let unknown = unknown_user(&question);
                        // The fault of the original name takes precedence over that of the name looked up instead.
                        self.fault = self.fault.take().or(Some(fault));
                        self.take_answer(unknown, world)
                    }
                    Err(error) => Err(unasked(error)),
                };
            }
        }
        self.question = Some(Box::new(question));
        Ok(Progress::Return(Outcome::Ask))
    }

    /// Takes an answer of the application or the accounts.
    pub(super) fn take_answer(&mut self, answer: Answer, world: &mut World<'_>) -> Result<Progress, Error> {
        let is_awaited = matches!(self.phase, Phase::Application(_) | Phase::Finishing);
        if let Some(error) = overlong_answer(self.side, &answer).filter(|_| is_awaited) {
            return Err(error);
        }
        match std::mem::replace(&mut self.phase, Phase::Failed) {
            Phase::Application(next) => {
                self.question = None;
                self.answered(next, answer, world)
            }
            Phase::Finishing => {
                self.question = None;
                self.finishing_answered(answer, world)
            }
            other => {
                self.phase = other;
                Ok(Progress::Return(Outcome::Over))
            }
        }
    }

    /// Takes the answer to a question that was asked during the mechanism's exchange.
    fn answered(&mut self, next: Next, answer: Answer, world: &mut World<'_>) -> Result<Progress, Error> {
        let answer = self.admitted(answer)?;
        match (std::mem::replace(&mut self.pending, PendingAnswer::None), answer) {
            (PendingAnswer::Canonicalize(question), Answer::Text(name)) => match name.filter(|name| !name.is_empty()) {
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
            (PendingAnswer::Name, Answer::Text(name)) => match name.filter(|name| !name.is_empty()) {
                None => Err(Refused::Credentials.into()),
                Some(name) => {
                    self.identity.authcid = Some(name.as_str().into());
                    Ok(Progress::Resume(next, Answer::Text(Some(name))))
                }
            },
            (PendingAnswer::None, Answer::Token(TokenVerdict::Accepted { authcid })) => {
                self.accepted(authcid, next, world)
            }
            (PendingAnswer::Token(authcid), Answer::Text(name)) => self.token_named(authcid, name, next),
            (PendingAnswer::Compare(password), Answer::Credential(stored)) => {
                let stored = self.within_limit(stored);
                self.note_stored(stored.as_ref());
                self.compare(stored, &password, next, world)
            }
            (PendingAnswer::None, Answer::Credential(stored)) if self.side == Side::Server => {
                // An empty password counts as none.
                let stored = stored.filter(|stored| !stored.is_empty());
                let stored = match self.within_limit(stored) {
                    Some(stored) => self.fitting(stored),
                    None => self.unknown(world),
                };
                self.note_stored_password(stored.as_ref());
                Ok(Progress::Resume(next, Answer::Credential(stored)))
            }
            (PendingAnswer::None, Answer::Credential(Some(secret))) if secret.expose().len() > SECRET_LIMIT => {
                let reason = "must not be longer than 65536 bytes";
                Err(Application::Unusable { what: Subject::ChallengeAnswer, reason }.into())
            }
            (PendingAnswer::None, answer) => {
                self.remember_names(&answer);
                if self.drops_authzid() {
                    let reason = "cannot be sent: this mechanism has no place for it";
                    return Err(Application::Unusable { what: Subject::Authzid, reason }.into());
                }
                Ok(Progress::Resume(next, answer))
            }
            _ => Err(Application::WrongAnswer.into()),
        }
    }

    /// Gives the mechanism the verdict on a password.
    fn compare(
        &mut self,
        stored: Option<Secret>,
        password: &Secret,
        next: Next,
        world: &mut World<'_>,
    ) -> Result<Progress, Error> {
        let same = match check::check_answer(Ok(stored), password, &self.config, world.lookups) {
            Err(Error::Refused(Refused::Unusable(fault))) => {
                self.fault = Some(fault);
                false
            }
            verdict => verdict?,
        };
        Ok(Progress::Resume(next, Answer::Verdict(same)))
    }

    /// The stored secret of a user, if the mechanism can use it.
    fn fitting(&mut self, stored: Secret) -> Option<Secret> {
        let fits = self.mechanism.map_or(Ok(()), |mechanism| check::fits(stored.expose(), mechanism.credential));
        self.usable(stored, fits)
    }

    /// For an unknown user: does the same checks as for a known one.
    fn unknown(&self, world: &World<'_>) -> Option<Secret> {
        let mechanism = self.mechanism?;
        let _ = black_box(check::fits_unknown(mechanism.credential, world.lookups));
        None
    }

    fn within_limit(&mut self, stored: Option<Secret>) -> Option<Secret> {
        let stored = stored?;
        let what = match self.mechanism.map(|mechanism| mechanism.credential) {
            Some(CredentialKind::HtTokens(_)) => Subject::HtTokens,
            Some(CredentialKind::Otp) => Subject::OtpState,
            _ => Subject::StoredSecret,
        };
        let reason = "must not be longer than 65536 bytes";
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

    /// Stores a client's names for [`Session::identity`]. Its secrets are not stored.
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

    /// True if the application has named an authorization identity that the mechanism cannot send. The client would then log
    /// in as itself.
    fn drops_authzid(&self) -> bool {
        let Some(mechanism) = self.mechanism.filter(|m| self.side == Side::Client && !m.carries_authzid) else {
            return false;
        };
        let Identity { authcid, authzid, .. } = &self.identity;
        let waits = authcid.is_none() && mechanism.client_needs.contains(Abilities::AUTHCID);
        !waits && authzid != authcid && authzid.as_deref().is_some_and(|name| !name.is_empty())
    }

    /// A server's mechanism is satisfied: canonicalizes the names and authorizes.
    pub(super) fn finish(&mut self, established: Established, world: &mut World<'_>) -> Result<Progress, Error> {
        if let Some(error) = overlong(&[Some(&established.authcid), established.authzid.as_ref()]) {
            return Err(error);
        }
        if self.claimed_user.is_none() {
            self.claimed_user = Some(established.authcid.as_str().into());
        }
        let established = Box::new(established);
        if !self.can(Abilities::CANONICALIZE) {
            return self.identified(established, world);
        }
        match self.identity.authcid.take() {
            // The name was canonicalized before its secret was looked up.
            Some(name) => self.identified(Box::new(Established { authcid: name.into(), ..*established }), world),
            None => {
                let question = self.canonicalize(false, established.authcid.clone());
                self.put(question, PendingAnswer::FinishAuthcid(established), Phase::Finishing, world)
            }
        }
    }

    /// The authentication identity is canonical.
    fn identified(&mut self, established: Box<Established>, world: &mut World<'_>) -> Result<Progress, Error> {
        if self.is_kept_out(&established.authcid)? {
            return Err(Refused::Credentials.into());
        }
        match &established.authzid {
            Some(name) if self.can(Abilities::CANONICALIZE) => {
                let question = self.canonicalize(true, name.clone());
                self.put(question, PendingAnswer::FinishAuthzid(established), Phase::Finishing, world)
            }
            _ => self.authorize(established, world),
        }
    }

    /// Decides if the authenticated identity may act as the authorization identity. By default only as itself.
    fn authorize(&mut self, established: Box<Established>, world: &mut World<'_>) -> Result<Progress, Error> {
        let Some(authzid) = &established.authzid else { return self.enter(*established, world) };
        let authcid = &established.authcid;
        if authzid == authcid {
            return self.enter(*established, world);
        }
        if self.can(Abilities::AUTHORIZE) {
            let question =
                Question::Authorize { authcid: authcid.clone(), authzid: authzid.clone(), realm: self.realm() };
            return self.put(question, PendingAnswer::FinishAuthorize(established), Phase::Finishing, world);
        }
        let at = |domain: &str| {
            !domain.is_empty()
                && authzid.strip_prefix(authcid.as_str()).and_then(|r| r.strip_prefix('@')) == Some(domain)
        };
        // Only the server's own domains count: a client may send any realm if the server has none (RFC 2831 §2.1.2).
        if at(&self.config.host) || self.config.realm().is_some_and(at) {
            return self.enter(*established, world);
        }
        self.refuse_authorization(&established)
    }

    /// The user is authorized: looks up the properties that the application wants.
    fn enter(&mut self, established: Established, world: &mut World<'_>) -> Result<Progress, Error> {
        let wanted = self.config.auxprop();
        if let Some(accounts) = self.accounts.as_ref().filter(|_| !wanted.is_empty()) {
            let (authcid, authzid) = (established.authcid.as_str(), established.authzid.as_deref());
            let realm = self.realm();
            let account = Account { authcid, authzid, realm: realm.as_deref() };
            let properties = accounts.properties(wanted, account, &self.config).map_err(unasked)?;
            self.properties = Some(Box::new(properties));
        }
        self.conclude(established, world)
    }

    /// The exchange succeeds, after what few logins need: keys for the application, and a stronger verifier.
    #[inline]
    pub(super) fn conclude(&mut self, established: Established, world: &mut World<'_>) -> Result<Progress, Error> {
        if established.keys.is_none() && self.upgrade.is_none() {
            return self.succeed(established).map(Progress::Return);
        }
        self.hand_over_keys(established, world)
    }

    /// Gives the SCRAM keys of this login to the application that asked for them; then its verifier is upgraded. If the
    /// application fails meanwhile, the exchange has failed.
    #[cold]
    fn hand_over_keys(&mut self, mut established: Established, world: &mut World<'_>) -> Result<Progress, Error> {
        match established.keys.take() {
            None => self.upgrade_verifier(established, world),
            Some(keys) => {
                let question = Question::KeepKeys { authcid: established.authcid.clone(), keys };
                self.put(question, PendingAnswer::FinishKeys(Box::new(established)), Phase::Finishing, world)
            }
        }
    }

    /// Takes the answer to a question that the session asked after the mechanism's end.
    fn finishing_answered(&mut self, answer: Answer, world: &mut World<'_>) -> Result<Progress, Error> {
        match (std::mem::replace(&mut self.pending, PendingAnswer::None), answer) {
            (PendingAnswer::FinishAuthcid(mut established), Answer::Text(Some(name))) if !name.is_empty() => {
                established.authcid = name;
                self.identified(established, world)
            }
            (PendingAnswer::FinishAuthzid(mut established), Answer::Text(Some(name))) if !name.is_empty() => {
                established.authzid = Some(name);
                self.authorize(established, world)
            }
            (PendingAnswer::FinishAuthcid(_) | PendingAnswer::FinishAuthzid(_), Answer::Text(_)) => {
                Err(Refused::Credentials.into())
            }
            (PendingAnswer::FinishAuthorize(established), Answer::Verdict(true)) => self.enter(*established, world),
            (PendingAnswer::FinishAuthorize(established), Answer::Verdict(false)) => {
                self.refuse_authorization(&established)
            }
            (PendingAnswer::FinishKeys(established), Answer::Verdict(_)) => self.upgrade_verifier(*established, world),
            (PendingAnswer::FinishStored(established, password), Answer::Credential(stored)) => {
                self.offer_verifier(*established, &password, stored, world)
            }
            (PendingAnswer::FinishUpgrade(established), Answer::Verdict(stored)) => {
                self.verifier_stored(*established, stored)
            }
            _ => Err(Application::WrongAnswer.into()),
        }
    }

    fn refuse_authorization(&mut self, established: &Established) -> Result<Progress, Error> {
        let authzid = established.authzid.clone().unwrap_or_default();
        Err(Error::Refused(Refused::Authorization { authcid: established.authcid.clone(), authzid }))
    }

    pub(super) fn canonicalize(&self, authzid: bool, name: String) -> Question {
        Question::Canonicalize { authzid, name, realm: self.realm() }
    }

    pub(super) fn can(&self, ability: Abilities) -> bool {
        self.negotiation().setup.answered().contains(ability)
    }

    /// True if the application or the accounts check passwords. If the application returns stored secrets and does not check
    /// passwords, its secret takes precedence over a check by the accounts.
    fn checks_passwords(&self) -> bool {
        let own = self.config.abilities;
        own.contains(Abilities::CHECK_PASSWORD)
            || !own.contains(Abilities::CREDENTIALS) && self.can(Abilities::CHECK_PASSWORD)
    }

    pub(super) fn realm(&self) -> Option<String> {
        self.identity.realm.as_deref().or(self.config.realm()).map(str::to_owned)
    }

    fn realm_of(&self, question: &Question) -> Option<String> {
        match question {
            Question::Credentials { realm: Some(realm), .. } => Some(realm.clone()),
            _ => self.realm(),
        }
    }
}

/// Converts an error of the accounts. An error that is not about the user gets the code of an unavailable service, so that
/// a protocol can distinguish it from a wrong password.
pub(super) fn unasked(error: Error) -> Error {
    match error {
        Error::Outside { code: Code::Fail | Code::NoMem | Code::ConfigErr, text } => {
            Error::outside(Code::Unavail, text)
        }
        other => other,
    }
}
