//! One side of an exchange with its application, which answers as the input tells it: honestly, or not.
//!
//! The application never says yes to a wrong secret: that would be its own fault, and no finding.

use std::cell::RefCell;
use std::rc::Rc;

use authen_sasl_rust::config::{ChannelBinding, Config};
use authen_sasl_rust::contract::{Abilities, Answer, Property, Question, Random, Side, TokenVerdict, Values};
use authen_sasl_rust::crypto::scram::family;
use authen_sasl_rust::error::Error;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::session::{Outcome, Session};
use authen_sasl_rust::store::verifier::{Spelling, Verifier};
use authen_sasl_rust::world::LocalWorld;

use crate::input::Input;

/// Names with what is special somewhere: a comma, quotes, characters of ISO 8859-1, and beyond it.
const NAMES: [&str; 6] = ["fred", "a=b,c", "q\"u\\o", "fr\u{e9}d", "\u{20ac}\u{4e2d}", "a name with spaces"];
const REALMS: [&str; 4] = ["example.com", "", "r\"\\, x", "r\u{e9}alm"];
/// Least and most strength, and the longest frames, that policies name.
const STRENGTHS: [u32; 6] = [0, 1, 40, 56, 112, u32::MAX];
const FRAMES: [u32; 6] = [65536, 0, 16, 17, 64, 4096];

/// Derivations are cheap here: the limits of real clients and servers are tested elsewhere.
const ITERATIONS: u32 = 2;
const MOST_ITERATIONS: u32 = 8;

