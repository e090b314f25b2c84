//! The mechanisms of the opened files, and the registry of a connection.

use std::ffi::{c_uint, c_ulong, CStr, CString};
use std::fmt;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use authen_sasl_rust::contract::{Abilities, CredentialKind, Description, Mechanism, Next, SecurityFlags, Setup, Side};
use authen_sasl_rust::error::{Error, Rejection, Subject};
use authen_sasl_rust::registry::Registry;
use authen_sasl_rust::secret::Secret;

use super::hosted::{Hosted, Source, Tables};
use super::journal::Log;
use super::loader::{self, File, Kind};
use super::options::{LoadOptions, Options};
use super::owned::Owned;
use super::search::{folders, Refused};
use super::{client, server};
use saslplug::{callback, feature, security};

/// Its server has a defect (CVE-2026-129483), so the mechanism is used only if its plugin is named.
const SRP: &str = "SRP";

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

    fn unavailable_reason(&'static self, side: Side, setup: Setup<'_>) -> Option<Rejection> {
        let secrets = Abilities::PASSWORD.union(Abilities::CHALLENGE);
        match side {
            Side::Client if self.either && !setup.config.abilities.intersects(secrets) => {
                Some(Rejection::MissingAny([Subject::Password, Subject::ChallengeAnswer].into()))
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

/// A file whose functions were called, with its mechanisms for each set of options.
struct Known {
    source: &'static Source,
    of_options: Vec<(Arc<Options>, Vec<&'static Hosted>)>,
}

static SOURCES: Mutex<Vec<Known>> = Mutex::new(Vec::new());

/// The mechanisms of a file, and what is wrong with it. They are created once for each set of options, and are never freed.
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
            let source = Box::leak(Box::new(Source::of(file, global)));
            sources.push(Known { source, of_options: Vec::new() });
            sources.len() - 1
        }
    };
    let Known { source, of_options } = &mut sources[index];
    let tables = source.tables();
    if let Some((_, hosted)) = of_options.iter().find(|(known, _)| known == options) {
        return (hosted.clone(), tables.errors.clone());
    }
    let described = descriptions(tables, own);
    let hosted: Vec<&'static Hosted> = described
        .into_iter()
        .map(|(description, base, either)| {
            let options = Arc::clone(options);
            let text: &'static CStr = Box::leak(CString::new(description.name).unwrap_or_default().into_boxed_c_str());
            &*Box::leak(Box::new(Hosted { description, base, text, either, source, options }))
        })
        .collect();
    of_options.push((Arc::clone(options), hosted.clone()));
    (hosted, tables.errors.clone())
}

/// The descriptions of a file's mechanisms, each with its name in the plugin, and whether a client needs one of two answers.
fn descriptions(tables: &Tables, own: &Registry) -> Vec<(Description, &'static str, bool)> {
    let mut all = Vec::new();
    for &(base, plug) in &tables.client {
        // Some plugins decide themselves which side sends first: DIGEST-MD5 sends first if it has logged in there before. A program
        // that sends its initial response as the answer to a challenge would then fail, so the standard's rule is used.
        let undecided = plug.features & (feature::SERVER_FIRST | feature::WANT_CLIENT_FIRST) == 0;
        let known = own.find(base, Side::Client);
        let first = match known.filter(|_| undecided) {
            Some(own) => own.first,
            None if plug.features & feature::SERVER_FIRST == 0 => Side::Client,
            None => Side::Server,
        };
        let (client_needs, either) = match known {
            _ if !plug.required_prompts.is_null() => (client_needs(plug.required_prompts), false),
            Some(own) if own.credential != CredentialKind::Otp => (own.client_needs, false),
            // Mechanisms that only plugins have may ask for a password or show a challenge, and so does OTP.
            Some(own) => (own.client_needs, true),
            None => (Abilities::AUTHCID, true),
        };
        let features = (plug.max_ssf, plug.security_flags, plug.features);
        let described = Description { first, client_needs, ..described(Side::Client, base, features) };
        all.extend(variants(described, plug.features, own).map(|description| (description, base, either)));
    }
    for &(base, plug) in &tables.server {
        let first = if plug.features & feature::WANT_CLIENT_FIRST == 0 { Side::Server } else { Side::Client };
        // The plugin does not say which credential it needs. It reads and writes the state of OTP itself.
        let credential = own.find(base, Side::Server).map_or(CredentialKind::None, |own| own.credential);
        let credential = if credential == CredentialKind::Otp { CredentialKind::None } else { credential };
        let features = (plug.max_ssf, plug.security_flags, plug.features);
        let described = Description { first, credential, ..described(Side::Server, base, features) };
        all.extend(variants(described, plug.features, own).map(|description| (description, base, false)));
    }
    all
}

/// A plugin's data about a mechanism.
fn described(side: Side, base: &'static str, (max_ssf, flags, features): (c_uint, c_uint, c_uint)) -> Description {
    let security = security::ours(flags);
    // An anonymous mechanism sends the name as its trace.
    let traces = !security.contains(SecurityFlags::NOANONYMOUS);
    let carries_authzid = features & feature::ALLOWS_PROXY != 0 || traces;
    Description { side: Some(side), max_ssf, security, carries_authzid, ..Description::new(base) }
}

/// The mechanism, and its variant with channel binding if the plugin has it. The rank of known mechanisms is that of the
/// program's own registry.
fn variants(base: Description, features: c_uint, own: &Registry) -> impl Iterator<Item = Description> + '_ {
    let plus = (features & feature::CHANNEL_BINDING != 0 && base.name.len() <= 15).then(|| {
        let name: &'static str = Box::leak(format!("{}-PLUS", base.name).into_boxed_str());
        Description { name, binds: true, ..base.clone() }
    });
    std::iter::once(base).chain(plus).map(|one| {
        let known = one.side.and_then(|side| own.find(one.name, side));
        Description { rank: known.map_or_else(|| rank(&one), |own| own.rank), ..one }
    })
}

