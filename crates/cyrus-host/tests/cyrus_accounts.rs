//! Accounts behind Debian's unmodified auxprop plugins, for our own servers.
#![cfg(hosts_plugins)]

mod cyrus;

use std::sync::{Arc, Mutex};

use authen_sasl_cyrus_host::{folders, CyrusAccounts, Log, Options};
use authen_sasl_rust::accounts::{Account, Accounts};
use authen_sasl_rust::config::Config;
use authen_sasl_rust::contract::{Abilities, Answer};
use authen_sasl_rust::error::Code;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::session::Outcome;
use authen_sasl_rust::world::LocalWorld;
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
    let table = "CREATE TABLE IF NOT EXISTS users (name TEXT, realm TEXT, userPassword TEXT, mail TEXT, secret TEXT);";
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
            ("o'hara", "quote's", true),
            ("o'hara", "quotes", false),
            ("o'hara@mail.example.org", "quote's", true),
            ("o'hara@other.example.org", "quote's", false),
            ("o\\hara", "quote's", false),
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

/// Without a realm the plugin puts the server's host for %r: as hostile as a realm, it would be a way in with the password x.
#[test]
fn a_host_is_no_piece_of_the_statement() {
    let folder = Folder::new();
    let rows = "INSERT INTO users VALUES ('fred', 'mail.example.org', 'pencil', 'fred@example.org', 'x');";
    let accounts = accounts(&lent(&sql_options(&folder, rows))).unwrap();
    let hostile = "x' UNION SELECT char(120) --";
    // DIGEST-MD5 has the host in its messages.
    for mechanism in MECHANISMS.into_iter().filter(|name| *name != "DIGEST-MD5") {
        for (host, realm, user, password, right) in [
            (hostile, None, "nobody", "x", false),
            (hostile, Some(""), "nobody", "x", false),
            (hostile, Some("mail.example.org"), "fred", "pencil", true),
            ("mail.example.org", Some(hostile), "nobody", "x", false),
            ("mail.example.org", None, "fred", "pencil", true),
        ] {
            let mut server = server(&accounts);
            server.config.host = host.into();
            server.config.set("realm", realm).unwrap();
            let entered = login(mechanism, &mut server, user, password, None);
            assert_eq!(entered, right, "{mechanism} {user} at {host} in {realm:?}: {:?}", server.failure());
        }
    }
    let mut config = Config::default();
    config.host = hostile.into();
    let account = Account { authcid: "fred", authzid: None, realm: None };
    let error = accounts.store(account, &[("userPassword", Some(&Secret::new(b"x")))], &config).unwrap_err();
    assert_eq!(error.code(), Code::BadParam, "{error}");
}

/// A statement that ignores the realm would let fred's password in under any domain.
#[test]
fn a_client_does_not_choose_its_domain() {
    let folder = Folder::new();
    let rows = "INSERT INTO users VALUES ('fred', 'mail.example.org', 'pencil', 'fred@example.org', 'x');";
    let mut options = sql_options(&folder, rows);
    for (name, value) in &mut options {
        if *name == "sql_select" {
            *value = "SELECT %p FROM users WHERE name = '%u'".into();
        }
    }
    let accounts = accounts(&lent(&options)).unwrap();
    for mechanism in MECHANISMS {
        for (user, right) in [
            ("fred", true),
            ("fred@mail.example.org", true),
            ("fred@victim.org", false),
            ("fred@", false),
            ("fred@victim.org@mail.example.org", false),
        ] {
            let mut server = server(&accounts);
            server.config.set("realm", Some("mail.example.org")).unwrap();
            let entered = login(mechanism, &mut server, user, "pencil", None);
            assert_eq!(entered, right, "{mechanism} {user}: {:?}", server.failure());
        }
    }
}

/// What a client sends may be put into a text literal, and nowhere else: not even a comment.
#[test]
fn statements_that_nothing_could_guard() {
    let folder = Folder::new();
    let place = "%u, %r and %v must stand in a text literal in single quotes ('%u')";
    for (option, statement, reason) in [
        ("sql_select", "SELECT %p FROM users /* of %u */ WHERE name = '%u'", "it has a comment"),
        ("sql_select", "SELECT %p FROM users WHERE name = %u", place),
        ("sql_select", "SELECT %p FROM users WHERE name = \"%u\"", place),
        ("sql_insert", "INSERT INTO users (name, realm, %p) VALUES ('%u', '%r', %v)", place),
        ("sql_update", "UPDATE users SET %p = '%v' WHERE name = '%u' AND realm = %r", place),
        ("sql_engine", "odbc", "sql_engine odbc: "),
    ] {
        let mut options = sql_options(&folder, "");
        options.iter_mut().filter(|(name, _)| *name == option).for_each(|(_, value)| *value = statement.into());
        let refused = refusal(&lent(&options));
        assert!(refused.contains(reason) || option == "sql_engine", "{statement}: {refused}");
        options.iter_mut().filter(|(name, _)| *name == "sql_select").for_each(|(name, _)| *name = "sql_statement");
        let refused = refusal(&lent(&options));
        assert!(refused.contains(reason) || option == "sql_engine", "by its old name: {refused}");
    }
}

