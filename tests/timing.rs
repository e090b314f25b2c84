//! Time tells nothing of a secret, nor whether a user exists: Welch's t-test over the times of two classes of
//! input, after dudect (Reparaz, Balasch, Verbauwhede: "Dude, is my code constant time?", 2017).
//!
//! A sample's class is drawn by lot, so that whatever else the machine does falls on both alike. Above the bound
//! of that paper a difference is taken for real; since a busy machine may disturb one round, it must show in
//! each of several. The same rule has to see differences that are planted here, in every run: a comparison that
//! ends at the first wrong byte, alone and within an exchange, and a server that does less for unknown users.
//!
//! Only optimized code is measured: `cargo test --release --test timing`. docs/hardening.md has figures.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::hint::black_box;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use authen_sasl_rust::contract::{Abilities, Answer, Question, Random, Side};
use authen_sasl_rust::crypto::hash::Hash;
use authen_sasl_rust::error::Error;
use authen_sasl_rust::secret::{ct_eq, Secret};
use authen_sasl_rust::session::{Outcome, Session};
use authen_sasl_rust::store::verifier::{Verifier, VerifierFormat};
use authen_sasl_rust::world::LocalWorld;

/// Samples of a round.
const SAMPLES: usize = 100_000;
/// A difference counts if it shows in each of so many rounds.
const ROUNDS: usize = 8;
/// |t| above which the paper speaks of code that is probably not constant in time.
const BOUND: f64 = 10.0;
/// A difference of whole exchanges counts from here on, in nanoseconds. Less is a branch or a digit, and a fifth of
/// what was ever told apart over a local network (Crosby, Wallach, Riedi: "Opportunities and limits of remote
/// timing attacks", 2009: 100 ns).
const LEAST: f64 = 20.0;
/// Parts of the samples, the fastest ones, that are looked at besides the whole: what disturbs a sample only
/// lengthens it.
const PARTS: u32 = 50;
/// Samples that are thrown away first, until caches and clock are settled.
const WARM_UP: usize = 1000;

#[derive(Clone, Copy)]
enum Class {
    A,
    B,
}

/// Means and variances, taken up one by one (Welford).
#[derive(Default, Clone, Copy)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn push(&mut self, x: f64) {
        self.count += 1.0;
        let off = x - self.mean;
        self.mean += off / self.count;
        self.squares += off * (x - self.mean);
    }

    /// The variance of the mean.
    fn error(&self) -> f64 {
        self.squares / (self.count - 1.0) / self.count
    }
}

/// How two classes differ, at that part of the samples where it shows most.
#[derive(Clone, Copy)]
struct Difference {
    /// Welch's t.
    t: f64,
    /// Of the means, in nanoseconds.
    of_means: f64,
    /// The mean itself.
    mean: f64,
    /// Large enough to count.
    counts: bool,
}

impl Difference {
    /// Over the samples that took no longer than that; none where a class has too few of them to tell.
    fn of(samples: &[(f64, Class)], longest: f64, least: f64) -> Self {
        let mut moments = [Moments::default(); 2];
        for (time, class) in samples.iter().filter(|(time, _)| *time <= longest) {
            moments[*class as usize].push(*time);
        }
        let [a, b] = moments;
        let (error, of_means) = ((a.error() + b.error()).sqrt(), a.mean - b.mean);
        let tells = a.count.min(b.count) >= 1000.0 && error > 0.0;
        let t = if tells { of_means / error } else { 0.0 };
        Difference { t, of_means, mean: a.mean, counts: of_means.abs() >= least }
    }

    fn is_visible(&self) -> bool {
        self.counts && self.t.abs() >= BOUND
    }

    fn clearer_than(&self, other: &Self) -> std::cmp::Ordering {
        self.is_visible().cmp(&other.is_visible()).then(self.t.abs().total_cmp(&other.t.abs()))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t = {:.1}, {:.1} of {:.0} ns", self.t, self.of_means, self.mean)
    }
}

/// The clearest difference of one round, over the whole and over each part.
fn round(lot: &mut u64, least: f64, sample: &mut dyn FnMut(Class) -> f64) -> Difference {
    let mut samples: Vec<(f64, Class)> = Vec::with_capacity(SAMPLES);
    for n in 0..WARM_UP + SAMPLES {
        // Knuth's MMIX generator; its highest bit is random enough.
        *lot = lot.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let class = if *lot >> 63 == 0 { Class::A } else { Class::B };
        let time = sample(class);
        if n >= WARM_UP {
            samples.push((time, class));
        }
    }
    let mut sorted: Vec<f64> = samples.iter().map(|(time, _)| *time).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    // As in dudect, the parts grow denser towards the whole.
    let parts = (1..=PARTS).map(|n| 1.0 - 0.5_f64.powf(10.0 * f64::from(n) / f64::from(PARTS)));
    let longest = parts.map(|part| sorted[(part * (SAMPLES - 1) as f64) as usize]).chain([f64::INFINITY]);
    let all = longest.map(|longest| Difference::of(&samples, longest, least));
    all.max_by(Difference::clearer_than).expect("a difference")
}

