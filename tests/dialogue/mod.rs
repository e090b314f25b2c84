//! One party of an exchange, whose application answers from a table of facts: the headers of a
//! vector (t/vectors/README.md tells their names), or a list in a test.
#![allow(dead_code)] // each test program uses a part of it

use std::collections::BTreeMap;
use std::sync::OnceLock;

use authen_sasl_rust::config::ChannelBinding;
use authen_sasl_rust::contract::{
    Abilities, Answer, CredentialKind, DerivedKeys, KeyId, Property, Question, Random, Side, TokenVerdict, Values,
};
use authen_sasl_rust::crypto::hash::Hash;
use authen_sasl_rust::crypto::otp::OtpHash;
use authen_sasl_rust::error::Error;
use authen_sasl_rust::mechanism;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::session::{Outcome, Session};
use authen_sasl_rust::store::keys::KeyMemory;
use authen_sasl_rust::store::otp::OtpState;
use authen_sasl_rust::store::verifier::{make_text, VerifierFormat};
use authen_sasl_rust::world::LocalWorld;

/// What the applications of both sides know, by the names of a vector's headers.
#[derive(Debug, Clone, Default)]
pub struct Facts(pub BTreeMap<String, Vec<u8>>);

impl Facts {
    pub fn of(pairs: &[(&str, &str)]) -> Self {
        Facts(pairs.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect())
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.bytes(name).map(|bytes| std::str::from_utf8(bytes).expect("a header in UTF-8"))
    }

    /// What of these facts suits the mechanism: channel binding of its type where it binds, since without it a
    /// server that could bind takes the exchange for a downgrade; and a verifier where the mechanism
    /// knows such, so that thousands of exchanges cost a server no derivation. Its salt is short, to
    /// leave few bytes whose damage costs the client one.
    pub fn for_mechanism(&self, mechanism: &str) -> Self {
        let mut facts = self.clone();
        let described = mechanism::find(mechanism).expect("a mechanism of the core");
        match (facts.0.remove("channel-binding"), described.binding_type) {
            (Some(binding), None) if described.binds => drop(facts.0.insert("channel-binding".into(), binding)),
            (_, Some(kind)) => {
                facts = facts.with("channel-binding", &format!("{kind} 000102030405060708090a0b0c0d0e0f"))
            }
            _ => {}
        }
        let password = facts.text("password").expect("a password");
        if described.credential == CredentialKind::Otp {
            let state = OtpState::new(OtpHash::Md5, password.as_bytes(), "te1234", 9).print();
            return facts.with("otp-state", state.expose_str().expect("a text"));
        }
        match make_text(mechanism, password, Some(b"abc"), 4096, VerifierFormat::Rfc5803) {
            Ok(key) => facts.with("verifier", &key),
            Err(_) => facts,
        }
    }

    fn secret(&self) -> Option<Secret> {
        self.bytes("verifier").or(self.bytes("secret")).or(self.bytes("password")).map(Secret::new)
    }
}

/// The values of a client, by their headers.
const VALUES: [(Property, &str, Abilities); 10] = [
    (Property::Authcid, "authcid", Abilities::AUTHCID),
    (Property::Authzid, "authzid", Abilities::AUTHZID),
    (Property::Password, "password", Abilities::PASSWORD),
    (Property::Token, "token", Abilities::TOKEN),
    (Property::HtToken, "ht-token", Abilities::HT_TOKEN),
    (Property::ScramKeys, "scram-keys", Abilities::scram_keys(Hash::Sha256)),
    (Property::Realm, "realm", Abilities::NONE),
    (Property::Host, "host", Abilities::NONE),
    (Property::Port, "port", Abilities::NONE),
    (Property::ServName, "serv-name", Abilities::NONE),
];

/// One side with its application.
pub struct Party<'f> {
    pub session: Session,
    world: LocalWorld,
    facts: &'f Facts,
}

impl<'f> Party<'f> {
    /// A party whose application is able to do what its facts allow.
    pub fn new(side: Side, mechanism: &str, facts: &'f Facts, random: Box<dyn Random + Send>) -> Self {
        let mut session = session(side, facts);
        session.pick(mechanism).unwrap_or_else(|error| panic!("{mechanism}: {error}"));
        Party { world: LocalWorld::with_random(random).with_clock(clock), ..Party::with(session, facts) }
    }

