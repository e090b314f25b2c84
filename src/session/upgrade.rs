//! A server's stronger verifiers: a user who has logged in with the password gets one, if the stored one is weaker than the option
//! `upgrade` demands. A failure does not concern the login; the operator hears of it.

use crate::accounts::{Account, Proof};
use crate::contract::{Abilities, CredentialKind, Established, Question, Side, World};
use crate::crypto::scram::Strength;
use crate::error::{Application, Code, Error, Subject};
use crate::secret::Secret;
use crate::store::verifier::{Verifier, VerifierFormat};

use super::application::Progress;
use super::state::{PendingAnswer, Phase, Session, Upgrade};

/// Before the end of the exchange.
impl Session {
    /// Keeps the client's password, which may prove to be right.
    pub(super) fn note_password(&mut self, password: &Secret) {
        if self.config.upgrade().is_some() && !self.declined {
            let password = password.clone();
            self.upgrade = Some(Box::new(Upgrade::Proving { password, stored: None }));
        }
    }

    /// Keeps what is stored for the user.
    pub(super) fn note_stored(&mut self, secret: Option<&Secret>) {
        if let Some(Upgrade::Proving { stored, .. }) = self.upgrade.as_deref_mut() {
            *stored = Some(secret.cloned());
        }
    }

    /// A server that stores the password itself needs none from the client.
    pub(super) fn note_stored_password(&mut self, stored: Option<&Secret>) {
        let Some(stored) = stored.filter(|_| self.config.upgrade().is_some()) else { return };
        let is_scram = self.mechanism.is_some_and(|mechanism| mechanism.credential.hash().is_some());
        if is_scram && matches!(Verifier::read(stored), Ok(None)) {
            self.note_password(stored);
            self.note_stored(Some(stored));
        }
    }
}

/// After it.
impl Session {
    /// The client is authorized: stores a stronger verifier if one is due; then the exchange succeeds.
    pub(super) fn upgrade_verifier(
        &mut self,
        established: Established,
        world: &mut World<'_>,
    ) -> Result<Progress, Error> {
        let Some(wanted) = self.config.upgrade().filter(|_| self.side == Side::Server) else {
            return self.succeed(established).map(Progress::Return);
        };
        let Some(Upgrade::Proving { password, stored }) = self.upgrade.take().map(|upgrade| *upgrade) else {
            return self.succeed(established).map(Progress::Return);
        };
        let own = self.config.abilities;
        let asks = own.contains(Abilities::SET_VERIFIER);
        match stored {
            Some(stored) if asks => self.offer_verifier(established, &password, stored, world),
            None if asks && own.contains(Abilities::CREDENTIALS) => {
                let question = Question::Credentials {
                    kind: CredentialKind::Comparable,
                    authcid: established.authcid.clone(),
                    authzid: established.authzid.clone(),
                    realm: self.realm(),
                };
                let pending = PendingAnswer::FinishStored(Box::new(established), password);
                self.put(question, pending, Phase::Finishing, world)
            }
            Some(Some(stored)) if !own.contains(Abilities::CREDENTIALS) => {
                self.upgrade =
                    self.upgrade_account(&established, &Proof { password: &password, stored: &stored }, wanted);
                self.succeed(established).map(Progress::Return)
            }
            stored => {
                let missing = if asks && stored.is_none() { Subject::StoredSecret } else { Subject::VerifierStore };
                self.without_verifier(established, Application::Missing(missing).into())
            }
        }
    }

    /// Lets the accounts store it.
    fn upgrade_account(&self, of: &Established, proof: &Proof<'_>, wanted: Strength) -> Option<Box<Upgrade>> {
        let realm = self.realm();
        let account = Account { authcid: &of.authcid, authzid: of.authzid.as_deref(), realm: realm.as_deref() };
        let outcome = match self.accounts.as_ref()?.upgrade(account, proof, wanted) {
            Ok(true) => Upgrade::Stored,
            Ok(false) => return None,
            Err(error) => Upgrade::Failed(error),
        };
        Some(Box::new(outcome))
    }

    /// Lets the application store a verifier, if what it has is weaker.
    pub(super) fn offer_verifier(
        &mut self,
        established: Established,
        password: &Secret,
        stored: Option<Secret>,
        world: &mut World<'_>,
    ) -> Result<Progress, Error> {
        let stored = stored.filter(|stored| !stored.is_empty());
        match self.stronger(password, stored.as_ref(), world) {
            Ok(None) => self.succeed(established).map(Progress::Return),
            Ok(Some(verifier)) => {
                let (authcid, realm) = (established.authcid.clone(), self.realm());
                let question = Question::SetVerifier { authcid, realm, verifier, stored };
                let pending = PendingAnswer::FinishUpgrade(Box::new(established));
                self.put(question, pending, Phase::Finishing, world)
            }
            Err(error) => self.without_verifier(established, error),
        }
    }

    /// The verifier that is due, if one is.
    fn stronger(
        &self,
        password: &Secret,
        stored: Option<&Secret>,
        world: &mut World<'_>,
    ) -> Result<Option<Secret>, Error> {
        let stored = stored.map(Verifier::read).transpose()?.flatten();
        let wanted = self.config.upgrade().and_then(|wanted| wanted.due(stored.map(|verifier| verifier.strength())));
        let Some(Strength { hash, iterations }) = wanted else { return Ok(None) };
        let unusable = Application::Unusable { what: Subject::Password, reason: "is not valid UTF-8" };
        let mut salt = [0; 16];
        world.random.fill(&mut salt)?;
        let verifier = Verifier::make(hash, password.expose_str().ok_or(unusable)?, &salt, iterations)?;
        Ok(Some(verifier.print(VerifierFormat::Rfc5803).into()))
    }

    /// Takes the application's answer.
    pub(super) fn verifier_stored(&mut self, established: Established, stored: bool) -> Result<Progress, Error> {
        if !stored {
            let error = Error::outside(Code::Fail, "the application did not store it");
            return self.without_verifier(established, error);
        }
        self.upgrade = Some(Box::new(Upgrade::Stored));
        self.succeed(established).map(Progress::Return)
    }

    fn without_verifier(&mut self, established: Established, reason: Error) -> Result<Progress, Error> {
        self.upgrade = Some(Box::new(Upgrade::Failed(reason)));
        self.succeed(established).map(Progress::Return)
    }

    /// Takes as the application's answer that it cannot store the verifier. False if it was not asked to.
    pub fn answer_not_stored(&mut self, reason: Error) -> bool {
        if !matches!(self.pending, PendingAnswer::FinishUpgrade(_)) {
            return false;
        }
        if let PendingAnswer::FinishUpgrade(established) = std::mem::replace(&mut self.pending, PendingAnswer::None) {
            self.question = None;
            if let Err(error) = self.without_verifier(*established, reason) {
                self.fail(error);
            }
        }
        true
    }

    /// Server, after success: true if a stronger verifier of this user was stored.
    pub fn upgraded(&self) -> bool {
        self.is_success() && matches!(self.upgrade.as_deref(), Some(Upgrade::Stored))
    }

    /// Server, after success: why a stronger verifier was not stored although one was due. It is for the operator.
    pub fn upgrade_failure(&self) -> Option<&Error> {
        match self.upgrade.as_deref() {
            Some(Upgrade::Failed(error)) => Some(error),
            _ => None,
        }
    }
}
