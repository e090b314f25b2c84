//! Auxprop plugins: they look up, and store, the properties of users.

use std::ffi::{c_int, c_uint, CStr};
use std::path::PathBuf;
use std::sync::Arc;

use authen_sasl_rust::error::{Code, Error};
use authen_sasl_rust::secret::Secret;

use super::inquiry::{text, Inquiry};
use super::instances;
use super::journal::Log;
use super::loader::{self, Kind};
use super::options::Options;
use super::propctx::Context;
use super::search::Refused;
use super::sql::{Asked, Guard};
use saslplug::{code, AuxpropPlug};

/// Auxprop plugins, in the order in which they are asked.
#[derive(Default)]
pub struct Auxprops(Vec<Auxprop>);

struct Auxprop {
    name: Box<str>,
    plug: AuxpropPlug,
    /// For the sql plugin.
    guard: Option<Guard>,
}

// SAFETY: the tables point into plugins, which are never unloaded and serve all threads.
unsafe impl Send for Auxprops {}
// SAFETY: as above; the tables are only read.
unsafe impl Sync for Auxprops {}

impl Auxprop {
    /// The plugin to call, and the texts to pass to it.
    fn asked(&self, inquiry: &Inquiry, name: &CStr, values: Vec<Option<Secret>>) -> Result<Asked, Error> {
        match &self.guard {
            Some(guard) => guard.asked(&self.plug, name, inquiry.effective_realm(), values),
            None => Ok(Asked { plug: self.plug, name: name.to_owned(), values }),
        }
    }
}

impl Auxprops {
    /// Loads the plugins of these names, in order, or all. Unusable ones are listed in the result.
    pub fn load(
        folders: &[PathBuf],
        names: Option<&[&str]>,
        options: &Arc<Options>,
        log: Option<&Log>,
    ) -> (Self, Vec<Refused>) {
        let (mut files, mut refused) = loader::open(folders, names, Kind::Account);
        if let Some(names) = names {
            files.sort_by_key(|file| names.iter().position(|name| name.eq_ignore_ascii_case(&file.name)));
        }
        for name in names.unwrap_or_default() {
            let seen = files.iter().any(|file| file.name.eq_ignore_ascii_case(name))
                || refused.iter().any(|other| other.name.eq_ignore_ascii_case(name));
            if !seen {
                let reason = "it has no auxprop plugin".to_owned();
                refused.push(Refused { name: (*name).into(), path: PathBuf::new(), reason });
            }
        }
        let mut plugins = Vec::new();
        for file in files.into_iter().filter(|file| names.is_some() || file.auxprop.is_some()) {
            let plugin = instances::auxprop(file, options, log)
                .and_then(|plug| Guard::of(&plug, file, options, log).map(|guard| (plug, guard)));
            match plugin {
                Ok((plug, guard)) => plugins.push(Auxprop { name: file.name.clone(), plug, guard }),
                Err(reason) => refused.push(Refused { name: file.name.clone(), path: file.path.clone(), reason }),
            }
        }
        (Auxprops(plugins), refused)
    }

    /// True if there are no plugins.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if one of the plugins stores properties.
    pub fn can_store(&self) -> bool {
        self.0.iter().any(|plugin| plugin.plug.auxprop_store.is_some())
    }

    /// Looks up the properties that the inquiry asks for: with [`saslplug::flag::AUXPROP_AUTHZID`] those of an authorization
    /// identity, else those with a star before their name. All plugins are asked, and later ones add
    /// what earlier ones did not find. False if no plugin knows the user.
    ///
    /// # Errors
    /// [`Error::Outside`] if no plugin knows the user and one has failed: that one might know the user.
    pub fn look_up(&self, inquiry: &mut Inquiry, flags: c_uint, user: &str) -> Result<bool, Error> {
        let given = text("user name", user)?;
        let (mut known, mut failure) = (false, None);
        for plugin @ Auxprop { name, .. } in &self.0 {
            let (plug, user) = match plugin.asked(inquiry, &given, Vec::new()) {
                Ok(Asked { plug, name, .. }) => (plug, name),
                Err(error) => {
                    failure = failure.or(Some(error));
                    continue;
                }
            };
            let Some(lookup) = plug.auxprop_lookup else { continue };
            // SAFETY: the function has this type in saslplug.h; the user's name has a NUL behind it.
            let result = inquiry.call(|params| unsafe {
                lookup(plug.glob_context, params, flags, user.as_ptr(), user.as_bytes().len() as c_uint)
            });
            match result {
                code::OK => known = true,
                code::NOUSER | code::NOMECH => {}
                result => failure = failure.or(Some(inquiry.failed("auxprop", name, result))),
            }
        }
        match failure {
            Some(failure) if !known => Err(failure),
            _ => Ok(known),
        }
    }

    /// Stores properties of a user with each plugin that can do so. A name without a value is removed.
    ///
    /// # Errors
    /// [`Error::Outside`] if a plugin fails, or if no plugin stores anything.
    pub fn store(&self, inquiry: &mut Inquiry, values: &[(&str, Option<&Secret>)], user: &str) -> Result<(), Error> {
        let given = text("user name", user)?;
        let names = values.iter().map(|(name, _)| text("property", name)).collect::<Result<Vec<_>, _>>()?;
        let mut stored = false;
        for plugin @ Auxprop { name, plug, .. } in &self.0 {
            let Some(store) = plug.auxprop_store else { continue };
            let mut context = Context::new();
            names.iter().for_each(|name| context.request(name.clone()));
            let values = values.iter().map(|(_, value)| value.cloned()).collect();
            let asked = plugin.asked(inquiry, &given, values)?;
            for (name, value) in names.iter().zip(&asked.values) {
                if let Some(value) = value {
                    context.set(name, value.expose());
                }
            }
            let (plug, user, context) = (asked.plug, asked.name, context.pointer());
            // SAFETY: the function has this type in saslplug.h; the user's name has a NUL behind it.
            let result: c_int = inquiry.call(|params| unsafe {
                store(plug.glob_context, params, context, user.as_ptr(), user.as_bytes().len() as c_uint)
            });
            if result != code::OK {
                // A log line may contain a part of the statement, with the password.
                inquiry.forget_log();
                return Err(inquiry.failed("auxprop", name, result));
            }
            stored = true;
        }
        if stored {
            return Ok(());
        }
        Err(Error::outside(Code::NoChange, "none of the auxprop plugins stores properties"))
    }

    /// The names of the plugins.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|plugin| &*plugin.name)
    }
}