    /// A party with a session that has its mechanism.
    pub fn with(session: Session, facts: &'f Facts) -> Self {
        Party { session, world: LocalWorld::default().with_clock(clock), facts }
    }

    /// The party remembers, as [`remembering`] says.
    pub fn remembering(mut self) -> Self {
        self.world = remembering(self.world, self.facts);
        self
    }

    /// Begins; the application answers until a message or the end has come.
    pub fn start(&mut self, initial: Option<&[u8]>) -> Outcome {
        let outcome = self.session.start(initial, &mut self.world.lend());
        self.settle(outcome)
    }

    /// Takes a message; the application answers until a message or the end has come.
    pub fn step(&mut self, received: &[u8]) -> Outcome {
        let outcome = self.session.step(received, &mut self.world.lend());
        self.settle(outcome)
    }

    /// What is to be sent, if anything.
    pub fn said(&self) -> Option<&[u8]> {
        (!self.session.message_absent()).then(|| self.session.message())
    }

    /// The failure as a program sees it, or nothing.
    pub fn failure(&self) -> String {
        self.session.failure().map(ToString::to_string).unwrap_or_default()
    }

    fn settle(&mut self, mut outcome: Outcome) -> Outcome {
        while outcome == Outcome::Ask {
            let answer = answer(self.session.question().expect("a question"), self.facts);
            outcome = self.session.answer(answer, &mut self.world.lend());
        }
        outcome
    }
}

fn clock() -> u64 {
    1_800_000_000
}

/// A world in which thousands of exchanges derive few keys: derived ones are remembered together with all such worlds, and a server
/// knows already of which kind the credentials are, which costs its first login a derivation.
pub fn remembering(world: LocalWorld, facts: &Facts) -> LocalWorld {
    let mut world = world.remember_in(Box::new(SharedKeys));
    if facts.bytes("verifier").is_some() {
        world.lend().lookups.record_kind(true);
    }
    world
}

/// A session whose options and abilities are those that the facts tell.
pub fn session(side: Side, facts: &Facts) -> Session {
    let mut session = Session::new(side, authen_sasl_rust::mechanism::registry());
    session.config.abilities = abilities(side, facts);
    let own_option = format!("{side}-option-");
    for (name, value) in &facts.0 {
        let option = name.strip_prefix(&own_option).or_else(|| name.strip_prefix("option-"));
        if let Some(option) = option {
            let value = std::str::from_utf8(value).expect("an option in UTF-8");
            assert_eq!(session.config.set(option, Some(value)), Ok(()), "option {option}");
        }
    }
    if let Some((kind, hex)) = facts.text("channel-binding").and_then(|text| text.split_once(' ')) {
        session.config.set_binding(ChannelBinding { kind: kind.into(), data: unhex(hex) }).unwrap();
    }
    for (header, option) in
        [("service", "service"), ("host", "host"), ("external-id", "external_id"), ("iterations", "iterations")]
    {
        if let Some(value) = facts.text(header) {
            assert_eq!(session.config.set(option, Some(value)), Ok(()));
        }
    }
    if side == Side::Server {
        session.config.set("realm", facts.text("realm")).expect("a realm");
    }
    session
}

fn abilities(side: Side, facts: &Facts) -> Abilities {
    let mut abilities = Abilities::NONE;
    match side {
        Side::Client => {
            for (_, header, ability) in VALUES {
                if facts.bytes(header).is_some() {
                    abilities = abilities.union(ability);
                }
            }
        }
        Side::Server => {
            let know = [Abilities::CHECK_TOKEN, Abilities::HT_TOKENS, Abilities::OTP]
                .into_iter()
                .fold(Abilities::CREDENTIALS, Abilities::union);
            abilities = abilities.union(know);
            // What is told apart from the client's password is for getsecret alone.
            if facts.bytes("secret").or(facts.bytes("verifier")).is_none() {
                abilities = abilities.union(Abilities::CHECK_PASSWORD);
            }
            if facts.bytes("authorize").is_some() {
                abilities = abilities.union(Abilities::AUTHORIZE);
            }
        }
    }
    abilities
}

