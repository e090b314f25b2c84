//! Accounts that answer for a server whose application has no callbacks.

use std::sync::Arc;

use authen_sasl_rust::accounts::{Account, Accounts, Properties};
use authen_sasl_rust::authline::server::{Event, Server};
use authen_sasl_rust::config::Config;
use authen_sasl_rust::contract::{Abilities, Answer, CredentialKind, Description, Property, Question, Side, Values};
use authen_sasl_rust::error::{Code, Error};
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::session::{Outcome, Session};
use authen_sasl_rust::world::LocalWorld;

/// One user, fred; his canonical name is `fred`, however it is written.
#[derive(Debug)]
struct Fred {
    abilities: Abilities,
    broken: Option<Code>,
}

impl Accounts for Fred {
    fn abilities(&self) -> Abilities {
        self.abilities
    }

    fn answer(&self, question: &Question, _config: &Config) -> Result<Answer, Error> {
        if let Some(code) = self.broken {
            return Err(Error::outside(code, "accounts of the test: no disk"));
        }
        Ok(match question {
            Question::Canonicalize { name, .. } => Answer::Text(Some(name.to_lowercase())),
            Question::Credentials { kind, authcid, .. } => {
                assert_ne!(*kind, CredentialKind::None);
                Answer::Credential((authcid == "fred").then(|| Secret::new(b"pencil")))
            }
            Question::CheckPassword { authcid, password, .. } => {
                Answer::Verdict(authcid == "fred" && password.expose() == b"pencil")
            }
            Question::Authorize { authzid, .. } => Answer::Verdict(authzid == "mail"),
            _ => panic!("a question that these accounts do not answer"),
        })
    }

    fn unfit_reason(&self, mechanism: &Description) -> Option<String> {
        (mechanism.name == "DIGEST-MD5").then(|| "the accounts of the test refuse it".into())
    }

    fn properties(&self, wanted: &[Box<str>], of: Account<'_>, _config: &Config) -> Result<Properties, Error> {
        let mut properties = Properties::default();
        for name in wanted.iter().filter(|name| ***name == *"mail") {
            let who = of.authzid.unwrap_or(of.authcid);
            properties.add(name, [Secret::new(format!("{who}@example.org").as_bytes())]);
        }
        Ok(properties)
    }
}

const ALL: Abilities =
    Abilities::CREDENTIALS.union(Abilities::CHECK_PASSWORD).union(Abilities::CANONICALIZE).union(Abilities::AUTHORIZE);

fn server(abilities: Abilities, broken: bool) -> Session {
    let mut server = Session::new(Side::Server, authen_sasl_rust::mechanism::registry());
    let broken = broken.then_some(Code::Unavail);
    server.accounts = Some(Arc::new(Fred { abilities, broken }));
    server.config.set("auxprop", Some("mail homeDirectory")).expect("an option");
    server
}

/// A whole exchange with the server; its application is never asked.
fn login(mechanism: &str, server: &mut Session, values: &[(Property, &str)]) -> Outcome {
    let mut world = LocalWorld::default();
    let mut client = Session::new(Side::Client, authen_sasl_rust::mechanism::registry());
    client.config.abilities = Abilities::AUTHCID.union(Abilities::PASSWORD).union(Abilities::AUTHZID);
    client.negotiate(mechanism).expect("a client");
    server.negotiate(mechanism).expect("a server that its accounts answer for");
    let mut outcome = client.start(None, &mut world.lend());
    let mut started = false;
    loop {
        while outcome == Outcome::Ask {
            let mut answer = Values::default();
            for (property, value) in values {
                answer.push(*property, Secret::new(value.as_bytes()));
            }
            outcome = client.answer(Answer::Values(answer), &mut world.lend());
        }
        let message = client.message().to_vec();
        let reply = match started {
            true => server.step(&message, &mut world.lend()),
            false => server.start(Some(&message), &mut world.lend()),
        };
        started = true;
        if reply == Outcome::Send && (server.need_step() || client.need_step()) {
            outcome = client.step(server.message(), &mut world.lend());
        }
        if !server.need_step() {
            return reply;
        }
    }
}

const FRED: [(Property, &str); 2] = [(Property::Authcid, "Fred"), (Property::Password, "pencil")];

#[test]
fn accounts_answer_for_the_application() {
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "CRAM-MD5"] {
        let mut server = server(ALL, false);
        login(mechanism, &mut server, &FRED);
        assert!(server.is_success(), "{mechanism}: {:?}", server.failure());
        assert_eq!(server.identity().authcid.as_deref(), Some("fred"), "{mechanism}");
        let properties = server.properties().expect("properties");
        assert_eq!(properties.get("mail")[0].expose_str(), Some("fred@example.org"));
        assert!(properties.get("homeDirectory").is_empty());
    }
}