#[test]
fn properties_come_along() {
    let folder = Folder::new();
    let rows = "INSERT INTO users VALUES ('fred', 'mail.example.org', 'pencil', 'fred@example.org', 'of fred');
                INSERT INTO users VALUES ('root', 'mail.example.org', 'x', 'root@example.org', 'of root');";
    let accounts = accounts(&lent(&sql_options(&folder, rows))).unwrap();
    let mut server = server(&accounts);
    server.config.abilities = Abilities::AUTHORIZE;
    server.config.set("auxprop", Some("mail *secret homeDirectory")).unwrap();
    let mut world = LocalWorld::default();
    server.negotiate("PLAIN").unwrap();
    assert_eq!(server.start(Some(b"root\0fred\0pencil"), &mut world.lend()), Outcome::Ask);
    server.answer(Answer::Verdict(true), &mut world.lend());
    assert!(server.is_success(), "{:?}", server.failure());
    let properties = server.properties().unwrap();
    // Without a star a property of the authorization identity, with one of the authentication identity.
    assert_eq!(properties.get("mail")[0].expose_str(), Some("root@example.org"));
    assert_eq!(properties.get("*secret")[0].expose_str(), Some("of fred"));
    assert!(properties.get("homeDirectory").is_empty());
}

#[test]
fn properties_are_stored() {
    let folder = Folder::new();
    let account = Account { authcid: "fred", authzid: None, realm: None };
    let mut config = Config::default();
    config.host = "mail.example.org".into();
    let rows = "INSERT INTO users VALUES ('fred', 'mail.example.org', 'pencil', 'fred@example.org', 'x');";
    let sasldb = sasldb(&folder, "mail.example.org", &[("fred", "pencil")]);
    let sql = sql_options(&folder, rows);
    for options in [lent(&sql), sasldb_options(&sasldb).to_vec()] {
        let accounts = accounts(&options).unwrap();
        let enter = |password| login("SCRAM-SHA-256", &mut server(&accounts), "fred", password, None);
        assert!(enter("pencil"));
        accounts.store(account, &[("userPassword", Some(&Secret::new(b"chalk \"x\"; --")))], &config).unwrap();
        assert!(enter("chalk \"x\"; --"), "{options:?}");
        assert!(!enter("pencil"));
    }
}

/// CVE-2022-24407: a password with quotes became a part of the statement.
#[test]
fn cve_2022_24407() {
    let folder = Folder::new();
    let rows = "INSERT INTO users VALUES ('fred', 'mail.example.org', 'pencil', 'fred@example.org', 'x');
                INSERT INTO users VALUES ('root', 'mail.example.org', 'secret', 'root@example.org', 'x');";
    let options = sql_options(&folder, rows);
    let accounts = accounts(&lent(&options)).unwrap();
    let mut config = Config::default();
    config.host = "mail.example.org".into();
    let enters = |user: &str, password: &str| login("PLAIN", &mut server(&accounts), user, password, None);
    for (user, password) in [
        ("fred", "a\\b"),
        ("fred", "x' WHERE name = 'root' --"),
        ("fred", "x'; DELETE FROM users; --"),
        ("fred' OR name = 'root", "x"),
    ] {
        let account = Account { authcid: user, authzid: None, realm: None };
        accounts.store(account, &[("userPassword", Some(&Secret::new(password.as_bytes())))], &config).unwrap();
        // This plugin adds no users to SQLite, so the last is none.
        assert_eq!(enters(user, password), user == "fred", "{user} {password}");
        assert!(enters("root", "secret"));
    }
    let account = Account { authcid: "fred", authzid: None, realm: Some("x', 'y') --") };
    let error = accounts.store(account, &[("userPassword", Some(&Secret::new(b"x")))], &config).unwrap_err();
    assert_eq!(error.code(), Code::BadParam, "{error}");
}

