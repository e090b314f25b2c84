//! For tests: both sides of an exchange, with an application that takes its answers from a table.

use crate::contract::{Abilities, Answer, Property, Question, Random, Side, Values};
use crate::error::Error;
use crate::secret::Secret;
use crate::session::{Outcome, Session};
use crate::world::LocalWorld;

/// One side with its application.
pub struct Peer {
    pub session: Session,
    pub world: LocalWorld,
    /// A client's values.
    pub values: Vec<(Property, String)>,
    /// Its answer if realms are offered.
    pub realm: Option<String>,
    /// The stored secret that a server's application returns.
    pub credential: Option<String>,
    /// The questions so far.
    pub asked: Vec<String>,
}

impl Peer {
    pub fn client(mechanism: &str, authcid: &str, password: &str) -> Self {
        let mut peer = Peer::new(Side::Client, mechanism);
        peer.session.config.abilities = Abilities::AUTHCID.union(Abilities::PASSWORD);
        peer.values = vec![(Property::Authcid, authcid.into()), (Property::Password, password.into())];
        peer
    }

    pub fn server(mechanism: &str, credential: Option<&str>) -> Self {
        let mut peer = Peer::new(Side::Server, mechanism);
        peer.session.config.abilities = Abilities::CREDENTIALS;
        peer.credential = credential.map(str::to_owned);
        peer
    }

    fn new(side: Side, mechanism: &str) -> Self {
        let mut session = Session::new(side, crate::mechanism::registry());
        session.pick(mechanism).unwrap();
        let world = LocalWorld::default();
        Peer { session, world, values: Vec::new(), realm: None, credential: None, asked: Vec::new() }
    }

    /// Sets the service and the host.
    pub fn of(mut self, service: &str, host: &str) -> Self {
        self.session.config.service = service.into();
        self.session.config.host = host.into();
        self
    }

    /// Sets the nonce: one of a published exchange.
    pub fn with_nonce(mut self, nonce: &'static str) -> Self {
        self.world = LocalWorld::with_random(Box::new(Published(nonce)));
        self
    }

    pub fn start(&mut self, initial: Option<&[u8]>) -> Outcome {
        let outcome = self.session.start(initial, &mut self.world.lend());
        self.answer(outcome)
    }

    pub fn step(&mut self, message: &[u8]) -> Outcome {
        let outcome = self.session.step(message, &mut self.world.lend());
        self.answer(outcome)
    }

    pub fn error(&self) -> &Error {
        &self.session.failure().expect("a failure").error
    }

    fn answer(&mut self, mut outcome: Outcome) -> Outcome {
        while outcome == Outcome::Ask {
            let question = self.session.question().expect("a question");
            self.asked.push(format!("{question:?}"));
            let answer = match question {
                Question::Values(wanted) => {
                    let mut values = Values::default();
                    for (property, value) in self.values.iter().filter(|(property, _)| wanted.contains(property)) {
                        values.push(*property, Secret::new(value.as_bytes()));
                    }
                    Answer::Values(values)
                }
                Question::Realm { .. } => Answer::Text(self.realm.clone()),
                Question::Credentials { .. } => {
                    Answer::Credential(self.credential.as_ref().map(|c| Secret::new(c.as_bytes())))
                }
                other => panic!("{other:?}"),
            };
            outcome = self.session.answer(answer, &mut self.world.lend());
        }
        outcome
    }
}

/// Runs an exchange in which the server sends first to its end; true if both sides succeed.
pub fn run(client: &mut Peer, server: &mut Peer) -> bool {
    assert_eq!(client.start(None), Outcome::Absent);
    if server.start(None) != Outcome::Send {
        return false;
    }
    loop {
        if !matches!(client.step(server.session.message()), Outcome::Send | Outcome::Absent) {
            return false;
        }
        if client.session.message_absent() {
            break;
        }
        if !matches!(server.step(client.session.message()), Outcome::Send | Outcome::Absent) {
            return false;
        }
        if server.session.message_absent() {
            break;
        }
    }
    client.session.is_success() && server.session.is_success()
}

struct Published(&'static str);

impl Random for Published {
    fn fill(&mut self, _: &mut [u8]) -> Result<(), Error> {
        Err(Error::System("only a nonce was published"))
    }

    fn nonce(&mut self) -> Result<String, Error> {
        Ok(self.0.to_owned())
    }
}
