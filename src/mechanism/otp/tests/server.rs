use super::super::messages::{Challenge, LENGTH_LIMIT};
use super::*;

#[test]
fn each_login_uses_up_a_password() {
    for hash in OtpHash::ALL {
        let store = Store::of(hash, 5);
        for sequence in (1..5).rev() {
            let (mut client, mut server) = (Party::client(PHRASE), Party::server(&store));
            let response = login(&mut client, &mut server);
            assert_eq!(response, format!("hex:{}", print_hex(&password(hash, sequence))));
            assert!(server.session.is_success());
            assert_eq!(server.session.identity().authcid.as_deref(), Some("fred"));
            assert_eq!(store.state(), OtpState::new(hash, PHRASE.as_bytes(), "ho1234", sequence));
        }
        // The chain has ended: the client is answered as an unknown user would be, and the operator gets the reason.
        let (mut client, mut server) = (Party::client(PHRASE), Party::server(&store));
        login(&mut client, &mut server);
        assert!(matches!(server.error(), Error::Refused(Refused::Unusable(_))));
        assert!(server.error().to_string().contains("no one-time password left"), "{}", server.error());
    }
}

/// The challenge of RFC 2444's form, and all four responses of RFC 2243.
#[test]
fn messages_on_the_wire() {
    let store = Store::of(OtpHash::Sha1, 400);
    let mut server = Party::protected(&store);
    assert_eq!(server.start(None), Outcome::Send);
    assert_eq!(server.step(b"anna\0fred"), Outcome::Send);
    assert_eq!(server.said(), "otp-sha1 399 ho1234 ext");
    let (current, new) = (password(OtpHash::Sha1, 399), OtpHash::Md5.compute(PHRASE.as_bytes(), "ke1234", 499));
    let (hex, six, new_six) = (print_hex(&current), words::print(&current), words::print(&new));
    let spread: String = hex.to_uppercase().chars().flat_map(|digit| [' ', digit]).collect();
    for (response, begins) in [
        (format!("hex:{hex}"), false),
        (format!(" HEX:{spread}\t\n"), false),
        (format!("word:{six}"), false),
        (format!("Word: {} ", six.to_lowercase().replace(' ', "   ")), false),
        (format!("init-hex:{hex}:md5 499 ke1234:{}", print_hex(&new)), true),
        (format!("init-hex:{spread}:MD5  0499  KE1234 :{}", print_hex(&new)), true),
        (format!("INIT-word:{six}:md5 499 ke1234:{new_six}"), true),
    ] {
        let store = Store::of(OtpHash::Sha1, 400);
        let mut server = Party::protected(&store);
        assert_eq!(server.start(Some(b"\0fred")), Outcome::Send);
        assert_eq!(server.step(response.as_bytes()), Outcome::Absent, "{response}: {:?}", server.session.failure());
        assert!(server.session.is_success());
        let expected = match begins {
            true => OtpState::new(OtpHash::Md5, PHRASE.as_bytes(), "ke1234", 499),
            false => OtpState::new(OtpHash::Sha1, PHRASE.as_bytes(), "ho1234", 399),
        };
        assert_eq!(store.state(), expected, "{response}");
    }
}

#[test]
fn a_new_chain_that_cannot_be_used_costs_the_password_and_the_login() {
    let (hex, word) = (print_hex(&password(OtpHash::Md5, 399)), words::print(&password(OtpHash::Md5, 399)));
    let new = "0011223344556677";
    for response in [
        format!("init-hex:{hex}"),
        format!("init-hex:{hex}:"),
        format!("init-hex:{hex}:md5 499 ke1234"),
        format!("init-hex:{hex}:md4 499 ke1234:{new}"),
        format!("init-hex:{hex}:md5 1 ke1234:{new}"),
        format!("init-hex:{hex}:md5 10000 ke1234:{new}"),
        format!("init-hex:{hex}:md5 499 ho1234:{new}"),
        format!("init-hex:{hex}:md5 499 HO1234:{new}"),
        format!("init-hex:{hex}:md5 499 ke-1234:{new}"),
        format!("init-hex:{hex}:md5 499 ke1234 ext:{new}"),
        format!("init-hex:{hex}:md5 499 ke1234:{new}0"),
        format!("init-hex:{hex}:md5 499 ke1234:{new}:"),
        format!("init-word:{word}:md5 499 ke1234:{new}"),
    ] {
        for protected in [true, false] {
            let store = Store::of(OtpHash::Md5, 400);
            let mut server = if protected { Party::protected(&store) } else { Party::server(&store) };
            assert_eq!(server.start(Some(b"\0fred")), Outcome::Send);
            assert_eq!(server.step(response.as_bytes()), Outcome::Failed, "{response}");
            assert!(matches!(server.error(), Error::Malformed { .. }), "{response}: {}", server.error());
            assert_eq!(store.state(), OtpState::new(OtpHash::Md5, PHRASE.as_bytes(), "ho1234", 399), "{response}");
        }
    }
}

