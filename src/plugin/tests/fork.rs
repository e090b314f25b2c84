//! Plugins in a process that was forked from one whose other threads use them too.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use super::{hostile, lookup, Folder};
use crate::config::Config;
use crate::contract::{Accounts, Answer, Question};
use crate::plugin::{folders, CyrusAccounts};

fn look_up(accounts: &CyrusAccounts, user: &str) -> Option<Vec<u8>> {
    let plain = crate::mechanism::find("PLAIN").unwrap();
    let mut config = Config::default();
    config.host = "example.org".into();
    let question = Question::Credentials { authcid: user.into(), authzid: None, realm: None };
    match accounts.answer(&question, plain, &config) {
        Ok(Answer::Credential(found)) => found.map(|found| found.expose().to_vec()),
        other => panic!("{other:?}"),
    }
}

/// Forks while two threads do the same work as each child.
fn forked(rounds: usize, work: impl Fn() -> bool + Send + Sync + 'static) {
    let (work, end) = (Arc::new(work), Arc::new(AtomicBool::new(false)));
    let others: Vec<_> = (0..2)
        .map(|_| {
            let (work, end) = (Arc::clone(&work), Arc::clone(&end));
            std::thread::spawn(move || {
                while !end.load(Ordering::Relaxed) {
                    assert!(work());
                }
            })
        })
        .collect();
    for _ in 0..rounds {
        // SAFETY: the child calls what a forked process may call, and ends at once.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::alarm(20);
                let good = work() && work();
                libc::_exit(if good { 0 } else { 1 });
            }
            let mut status = -1;
            assert_eq!(libc::waitpid(child, &mut status, 0), child);
            assert_eq!(status, 0, "the child has not come to where its parent comes");
        }
    }
    end.store(true, Ordering::Relaxed);
    others.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_child_looks_up_on_its_own() {
    let folder = Folder::new("fork");
    let options = lookup::sasldb(&folder);
    let accounts = CyrusAccounts::new(&folders(None), options, None).unwrap();
    forked(20, move || {
        look_up(&accounts, "fred").as_deref() == Some(&b"pencil"[..]) && look_up(&accounts, "nobody").is_none()
    });
}

#[test]
fn a_child_begins_a_plugin_anew() {
    let folder = Folder::new("fork-steps");
    let plugins = hostile::plugins(&folder);
    forked(50, move || hostile::served_by_one_thread(&plugins, "GOOD").is_success());
}
