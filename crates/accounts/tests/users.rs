//! The users' file on a disk: who may have it, many writers, and servers that read it meanwhile.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

use authen_sasl_accounts::users::{Expected, NewPassword, UsersFile};
use authen_sasl_rust::contract::{Abilities, Answer, Property, Side, Values};
use authen_sasl_rust::crypto::hash::Hash;
use authen_sasl_rust::crypto::scram::Strength;
use authen_sasl_rust::error::Code;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::session::{Outcome, Session};
use authen_sasl_rust::store::verifier::{Verifier, VerifierFormat};
use authen_sasl_rust::world::LocalWorld;

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("users-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a folder");
        Folder(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("users")
    }

    fn users(&self) -> UsersFile {
        UsersFile::new(&self.file()).expect("a name")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn set(users: &UsersFile, name: &str, password: &str, expected: Expected) -> Result<(), (Code, String)> {
    let new = NewPassword { password: &Secret::new(password.as_bytes()), mechanisms: None, iterations: None };
    users.set_password(name, &new, expected).map_err(|error| (error.code(), error.to_string()))
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).expect("the file")
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
}

/// A whole exchange; its server's application has no callbacks. Gives the server.
fn login(users: &Arc<UsersFile>, mechanism: &str, name: &str, password: &str) -> Session {
    let (mut ours, mut theirs) = (LocalWorld::default(), LocalWorld::default());
    let (mut client, mut server) = (
        Session::new(Side::Client, authen_sasl_rust::mechanism::registry()),
        Session::new(Side::Server, authen_sasl_rust::mechanism::registry()),
    );
    client.config.abilities = Abilities::AUTHCID.union(Abilities::PASSWORD);
    client.negotiate(mechanism).expect("a client");
    server.accounts = Some(users.clone());
    server.negotiate(mechanism).expect("a server");
    assert_eq!(client.start(None, &mut theirs.lend()), Outcome::Ask);
    let mut values = Values::default();
    values.push(Property::Authcid, Secret::new(name.as_bytes()));
    values.push(Property::Password, Secret::new(password.as_bytes()));
    client.answer(Answer::Values(values), &mut theirs.lend());
    let mut outcome = server.start(Some(client.message()), &mut ours.lend());
    while server.need_step() {
        assert_eq!(outcome, Outcome::Send);
        client.step(server.message(), &mut theirs.lend());
        outcome = server.step(client.message(), &mut ours.lend());
    }
    server
}

#[test]
fn a_server_without_callbacks_lets_users_in() {
    let folder = Folder::new();
    let users = Arc::new(folder.users());
    set(&users, "J\u{fc}rgen\u{2168}", "pencil", Expected::New).expect("a user");
    set(&users, "eve", "other", Expected::New).expect("a user");
    for mechanism in ["SCRAM-SHA-256", "PLAIN"] {
        for name in ["J\u{fc}rgenIX", "Ju\u{308}rgen\u{2168}"] {
            let server = login(&users, mechanism, name, "pencil");
            assert!(server.is_success(), "{mechanism} {name}: {:?}", server.failure());
            assert_eq!(server.identity().authcid.as_deref(), Some("J\u{fc}rgenIX"), "{mechanism}");
        }
        let texts: Vec<String> = [("eve", "pencil"), ("nobody", "pencil"), ("no:body", "pencil")]
            .into_iter()
            .map(|(name, password)| login(&users, mechanism, name, password).failure().expect("no").to_string())
            .collect();
        assert!(texts[0].contains("wrong password or unknown user"), "{}", texts[0]);
        assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
    }
    users.disable("eve", true).expect("it is there");
    let disabled = login(&users, "PLAIN", "eve", "other").failure().expect("no").to_string();
    assert!(disabled.contains("the user is disabled (the client is answered as for a wrong password)"), "{disabled}");
    users.disable("eve", false).expect("it is there");
    assert!(login(&users, "PLAIN", "eve", "other").is_success());
}

#[test]
fn servers_see_each_change() {
    let folder = Folder::new();
    let (users, other) = (Arc::new(folder.users()), folder.users());
    set(&other, "fred", "one", Expected::New).expect("a user");
    for password in ["two", "one", "two", "one"] {
        assert!(!login(&users, "SCRAM-SHA-256", "fred", password).is_success() || password == "one");
        set(&other, "fred", password, Expected::Known).expect("a change");
        assert!(login(&users, "SCRAM-SHA-256", "fred", password).is_success(), "{password}");
    }
    // By hand, and of the same length.
    let hidden = text(&folder.file()).replacen("fred:", "anna:", 1);
    fs::write(folder.file(), hidden).expect("a file");
    assert!(!login(&users, "SCRAM-SHA-256", "fred", "one").is_success());
    assert!(login(&users, "SCRAM-SHA-256", "anna", "one").is_success());
    other.delete("anna").expect("it is there");
    let mut server = Session::new(Side::Server, authen_sasl_rust::mechanism::registry());
    server.accounts = Some(users);
    let none = server.negotiate("SCRAM-SHA-256").expect_err("nobody is left").to_string();
    assert!(none.contains("SCRAM-SHA-256: no user has a SCRAM-SHA-256 verifier"), "{none}");
}

