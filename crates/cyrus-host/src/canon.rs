//! Canonical names of users: libsasl2's built-in rule, and canon_user plugins.

use std::ffi::{c_char, c_uint};
use std::path::PathBuf;
use std::sync::Arc;

use authen_sasl_rust::error::{Code, Error, Refused};

use super::inquiry::Inquiry;
use super::instances;
use super::journal::Log;
use super::loader::{self, Kind};
use super::names::trimmed;
use super::options::Options;
use saslplug::{code, CanonuserPlug, ServerParams};

/// `SASL_UNAVAIL`: the directory does not answer.
const UNAVAIL: i32 = Code::Unavail as i32;

/// Longest canonical name, in bytes; libsasl2's limit.
const LIMIT: usize = 1023;

/// The name of the built-in rule.
const INTERNAL: &str = "INTERNAL";

/// How names are canonicalized.
pub enum Canon {
    /// Blanks around the name are removed, and a name without a realm gets the server's, if there is one.
    Internal,
    /// By a plugin.
    Plugin(Box<str>, CanonuserPlug),
}

// SAFETY: the table's pointers lead into a plugin, which stays where it is and serves all threads.
unsafe impl Send for Canon {}
// SAFETY: as above; the table is only read.
unsafe impl Sync for Canon {}

impl Canon {
    /// The rule of that name (the option `canon_user_plugin`).
    ///
    /// # Errors
    /// [`Error::Outside`] if there is no such plugin, or it cannot be used.
    pub fn load(folders: &[PathBuf], name: &str, options: &Arc<Options>, log: Option<&Log>) -> Result<Self, Error> {
        if name.eq_ignore_ascii_case(INTERNAL) {
            return Ok(Canon::Internal);
        }
        let failed = |reason: String| Error::outside(Code::ConfigErr, format!("canon_user plugin {name}: {reason}"));
        let (files, refused) = loader::open(folders, Some(&[name]), Kind::Account);
        let Some(file) = files.first() else {
            return Err(failed(refused.into_iter().next().map(|refused| refused.reason).unwrap_or_default()));
        };
        let plug = instances::canonuser(file, options, log).map_err(failed)?;
        Ok(Canon::Plugin(file.name.clone(), plug))
    }

    /// The canonical form of a name on a server. `flags` has one identity or both (`SASL_CU_*`). `None` for a user that the
    /// plugin does not know.
    ///
    /// # Errors
    /// [`Error::Outside`] for a name that is blank or too long, and for a failure that does not depend on the user. Any other code
    /// of the plugin is [`Refused::Unusable`]: ldapdb reports unknown users in this way.
    pub fn name(&self, inquiry: &mut Inquiry, name: &str, flags: c_uint) -> Result<Option<String>, Error> {
        let wrong = |reason: &str| Error::outside(Code::BadProt, format!("the user name {reason}"));
        // A plugin that skips blanks may read before the beginning of the name.
        let name = trimmed(name.as_bytes()).ok_or_else(|| wrong("is empty, or holds a NUL character"))?;
        if name.len() > LIMIT {
            return Err(wrong("is too long to be made canonical"));
        }
        match self {
            Canon::Internal => {
                let realm = inquiry.realm().filter(|_| !name.contains('@'));
                Ok(Some(realm.map_or_else(|| name.to_owned(), |realm| format!("{name}@{realm}"))))
            }
            Canon::Plugin(plugin, plug) => {
                let canonicalize = plug.canon_user_server.ok_or_else(|| {
                    Error::outside(Code::ConfigErr, format!("canon_user plugin {plugin} has nothing for servers"))
                })?;
                // A NUL may be written after the longest name.
                let mut out = [0u8; LIMIT + 1];
                out[..name.len()].copy_from_slice(name.as_bytes());
                let mut length = 0;
                // In place, as saslplug.h allows: the name is in the buffer for the result.
                let result = inquiry.call(|params: *mut ServerParams| {
                    let buffer = out.as_mut_ptr().cast::<c_char>();
                    // SAFETY: the function has this type in saslplug.h; the buffer has the length that is named.
                    unsafe {
                        canonicalize(
                            plug.glob_context,
                            params,
                            buffer,
                            name.len() as c_uint,
                            flags,
                            buffer,
                            LIMIT as c_uint,
                            &mut length,
                        )
                    }
                });
                match result {
                    code::OK => {}
                    code::NOUSER => return Ok(None),
                    // This does not depend on the user.
                    code::NOMEM | code::BADPARAM | UNAVAIL => {
                        return Err(inquiry.failed("canon_user", plugin, result));
                    }
                    result => {
                        return Err(Refused::Unusable(Box::new(inquiry.failed("canon_user", plugin, result))).into())
                    }
                }
                let made =
                    out.get(..(length as usize).min(LIMIT)).and_then(trimmed).filter(|_| length as usize <= LIMIT);
                made.map(|name| Some(name.to_owned())).ok_or_else(|| {
                    Error::outside(Code::BadProt, format!("canon_user plugin {plugin} gave what is no user name"))
                })
            }
        }
    }
}