fn unhex(text: &str) -> Vec<u8> {
    let digits =
        |at| text.get(at..at + 2).and_then(|two| u8::from_str_radix(two, 16).ok()).expect("hexadecimal digits");
    (0..text.len()).step_by(2).map(digits).collect()
}

/// The application's answer to a question.
pub fn answer(question: &Question, facts: &Facts) -> Answer {
    // Who is known to the server: `user` where the client's name is to be a wrong one.
    let known = facts.text("user").or(facts.text("authcid"));
    match question {
        Question::Values(wanted) => {
            let mut values = Values::default();
            for (property, header, _) in VALUES {
                if let (true, Some(value)) = (wanted.contains(&property), facts.bytes(header)) {
                    values.push(property, Secret::new(value));
                }
            }
            // EXTERNAL has one identity, by whichever name it was given.
            if let (true, Some(name)) =
                (wanted.contains(&Property::Identity), facts.bytes("authzid").or(facts.bytes("authcid")))
            {
                values.push(Property::Identity, Secret::new(name));
            }
            Answer::Values(values)
        }
        Question::Realm { .. } => Answer::Text(facts.text("realm").map(str::to_owned)),
        Question::CheckPassword { authcid, password, .. } => Answer::Verdict(
            known == Some(authcid) && facts.secret().is_some_and(|secret| secret.ct_eq(password.expose())),
        ),
        Question::Credentials { kind, authcid, .. } => {
            let secret = || match kind {
                CredentialKind::Otp => facts.bytes("otp-state").map(Secret::new),
                CredentialKind::HtTokens(_) => facts.bytes("ht-tokens").or(facts.bytes("ht-token")).map(Secret::new),
                _ => facts.secret(),
            };
            Answer::Credential(if known == Some(authcid) { secret() } else { None })
        }
        // Its locks are not stored.
        Question::Replace { authcid, old, .. } => {
            let state = |text| OtpState::parse(text).ok().map(|state| OtpState { locked_until: 0, ..state });
            let same = facts.bytes("otp-state").is_some_and(|stored| state(stored) == state(old.expose()));
            Answer::Verdict(known == Some(authcid) && same)
        }
        Question::Authorize { .. } => Answer::Verdict(facts.text("authorize") == Some("yes")),
        Question::Token { token, .. } => {
            let right = facts.bytes("token").is_some_and(|known| token.ct_eq(known));
            Answer::Token(match (right, facts.text("refuse-status")) {
                (true, None) => TokenVerdict::Accepted {
                    authcid: facts.text("token-identity").or(known).expect("a token's identity").to_owned(),
                },
                (_, status) => TokenVerdict::Rejected {
                    status: status.unwrap_or("invalid_token").to_owned(),
                    scope: facts.text("refuse-scope").map(str::to_owned),
                    openid_configuration: facts.text("refuse-configuration").map(str::to_owned),
                },
            })
        }
        Question::KeepKeys { .. } | Question::SetVerifier { .. } => Answer::Verdict(true),
        Question::Canonicalize { name, .. } => Answer::Text(Some(name.clone())),
        other => panic!("no answer to {other:?}"),
    }
}

/// Bytes that differ from draw to draw and not from run to run.
pub struct Seeded(pub u64);

impl Random for Seeded {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        for byte in buffer {
            // Knuth's MMIX generator; its high bits are good enough to be told apart.
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (self.0 >> 56) as u8;
        }
        Ok(())
    }
}

/// One memory of derived keys for the whole program.
struct SharedKeys;

static KEYS: OnceLock<KeyMemory> = OnceLock::new();

impl DerivedKeys for SharedKeys {
    fn find(&self, id: &KeyId<'_>) -> Option<Secret> {
        KEYS.get_or_init(KeyMemory::default).find(id)
    }

    fn remember(&self, id: &KeyId<'_>, keys: Secret) {
        KEYS.get_or_init(KeyMemory::default).remember(id, keys);
    }
}
