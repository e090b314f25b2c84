//! OAUTHBEARER and XOAUTH2, client and server.

use super::*;
use crate::contract::{Abilities, Answer, Side};
use crate::session::{Outcome, Session};
use crate::world::LocalWorld;

#[test]
fn the_scheme_ignores_case_and_the_token_does_not() {
    for auth in ["Bearer aZ09-._~+/==", "bearer aZ09-._~+/==", "BEARER   aZ09-._~+/=="] {
        assert_eq!(parse(auth), Ok("aZ09-._~+/=="), "{auth}");
    }
}

#[test]
fn what_is_no_token_is_refused() {
    for auth in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer   ",
        "Bearer\tx",
        "Basic eA==",
        "Bearerx x",
        "Bearer =",
        "Bearer a=b",
        "Bearer a b",
        "Bearer a ",
        "Bearer a\"",
        "Bearer \u{e4}",
        " Bearer a",
        "Bearer a\r\n",
    ] {
        assert!(parse(auth).is_err(), "{auth:?}");
    }
}

const TOKEN: &str = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";

fn client(mechanism: &str, values: &[(Property, &str)]) -> (Session, Outcome) {
    let mut world = LocalWorld::default();
    let mut session = Session::new(Side::Client, crate::mechanism::registry());
    session.config.abilities = Abilities::AUTHCID.union(Abilities::TOKEN);
    session.pick(mechanism).unwrap();
    assert_eq!(session.start(None, &mut world.lend()), Outcome::Ask);
    let mut given = Values::default();
    for (property, value) in values {
        given.push(*property, Secret::new(value.as_bytes()));
    }
    let outcome = session.answer(Answer::Values(given), &mut world.lend());
    (session, outcome)
}

fn server(mechanism: &str, message: &[u8], verdict: TokenVerdict) -> (Session, Outcome) {
    let mut world = LocalWorld::default();
    let mut session = Session::new(Side::Server, crate::mechanism::registry());
    session.config.abilities = Abilities::CHECK_TOKEN;
    session.pick(mechanism).unwrap();
    let mut outcome = session.start(Some(message), &mut world.lend());
    if outcome == Outcome::Ask {
        outcome = session.answer(Answer::Token(verdict), &mut world.lend());
    }
    (session, outcome)
}

fn accepted(authcid: &str) -> TokenVerdict {
    TokenVerdict::Accepted { authcid: authcid.into() }
}

fn rejected(status: &str) -> TokenVerdict {
    TokenVerdict::Rejected {
        status: status.into(),
        scope: Some("example_scope".into()),
        openid_configuration: Some("https://example.com/.well-known/openid-configuration".into()),
    }
}

/// RFC 7628 §4.1, both sides.
#[test]
fn rfc_7628_section_4_1() {
    let message =
        format!("n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer {TOKEN}\x01\x01");
    let (session, outcome) = client(
        "OAUTHBEARER",
        &[
            (Property::Authcid, "user@example.com"),
            (Property::Host, "server.example.com"),
            (Property::Port, "143"),
            (Property::Token, TOKEN),
        ],
    );
    assert_eq!((outcome, session.message()), (Outcome::Send, message.as_bytes()));
    assert!(session.is_success() && !session.need_step());

    let mut world = LocalWorld::default();
    let mut session = Session::new(Side::Server, crate::mechanism::registry());
    session.config.abilities = Abilities::CHECK_TOKEN;
    session.pick("OAUTHBEARER").unwrap();
    assert_eq!(session.start(Some(message.as_bytes()), &mut world.lend()), Outcome::Ask);
    let Some(Question::Token { token, user, host, port }) = session.question() else { panic!("no question") };
    assert!(token.ct_eq(TOKEN.as_bytes()));
    assert_eq!(user.as_deref(), Some("user@example.com"));
    assert_eq!((host.as_deref(), port.as_deref()), (Some("server.example.com"), Some("143")));
    assert_eq!(session.answer(Answer::Token(accepted("user@example.com")), &mut world.lend()), Outcome::Absent);
    assert!(session.is_success());
    assert_eq!(session.identity().authcid.as_deref(), Some("user@example.com"));
}

