//! Client against server, end to end through [`Session`].

mod attacks;
mod exchange;
mod vectors;

use std::sync::Mutex;

use crate::config::ChannelBinding;
use crate::contract::{Abilities, Answer, Property, Question, Random, Side, Values, World};
use crate::crypto::hash::Hash;
use crate::crypto::scram::parse_mechanism_name;
use crate::error::Error;
use crate::secret::Secret;
use crate::session::{Outcome, Session};
use crate::store::keys::KeyMemory;
use crate::store::verifier::Verifier;
use crate::world::LookupMemory;

const NAMES: [&str; 6] =
    ["SCRAM-SHA-1", "SCRAM-SHA-224", "SCRAM-SHA-256", "SCRAM-SHA-384", "SCRAM-SHA-512", "SCRAM-SHA3-512"];

/// Gives always the same nonce.
struct Fixed(&'static str);

impl Random for Fixed {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        buffer.fill(7);
        Ok(())
    }

    fn nonce(&mut self) -> Result<String, Error> {
        Ok(self.0.into())
    }
}

/// One side with what it answers.
struct Party {
    session: Session,
    random: Fixed,
    seen: LookupMemory,
    keys: KeyMemory,
    authcid: String,
    authzid: Option<String>,
    /// A client's password, a server's credential.
    secret: Option<Secret>,
    asked: Vec<String>,
}

impl Party {
    fn new(side: Side, mechanism: &str, nonce: &'static str, secret: Option<&str>) -> Self {
        let mut session = Session::new(side, crate::mechanism::registry());
        session.config.abilities = match side {
            Side::Client => Abilities::AUTHCID.union(Abilities::PASSWORD),
            Side::Server => Abilities::CREDENTIALS.union(Abilities::AUTHORIZE),
        };
        session.pick(mechanism).unwrap();
        Party {
            session,
            random: Fixed(nonce),
            seen: LookupMemory::new(),
            keys: KeyMemory::default(),
            authcid: "user".into(),
            authzid: None,
            secret: secret.map(|text| Secret::new(text.as_bytes())),
            asked: Vec::new(),
        }
    }

    fn client(mechanism: &str) -> Self {
        let mut party = Party::new(Side::Client, mechanism, "rOprNGfwEbeRWgbNEkqO", Some("pencil"));
        if mechanism.ends_with("-PLUS") {
            party.bind("tls-exporter", b"the channel");
        }
        party
    }

    fn server(mechanism: &str) -> Self {
        let (hash, plus) = parse_mechanism_name(mechanism).unwrap();
        let text = verifier(hash);
        let mut party = Party::new(Side::Server, mechanism, "%hvYDpWUa2RaTCAfuxFIlj", Some(&text));
        if plus {
            party.bind("tls-exporter", b"the channel");
        }
        party
    }

    fn bind(&mut self, kind: &str, data: &[u8]) {
        self.session.config.set_binding(ChannelBinding { kind: kind.into(), data: data.into() }).unwrap();
    }

    fn call(&mut self, act: impl FnOnce(&mut Session, &mut World<'_>) -> Outcome) -> Outcome {
        let mut world = World {
            random: &mut self.random,
            keys: Some(&self.keys),
            salt_key: b"the salts of a test",
            lookups: &self.seen,
            clock: None,
        };
        let mut outcome = act(&mut self.session, &mut world);
        while outcome == Outcome::Ask {
            let answer = match self.session.question() {
                Some(Question::Values(_)) => {
                    let mut values = Values::default();
                    values.push(Property::Authcid, self.authcid.clone().into());
                    if let Some(authzid) = &self.authzid {
                        values.push(Property::Authzid, authzid.clone().into());
                    }
                    if let Some(password) = &self.secret {
                        values.push(Property::Password, password.clone());
                    }
                    Answer::Values(values)
                }
                Some(Question::Credentials { authcid, .. }) => {
                    self.asked.push(authcid.clone());
                    Answer::Credential(self.secret.clone())
                }
                Some(Question::Authorize { .. }) => Answer::Verdict(true),
                other => panic!("not asked in SCRAM: {other:?}"),
            };
            outcome = self.session.answer(answer, &mut world);
        }
        outcome
    }

    fn start(&mut self, initial: Option<&[u8]>) -> Outcome {
        self.call(|session, world| session.start(initial, world))
    }

    fn step(&mut self, message: &[u8]) -> Outcome {
        self.call(|session, world| session.step(message, world))
    }

    fn said(&self) -> Vec<u8> {
        self.session.message().to_vec()
    }

    fn error(&self) -> &Error {
        &self.session.failure().expect("it has failed").error
    }
}

/// The verifier of `pencil`, derived once for all tests.
fn verifier(hash: Hash) -> String {
    static MADE: Mutex<Vec<(Hash, String)>> = Mutex::new(Vec::new());
    let mut made = MADE.lock().unwrap();
    if let Some((_, text)) = made.iter().find(|(of, _)| *of == hash) {
        return text.clone();
    }
    let text = Verifier::make(hash, "pencil", b"0123456789abcdef", 4096).unwrap().print(Default::default());
    made.push((hash, text.clone()));
    text
}

/// The messages of a whole exchange; it ends where a side fails or the client has had the last one.
fn exchange(client: &mut Party, server: &mut Party) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    if client.start(None) != Outcome::Send {
        return messages;
    }
    messages.push(client.said());
    let mut outcome = server.start(Some(&client.said()));
    loop {
        if matches!(outcome, Outcome::Send | Outcome::FailedWithMessage) {
            messages.push(server.said());
        } else {
            return messages;
        }
        if client.step(&server.said()) != Outcome::Send {
            return messages;
        }
        messages.push(client.said());
        outcome = server.step(&client.said());
    }
}