/// The clearest difference of the quietest of several rounds; it counts from `least` nanoseconds on.
fn difference(what: &str, least: f64, mut sample: impl FnMut(Class) -> f64) -> Difference {
    // One measurement at a time, whatever the test runner does.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut lot = RandomState::new().build_hasher().finish();
    let mut quietest = round(&mut lot, least, &mut sample);
    for _ in 1..ROUNDS {
        if quietest.is_visible() {
            let again = round(&mut lot, least, &mut sample);
            quietest = std::cmp::min_by(quietest, again, Difference::clearer_than);
        }
    }
    println!("{what}: {quietest}");
    quietest
}

#[track_caller]
fn hidden(what: &str, least: f64, sample: impl FnMut(Class) -> f64) {
    let found = difference(what, least, sample);
    assert!(!found.is_visible(), "{what}: a difference shows in each of {ROUNDS} rounds: {found}");
}

#[track_caller]
fn seen(what: &str, least: f64, sample: impl FnMut(Class) -> f64) {
    let found = difference(what, least, sample);
    assert!(found.is_visible(), "{what}: the planted difference does not show: {found}");
}

fn nanoseconds(work: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    work();
    begin.elapsed().as_nanos() as f64
}

/// What must not be done: it ends at the first difference.
fn early_exit(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| black_box(a) == b)
}

/// Compares with what differs in the first byte, or in the last.
fn comparison<'a>(length: usize, compare: impl Fn(&[u8], &[u8]) -> bool + 'a) -> impl FnMut(Class) -> f64 + 'a {
    let secret: Vec<u8> = (0..length).map(|n| (n * 37 % 251) as u8).collect();
    let mut guesses = [secret.clone(), secret.clone()];
    guesses[Class::A as usize][0] ^= 1;
    guesses[Class::B as usize][length - 1] ^= 1;
    let mut guess = secret.clone();
    move |class| {
        // The whole of it at one place: a byte written last would be slow to read.
        guess.copy_from_slice(&guesses[class as usize]);
        // Several at a time: one alone takes no longer than looking at the clock.
        nanoseconds(|| {
            for _ in 0..8 {
                assert!(!compare(black_box(&secret), black_box(&guess)));
            }
        })
    }
}

#[test]
#[cfg_attr(debug_assertions, ignore = "only optimized code is measured")]
fn comparisons() {
    for length in [20, 32, 64] {
        seen("early exit, planted", 0.0, comparison(length, early_exit));
        // The comparison of proofs, of signatures, of digests and of authentication codes.
        hidden("ct_eq", 0.0, comparison(length, ct_eq));
        hidden("Secret::ct_eq", 0.0, comparison(length, |a, b| Secret::new(a).ct_eq(b)));
    }
}

/// Always the same nonce, so that a client's messages can be written down beforehand.
struct OneNonce;

impl Random for OneNonce {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        buffer.fill(7);
        Ok(())
    }
}

/// The text of [`OneNonce`].
const NONCE: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";

/// A server that is tried with a wrong password, and its application, which knows one user.
struct Tried {
    mechanism: &'static str,
    /// What the client sends.
    messages: Vec<String>,
    /// What is stored of the user.
    stored: String,
    /// Which of the server's answers is measured, counted from its first.
    measured: usize,
    /// Those that unknown users are given: as many as the verifier has, else as few as there can be, so that
    /// the rest of the work is not lost in the noise of the derivation.
    iterations: u32,
    world: LocalWorld,
}

/// How the application answers.
type Application = fn(&Question, known: bool, stored: &str) -> Answer;

/// The password or verifier of a known user, nothing for an unknown one.
fn getsecret(_: &Question, known: bool, stored: &str) -> Answer {
    Answer::Credential(known.then(|| Secret::new(stored.as_bytes())))
}

impl Tried {
    fn new(mechanism: &'static str, messages: Vec<String>, stored: &str, measured: usize) -> Self {
        let world = LocalWorld::with_random(Box::new(OneNonce));
        let key = Verifier::read(&Secret::new(stored.as_bytes())).expect("a password or verifier");
        let iterations = key.map_or(1, |key| key.iterations);
        Tried { mechanism, messages, stored: stored.to_owned(), measured, iterations, world }
    }