/// RFC 7628 §4.3: no token is sent to learn where to get one.
#[test]
fn rfc_7628_section_4_3() {
    let message = b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=\x01\x01";
    let (mut session, outcome) = server("OAUTHBEARER", message, rejected("invalid_token"));
    assert_eq!(outcome, Outcome::Send);
    let object = br#"{"status":"invalid_token","scope":"example_scope","openid-configuration":"https://example.com/.well-known/openid-configuration"}"#;
    assert_eq!(session.message(), object);
    assert!(session.need_step() && !session.is_success());
    assert_eq!(session.step(b"\x01", &mut LocalWorld::default().lend()), Outcome::Failed);
    assert_eq!(session.failure().unwrap().error, Refused::Token.into());

    // An application that accepts the empty token does not get its way.
    let (mut session, outcome) = server("OAUTHBEARER", message, accepted("user@example.com"));
    assert_eq!((outcome, session.message()), (Outcome::Send, &br#"{"status":"invalid_token"}"#[..]));
    assert_eq!(session.step(b"\x01", &mut LocalWorld::default().lend()), Outcome::Failed);
}

/// What servers say of an expired token, each in its own way.
#[test]
fn the_servers_words_reach_the_user() {
    for (object, said) in [
        (r#"{"status":"400","schemes":"Bearer"}"#, "400 (the token is wrong or has expired)"),
        (r#"{"status":"invalid_token"}"#, "invalid_token"),
        (
            r#"{"error":"invalid_token","error_description":"The access token expired"}"#,
            "invalid_token: The access token expired",
        ),
        (r#"{"status":"401","error_description":"expired at 12:00"}"#, "401: expired at 12:00"),
    ] {
        for mechanism in ["OAUTHBEARER", "XOAUTH2"] {
            let (mut session, _) = client(mechanism, &[(Property::Authcid, "fred"), (Property::Token, TOKEN)]);
            session.step(object.as_bytes(), &mut LocalWorld::default().lend());
            assert_eq!(session.failure().unwrap().error, Refused::PeerSaid(said.into()).into(), "{mechanism}");
        }
    }
}

/// The error object ends the exchange on both sides, whatever the dummy message is.
#[test]
fn a_refusal_reaches_both_sides() {
    for (mechanism, dummy, object) in [
        (
            "OAUTHBEARER",
            &b"\x01"[..],
            r#"{"status":"insufficient_scope","scope":"example_scope","openid-configuration":"https://example.com/.well-known/openid-configuration"}"#,
        ),
        ("XOAUTH2", b"", r#"{"status":"403","schemes":"bearer","scope":"example_scope"}"#),
    ] {
        let mut world = LocalWorld::default();
        let (mut client, _) = client(mechanism, &[(Property::Authcid, "user"), (Property::Token, TOKEN)]);
        let (mut server, outcome) = server(mechanism, client.message(), rejected("insufficient_scope"));
        assert_eq!((outcome, server.message()), (Outcome::Send, object.as_bytes()));
        assert_eq!(client.step(server.message(), &mut world.lend()), Outcome::FailedWithMessage);
        assert_eq!(client.message(), dummy);
        assert!(!client.is_success() && !client.need_step());
        let text = client.failure().unwrap().to_string();
        assert!(text.contains(", the scope needed is example_scope") && text.contains(mechanism), "{text}");
        assert_eq!(server.step(client.message(), &mut world.lend()), Outcome::Failed);
        assert_eq!(server.failure().unwrap().error, Refused::Token.into());
        assert_eq!(server.step(b"\x01", &mut world.lend()), Outcome::Over);
        assert_eq!(client.step(b"{}", &mut world.lend()), Outcome::Over);
    }
}

/// A server that repeats the client's message does not bring the token into the error text.
#[test]
fn the_token_comes_into_no_error() {
    let echoes =
        [format!("n,,\u{1}auth=Bearer {TOKEN}\u{1}\u{1}"), format!(r#"{{"status":"{TOKEN}"}}"#), TOKEN.to_owned()];
    for (mechanism, echo) in ["OAUTHBEARER", "XOAUTH2"].into_iter().flat_map(|m| echoes.iter().map(move |e| (m, e))) {
        let (mut client, _) = client(mechanism, &[(Property::Authcid, "user"), (Property::Token, TOKEN)]);
        assert_eq!(client.step(echo.as_bytes(), &mut LocalWorld::default().lend()), Outcome::FailedWithMessage);
        let text = client.failure().unwrap().to_string();
        assert!(text.contains("the server refused") && !text.contains(TOKEN), "{text}");
    }
}

#[test]
fn an_empty_challenge_is_a_refusal_too() {
    for (mechanism, dummy) in [("OAUTHBEARER", &b"\x01"[..]), ("XOAUTH2", b"")] {
        let (mut client, _) = client(mechanism, &[(Property::Authcid, "user"), (Property::Token, TOKEN)]);
        assert_eq!(client.step(b"", &mut LocalWorld::default().lend()), Outcome::FailedWithMessage);
        assert_eq!(client.message(), dummy);
        assert!(!client.is_success());
    }
}

#[test]
fn the_client_names_whom_it_was_told_to_name() {
    for (values, header) in [
        (&[][..], "n,,"),
        (&[(Property::Authcid, "")], "n,,"),
        (&[(Property::Authcid, "a=b,c")], "n,a=a=3Db=2Cc,"),
        (&[(Property::Authcid, "fred"), (Property::Authzid, "J\u{fc}rgen")], "n,a=J\u{fc}rgen,"),
        (&[(Property::Authzid, "fred")], "n,a=fred,"),
    ] {
        let mut all = values.to_vec();
        all.push((Property::Token, "abc"));
        let (session, _) = client("OAUTHBEARER", &all);
        assert_eq!(session.message(), format!("{header}\x01auth=Bearer abc\x01\x01").as_bytes());
    }
}

#[test]
fn the_client_sends_nothing_that_would_break_the_message() {
    let good = [(Property::Authcid, "user"), (Property::Token, "abc"), (Property::Host, "h"), (Property::Port, "1")];
    for mechanism in ["OAUTHBEARER", "XOAUTH2"] {
        for (property, value) in [
            (Property::Token, ""),
            (Property::Token, "a\x01auth=Bearer b"),
            (Property::Token, "a b"),
            (Property::Token, "\u{e4}"),
            (Property::Token, "==="),
            (Property::Authcid, "us\x01er"),
            (Property::Authcid, "us\0er"),
            (Property::Authcid, "us\ner"),
            (Property::Host, "a\x01b"),
            (Property::Host, "a b"),
            (Property::Port, "1\n"),
        ] {
            let values = good.map(|(p, v)| if p == property { (p, value) } else { (p, v) });
            let (session, outcome) = client(mechanism, &values);
            let unused = mechanism == "XOAUTH2" && matches!(property, Property::Host | Property::Port);
            assert_eq!(outcome, if unused { Outcome::Send } else { Outcome::Failed }, "{property:?} {value:?}");
            assert!(unused || matches!(session.failure().unwrap().error, Error::Application(_)));
        }
    }
}

/// Every truncation and every byte turned into 0x01, NUL or a comma: never a success for another identity.
#[test]
fn damaged_messages_never_name_somebody_else() {
    for (mechanism, message) in [
        ("OAUTHBEARER", &b"n,a=user,\x01host=h\x01port=1\x01auth=Bearer abc=\x01\x01"[..]),
        ("XOAUTH2", b"user=user\x01auth=Bearer abc=\x01\x01"),
    ] {
        assert_eq!(server(mechanism, message, accepted("user")).1, Outcome::Absent);
        for length in 0..message.len() {
            let (session, outcome) = server(mechanism, &message[..length], accepted("user"));
            assert_eq!(outcome == Outcome::Send, length == 0 && session.message().is_empty() && session.need_step());
            assert!(!session.is_success(), "{mechanism} cut at {length}");
        }
        for at in 0..message.len() {
            for byte in [0, 1, b',', b'=', 0xff] {
                let mut damaged = message.to_vec();
                damaged[at] = byte;
                let (session, _) = server(mechanism, &damaged, accepted("user"));
                assert!(!session.is_success() || session.identity().authcid.as_deref() == Some("user"));
            }
        }
    }
}

#[test]
fn malformed_messages_are_refused() {
    for message in [
        &b"\x01"[..],
        b"n,,",
        b"n,\x01auth=Bearer a\x01\x01",
        b"n,a=,\x01auth=Bearer a\x01\x01",
        b"n,a=x\x01auth=Bearer a\x01\x01",
        b"n,a=x,y,\x01auth=Bearer a\x01\x01",
        b"n,a==20,\x01auth=Bearer a\x01\x01",
        b"n,b=x,\x01auth=Bearer a\x01\x01",
        b"n,a=\xff,\x01auth=Bearer a\x01\x01",
        b"n,a=\x7f,\x01auth=Bearer a\x01\x01",
        b"p=tls-exporter,,\x01auth=Bearer a\x01\x01",
        b"F,n,,\x01auth=Bearer a\x01\x01",
        b"N,,\x01auth=Bearer a\x01\x01",
        b"n,,\x01\x01",
        b"n,,\x01host=h\x01\x01",
        b"n,,\x01auth=Bearer a\x01auth=Bearer a\x01\x01",
        b"n,,\x01host=h\x01host=h\x01auth=Bearer a\x01\x01",
        b"n,,\x01auth=Basic YQ==\x01\x01",
        b"n,,\x01Auth=Bearer a\x01\x01",
        b"n,,\x01auth=Bearer a\x01\x01x",
        b"n,,\x01host=\xc3\xa4\x01auth=Bearer a\x01\x01",
        b"n,,auth=Bearer a",
    ] {
        let (session, outcome) = server("OAUTHBEARER", message, accepted("x"));
        assert_eq!(outcome, Outcome::Failed, "{message:?}");
        assert!(matches!(session.failure().unwrap().error, Error::Malformed { .. } | Error::PeerMisbehaved { .. }));
    }
    for message in [
        &b"user=u\x01auth=Bearer a\x01"[..],
        b"auth=Bearer a\x01user=u\x01\x01",
        b"user=\x01auth=Bearer a\x01\x01",
        b"user=u\x01user=u\x01auth=Bearer a\x01\x01",
        b"user=u\x01auth=Bearer a\x01auth=Bearer a\x01\x01",
        b"user=u\x01host=h\x01auth=Bearer a\x01\x01",
        b"user=u\x01auth=\x01\x01",
        b"user=u\nv\x01auth=Bearer a\x01\x01",
        b"user=u\x01\x01",
        b"n,,\x01auth=Bearer a\x01\x01",
    ] {
        assert_eq!(server("XOAUTH2", message, accepted("u")).1, Outcome::Failed, "{message:?}");
    }
}

/// Unknown keys, `y`, and another case of the scheme change nothing.
#[test]
fn what_the_rfc_lets_pass_passes() {
    for message in [
        &b"y,,\x01auth=Bearer a\x01\x01"[..],
        b"n,,\x01auth=bearer  a\x01\x01",
        b"n,,\x01mthd=POST\x01auth=Bearer a\x01qs=x=y&z\x01\x01",
        b"n,a=fred,\x01auth=Bearer a\x01host=\x01\x01",
    ] {
        let (session, _) = server("OAUTHBEARER", message, accepted("fred"));
        assert!(session.is_success(), "{message:?}");
    }
}

/// The token's identity decides; the one that was named beside it needs an authorization.
#[test]
fn naming_somebody_else_needs_an_authorization() {
    for (mechanism, message) in [
        ("OAUTHBEARER", &b"n,a=root,\x01auth=Bearer a\x01\x01"[..]),
        ("XOAUTH2", b"user=root\x01auth=Bearer a\x01\x01"),
    ] {
        let (session, outcome) = server(mechanism, message, accepted("fred"));
        assert_eq!(outcome, Outcome::Failed);
        let refused = Refused::Authorization { authcid: "fred".into(), authzid: "root".into() };
        assert_eq!(session.failure().unwrap().error, refused.into());
    }
    let (_, outcome) = server("OAUTHBEARER", b"n,,\x01auth=Bearer a\x01\x01", accepted(""));
    assert_eq!(outcome, Outcome::Failed);
}
