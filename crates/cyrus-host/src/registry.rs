//! What the opened files have in them, as mechanisms like any other, and which of these a connection may use.

use std::ffi::{c_char, c_int, c_uint, c_ulong, CStr};
use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use authen_sasl_rust::contract::{Abilities, CredentialKind, Description, Mechanism, Next, SecurityFlags, Setup, Side};
use authen_sasl_rust::error::{Code, Error};
use authen_sasl_rust::registry::Registry;
use authen_sasl_rust::secret::Secret;

use super::connection::{Connection, Owned};
use super::journal::Log;
use super::loader::{self, File, Kind, Refused};
use super::options::Options;
use super::{client, server};
use saslplug::{callback, code, feature, security, version, ClientPlug, MechanismInit, ServerPlug};

/// More mechanisms than this are no table of a plugin.
const MECHANISMS: c_int = 64;

/// Its servers have a defect (CVE-2026-129483), so it is loaded only on purpose.
const SRP: &str = "SRP";

/// One mechanism of one side that a plugin has.
pub struct Hosted {
    description: Description,
    /// Its name without `-PLUS`, as the plugin has it.
    base: &'static str,
    /// A client needs a password or an answer to a challenge; which, the plugin does not say.
    either: bool,
    source: &'static Source,
    /// What the plugin may ask for.
    options: Arc<Options>,
}

impl Mechanism for Hosted {
    fn description(&self) -> &Description {
        &self.description
    }

    fn client(&'static self) -> Next {
        client::begin(self)
    }

    fn server(&'static self) -> Next {
        server::begin(self)
    }

    fn unavailable_reason(&'static self, side: Side, setup: Setup<'_>) -> Option<String> {
        let secrets = Abilities::PASSWORD.and(Abilities::CHALLENGE);
        match side {
            Side::Client if self.either && !setup.config.abilities.intersects(secrets) => {
                Some("there is no callback pass or challenge".into())
            }
            Side::Client => None,
            Side::Server => server::unavailable_reason(self, setup),
        }
    }

    fn keeps_secrets(&'static self) -> bool {
        self.description.serves(Side::Server) && server::keeps_secrets(self)
    }

    fn set_secret(
        &'static self,
        setup: Setup<'_>,
        user: &str,
        password: Option<&Secret>,
        flags: u32,
    ) -> Result<(), Error> {
        server::set_secret(self, setup, user, password, flags)
    }
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

    /// The options that the plugin may ask for.
    pub(super) fn options(&self) -> &Arc<Options> {
        &self.options
    }

