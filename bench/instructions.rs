//! The operations whose instructions `dev/bench --instructions` counts: handshakes of each side, security layers, key
//! derivations and look-ups, through the public interface of the core.
//!
//! callgrind runs this program and dumps its counters before each call of getppid(2). There is one such call before and one after
//! each counted operation, so every second dump is a count. For each count the program prints a line: the case, the unit, and the
//! number of units, separated by tabs.
//!
//! Nothing here may be random: nonces are fixed, and the peer's messages were recorded before.

use std::cell::RefCell;
use std::fs;
use std::hint::black_box;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::parent_id;

use authen_sasl_accounts::users::{Users, UsersFile};
use authen_sasl_rust::accounts::Accounts;
use authen_sasl_rust::config::ChannelBinding;
use authen_sasl_rust::contract::{
    Abilities, Answer, CredentialKind, Property, Question, Random, Side, TokenVerdict, Values,
};
use authen_sasl_rust::crypto::hash::Hash;
use authen_sasl_rust::crypto::otp::OtpHash;
use authen_sasl_rust::crypto::pbkdf2;
use authen_sasl_rust::error::Error;
use authen_sasl_rust::layer;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::session::{Outcome, Session};
use authen_sasl_rust::store::keys::KeyMemory;
use authen_sasl_rust::store::otp::OtpState;
use authen_sasl_rust::store::verifier::{make_text, VerifierFormat};
use authen_sasl_rust::world::LocalWorld;

/// Iterations of SCRAM: few, so that they do not hide the rest of the handshake. PBKDF2 has its own cases.
const ITERATIONS: u32 = 16;
/// Handshakes per count.
const TIMES: usize = 10;
const USER: &str = "fred";
const PASSWORD: &str = "secret-pass";

fn main() {
    // Several crates choose their code by the features of the processor at run time, so the counts depend on them.
    println!("features\t{}", features().join(" "));
    for mechanism in [
        "ANONYMOUS",
        "CRAM-MD5",
        "DIGEST-MD5",
        "EXTERNAL",
        "HT-SHA-256-EXPR",
        "HT-SHA-256-NONE",
        "HT-SHA-512-NONE",
        "HT2-SHA-256-NONE",
        "HT2-SHA-512-NONE",
        "LOGIN",
        "OAUTHBEARER",
        "OTP",
        "PLAIN",
        "XOAUTH2",
    ] {
        let login = Login::new(mechanism);
        let heard = login.record();
        login.count(Side::Client, &heard, "");
        login.count(Side::Server, &heard, "");
    }
    for mechanism in
        ["SCRAM-SHA-1", "SCRAM-SHA-224", "SCRAM-SHA-256", "SCRAM-SHA-384", "SCRAM-SHA-512", "SCRAM-SHA3-512"]
    {
        scram(mechanism);
    }
    scram("SCRAM-SHA-256-PLUS");
    for hash in Hash::ALL {
        let name = format!("PBKDF2 with {}", hash.name());
        count(&name, "iteration", 100, 1, || pbkdf2::derive(hash, PASSWORD.as_bytes(), b"sixteen bytes...", 100));
    }
    for (name, ssf) in [("auth-int", 1), ("auth-conf with rc4", 128), ("auth-conf with 3des", 112)] {
        security_layer(name, ssf);
    }
    users_file();
}

/// The features of the processor by which our crates and the C library choose their code.
fn features() -> Vec<&'static str> {
    let mut found = Vec::new();
    #[cfg(target_arch = "x86_64")]
    for (name, is_there) in [
        ("ssse3", std::arch::is_x86_feature_detected!("ssse3")),
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
        ("sha", std::arch::is_x86_feature_detected!("sha")),
    ] {
        if is_there {
            found.push(name);
        }
    }
    #[cfg(target_arch = "aarch64")]
    for (name, is_there) in [
        ("sha2", std::arch::is_aarch64_feature_detected!("sha2")),
        ("sha3", std::arch::is_aarch64_feature_detected!("sha3")),
    ] {
        if is_there {
            found.push(name);
        }
    }
    found
}

/// Does the work a few times uncounted, because one-time initializations are not part of it, and then `times` times between
/// two marks. Each time it does `amount` units of work.
fn count<R>(case: &str, unit: &str, amount: usize, times: usize, mut work: impl FnMut() -> R) {
    for _ in 0..3 {
        black_box(work());
    }
    mark();
    for _ in 0..times {
        black_box(work());
    }
    mark();
    println!("{case}\t{unit}\t{}", amount * times);
}

/// callgrind dumps its counters here.
fn mark() {
    black_box(parent_id());
}