/// What both applications know, and what their programs have set.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The mechanism's name.
    pub mechanism: &'static str,
    /// The user's name, as its client gives it.
    pub name: &'static str,
    /// The client knows the user's password and token.
    pub client_knows: bool,
    /// The server knows the user.
    pub user_known: bool,
    /// The server has a stored key where the mechanism can do with one.
    pub stored_key: bool,
    /// The authorization identity that the client asks for.
    pub authzid: Option<String>,
    /// What the server's application can answer.
    pub server_abilities: Abilities,
    /// The server's realm.
    pub realm: &'static str,
    /// Channel bindings: the client's, the server's.
    pub bindings: [Option<Vec<u8>>; 2],
    /// Options of the client, of the server.
    pub options: [Vec<(&'static str, String)>; 2],
    /// The client believes that the server offers -PLUS.
    pub peer_offers_binding: bool,
    /// What secrets and nonces are made of.
    seed: u64,
}

impl Facts {
    /// Reads what differs from exchange to exchange: nine bytes.
    pub fn read(mechanism: &'static str, input: &mut Input<'_>) -> Self {
        let (who, what, bound) = (input.byte(), input.byte(), input.byte());
        let name = *input.choose(&NAMES);
        let realm = *input.choose(&REALMS);
        let authzid = match who >> 3 & 3 {
            0 => None,
            1 => Some(name.to_owned()),
            2 => Some("somebody else".to_owned()),
            _ => Some(format!("{name}@{realm}")),
        };
        let mut server_abilities = Abilities::NONE;
        for (bit, ability) in [
            (1, Abilities::CREDENTIALS),
            (2, Abilities::CHECK_PASSWORD),
            (4, Abilities::AUTHORIZE),
            (8, Abilities::CANONICALIZE),
            (16, Abilities::CHECK_TOKEN),
        ] {
            // Inverted: zero bytes make a server that can do everything.
            if what & bit == 0 {
                server_abilities = server_abilities.and(ability);
            }
        }
        let data = |bit: u8, byte: u8| (bound & bit != 0).then(|| vec![byte; 12]);
        let mut options: [Vec<(&'static str, String)>; 2] = Default::default();
        for (side, require) in options.iter_mut().zip([8, 16]) {
            let (strength, frame) = (input.byte(), *input.choose(&FRAMES));
            side.push(("maxssf", STRENGTHS[usize::from(strength) % STRENGTHS.len()].to_string()));
            side.push((
                "minssf",
                STRENGTHS[usize::from(strength >> 4) % STRENGTHS.len()].min(strength.into()).to_string(),
            ));
            side.push(("maxbuf", frame.to_string()));
            if bound & require != 0 {
                side.push(("channel_binding_policy", "require".into()));
            }
            if bound & 64 != 0 {
                side.push(("offered_mechanisms", "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN".into()));
            }
        }
        Facts {
            mechanism,
            name,
            client_knows: who & 1 == 0,
            user_known: who & 2 == 0,
            stored_key: who & 4 == 0,
            authzid,
            server_abilities,
            realm,
            bindings: [data(1, 7), data(2, if bound & 4 == 0 { 7 } else { 8 })],
            options,
            peer_offers_binding: bound & 32 != 0,
            seed: input.digest(),
        }
    }

    /// The user's password, and its token: both satisfy every grammar.
    pub fn secret(&self) -> String {
        format!("pa{:016x}", self.seed.rotate_left(17) ^ 0x5eed_5eed_5eed_5eed)
    }

    /// What the client takes for it.
    pub fn client_secret(&self) -> String {
        match self.client_knows {
            true => self.secret(),
            false => format!("no{:016x}", self.seed.rotate_left(31) ^ 0x0bad_0bad_0bad_0bad),
        }
    }

    /// What the server has stored.
    fn credential(&self) -> String {
        match family(self.mechanism).filter(|_| self.stored_key) {
            Some((hash, _)) => Verifier::make(hash, &self.secret(), &[3; 16], ITERATIONS)
                .expect("a verifier of ASCII")
                .print(Spelling::Rfc5803),
            None => self.secret(),
        }
    }

    /// The name that the server has for who is authenticated.
    pub fn expected_authcid(&self) -> String {
        match self.mechanism {
            "ANONYMOUS" => "anonymous".into(),
            _ => self.name.into(),
        }
    }
}

/// How the application answers the next question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As it is asked.
    Honestly,
    /// It has nothing: no value, an unknown user, a refusal.
    Nothing,
    /// With an answer to another question.
    WrongKind,
    /// With values that no mechanism should take.
    Garbage(u8),
    /// After the program went on without waiting.
    Late,
    /// Two times.
    Twice,
    /// It cannot: the program ends the exchange.
    Abort,
}

/// Random bytes that differ from draw to draw, and a list of all nonces.
struct Recording {
    state: u64,
    nonces: Rc<RefCell<Vec<String>>>,
}

impl Random for Recording {
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
        self.nonces.borrow_mut().push(nonce.clone());
        Ok(nonce)
    }
}

/// What a side is lent; its nonces are listed.
pub fn world(side: Side, facts: &Facts, nonces: Rc<RefCell<Vec<String>>>) -> LocalWorld {
    LocalWorld::with_random(Box::new(Recording { state: facts.seed.wrapping_add(side as u64), nonces }))
}

/// Sets a side's options as the facts tell.
pub fn configure(config: &mut Config, side: Side, facts: &Facts) {
    let index = side as usize;
    for (name, value) in &facts.options[index] {
        assert_eq!(config.set(name, Some(value)), Ok(true), "{name} {value}");
    }
    for (name, value) in [("service", "ldap"), ("host", "mail.example.com"), ("external_id", facts.name)] {
        assert_eq!(config.set(name, Some(value)), Ok(true));
    }
    if let Some(data) = facts.bindings[index].clone() {
        config.set_binding(ChannelBinding { kind: "tls-exporter".into(), data }).expect("a binding");
    }
    (config.iterations, config.min_iterations, config.max_iterations) = (ITERATIONS, 1, MOST_ITERATIONS);
    match side {
        Side::Client => {
            config.abilities =
                Abilities::AUTHCID.and(Abilities::AUTHZID).and(Abilities::PASSWORD).and(Abilities::TOKEN);
            config.peer_offers_binding = facts.peer_offers_binding;
        }
        Side::Server => {
            config.abilities = facts.server_abilities;
            assert_eq!(config.set("realm", Some(facts.realm)), Ok(true));
        }
    }
}

/// What has happened on one side since it last began.
#[derive(Default)]
pub struct Run {
    /// The messages that it was given.
    pub fed: Vec<Vec<u8>>,
    /// The messages that it sent.
    pub said: Vec<Vec<u8>>,
    /// The nonces that it drew.
    pub nonces: Vec<String>,
    /// It has failed.
    pub failed: bool,
    /// It has succeeded.
    pub succeeded: bool,
}

/// One side with its application.
pub struct Party {
    /// The exchange.
    pub session: Session,
    /// Of the exchange that is under way.
    pub run: Run,
    /// Those before it.
    pub past: Vec<Run>,
    /// How the next questions are answered; honestly when none is left.
    pub manners: Vec<Manner>,
    /// Whom the application has allowed to act as whom.
    pub authorized: Vec<(String, String)>,
    /// Some answer was not honest.
    pub dishonest: bool,
    world: LocalWorld,
    nonces: Rc<RefCell<Vec<String>>>,
    /// What its application knows.
    pub facts: Facts,
}

impl Party {
    /// A side as the facts tell.
    pub fn new(side: Side, facts: &Facts) -> Self {
        let nonces = Rc::new(RefCell::new(Vec::new()));
        let mut session = Session::new(side);
        session.pick(facts.mechanism).expect("a mechanism of the registry");
        configure(&mut session.config, side, facts);
        Party {
            session,
            run: Run::default(),
            past: Vec::new(),
            manners: Vec::new(),
            authorized: Vec::new(),
            dishonest: false,
            world: world(side, facts, Rc::clone(&nonces)),
            nonces,
            facts: facts.clone(),
        }
    }

    /// Begins an exchange.
    pub fn start(&mut self, initial: Option<&[u8]>) -> Outcome {
        self.nonces.borrow_mut().clear();
        self.past.push(std::mem::take(&mut self.run));
        self.run.fed.extend(initial.map(<[u8]>::to_vec));
        let outcome = self.session.start(initial, &mut self.world.lend());
        self.settle(outcome)
    }

    /// Takes a message.
    pub fn step(&mut self, message: &[u8]) -> Outcome {
        let outcome = self.session.step(message, &mut self.world.lend());
        if !matches!(outcome, Outcome::Over | Outcome::Busy) {
            self.run.fed.push(message.to_vec());
        }
        self.settle(outcome)
    }

    /// Checks the outcome of a call, and answers until nothing is asked any more.
    fn settle(&mut self, mut outcome: Outcome) -> Outcome {
        self.check(outcome);
        let mut asked = 0;
        while outcome == Outcome::Ask {
            asked += 1;
            assert!(asked < 8, "it never stops to ask");
            outcome = self.reply();
            self.check(outcome);
        }
        self.run.nonces.clone_from(&self.nonces.borrow());
        if matches!(outcome, Outcome::Send | Outcome::FailedWithMessage) {
            self.run.said.push(self.session.message().to_vec());
        }
        outcome
    }

    fn reply(&mut self) -> Outcome {
        let manner = if self.manners.is_empty() { Manner::Honestly } else { self.manners.remove(0) };
        self.dishonest |= manner != Manner::Honestly;
        let honest = |party: &mut Self| {
            let (answer, authorized) = answer(party.session.question().expect("a question"), &party.facts);
            party.authorized.extend(authorized);
            answer
        };
        let answer = match manner {
            Manner::Honestly => honest(self),
            Manner::Late => {
                assert_eq!(self.session.step(b"x", &mut self.world.lend()), Outcome::Busy);
                honest(self)
            }
            Manner::Twice => {
                let (first, second) = (honest(self), honest(self));
                let outcome = self.session.answer(first, &mut self.world.lend());
                if outcome != Outcome::Ask {
                    assert_eq!(self.session.answer(second, &mut self.world.lend()), Outcome::Over);
                    return outcome;
                }
                second
            }
            Manner::Abort => {
                return self.session.abort(Error::System("the application gave up"));
            }
            other => dishonest(self.session.question().expect("a question"), other, &self.facts),
        };
        self.session.answer(answer, &mut self.world.lend())
    }

    /// What holds of every session after every call.
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
        self.run.failed |= failed;
        self.run.succeeded |= session.is_success();
        assert_eq!(session.failure().is_some(), self.run.failed, "{outcome:?}");
        if self.run.failed {
            assert!(!session.is_success() && !session.need_step() && session.layer().is_none());
            let text = session.failure().map(ToString::to_string).unwrap_or_default();
            // It is for a log: one line, of bounded length, without a secret.
            assert!(text.len() < 2000 && !text.contains(char::is_control), "{text:?}");
            assert!(!text.contains(&self.facts.secret()) && !text.contains(&self.facts.client_secret()), "{text}");
        }
        assert!(!session.is_success() || !session.need_step());
    }
}

