//! What the opened files have in them, as mechanisms like any other, and which of these a connection may use.

use std::ffi::{c_char, c_int, c_uint, c_ulong, CStr};
use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Config;
use crate::contract::{Abilities, Mechanism, SecurityFlags, Side};
use crate::error::{Code, Error};
use crate::mechanism;

use super::abi::{callback, code, feature, security, version, ClientPlug, MechanismInit, ServerPlug};
use super::connection::{Connection, Owned};
use super::journal::Log;
use super::loader::{self, File, Kind, Refused};
use super::options::Options;
use super::{client, server};

/// More mechanisms than this are no table of a plugin.
const MECHANISMS: c_int = 64;

/// Its servers have a defect (CVE-2026-129483), so it is loaded only on purpose.
const SRP: &str = "SRP";

/// One mechanism of one side that a plugin has.
pub struct Hosted {
    /// As the session sees it.
    pub mechanism: Mechanism,
    /// The side that it serves.
    pub side: Side,
    /// Its name without `-PLUS`, as the plugin has it.
    base: &'static str,
    /// A client needs a password or an answer to a challenge; which, the plugin does not say.
    either: bool,
    source: &'static Source,
    /// The one that was registered before.
    before: Option<&'static Hosted>,
}

impl Hosted {
    /// The plugin's mechanism behind one of the session's.
    ///
    /// # Errors
    /// [`Error::Outside`] for a mechanism that no plugin has on this side.
    pub fn of(mechanism: &'static Mechanism, side: Side) -> Result<&'static Hosted, Error> {
        std::iter::successors(last(), |hosted| hosted.before)
            .find(|hosted| ptr::eq(&hosted.mechanism, mechanism) && hosted.side == side)
            .ok_or_else(|| Error::outside(Code::NoMech, format!("the plugin has no {side} of this mechanism")))
    }

    /// True for a `-PLUS` variant.
    pub fn binds(&self) -> bool {
        self.base.len() < self.mechanism.name.len()
    }

    /// The plugin's table for a client, as it is in this process.
    ///
    /// # Errors
    /// [`Error::Outside`] if the plugin did not begin anew after a fork.
    pub fn client(&self) -> Result<ClientPlug, Error> {
        let tables = self.source.tables();
        let plug = tables.client.iter().find(|plug| name_of(plug.mech_name) == Some(self.base));
        plug.copied().ok_or_else(|| self.gone())
    }

    /// The same for a server.
    ///
    /// # Errors
    /// As [`Hosted::client`].
    pub fn server(&self) -> Result<ServerPlug, Error> {
        let tables = self.source.tables();
        let plug = tables.server.iter().find(|plug| name_of(plug.mech_name) == Some(self.base));
        plug.copied().ok_or_else(|| self.gone())
    }

    fn gone(&self) -> Error {
        let path = self.source.file.path.display();
        Error::outside(Code::Fail, format!("the plugin {path} has lost this mechanism after a fork"))
    }
}

/// The one that was registered last; each knows the one before. The states of a mechanism find their plugin here, without a lock: a
/// forked process may have one that is never given back.
static HOSTED: AtomicPtr<Hosted> = AtomicPtr::new(ptr::null_mut());

fn last() -> Option<&'static Hosted> {
    // SAFETY: what is registered stays for ever.
    unsafe { HOSTED.load(Ordering::Acquire).as_ref() }
}

/// One file, with what its functions gave.
struct Source {
    file: &'static File,
    /// For the functions that have no connection.
    global: Owned,
    /// As they are in this process. Those of a process before a fork stay where they are.
    tables: AtomicPtr<Tables>,
    /// The process that calls the functions anew, or has done so.
    beginning: AtomicU32,
}

// SAFETY: `global` is given out to plugins for the time of a call, which one thread alone makes in a process, and its address
// is all that they keep of it.
unsafe impl Sync for Source {}

/// Copies of what the plugin has in its statics, which it may write to when its functions are called again.
#[derive(Default)]
struct Tables {
    /// The process that they were made in: after a fork the plugin begins anew.
    process: u32,
    client: Vec<ClientPlug>,
    server: Vec<ServerPlug>,
    troubles: Vec<String>,
}

