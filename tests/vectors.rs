//! The exchanges of t/vectors, each side against the other side's published or written lines.

mod dialogue;

use std::collections::BTreeMap;
use std::path::Path;

use authen_sasl_rust::contract::{Random, Side};
use authen_sasl_rust::error::Error;
use authen_sasl_rust::mechanism;
use authen_sasl_rust::session::Outcome;

use dialogue::{Facts, Party, Seeded};

struct Vector {
    place: String,
    facts: Facts,
    /// `None` for an absent message.
    lines: Vec<(Side, Option<Vec<u8>>)>,
    expectations: Vec<(Side, Option<String>)>,
}

/// Reads a file of vectors; a mistake in it panics with its place.
fn read(path: &Path) -> Vec<Vector> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut vectors = Vec::new();
    let mut current: Option<Vector> = None;
    for (number, line) in text.lines().enumerate() {
        let place = format!("{name}:{}", number + 1);
        if line.trim().is_empty() {
            vectors.extend(current.take());
            continue;
        }
        if line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once(':').unwrap_or_else(|| panic!("{place}: no colon"));
        let value = value.strip_prefix(' ').unwrap_or_else(|| panic!("{place}: no value"));
        let vector = current.get_or_insert_with(|| Vector {
            place: place.clone(),
            facts: Facts(BTreeMap::new()),
            lines: Vec::new(),
            expectations: Vec::new(),
        });
        match key {
            "C" => vector.lines.push((Side::Client, payload(value, &place))),
            "S" => vector.lines.push((Side::Server, payload(value, &place))),
            "expect" => vector.expectations.extend(expectation(value)),
            _ => {
                assert!(vector.lines.is_empty(), "{place}: a header after the messages");
                let value = payload(value, &place).unwrap_or_else(|| panic!("{place}: leave the header out"));
                let old = vector.facts.0.insert(key.to_owned(), value);
                assert!(old.is_none(), "{place}: {key} occurs twice");
            }
        }
    }
    vectors.extend(current);
    assert!(!vectors.is_empty(), "{name} holds no vector");
    for vector in &vectors {
        assert!(vector.facts.text("mechanism").is_some(), "{}: no mechanism", vector.place);
        let titled = vector.facts.text("title").or(vector.facts.text("source")).is_some();
        assert!(titled, "{}: neither title nor source", vector.place);
        assert!(!vector.expectations.is_empty(), "{}: nothing is expected", vector.place);
    }
    vectors
}

fn payload(text: &str, place: &str) -> Option<Vec<u8>> {
    match text {
        "(absent)" => return None,
        "(empty)" => return Some(Vec::new()),
        "" => panic!("{place}: write (empty) or (absent)"),
        _ => {}
    }
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let (byte, length) = match (first, tail) {
            (b'\\', [b'0', ..]) => (0, 2),
            (b'\\', [b'\\', ..]) => (b'\\', 2),
            (b'\\', [b'x', high, low, ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).unwrap_or_default();
                (u8::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("{place}: \\x{digits}")), 4)
            }
            (b'\\', _) => panic!("{place}: unknown escape"),
            (byte, _) => (byte, 1),
        };
        bytes.push(byte);
        rest = &rest[length..];
    }
    Some(bytes)
}

fn expectation(text: &str) -> Vec<(Side, Option<String>)> {
    let (text, sides) = match (text.strip_suffix(" on client"), text.strip_suffix(" on server")) {
        (Some(text), _) => (text, vec![Side::Client]),
        (_, Some(text)) => (text, vec![Side::Server]),
        _ => (text, vec![Side::Client, Side::Server]),
    };
    let wanted = (text != "done").then(|| text.to_owned());
    sides.into_iter().map(|side| (side, wanted.clone())).collect()
}

/// Gives the vector's nonce as it stands; whatever else is drawn makes the bytes unrepeatable.
struct Nonce(String);

impl Random for Nonce {
    fn fill(&mut self, _: &mut [u8]) -> Result<(), Error> {
        Err(Error::System("this vector fixes a nonce and nothing else"))
    }

    fn nonce(&mut self) -> Result<String, Error> {
        Ok(self.0.clone())
    }
}