/// A client that derives its keys and one that remembers them, and a server with a verifier.
fn scram(mechanism: &'static str) {
    let salt = Some(&b"sixteen bytes..."[..]);
    let verifier = make_text(mechanism, PASSWORD, salt, ITERATIONS, VerifierFormat::Rfc5803).expect("a verifier");
    let mut login = Login { stored: verifier, ..Login::new(mechanism) };
    let heard = login.record();
    login.count(Side::Client, &heard, &format!(", {ITERATIONS} iterations"));
    login.count(Side::Server, &heard, ", verifier");
    login.remembers_keys = true;
    login.count(Side::Client, &heard, ", remembered keys");
}

/// A user who logs in by one mechanism.
struct Login {
    mechanism: &'static str,
    /// The server's password or verifier.
    stored: String,
    /// The client remembers derived keys.
    remembers_keys: bool,
    /// The strength of the security layer.
    ssf: u32,
}

/// The messages that each side receives, in order; `None` if the exchange begins without one.
struct Heard {
    client: Vec<Option<Vec<u8>>>,
    server: Vec<Option<Vec<u8>>>,
}

impl Login {
    fn new(mechanism: &'static str) -> Self {
        let stored = match mechanism {
            "OTP" => OtpState::new(OtpHash::Md5, PASSWORD.as_bytes(), "lo1234", 100).print(),
            _ => Secret::new(PASSWORD.as_bytes()),
        };
        let stored = stored.expose_str().expect("a text").to_owned();
        Login { mechanism, stored, remembers_keys: false, ssf: 0 }
    }

    fn world(&self) -> LocalWorld {
        let world = LocalWorld::with_random(Box::new(OneNonce))
            .with_salt_key(Secret::new(b"a salt key for each run"))
            .with_clock(|| 1_800_000_000);
        if self.remembers_keys {
            world.remember_in(Box::new(KeyMemory::new()))
        } else {
            world
        }
    }

    fn abilities(&self, side: Side) -> Abilities {
        match (side, self.mechanism) {
            (Side::Client, "OAUTHBEARER" | "XOAUTH2") => Abilities::AUTHCID.union(Abilities::TOKEN),
            (Side::Client, name) if name.starts_with("HT") => Abilities::AUTHCID.union(Abilities::HT_TOKEN),
            (Side::Client, _) => Abilities::AUTHCID.union(Abilities::PASSWORD),
            (Side::Server, "OAUTHBEARER" | "XOAUTH2") => Abilities::CHECK_TOKEN,
            (Side::Server, name) if name.starts_with("HT") => Abilities::HT_TOKENS,
            (Side::Server, "OTP") => Abilities::OTP,
            (Side::Server, _) => Abilities::CREDENTIALS,
        }
    }

    fn session(&self, side: Side) -> Session {
        let mut session = Session::new(side, authen_sasl_rust::mechanism::registry());
        let config = &mut session.config;
        config.service = "imap".into();
        config.host = "localhost".into();
        config.abilities = self.abilities(side);
        config.min_ssf = self.ssf;
        config.max_ssf = Some(self.ssf);
        config.min_iterations = ITERATIONS;
        config.iterations = Some(ITERATIONS);
        if self.mechanism == "EXTERNAL" && side == Side::Server {
            config.set("external_id", Some(USER)).expect("an option");
        }
        if ["-PLUS", "-EXPR"].iter().any(|end| self.mechanism.ends_with(end)) {
            let binding = ChannelBinding { kind: "tls-exporter".into(), data: vec![5; 32] };
            config.set_binding(binding).expect("a channel binding");
        }
        session.pick(self.mechanism).expect("a mechanism of the core");
        session
    }

    /// The application's answer.
    fn answer(&self, question: &Question) -> Answer {
        match question {
            Question::Values(wanted) => {
                let mut values = Values::default();
                for property in *wanted {
                    let value = match property {
                        Property::Authcid | Property::Identity => USER,
                        Property::Password | Property::HtToken => PASSWORD,
                        Property::Token => "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg",
                        _ => continue,
                    };
                    values.push(*property, Secret::new(value.as_bytes()));
                }
                Answer::Values(values)
            }
            Question::Realm { .. } => Answer::Text(None),
            Question::Credentials { .. } => Answer::Credential(Some(Secret::new(self.stored.as_bytes()))),
            Question::Authorize { .. } | Question::Replace { .. } => Answer::Verdict(true),
            Question::Token { .. } => Answer::Token(TokenVerdict::Accepted { authcid: USER.into() }),
            other => panic!("{}: {other:?}", self.mechanism),
        }
    }

    /// Gives one message to one side and answers its questions.
    fn hear(&self, session: &mut Session, message: Option<&[u8]>, begins: bool, world: &mut LocalWorld) -> Outcome {
        let world = &mut world.lend();
        let mut outcome = match message {
            message if begins => session.start(message, world),
            message => session.step(message.unwrap_or_default(), world),
        };
        while outcome == Outcome::Ask {
            let answer = self.answer(session.question().expect("a question"));
            outcome = session.answer(answer, world);
        }
        assert!(!matches!(outcome, Outcome::Failed | Outcome::FailedWithMessage), "{:?}", session.failure());
        outcome
    }