#[test]
fn wrong_responses_change_nothing() {
    let (hex, six) = (print_hex(&password(OtpHash::Md5, 399)), words::print(&password(OtpHash::Md5, 399)));
    let before = print_hex(&password(OtpHash::Md5, 400));
    let exchanged = format!("{} {}", &six[six.find(' ').unwrap() + 1..], &six[..six.find(' ').unwrap()]);
    for (response, word) in [
        (String::new(), "hex:, word:"),
        (hex.clone(), "hex:, word:"),
        (six.clone(), "hex:, word:"),
        (format!("oct:{hex}"), "hex:, word:"),
        (format!("init-:{hex}"), "hex:, word:"),
        (format!("init-init-hex:{hex}:md5 499 ke1234:{hex}"), "hex:, word:"),
        (format!("hex:{}", &hex[1..]), "16 hexadecimal digits"),
        (format!("hex:{hex}0"), "16 hexadecimal digits"),
        (format!("hex:{six}"), "16 hexadecimal digits"),
        (format!("word:{hex}"), "six words"),
        (format!("word:{exchanged}"), "checksum"),
        (format!("word:{} ZZZ", &six[..six.rfind(' ').unwrap()]), "alternative dictionaries"),
        (format!("hex:{}{hex}", " ".repeat(LENGTH_LIMIT)), "longer than 512 bytes"),
        (format!("hex:{before}"), "wrong password or unknown user"),
        (format!("hex:{}", print_hex(&password(OtpHash::Md5, 398))), "wrong password or unknown user"),
        (format!("init-hex:{before}:md5 499 ke1234:{hex}"), "wrong password or unknown user"),
    ] {
        for protected in [true, false] {
            let store = Store::of(OtpHash::Md5, 400);
            let stored = store.state();
            let mut server = if protected { Party::protected(&store) } else { Party::server(&store) };
            assert_eq!(server.start(Some(b"\0fred")), Outcome::Send);
            assert_eq!(server.step(response.as_bytes()), Outcome::Failed, "{response}");
            let error = server.error().to_string();
            assert!(error.contains(word) && !error.contains(&hex), "{response}: {error}");
            assert_eq!(store.state(), stored, "{response}: neither used up nor locked");
            // Only a transport that others can read needs the lock, which is set and released.
            assert_eq!(*store.replaced.lock().unwrap(), if protected { 0 } else { 2 });
        }
    }
}

#[test]
fn a_password_that_was_overheard_is_of_no_use() {
    let store = Store::of(OtpHash::Md5, 400);
    let response = login(&mut Party::client(PHRASE), &mut Party::server(&store));
    let mut replay = Party::server(&store);
    assert_eq!(replay.start(Some(b"\0fred")), Outcome::Send);
    assert_eq!(replay.step(response.as_bytes()), Outcome::Failed);
    assert_eq!(*replay.error(), Error::Refused(Refused::Credentials));
}

/// RFC 2289 §9: nobody else gets the challenge while a user has it, so nobody can send the user's response sooner.
#[test]
fn a_race_is_prevented_where_the_response_can_be_read() {
    let store = Store::of(OtpHash::Md5, 400);
    let (mut first, mut second) = (Party::server(&store), Party::server(&store));
    assert_eq!(first.start(Some(b"\0fred")), Outcome::Send);
    assert_eq!(store.state().locked_until, NOW + LOCK_SECONDS);
    for mut other in [second, Party::protected(&store)] {
        assert_eq!(other.start(Some(b"\0fred")), Outcome::Failed);
        assert_eq!(other.error().code(), Code::TryAgain);
        assert!(other.error().is_unavailable());
    }
    // An exchange that does not end is forgotten.
    second = Party::server(&store);
    second.world = LocalWorld::default().with_clock(|| NOW + LOCK_SECONDS);
    assert_eq!(second.start(Some(b"\0fred")), Outcome::Send);
    let response = format!("hex:{}", print_hex(&password(OtpHash::Md5, 399)));
    assert_eq!(first.step(response.as_bytes()), Outcome::Failed, "it has lost its lock");
    assert_eq!(*first.error(), Error::Refused(Refused::OtpUsed));
    assert_eq!(second.step(response.as_bytes()), Outcome::Absent);
    assert!(second.session.is_success());
    assert_eq!(store.state().locked_until, 0);
}

