//! Cyrus SASL's plugins (saslplug.h) as mechanisms like any other: the host that libsasl2 is for them elsewhere, without
//! libsasl2.
//!
//! Where the host is not built (`build.rs` says where it is), `absent` stands for it.
//!
//! [`Plugins::load`] opens files and finds their mechanisms; a session whose registry has these plugins
//! ([`Plugins::registry`]) may then use them by name. `docs/decisions/0007-plugins.md` has the reasons.
#![allow(unsafe_code)]

#[cfg(not(hosts_plugins))]
mod absent;
#[cfg(hosts_plugins)]
mod accounts;
#[cfg(hosts_plugins)]
mod auxprop;
#[cfg(hosts_plugins)]
mod begun;
#[cfg(hosts_plugins)]
mod callbacks;
#[cfg(hosts_plugins)]
mod canon;
#[cfg(hosts_plugins)]
mod client;
#[cfg(hosts_plugins)]
mod connection;
#[cfg(hosts_plugins)]
mod coroutine;
#[cfg(all(hosts_plugins, not(fuzzing)))]
mod elf;
#[cfg(fuzzing)]
pub mod elf;
#[cfg(hosts_plugins)]
mod given;
#[cfg(hosts_plugins)]
mod inquiry;
pub mod journal;
#[cfg(hosts_plugins)]
mod layer;
#[cfg(hosts_plugins)]
mod loader;
#[cfg(hosts_plugins)]
mod md5;
#[cfg(hosts_plugins)]
mod mutex;
#[cfg(hosts_plugins)]
mod names;
mod options;
#[cfg(hosts_plugins)]
mod parameters;
#[cfg(hosts_plugins)]
mod propctx;
#[cfg(hosts_plugins)]
mod registry;
mod search;
#[cfg(hosts_plugins)]
mod server;
#[cfg(hosts_plugins)]
mod sql;
#[cfg(hosts_plugins)]
mod text;
#[cfg(hosts_plugins)]
mod utils;

#[cfg(not(hosts_plugins))]
pub use absent::{CyrusAccounts, File, Hosted, Plugins, Refused, Wish};
#[cfg(hosts_plugins)]
pub use accounts::CyrusAccounts;
pub use journal::Log;
#[cfg(hosts_plugins)]
pub use loader::Refused;
pub use options::Options;
#[cfg(hosts_plugins)]
pub use registry::{Hosted, Plugins, Wish};
pub use search::{folders, privileged};

#[cfg(hosts_plugins)]
use given::{failed, given, left, with_nul, Left};

use authen_sasl_rust::registry::Registry;

/// Asks for plugins in the environment of a program that does not do it itself: `1` for all, or names with blanks or commas between them.
const VARIABLE: &str = "AUTHEN_SASL_RUST_PLUGINS";

/// The plugins that the environment asks for, unless it is that of a program with more rights than its user's.
pub fn from_environment(own: &Registry) -> Option<Plugins> {
    let wanted = std::env::var(VARIABLE).ok().filter(|_| !privileged())?;
    let names: Vec<String> = authen_sasl_rust::wire::names::words(&wanted).map(str::to_owned).collect();
    let load = match names.as_slice() {
        [] => return None,
        [word] if word == "0" => return None,
        [word] if word == "1" => None,
        _ => Some(names),
    };
    Plugins::load(&Wish { load, ..Wish::default() }, own).ok()
}

#[cfg(all(test, hosts_plugins))]
mod tests;
