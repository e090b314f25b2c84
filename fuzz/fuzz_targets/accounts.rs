//! The account functions of the C surface, on a users' file, a sasldb and files of configuration, which the input writes and damages.
#![no_main]
#![allow(missing_docs, unsafe_code)]

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use authen_sasl_accounts::users::stored_name;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::check::check_password;
use authen_sasl_rust::store::verifier::Verifier;
use authen_sasl_rust::world::LookupMemory;
use authen_sasl_rust_fuzz::accounts::*;
use authen_sasl_rust_fuzz::chain::{self, Chain};
use authen_sasl_rust_fuzz::cyrus::{self, Sasldb};
use authen_sasl_rust_fuzz::input::Input;
use authen_sasl_rust_fuzz::surface::*;

/// Maximum number of calls per input: most of them derive keys.
const CALLS: usize = 12;
/// More iterations in a users' file would take too long.
const MAX_ITERATIONS: u32 = 8192;
const MECHANISMS: [Option<&str>; 6] = [
    None,
    Some("SCRAM-SHA-256"),
    Some("scram-sha-1,SCRAM-SHA-1-PLUS SCRAM-SHA-256"),
    Some("SCRAM-SHA-512"),
    Some("PLAIN"),
    Some(""),
];
const UPGRADES: [Option<&str>; 3] = [None, Some("SCRAM-SHA-1 4097"), Some("SCRAM-SHA-256 4096")];
/// What the harness knows of a user.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    /// `None` for a user of a file that the input has written.
    password: Option<Vec<u8>>,
    disabled: bool,
    /// Whether the user has verifiers, or only a chain.
    has_keys: bool,
    chain: Option<Chain>,
}

type Model = BTreeMap<String, Known>;
/// A user as the C surface lists it: the name, whether disabled, mechanisms with their counts.
type Listed = (String, bool, Vec<(String, u32)>);

struct Program {
    folder: PathBuf,
    /// Two programs that use the same file.
    stores: [Accounts; 2],
    /// What is in the file. `None`: it cannot be used.
    model: Option<Model>,
    sasldb: Sasldb,
}

