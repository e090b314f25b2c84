//! All message parsers: what parses can be printed, and printing gives the same message back.

use std::borrow::Cow;

use authen_sasl_accounts::users::Users;
use authen_sasl_kerberos::fuzzing as kerberos;
use authen_sasl_rust::error::printable;
use authen_sasl_rust::mechanism::fuzzing as digest_md5;
use authen_sasl_rust::negotiate;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::verifier::{Verifier, VerifierFormat};
use authen_sasl_rust::wire::digest::{self, Directives, Printer};
use authen_sasl_rust::wire::gs2::Header;
use authen_sasl_rust::wire::names::words;
use authen_sasl_rust::wire::scram::{self, ClientFinal, ClientFirst, ServerFinal, ServerFirst};
use authen_sasl_rust::wire::{hex, json, kvpairs, saslname, saslprep};

/// Tests one parser, and panics if parser and printer disagree.
pub type Parser = fn(&[u8]);

/// All parsers. The first byte of the input chooses one. New ones are added at the end, so that the corpus stays valid.
pub const PARSERS: &[(&str, Parser)] = &[
    ("gs2", gs2),
    ("saslname", name),
    ("client-first", client_first),
    ("server-first", server_first),
    ("client-final", client_final),
    ("server-final", server_final),
    ("directives", directives),
    ("digest-challenge", digest_md5::challenge),
    ("digest-response", digest_md5::response),
    ("response-auth", digest_md5::response_auth),
    ("kvpairs", pairs),
    ("json", json_member),
    ("saslprep", prepared),
    ("verifier", verifier),
    ("numbers", numbers),
    ("lists", lists),
    ("users", users),
    ("kerberos-header", kerberos::header),
];

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// What `print` appends.
fn printed(print: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    print(&mut out);
    out
}

/// Printing gives the header back, and no prefix of a header is a header.
fn gs2(bytes: &[u8]) {
    let text = text(bytes);
    let Ok((header, rest)) = Header::parse(&text) else { return };
    let length = text.len() - rest.len();
    assert_eq!(printed(|out| header.print(out)), text.as_bytes()[..length]);
    for cut in (0..length).filter(|&cut| text.is_char_boundary(cut)) {
        assert!(Header::parse(&text[..cut]).is_err(), "cut to {cut} bytes");
    }
}

fn name(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok(name) = saslname::unescape(&text, "it") {
        assert_eq!(printed(|out| saslname::escape(&name, out)), text.as_bytes());
    }
    // Any non-empty name without NUL can be transmitted.
    let escaped = printed(|out| saslname::escape(&text, out));
    assert!(!escaped.contains(&b','));
    let back = saslname::unescape(std::str::from_utf8(&escaped).expect("UTF-8 stays UTF-8"), "it");
    assert_eq!(back.ok().as_deref(), (!text.is_empty() && !text.contains('\0')).then_some(&*text));
}

fn client_first(bytes: &[u8]) {
    let Ok(first) = ClientFirst::parse(bytes) else { return };
    let out = printed(|out| first.print(out));
    // Extensions are ignored; everything else is printed unchanged.
    assert!(bytes.starts_with(&out) && matches!(bytes.get(out.len()), None | Some(b',')), "{}", out.escape_ascii());
    assert_eq!(ClientFirst::parse(&out).as_ref(), Ok(&first));
    assert_eq!(printed(|out| first.header.print(out)), bytes[..first.header_len]);
    assert!(!first.nonce.is_empty() && !first.name.is_empty());
}

fn server_first(bytes: &[u8]) {
    let Ok(first) = ServerFirst::parse(bytes) else { return };
    assert_eq!(text(&printed(|out| first.print(out))), text(bytes));
    assert!(!first.nonce.is_empty() && !first.salt.is_empty() && first.iterations > 0);
}

fn client_final(bytes: &[u8]) {
    let Ok(last) = ClientFinal::parse(bytes) else { return };
    assert!(!last.proof.is_empty() && !last.nonce.is_empty());
    let mut out = last.without_proof.to_vec();
    ClientFinal::print_proof(&last.proof, &mut out);
    assert_eq!(text(&out), text(bytes));
    let start = printed(|out| ClientFinal::print_without_proof(&last.binding, last.nonce, out));
    assert!(last.without_proof.starts_with(&start));
    assert!(matches!(last.without_proof.get(start.len()), None | Some(b',')));
}

fn server_final(bytes: &[u8]) {
    match ServerFinal::parse(bytes) {
        Ok(ServerFinal::Error(reason)) => {
            assert!(bytes.starts_with(b"e="));
            assert!(!printable(reason.as_bytes()).contains(char::is_control));
        }
        Ok(ServerFinal::Verifier(signature)) => {
            let out = ServerFinal::print_verifier(&signature);
            assert!(bytes.starts_with(&out) && matches!(bytes.get(out.len()), None | Some(b',')));
            assert!(!signature.is_empty());
        }
        Err(_) => assert!(!bytes.starts_with(b"e=")),
    }
}