    /// The time that one answer takes.
    fn sample(&mut self, known: bool, abilities: Abilities, application: Application) -> f64 {
        let mut session = Session::new(Side::Server, authen_sasl_rust::mechanism::registry());
        session.config.abilities = abilities;
        session.config.iterations = Some(self.iterations);
        session.config.host = "localhost".into();
        session.pick(self.mechanism).expect("a mechanism");
        let mut messages = self.messages.iter().map(String::as_bytes);
        let initial = if self.mechanism.ends_with("MD5") { None } else { messages.next() };
        let (mut time, mut turn) = (0.0, 0);
        let mut outcome = Outcome::Absent;
        let mut message = initial;
        loop {
            let took = nanoseconds(|| {
                let world = &mut self.world.lend();
                outcome = match turn {
                    0 => session.start(message, world),
                    _ => session.step(message.unwrap_or_default(), world),
                };
                while outcome == Outcome::Ask {
                    let answer = application(session.question().expect("a question"), known, &self.stored);
                    outcome = session.answer(answer, world);
                }
            });
            if turn == self.measured {
                time = took;
            }
            if outcome != Outcome::Send {
                break;
            }
            turn += 1;
            message = messages.next();
        }
        assert!(matches!(outcome, Outcome::Failed | Outcome::FailedWithMessage), "{:?}", session.failure());
        assert!(self.measured <= turn);
        time
    }
}

fn tried(mechanism: &'static str, stored: &str, measured: usize) -> Tried {
    let messages = match mechanism {
        "PLAIN" => vec!["\0fred\0a wrong password".to_owned()],
        "LOGIN" => vec!["fred".to_owned(), "a wrong password".to_owned()],
        "CRAM-MD5" => vec!["fred 00112233445566778899aabbccddeeff".to_owned()],
        "DIGEST-MD5" => vec![format!(
            "username=\"fred\",realm=\"localhost\",nonce=\"{NONCE}\",nc=00000001,cnonce=\"abc\",\
             digest-uri=\"imap/localhost\",response=00112233445566778899aabbccddeeff,qop=auth"
        )],
        _ => vec![
            "n,,n=fred,r=abc".to_owned(),
            format!("c=biws,r=abc{NONCE},p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ],
    };
    Tried::new(mechanism, messages, stored, measured)
}

fn verifier(iterations: u32) -> String {
    Verifier::make(Hash::Sha256, "pencil", b"sixteen bytes...", iterations)
        .expect("a verifier")
        .print(VerifierFormat::Rfc5803)
}

#[test]
#[cfg_attr(debug_assertions, ignore = "only optimized code is measured")]
fn known_and_unknown_users() {
    let (password, short_key, key) = ("a dozen char", verifier(1000), verifier(4096));
    for (mechanism, kind, stored, answers) in [
        ("PLAIN", "password", password, 0..1),
        // The keys are derived anew here: the count is kept low.
        ("PLAIN", "verifier", &short_key, 0..1),
        ("LOGIN", "password", password, 1..2),
        ("CRAM-MD5", "password", password, 1..2),
        ("DIGEST-MD5", "password", password, 1..2),
        ("SCRAM-SHA-256", "password", password, 0..2),
        ("SCRAM-SHA-256", "verifier", &key, 0..2),
    ] {
        for measured in answers {
            let mut tried = tried(mechanism, stored, measured);
            let what = format!("{mechanism}, {kind}, answer {}", measured + 1);
            hidden(&what, LEAST, |class| tried.sample(matches!(class, Class::A), Abilities::CREDENTIALS, getsecret));
        }
    }
}

/// Applications that compare for themselves and do it wrong: that shows through a whole exchange.
#[test]
#[cfg_attr(debug_assertions, ignore = "only optimized code is measured")]
fn planted_in_an_exchange() {
    let password = "a passphrase of ".repeat(10);
    // For one class the password is wrong in its last byte, for the other from its first one on.
    let wrong = format!("{}?", &password[..password.len() - 1]);
    fn compares(question: &Question, known: bool, stored: &str) -> Answer {
        let Question::CheckPassword { password, .. } = question else { panic!("{question:?}") };
        let stored = if known { stored } else { &stored[1..] };
        Answer::Verdict(early_exit(&password.expose()[..stored.len()], stored.as_bytes()))
    }
    let mut plain = Tried::new("PLAIN", vec![format!("\0fred\0{wrong}")], &password, 0);
    let mut sample = |class| plain.sample(matches!(class, Class::A), Abilities::CHECK_PASSWORD, compares);
    seen("PLAIN, early exit, planted", LEAST, &mut sample);

    fn refuses_nobody_at_once(question: &Question, known: bool, stored: &str) -> Answer {
        let Question::CheckPassword { password, .. } = question else { panic!("{question:?}") };
        let digest = |text| Hash::Sha256.digest(text);
        Answer::Verdict(known && ct_eq(&digest(password.expose()), &digest(stored.as_bytes())))
    }
    let mut plain = tried("PLAIN", "a dozen char", 0);
    let mut sample = |class| plain.sample(matches!(class, Class::A), Abilities::CHECK_PASSWORD, refuses_nobody_at_once);
    seen("PLAIN, nobody refused at once, planted", LEAST, &mut sample);
}
