//! One side of an exchange with its application, and what must hold for a session after every call.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use authen_sasl_rust::contract::{Question, Random, Sent, Side};
use authen_sasl_rust::error::Error;
use authen_sasl_rust::mechanism;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::session::{Outcome, Session};
use authen_sasl_rust::world::LocalWorld;

use crate::application::{answer, dishonest, Behavior};
use crate::facts::{configure, ExchangeFacts};

/// Pseudo-random bytes, and a list of all nonces.
struct RecordingRandom {
    state: u64,
    nonces: Arc<Mutex<Vec<String>>>,
}

impl Random for RecordingRandom {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        for byte in buffer {
            // Knuth's MMIX generator.
            self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (self.state >> 56) as u8;
        }
        Ok(())
    }

    fn nonce(&mut self) -> Result<String, Error> {
        let mut bytes = [0; 12];
        self.fill(&mut bytes)?;
        let nonce: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.nonces.lock().expect("one thread").push(nonce.clone());
        Ok(nonce)
    }
}

/// The world that is lent to a side. Its nonces are recorded.
pub fn world(side: Side, facts: &ExchangeFacts, nonces: Arc<Mutex<Vec<String>>>) -> LocalWorld {
    let random = RecordingRandom { state: facts.seed.wrapping_add(side as u64), nonces };
    LocalWorld::with_random(Box::new(random)).with_salt_key(Secret::new(b"a salt key for each run")).with_clock(clock)
}

/// Each reading advances the time, so that a lock of OTP ends after some steps. Only differences matter, so no run depends on an
/// earlier one.
fn clock() -> u64 {
    static TIME: AtomicU64 = AtomicU64::new(1_800_000_000);
    TIME.fetch_add(50, Ordering::Relaxed)
}

/// What has happened on one side since it last started.
#[derive(Default)]
pub struct Run {
    /// The messages that it has received.
    pub received: Vec<Vec<u8>>,
    /// The messages that it has sent.
    pub sent: Vec<Vec<u8>>,
    /// The nonces that it has generated.
    pub nonces: Vec<String>,
    /// It has failed.
    pub failed: bool,
    /// Its application was asked about a user.
    pub asked_about_user: bool,
    /// It has failed with a message for the peer.
    pub failed_with_message: bool,
    /// It has succeeded.
    pub succeeded: bool,
}

/// One side with its application.
pub struct Party {
    /// The exchange.
    pub session: Session,
    /// The exchange that is under way.
    pub run: Run,
    /// The exchanges before it.
    pub earlier_runs: Vec<Run>,
    /// How the next questions are answered; honestly after that.
    pub behaviors: Vec<Behavior>,
    /// The authorizations that the application has granted: who may act as whom.
    pub authorized: Vec<(String, String)>,
    /// At least one answer was dishonest.
    pub dishonest: bool,
    world: LocalWorld,
    nonces: Arc<Mutex<Vec<String>>>,
    /// The verifier that was handed over in this exchange.
    verifier: Option<Secret>,
    /// What its application knows.
    pub facts: ExchangeFacts,
}

impl Party {
    /// A side that is configured according to the facts.
    pub fn new(side: Side, facts: &ExchangeFacts) -> Self {
        let nonces = Arc::new(Mutex::new(Vec::new()));
        let mut session = Session::new(side, authen_sasl_rust::mechanism::registry());
        session.pick(facts.mechanism).expect("a mechanism of the registry");
        configure(&mut session, facts);
        Party {
            session,
            run: Run::default(),
            earlier_runs: Vec::new(),
            behaviors: Vec::new(),
            authorized: Vec::new(),
            dishonest: false,
            world: world(side, facts, Arc::clone(&nonces)),
            nonces,
            verifier: None,
            facts: facts.clone(),
        }
    }

    /// Begins an exchange.
    pub fn start(&mut self, initial: Option<&[u8]>) -> Outcome {
        self.nonces.lock().expect("one thread").clear();
        self.earlier_runs.push(std::mem::take(&mut self.run));
        self.verifier = None;
        self.run.received.extend(initial.map(<[u8]>::to_vec));
        let outcome = self.session.start(initial, &mut self.world.lend());
        self.answer_all(outcome)
    }

    /// Takes a message.
    pub fn step(&mut self, message: &[u8]) -> Outcome {
        let outcome = self.session.step(message, &mut self.world.lend());
        if !matches!(outcome, Outcome::Over | Outcome::Busy) {
            self.run.received.push(message.to_vec());
        }
        self.answer_all(outcome)
    }

    /// Checks the outcome of a call, and answers all questions.
    fn answer_all(&mut self, mut outcome: Outcome) -> Outcome {
        self.check(outcome);
        let mut asked = 0;
        while outcome == Outcome::Ask {
            asked += 1;
            assert!(asked < 8, "it never stops asking");
            let question = self.session.question().expect("a question");
            if let Question::CheckPassword { authcid, .. } | Question::Credentials { authcid, .. } = question {
                assert!(self.session.claimed_user().is_some(), "{authcid} is looked up, but a log could not name it");
                self.run.asked_about_user = true;
            }
            if let Question::SetVerifier { verifier, .. } = question {
                assert!(self.facts.client_knows && self.facts.user_known, "a verifier without the secret");
                assert!(self.verifier.is_none(), "two verifiers of one login");
                self.verifier = Some(verifier.clone());
            }
            outcome = self.reply();
            self.check(outcome);
        }
        self.check_upgrade();
        self.run.nonces.clone_from(&self.nonces.lock().expect("one thread"));
        if matches!(outcome, Outcome::Send | Outcome::FailedWithMessage) {
            self.check_outline();
            self.run.sent.push(self.session.message().to_vec());
        }
        outcome
    }

