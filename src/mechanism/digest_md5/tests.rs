//! DIGEST-MD5, client against server and each against published or damaged messages.

use crate::contract::Property;
use crate::error::{Application, Error, PeerMisbehaved, Policy, Refused};
use crate::session::pair::{run, Peer};
use crate::session::Outcome;
use crate::store::mock::MOCK_PASSWORD;

/// RFC 2831 §4, the IMAP example.
pub const NONCE: &str = "OA6MG9tEQGm2hh";
pub const CNONCE: &str = "OA6MHXh6VqTrRk";
pub const CHALLENGE: &str =
    r#"realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",qop="auth",algorithm=md5-sess,charset=utf-8"#;
pub const RESPONSE: &str = concat!(
    r#"charset=utf-8,username="chris",realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh","#,
    r#"nc=00000001,cnonce="OA6MHXh6VqTrRk",digest-uri="imap/elwood.innosoft.com","#,
    "response=d388dad90d4bbd760a152321f2143af7,qop=auth"
);
pub const RSPAUTH: &str = "rspauth=ea40f60335c427b5527b84dbabcdfffd";

pub fn client() -> Peer {
    client_of("chris", "secret")
}

pub fn client_of(authcid: &str, password: &str) -> Peer {
    let mut client = Peer::client("DIGEST-MD5", authcid, password).of("imap", "elwood.innosoft.com").with_nonce(CNONCE);
    assert_eq!(client.start(None), Outcome::Absent);
    client
}

pub fn server(credential: Option<&str>) -> Peer {
    let mut server = Peer::server("DIGEST-MD5", credential).of("imap", "elwood.innosoft.com").with_nonce(NONCE);
    assert_eq!(server.start(None), Outcome::Send);
    server
}

pub fn text(peer: &Peer) -> String {
    String::from_utf8_lossy(peer.session.message()).into_owned()
}

/// The client's response to that challenge.
pub fn answer(mut client: Peer, challenge: &[u8]) -> Result<String, Error> {
    match client.step(challenge) {
        Outcome::Send => Ok(client.session.message().iter().map(|&b| char::from(b)).collect()),
        _ => Err(client.error().clone()),
    }
}

/// The server's reply to that response.
pub fn judge(response: &str) -> Result<String, Error> {
    let mut server = server(Some("secret"));
    match server.step(response.as_bytes()) {
        Outcome::Send => Ok(text(&server)),
        _ => Err(server.error().clone()),
    }
}

/// libsasl2's client sends UTF-8 without saying so.
#[test]
fn a_server_takes_utf_8_that_is_not_announced() {
    for (authcid, password) in [("ren\u{e9}", "p\u{e4}ss"), ("\u{17e}ofie", "\u{43f}"), ("ren\u{e9}", "\u{43f}")] {
        let mut client = client_of(authcid, password);
        assert_eq!(client.step(CHALLENGE.as_bytes()), Outcome::Send);
        let mut server = server(Some(password));
        assert_eq!(server.step(text(&client).replace("charset=utf-8,", "").as_bytes()), Outcome::Send);
        assert_eq!(server.session.identity().authcid.as_deref(), Some(authcid));
    }
}

/// RFC 2831 §4: both examples, byte for byte.
#[test]
fn published_exchanges() {
    for (service, nonce, cnonce) in [("imap", NONCE, CNONCE), ("acap", "OA9BSXrbuRhWay", "OA9BSuZWMSpW8m")] {
        let example = |message: &str| match service {
            "imap" => message.to_owned(),
            _ => message
                .replace(NONCE, nonce)
                .replace(CNONCE, cnonce)
                .replace("imap/", "acap/")
                .replace("d388dad90d4bbd760a152321f2143af7", "6084c6db3fede7352c551284490fd0fc")
                .replace("ea40f60335c427b5527b84dbabcdfffd", "2f0b3d7c3c2e486600ef710726aa2eae"),
        };
        let mut client =
            Peer::client("DIGEST-MD5", "chris", "secret").of(service, "elwood.innosoft.com").with_nonce(cnonce);
        let mut server =
            Peer::server("DIGEST-MD5", Some("secret")).of(service, "elwood.innosoft.com").with_nonce(nonce);
        assert_eq!(client.start(None), Outcome::Absent);
        assert_eq!(server.start(None), Outcome::Send);
        assert_eq!(text(&server), example(CHALLENGE));
        assert_eq!(client.step(server.session.message()), Outcome::Send);
        assert_eq!(text(&client), example(RESPONSE));
        assert!(!client.session.is_success(), "success only by the server's proof");
        assert_eq!(server.step(client.session.message()), Outcome::Send);
        assert_eq!(text(&server), example(RSPAUTH));
        assert!(server.session.is_success());
        assert_eq!(client.step(server.session.message()), Outcome::Absent);
        assert!(client.session.is_success());
        // The empty message that some protocols need after a success with data.
        assert_eq!(server.step(b""), Outcome::Absent);
    }
}