/// The answer of an application that knows the facts, and whom it allows to act as whom.
pub fn answer(question: &Question, facts: &Facts) -> (Answer, Option<(String, String)>) {
    let known = |name: &str| facts.user_known && name == facts.name;
    let mut authorized = None;
    let answer = match question {
        Question::Values(wanted) => {
            let secret = facts.client_secret();
            let values = [
                (Property::Authcid, Some(facts.name)),
                (Property::Authzid, facts.authzid.as_deref()),
                (Property::Password, Some(&*secret)),
                (Property::Token, Some(&*secret)),
                (Property::Host, Some("mail.example.com")),
                (Property::Port, Some("143")),
            ];
            let mut given = Values::default();
            for (property, value) in values {
                if let (true, Some(value)) = (wanted.contains(&property), value) {
                    given.push(property, Secret::new(value.as_bytes()));
                }
            }
            Answer::Values(given)
        }
        Question::Realm { .. } => Answer::Text(None),
        Question::CheckPassword { authcid, password, .. } => {
            Answer::Verdict(known(authcid) && password.ct_eq(facts.secret().as_bytes()))
        }
        Question::Credentials { authcid, .. } => {
            Answer::Credential(known(authcid).then(|| Secret::from(facts.credential())))
        }
        Question::Authorize { authcid, authzid, .. } => {
            let allowed = authzid == "somebody else";
            authorized = allowed.then(|| (authcid.clone(), authzid.clone()));
            Answer::Verdict(allowed)
        }
        Question::Token { token, .. } => {
            Answer::Token(match token.ct_eq(facts.secret().as_bytes()) && facts.user_known {
                true => TokenVerdict::Accepted { authcid: facts.name.to_owned() },
                false => TokenVerdict::Rejected {
                    status: "invalid_token".into(),
                    scope: Some("mail".into()),
                    openid_configuration: None,
                },
            })
        }
        Question::Canonicalize { name, .. } => Answer::Text(Some(name.clone())),
        other => panic!("an unknown question: {other:?}"),
    };
    (answer, authorized)
}

