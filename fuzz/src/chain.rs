//! Chains of one-time passwords (RFC 2289) in a users' file: what the harness has stored, and what must result from it.
#![allow(unsafe_code)]

use std::ptr;

use authen_sasl_rust::crypto::otp::{print_hex, OtpHash};

use crate::input::Input;
use crate::surface::*;

const SEEDS: [Option<&str>; 6] =
    [None, Some("fu0001"), Some("Gr7"), Some("a2345678901234567"), Some("no seed"), Some("")];
const SEQUENCES: [u32; 8] = [0, 2, 3, 9, 1, 9999, 10_000, u32::MAX];
const HASHES: [Option<&str>; 5] = [None, Some("md5"), Some("SHA1"), Some("md4"), Some("")];
/// The seed of a chain that a client begins itself.
const RENEWED: &str = "new77";

/// The chain of a user.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// Logins that are left.
    pub left: u32,
    /// `None` for a chain that the input has written.
    pub secret: Option<Secret>,
    /// An exchange has locked it and gone away.
    pub locked: bool,
}

/// What the harness knows of a chain that it has made.
#[derive(Clone, Debug, PartialEq)]
pub struct Secret {
    phrase: String,
    hash: OtpHash,
    seed: String,
}

/// A pass phrase that the input cannot contain; some are too short or too long.
fn phrase(kind: u8, digest: u64) -> String {
    match kind % 8 {
        6 => format!("{digest:09x}")[..9].to_owned(),
        7 => format!("{digest:064x}"),
        kind => format!("phrase {kind} {digest:016x}"),
    }
}

/// The fields of a stored state, or `None` if it is malformed. The lock is a number, too.
pub fn fields(state: &[u8]) -> Option<[String; 5]> {
    let text = std::str::from_utf8(state).ok()?;
    let fields: Vec<&str> = text.split('\t').collect();
    let [hash, sequence, seed, otp, lock] = fields[..] else { return None };
    let is_number = |text: &str, most| text.len() <= most && text.parse::<u64>().is_ok() && !text.starts_with('+');
    let otp: String = otp.split_ascii_whitespace().collect();
    let fits = ["md5", "sha1"].contains(&&*hash.to_ascii_lowercase())
        && is_number(sequence, 9)
        && sequence.parse::<u32>().is_ok_and(|number| number <= 9999)
        && (1..=16).contains(&seed.len())
        && seed.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && otp.len() == 16
        && otp.bytes().all(|byte| byte.is_ascii_hexdigit())
        && is_number(lock, 20);
    let number = |text: &str| text.trim_start_matches('0').to_owned();
    fits.then(|| {
        [hash.to_ascii_lowercase(), number(sequence), seed.to_ascii_lowercase(), otp.to_ascii_lowercase(), number(lock)]
    })
}

/// A state that the C surface has made, with its chain; `None` if it was right to refuse.
pub fn make(input: &mut Input<'_>) -> Option<(String, Chain)> {
    let (phrase, hash, seed) = (phrase(input.byte(), input.digest()), *input.choose(&HASHES), *input.choose(&SEEDS));
    let sequence = *input.choose(&SEQUENCES);
    let optional = |text: Option<&'static str>| Slice::of(text.map(str::as_bytes));
    let (mut text, mut owner) = (NONE, ptr::null_mut());
    // SAFETY: slices are valid for the call; the text is copied before it is freed.
    let (made, text) = unsafe {
        let (hash, seed, host) = (optional(hash), optional(seed), lend("mail.example.com"));
        let made = asr_make_otp_state(lend(&phrase), hash, seed, host, sequence, &mut text, &mut owner);
        let text = text.text().expect("a state or a reason");
        asr_text_free(owner);
        (made, text)
    };
    assert!(!text.contains(&phrase), "{text}");
    let found = hash.map_or(Some(OtpHash::Md5), OtpHash::find);
    let is_seed = |seed: &str| (1..=16).contains(&seed.len()) && seed.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_right = (10..=63).contains(&phrase.len())
        && found.is_some()
        && seed.is_none_or(is_seed)
        && (sequence == 0 || (2..=9999).contains(&sequence));
    assert_eq!(made == 1, is_right, "{hash:?} {seed:?} {sequence}: {text}");
    let hash = found.filter(|_| is_right)?;
    let [name, number, its_seed, otp, _] = fields(text.as_bytes()).expect("a state");
    let number: u32 = number.parse().expect("a number");
    assert_eq!(number, if sequence == 0 { 499 } else { sequence });
    assert!(name == hash.name() && seed.is_none_or(|seed| its_seed == seed.to_ascii_lowercase()), "{name} {its_seed}");
    let expected = print_hex(&hash.compute(phrase.as_bytes(), &its_seed, number));
    assert_eq!(otp, expected, "the state of another phrase");
    Some((text, Chain { left: number - 1, secret: Some(Secret { phrase, hash, seed: its_seed }), locked: false }))
}

