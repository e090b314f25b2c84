//! Successes, and what each side asks, remembers and refuses on its own account.

use super::*;
use crate::config::BindingPolicy;
use crate::contract::Lookups;
use crate::crypto::pbkdf2::iterations_of;
use crate::error::{Application, Policy, Refused, Subject};
use crate::mechanism;
use crate::store::mock::MOCK_PASSWORD;

fn success(client: &mut Party, server: &mut Party) -> Vec<Vec<u8>> {
    let messages = exchange(client, server);
    assert_eq!(messages.len(), 4, "{:?} {:?}", client.session.failure(), server.session.failure());
    assert!(client.session.is_success() && server.session.is_success());
    messages
}

#[test]
fn all_of_the_family_with_verifiers_and_passwords() {
    for name in NAMES {
        for name in [name.to_owned(), format!("{name}-PLUS")] {
            assert!(name.len() <= 20);
            success(&mut Party::client(&name), &mut Party::server(&name));
            let mut server = Party::server(&name);
            server.secret = Some(Secret::new(b"pencil"));
            success(&mut Party::client(&name), &mut server);
            assert_eq!(server.asked, ["user"]);
        }
    }
}

#[test]
fn stronger_hashes_rank_higher_and_plus_above_all() {
    let rank = |name: &str| mechanism::find(name).unwrap().rank;
    assert!(NAMES.windows(2).all(|pair| rank(pair[0]) < rank(pair[1])));
    assert!(NAMES.iter().all(|name| rank(&format!("{name}-PLUS")) == rank(name) + 20));
    assert_eq!(rank("SCRAM-SHA-1"), 52);
}

#[test]
fn a_server_without_an_initial_response_sends_an_empty_challenge() {
    let (mut client, mut server) = (Party::client("SCRAM-SHA-256"), Party::server("SCRAM-SHA-256"));
    assert_eq!(server.start(None), Outcome::Send);
    assert!(server.said().is_empty() && !server.session.message_absent());
    assert_eq!(client.step(b""), Outcome::Send);
    assert_eq!(server.step(&client.said()), Outcome::Send);
    assert_eq!(client.step(&server.said()), Outcome::Send);
    assert_eq!(server.step(&client.said()), Outcome::Send);
    assert!(server.session.is_success());
    assert!(!client.session.is_success());
    assert_eq!(client.step(&server.said()), Outcome::Absent);
    assert!(client.session.is_success());
    // Where the protocol has no success data, the client answers with an empty message.
    assert_eq!(server.step(b""), Outcome::Absent);
    assert_eq!(server.step(b""), Outcome::Over);
    assert_eq!(client.step(b"v=AAAA"), Outcome::Over);
}

#[test]
fn nonces_of_the_operating_system_differ_and_are_printable() {
    let mut random = crate::world::OsRandom;
    let (one, two) = (random.nonce().unwrap(), random.nonce().unwrap());
    assert_ne!(one, two);
    assert_eq!(one.len(), 32);
    assert!(one.bytes().all(|b| b.is_ascii_graphic() && b != b','));
}

#[test]
fn names_and_passwords_are_prepared_on_both_sides() {
    let (mut client, mut server) = (Party::client("SCRAM-SHA-1"), Party::server("SCRAM-SHA-1"));
    client.authcid = "us\u{ad}er\u{2168}".into();
    client.secret = Some(Secret::new("pen\u{ad}cil\u{aa}".as_bytes()));
    server.secret = Some(Secret::new("pencila".as_bytes()));
    let messages = success(&mut client, &mut server);
    assert!(messages[0].starts_with(b"n,,n=userIX,r="));
    assert_eq!(server.asked, ["userIX"]);
    let mut raw = Party::server("SCRAM-SHA-1");
    assert_eq!(raw.start(Some("n,,n=us\u{ad}er,r=abc".as_bytes())), Outcome::Send);
    assert_eq!(raw.asked, ["user"]);
}

#[test]
fn what_cannot_be_prepared_is_refused_with_its_reason() {
    for (authcid, password) in [("us\u{7}er", "pencil"), ("\u{ad}", "pencil"), ("user", "pen\u{7}cil"), ("u\0", "p")] {
        let mut client = Party::client("SCRAM-SHA-1");
        client.authcid = authcid.into();
        client.secret = Some(Secret::new(password.as_bytes()));
        assert_eq!(client.start(None), Outcome::Failed);
        assert!(matches!(client.error(), Error::Application(Application::Unusable { .. })), "{:?}", client.error());
    }
    let mut client = Party::client("SCRAM-SHA-1");
    client.secret = Some(Secret::new(b"p\xff"));
    assert_eq!(client.start(None), Outcome::Failed);
    client.secret = Some(Secret::new(b""));
    assert_eq!(client.start(None), Outcome::Failed);
    assert_eq!(*client.error(), Application::Empty(Subject::Password).into());
    let mut server = Party::server("SCRAM-SHA-1");
    assert_eq!(server.start(Some(b"n,,n=\x07,r=abc")), Outcome::FailedWithMessage);
    assert_eq!(server.said(), b"e=invalid-username-encoding");
}