fn directives(bytes: &[u8]) {
    let mut all = Vec::new();
    for directive in Directives::of(bytes) {
        let Ok(directive) = directive else { return };
        all.push((directive.name.to_owned(), directive.value.into_owned(), directive.quoted));
    }
    let mut printer = Printer::with_capacity(0);
    for (name, value, quoted) in &all {
        match quoted {
            true => {
                assert!(digest::is_quotable(value));
                printer.quoted(name, value)
            }
            false => printer.token(name, value),
        };
    }
    let out = printer.finish();
    let again: Vec<_> = Directives::of(&out)
        .map(|directive| directive.expect("what was printed"))
        .map(|directive| (directive.name.to_owned(), directive.value.into_owned(), directive.quoted))
        .collect();
    assert_eq!(again, all);
    // Any bytes are ISO 8859-1, and are encoded back unchanged.
    let decoded = digest::decode(bytes, false, "it").expect("any bytes are ISO 8859-1");
    assert_eq!(digest::encode(&decoded, false).expect("they still are"), bytes);
}

fn pairs(bytes: &[u8]) {
    let Ok(all) = kvpairs::Pairs::new(bytes).collect::<Result<Vec<_>, _>>() else { return };
    let mut out = Vec::new();
    for (key, value) in &all {
        assert!(value.chars().all(kvpairs::is_value));
        kvpairs::push(&mut out, key, &[value]);
    }
    out.push(kvpairs::SEPARATOR);
    assert_eq!(text(&out), text(bytes));
}

/// The values of an object are read back unchanged.
fn json_member(bytes: &[u8]) {
    let text = text(bytes);
    let (name, value) = text.split_once('=').unwrap_or(("status", &text));
    let object = json::object(&[("first", Some(value)), (name, Some(value)), ("none", None)]);
    assert!(object.bytes().all(|b| (0x20..0x7f).contains(&b)));
    assert_eq!(json::member(&object, "first").as_deref(), Some(value));
    assert_eq!(json::member(&object, name).as_deref(), Some(value));
    for member in ["status", "scope", name] {
        if let Some(value) = json::member(&text, member) {
            let object = json::object(&[(member, Some(&value))]);
            assert_eq!(json::member(&object, member), Some(value));
        }
    }
}

fn prepared(bytes: &[u8]) {
    let text = text(bytes);
    let query = saslprep::query(&text);
    if let Ok(stored) = saslprep::stored(&text) {
        assert_eq!(query.as_deref(), Ok(&*stored));
    }
    if let Ok(once) = &query {
        assert!(!once.is_empty() && !once.contains('\0') && !once.chars().any(|c| c.is_control()));
        // Preparing a name twice changes nothing: client and server both do it.
        assert_eq!(saslprep::query(once).as_deref(), Ok(&**once));
    }
}

fn verifier(bytes: &[u8]) {
    let Ok(Some(verifier)) = Verifier::read(&Secret::new(bytes)) else { return };
    assert_eq!(verifier.keys.expose().len(), 2 * verifier.hash.size());
    for spelling in [VerifierFormat::Rfc5803, VerifierFormat::Dovecot] {
        let text = verifier.print(spelling);
        let again = Verifier::read(&Secret::new(text.as_bytes())).expect("what was printed").expect("a verifier");
        assert_eq!(again.print(spelling), text);
        assert!(again.keys.ct_eq(verifier.keys.expose()) && again.hash == verifier.hash);
        assert_eq!((&again.salt, again.iterations), (&verifier.salt, verifier.iterations));
    }
}

fn numbers(bytes: &[u8]) {
    let text = text(bytes);
    if let Some(number) = scram::number(&text) {
        assert_eq!(number.to_string(), *text);
    }
    if let Some(decoded) = scram::base64(&text) {
        assert_eq!(printed(|out| scram::print_base64(&decoded, out)), text.as_bytes());
    }
    let encoded = printed(|out| scram::print_base64(bytes, out));
    let decoded = scram::base64(std::str::from_utf8(&encoded).expect("ASCII"));
    assert_eq!(decoded.as_deref(), (!bytes.is_empty()).then_some(bytes));
    if let Some(digits) = hex::digits(bytes) {
        assert_eq!(digits, bytes);
    }
    if let Ok(digest) = bytes.try_into() {
        assert!(hex::digits(&hex::print(digest)).is_some());
    }
}

fn lists(bytes: &[u8]) {
    let text = text(bytes);
    let names: Vec<&str> = negotiate::names(&text).collect();
    assert!(names.iter().all(|name| !name.is_empty() && text.contains(name)));
    let joined = names.join(" ");
    assert_eq!(negotiate::names(&joined).collect::<Vec<_>>(), names);
    let plus = |name: &&str| name.len() > 5 && name.to_ascii_uppercase().ends_with("-PLUS");
    assert_eq!(negotiate::offers_binding(&text), names.iter().any(plus));
    let words: Vec<&str> = words(&text).collect();
    assert_eq!(authen_sasl_rust::wire::names::words(&words.join(",")).collect::<Vec<_>>(), words);
}

/// A users' file: a change of one user leaves the rest unchanged.
fn users(bytes: &[u8]) {
    let Ok(users) = Users::parse(&Secret::new(bytes)) else { return };
    let printed = users.print();
    let again = Users::parse(&printed).expect("what was printed");
    assert_eq!(text(again.print().expose()), text(printed.expose()));
    assert_eq!(again.list(), users.list());
    assert_eq!(users.list().len(), users.count());
    for user in users.list() {
        assert_eq!(again.find(user.name), Some(user));
    }
    let Some(name) = users.list().first().map(|user| user.name.to_owned()) else { return };
    let disabled = again.with_disabled(&name, true).expect("a change of one user");
    assert!(disabled.find(&name).is_some_and(|user| user.disabled));
    let without = disabled.without(&name).expect("a change of one user");
    assert!(without.find(&name).is_none() && without.count() + 1 == users.count());
}