/// Logs in with a one-time password. Only the next password of the chain is accepted, and only once; then `chain` is updated. `None` if
/// the user has no usable chain.
///
/// # Safety
/// The accounts are alive.
pub unsafe fn log_in(accounts: Accounts, name: &[u8], chain: Option<&mut Chain>, input: &mut Input<'_>) {
    let (what, under_tls, text) = (input.byte() % 8, input.byte() & 1 == 1, input.string());
    let mut chain = chain.filter(|chain| chain.left > 0);
    let known = chain.as_ref().and_then(|chain| chain.secret.clone());
    let message = [b"\0", name].concat();
    // SAFETY: the handle is freed once; the accounts are alive; slices are valid for each call, and what is lent is copied at once.
    unsafe {
        let handle = asr_new(1, lend("imap"), lend("mail.example.com"), 0);
        asr_use_accounts(handle, accounts);
        let mut error = NONE;
        let external = if under_tls { "256" } else { "0" };
        assert_eq!(asr_set(handle, lend("externalssf"), lend(external), &mut error), 1);
        asr_negotiate(handle, lend("OTP")).text();
        let outcome = asr_start(handle, Slice::of(Some(&message)));
        assert_ne!(outcome, outcome::ASK, "a question that the accounts answer");
        let challenge = asr_message(handle).text().filter(|_| outcome == outcome::SEND);
        if let Some(chain) = &chain {
            assert!(!chain.locked || challenge.is_none(), "two exchanges of one user at once");
            assert!(chain.locked || known.is_none() || challenge.is_some(), "no challenge for {name:?}");
        }
        let mut due = false;
        if let Some(challenge) = challenge {
            let words: Vec<&str> = challenge.split(' ').collect();
            let (hash, number, seed) = (words[0].strip_prefix("otp-").and_then(OtpHash::find), words[1], words[2]);
            let (hash, number): (_, u32) = (hash.expect("a hash"), number.parse().expect("a number"));
            if let (Some(chain), Some(secret)) = (&chain, &known) {
                assert_eq!((hash, number, seed), (secret.hash, chain.left, &*secret.seed), "the challenge");
            }
            let phrase = known.as_ref().map_or("a phrase of nobody", |secret| &secret.phrase);
            let compute = |number| print_hex(&hash.compute(phrase.as_bytes(), seed, number));
            let new = Secret { phrase: phrase.to_owned(), hash: OtpHash::Sha1, seed: RENEWED.into() };
            let new_otp = print_hex(&new.hash.compute(phrase.as_bytes(), RENEWED, 5));
            let response = match what {
                0 => None,
                1 => Some(format!("hex:{}", compute(number + 1))),
                2 => Some(String::from_utf8_lossy(text).into_owned()),
                3 => Some(format!("init-hex:{}:sha1 5 {RENEWED}:{new_otp}", compute(number))),
                _ => Some(format!("hex:{}", compute(number))),
            };
            let renews = what == 3;
            if let (Some(chain), Some(_)) = (&mut chain, &known) {
                chain.locked = response.is_none() && !under_tls;
                // A new chain must have another seed; the password is used up all the same.
                due = what > 3 || renews && seed != RENEWED;
                if renews && due {
                    (chain.left, chain.secret) = (4, Some(new));
                } else if renews || due {
                    chain.left -= 1;
                }
            }
            if let Some(response) = response {
                asr_step(handle, lend(&response));
            }
        }
        assert_eq!(asr_status(handle) & 2 != 0, due, "a login of {name:?}");
        let error = asr_error(handle).text().unwrap_or_default();
        let shown = known.is_some_and(|secret| error.contains(&secret.phrase));
        assert!(!shown && !error.contains('\n') && error.len() < 2000, "{error}");
        asr_free(handle);
    }
}