#[test]
fn accounts_authorize() {
    for (authzid, allowed) in [("mail", true), ("root", false)] {
        let mut server = server(ALL, false);
        login("PLAIN", &mut server, &[FRED[0], FRED[1], (Property::Authzid, authzid)]);
        assert_eq!(server.is_success(), allowed, "{authzid}: {:?}", server.failure());
        assert_eq!(server.properties().is_some(), allowed);
    }
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_one() {
    let texts: Vec<String> = [("fred", "wrong"), ("nobody", "pencil")]
        .into_iter()
        .map(|(name, password)| {
            let mut server = server(ALL, false);
            login("PLAIN", &mut server, &[(Property::Authcid, name), (Property::Password, password)]);
            server.failure().expect("a failure").to_string()
        })
        .collect();
    assert_eq!(texts[0], texts[1]);
}

#[test]
fn accounts_that_fail_are_no_wrong_password() {
    for mechanism in ["PLAIN", "CRAM-MD5"] {
        let mut server = server(ALL, true);
        login(mechanism, &mut server, &FRED);
        let failure = server.failure().expect("a failure").to_string();
        assert!(failure.contains("accounts of the test: no disk (SASL_UNAVAIL)"), "{failure}");
    }
}

#[test]
fn the_application_is_asked_first() {
    let mut server = server(ALL, false);
    server.config.abilities = Abilities::CREDENTIALS;
    server.negotiate("PLAIN").expect("a server");
    let mut world = LocalWorld::default();
    assert_eq!(server.start(Some(b"\0Fred\0own"), &mut world.lend()), Outcome::Ask);
    assert!(matches!(server.question(), Some(Question::Credentials { authcid, .. }) if authcid == "fred"));
    server.answer(Answer::Credential(Some(Secret::new(b"own"))), &mut world.lend());
    assert!(server.is_success(), "{:?}", server.failure());
}

#[test]
fn accounts_offer_what_they_can_answer() {
    let mut server = server(Abilities::CHECK_PASSWORD, false);
    assert!(server.negotiate("PLAIN").is_ok());
    let error = server.negotiate("SCRAM-SHA-256").expect_err("no credentials").to_string();
    assert!(error.contains("there is no stored secret"), "{error}");
    let error = server.negotiate("DIGEST-MD5").expect_err("no credentials").to_string();
    assert!(error.contains("there is no stored secret"), "{error}");
}

#[test]
fn accounts_may_refuse_a_mechanism_that_the_application_serves() {
    let mut server = server(ALL, false);
    let error = server.negotiate("DIGEST-MD5").expect_err("unfit").to_string();
    assert!(error.contains("DIGEST-MD5: the accounts of the test refuse it"), "{error}");
    server.config.abilities = Abilities::CREDENTIALS;
    assert!(server.negotiate("DIGEST-MD5").is_ok());
}

#[test]
fn accounts_that_cannot_store_say_so() {
    let fred = Fred { abilities: ALL, broken: None };
    let account = Account { authcid: "fred", authzid: None, realm: None };
    let error = fred.store(account, &[("userPassword", None)], &Config::default()).expect_err("no store");
    assert_eq!((error.code(), error.to_string().as_str()), (Code::NoChange, "these accounts cannot be changed"));
}

/// By the AUTH line protocol: what says that the accounts do not work is told from what says something of the user.
#[test]
fn accounts_that_cannot_be_asked_are_no_failure_of_the_client() {
    for (code, expected) in [
        (Code::Unavail, "INTERNAL_ERROR\r\n"),
        (Code::TryAgain, "INTERNAL_ERROR\r\n"),
        (Code::Fail, "INTERNAL_ERROR\r\n"),
        (Code::NoMem, "INTERNAL_ERROR\r\n"),
        (Code::ConfigErr, "INTERNAL_ERROR\r\n"),
        (Code::NoUser, "UNAUTHORIZED\r\n"),
        (Code::NoVerify, "UNAUTHORIZED\r\n"),
        (Code::BadParam, "UNAUTHORIZED\r\n"),
    ] {
        for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
            let mut server = Server::new(mechanism, authen_sasl_rust::mechanism::registry());
            server.session.accounts = Some(Arc::new(Fred { abilities: ALL, broken: Some(code) }));
            let message = if mechanism == "PLAIN" { "\0fred\0pencil" } else { "n,,n=fred,r=nonce" };
            let request = format!("auth-start {mechanism} {}\r\n{message}\r\n", message.len());
            let mut input = request.as_bytes();
            let event = server.receive(&mut input, &mut LocalWorld::default().lend());
            assert_eq!(server.output(), expected.as_bytes(), "{mechanism} {code:?}");
            match event {
                Event::Unavailable(failure) => {
                    assert!(expected == "INTERNAL_ERROR\r\n" && failure.error.is_unavailable(), "{mechanism} {code:?}");
                    assert!(failure.to_string().contains("no disk"), "{failure}");
                }
                Event::Failed(_) => assert_eq!(expected, "UNAUTHORIZED\r\n", "{mechanism} {code:?}"),
                other => panic!("{other:?}"),
            }
        }
    }
}
