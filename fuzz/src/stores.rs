//! Parsers of files and of a daemon's replies. They return only what is in the input, and their errors show no values.

use authen_sasl_accounts::conf::Conf;
use authen_sasl_accounts::saslauthd::Reply;
use authen_sasl_accounts::users::{stored_name, Users};
use authen_sasl_cyrus_host::elf;
use authen_sasl_rust::contract::CredentialKind;
use authen_sasl_rust::crypto::hash::Hash;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::verifier::Verifier;

use crate::input::Input;

/// Reads one kind of input, and panics if a rule is broken.
pub type Reader = fn(&[u8]);

/// All readers. The first byte of the input chooses one. New ones are added at the end, so that the corpus stays valid.
pub const READERS: &[(&str, Reader)] =
    &[("conf", conf), ("saslauthd", saslauthd), ("elf", symbols), ("accounts", accounts)];

/// The verifier of the example in RFC 7677.
const VERIFIER: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
    WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

/// Every option is in the file as it is read, and the first one of each name counts.
fn conf(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let conf = match Conf::parse(bytes) {
        Ok(conf) => conf,
        Err(error) => {
            assert!(error.starts_with("line ") && error.len() < 100, "{error}");
            return;
        }
    };
    assert!(Conf::parse(conf.print()).as_ref() == Ok(&conf), "printing and parsing changes it");
    let is_at = |line: &str, name: &str, value: &str| {
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
        assert!(first.is_some_and(|line| is_at(line, name, value)), "an option that is not in the file");
    }
}

/// Only `OK`, alone or followed by a space and more text, means yes.
fn saslauthd(bytes: &[u8]) {
    let yes = bytes == b"OK" || bytes.starts_with(b"OK ");
    let no = bytes == b"NO" || bytes.starts_with(b"NO ");
    match Reply::parse(bytes) {
        Some(Reply::Yes) => assert!(yes),
        Some(Reply::No(reason)) => {
            // Unprintable characters are escaped: a byte becomes at most "\u{1b}".
            assert!(no && !reason.chars().any(char::is_control) && reason.len() <= 6 * bytes.len());
        }
        None => assert!(!yes && !no),
    }
}

/// Every name lies within the file, and ends at a NUL or at the end of its table. A table entry yields at most one name.
fn symbols(bytes: &[u8]) {
    let Ok(found) = elf::symbols(bytes) else { return };
    assert!(bytes.starts_with(b"\x7fELF"));
    let file = bytes.as_ptr_range();
    for name in found.defined.iter().chain(&found.imported) {
        let name_at = name.as_ptr_range();
        assert!(file.start <= name_at.start && name_at.end <= file.end && !name.contains(&0));
    }
    assert!(found.defined.len() + found.imported.len() <= bytes.len() / 16, "more symbols than fit into the file");
}

/// A change of one user does not affect others. An unknown user looks like a known one.
fn accounts(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let name = String::from_utf8_lossy(input.string()).into_owned();
    let Ok(users) = Users::parse(&Secret::new(input.rest())) else { return };
    let verifier = || Verifier::read(&Secret::new(VERIFIER.as_bytes())).expect("a verifier").expect("not empty");
    let asked = |users: &Users| users.credential(&name, CredentialKind::Scram(Hash::Sha256), None, 4096);
    let made = Verifier::read(&asked(&users)).expect("a verifier").expect("of a user, or a mock");
    assert_eq!(made.hash, verifier().hash);
    let Ok(stored) = stored_name(&name) else {
        assert!(users.find(&name).is_none(), "a name that cannot be stored was found");
        return;
    };
    assert_eq!(stored_name(&stored).ok().as_ref(), Some(&stored), "preparing a prepared name changes it");
    let before: Vec<(String, bool)> = users
        .list()
        .iter()
        .map(|user| (user.name.to_owned(), user.disabled))
        .filter(|(name, _)| *name != stored)
        .collect();
    let disabled = users.find(&stored).is_some_and(|user| user.disabled);
    let known = users.find(&stored).is_some();
    let count = users.count();
    let changed = users.with_keys(&stored, &[verifier()]).expect("one key");
    assert_eq!(changed.count(), count + usize::from(!known));
    assert_eq!(changed.find(&stored).map(|user| user.disabled), Some(disabled));
    assert_eq!(asked(&changed).ct_eq(VERIFIER.as_bytes()), !disabled, "a disabled user gets a mock verifier");
    let salted = changed.with_salt_key(&Secret::new(&[7; 32])).expect("a key");
    let again = Users::parse(&salted.print()).expect("what was printed");
    for (name, disabled) in &before {
        assert_eq!(again.find(name).map(|user| user.disabled), Some(*disabled), "another user has changed");
    }
    assert!(again.without(&stored).expect("a change of one user").find(&stored).is_none());
}