#[test]
fn a_wrong_password_and_an_unknown_user_look_alike() {
    for verifiers in [false, true] {
        let mut outcomes = Vec::new();
        for secret in [Some("wrong"), None, Some("")] {
            let (mut client, mut server) = (Party::client("SCRAM-SHA-256"), Party::server("SCRAM-SHA-256"));
            server.seen.record_kind(verifiers);
            server.secret = secret.map(|text| Secret::new(text.as_bytes()));
            let messages = exchange(&mut client, &mut server);
            assert_eq!(*server.error(), Refused::Credentials.into());
            assert_eq!(
                *client.error(),
                Refused::PeerSaid("invalid-proof (wrong password or unknown user)".into()).into()
            );
            assert!(!server.session.is_success());
            outcomes.push(messages);
        }
        assert_eq!(outcomes[0], outcomes[1]);
        assert_eq!(outcomes[0], outcomes[2]);
        assert_eq!(outcomes[0][3], b"e=invalid-proof");
    }
}

/// The password that an unknown user's work is done with is no way in.
#[test]
fn nobody_has_no_password() {
    let (mut client, mut server) = (Party::client("SCRAM-SHA-256"), Party::server("SCRAM-SHA-256"));
    client.secret = Some(Secret::new(MOCK_PASSWORD));
    server.secret = None;
    exchange(&mut client, &mut server);
    assert_eq!(*server.error(), Refused::Credentials.into());
    assert!(!client.session.is_success());
}

#[test]
fn derived_salts_are_stable_and_belong_to_name_hash_and_key() {
    let salt = |mechanism: &str, name: &str, key: Option<&str>| {
        let mut server = Party::server(mechanism);
        server.secret = None;
        server.session.config.set("salt_key", key).unwrap();
        assert_eq!(server.start(Some(format!("n,,n={name},r=abc").as_bytes())), Outcome::Send);
        String::from_utf8(server.said()).unwrap()
    };
    let first = salt("SCRAM-SHA-256", "user", None);
    assert!(first.ends_with(",i=4096"));
    assert_eq!(first, salt("SCRAM-SHA-256", "user", None));
    assert_ne!(first, salt("SCRAM-SHA-256", "other", None));
    assert_ne!(first, salt("SCRAM-SHA-1", "user", None));
    assert_ne!(first, salt("SCRAM-SHA-256", "user", Some("another key of 16")));
}