/// The plugin writes the text NULL for a property that is taken away: it would be the password of all who were deleted.
#[test]
fn a_password_that_is_taken_away_is_none() {
    let folder = Folder::new();
    let rows = "INSERT INTO users VALUES ('fred', 'mail.example.org', 'pencil', 'fred@example.org', 'x');
                INSERT INTO users VALUES ('o''hara', 'mail.example.org', 'pencil', 'fred@example.org', 'x');";
    let options = sql_options(&folder, rows);
    let accounts = accounts(&lent(&options)).unwrap();
    let mut config = Config::default();
    config.host = "mail.example.org".into();
    for user in ["fred", "o'hara"] {
        assert!(login("PLAIN", &mut server(&accounts), user, "pencil", None));
        accounts
            .store(Account { authcid: user, authzid: None, realm: None }, &[("userPassword", None)], &config)
            .unwrap();
        for mechanism in MECHANISMS {
            for tried in ["NULL", "pencil"] {
                let mut server = server(&accounts);
                assert!(!login(mechanism, &mut server, user, tried, None), "{mechanism} {user} '{tried}'");
                let failure = server.failure().unwrap();
                assert_eq!(failure.error.code(), Code::BadAuth, "{mechanism} '{tried}': {failure}");
            }
        }
    }
}

/// Two configurations in one process, and two plugins in one configuration.
#[test]
fn configurations_stay_apart() {
    let (one, two) = (Folder::new(), Folder::new());
    let row = |name: &str, password: &str| {
        format!("INSERT INTO users VALUES ('{name}', 'mail.example.org', '{password}', 'm', 'x');")
    };
    let first = accounts(&lent(&sql_options(&one, &row("fred", "pencil")))).unwrap();
    let second = accounts(&lent(&sql_options(&two, &row("fred", "chalk")))).unwrap();
    for (accounts, right, wrong) in [(&first, "pencil", "chalk"), (&second, "chalk", "pencil")] {
        assert!(login("SCRAM-SHA-256", &mut server(accounts), "fred", right, None));
        assert!(!login("SCRAM-SHA-256", &mut server(accounts), "fred", wrong, None));
    }

    let sasldb = sasldb(&one, "mail.example.org", &[("fred", "ink"), ("wilma", "paper")]);
    let both = sql_options(&one, "DELETE FROM users WHERE name = 'none';");
    let mut both = lent(&both);
    both.retain(|(name, _)| *name != "auxprop_plugin");
    for (order, password) in [("sql sasldb", "pencil"), ("sasldb, sql", "ink")] {
        let mut options = both.clone();
        options.extend([("auxprop_plugin", order), ("sasldb_path", &sasldb)]);
        let accounts = accounts(&options).unwrap();
        assert!(login("SCRAM-SHA-256", &mut server(&accounts), "fred", password, None), "{order}");
        assert!(login("SCRAM-SHA-256", &mut server(&accounts), "wilma", "paper", None), "{order}");
    }
}

fn refusal(options: &[(&str, &str)]) -> String {
    let error = accounts(options).expect_err("a configuration that is wrong");
    assert_eq!(error.code(), Code::ConfigErr, "{error}");
    error.to_string()
}

#[test]
fn wrong_configurations_are_told() {
    assert!(refusal(&[("pwcheck_method", "alwaystrue")]).starts_with("pwcheck_method alwaystrue: only auxprop"));
    assert_eq!(refusal(&[("pwcheck_method", " ")]), "pwcheck_method names no method");
    let absent = refusal(&[("auxprop_plugin", "sasldb nosuch")]);
    assert!(absent.contains("nosuch: there is no such file"), "{absent}");
    // The file is there, and has no auxprop plugin.
    let other = refusal(&[("auxprop_plugin", "plain")]);
    assert!(other.ends_with("plain: it has no auxprop plugin"), "{other}");
    let unset = refusal(&[("auxprop_plugin", "ldapdb")]);
    assert!(unset.contains("ldapdb: its auxprop function failed with SASL_BADPARAM"), "{unset}");
    let canon = refusal(&[("auxprop_plugin", "sasldb"), ("canon_user_plugin", "nosuch")]);
    assert!(canon.starts_with("canon_user plugin nosuch: "), "{canon}");
    let path = refusal(&[("sasldb_path", "/tmp/a\0b")]);
    assert_eq!(path, "the option sasldb_path has a NUL byte in its value");
}

