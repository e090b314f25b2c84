//! Accounts behind Debian's unmodified auxprop plugins, for our own servers.

mod cyrus;

use authen_sasl_rust::error::Code;
use cyrus::{accounts, login, run, sasldb, server, Folder, MECHANISMS};

fn sasldb_options(path: &str) -> [(&'static str, &str); 3] {
    [("pwcheck_method", "auxprop"), ("auxprop_plugin", "sasldb"), ("sasldb_path", path)]
}

#[test]
fn users_of_saslpasswd2_log_in() {
    let folder = Folder::new();
    let path = sasldb(&folder, "mail.example.org", &[("fred", "pencil"), ("wilma", "P\u{e4}ss'word\"; --")]);
    let accounts = accounts(&sasldb_options(&path)).unwrap();
    for mechanism in MECHANISMS {
        for (user, password, right) in [
            ("fred", "pencil", true),
            ("wilma", "P\u{e4}ss'word\"; --", true),
            ("fred", "pencils", false),
            ("fred", "P\u{e4}ss'word\"; --", false),
            ("barney", "pencil", false),
        ] {
            let mut server = server(&accounts);
            assert_eq!(
                login(mechanism, &mut server, user, password, None),
                right,
                "{mechanism} {user}: {:?}",
                server.failure()
            );
            if !right {
                let failure = server.failure().unwrap();
                assert_eq!(failure.error.code(), Code::BadAuth, "{mechanism}: {failure}");
            }
        }
    }
}

/// A database of sqlite3 with a table of users, and the options for it.
fn sql_options(folder: &Folder, rows: &str) -> Vec<(&'static str, String)> {
    let path = folder.path("users.sqlite");
    let table = "CREATE TABLE users (name TEXT, realm TEXT, userPassword TEXT, mail TEXT, secret TEXT);";
    run("sqlite3", &[&path], &format!("{table}\n{rows}\n"));
    let update = "UPDATE users SET %p = '%v' WHERE name = '%u' AND realm = '%r'";
    let insert = "INSERT INTO users (name, realm, %p) VALUES ('%u', '%r', '%v')";
    [
        ("pwcheck_method", "auxprop".into()),
        ("auxprop_plugin", "sql".into()),
        ("sql_engine", "sqlite3".into()),
        ("sql_database", path),
        ("sql_select", "SELECT %p FROM users WHERE name = '%u' AND realm = '%r'".into()),
        ("sql_update", update.into()),
        ("sql_insert", insert.into()),
    ]
    .into()
}

fn lent<'a>(options: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    options.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[test]
fn users_of_an_sql_table_log_in() {
    let folder = Folder::new();
    let rows = "INSERT INTO users VALUES ('fred', 'mail.example.org', 'pencil', 'fred@example.org', 'x');
                INSERT INTO users VALUES ('fred', 'other.example.org', 'chalk', 'other@example.org', 'x');
                INSERT INTO users VALUES ('o''hara', 'mail.example.org', 'quote''s', 'o@example.org', 'x');";
    let options = sql_options(&folder, rows);
    let accounts = accounts(&lent(&options)).unwrap();
    for mechanism in MECHANISMS {
        for (user, password, right) in [
            ("fred", "pencil", true),
            ("fred", "chalk", false),
            ("barney", "pencil", false),
            ("fred' OR '1'='1", "pencil", false),
            // The plugin makes \' of a quote, which ends a text in SQLite: this would be a way in with the password x.
            ("x' UNION SELECT char(120) --", "x", false),
            ("fred@mail.example.org' UNION SELECT char(120) --", "x", false),
        ] {
            let mut server = server(&accounts);
            let entered = login(mechanism, &mut server, user, password, None);
            assert_eq!(entered, right, "{mechanism} {user}: {:?}", server.failure());
        }
        let mut server = server(&accounts);
        assert!(login(mechanism, &mut server, "fred@other.example.org", "chalk", None), "{:?}", server.failure());
    }
}