/// The rank of a mechanism that only a plugin has, by its security flags. On the scale of [`authen_sasl_rust::mechanism`] it
/// is always below mechanisms that protect better.
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

/// What a client must provide: the prompts that the plugin requires.
fn client_needs(prompts: *const c_ulong) -> Abilities {
    let mut needs = Abilities::NONE;
    for index in 0..32 {
        // SAFETY: the list ends with LIST_END (saslplug.h).
        match unsafe { prompts.add(index).read() } {
            callback::LIST_END => break,
            callback::AUTHNAME => needs = needs.union(Abilities::AUTHCID),
            callback::PASS => needs = needs.union(Abilities::PASSWORD),
            _ => {}
        }
    }
    needs
}

/// The plugins of a connection.
pub struct Plugins {
    hosted: Vec<&'static Hosted>,
    refused: Vec<Refused>,
    prefer: bool,
}

impl Plugins {
    /// Opens plugins. Files that cannot be used are listed in [`Plugins::refused`]. What a plugin does not say about a mechanism
    /// is taken from the program's own mechanism of the same name.
    ///
    /// # Errors
    /// [`Error::Outside`] for an option that cannot be passed to a plugin.
    pub fn load(wanted: &LoadOptions, own: &Registry) -> Result<Plugins, Error> {
        let mut options = Options::default();
        for (name, value) in &wanted.options {
            options.set(name, value)?;
        }
        let options = Arc::new(options);
        let names: Option<Vec<&str>> = wanted.load.as_ref().map(|names| names.iter().map(String::as_str).collect());
        let folders = folders(wanted.path.as_deref());
        let (files, mut refused) = loader::open(&folders, names.as_deref(), Kind::Mechanism);
        let mut all: Vec<&'static Hosted> = Vec::new();
        for file in files {
            let (mut hosted, mut errors) = hosted(file, &options, own, None);
            if names.is_none() && hosted.iter().any(|hosted| hosted.base == SRP) {
                hosted.retain(|hosted| hosted.base != SRP);
                errors.push(format!("its {SRP} is used only if the plugin is named: see CVE-2026-129483"));
            }
            refused.extend(errors.into_iter().map(|reason| Refused {
                name: file.name.clone(),
                path: file.path.clone(),
                reason,
            }));
            all.extend(hosted);
        }
        Ok(Plugins { hosted: all, refused, prefer: wanted.prefer })
    }

    /// The mechanism of that name, upper or lower case, that a plugin has for this side.
    pub fn find(&self, name: &str, side: Side) -> Option<&'static dyn Mechanism> {
        self.registry(&Registry::default()).find(name, side)
    }

    /// The program's own mechanisms and these, the preferred ones first.
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

    /// The files that are not used, or only in part, and why.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }
}

impl fmt::Debug for Plugins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.hosted.iter().map(|hosted| (hosted.name(), hosted.side()))).finish()
    }
}