/// Responses computed with Python's hashlib as in RFC 2831 §2.1.2.1.
#[test]
fn charsets_authzid_and_escapes() {
    let challenge = |realm: &str| format!("realm=\"{realm}\",nonce=\"{NONCE}\",algorithm=md5-sess,charset=utf-8");
    for (authcid, realm, password, response) in [
        // All fit ISO 8859-1: hashed in it, although sent in UTF-8. The realm is hashed as sent.
        ("ren\u{e9}", "m\u{fc}ller", "p\u{e4}ss", "3e427a9278b2f52266f83e7aba9b0142"),
        ("\u{20ac}", "m\u{fc}ller", "p\u{17e}ss\u{e9}", "c12141368c6b8c104fa548d745986734"),
    ] {
        let sent = String::from_utf8_lossy(challenge(realm).as_bytes()).into_owned();
        let mut client = client_of(authcid, password);
        assert_eq!(client.step(sent.as_bytes()), Outcome::Send);
        assert!(text(&client).contains(&format!("response={response}")), "{}", text(&client));
        assert!(text(&client).contains(&format!("username=\"{authcid}\"")), "{}", text(&client));
    }

    let latin = format!("realm=\"m\u{fc}ller\",nonce=\"{NONCE}\",algorithm=md5-sess");
    let latin: Vec<u8> = latin.chars().map(|c| c as u8).collect();
    let sent = answer(client_of("ren\u{e9}", "p\u{e4}ss"), &latin).unwrap();
    assert!(sent.contains("response=da7fed05c3086a103f77d14c52150173"), "{sent}");
    assert!(sent.contains("username=\"ren\u{e9}\",realm=\"m\u{fc}ller\"") && !sent.contains("charset"), "{sent}");
    for (authcid, password) in [("\u{20ac}", "p"), ("u", "\u{20ac}")] {
        let error = answer(client_of(authcid, password), &latin).unwrap_err();
        assert!(matches!(error, Error::Application(Application::Unusable { .. })), "{error}");
    }

    let mut client = client();
    client.values.push((Property::Authzid, "\u{17e}iga".into()));
    client.values.push((Property::ServName, "example.org".into()));
    assert_eq!(client.step(CHALLENGE.as_bytes()), Outcome::Send);
    assert!(text(&client).contains("digest-uri=\"imap/elwood.innosoft.com/example.org\""));
    assert!(text(&client).contains("response=396bfab3bd4cf408dd3c567fd9af3f7f"));
    assert!(text(&client).ends_with("authzid=\"\u{17e}iga\""));

    let sent = answer(client_of("a\"b\\c", "\"\\\""), challenge(r#"r\"\\e"#).as_bytes()).unwrap();
    assert!(sent.contains("response=a8dcbac30f3ab672d691c01c7c5e7183"), "{sent}");
    let sent = answer(self::client(), format!("nonce=\"{NONCE}\",algorithm=md5-sess").as_bytes()).unwrap();
    assert!(sent.contains("response=695dcc815019923b9d438fd28c641aa9") && !sent.contains("realm"), "{sent}");
}

#[test]
fn a_server_takes_iso_8859_1() {
    let mut server = server(Some("p\u{e4}ss"));
    server.session.config.set("realm", Some("m\u{fc}ller")).unwrap();
    server.start(None);
    let response = RESPONSE.replace("charset=utf-8,", "").replace("chris", "ren\u{e9}");
    let response = response.replace("realm=\"elwood.innosoft.com\"", "realm=\"m\u{fc}ller\"");
    let response = response.replace("d388dad90d4bbd760a152321f2143af7", "da7fed05c3086a103f77d14c52150173");
    let latin: Vec<u8> = response.chars().map(|c| c as u8).collect();
    assert_eq!(server.step(&latin), Outcome::Send, "{:?}", server.session.failure());
    assert_eq!(server.session.identity().authcid.as_deref(), Some("ren\u{e9}"));
    assert!(server.asked[0].contains("realm: Some(\"m\u{fc}ller\")"), "{}", server.asked[0]);
}

/// Responses to the challenge of RFC 2831 §4, computed with Python's hashlib.
#[test]
fn a_server_takes_the_spellings_of_other_clients() {
    for (response, taken) in [
        ("332298d4f6389649b251df6bccc19711", true), // both in ISO 8859-1, the standard
        ("a68f670891d84259c400e44ffbdb740e", true), // the name in UTF-8, the password in ISO 8859-1
        ("afafe1dfc9af718cb89d41e3440a348f", true), // both in UTF-8
        ("fa9b2571e413cf7bd01be88c973cbffb", false), // the name in ISO 8859-1, the password in UTF-8: nobody's
    ] {
        for (password, right) in [("p\u{e4}ss", true), ("p\u{e5}ss", false)] {
            let message = RESPONSE.replace("chris", "ren\u{e9}").replace("d388dad90d4bbd760a152321f2143af7", response);
            let mut server = server(Some(password));
            let expected = if taken && right { Outcome::Send } else { Outcome::Failed };
            assert_eq!(server.step(message.as_bytes()), expected, "{response} {password}");
        }
    }
}

#[test]
fn a_challenge_in_other_words() {
    for challenge in [
        CHALLENGE.replace("qop=\"auth\"", "qop=\"future, auth-conf ,auth\""),
        CHALLENGE.replace("qop=\"auth\"", "qop=auth"),
        CHALLENGE.replace("qop=\"auth\",", ""),
        CHALLENGE.replace("md5-sess", "\"MD5-sess\"").replace("utf-8", "UTF-8").replace("nonce=", "NONCE ="),
        CHALLENGE.replace(',', " ,\r\n ,\t"),
        CHALLENGE.replace("OA6MG", r"O\A6\MG"),
        format!("{CHALLENGE},maxbuf=17,x-y=\"a,b\""),
        format!("{CHALLENGE},maxbuf=16777215"),
    ] {
        assert_eq!(answer(client(), challenge.as_bytes()).as_deref(), Ok(RESPONSE), "{challenge}");
    }
    for challenge in [
        String::new(),
        CHALLENGE.replace("\"OA6MG9tEQGm2hh\"", "OA6MG9tEQGm2hh"),
        CHALLENGE.replace("\"elwood.innosoft.com\"", "elwood.innosoft.com"),
        CHALLENGE.replace(NONCE, ""),
        CHALLENGE.replace("md5-sess", "md5"),
        CHALLENGE.replace("utf-8", "iso-8859-1"),
        format!("{CHALLENGE},maxbuf=16"),
        format!("{CHALLENGE},maxbuf=16777216"),
        format!("{CHALLENGE},maxbuf=-1"),
        format!("{CHALLENGE},maxbuf=99999999999999999999"),
        format!("{CHALLENGE};"),
        format!("{CHALLENGE},x={}", "y".repeat(2048)),
    ] {
        let error = answer(client(), challenge.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{challenge}: {error}");
    }
    assert!(answer(client(), &[CHALLENGE.as_bytes(), b",realm=\"\xff\""].concat()).is_err());
    for qop in ["auth-int", "auth-conf,auth-int", "future", ""] {
        let error = answer(client(), CHALLENGE.replace("\"auth\"", &format!("\"{qop}\"")).as_bytes()).unwrap_err();
        assert!(matches!(error, Error::Policy(Policy::Strength(_))), "{error}");
    }
}

#[test]
fn the_realm_is_the_applications_choice() {
    let two = CHALLENGE.replace("realm=", "realm=\"first\",realm=");
    for (wish, sent) in [(None, "first"), (Some(""), "first"), (Some("elwood.innosoft.com"), "elwood.innosoft.com")] {
        let mut client = client();
        client.realm = wish.map(str::to_owned);
        assert_eq!(client.step(two.as_bytes()), Outcome::Send);
        assert!(text(&client).contains(&format!("realm=\"{sent}\"")));
        assert!(client.asked[1].contains("[\"first\", \"elwood.innosoft.com\"]"), "{}", client.asked[1]);
    }
    // A realm that is not listed (RFC 2831 §2.1.2: SHOULD), also if none is, or an empty one, as Dovecot lists it.
    let none = CHALLENGE.replace("realm=\"elwood.innosoft.com\",", "");
    let empty = CHALLENGE.replace("elwood.innosoft.com", "");
    for challenge in [&two, &none, &empty] {
        let mut free = client();
        free.realm = Some("other".into());
        assert!(answer(free, challenge.as_bytes()).unwrap().contains("realm=\"other\""), "{challenge}");
    }
    let second = CHALLENGE.replace("realm=", "realm=\"\",realm=");
    let sent = answer(client(), second.as_bytes()).unwrap();
    assert!(sent.contains("realm=\"elwood.innosoft.com\"") && !sent.contains("realm=\"\""), "{sent}");
    let mut nobody = client();
    assert_eq!(nobody.step(empty.as_bytes()), Outcome::Send);
    assert!(nobody.asked[1].contains("offered: []"), "{}", nobody.asked[1]);
    assert!(!text(&nobody).contains("realm=\"o"));
    // A client whose host is not set.
    let mut lost = client();
    lost.session.config.host = "".into();
    assert!(answer(lost, CHALLENGE.as_bytes()).unwrap().contains("digest-uri=\"imap/elwood.innosoft.com\""));
}

#[test]
fn a_servers_realm_is_its_own() {
    for (realm, host, client_realm, good) in [
        (Some("r"), "h", None, true),
        (None, "h", Some("h"), true),
        (None, "", None, true),
        (None, "", Some("free"), true),
        (Some("r"), "h", Some("h"), false),
    ] {
        let mut client = Peer::client("DIGEST-MD5", "u", "p").of("imap", host);
        client.realm = client_realm.map(str::to_owned);
        let mut server = Peer::server("DIGEST-MD5", Some("p")).of("imap", host);
        server.session.config.set("realm", realm).unwrap();
        assert_eq!(run(&mut client, &mut server), good, "{realm:?} {host} {client_realm:?}");
        if good {
            let expected = client_realm.or(realm).unwrap_or_default();
            assert!(server.asked[0].contains(&format!("realm: Some({expected:?})")), "{}", server.asked[0]);
        }
    }
    for given in ["realm=\"\"", "realm=\"other\"", "realm=\"ELWOOD.innosoft.com\""] {
        let error = judge(&RESPONSE.replace("realm=\"elwood.innosoft.com\"", given)).unwrap_err();
        assert!(matches!(error, Error::PeerMisbehaved { reason: PeerMisbehaved::NotOffered("realm"), .. }));
    }
}

#[test]
fn broken_responses() {
    for (from, to) in [
        ("username=\"chris\"", "username=\"\""),
        ("username=\"chris\"", "username=chris"),
        ("username=\"chris\"", "username=\"ch\0ris\""),
        ("cnonce=\"OA6MHXh6VqTrRk\"", "cnonce=\"\""),
        ("nonce=\"OA6MG9tEQGm2hh\",", "nonce=\"\","),
        ("d388dad90d4bbd760a152321f2143af7", "D388DAD90D4BBD760A152321F2143AF7"),
        ("d388dad90d4bbd760a152321f2143af7", "d388dad90d4bbd760a152321f2143af"),
        ("qop=auth", "qop=future"),
        ("qop=auth", "qop=AUTH"),
        ("charset=utf-8", "charset=latin1"),
        ("charset=utf-8", "maxbuf=16"),
        ("charset=utf-8", "maxbuf=16777216"),
        ("charset=utf-8", "authzid=\"\""),
        ("imap/elwood.innosoft.com", "imap"),
        ("imap/elwood.innosoft.com", ""),
    ] {
        let error = judge(&RESPONSE.replace(from, to)).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{from} {to}: {error}");
    }
    for (from, to) in [
        ("qop=auth", "qop=auth-int"),
        ("qop=auth", "qop=auth-conf"),
        ("imap/elwood.innosoft.com", "smtp/elwood.innosoft.com"),
        ("imap/elwood.innosoft.com", "imap/elwood.innosoft.com.example"),
        ("imap/elwood.innosoft.com", "/"),
    ] {
        let error = judge(&RESPONSE.replace(from, to)).unwrap_err();
        assert!(matches!(error, Error::PeerMisbehaved { .. }), "{from} {to}: {error}");
    }
    let long = format!("{RESPONSE},x={}", "y".repeat(4095 - RESPONSE.len() - 3));
    assert_eq!(judge(&long).as_deref(), Ok(RSPAUTH));
    assert!(judge(&format!("{long}y")).is_err());
    // The host is compared ignoring case. The digest covers the host as sent.
    let error = judge(&RESPONSE.replace("imap/elwood", "imap/ELWOOD")).unwrap_err();
    assert_eq!(error, Error::Refused(Refused::Credentials));
}

#[test]
fn wrong_passwords_and_unknown_users_hear_the_same() {
    for credential in [Some("wrong"), None, Some("")] {
        let mut server = server(credential);
        assert_eq!(server.step(RESPONSE.as_bytes()), Outcome::Failed);
        assert_eq!(*server.error(), Error::Refused(Refused::Credentials));
    }
    // The mock password of unknown users does not log anybody in.
    for credential in [None, Some("")] {
        let mut client = Peer::client("DIGEST-MD5", "chris", std::str::from_utf8(MOCK_PASSWORD).unwrap());
        let mut server = Peer::server("DIGEST-MD5", credential);
        assert!(!run(&mut client, &mut server));
        assert_eq!(*server.error(), Error::Refused(Refused::Credentials));
    }
    let mut server = server(Some("{SCRAM-SHA-256}4096,c2FsdA==,a,b"));
    assert_eq!(server.step(RESPONSE.as_bytes()), Outcome::Failed);
    assert!(matches!(server.error(), Error::Refused(Refused::Unusable(_))));
}

#[test]
fn no_success_without_the_servers_proof() {
    let waiting = || {
        let mut client = client();
        assert_eq!(client.step(CHALLENGE.as_bytes()), Outcome::Send);
        client
    };
    for (last, missing) in [
        ("", true),
        (CHALLENGE, true),
        ("rspauth=ea40f60335c427b5527b84dbabcdfffe", false),
        ("rspauth=d388dad90d4bbd760a152321f2143af7", false),
    ] {
        let mut client = waiting();
        assert_eq!(client.step(last.as_bytes()), Outcome::Failed);
        let expected = if missing { PeerMisbehaved::ServerProofMissing } else { PeerMisbehaved::ServerProof };
        assert!(matches!(client.error(), Error::PeerMisbehaved { reason, .. } if *reason == expected), "{last}");
    }
    for last in [format!("{RSPAUTH},{RSPAUTH}"), RSPAUTH.to_uppercase(), format!("{RSPAUTH}0"), "rspauth=".into()] {
        let mut client = waiting();
        assert_eq!(client.step(last.as_bytes()), Outcome::Failed, "{last}");
    }
    let mut client = waiting();
    assert_eq!(client.session.ended_early(), Outcome::Failed);
    let mut client = waiting();
    assert_eq!(client.step(format!("rspauth=\"{}\", x=y", &RSPAUTH[8..]).as_bytes()), Outcome::Absent);
    assert!(client.session.is_success());
}

#[test]
fn a_clients_values_are_checked() {
    for (authcid, password) in [("", "secret"), ("chris", "")] {
        let error = answer(client_of(authcid, password), CHALLENGE.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::Application(Application::Empty(_))), "{error}");
    }
    let error = answer(client_of(&"x".repeat(4096), "secret"), CHALLENGE.as_bytes()).unwrap_err();
    assert!(matches!(error, Error::Application(Application::Unusable { .. })), "{error}");
}
