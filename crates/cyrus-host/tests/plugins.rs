//! Debian's plugins in our host: against each other, and against our own mechanisms, with their layers.
#![cfg(hosts_plugins)]

#[path = "../../../tests/dialogue/mod.rs"]
mod dialogue;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use authen_sasl_cyrus_host::{LoadOptions, Plugins};
use authen_sasl_rust::accounts::{Account, Accounts, Properties};
use authen_sasl_rust::config::Config;
use authen_sasl_rust::contract::{Abilities, Answer, Question, Setup, Side};
use authen_sasl_rust::error::{Code, Error};
use authen_sasl_rust::layer::lock;
use authen_sasl_rust::mechanism;
use authen_sasl_rust::registry::Registry;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::session::{Outcome, Session};
use dialogue::{session, Facts, Party};

/// All plugins with mechanisms that this machine has.
fn plugins() -> Arc<Plugins> {
    static PLUGINS: OnceLock<Arc<Plugins>> = OnceLock::new();
    let all = || {
        Arc::new(
            Plugins::load(&LoadOptions { prefer: true, ..LoadOptions::default() }, &mechanism::registry())
                .expect("plugins"),
        )
    };
    Arc::clone(PLUGINS.get_or_init(all))
}

/// Who plays a side.
#[derive(Debug, Clone, Copy, PartialEq)]
enum By {
    Plugin,
    Us,
}

/// Properties of users, as a store has them.
#[derive(Debug, Default)]
struct Memory(Mutex<BTreeMap<(String, String), Secret>>);

impl Accounts for Memory {
    fn abilities(&self) -> Abilities {
        Abilities::NONE
    }

    fn answer(&self, question: &Question, _: &Config) -> Result<Answer, Error> {
        panic!("{question:?} is not for these accounts")
    }

    fn properties(&self, wanted: &[Box<str>], of: Account<'_>, _: &Config) -> Result<Properties, Error> {
        let mut properties = Properties::default();
        let kept = self.0.lock().expect("no panic");
        for name in wanted {
            let key = (of.authcid.to_owned(), name.trim_start_matches('*').to_owned());
            properties.add(name, kept.get(&key).cloned());
        }
        Ok(properties)
    }

    fn store(&self, of: Account<'_>, values: &[(&str, Option<&Secret>)], _: &Config) -> Result<(), Error> {
        let mut kept = self.0.lock().expect("no panic");
        for (name, value) in values {
            let key = (of.authcid.to_owned(), (*name).to_owned());
            match value {
                Some(value) => kept.insert(key, (*value).clone()),
                None => kept.remove(&key),
            };
        }
        Ok(())
    }
}

fn side(by: By, side: Side, mechanism: &str, facts: &Facts) -> Session {
    let mut session = session(side, facts);
    if by == By::Plugin {
        session.set_registry(Arc::new(plugins().registry(&mechanism::registry())));
    }
    let chosen = session.negotiate(mechanism).unwrap_or_else(|error| panic!("{mechanism} {side}: {error}"));
    assert_eq!(chosen.name, mechanism);
    session
}

/// A whole exchange; gives both sides, with their failures if there are any.
fn exchange<'f>(mechanism: &str, client: By, server: By, facts: &'f Facts) -> (Party<'f>, Party<'f>) {
    let client = side(client, Side::Client, mechanism, facts);
    let server = side(server, Side::Server, mechanism, facts);
    between(Party::with(client, facts), Party::with(server, facts))
}

fn between<'f>(mut client: Party<'f>, mut server: Party<'f>) -> (Party<'f>, Party<'f>) {
    client.start(None);
    let initial = client.said().map(<[u8]>::to_vec);
    let mut outcome = server.start(initial.as_deref());
    for _ in 0..10 {
        if !matches!(outcome, Outcome::Send) || !client.session.need_step() {
            break;
        }
        let message = server.said().expect("a message").to_vec();
        let done = server.session.is_success();
        outcome = client.step(&message);
        if done || !matches!(outcome, Outcome::Send | Outcome::Absent) {
            break;
        }
        let message = client.said().map(<[u8]>::to_vec).unwrap_or_default();
        outcome = server.step(&message);
    }
    (client, server)
}

fn login(mechanism: &str, client: By, server: By, facts: &Facts) {
    let (client, server) = exchange(mechanism, client, server, facts);
    assert!(server.session.is_success(), "{mechanism}: {} | {}", server.failure(), client.failure());
    assert!(client.session.is_success(), "{mechanism}: {} | {}", client.failure(), server.failure());
}

