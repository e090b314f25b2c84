//! Look-ups by a plugin in a process that was forked from one whose other threads look things up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use super::{lookup, Folder};
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

#[test]
fn a_child_looks_up_on_its_own() {
    let folder = Folder::new("fork");
    let options = lookup::sasldb(&folder);
    let accounts = Arc::new(CyrusAccounts::new(&folders(None), options, None).unwrap());
    let end = Arc::new(AtomicBool::new(false));
    let others: Vec<_> = (0..2)
        .map(|_| {
            let (accounts, end) = (Arc::clone(&accounts), Arc::clone(&end));
            std::thread::spawn(move || {
                while !end.load(Ordering::Relaxed) {
                    assert_eq!(look_up(&accounts, "fred").as_deref(), Some(&b"pencil"[..]));
                }
            })
        })
        .collect();
    for _ in 0..20 {
        // SAFETY: the child calls what a forked process may call, and ends at once.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::alarm(20);
                let found = look_up(&accounts, "fred").as_deref() == Some(&b"pencil"[..]);
                libc::_exit(if found && look_up(&accounts, "nobody").is_none() { 0 } else { 1 });
            }
            let mut status = -1;
            assert_eq!(libc::waitpid(child, &mut status, 0), child);
            assert_eq!(status, 0, "the child has not found what its parent finds");
        }
    }
    end.store(true, Ordering::Relaxed);
    others.into_iter().for_each(|thread| thread.join().unwrap());
}
