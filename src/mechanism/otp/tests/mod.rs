//! Both sides, with a store that a test can look into.

mod client;
mod server;

use std::sync::{Arc, Mutex};

use super::server::LOCK_SECONDS;
use super::*;
use crate::accounts::Accounts;
use crate::config::Config;
use crate::contract::{Answer, Property, Question, Values};
use crate::crypto::otp::{print_hex, words, Otp as Password};
use crate::error::{Malformed, Refused};
use crate::session::{Outcome, Session};
use crate::world::LocalWorld;

const PHRASE: &str = "a pass phrase of fred";
const NOW: u64 = 1_800_000_000;

/// A store with one user, fred.
#[derive(Debug, Default)]
struct Store {
    state: Mutex<Option<OtpState>>,
    /// How often it was replaced.
    replaced: Mutex<u32>,
}

impl Store {
    fn of(hash: OtpHash, sequence: u32) -> Arc<Self> {
        let store = Store::default();
        *store.state.lock().unwrap() = Some(OtpState::new(hash, PHRASE.as_bytes(), "ho1234", sequence));
        Arc::new(store)
    }

    fn state(&self) -> OtpState {
        self.state.lock().unwrap().clone().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut OtpState)) {
        change(self.state.lock().unwrap().as_mut().unwrap());
    }
}

impl Accounts for Store {
    fn abilities(&self) -> Abilities {
        Abilities::OTP
    }

    fn answer(&self, question: &Question, _: &Config) -> Result<Answer, Error> {
        let mut state = self.state.lock().unwrap();
        match question {
            Question::Credentials { kind: CredentialKind::Otp, authcid, .. } if authcid == "fred" => {
                Ok(Answer::Credential(state.as_ref().map(OtpState::print)))
            }
            Question::Credentials { .. } => Ok(Answer::Credential(None)),
            Question::Replace { kind: CredentialKind::Otp, authcid, old, new, .. } => {
                let same = authcid == "fred" && state.as_ref().is_some_and(|it| it.print().ct_eq(old.expose()));
                if same {
                    *state = Some(OtpState::parse(new.expose())?);
                    *self.replaced.lock().unwrap() += 1;
                }
                Ok(Answer::Verdict(same))
            }
            other => panic!("{other:?}"),
        }
    }
}

struct Party {
    session: Session,
    world: LocalWorld,
    values: Vec<(Property, &'static str)>,
    answer: Option<&'static str>,
}

impl Party {
    fn server(store: &Arc<Store>) -> Self {
        let mut server = Party::new(Side::Server);
        server.session.accounts = Some(store.clone());
        server
    }

    /// A server below TLS.
    fn protected(store: &Arc<Store>) -> Self {
        let mut server = Party::server(store);
        server.session.config.external_ssf = 256;
        server
    }

    fn client(phrase: &'static str) -> Self {
        let mut client = Party::new(Side::Client);
        client.session.config.abilities = Abilities::AUTHCID.union(Abilities::PASSWORD);
        client.values = vec![(Property::Authcid, "fred"), (Property::Password, phrase)];
        client
    }

    fn prompted(answer: Option<&'static str>) -> Self {
        let mut client = Party::client(PHRASE);
        client.session.config.abilities = Abilities::AUTHCID.union(Abilities::PASSWORD).union(Abilities::CHALLENGE);
        client.values.pop();
        client.answer = answer;
        client
    }

    fn new(side: Side) -> Self {
        let mut session = Session::new(side, crate::mechanism::registry());
        session.pick("OTP").unwrap();
        session.config.host = "mail.example.org".into();
        let world = LocalWorld::default().with_clock(|| NOW);
        Party { session, world, values: Vec::new(), answer: None }
    }

    fn start(&mut self, initial: Option<&[u8]>) -> Outcome {
        let outcome = self.session.start(initial, &mut self.world.lend());
        self.settle(outcome)
    }

    fn step(&mut self, message: &[u8]) -> Outcome {
        let outcome = self.session.step(message, &mut self.world.lend());
        self.settle(outcome)
    }

    fn settle(&mut self, mut outcome: Outcome) -> Outcome {
        while outcome == Outcome::Ask {
            let answer = match self.session.question().unwrap() {
                Question::Values(wanted) => {
                    let mut values = Values::default();
                    let given = self.values.iter().filter(|(property, _)| wanted.contains(property));
                    given.for_each(|(property, value)| values.push(*property, Secret::new(value.as_bytes())));
                    Answer::Values(values)
                }
                Question::Challenge { .. } => Answer::Credential(self.answer.map(|a| Secret::new(a.as_bytes()))),
                other => panic!("{other:?}"),
            };
            outcome = self.session.answer(answer, &mut self.world.lend());
        }
        outcome
    }

    fn said(&self) -> String {
        String::from_utf8(self.session.message().to_vec()).unwrap()
    }

    fn error(&self) -> &Error {
        &self.session.failure().expect("a failure").error
    }
}

/// A login; the response.
fn login(client: &mut Party, server: &mut Party) -> String {
    assert_eq!(client.start(None), Outcome::Send);
    assert_eq!(server.start(Some(client.said().as_bytes())), Outcome::Send, "{:?}", server.session.failure());
    assert_eq!(client.step(server.said().as_bytes()), Outcome::Send);
    assert!(client.session.is_success() && !client.session.need_step());
    let response = client.said();
    server.step(response.as_bytes());
    response
}

/// The one-time password of fred.
fn password(hash: OtpHash, sequence: u32) -> Password {
    hash.compute(PHRASE.as_bytes(), "ho1234", sequence)
}