// SAFETY: the pointers lead into the plugin, which stays where it is and serves all threads.
unsafe impl Send for Tables {}

impl Source {
    fn tables(&self) -> &'static Tables {
        let process = std::process::id();
        loop {
            // SAFETY: tables are made to stay for ever.
            let tables: &'static Tables = unsafe { &*self.tables.load(Ordering::Acquire) };
            if tables.process == process {
                return tables;
            }
            // One thread begins. No lock: the one that held it may be a thread of the process before the fork.
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

/// Calls the functions that a plugin's file begins with.
fn begin(file: &File, global: &Connection) -> Tables {
    let mut tables = Tables { process: std::process::id(), ..Tables::default() };
    let mut troubles = Vec::new();
    if let Some(init) = file.client {
        match plugs(init, version::CLIENT, "client", global) {
            Ok(list) => tables.client = list,
            Err(trouble) => troubles.push(trouble),
        }
    }
    if let Some(init) = file.server {
        match plugs(init, version::SERVER, "server", global) {
            Ok(list) => tables.server = list,
            Err(trouble) => troubles.push(trouble),
        }
    }
    let whole = |name: *const c_char, has_new: bool, has_step: bool| match name_of(name) {
        None => Err("it has a mechanism without a proper name".to_owned()),
        Some(name) if !(has_new && has_step) => Err(format!("its {name} lacks mech_new or mech_step")),
        Some(_) => Ok(()),
    };
    tables.client.retain(|plug| {
        let sound = whole(plug.mech_name, plug.mech_new.is_some(), plug.mech_step.is_some());
        sound.map_err(|trouble| troubles.push(trouble)).is_ok()
    });
    tables.server.retain(|plug| {
        let sound = whole(plug.mech_name, plug.mech_new.is_some(), plug.mech_step.is_some());
        sound.map_err(|trouble| troubles.push(trouble)).is_ok()
    });
    Tables { troubles, ..tables }
}

/// The table of one side.
fn plugs<Plug>(init: MechanismInit<Plug>, ours: c_int, side: &str, global: &Connection) -> Result<Vec<Plug>, String> {
    let (mut theirs, mut list, mut count) = (0, ptr::null_mut::<Plug>(), 0);
    // SAFETY: the function has this type in saslplug.h; the utils live as long as the process.
    let result = global.during(|| unsafe { init(global.utils(), ours, &mut theirs, &mut list, &mut count) });
    let said = global.take_error().map(|text| format!(": {text}")).unwrap_or_default();
    if result == code::BADVERS || result == code::OK && theirs != ours {
        return Err(format!("version {theirs} of the {side} interface is its, and {ours} is this host's{said}"));
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
    // SAFETY: the plugin says that there are so many.
    Ok((0..count as usize).map(|index| unsafe { list.add(index).read() }).collect())
}

/// A mechanism's name (RFC 4422 §3.1), if it is one.
fn name_of(name: *const c_char) -> Option<&'static str> {
    if name.is_null() {
        return None;
    }
    // SAFETY: a plugin's names end in a NUL and stay as long as the plugin, which is for ever.
    let name = unsafe { CStr::from_ptr(name) }.to_str().ok()?;
    let fits = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    ((1..=20).contains(&name.len()) && name.bytes().all(fits)).then_some(name)
}

/// What each file has, once its functions have been called.
type Known = (&'static Source, Vec<&'static Hosted>);

static SOURCES: Mutex<Vec<Known>> = Mutex::new(Vec::new());

/// The mechanisms of a file, and what is wrong with it.
fn hosted(file: &'static File, options: &Arc<Options>, log: Option<&Log>) -> (Vec<&'static Hosted>, Vec<String>) {
    let mut sources = SOURCES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((source, hosted)) = sources.iter().find(|(source, _)| ptr::eq(source.file, file)) {
        return (hosted.clone(), source.tables().troubles.clone());
    }
    let global = Owned::global(Arc::clone(options), log.cloned());
    let tables: &'static Tables = Box::leak(Box::new(begin(file, &global)));
    let source: &'static Source = Box::leak(Box::new(Source {
        file,
        global,
        tables: AtomicPtr::new(ptr::from_ref(tables).cast_mut()),
        beginning: AtomicU32::new(tables.process),
    }));
    let mut hosted = Vec::new();
    for plug in &tables.client {
        let Some(base) = name_of(plug.mech_name) else { continue };
        // Some find out for themselves whether they speak first: DIGEST-MD5 does when it has logged in there before. A program that sends its
        // initial response as the answer to a challenge would fail then, so what the standard says goes.
        let undecided = plug.features & (feature::SERVER_FIRST | feature::WANT_CLIENT_FIRST) == 0;
        let first = match mechanism::find(base).filter(|_| undecided) {
            Some(own) => own.first,
            None if plug.features & feature::SERVER_FIRST == 0 => Side::Client,
            None => Side::Server,
        };
        let traits = (plug.max_ssf, plug.security_flags, plug.features);
        let needs = match base {
            "ANONYMOUS" => (Abilities::NONE, false),
            _ if !plug.required_prompts.is_null() => (client_needs(plug.required_prompts), false),
            // Those that only plugins have may ask for a password or show a challenge.
            _ if mechanism::find(base).is_some() => (Abilities::AUTHCID.and(Abilities::PASSWORD), false),
            _ => (Abilities::AUTHCID, true),
        };
        register(&mut hosted, source, Side::Client, base, first, traits, needs);
    }
    for plug in &tables.server {
        let Some(base) = name_of(plug.mech_name) else { continue };
        let first = if plug.features & feature::WANT_CLIENT_FIRST == 0 { Side::Server } else { Side::Client };
        let traits = (plug.max_ssf, plug.security_flags, plug.features);
        let needs = mechanism::find(base).map_or(Abilities::NONE, |own| own.server_needs);
        register(&mut hosted, source, Side::Server, base, first, traits, (needs, false));
    }
    let troubles = tables.troubles.clone();
    sources.push((source, hosted.clone()));
    (hosted, troubles)
}

