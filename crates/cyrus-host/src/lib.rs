//! A host for Cyrus SASL's plugins (saslplug.h). It replaces libsasl2, so that their mechanisms can be used like any other.
//!
//! On systems where the host is not built (see `build.rs`), `absent` replaces it.
//!
//! [`Plugins::load`] opens files and finds their mechanisms; a session whose registry has these plugins
//! ([`Plugins::registry`]) may then use them by name. `docs/decisions/0007-plugins.md` has the reasons. Each file imports
//! only files of lower floors:
//!
//! | floor | files | what |
//! |---|---|---|
//! | 9 | `registry.rs`, `accounts.rs`, `absent.rs` | what a program uses: mechanisms, account stores |
//! | 8 | `client.rs`, `server.rs`, `auxprop.rs`, `canon.rs` | the kinds of plugins |
//! | 7 | `callbacks.rs`, `hosted.rs`, `inquiry.rs`, `sql/` | what each kind needs beside its plugin |
//! | 6 | `instances.rs` | plugins of accounts, one instance for each configuration |
//! | 5 | `owned.rs`, `coroutine.rs`, `layer.rs`, `names.rs` | a connection with functions, names and layer; a step's own stack |
//! | 4 | `utils.rs` | the functions that a plugin calls |
//! | 3 | `parameters.rs`, `given.rs`, `text.rs` | what passes between the host and a plugin |
//! | 2 | `connection.rs`, `loader.rs` | a plugin's `sasl_conn_t`; its opened file |
//! | 1 | `elf.rs`, `journal.rs`, `md5.rs`, `mutex.rs`, `options.rs`, `propctx.rs`, `search.rs` | import nothing of ours |
#![allow(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable, clippy::todo)
)]

#[cfg(not(hosts_plugins))]
mod absent;
#[cfg(hosts_plugins)]
mod accounts;
#[cfg(hosts_plugins)]
mod auxprop;
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
mod hosted;
#[cfg(hosts_plugins)]
mod inquiry;
#[cfg(hosts_plugins)]
mod instances;
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
mod owned;
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
pub use absent::{CyrusAccounts, File, Hosted, Plugins};
#[cfg(hosts_plugins)]
pub use accounts::CyrusAccounts;
#[cfg(hosts_plugins)]
pub use hosted::Hosted;
pub use journal::Log;
pub use options::{LoadOptions, Options};
#[cfg(hosts_plugins)]
pub use registry::Plugins;
pub use search::{folders, privileged, Refused};

use authen_sasl_rust::registry::Registry;

/// The environment variable that asks for plugins: `1` for all, or names separated by blanks or commas.
const VARIABLE: &str = "AUTHEN_SASL_RUST_PLUGINS";

/// The plugins that the environment asks for. The environment is ignored if the program has more rights than its user.
pub fn from_environment(own: &Registry) -> Option<Plugins> {
    let wanted = std::env::var(VARIABLE).ok().filter(|_| !privileged())?;
    let names: Vec<String> = authen_sasl_rust::wire::names::words(&wanted).map(str::to_owned).collect();
    let load = match names.as_slice() {
        [] => return None,
        [word] if word == "0" => return None,
        [word] if word == "1" => None,
        _ => Some(names),
    };
    Plugins::load(&LoadOptions { load, ..LoadOptions::default() }, own).ok()
}

#[cfg(all(test, hosts_plugins))]
mod tests;