    fn reply(&mut self) -> Outcome {
        let behavior = if self.behaviors.is_empty() { Behavior::Honest } else { self.behaviors.remove(0) };
        self.dishonest |= behavior != Behavior::Honest;
        let honest = |party: &mut Self| {
            let (answer, authorized) = answer(party.session.question().expect("a question"), &party.facts);
            party.authorized.extend(authorized);
            answer
        };
        let answer = match behavior {
            Behavior::Honest => honest(self),
            Behavior::Late => {
                assert_eq!(self.session.step(b"x", &mut self.world.lend()), Outcome::Busy);
                honest(self)
            }
            Behavior::Twice => {
                let (first, second) = (honest(self), honest(self));
                let outcome = self.session.answer(first, &mut self.world.lend());
                if outcome != Outcome::Ask {
                    assert_eq!(self.session.answer(second, &mut self.world.lend()), Outcome::Over);
                    return outcome;
                }
                second
            }
            Behavior::Abort => {
                return self.session.abort(Error::System("the application gave up"));
            }
            other => dishonest(self.session.question().expect("a question"), other, &self.facts),
        };
        self.session.answer(answer, &mut self.world.lend())
    }

    /// A verifier is handed over after the proof. Whatever happens to it, the login stays successful, and no text shows it.
    fn check_upgrade(&self) {
        let session = &self.session;
        let failure = session.upgrade_failure().map(ToString::to_string).unwrap_or_default();
        assert!(!failure.contains(&self.facts.secret()) && !failure.contains('$'), "{failure}");
        if self.verifier.is_none() {
            assert!(!session.upgraded(), "a verifier was stored that nobody has seen");
            return;
        }
        assert!(session.is_success() || self.dishonest, "a login fails because of a verifier");
        let either = [session.upgraded(), session.upgrade_failure().is_some()];
        assert!(!session.is_success() || either[0] != either[1], "stored and not stored");
    }

    /// A trace shows neither a secret nor a verifier.
    fn check_outline(&self) {
        let index = self.run.sent.len() as u32;
        let sent = Sent { from: self.session.side(), index, bytes: self.session.message() };
        let mechanism = mechanism::find(self.facts.mechanism).expect("a mechanism of the registry");
        let Some(outline) = mechanism.outline(&sent).filter(|_| !self.dishonest) else { return };
        let shown = outline.to_string();
        assert!(!shown.contains(&self.facts.secret()) && !shown.contains(&self.facts.client_secret()), "{shown}");
        if let Some(verifier) = &self.verifier {
            let keys = verifier.expose_str().and_then(|text| text.rsplit('$').next()).expect("a verifier's keys");
            assert!(!keys.split(':').any(|key| shown.contains(key)), "{shown}");
        }
    }

    /// The peer disconnects: an exchange that has started and not succeeded fails, once.
    pub fn abandon(&mut self) {
        let (begun, succeeded) = (!self.earlier_runs.is_empty(), self.session.is_success());
        let expected = if begun && !succeeded && !self.run.failed { Outcome::Failed } else { Outcome::Over };
        assert_eq!(self.session.abandon(), expected, "the outcome after the peer has disconnected");
        assert_eq!(
            self.session.failure().is_some(),
            begun && !succeeded,
            "an exchange has ended without being counted"
        );
        assert_eq!(self.session.abandon(), Outcome::Over, "it is counted twice");
        assert_eq!(self.session.is_success(), succeeded);
    }

    /// What must hold for every session after every call.
    fn check(&mut self, outcome: Outcome) {
        let session = &self.session;
        let failed = matches!(outcome, Outcome::Failed | Outcome::FailedWithMessage);
        if self.run.failed {
            assert!(matches!(outcome, Outcome::Over), "after an error: {outcome:?}");
        }
        assert_eq!(session.question().is_some(), outcome == Outcome::Ask, "{outcome:?}");
        match outcome {
            Outcome::Send | Outcome::FailedWithMessage => assert!(!session.message_absent()),
            Outcome::Absent | Outcome::Failed => assert!(session.message_absent() && session.message().is_empty()),
            Outcome::Ask | Outcome::Over | Outcome::Busy => {}
        }
        if session.side() == Side::Server {
            self.check_server(outcome);
        }
        let session = &self.session;
        self.run.failed |= failed;
        self.run.failed_with_message |= outcome == Outcome::FailedWithMessage;
        self.run.succeeded |= session.is_success();
        assert_eq!(session.failure().is_some(), self.run.failed, "{outcome:?}");
        if self.run.failed {
            assert!(!session.is_success() && !session.need_step() && session.layer().is_none());
            let text = session.failure().map(ToString::to_string).unwrap_or_default();
            // For a log: one line of limited length, without secrets.
            assert!(text.len() < 2000 && !text.contains(char::is_control), "{text:?}");
            assert!(!text.contains(&self.facts.secret()) && !text.contains(&self.facts.client_secret()), "{text}");
        }
        assert!(!session.is_success() || !session.need_step());
    }

    /// Names are available only once they are proved, each message gets a verdict or a challenge, and the account store's list is
    /// respected.
    fn check_server(&self, outcome: Outcome) {
        let session = &self.session;
        if !session.is_success() {
            let identity = session.identity();
            let is_known = [&identity.authcid, &identity.authzid, &identity.realm].iter().any(|name| name.is_some());
            assert!(!is_known && session.properties().is_none(), "a name that is not proved yet: {identity:?}");
            assert!(outcome != Outcome::Absent, "a message got neither a challenge nor a verdict");
        }
        let listed = self.facts.lists(self.facts.mechanism);
        assert!(
            listed || matches!(outcome, Outcome::Failed | Outcome::Over),
            "{} is not in the mech_list, but the server continues: {outcome:?}",
            self.facts.mechanism
        );
    }
}