/// Makes a mechanism of the session's, and of one that can be bound to a channel a second one.
fn register(
    list: &mut Vec<&'static Hosted>,
    source: &'static Source,
    side: Side,
    base: &'static str,
    first: Side,
    (max_ssf, flags, features): (c_uint, c_uint, c_uint),
    (needs, either): (Abilities, bool),
) {
    let mut names = vec![base];
    if features & feature::CHANNEL_BINDING != 0 && base.len() <= 15 {
        names.push(Box::leak(format!("{base}-PLUS").into_boxed_str()));
    }
    let security = security::ours(flags);
    for name in names {
        let mechanism = Mechanism {
            name,
            first,
            rank: rank(name, security, max_ssf),
            max_ssf,
            security,
            client_needs: if side == Side::Client { needs } else { Abilities::NONE },
            server_needs: if side == Side::Server { needs } else { Abilities::NONE },
            carries_authzid: features & feature::ALLOWS_PROXY != 0 || base == "ANONYMOUS",
            derives_keys: false,
            unavailable,
            client: client::begin,
            server: server::begin,
        };
        // Whoever registers holds the lock of `SOURCES`, so nobody comes in between.
        let hosted = Box::leak(Box::new(Hosted { mechanism, side, base, either, source, before: last() }));
        HOSTED.store(ptr::from_mut(hosted), Ordering::Release);
        list.push(hosted);
    }
}

/// Our own preference for a mechanism that we have too; else by what it says of itself, always below what protects
/// better on the scale of [`crate::mechanism`].
fn rank(name: &str, security: SecurityFlags, max_ssf: u32) -> u8 {
    match mechanism::find(name) {
        Some(own) => own.rank,
        None if !security.contains(SecurityFlags::NOANONYMOUS) => 0,
        None if security.contains(SecurityFlags::MUTUAL_AUTH) => 45,
        None if max_ssf > 0 => 29,
        None if security.contains(SecurityFlags::NOPLAINTEXT) => 19,
        None => 9,
    }
}