impl Program {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = place.join(format!("fuzz-accounts-{}", std::process::id()));
        fs::create_dir(&folder).expect("a new folder");
        let stores = [(); 2].map(|()| open(&folder.join("users")));
        Program { folder, stores, model: None, sasldb: Sasldb::default() }
    }

    fn file(&self) -> PathBuf {
        self.folder.join("users")
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.file()).unwrap_or_default()
    }

    fn call(&mut self, input: &mut Input<'_>) {
        let (what, which) = (input.byte(), usize::from(input.byte() & 1));
        let store = self.stores[which];
        match what % 16 {
            0 => {
                let (mode, content) = (input.byte(), input.long());
                self.write(content, mode);
            }
            1 => self.damage(input),
            2..=4 => self.set(which, input),
            5 | 6 => self.check(which, input),
            7 => {
                let name = name(input);
                // SAFETY: the accounts are alive, and slices are valid for each call.
                let deleted = unsafe { asr_accounts_delete(store, Slice::of(name.as_deref())) };
                self.changed(store, deleted, name, |model, name| model.remove(name).is_some());
            }
            8 => {
                let (name, disabled) = (name(input), input.byte() & 1 == 1);
                // SAFETY: as above.
                let done = unsafe { asr_accounts_disable(store, Slice::of(name.as_deref()), disabled.into()) };
                self.changed(store, done, name, |model, name| {
                    model.get_mut(name).map(|user| user.disabled = disabled).is_some()
                });
            }
            9 | 10 => self.login(which, input),
            11 => {
                // SAFETY: it is freed once, and replaced.
                unsafe { asr_accounts_free(store) };
                self.stores[which] = open(&self.file());
            }
            12 => cyrus::saslauthd(&self.folder, input),
            13 => cyrus::configuration(&self.folder, input),
            14 => self.sasldb.call(&self.folder, input),
            _ => self.one_time(which, input),
        }
        for store in self.stores {
            self.compare(store);
        }
    }

    /// Replaces the file as another program would, and learns what is in it.
    fn write(&mut self, content: Option<&[u8]>, mode: u8) {
        let Some(content) = content else {
            let _ = fs::remove_file(self.file());
            self.model = None;
            return;
        };
        let new = self.folder.join("new");
        let readable_by_all = mode & 7 == 7;
        fs::write(&new, content).expect("a file");
        fs::set_permissions(&new, Permissions::from_mode(if readable_by_all { 0o644 } else { 0o600 })).expect("a mode");
        fs::rename(new, self.file()).expect("a file");
        let listed = self.listed(self.stores[0]);
        self.model = listed.map(|users| {
            let known = |disabled, keys: Vec<(String, u32)>| {
                let chain = left(&keys).map(|left| Chain { left, secret: None, locked: false });
                Known { password: None, disabled, has_keys: keys.len() > usize::from(chain.is_some()), chain }
            };
            users.into_iter().map(|(name, disabled, keys)| (name, known(disabled, keys))).collect()
        });
        assert!(!readable_by_all || self.model.is_none(), "a file that all can read is used");
        let too_slow = self.listed(self.stores[0]).is_some_and(|users| {
            users.len() > 50 || users.iter().flat_map(|user| &user.2).any(|(_, count)| *count > MAX_ITERATIONS)
        });
        if too_slow {
            self.write(Some(b""), 0);
        }
    }

    fn damage(&mut self, input: &mut Input<'_>) {
        let mut bytes = self.bytes();
        let at = input.short() % (bytes.len() + 1);
        match input.byte() {
            0 => bytes.truncate(at),
            byte if byte & 1 == 1 => bytes.insert(at, byte >> 1),
            byte => {
                if let Some(old) = bytes.get_mut(at) {
                    *old ^= byte;
                }
            }
        }
        self.write(Some(&bytes), 0);
    }

    /// The users as the C surface lists them.
    fn listed(&self, store: Accounts) -> Option<Vec<Listed>> {
        // SAFETY: the accounts are alive, and what is lent is copied at once.
        let (text, error) = unsafe { (asr_accounts_list(store).text(), asr_accounts_error(store).text()) };
        assert_eq!(text.is_none(), error.is_some());
        error.iter().for_each(|error| check_text(error));
        let user = |line: &str| {
            let mut fields = line.split('\t');
            let (name, disabled) = (fields.next().expect("a name").to_owned(), fields.next() == Some("1"));
            let words: Vec<&str> = fields.collect();
            let keys = words.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].parse().expect("a count")));
            (name, disabled, keys.collect())
        };
        Some(text?.split_terminator('\n').map(user).collect())
    }

    /// Each program finds the users of the model in the file.
    fn compare(&self, store: Accounts) {
        let listed = self.listed(store).map(|users| {
            users.into_iter().map(|(name, disabled, keys)| (name, (disabled, left(&keys)))).collect::<BTreeMap<_, _>>()
        });
        let expected = self.model.as_ref().map(|model| {
            let left = |user: &Known| user.chain.as_ref().map(|chain| chain.left);
            model.iter().map(|(name, user)| (name.clone(), (user.disabled, left(user)))).collect::<BTreeMap<_, _>>()
        });
        assert_eq!(listed, expected);
    }

    /// Checks the result of a change of one user: it succeeds if the user exists.
    fn changed(
        &mut self,
        store: Accounts,
        done: i32,
        name: Option<Vec<u8>>,
        change: impl FnOnce(&mut Model, &str) -> bool,
    ) {
        self.verdict(store, done);
        assert_ne!(done, 0);
        let Some(model) = &mut self.model else {
            assert_eq!(done, -1, "a file that cannot be used was changed");
            return;
        };
        let name = String::from_utf8(name.unwrap_or_default()).ok().and_then(|name| stored_name(&name).ok());
        let found = name.is_some_and(|name| model.contains_key(&name) && change(model, &name));
        assert_eq!(done == 1, found, "a user is changed if there is one");
    }

    fn verdict(&self, store: Accounts, verdict: i32) {
        // SAFETY: the accounts are alive.
        unsafe { check_verdict(store, verdict) };
    }

    fn set(&mut self, which: usize, input: &mut Input<'_>) {
        let (name, password, choice) = (name(input), password(input), input.byte());
        let mechanisms = MECHANISMS[usize::from(choice) % MECHANISMS.len()];
        let iterations = *input.choose(&[0, 4096, 4097, 1, u32::MAX]);
        let expected = i32::from(input.byte() % 3);
        let (before, store) = (self.bytes(), self.stores[which]);
        // SAFETY: as in `call`.
        let set = unsafe {
            let mechanisms = Slice::of(mechanisms.map(str::as_bytes));
            asr_accounts_set(
                store,
                Slice::of(name.as_deref()),
                Slice::of(Some(&password)),
                mechanisms,
                iterations,
                expected,
            )
        };
        self.verdict(store, set);
        let named = String::from_utf8(name.clone().unwrap_or_default()).ok().and_then(|name| stored_name(&name).ok());
        let usable = self.model.is_some() || before.is_empty() && !self.file().exists() || set == 1;
        if set == -1 {
            assert_eq!(before, self.bytes(), "a failure that changes the file");
            if self.model.is_none() && self.file().exists() {
                // It was created, and is empty.
                self.model = self.listed(store).map(|_| Model::new());
            }
            let known = self.model.as_ref().zip(named.as_ref()).is_some_and(|(model, name)| model.contains_key(name));
            let met = match expected {
                expected_user::NEW => !known,
                expected_user::KNOWN => known,
                _ => true,
            };
            let plain =
                |bytes: &[u8]| [NAMES[0], NAMES[1], PASSWORDS[0], PASSWORDS[1]].iter().any(|t| t.as_bytes() == bytes);
            let simple = name.as_deref().is_some_and(plain) && plain(&password);
            let is_right = simple && choice % 6 < 4 && [0, 4096, 4097].contains(&iterations) && met && usable;
            assert!(!is_right || self.model.is_none(), "a password is refused");
            return;
        }
        let named = named.expect("a name that can be stored");
        let model = self.model.get_or_insert_with(Model::new);
        let disabled = model.get(&named).is_some_and(|user| user.disabled);
        assert!(expected != expected_user::NEW || !model.contains_key(&named), "the user is not new");
        assert!(expected != expected_user::KNOWN || model.contains_key(&named), "the user is not known");
        let chain = model.get(&named).and_then(|user| user.chain.clone());
        model.insert(named.clone(), Known { password: Some(password.clone()), disabled, has_keys: true, chain });
        self.fits(&named);
        // The other program reads it.
        assert_eq!(
            self.check_as(1 - which, name.as_deref(), &password),
            i32::from(!disabled),
            "the password that was set"
        );
    }

    /// Each verifier of a user fits the password.
    fn fits(&self, name: &str) {
        let Some(password) = self.model.as_ref().and_then(|model| model[name].password.clone()) else { return };
        let text = String::from_utf8(self.bytes()).expect("UTF-8");
        let mut found = 0;
        for line in text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':')) {
            let line = line.trim().trim_start_matches('!');
            if line.starts_with("OTP ") {
                continue;
            }
            let key = Secret::new(line.as_bytes());
            assert!(Verifier::read(&key).is_ok_and(|verifier| verifier.is_some()));
            let fits = check_password(Some(key), &Secret::new(&password), None, &LookupMemory::new());
            assert_eq!(fits, Ok(true), "a verifier of another password");
            found += 1;
        }
        assert!(found > 0, "no verifier of {name}");
    }

    fn check_as(&self, which: usize, name: Option<&[u8]>, password: &[u8]) -> i32 {
        let store = self.stores[which];
        // SAFETY: as in `call`.
        let verdict = unsafe { asr_accounts_check(store, Slice::of(name), Slice::of(Some(password)), NONE, NONE) };
        self.verdict(store, verdict);
        verdict
    }

    /// The expected verdict on a password. `None` if it is not known: another string may become the same password when it is prepared.
    fn expected(&self, name: Option<&[u8]>, password: &[u8]) -> Option<bool> {
        let named = std::str::from_utf8(name.unwrap_or_default()).ok().and_then(|name| stored_name(name).ok());
        let user = named.and_then(|name| self.model.as_ref()?.get(&name));
        let Some(user) = user.filter(|user| !user.disabled) else { return Some(false) };
        let known = user.password.as_deref()?;
        match PASSWORDS.iter().any(|one| one.as_bytes() == password)
            && PASSWORDS.iter().any(|one| one.as_bytes() == known)
        {
            true => Some(known == password),
            false => (known == password).then_some(true),
        }
    }

    fn check(&self, which: usize, input: &mut Input<'_>) {
        let (name, password) = (name(input), password(input));
        let verdict = self.check_as(which, name.as_deref(), &password);
        if name.as_deref().is_some_and(|name| std::str::from_utf8(name).is_err()) || self.model.is_none() {
            // An empty password is wrong, whoever has it.
            assert!(verdict == -1 || password.is_empty() && verdict == 0);
            return;
        }
        if let Some(expected) = self.expected(name.as_deref(), &password) {
            assert_eq!(verdict, i32::from(expected), "{name:?}");
        }
    }

    /// A login by PLAIN gives the same verdict, and may store a stronger verifier of the same password.
    fn login(&mut self, which: usize, input: &mut Input<'_>) {
        let (name, password, upgrade) = (name(input), password(input), *input.choose(&UPGRADES));
        let name = name.unwrap_or_default();
        let before = self.listed(self.stores[which]);
        let message = [b"\0", &name[..], b"\0", &password].concat();
        // SAFETY: as in `call`; the handle is freed once.
        let success = unsafe {
            let handle = asr_new(1, lend("imap"), lend("mail.example.com"), 0);
            asr_use_accounts(handle, self.stores[which]);
            let mut error = NONE;
            assert_eq!(asr_set(handle, lend("upgrade"), Slice::of(upgrade.map(str::as_bytes)), &mut error), 1);
            asr_negotiate(handle, lend("PLAIN")).text();
            let outcome = asr_start(handle, Slice::of(Some(&message)));
            assert_ne!(outcome, outcome::ASK, "a question that the accounts answer");
            assert_eq!(asr_lacks_accounts(handle) == 1, self.model.is_none());
            if let Some(error) = asr_error(handle).text() {
                check_text(&error);
            }
            asr_auxprop(handle, lend("userPassword"), 0).text();
            let success = asr_status(handle) & 2 != 0;
            asr_free(handle);
            success
        };
        let is_message = !name.contains(&0) && !password.contains(&0) && !name.is_empty() && !password.is_empty();
        match self.expected(Some(&name), &password).filter(|_| is_message) {
            Some(expected) if self.model.is_some() => assert_eq!(success, expected, "a login of {name:?}"),
            _ => assert!(is_message && self.model.is_some() || !success, "a success of {name:?}"),
        }
        let after = self.listed(self.stores[1 - which]);
        let due = success && upgrade.is_some();
        assert!(due || before == after, "a login without success has changed the users");
        if let Some(named) = std::str::from_utf8(&name).ok().and_then(|name| stored_name(name).ok()).filter(|_| due) {
            self.fits(&named);
            for ((name, _, old), (_, _, new)) in before.iter().flatten().zip(after.iter().flatten()) {
                assert!(*name == named || old == new, "a login has changed another user");
                let kept = |key: &(String, u32)| new.iter().any(|other| other.0 == key.0 && other.1 >= key.1);
                assert!(old.iter().all(kept), "a login has taken a verifier away");
            }
        }
    }

    /// A chain of one-time passwords is stored, removed or used.
    fn one_time(&mut self, which: usize, input: &mut Input<'_>) {
        let (what, name, store) = (input.byte() % 4, name(input), self.stores[which]);
        let named =
            std::str::from_utf8(name.as_deref().unwrap_or_default()).ok().and_then(|name| stored_name(name).ok());
        let (state, made) = match what {
            0 => match chain::make(input) {
                Some((state, made)) => (Some(state.into_bytes()), Some(made)),
                None => return,
            },
            1 => (Some(input.string().to_vec()), None),
            2 => (None, None),
            _ => {
                let user = named.and_then(|name| self.model.as_mut()?.get_mut(&name)).filter(|user| !user.disabled);
                let chain = user.and_then(|user| user.chain.as_mut());
                // SAFETY: the accounts are alive.
                return unsafe { chain::log_in(store, &name.unwrap_or_default(), chain, input) };
            }
        };
        let (before, existed) = (self.bytes(), self.file().exists());
        // SAFETY: as in `call`.
        let stored = unsafe { asr_accounts_store_otp(store, Slice::of(name.as_deref()), Slice::of(state.as_deref())) };
        self.verdict(store, stored);
        assert_ne!(stored, 0);
        let fields = state.as_deref().map(chain::fields);
        let has_chain = || self.model.as_ref()?.get(named.as_ref()?)?.chain.as_ref();
        let expected = match &fields {
            Some(fields) => fields.is_some() && named.is_some() && (self.model.is_some() || !existed),
            None => has_chain().is_some(),
        };
        assert_eq!(stored == 1, expected, "{name:?}");
        let Some(named) = named.filter(|_| expected) else {
            assert_eq!(before, self.bytes(), "a failure that changes the file");
            return;
        };
        let user = self.model.get_or_insert_default().entry(named.clone()).or_insert(Known {
            password: None,
            disabled: false,
            has_keys: false,
            chain: None,
        });
        user.chain = fields.flatten().map(|fields| {
            assert_eq!(kept(&self.folder.join("users"), &named), Some(fields.clone()), "another state than was stored");
            let left = fields[1].parse().unwrap_or(0u32).saturating_sub(1);
            made.unwrap_or(Chain { left, secret: None, locked: false })
        });
        if user.chain.is_none() && !user.has_keys {
            self.model.as_mut().map(|model| model.remove(&named));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        for accounts in self.stores {
            // SAFETY: each is freed once.
            unsafe { asr_accounts_free(accounts) };
        }
        fs::remove_dir_all(&self.folder).expect("the harness's own folder");
    }
}

fn open(path: &Path) -> Accounts {
    // SAFETY: the slice is valid for the call.
    made(|error, owner| unsafe { asr_accounts_users(path_of(path), error, owner) }).expect("accounts of a file")
}

/// The number of logins that are left in a user's chain, from the fields of the list.
fn left(keys: &[(String, u32)]) -> Option<u32> {
    keys.iter().find(|key| key.0 == "OTP").map(|key| key.1)
}

/// The fields of a user's OTP state in the file.
fn kept(file: &Path, name: &str) -> Option<[String; 5]> {
    let text = fs::read_to_string(file).expect("a file of text");
    let line = |line: &str| {
        line.strip_prefix(name)?.strip_prefix(':')?.trim_start_matches('!').strip_prefix("OTP ").map(str::to_owned)
    };
    chain::fields(text.lines().find_map(line)?.replace(' ', "\t").as_bytes())
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let mut program = Program::new();
    for _ in 0..CALLS {
        if input.is_empty() {
            break;
        }
        program.call(&mut input);
    }
});