/// The answer of an application that is confused, and lets nobody in all the same.
fn dishonest(question: &Question, manner: Manner, facts: &Facts) -> Answer {
    const GARBAGE: [&[u8]; 8] =
        [b"", b"\xff\xfe", b"a\0b", b"\xc2\xad", b"SCRAM-SHA-256$", b"\n\x01,=\"\\", &[b'x'; 5000], b"\xd8\xa71"];
    let bytes = match manner {
        Manner::Garbage(which) => Some(GARBAGE[usize::from(which) % GARBAGE.len()]),
        _ => None,
    };
    let text = bytes.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
    match (question, manner) {
        (Question::Realm { .. } | Question::Canonicalize { .. }, Manner::WrongKind) => Answer::Verdict(true),
        (_, Manner::WrongKind) => Answer::Text(Some("fred".into())),
        (Question::Values(wanted), _) => {
            let mut values = Values::default();
            for property in *wanted {
                bytes.map(|bytes| values.push(*property, Secret::new(bytes)));
            }
            Answer::Values(values)
        }
        (Question::Realm { .. } | Question::Canonicalize { .. }, _) => Answer::Text(text),
        (Question::CheckPassword { .. } | Question::Authorize { .. }, _) => Answer::Verdict(false),
        // Nobody must know what is stored, so garbage gets a secret tail; an empty one and a stored key stay.
        (Question::Credentials { .. }, _) => Answer::Credential(bytes.map(|bytes| match bytes {
            b"" | b"SCRAM-SHA-256$" => Secret::new(bytes),
            other => Secret::from([other, facts.secret().as_bytes(), b"?"].concat()),
        })),
        (Question::Token { .. }, _) => {
            let status = text.clone().unwrap_or_default();
            Answer::Token(TokenVerdict::Rejected { status, scope: text.clone(), openid_configuration: text })
        }
        (other, _) => panic!("an unknown question: {other:?}"),
    }
}