fn run(vector: &Vector, side: Side, wanted: Option<&str>) {
    let at = format!(
        "{} ({}) on {side}",
        vector.place,
        vector.facts.text("title").or(vector.facts.text("source")).unwrap_or_default()
    );
    let name = vector.facts.text("mechanism").unwrap_or_default();
    let mechanism = mechanism::find(name).unwrap_or_else(|| panic!("{at}: no mechanism {name}"));
    let random: Box<dyn Random + Send> = match vector.facts.text(&format!("{side}-nonce")) {
        Some(nonce) => Box::new(Nonce(nonce.to_owned())),
        None => Box::new(Seeded(1)),
    };
    let mut party = Party::new(side, name, &vector.facts, random);
    let mut lines = vector.lines.iter().peekable();
    let peer_begins = vector.lines.first().is_some_and(|(first, _)| *first != side);
    // A client that is invited before it was started starts by itself.
    let mut outcome = match (side, peer_begins) {
        (Side::Client, true) if mechanism.first == Side::Client => Outcome::Absent,
        (Side::Client, _) => party.start(None),
        (Side::Server, true) => party.start(lines.next().and_then(|(_, message)| message.as_deref())),
        (Side::Server, false) => party.start(None),
    };
    for (speaker, message) in lines {
        if *speaker == side {
            let said = matches!(outcome, Outcome::Send | Outcome::FailedWithMessage).then(|| party.session.message());
            assert_eq!(
                said.map(<[u8]>::escape_ascii).map(|text| text.to_string()),
                message.as_ref().map(|text| text.escape_ascii().to_string()),
                "{at}: {outcome:?} {}",
                party.failure()
            );
        } else if let Some(message) = message {
            assert_ne!(outcome, Outcome::Failed, "{at}: it failed early: {}", party.failure());
            outcome = party.step(message);
        }
    }
    let spoke_last = vector.lines.last().is_some_and(|(speaker, _)| *speaker == side);
    let failure = party.failure();
    match wanted {
        None => {
            assert!(party.session.is_success(), "{at}: {outcome:?} {failure}");
            assert_eq!(outcome, if spoke_last { Outcome::Send } else { Outcome::Absent }, "{at}");
            assert!(!party.session.need_step(), "{at}");
            if side == Side::Server {
                identity(vector, &party, &at);
            }
        }
        Some(text) => {
            let expected = if spoke_last { Outcome::FailedWithMessage } else { Outcome::Failed };
            assert_eq!(outcome, expected, "{at}: {failure}");
            assert!(failure.contains(text), "{at}: {text:?} is expected, not {failure:?}");
            assert!(!party.session.is_success() && !party.session.need_step(), "{at}");
        }
    }
}

fn identity(vector: &Vector, party: &Party<'_>, at: &str) {
    let facts = &vector.facts;
    let authcid = facts.text("identity").or(facts.text("user")).or(facts.text("authcid"));
    assert_eq!(party.session.identity().authcid.as_deref(), authcid, "{at}: identity");
    let authzid = facts.text("acts-as").or(facts.text("authzid")).filter(|name| !name.is_empty());
    // To act as oneself is to act as nobody else, however the mechanism puts it.
    let acts_as = party.session.identity().authzid.as_deref();
    let other = |name: Option<&str>| name.filter(|name| Some(*name) != authcid).map(str::to_owned);
    assert_eq!(other(acts_as), other(authzid), "{at}: authorization identity");
}

#[test]
fn every_vector_on_every_side_that_it_is_about() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("t/vectors");
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a folder that can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    paths.sort();
    let mut seen = BTreeMap::new();
    for path in &paths {
        for vector in read(path) {
            for (side, wanted) in &vector.expectations {
                run(&vector, *side, wanted.as_deref());
                let name = vector.facts.text("mechanism").unwrap_or_default().to_owned();
                *seen.entry((name, side.to_string(), wanted.is_none())).or_insert(0) += 1;
            }
        }
    }
    // A mechanism has at least one exchange that succeeds, on either side.
    for mechanism in mechanism::ALL {
        for side in ["client", "server"] {
            let key = (mechanism.name.to_owned(), side.to_owned(), true);
            assert!(seen.contains_key(&key), "no vector lets {} succeed on the {side}", mechanism.name);
        }
    }
}