#[test]
fn a_stronger_verifier_replaces_no_password_that_was_set_meanwhile() {
    let folder = Folder::new();
    let users = folder.users();
    let stored = || {
        let text = text(&folder.file());
        Secret::new(text.lines().find_map(|line| line.strip_prefix("fred:")).expect("fred").as_bytes())
    };
    let upgrade = |name: &str, password: &[u8], stored: &Secret| {
        let wanted = Strength { hash: Hash::Sha512, iterations: 4096 };
        users.upgrade(name, &Secret::new(password), stored, wanted)
    };
    set(&users, "fred", "pencil", Expected::New).expect("a user");
    let old = stored();
    set(&users, "fred", "crayon", Expected::Known).expect("another password");
    let before = text(&folder.file());
    assert_eq!(upgrade("fred", b"pencil", &old), Ok(false));
    assert_eq!(upgrade("eve", b"pencil", &old), Ok(false));
    assert_eq!(text(&folder.file()), before);
    let current = stored();
    assert_eq!(upgrade("fred", b"crayon", &current), Ok(true));
    let after = text(&folder.file());
    assert!(after.starts_with(&before) && after[before.len()..].starts_with("fred:SCRAM-SHA-512$4096:"), "{after}");
    assert_eq!(upgrade("fred", b"crayon", &current), Ok(false));
    assert_eq!(text(&folder.file()), after);
    users.disable("fred", true).expect("it is there");
    let wanted = Strength { hash: Hash::Sha3_512, iterations: 4096 };
    assert_eq!(users.upgrade("fred", &Secret::new(b"crayon"), &current, wanted), Ok(false));
}

/// As above, with a verifier that was derived elsewhere.
#[test]
fn a_verifier_is_set_only_in_place_of_the_one_that_was_proved() {
    let folder = Folder::new();
    let users = folder.users();
    let verifier = |hash, iterations| {
        let made = Verifier::make(hash, "pencil", b"0123456789abcdef", iterations).expect("a verifier");
        Secret::from(made.print(VerifierFormat::Rfc5803))
    };
    let stronger = verifier(Hash::Sha512, 4096);
    set(&users, "fred", "pencil", Expected::New).expect("a user");
    let before = text(&folder.file());
    let stored = before.lines().find_map(|line| line.strip_prefix("fred:")).expect("fred");
    let stored = Secret::new(stored.as_bytes());
    assert_eq!(users.set_stronger("fred", &stronger, &verifier(Hash::Sha256, 4096)), Ok(false));
    assert_eq!(users.set_stronger("eve", &stronger, &stored), Ok(false));
    assert_eq!(users.set_stronger("fred", &verifier(Hash::Sha1, 4096), &stored), Ok(false));
    assert!(users.set_stronger("fred", &Secret::new(b"pencil"), &stored).is_err());
    assert_eq!(text(&folder.file()), before);
    assert_eq!(users.set_stronger("fred", &stronger, &stored), Ok(true));
    assert_eq!(text(&folder.file()), format!("{before}fred:{}\n", stronger.expose_str().expect("text")));
    assert_eq!(users.set_stronger("fred", &stronger, &stored), Ok(false));
    users.disable("fred", true).expect("it is there");
    assert_eq!(users.set_stronger("fred", &verifier(Hash::Sha512, 5000), &stored), Ok(false));
}

#[test]
fn a_change_keeps_what_the_user_had() {
    let folder = Folder::new();
    let users = folder.users();
    let new = |password: &'static [u8], mechanisms, iterations| {
        let password = Secret::new(password);
        users.set_password("fred", &NewPassword { password: &password, mechanisms, iterations }, Expected::Either)
    };
    new(b"pencil", Some("SCRAM-SHA-512-PLUS scram-sha-1,SCRAM-SHA-512"), Some(5000)).expect("a user");
    let keys = || {
        users.users().unwrap().find("fred").unwrap().keys.iter().map(|key| (key.0.name(), key.1)).collect::<Vec<_>>()
    };
    assert_eq!(keys(), [("SHA-512", 5000), ("SHA-1", 5000)]);
    users.disable("fred", true).expect("it is there");
    new(b"crayon", None, None).expect("a change");
    assert_eq!(keys(), [("SHA-512", 5000), ("SHA-1", 5000)]);
    assert!(users.users().unwrap().find("fred").unwrap().disabled);
    new(b"crayon", Some("SCRAM-SHA-256"), None).expect("a change");
    assert_eq!(keys(), [("SHA-256", 5000)]);
    for (mechanisms, iterations) in
        [(Some("PLAIN"), None), (Some(" "), None), (None, Some(4095)), (None, Some(100_000_001))]
    {
        let error = new(b"x", mechanisms, iterations).expect_err("it cannot be").to_string();
        assert!(error.starts_with("mechanism: ") || error.starts_with("iterations: "), "{error}");
    }
    for password in [&b""[..], b"\x07", b"\xff", "\u{ad}".as_bytes()] {
        let password = Secret::new(password);
        let new = NewPassword { password: &password, mechanisms: None, iterations: None };
        let error = users.set_password("fred", &new, Expected::Either).expect_err("no password").to_string();
        assert!(error.starts_with("the password "), "{error}");
    }
    assert_eq!(keys(), [("SHA-256", 5000)]);
}

