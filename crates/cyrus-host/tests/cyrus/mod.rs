//! Accounts behind Debian's plugins: a temporary folder with databases, and exchanges with a server of ours.
#![allow(dead_code)] // each test uses a part

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use authen_sasl_cyrus_host::{folders, CyrusAccounts, Options};
use authen_sasl_rust::accounts::Accounts;
use authen_sasl_rust::contract::{Abilities, Answer, Property, Question, Side, Values};
use authen_sasl_rust::error::Error;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::session::{Outcome, Session};
use authen_sasl_rust::world::LocalWorld;

/// The mechanisms of ours that look at a password in the accounts.
pub const MECHANISMS: [&str; 5] = ["SCRAM-SHA-256", "SCRAM-SHA-1", "DIGEST-MD5", "CRAM-MD5", "PLAIN"];

/// A folder that goes with its owner.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("asr-cyrus-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a folder");
        Folder(path)
    }

    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("a path in UTF-8").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a program with that input.
pub fn run(program: &str, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("written");
    let said = child.wait_with_output().expect("its output");
    assert!(said.status.success(), "{program}: {}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).expect("text")
}

/// A sasldb that saslpasswd2 has made, with the users of a realm.
pub fn sasldb(folder: &Folder, realm: &str, users: &[(&str, &str)]) -> String {
    let path = folder.path("sasldb");
    for (user, password) in users {
        run("/usr/sbin/saslpasswd2", &["-p", "-c", "-f", &path, "-u", realm, user], password);
    }
    path
}

/// Accounts of these options.
pub fn accounts(options: &[(&str, &str)]) -> Result<Arc<CyrusAccounts>, Error> {
    let mut all = Options::default();
    for (name, value) in options {
        all.set(name, value)?;
    }
    CyrusAccounts::new(&folders(None), all, None).map(Arc::new)
}

/// A server on `mail.example.org` for which the accounts answer.
pub fn server(accounts: &Arc<CyrusAccounts>) -> Session {
    let mut server = Session::new(Side::Server, authen_sasl_rust::mechanism::registry());
    server.config.service = "imap".into();
    server.config.host = "mail.example.org".into();
    let accounts: Arc<dyn Accounts> = accounts.clone();
    server.accounts = Some(accounts);
    server
}

/// A whole exchange with a server; its application is never asked.
pub fn login(mechanism: &str, server: &mut Session, authcid: &str, password: &str, authzid: Option<&str>) -> bool {
    let mut world = LocalWorld::default();
    let mut client = Session::new(Side::Client, authen_sasl_rust::mechanism::registry());
    client.config.abilities = Abilities::AUTHCID.union(Abilities::PASSWORD).union(Abilities::AUTHZID);
    client.config.service = "imap".into();
    client.config.host = "mail.example.org".into();
    client.negotiate(mechanism).expect("a client");
    if let Err(error) = server.negotiate(mechanism) {
        panic!("{mechanism}: {error}");
    }
    let answer = |question: Option<&Question>| {
        if let Some(Question::Realm { offered }) = question {
            return Answer::Text(offered.first().cloned());
        }
        let mut values = Values::default();
        values.push(Property::Authcid, Secret::new(authcid.as_bytes()));
        values.push(Property::Password, Secret::new(password.as_bytes()));
        if let Some(authzid) = authzid {
            values.push(Property::Authzid, Secret::new(authzid.as_bytes()));
        }
        Answer::Values(values)
    };
    let mut reply = client.start(None, &mut world.lend());
    let mut begun = false;
    loop {
        while reply == Outcome::Ask {
            let given = answer(client.question());
            reply = client.answer(given, &mut world.lend());
        }
        let message = (reply != Outcome::Absent).then(|| client.message().to_vec());
        let outcome = match begun {
            false => server.start(message.as_deref(), &mut world.lend()),
            true => server.step(&message.unwrap_or_default(), &mut world.lend()),
        };
        begun = true;
        if outcome != Outcome::Send || !client.need_step() {
            break;
        }
        reply = client.step(server.message(), &mut world.lend());
        if !server.need_step() {
            break;
        }
    }
    server.is_success()
}