#[test]
fn a_database_that_fails_is_no_wrong_password() {
    let folder = Folder::new();
    std::fs::write(folder.path("garbage"), "no database".repeat(1000)).unwrap();
    let path = folder.path("garbage");
    let accounts = accounts(&sasldb_options(&path)).unwrap();
    for mechanism in ["SCRAM-SHA-256", "PLAIN"] {
        let mut server = server(&accounts);
        assert!(!login(mechanism, &mut server, "fred", "pencil", None));
        let error = &server.failure().unwrap().error;
        assert_eq!(error.code(), Code::Unavail, "{error}");
        assert_eq!(error.to_string(), "auxprop plugin sasldb failed with SASL_FAIL: Unable to open DB");
    }
}

#[test]
fn hashed_passwords() {
    let folder = Folder::new();
    let verifier = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:\
                    wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
    let rows = format!(
        "ALTER TABLE users ADD COLUMN authPassword TEXT;
         INSERT INTO users (name, realm, authPassword) VALUES ('user', 'mail.example.org', '{verifier}');
         INSERT INTO users (name, realm, userPassword) VALUES ('user2', 'mail.example.org', '{verifier}');
         INSERT INTO users (name, realm, userPassword) VALUES ('old', 'mail.example.org', '{{SSHA}}AAAA');
         INSERT INTO users (name, realm, userPassword) VALUES ('clear', 'mail.example.org', 'pencil');
         INSERT INTO users (name, realm, authPassword, userPassword) VALUES ('twice', 'mail.example.org', '{verifier}', 'chalk');"
    );
    let sql = sql_options(&folder, &rows);
    let mut options = lent(&sql);
    let both = accounts(&options).unwrap();
    // A mechanism that has nothing to do with the verifier takes the password beside it.
    for (mechanism, password) in
        [("SCRAM-SHA-256", "pencil"), ("SCRAM-SHA-1", "chalk"), ("CRAM-MD5", "chalk"), ("DIGEST-MD5", "chalk")]
    {
        for tried in ["pencil", "chalk"] {
            let right = login(mechanism, &mut server(&both), "twice", tried, None);
            assert_eq!(right, tried == password, "{mechanism} {tried}");
        }
    }
    options[0].1 = "auxprop-hashed";
    let hashed = accounts(&options).unwrap();
    for mechanism in ["SCRAM-SHA-256", "PLAIN", "LOGIN"] {
        for accounts in [&both, &hashed] {
            for user in ["user", "user2"] {
                assert!(login(mechanism, &mut server(accounts), user, "pencil", None), "{mechanism} {user}");
                assert!(!login(mechanism, &mut server(accounts), user, "pencils", None));
                assert!(!login(mechanism, &mut server(accounts), user, verifier, None));
            }
            // The text of a hash is nobody's password.
            let mut server = server(accounts);
            assert!(!login(mechanism, &mut server, "old", "{SSHA}AAAA", None));
            let failure = server.failure().unwrap();
            // The peer sees an unknown user, the operator the reason.
            assert_eq!(failure.error.code(), Code::BadAuth, "{failure}");
            assert!(failure.to_string().contains("a hash (SSHA)"), "{failure}");
            assert!(!failure.to_string().contains("AAAA"), "{failure}");
        }
        assert!(login(mechanism, &mut server(&both), "clear", "pencil", None), "{mechanism}");
        assert!(!login(mechanism, &mut server(&hashed), "clear", "pencil", None), "{mechanism}");
    }
    for mechanism in ["CRAM-MD5", "DIGEST-MD5"] {
        let error = server(&hashed).negotiate(mechanism).unwrap_err().to_string();
        assert!(error.contains("hashed passwords only"), "{error}");
    }
}

#[test]
fn mechanisms_of_the_mech_list_only() {
    let folder = Folder::new();
    let path = sasldb(&folder, "mail.example.org", &[("fred", "pencil")]);
    let mut options = sasldb_options(&path).to_vec();
    options.push(("mech_list", "plain SCRAM-SHA-256"));
    let accounts = accounts(&options).unwrap();
    for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
        assert!(login(mechanism, &mut server(&accounts), "fred", "pencil", None));
    }
    let error = server(&accounts).negotiate("CRAM-MD5").unwrap_err().to_string();
    assert!(error.contains("mech_list"), "{error}");
}

/// Names of plugins and methods, as libsasl2 compares them.
#[test]
fn names_in_capitals() {
    let folder = Folder::new();
    let path = sasldb(&folder, "mail.example.org", &[("fred", "pencil")]);
    let options = [("pwcheck_method", "AuxProp"), ("auxprop_plugin", "SASLDB"), ("sasldb_path", &*path)];
    let accounts = accounts(&options).unwrap();
    assert!(login("SCRAM-SHA-256", &mut server(&accounts), "fred", "pencil", None));
    let refused = refusal(&[("auxprop_plugin", "SASLDB PLAIN")]);
    assert!(refused.ends_with("PLAIN: it has no auxprop plugin"), "{refused}");
}