#[test]
fn users_are_as_expected_or_nothing_changes() {
    let folder = Folder::new();
    let users = folder.users();
    let no_file = set(&users, "fred", "x", Expected::Known).expect_err("there is no file");
    assert!(no_file.1.contains("users: No such file"), "{}", no_file.1);
    assert!(!folder.file().exists());
    set(&users, "fred", "x", Expected::New).expect("a user");
    let before = text(&folder.file());
    assert_eq!(set(&users, "fred", "x", Expected::New).unwrap_err().0, Code::NoChange);
    assert_eq!(set(&users, "anna", "x", Expected::Known).unwrap_err().0, Code::NoUser);
    assert_eq!(users.delete("anna").unwrap_err().code(), Code::NoUser);
    assert_eq!(users.disable("anna", true).unwrap_err().code(), Code::NoUser);
    for name in ["", "a:b", "a\nb", "a\0b", "#a", &"x".repeat(1 << 20)] {
        assert_eq!(set(&users, name, "x", Expected::Either).unwrap_err().0, Code::BadParam);
        assert_eq!(users.delete(name).unwrap_err().code(), Code::BadParam);
        assert_eq!(users.disable(name, true).unwrap_err().code(), Code::BadParam);
    }
    assert_eq!(text(&folder.file()), before);
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 2, "nothing else is left in the folder but the lock");
    assert_eq!(fs::metadata(folder.file()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_others_can_touch_is_refused() {
    let folder = Folder::new();
    let (users, path) = (folder.users(), folder.file());
    set(&users, "fred", "x", Expected::New).expect("a user");
    users.users().expect("it is good");
    for (bits, good) in [(0o604, false), (0o602, false), (0o620, false), (0o601, false), (0o640, true), (0o600, true)] {
        mode(&path, bits);
        match users.users() {
            Ok(_) => assert!(good, "{bits:o}"),
            Err(error) => {
                assert!(!good && error.to_string().contains("others can read or write it"), "{bits:o} {error}")
            }
        }
        assert_eq!(set(&users, "fred", "x", Expected::Known).is_ok(), good, "{bits:o}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, bits, "a change keeps the mode");
    }
}

#[test]
fn what_is_no_file_of_ours_is_refused() {
    let folder = Folder::new();
    let target = folder.0.join("target");
    let users = folder.users();
    let refused = |word: &str| {
        for error in
            [users.users().err().map(|e| e.to_string()), set(&users, "fred", "x", Expected::Either).err().map(|e| e.1)]
        {
            let error = error.expect("it is refused");
            assert!(error.starts_with("users file /") && error.contains(word), "{error}");
        }
    };
    symlink(folder.0.join("nothing"), folder.file()).unwrap();
    assert!(users.users().unwrap_err().to_string().contains("No such file"));
    assert!(set(&users, "fred", "x", Expected::Either).unwrap_err().1.contains("it is a symbolic link"));
    assert!(!folder.0.join("nothing").exists());
    fs::remove_file(folder.file()).unwrap();
    // Behind a link it is the file that counts.
    fs::write(&target, "").unwrap();
    mode(&target, 0o644);
    symlink(&target, folder.file()).unwrap();
    assert!(users.users().unwrap_err().to_string().contains("others can read or write it"));
    fs::remove_file(folder.file()).unwrap();
    fs::create_dir(folder.file()).unwrap();
    assert!(users.users().unwrap_err().to_string().contains("not a regular file"));
    assert!(set(&users, "fred", "x", Expected::Either).is_err());
    fs::remove_dir(folder.file()).unwrap();
    // Nobody writes to this pipe: opening it must not wait.
    rustix::fs::mknodat(rustix::fs::CWD, folder.file(), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    refused("not a regular file");
    fs::remove_file(folder.file()).unwrap();
    fs::write(folder.file(), "fred:pencil\n").unwrap();
    mode(&folder.file(), 0o600);
    refused("line 1: a verifier was expected");
    let sparse = fs::File::create(folder.file()).unwrap();
    sparse.set_len((64 << 20) + 1).unwrap();
    refused("longer than 64 MiB");
    if rustix::process::geteuid().is_root() {
        fs::write(folder.file(), "").unwrap();
        std::os::unix::fs::chown(folder.file(), Some(65534), None).unwrap();
        refused("it belongs neither");
    }
}

/// As Kubernetes lays out a Secret: a link to a link to a folder, of which a change makes another one.
#[test]
fn a_file_behind_symbolic_links_is_read() {
    let folder = Folder::new();
    let version = |name: &str, user: &str| {
        let within = folder.0.join(name);
        fs::create_dir(&within).unwrap();
        let users = UsersFile::new(&within.join("users")).expect("a path");
        set(&users, user, "x", Expected::New).expect("a user");
        mode(&within.join("users"), 0o440);
        let (next, data) = (folder.0.join("..data_tmp"), folder.0.join("..data"));
        symlink(name, &next).unwrap();
        fs::rename(next, data).unwrap();
    };
    version("..1", "fred");
    symlink("..data/users", folder.file()).unwrap();
    let users = folder.users();
    assert!(users.users().expect("it is read").find("fred").is_some());
    version("..2", "anna");
    assert!(users.users().expect("the new one").find("anna").is_some());
    let (code, error) = set(&users, "fred", "x", Expected::Either).expect_err("a change would replace the link");
    assert_eq!(code, Code::ConfigErr);
    assert!(error.contains("it is a symbolic link"), "{error}");
    assert!(fs::symlink_metadata(folder.file()).unwrap().is_symlink());
}

#[test]
fn many_writers_lose_nothing() {
    let folder = Folder::new();
    set(&folder.users(), "first", "x", Expected::New).expect("a user");
    std::thread::scope(|scope| {
        for writer in 0..20 {
            let users = folder.users();
            scope.spawn(move || {
                for user in 0..3 {
                    set(&users, &format!("user-{writer}-{user}"), "x", Expected::New).expect("a user");
                }
                users.delete(&format!("user-{writer}-0")).expect("it is there");
                users.disable(&format!("user-{writer}-1"), true).expect("it is there");
            });
        }
        let users = folder.users();
        scope.spawn(move || {
            for _ in 0..200 {
                assert!(users.users().expect("always a whole file").find("first").is_some());
            }
        });
    });
    let users = folder.users().users().unwrap();
    assert_eq!(users.count(), 41);
    assert_eq!(users.list().iter().filter(|user| user.disabled).count(), 20);
    // The users' file and its lock.
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 2);
}

/// None of them takes another's new file for one that it cannot read.
#[test]
fn writers_may_make_the_file_at_the_same_time() {
    for _ in 0..50 {
        let folder = Folder::new();
        let start = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let (users, start) = (folder.users(), &start);
                scope.spawn(move || {
                    start.wait();
                    set(&users, &format!("user-{writer}"), "x", Expected::New).expect("a user");
                });
            }
        });
        assert_eq!(folder.users().users().unwrap().count(), 8);
    }
}

