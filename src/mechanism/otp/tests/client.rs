use super::super::messages::LENGTH_LIMIT;
use super::*;

#[test]
fn a_client_begins_a_new_chain_in_time() {
    let store = Store::of(OtpHash::Sha1, 11);
    for (sequence, renews) in [(10, false), (9, true)] {
        let mut client = Party::client(PHRASE);
        client.session.config.set("otp_renew", Some("10")).unwrap();
        let mut server = Party::server(&store);
        let response = login(&mut client, &mut server);
        assert!(server.session.is_success());
        assert_eq!(response.starts_with("init-hex:"), renews, "{response}");
        let state = store.state();
        assert_eq!(state.sequence, if renews { FIRST_SEQUENCE } else { sequence });
        assert_eq!(&*state.seed == "ho1234", !renews);
    }
    login(&mut Party::client(PHRASE), &mut Party::server(&store));
    assert_eq!(store.state().sequence, FIRST_SEQUENCE - 1);
}

#[test]
fn challenges_that_a_client_refuses() {
    let long = format!("otp-md5 1{} ho1234 ext", " ".repeat(LENGTH_LIMIT));
    for (challenge, word) in [
        ("", "otp- and a hash"),
        ("md5 399 ho1234 ext", "otp- and a hash"),
        ("otp-md4 399 ho1234 ext", "md5 or sha1"),
        ("otp- 399 ho1234 ext", "md5 or sha1"),
        ("otp-md5 10000 ho1234 ext", "0 to 9999"),
        ("otp-md5 4294967297 ho1234 ext", "0 to 9999"),
        ("otp-md5 +1 ho1234 ext", "0 to 9999"),
        ("otp-md5 -1 ho1234 ext", "0 to 9999"),
        ("otp-md5 399", "1 to 16 letters"),
        ("otp-md5 399 12345678901234567 ext", "1 to 16 letters"),
        ("otp-md5 399 ho_1234 ext", "1 to 16 letters"),
        ("otp-md5 399 ho1234", "the list of extensions"),
        ("otp-md5 399 ho1234 hex,ext", "the list of extensions"),
        ("otp-md5 399 ho1234 ext more", "follow the list"),
        ("otp-md5 399 ho\u{e4}1234 ext", "1 to 16 letters"),
        (&long, "longer than 512"),
    ] {
        let mut client = Party::client(PHRASE);
        assert_eq!(client.start(None), Outcome::Send);
        assert_eq!(client.step(challenge.as_bytes()), Outcome::Failed, "{challenge}");
        assert!(client.error().to_string().contains(word), "{challenge}: {}", client.error());
    }
    for challenge in ["otp-md5 399 ho1234 ext", "otp-MD5\t399  HO1234 ext,foo \n", "otp-md5 0399 ho1234 ext"] {
        let mut client = Party::client(PHRASE);
        client.start(None);
        assert_eq!(client.step(challenge.as_bytes()), Outcome::Send, "{challenge}");
        assert_eq!(client.said(), format!("hex:{}", print_hex(&password(OtpHash::Md5, 399))));
    }
}

#[test]
fn a_user_answers_as_a_calculator_shows_it() {
    let challenge = b"otp-md5 99 TeSt ext";
    for (answer, sent) in [
        ("hex:50fe1962c4965880", "hex:50fe1962c4965880"),
        (" 50FE 1962 C496 5880\n", "hex:50FE 1962 C496 5880"),
        ("bail tuft bits gang chef thy", "word:bail tuft bits gang chef thy"),
        ("word:BAIL TUFT BITS GANG CHEF THY", "word:BAIL TUFT BITS GANG CHEF THY"),
    ] {
        let mut client = Party::prompted(Some(answer));
        client.start(None);
        assert_eq!(client.step(challenge), Outcome::Send, "{answer}");
        assert_eq!(client.said(), sent);
        assert!(client.session.is_success());
    }
    for answer in ["my own phrase", "50FE 1962 C496 588", "BAIL TUFT BITS GANG CHEF THE", "oct:1"] {
        let mut client = Party::prompted(Some(answer));
        client.start(None);
        assert_eq!(client.step(challenge), Outcome::Failed, "{answer}");
        let error = client.error().to_string();
        assert!(error.contains("is no one-time password") && !error.contains(answer), "{error}");
    }
    for answer in [None, Some("")] {
        let mut client = Party::prompted(answer);
        client.start(None);
        assert_eq!(client.step(challenge), Outcome::Failed);
        assert!(client.error().to_string().contains("no answer to the challenge"), "{}", client.error());
    }
}