#[test]
fn of_two_logins_with_one_password_one_succeeds() {
    let store = Store::of(OtpHash::Md5, 400);
    let response = format!("hex:{}", print_hex(&password(OtpHash::Md5, 399)));
    let mut servers = [Party::protected(&store), Party::protected(&store)];
    servers.iter_mut().for_each(|server| assert_eq!(server.start(Some(b"\0fred")), Outcome::Send));
    let [first, second] = &mut servers;
    assert_eq!(second.step(response.as_bytes()), Outcome::Absent);
    assert_eq!(first.step(response.as_bytes()), Outcome::Failed);
    assert_eq!(*first.error(), Error::Refused(Refused::OtpUsed));
    assert_eq!(store.state().sequence, 399);
}

/// Both read the state before either has locked it.
#[test]
fn of_two_exchanges_that_begin_at_once_one_gets_the_challenge() {
    let store = Store::of(OtpHash::Md5, 400);
    let mut server = Party::server(&store);
    server.session.config.abilities = Abilities::OTP;
    let world = &mut server.world;
    assert_eq!(server.session.start(Some(b"\0fred"), &mut world.lend()), Outcome::Ask);
    let stored = Answer::Credential(Some(store.state().print()));
    store.change(|state| state.locked_until = NOW + 1);
    assert_eq!(server.session.answer(stored, &mut world.lend()), Outcome::Ask);
    let answer = store.answer(server.session.question().unwrap(), &Config::default()).unwrap();
    assert_eq!(server.session.answer(answer, &mut world.lend()), Outcome::Failed);
    assert_eq!(server.error().code(), Code::TryAgain);
}

#[test]
fn a_server_without_a_clock_does_not_guess_the_time() {
    for (protected, locked_until, begins) in [(false, 0, false), (true, 1, false), (true, 0, true)] {
        let store = Store::of(OtpHash::Md5, 400);
        store.change(|state| state.locked_until = locked_until);
        let mut server = if protected { Party::protected(&store) } else { Party::server(&store) };
        server.world = LocalWorld::default();
        assert_eq!(server.start(Some(b"\0fred")) == Outcome::Send, begins);
    }
}

#[test]
fn unknown_users_get_a_challenge_too() {
    let store = Store::of(OtpHash::Md5, 400);
    let challenge = |name: &str| {
        let mut server = Party::protected(&store);
        assert_eq!(server.start(Some(format!("\0{name}").as_bytes())), Outcome::Send);
        let said = server.said();
        assert!(Challenge::parse(said.as_bytes()).is_ok(), "{said}");
        server.step(format!("hex:{}", print_hex(&password(OtpHash::Md5, 399))).as_bytes());
        (said, server.session.failure().cloned())
    };
    let (first, error) = challenge("anna");
    assert_eq!(error.unwrap().error, Error::Refused(Refused::Credentials));
    assert_eq!(challenge("anna").0, first);
    assert_ne!(challenge("eve").0, first);
    // Stored text that is no state is the operator's business.
    let store = Arc::new(Store::default());
    let mut server = Party::protected(&store);
    server.session.config.abilities = Abilities::OTP;
    let world = &mut server.world;
    assert_eq!(server.session.start(Some(b"\0anna"), &mut world.lend()), Outcome::Ask);
    let stored = Answer::Credential(Some(Secret::new(b"md5 0400 hunter2")));
    assert_eq!(server.session.answer(stored, &mut world.lend()), Outcome::Send);
    assert_eq!(server.said(), first);
    assert_eq!(server.step(b"hex:0011223344556677"), Outcome::Failed);
    let error = server.error().to_string();
    assert!(error.contains("is malformed") && !error.contains("hunter2"), "{error}");
}

#[test]
fn first_messages() {
    let store = Store::of(OtpHash::Md5, 400);
    for (message, reason) in [
        (&b"fred"[..], Malformed::Missing("the authentication identity")),
        (b"\0", Malformed::Empty("the authentication identity")),
        (b"\0fred\0", Malformed::Trailing("the authentication identity")),
        (b"\0\xff", Malformed::Utf8("the authentication identity")),
        (b"\xff\0fred", Malformed::Utf8("the authorization identity")),
    ] {
        let mut server = Party::server(&store);
        assert_eq!(server.start(Some(message)), Outcome::Failed);
        assert_eq!(*server.error(), Error::malformed("first message", reason));
    }
    let mut server = Party::server(&store);
    assert_eq!(server.start(Some(b"root\0fr\xc2\xaded")), Outcome::Send);
    let response = format!("hex:{}", print_hex(&password(OtpHash::Md5, 399)));
    assert_eq!(server.step(response.as_bytes()), Outcome::Failed);
    assert_eq!(server.error().code(), Code::NoAuthz, "fred is not root");
    let mut client = Party::client(PHRASE);
    client.values[0].1 = "fr\0ed";
    assert_eq!(client.start(None), Outcome::Failed);
}