#[test]
fn an_unusable_secret_shows_only_in_the_servers_own_error() {
    let messages = |secret: Option<&str>| {
        let (mut client, mut server) = (Party::client("SCRAM-SHA-256"), Party::server("SCRAM-SHA-256"));
        server.secret = secret.map(|text| Secret::new(text.as_bytes()));
        let messages = exchange(&mut client, &mut server);
        (messages, server.error().clone())
    };
    let (unknown, error) = messages(None);
    assert_eq!((unknown.len(), error), (4, Refused::Credentials.into()));
    for (text, reason) in [
        ("SCRAM-SHA-1$4096:c2FsdA==$AAAA:AAAA", "keys are not base64"),
        ("{SCRAM-SHA-256}", "malformed"),
        ("{SCRAM-SHA-999}4096,,,", "unknown hash"),
        (&verifier(Hash::Sha512), "another hash"),
        ("\u{7}", "SASLprep"),
        (&"x".repeat(65537), "longer than 65536 bytes"),
    ] {
        let (same, error) = messages(Some(text));
        assert_eq!(same, unknown, "{text}");
        assert_eq!(error.code(), Error::from(Refused::Credentials).code());
        assert!(matches!(error, Error::Refused(Refused::Unusable(_))) && error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn keys_are_remembered_only_once_the_server_has_proved_them() {
    let (mut client, mut server) = (Party::client("SCRAM-SHA-256"), Party::server("SCRAM-SHA-256"));
    server.secret = Some(Secret::new(b"another"));
    exchange(&mut client, &mut server);
    let salt = b"0123456789abcdef";
    let password = Secret::new(b"pencil");
    let find = |client: &Party| {
        use crate::contract::{DerivedKeys, KeyId};
        let id = KeyId { hash: "SHA-256", authcid: "user", password: &password, salt, iterations: 4096 };
        client.keys.find(&id)
    };
    let mut server = Party::server("SCRAM-SHA-256");
    server.seen.record_kind(true);
    assert!(find(&client).is_none());
    let mut first = Vec::new();
    assert_eq!(iterations_of(|| first = success(&mut client, &mut server)), 4096);
    let keys = find(&client).expect("they are remembered");
    assert_eq!(keys.expose().len(), 96);
    assert_eq!(iterations_of(|| assert_eq!(success(&mut client, &mut server), first)), 0);

    // That they are used shows where they are wrong.
    use crate::contract::{DerivedKeys, KeyId};
    let id = KeyId { hash: "SHA-256", authcid: "user", password: &password, salt, iterations: 4096 };
    client.keys.remember(&id, Secret::new(&[0; 96]));
    exchange(&mut client, &mut server);
    assert_eq!(*server.error(), Refused::Credentials.into());
}

#[test]
fn what_the_client_says_about_channel_binding() {
    let start = |mechanism: &str, bound: bool, offered: bool, policy: BindingPolicy| {
        let mut client = Party::new(Side::Client, mechanism, "abc", Some("pencil"));
        if bound {
            client.bind("tls-exporter", b"data");
            client.bind("tls-server-end-point", b"data");
        }
        client.session.config.peer_offers_binding = offered;
        client.session.config.binding_policy = policy;
        match client.start(None) {
            Outcome::Send => Ok(String::from_utf8(client.said()).unwrap()),
            _ => Err(client.error().clone()),
        }
    };
    use BindingPolicy::{Allow, Disable, Require};
    assert_eq!(start("SCRAM-SHA-1", false, false, Allow).unwrap(), "n,,n=user,r=abc");
    assert_eq!(start("SCRAM-SHA-1", false, true, Allow).unwrap(), "n,,n=user,r=abc");
    assert_eq!(start("SCRAM-SHA-1", true, false, Allow).unwrap(), "y,,n=user,r=abc");
    assert_eq!(start("SCRAM-SHA-1", true, true, Allow).unwrap(), "n,,n=user,r=abc");
    assert_eq!(start("SCRAM-SHA-1", true, false, Disable).unwrap(), "n,,n=user,r=abc");
    assert_eq!(start("SCRAM-SHA-1-PLUS", true, true, Require).unwrap(), "p=tls-exporter,,n=user,r=abc");
    for (mechanism, bound, policy) in
        [("SCRAM-SHA-1", true, Require), ("SCRAM-SHA-1-PLUS", false, Allow), ("SCRAM-SHA-1-PLUS", true, Disable)]
    {
        assert!(matches!(start(mechanism, bound, true, policy), Err(Error::Policy(Policy::NoMechanism(_)))));
    }
}

/// CVE-2017-12610: the authenticated user acts as another one only where the application allows it.
#[test]
fn cve_2017_12610() {
    let run = |abilities: Abilities| {
        let (mut client, mut server) = (Party::client("SCRAM-SHA-256"), Party::server("SCRAM-SHA-256"));
        client.authzid = Some("admin".into());
        server.session.config.abilities = abilities;
        exchange(&mut client, &mut server);
        assert_eq!(client.session.is_success(), server.session.is_success());
        server
    };
    let server = run(Abilities::CREDENTIALS);
    assert!(matches!(server.error(), Error::Refused(Refused::Authorization { .. })));
    let server = run(Abilities::CREDENTIALS.union(Abilities::AUTHORIZE));
    assert_eq!(server.session.identity().authzid.as_deref(), Some("admin"));
}

/// What an exchange costs up to the refusal must not tell an unknown user from a known one, and the
/// cost comes at the same moment.
#[test]
fn an_unknown_user_costs_as_much_as_a_wrong_password() {
    let costs = |secret: Option<&str>, seen: &[bool]| {
        let (mut client, mut server) = (Party::client("SCRAM-SHA-256"), Party::server("SCRAM-SHA-256"));
        server.session.config.set("iterations", Some("5000")).unwrap();
        seen.iter().for_each(|verifier| server.seen.record_kind(*verifier));
        server.secret = secret.map(|text| Secret::new(text.as_bytes()));
        client.start(None);
        let first = iterations_of(|| {
            server.start(Some(&client.said()));
        });
        client.step(&server.said());
        let last = iterations_of(|| assert_eq!(server.step(&client.said()), Outcome::FailedWithMessage));
        (first, last)
    };
    let key = verifier(Hash::Sha256).replace("$4096:", "$5000:");
    for (secret, seen, cost) in [
        (Some("wrong"), &[false][..], 5000),
        (None, &[false], 5000),
        (Some(&key), &[true], 0),
        (None, &[true], 0),
        // Where some users have passwords and others have keys, all cost the same, and so they do for a new process.
        (Some("wrong"), &[false, true], 5000),
        (Some(&key), &[false, true], 5000),
        (None, &[false, true], 5000),
        (Some("wrong"), &[], 5000),
        (Some(&key), &[], 5000),
        (None, &[], 5000),
    ] {
        assert_eq!(costs(secret, seen), (0, cost), "{secret:?} {seen:?}");
    }
}
