//! Many look-ups by Debian's plugins: from eight threads at once, and ten thousand in a row. The process must not grow, so
//! nothing else runs in it.
#![cfg(hosts_plugins)]

mod cyrus;

use authen_sasl_rust::accounts::Accounts;
use authen_sasl_rust::config::Config;
use authen_sasl_rust::contract::{Answer, CredentialKind, Question};
use cyrus::{accounts, login, run, sasldb, server, Folder};

/// Memory of this process, in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("the status of this process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").trim().parse().expect("a number")
}

#[test]
fn many_look_ups() {
    let folder = Folder::new();
    let path = sasldb(&folder, "mail.example.org", &[("fred", "pencil")]);
    let table = folder.path("users.sqlite");
    let statements = "CREATE TABLE users (name TEXT, userPassword TEXT); INSERT INTO users VALUES ('wilma', 'chalk');";
    run("sqlite3", &[&table], statements);
    let accounts = accounts(&[
        ("auxprop_plugin", "sasldb sql"),
        ("sasldb_path", &path),
        ("sql_engine", "sqlite3"),
        ("sql_database", &table),
        ("sql_select", "SELECT %p FROM users WHERE name = '%u'"),
    ])
    .expect("accounts");

    std::thread::scope(|scope| {
        for thread in 0..8 {
            let accounts = &accounts;
            scope.spawn(move || {
                for turn in 0..50 {
                    let (user, right, wrong) = if (thread + turn) % 2 == 0 {
                        ("fred", "pencil", "chalk")
                    } else {
                        ("wilma", "chalk", "pencil")
                    };
                    let mechanism = ["SCRAM-SHA-256", "CRAM-MD5", "PLAIN"][turn % 3];
                    assert!(login(mechanism, &mut server(accounts), user, right, None), "{thread} {turn}");
                    assert!(!login(mechanism, &mut server(accounts), user, wrong, None), "{thread} {turn}");
                }
            });
        }
    });

    let mut config = Config::default();
    config.host = "mail.example.org".into();
    let mut look_up = |turn: usize| {
        let (authcid, password) = [("fred", Some("pencil")), ("wilma", Some("chalk")), ("barney", None)][turn % 3];
        let question = Question::Credentials {
            kind: CredentialKind::Comparable,
            authcid: authcid.into(),
            authzid: None,
            realm: None,
        };
        match accounts.answer(&question, &config) {
            Ok(Answer::Credential(found)) => {
                assert_eq!(found.as_ref().and_then(|found| found.expose_str()), password);
            }
            other => panic!("{other:?}"),
        }
    };
    (0..1000).for_each(&mut look_up);
    let before = resident();
    (0..10_000).for_each(&mut look_up);
    let after = resident();
    assert!(after < before + 512, "it grew from {before} to {after} KiB");
}