fn fred() -> Facts {
    Facts::of(&[("authcid", "fred"), ("password", "pencil"), ("service", "imap"), ("host", "mail.example.org")])
}

const PAIRS: [(By, By); 3] = [(By::Plugin, By::Plugin), (By::Plugin, By::Us), (By::Us, By::Plugin)];

#[test]
fn names_and_passwords() {
    for mechanism in ["PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        for (client, server) in PAIRS {
            login(mechanism, client, server, &fred());
        }
    }
    login("NTLM", By::Plugin, By::Plugin, &fred());
}

#[test]
fn wrong_passwords_and_unknown_users() {
    let wrong = fred().with("secret", "rubber");
    let unknown = fred().with("user", "somebody");
    for mechanism in ["PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-256"] {
        for facts in [&wrong, &unknown] {
            for (client, server) in PAIRS {
                let (_, server) = exchange(mechanism, client, server, facts);
                assert!(!server.session.is_success(), "{mechanism}");
                assert!(server.failure().ends_with("(SASL_BADAUTH)"), "{}", server.failure());
            }
        }
    }
}

#[test]
fn layers() {
    let facts = fred().with("service", "ldap").with("option-minssf", "128");
    for (client, server) in PAIRS {
        let (client, server) = exchange("DIGEST-MD5", client, server, &facts);
        let (here, there) = (client.session.layer().expect("a layer"), server.session.layer().expect("a layer"));
        assert_eq!((lock(here).limits().ssf, lock(there).limits().ssf), (128, 128));
        for (from, to) in [(here, there), (there, here)] {
            for length in [1, 100, 70_000] {
                let text: Vec<u8> = (0..length).map(|i| i as u8).collect();
                let (mut frames, mut heard) = (Vec::new(), Vec::new());
                lock(from).frame(&text, &mut frames).expect("frames");
                for part in frames.chunks(1000) {
                    let mut to = lock(to);
                    to.feed(part).expect("whole frames");
                    heard.extend_from_slice(to.plaintext());
                    let count = to.plaintext().len();
                    to.consume(count);
                }
                assert!(heard == text, "{length} bytes");
            }
        }
        let mut frame = Vec::new();
        lock(here).frame(b"something", &mut frame).expect("a frame");
        frame[5] ^= 1;
        let error = lock(there).feed(&frame).expect_err("it was changed").to_string();
        assert!(!error.is_empty() && lock(there).plaintext().is_empty());
    }
}

fn otp(accounts: &Arc<Memory>, facts: &'static Facts) -> (Party<'static>, Party<'static>) {
    let client = side(By::Plugin, Side::Client, "OTP", facts);
    let mut server = session(Side::Server, facts);
    // Our own would take precedence.
    server.set_registry(Arc::new(plugins().registry(&Registry::new([]))));
    server.accounts = Some(Arc::clone(accounts) as _);
    server.config.abilities = Abilities::NONE;
    server.negotiate("OTP").expect("OTP");
    between(Party::with(client, facts), Party::with(server, facts))
}

#[test]
fn one_time_passwords() {
    static FRED: OnceLock<Facts> = OnceLock::new();
    let facts = FRED.get_or_init(|| fred().with("password", "a pass phrase of fred"));
    let accounts = Arc::new(Memory::default());
    let mechanism = plugins().find("OTP", Side::Server).expect("OTP");
    let config = Config::default();
    let password = Secret::new(facts.bytes("password").expect("a password"));
    let error = mechanism.set_secret(Setup::of(&config), "fred", Some(&password), 1).expect_err("nowhere to store it");
    assert!(matches!(error, Error::Outside { code: Code::NoMech, .. }), "{error}");
    let store = Arc::clone(&accounts) as Arc<dyn Accounts>;
    let setup = Setup { config: &config, accounts: Some(&store) };
    mechanism.set_secret(setup, "fred", Some(&password), 1).expect("a secret");

    let secret = || accounts.0.lock().expect("no panic").values().next().expect("a secret").clone();
    let mut seen = vec![secret()];
    for _ in 0..2 {
        let (client, server) = otp(&accounts, facts);
        assert!(server.session.is_success(), "{} | {}", server.failure(), client.failure());
        assert!(client.session.is_success());
        let now = secret();
        assert!(!seen.iter().any(|before| before.ct_eq(now.expose())), "the state goes on");
        seen.push(now);
    }
}
