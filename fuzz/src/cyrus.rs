//! Accounts as a configuration of Cyrus SASL has them: saslauthd, plugins, a sasldb.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::ptr;
use std::sync::LazyLock;

use crate::accounts::*;
use crate::input::Input;
use crate::surface::*;

/// The folder of libsasl2's plugins; `None` if none has the sasldb plugin.
static PLUGINS: LazyLock<Option<String>> = LazyLock::new(|| {
    let folder =
        authen_sasl_cyrus_host::folders(None).into_iter().find(|folder| folder.join("libsasldb.so").is_file())?;
    folder.into_os_string().into_string().ok()
});

/// A daemon that does not run accepts nobody, and stores and lists nothing.
pub fn saslauthd(folder: &Path, input: &mut Input<'_>) {
    let limit = *input.choose(&[0.01, 0.0, -1.0, f64::NAN, f64::INFINITY, 1e300]);
    let (name, password) = (name(input), password(input));
    let path = folder.join("mux");
    // SAFETY: the accounts are alive; slices are valid for each call; it is freed once.
    unsafe {
        let Some(daemon) = made(|error, owner| asr_accounts_saslauthd(path_of(&path), limit, error, owner)) else {
            return;
        };
        let (name, password) = (Slice::of(name.as_deref()), Slice::of(Some(&password[..])));
        assert_eq!(asr_accounts_set(daemon, name, password, NONE, 0, expected_user::ANY), -1);
        assert!(asr_accounts_list(daemon).text().is_none());
        let verdict = asr_accounts_check(daemon, name, password, lend("imap"), Slice::of(input.optional()));
        check_verdict(daemon, verdict);
        assert_ne!(verdict, 1, "a yes of nobody");
        asr_accounts_free(daemon);
    }
}

/// A configuration that can be read gives accounts or a reason why not; without plugins no password is accepted.
pub fn configuration(folder: &Path, input: &mut Input<'_>) {
    let (name, password) = (name(input), password(input));
    let content = input.long().unwrap_or_default();
    fs::write(folder.join("fuzz.conf"), content).expect("a file");
    std::env::set_var("SASL_CONF_PATH", folder);
    // SAFETY: the accounts are alive; slices are valid for each call; texts are copied before they are freed.
    unsafe {
        let (mut text, mut owner) = (NONE, ptr::null_mut());
        let found = asr_configuration(lend("fuzz"), &mut text, &mut owner);
        let text = text.text().expect("a text");
        asr_text_free(owner);
        if found == -1 {
            check_text(&text);
            return;
        }
        let words: Vec<&str> = text.split_terminator('\0').collect();
        assert!(found == 1 && words.len() % 2 == 0, "a file that is not found: {found}");
        // The file may name saslauthd: this path keeps the check away from this machine's daemon.
        let options = text + "saslauthd_path\0/nonexistent/mux\0";
        let accounts = made(|error, owner| asr_accounts_cyrus(lend("/nonexistent"), lend(&options), error, owner));
        if let Some(accounts) = accounts {
            let password = Slice::of(Some(&password[..]));
            let verdict = asr_accounts_check(accounts, Slice::of(name.as_deref()), password, NONE, NONE);
            check_verdict(accounts, verdict);
            assert_ne!(verdict, 1, "a yes without accounts");
            asr_accounts_free(accounts);
        }
        let mut level = 0;
        while let Some(line) = asr_log_line(&mut level).text() {
            assert!((1..=6).contains(&level) && !line.contains('\n'), "{level} {line:?}");
        }
        asr_log_forget();
    }
}

/// A sasldb, with the passwords of its users.
#[derive(Default)]
pub struct Sasldb {
    store: Option<Accounts>,
    kept: BTreeMap<&'static str, Vec<u8>>,
}

impl Sasldb {
    /// A sasldb through libsasl2's plugin: a password that was set is accepted, and one that was deleted is not.
    pub fn call(&mut self, folder: &Path, input: &mut Input<'_>) {
        let Some(plugins) = PLUGINS.as_deref() else { return };
        let path = folder.join("sasldb2");
        let store = *self.store.get_or_insert_with(|| {
            let options = format!("pwcheck_method\0auxprop\0auxprop_plugin\0sasldb\0sasldb_path\0{}\0", path.display());
            // SAFETY: the accounts are alive; slices are valid for each call.
            made(|error, owner| unsafe { asr_accounts_cyrus(lend(plugins), lend(&options), error, owner) })
                .expect("accounts in a sasldb")
        });
        let (what, name) = (input.byte(), *input.choose(&["fred", "anna", "J\u{fc}rgen"]));
        let password = password(input);
        let (of, with) = (lend(name), Slice::of(Some(&password[..])));
        // SAFETY: the accounts are alive; slices are valid for each call.
        unsafe {
            match what % 4 {
                0 => {
                    let set = asr_accounts_set(store, of, with, NONE, 0, expected_user::ANY);
                    check_verdict(store, set);
                    if set == 1 {
                        self.kept.insert(name, password.clone());
                    }
                }
                1 => {
                    let deleted = asr_accounts_delete(store, of);
                    check_verdict(store, deleted);
                    if deleted == 1 {
                        self.kept.remove(name);
                    }
                }
                _ => assert!(asr_accounts_list(store).text().is_none() && asr_accounts_disable(store, of, 1) == -1),
            }
            let verdict = asr_accounts_check(store, of, with, lend("imap"), NONE);
            check_verdict(store, verdict);
            let right = self.kept.get(name).is_some_and(|known| *known == password) && !password.is_empty();
            assert_eq!(verdict == 1, right, "{name} {verdict}");
        }
    }
}

impl Drop for Sasldb {
    fn drop(&mut self) {
        if let Some(store) = self.store {
            // SAFETY: it is freed once.
            unsafe { asr_accounts_free(store) };
        }
    }
}