#[test]
fn what_a_killed_writer_left_is_taken_away() {
    let folder = Folder::new();
    fs::write(folder.0.join(".users.new"), "half a li").unwrap();
    set(&folder.users(), "fred", "x", Expected::New).expect("a user");
    // The users' file and its lock.
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 2);
    // A link in its place is taken away, not followed.
    let precious = folder.0.join("precious");
    fs::write(&precious, "precious").unwrap();
    symlink(&precious, folder.0.join(".users.new")).unwrap();
    set(&folder.users(), "anna", "x", Expected::New).expect("a user");
    assert_eq!(text(&precious), "precious");
}

#[test]
fn a_lock_that_stays_is_reported() {
    let folder = Folder::new();
    let users = folder.users();
    set(&users, "fred", "x", Expected::New).expect("a user");
    let file = fs::File::open(folder.0.join(".users.lock")).unwrap();
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let (code, error) = set(&users, "fred", "y", Expected::Known).expect_err("it is locked");
    assert_eq!(code, Code::TryAgain);
    assert!(error.contains("another program keeps it locked"), "{error}");
    users.users().expect("readers need no lock");
}

#[test]
fn a_relative_name_stays_where_it_was() {
    let users = UsersFile::new(Path::new("no/such/file")).expect("a name");
    let here = std::env::current_dir().unwrap();
    let error = users.users().expect_err("there is none").to_string();
    assert!(error.contains(here.to_str().unwrap()), "{error}");
    assert!(UsersFile::new(Path::new("")).is_err());
}
