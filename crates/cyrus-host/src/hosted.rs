//! A mechanism of a plugin, and the tables of the plugin's file.

use std::ffi::{c_char, c_int, CStr};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::sync::Arc;

use authen_sasl_rust::contract::{CredentialKind, Description, Side};
use authen_sasl_rust::error::{Code, Error};

use super::connection::Connection;
use super::loader::File;
use super::options::Options;
use super::owned::Owned;
use saslplug::{code, version, ClientPlug, MechanismInit, ServerPlug};

/// Maximum number of mechanisms of a plugin. A greater count is an error.
const MECHANISMS: c_int = 64;

/// One mechanism of a plugin, for one side.
pub struct Hosted {
    pub(super) description: Description,
    /// Its name in the plugin, without `-PLUS`.
    pub(super) base: &'static str,
    /// The name under which it is used, for the plugin.
    pub(super) text: &'static CStr,
    /// A client needs a password or an answer to a challenge. The plugin does not say which.
    pub(super) either: bool,
    pub(super) source: &'static Source,
    /// What the plugin may ask for.
    pub(super) options: Arc<Options>,
}

impl Hosted {
    /// The name under which it is used.
    pub fn name(&self) -> &'static str {
        self.description.name
    }

    /// The side that it serves.
    pub fn side(&self) -> Side {
        self.description.side.unwrap_or(Side::Client)
    }

    /// True for a `-PLUS` variant.
    pub fn binds(&self) -> bool {
        self.description.binds
    }

    /// The kind of credential that the plugin needs when it looks up a password. The only verifiers it supports are those of
    /// SCRAM.
    pub(super) fn computes_with(&self) -> CredentialKind {
        match self.description.credential {
            scram @ CredentialKind::Scram(_) => scram,
            _ => CredentialKind::Password,
        }
    }

    /// The plugin's table for a client, in this process.
    ///
    /// # Errors
    /// [`Error::Outside`] if the plugin no longer has the mechanism after a fork.
    pub fn client(&self) -> Result<ClientPlug, Error> {
        self.plug(&self.source.tables().client)
    }

    /// The same for a server.
    ///
    /// # Errors
    /// As [`Hosted::client`].
    pub fn server(&self) -> Result<ServerPlug, Error> {
        self.plug(&self.source.tables().server)
    }

    fn plug<Plug: Copy>(&self, plugs: &[(&str, Plug)]) -> Result<Plug, Error> {
        plugs.iter().find(|(name, _)| *name == self.base).map(|(_, plug)| *plug).ok_or_else(|| {
            let path = self.source.file.path.display();
            Error::outside(Code::Fail, format!("the plugin {path} has lost this mechanism after a fork"))
        })
    }
}

/// One file, with the tables from its functions.
pub(super) struct Source {
    pub file: &'static File,
    /// For functions without a connection.
    global: Owned,
    /// The tables in this process. Those of the process before a fork are not freed.
    tables: AtomicPtr<Tables>,
    /// The process that calls the functions again, or has done so.
    beginning: AtomicU32,
}

// SAFETY: `global` is lent to plugins for a call that only one thread makes in a process, and plugins keep only its
// address.
unsafe impl Sync for Source {}