/// What this host does not do is refused, rather than passed over.
#[test]
fn auto_transition_is_refused_by_name() {
    let folder = Folder::new();
    let path = sasldb(&folder, "mail.example.org", &[("fred", "pencil")]);
    for (value, on) in
        [("yes", true), ("1", true), ("True", true), ("on", true), ("noplain", true), ("no", false), ("0", false)]
    {
        let mut options = sasldb_options(&path).to_vec();
        options.push(("auto_transition", value));
        let made = accounts(&options);
        assert_eq!(made.is_err(), on, "{value}");
        if let Err(error) = made {
            assert!(error.code() == Code::ConfigErr && error.to_string().starts_with("auto_transition: "), "{error}");
        }
    }
}

/// Each plugin's failure is told in its own words; where it says nothing, by what it has logged.
#[test]
fn reasons_are_those_of_the_plugin() {
    let folder = Folder::new();
    let path = sasldb(&folder, "mail.example.org", &[("fred", "pencil")]);
    let mut options = vec![
        ("auxprop_plugin", "sasldb sql"),
        ("sasldb_path", &*path),
        ("sql_engine", "pgsql"),
        ("sql_hostnames", "127.0.0.1:1"),
        ("sql_user", "x"),
        ("sql_database", "x"),
        ("sql_select", "SELECT 'x'"),
    ];
    let mut server = server(&accounts(&options).unwrap());
    assert!(!login("SCRAM-SHA-256", &mut server, "nobody", "pencil", None));
    let failure = server.failure().unwrap().to_string();
    assert!(failure.contains("auxprop plugin sql failed with SASL_FAIL: ") && failure.contains("connect"), "{failure}");
    assert!(!failure.contains("user not found"), "the words of sasldb: {failure}");

    options.retain(|(name, _)| *name != "sql_select");
    options[0].1 = "sql";
    let refused = refusal(&options);
    let reason = "sql: its auxprop function failed with SASL_NOMECH: sql_select option missing";
    assert!(refused.ends_with(reason), "{refused}");
}

#[test]
fn methods_are_tried_in_order() {
    let folder = Folder::new();
    let (path, socket) = (sasldb(&folder, "mail.example.org", &[("fred", "pencil")]), folder.path("mux"));
    let mut options = sasldb_options(&path).to_vec();
    options.push(("saslauthd_path", &socket));
    for order in ["saslauthd auxprop", "auxprop saslauthd"] {
        options[0].1 = order;
        let accounts = accounts(&options).unwrap();
        assert!(login("PLAIN", &mut server(&accounts), "fred", "pencil", None), "{order}");
        assert!(login("SCRAM-SHA-256", &mut server(&accounts), "fred", "pencil", None), "{order}");
        // The daemon that is not there might have said yes.
        let mut server = server(&accounts);
        assert!(!login("PLAIN", &mut server, "fred", "pencils", None));
        assert_eq!(server.failure().unwrap().error.code(), Code::Unavail, "{order}: {}", server.failure().unwrap());
    }
    options[0].1 = "saslauthd";
    options.remove(1);
    let error = server(&accounts(&options).unwrap()).negotiate("SCRAM-SHA-256").unwrap_err().to_string();
    assert!(error.contains("there is no stored secret"), "{error}");
}

#[test]
fn log_lines_have_a_level_and_no_secret() {
    let folder = Folder::new();
    let sql = sql_options(&folder, "INSERT INTO users VALUES ('fred', 'mail.example.org', 'pencil', 'm', 'x');");
    for (level, expected) in [("0", false), ("6", true)] {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let mut options = Options::default();
        for (name, value) in lent(&sql).into_iter().chain([("sql_verbose", "yes"), ("log_level", level)]) {
            options.set(name, value).unwrap();
        }
        let kept = Arc::clone(&lines);
        let log: Log = Arc::new(move |level, line| kept.lock().unwrap().push((level, line.to_owned())));
        let accounts = Arc::new(CyrusAccounts::new(&folders(None), options, Some(log)).unwrap());
        assert!(login("SCRAM-SHA-256", &mut server(&accounts), "fred", "pencil", None));
        let lines = lines.lock().unwrap();
        assert_eq!(!lines.is_empty(), expected, "{lines:?}");
        for (level, line) in lines.iter() {
            assert!((1..=6).contains(level) && !line.contains("pencil"), "{level} {line}");
        }
    }
}
