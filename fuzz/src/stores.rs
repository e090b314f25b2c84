//! What stands in files and sockets of this machine: nothing is believed that is not there, and what is wrong
//! shows no value.

use authen_sasl_rust::contract::CredentialKind;
use authen_sasl_rust::crypto::hash::Hash;
use authen_sasl_rust::plugin::elf;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::conf::Conf;
use authen_sasl_rust::store::saslauthd::Reply;
use authen_sasl_rust::store::users::{stored_name, Users};
use authen_sasl_rust::store::verifier::Verifier;

use crate::input::Input;

/// Reads one kind of them: it panics where something does not hold.
pub type Reader = fn(&[u8]);

/// All of them; the input's first byte chooses. New ones come last, so that the corpus keeps its meaning.
pub const READERS: &[(&str, Reader)] =
    &[("conf", conf), ("saslauthd", saslauthd), ("elf", symbols), ("accounts", accounts)];

/// A stored key of RFC 7677's example.
const KEY: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
    WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

/// Every option stands in the file as it is read, and of each name the first.
fn conf(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let conf = match Conf::parse(bytes) {
        Ok(conf) => conf,
        Err(error) => {
            assert!(error.starts_with("line ") && error.len() < 100, "{error}");
            return;
        }
    };
    assert!(Conf::parse(&conf.print()).as_ref() == Ok(&conf), "what was printed is read to the same");
    let stands = |line: &str, name: &str, value: &str| {
        let line = line.trim_matches([' ', '\t', '\x0b', '\x0c', '\r']);
        let head = line.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name));
        head && line[name.len()..].starts_with(':') && line.ends_with(value)
    };
    for (name, value) in conf.options() {
        assert_eq!(conf.get(name), Some(value));
        assert!(!value.is_empty() && !value.contains(['\n', '\0']));
        let first = text.split('\n').find(|line| {
            let name_of = line.split(':').next().unwrap_or_default();
            name_of.trim_start_matches([' ', '\t', '\x0b', '\x0c', '\r']).eq_ignore_ascii_case(name)
        });
        assert!(first.is_some_and(|line| stands(line, name, value)), "an option that is not in the file");
    }
}

/// Yes is `OK`, alone or with words behind it, and nothing else.
fn saslauthd(bytes: &[u8]) {
    let yes = bytes == b"OK" || bytes.starts_with(b"OK ");
    let no = bytes == b"NO" || bytes.starts_with(b"NO ");
    match Reply::parse(bytes) {
        Some(Reply::Yes) => assert!(yes),
        Some(Reply::No(reason)) => {
            // What does not print is escaped: a byte comes to "\u{1b}" at most.
            assert!(no && !reason.chars().any(char::is_control) && reason.len() <= 6 * bytes.len());
        }
        None => assert!(!yes && !no),
    }
}

/// Every name lies in the file and ends there at a NUL, or at its table's end; a table's entry is a name at most.
fn symbols(bytes: &[u8]) {
    let Ok(found) = elf::symbols(bytes) else { return };
    assert!(bytes.starts_with(b"\x7fELF"));
    let file = bytes.as_ptr_range();
    for name in found.defined.iter().chain(&found.imported) {
        let name_at = name.as_ptr_range();
        assert!(file.start <= name_at.start && name_at.end <= file.end && !name.contains(&0));
    }
    assert!(found.defined.len() + found.imported.len() <= bytes.len() / 16, "more symbols than there is room for");
}

/// A change of one user is one of no other; who is unknown looks like somebody.
fn accounts(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let name = String::from_utf8_lossy(input.string()).into_owned();
    let Ok(users) = Users::parse(&Secret::new(input.rest())) else { return };
    let key = || Verifier::read(&Secret::new(KEY.as_bytes())).expect("a stored key").expect("one");
    let asked = |users: &Users| users.credential(&name, CredentialKind::Scram(Hash::Sha256), None, 4096);
    let made = Verifier::read(&asked(&users)).expect("a stored key").expect("of a user, or made up");
    assert_eq!(made.hash, key().hash);
    let Ok(stored) = stored_name(&name) else {
        assert!(users.find(&name).is_none(), "a name that cannot be stored");
        return;
    };
    assert_eq!(stored_name(&stored).ok().as_ref(), Some(&stored), "a prepared name stays");
    let before: Vec<(String, bool)> = users
        .list()
        .iter()
        .map(|user| (user.name.to_owned(), user.disabled))
        .filter(|(name, _)| *name != stored)
        .collect();
    let disabled = users.find(&stored).is_some_and(|user| user.disabled);
    let known = users.find(&stored).is_some();
    let count = users.count();
    let changed = users.with_keys(&stored, &[key()]).expect("one key");
    assert_eq!(changed.count(), count + usize::from(!known));
    assert_eq!(changed.find(&stored).map(|user| user.disabled), Some(disabled));
    assert_eq!(asked(&changed).ct_eq(KEY.as_bytes()), !disabled, "who is disabled is shown no key of his");
    let salted = changed.with_salt_key(&Secret::new(&[7; 32])).expect("a key");
    let again = Users::parse(&salted.print()).expect("what was printed");
    for (name, disabled) in &before {
        assert_eq!(again.find(name).map(|user| user.disabled), Some(*disabled), "another user");
    }
    assert!(again.without(&stored).expect("a change of one user").find(&stored).is_none());
}