    /// What the plugin computes with, where it looks up a password. It knows no verifier but SCRAM's own.
    pub(super) fn computes_with(&self) -> CredentialKind {
        match self.description.credential {
            scram @ CredentialKind::Scram(_) => scram,
            _ => CredentialKind::Password,
        }
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

/// What each file has for each set of options, once its functions have been called.
struct Known {
    source: &'static Source,
    of_options: Vec<(Arc<Options>, Vec<&'static Hosted>)>,
}

static SOURCES: Mutex<Vec<Known>> = Mutex::new(Vec::new());

/// The mechanisms of a file, and what is wrong with it. They stay as long as the process, once for each set of options.
fn hosted(
    file: &'static File,
    options: &Arc<Options>,
    own: &Registry,
    log: Option<&Log>,
) -> (Vec<&'static Hosted>, Vec<String>) {
    let mut sources = SOURCES.lock().unwrap_or_else(PoisonError::into_inner);
    let index = match sources.iter().position(|known| ptr::eq(known.source.file, file)) {
        Some(index) => index,
        None => {
            let global = Owned::global(Arc::clone(options), log.cloned());
            let tables: &'static Tables = Box::leak(Box::new(begin(file, &global)));
            let source = Box::leak(Box::new(Source {
                file,
                global,
                tables: AtomicPtr::new(ptr::from_ref(tables).cast_mut()),
                beginning: AtomicU32::new(tables.process),
            }));
            sources.push(Known { source, of_options: Vec::new() });
            sources.len() - 1
        }
    };
    let Known { source, of_options } = &mut sources[index];
    let tables = source.tables();
    if let Some((_, hosted)) = of_options.iter().find(|(known, _)| known == options) {
        return (hosted.clone(), tables.troubles.clone());
    }
    let described = descriptions(tables, own);
    let hosted: Vec<&'static Hosted> = described
        .into_iter()
        .map(|(description, base, either)| {
            let options = Arc::clone(options);
            &*Box::leak(Box::new(Hosted { description, base, either, source, options }))
        })
        .collect();
    of_options.push((Arc::clone(options), hosted.clone()));
    (hosted, tables.troubles.clone())
}

/// What a file's mechanisms are, each with its name in the plugin and whether a client needs one of two things.
fn descriptions(tables: &Tables, own: &Registry) -> Vec<(Description, &'static str, bool)> {
    let mut all = Vec::new();
    for plug in &tables.client {
        let Some(base) = name_of(plug.mech_name) else { continue };
        // Some find out for themselves whether they speak first: DIGEST-MD5 does when it has logged in there before. A program that sends its
        // initial response as the answer to a challenge would fail then, so what the standard says goes.
        let undecided = plug.features & (feature::SERVER_FIRST | feature::WANT_CLIENT_FIRST) == 0;
        let known = own.find(base, Side::Client);
        let first = match known.filter(|_| undecided) {
            Some(own) => own.first,
            None if plug.features & feature::SERVER_FIRST == 0 => Side::Client,
            None => Side::Server,
        };
        let (client_needs, either) = match known {
            _ if !plug.required_prompts.is_null() => (client_needs(plug.required_prompts), false),
            Some(own) => (own.client_needs, false),
            // Those that only plugins have may ask for a password or show a challenge.
            None => (Abilities::AUTHCID, true),
        };
        let features = (plug.max_ssf, plug.security_flags, plug.features);
        let described = Description { first, client_needs, ..described(Side::Client, base, features) };
        all.extend(variants(described, plug.features, own).map(|description| (description, base, either)));
    }
    for plug in &tables.server {
        let Some(base) = name_of(plug.mech_name) else { continue };
        let first = if plug.features & feature::WANT_CLIENT_FIRST == 0 { Side::Server } else { Side::Client };
        let server_needs = own.find(base, Side::Server).map_or(Abilities::NONE, |own| own.server_needs);
        let features = (plug.max_ssf, plug.security_flags, plug.features);
        let described = Description { first, server_needs, ..described(Side::Server, base, features) };
        all.extend(variants(described, plug.features, own).map(|description| (description, base, false)));
    }
    all
}

/// What a plugin says of a mechanism.
fn described(side: Side, base: &'static str, (max_ssf, flags, features): (c_uint, c_uint, c_uint)) -> Description {
    let security = security::ours(flags);
    // Where nobody is authenticated, the name that is sent is the trace of ANONYMOUS.
    let traces = !security.contains(SecurityFlags::NOANONYMOUS);
    let carries_authzid = features & feature::ALLOWS_PROXY != 0 || traces;
    Description { side: Some(side), max_ssf, security, carries_authzid, ..Description::new(base) }
}

/// The mechanism, and the variant that binds to a channel if the plugin has it. What only the registry knows is added.
fn variants(base: Description, features: c_uint, own: &Registry) -> impl Iterator<Item = Description> {
    let plus = (features & feature::CHANNEL_BINDING != 0 && base.name.len() <= 15).then(|| {
        let name: &'static str = Box::leak(format!("{}-PLUS", base.name).into_boxed_str());
        Description { name, binds: true, ..base.clone() }
    });
    let side = base.side.unwrap_or(Side::Client);
    let known: Vec<_> = std::iter::once(base).chain(plus).map(|one| (own.find(one.name, side), one)).collect();
    known.into_iter().map(|(known, one)| Description {
        rank: known.map_or_else(|| rank(&one), |own| own.rank),
        hash: known.and_then(|own| own.hash),
        credential: known.map_or(CredentialKind::None, |own| own.credential),
        ..one
    })
}

/// The preference of a mechanism that only a plugin has, by what it says of itself: always below what protects better
/// on the scale of [`authen_sasl_rust::mechanism`].
fn rank(described: &Description) -> u8 {
    let has = |flag| described.security.contains(flag);
    match described.max_ssf {
        _ if !has(SecurityFlags::NOANONYMOUS) => 0,
        _ if has(SecurityFlags::MUTUAL_AUTH) => 45,
        1.. => 29,
        0 if has(SecurityFlags::NOPLAINTEXT) => 19,
        0 => 9,
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
}

impl Plugins {
    /// Opens what is wished for. A file that cannot be used is listed in [`Plugins::refused`]. What a plugin does not say of its
    /// mechanisms, the program's own ones of the same name tell.
    ///
    /// # Errors
    /// [`Error::Outside`] for an option that cannot be given to a plugin.
    pub fn load(wish: &Wish, own: &Registry) -> Result<Plugins, Error> {
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
            let (mut hosted, mut troubles) = hosted(file, &options, own, None);
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
        Ok(Plugins { hosted: all, refused, prefer: wish.prefer })
    }

    /// The mechanism of that name, upper or lower case, that a plugin has for this side.
    pub fn find(&self, name: &str, side: Side) -> Option<&'static dyn Mechanism> {
        self.registry(&Registry::default()).find(name, side)
    }

    /// The program's own mechanisms together with these, the preferred ones first.
    pub fn registry(&self, own: &Registry) -> Registry {
        let hosted = self.hosted.iter().map(|hosted| *hosted as &'static dyn Mechanism);
        if self.prefer {
            Registry::new(hosted.chain(own.iter()))
        } else {
            Registry::new(own.iter().chain(hosted))
        }
    }

    /// All mechanisms, each with the plugin that it comes from.
    pub fn mechanisms(&self) -> impl Iterator<Item = (&'static Hosted, &'static File)> + '_ {
        self.hosted.iter().map(|hosted| (*hosted, hosted.source.file))
    }

    /// The files that are not used, or not in full, and why.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }
}

impl fmt::Debug for Plugins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.hosted.iter().map(|hosted| (hosted.name(), hosted.side()))).finish()
    }
}