/// Copies of the plugin's static tables, which it may overwrite when its functions are called again. Each mechanism has its name beside
/// it.
#[derive(Default)]
pub(super) struct Tables {
    /// The process in which they were made: after a fork, the plugin's functions are called again.
    process: u32,
    pub client: Vec<(&'static str, ClientPlug)>,
    pub server: Vec<(&'static str, ServerPlug)>,
    /// Parts of the file that cannot be used, and why.
    pub errors: Vec<String>,
}

// SAFETY: the pointers lead into the plugin, which stays where it is and serves all threads.
unsafe impl Send for Tables {}

impl Source {
    /// Calls the functions of a file.
    pub fn of(file: &'static File, global: Owned) -> Source {
        let tables: &'static Tables = Box::leak(Box::new(begin(file, &global)));
        let beginning = AtomicU32::new(tables.process);
        Source { file, global, tables: AtomicPtr::new(ptr::from_ref(tables).cast_mut()), beginning }
    }

    /// The tables of this process.
    pub fn tables(&self) -> &'static Tables {
        let process = std::process::id();
        loop {
            // SAFETY: tables are never freed.
            let tables: &'static Tables = unsafe { &*self.tables.load(Ordering::Acquire) };
            if tables.process == process {
                return tables;
            }
            // Only one thread does this. No lock is used: a thread of the process before the fork might hold it.
            let before = self.beginning.load(Ordering::Relaxed);
            let mine = before != process
                && self.beginning.compare_exchange(before, process, Ordering::AcqRel, Ordering::Relaxed).is_ok();
            if mine {
                self.tables.store(Box::into_raw(Box::new(begin(self.file, &self.global))), Ordering::Release);
            } else {
                std::thread::yield_now();
            }
        }
    }
}

/// Calls the entry functions of a plugin's file.
fn begin(file: &File, global: &Connection) -> Tables {
    let mut tables = Tables { process: std::process::id(), ..Tables::default() };
    let mut errors = Vec::new();
    if let Some(init) = file.client {
        match plugs(init, version::CLIENT, "client", global) {
            Ok(list) => {
                let facts = |plug: &ClientPlug| (plug.mech_name, plug.mech_new.is_some(), plug.mech_step.is_some());
                tables.client = sound(list, facts, &mut errors);
            }
            Err(error) => errors.push(error),
        }
    }
    if let Some(init) = file.server {
        match plugs(init, version::SERVER, "server", global) {
            Ok(list) => {
                let facts = |plug: &ServerPlug| (plug.mech_name, plug.mech_new.is_some(), plug.mech_step.is_some());
                tables.server = sound(list, facts, &mut errors);
            }
            Err(error) => errors.push(error),
        }
    }
    Tables { errors, ..tables }
}

/// The mechanisms that can be used, with their names. `facts` are the name, whether there is `mech_new`, and `mech_step`.
fn sound<Plug>(
    plugs: Vec<Plug>,
    facts: impl Fn(&Plug) -> (*const c_char, bool, bool),
    errors: &mut Vec<String>,
) -> Vec<(&'static str, Plug)> {
    let mut usable = Vec::new();
    for plug in plugs {
        let (name, has_new, has_step) = facts(&plug);
        match name_of(name) {
            None => errors.push("it has a mechanism without a proper name".to_owned()),
            Some(name) if !(has_new && has_step) => errors.push(format!("its {name} lacks mech_new or mech_step")),
            Some(name) => usable.push((name, plug)),
        }
    }
    usable
}

/// The table of one side.
fn plugs<Plug>(init: MechanismInit<Plug>, ours: c_int, side: &str, global: &Connection) -> Result<Vec<Plug>, String> {
    let (mut theirs, mut list, mut count) = (0, ptr::null_mut::<Plug>(), 0);
    // SAFETY: the function has this type in saslplug.h; the utils live as long as the process.
    let result = global.during(|| unsafe { init(global.utils(), ours, &mut theirs, &mut list, &mut count) });
    let said = global.take_error().map(|text| format!(": {text}")).unwrap_or_default();
    if result == code::BADVERS || result == code::OK && theirs != ours {
        return Err(format!("version {theirs} of the {side} interface was found, and this host supports {ours}{said}"));
    }
    if result != code::OK {
        return Err(format!("its function for the {side} failed with {}{said}", Code::of(result).name()));
    }
    if list.is_null() || count <= 0 {
        return Err(format!("its function for the {side} gave no mechanisms"));
    }
    if count > MECHANISMS {
        return Err(format!("its function for the {side} gave {count} mechanisms"));
    }
    // SAFETY: the plugin has set this count.
    Ok((0..count as usize).map(|index| unsafe { list.add(index).read() }).collect())
}

/// A mechanism's name, if it is valid (RFC 4422 §3.1).
fn name_of(name: *const c_char) -> Option<&'static str> {
    if name.is_null() {
        return None;
    }
    // SAFETY: a plugin's names end in a NUL and stay as long as the plugin, which is for ever.
    let name = unsafe { CStr::from_ptr(name) }.to_str().ok()?;
    let fits = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    ((1..=20).contains(&name.len()) && name.bytes().all(fits)).then_some(name)
}
