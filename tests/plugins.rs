//! Debian's plugins in our host: against each other, and against our own mechanisms, with their layers.

mod dialogue;

use std::sync::{Arc, OnceLock};

use authen_sasl_rust::contract::Side;
use authen_sasl_rust::layer::lock;
use authen_sasl_rust::plugin::{Plugins, Wish};
use authen_sasl_rust::session::{Outcome, Session};
use dialogue::{session, Facts, Party};

/// All plugins with mechanisms that this machine has.
fn plugins() -> Arc<Plugins> {
    static PLUGINS: OnceLock<Arc<Plugins>> = OnceLock::new();
    let all = || Arc::new(Plugins::load(&Wish { prefer: true, ..Wish::default() }).expect("plugins"));
    Arc::clone(PLUGINS.get_or_init(all))
}

/// Who plays a side.
#[derive(Debug, Clone, Copy, PartialEq)]
enum By {
    Plugin,
    Us,
}

fn side(by: By, side: Side, mechanism: &str, facts: &Facts) -> Session {
    let mut session = session(side, facts);
    if by == By::Plugin {
        session.config.set_plugins(Some(plugins()));
    }
    let chosen = session.negotiate(mechanism).unwrap_or_else(|error| panic!("{mechanism} {side}: {error}"));
    assert_eq!(chosen.name, mechanism);
    session
}

/// A whole exchange; gives both sides, with their failures if there are any.
fn exchange<'f>(mechanism: &str, client: By, server: By, facts: &'f Facts) -> (Party<'f>, Party<'f>) {
    let mut client = Party::with(side(client, Side::Client, mechanism, facts), facts);
    let mut server = Party::with(side(server, Side::Server, mechanism, facts), facts);
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
