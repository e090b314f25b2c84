//! Plugins in a process that was forked from one whose other threads use them too.
//!
//! Our own locks must not be left locked in the child. We cannot control the locks of the libraries below a plugin: Berkeley DB
//! calls random(3), whose lock glibc 2.36 does not free in a child, so after a fork in the middle of that call the child's next
//! look-up blocks for ever. Each test has its own process here, where no other test reads a database.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use super::{hostile, lookup, Folder};
use crate::{folders, CyrusAccounts};
use authen_sasl_rust::accounts::Accounts;
use authen_sasl_rust::config::Config;
use authen_sasl_rust::contract::{Answer, CredentialKind, Question};

fn look_up(accounts: &CyrusAccounts, user: &str) -> Option<Vec<u8>> {
    let mut config = Config::default();
    config.host = "example.org".into();
    let question =
        Question::Credentials { kind: CredentialKind::Comparable, authcid: user.into(), authzid: None, realm: None };
    match accounts.answer(&question, &config) {
        Ok(Answer::Credential(found)) => found.map(|found| found.expose().to_vec()),
        other => panic!("{other:?}"),
    }
}

/// When to fork.
#[derive(Clone, Copy, PartialEq)]
enum Moment {
    /// While the other threads are anywhere in their work.
    Any,
    /// While they are between two rounds of it: the libraries below have locks of their own.
    Between,
}

/// Forks while two threads do the same work as each child.
fn forked(rounds: usize, moment: Moment, work: impl Fn() -> bool + Send + Sync + 'static) {
    let (work, end, working) = (Arc::new(work), Arc::new(AtomicBool::new(false)), Arc::new(RwLock::new(())));
    let others: Vec<_> = (0..2)
        .map(|_| {
            let (work, end, working) = (Arc::clone(&work), Arc::clone(&end), Arc::clone(&working));
            std::thread::spawn(move || {
                while !end.load(Ordering::Relaxed) {
                    let _working = working.read().unwrap();
                    assert!(work());
                }
            })
        })
        .collect();
    for _ in 0..rounds {
        let between = (moment == Moment::Between).then(|| working.write().unwrap());
        // SAFETY: the child calls what a forked process may call, and ends at once.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::alarm(20);
                let good = work() && work();
                libc::_exit(if good { 0 } else { 1 });
            }
            drop(between);
            let mut status = -1;
            assert_eq!(libc::waitpid(child, &mut status, 0), child);
            assert_eq!(status, 0, "the child has not come to where its parent comes");
        }
    }
    end.store(true, Ordering::Relaxed);
    others.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Runs the test of this name in its own process.
fn alone(name: &str, test: impl FnOnce()) {
    const ALONE: &str = "AUTHEN_SASL_RUST_FORK_TEST";
    if std::env::var_os(ALONE).is_some() {
        return test();
    }
    let name = format!("{}::{name}", module_path!().split_once("::").unwrap().1);
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program).args(["--exact", &name]).env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn a_child_looks_up_on_its_own() {
    alone("a_child_looks_up_on_its_own", || {
        let folder = Folder::new("fork");
        let options = lookup::sasldb(&folder);
        let accounts = CyrusAccounts::new(&folders(None), options, None).unwrap();
        forked(20, Moment::Between, move || {
            look_up(&accounts, "fred").as_deref() == Some(&b"pencil"[..]) && look_up(&accounts, "nobody").is_none()
        });
    });
}

#[test]
fn a_child_begins_a_plugin_anew() {
    alone("a_child_begins_a_plugin_anew", || {
        let folder = Folder::new("fork-steps");
        let plugins = hostile::plugins(&folder);
        forked(50, Moment::Any, move || hostile::served_by_one_thread(&plugins, "GOOD").is_success());
    });
}