    /// Runs a complete exchange: both sides after it, and the messages.
    fn exchange(&self) -> ([Session; 2], Heard) {
        let (mut client, mut server) = (self.session(Side::Client), self.session(Side::Server));
        let mut heard = Heard { client: vec![None], server: vec![] };
        let (mut world, mut world_of_server) = (self.world(), self.world());
        self.hear(&mut client, None, true, &mut world);
        let mut begins = true;
        loop {
            let message = (!client.message_absent()).then(|| client.message().to_vec());
            heard.server.push(message.clone());
            self.hear(&mut server, message.as_deref(), begins, &mut world_of_server);
            begins = false;
            if server.message_absent() {
                break;
            }
            let message = server.message().to_vec();
            self.hear(&mut client, Some(&message), false, &mut world);
            heard.client.push(Some(message));
            if server.is_success() {
                break;
            }
        }
        assert!(client.is_success() && server.is_success(), "{} is not complete", self.mechanism);
        ([client, server], heard)
    }

    fn record(&self) -> Heard {
        self.exchange().1
    }

    /// Counts handshakes of one side, from creating its session to dropping it.
    fn count(&self, side: Side, heard: &Heard, how: &str) {
        let world = RefCell::new(self.world());
        let messages = match side {
            Side::Client => &heard.client,
            Side::Server => &heard.server,
        };
        count(&format!("{} {side}{how}", self.mechanism), "handshake", 1, TIMES, || {
            let mut session = self.session(side);
            for (n, message) in messages.iter().enumerate() {
                self.hear(&mut session, message.as_deref(), n == 0, &mut world.borrow_mut());
            }
            assert!(session.is_success(), "{}: {:?}", self.mechanism, session.failure());
        });
    }
}

/// Always the same nonce, so that a recorded exchange can be repeated.
struct OneNonce;

impl Random for OneNonce {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        buffer.fill(7);
        Ok(())
    }
}

/// Messages of 4 KiB and of 64 bytes, from the client to the server.
fn security_layer(name: &str, ssf: u32) {
    for (length, unit, amount) in [(4096, "KiB", 4), (64, "message of 64 bytes", 1)] {
        let login = Login { ssf, ..Login::new("DIGEST-MD5") };
        let [client, server] = login.exchange().0;
        let (client, server) = (client.layer().expect("a layer"), server.layer().expect("a layer"));
        let (plaintext, mut frames) = (vec![b'x'; length], Vec::with_capacity(2 * TIMES));
        let mut buffer = vec![0; layer::lock(client).room(length)];
        count(&format!("encode {name}"), unit, amount, TIMES, || {
            buffer[..length].copy_from_slice(&plaintext);
            let framed = layer::lock(client).encode(&mut buffer, length).expect("a frame");
            // Where a program would write it to a socket.
            frames.push(buffer[..framed].to_vec());
        });
        let mut frames = frames.into_iter();
        count(&format!("decode {name}"), unit, amount, TIMES, || {
            let mut frame = frames.next().expect("as many as were encoded");
            let opened = layer::lock(server).decode(&mut frame).expect("plaintext");
            assert_eq!(opened, length);
        });
    }
}

/// A file of 1000 users.
fn users_file() {
    let line = |n: usize| {
        let salt = format!("salt of user {n:03}");
        let verifier = make_text("SCRAM-SHA-256", PASSWORD, Some(salt.as_bytes()), 1, VerifierFormat::Rfc5803);
        format!("user{n:03}:{}\n", verifier.expect("a verifier"))
    };
    let text = (0..1000).map(line).collect::<String>();
    let path = std::env::temp_dir().join(format!("instructions.{}", std::process::id()));
    fs::write(&path, &text).expect("a users' file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("permissions for us alone");

    let session = Login::new("SCRAM-SHA-256").session(Side::Server);
    let file = UsersFile::new(&path).expect("an absolute name");
    for (who, authcid) in [("known", "user500"), ("unknown", "nobody")] {
        let question = Question::Credentials {
            kind: CredentialKind::Scram(Hash::Sha256),
            authcid: authcid.into(),
            authzid: None,
            realm: None,
        };
        count(&format!("users' file, {who} user"), "look-up", 1, TIMES, || {
            file.answer(&question, &session.config).expect("an answer")
        });
    }
    let text = Secret::from(text);
    count("users' file, reading", "user", 1000, 1, || Users::parse(&text).expect("users"));
    fs::remove_file(&path).expect("the users' file is removed");
}