/// Why a plugin's mechanism cannot be used on this connection, beyond what all mechanisms have in common.
fn unavailable(mechanism: &'static Mechanism, side: Side, config: &Config) -> Option<String> {
    let hosted = match Hosted::of(mechanism, side) {
        Ok(hosted) => hosted,
        Err(error) => return Some(error.to_string()),
    };
    let secrets = Abilities::PASSWORD.and(Abilities::CHALLENGE);
    match side {
        Side::Client if hosted.either && !config.abilities.intersects(secrets) => {
            Some("there is no callback pass or challenge".into())
        }
        Side::Client => None,
        Side::Server => server::unavailable(hosted, config),
    }
}

/// What a client must be able to answer: the prompts that the plugin cannot do without.
fn client_needs(prompts: *const c_ulong) -> Abilities {
    let mut needs = Abilities::NONE;
    for index in 0..32 {
        // SAFETY: the list ends with LIST_END (saslplug.h).
        match unsafe { prompts.add(index).read() } {
            callback::LIST_END => break,
            callback::AUTHNAME => needs = needs.and(Abilities::AUTHCID),
            callback::PASS => needs = needs.and(Abilities::PASSWORD),
            _ => {}
        }
    }
    needs
}

/// Which plugins are wanted, and where they are.
#[derive(Debug, Default, Clone)]
pub struct Wish {
    /// The folders, with colons between them; else those of `SASL_PATH` or the system's.
    pub path: Option<String>,
    /// The plugins by name; `None` for all that there are.
    pub load: Option<Vec<String>>,
    /// A plugin's mechanism is taken before our own of the same name.
    pub prefer: bool,
    /// Options that the plugins may ask for.
    pub options: Vec<(String, String)>,
}

/// What a connection may use of plugins.
pub struct Plugins {
    hosted: Vec<&'static Hosted>,
    refused: Vec<Refused>,
    prefer: bool,
    options: Arc<Options>,
}

impl Plugins {
    /// Opens what is wished for. A file that cannot be used is told in [`Plugins::refused`].
    ///
    /// # Errors
    /// [`Error::Outside`] for an option that cannot be given to a plugin.
    pub fn load(wish: &Wish) -> Result<Plugins, Error> {
        let mut options = Options::default();
        for (name, value) in &wish.options {
            options.set(name, value)?;
        }
        let options = Arc::new(options);
        let names: Option<Vec<&str>> = wish.load.as_ref().map(|names| names.iter().map(String::as_str).collect());
        let folders = super::folders(wish.path.as_deref());
        let (files, mut refused) = loader::open(&folders, names.as_deref(), Kind::Mechanism);
        let mut all: Vec<&'static Hosted> = Vec::new();
        for file in files {
            let (mut hosted, mut troubles) = hosted(file, &options, None);
            if names.is_none() && hosted.iter().any(|hosted| hosted.base == SRP) {
                hosted.retain(|hosted| hosted.base != SRP);
                troubles.push(format!("its {SRP} is used only if the plugin is named: see CVE-2026-129483"));
            }
            refused.extend(troubles.into_iter().map(|reason| Refused {
                name: file.name.clone(),
                path: file.path.clone(),
                reason,
            }));
            all.extend(hosted);
        }
        Ok(Plugins { hosted: all, refused, prefer: wish.prefer, options })
    }

    /// The mechanism of that name, upper or lower case, that a plugin has for this side.
    pub fn find(&self, name: &str, side: Side) -> Option<&'static Mechanism> {
        let found = self.hosted.iter().find(|h| h.side == side && h.mechanism.name.eq_ignore_ascii_case(name));
        found.map(|hosted| &hosted.mechanism)
    }

    /// True if a plugin's mechanism is taken before our own of the same name.
    pub fn preferred(&self) -> bool {
        self.prefer
    }

    /// All mechanisms, each with the plugin that it comes from.
    pub fn mechanisms(&self) -> impl Iterator<Item = (&'static Hosted, &'static File)> + '_ {
        self.hosted.iter().map(|hosted| (*hosted, hosted.source.file))
    }

    /// The files that are not used, or not in full, and why.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// The options that the plugins may ask for.
    pub(super) fn options(&self) -> &Arc<Options> {
        &self.options
    }
}

impl fmt::Debug for Plugins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.hosted.iter().map(|hosted| (hosted.mechanism.name, hosted.side))).finish()
    }
}
