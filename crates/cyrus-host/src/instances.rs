//! Instances of account plugins: one per configuration, which lives as long as the process.
//!
//! Such a plugin reads its settings in its init function. It keeps them in statics (ldapdb), or behind pointers in statics
//! (sql), or keeps pointers to the texts of the options (ldapdb again). So each configuration gets its own copy of the file,
//! and its options live as long as the process.

use std::ffi::{c_int, CString};
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use authen_sasl_rust::error::Code;

use super::connection::NoHooks;
use super::journal::Log;
use super::loader::File;
use super::options::Options;
use super::owned::Owned;
use saslplug::{code, version, AuxpropPlug, CanonuserPlug, Init};

/// A file in one configuration.
struct Instance {
    /// The file as it was first opened.
    file: &'static File,
    /// The copy that this configuration uses.
    copy: &'static File,
    options: Arc<Options>,
    /// Its utils belong to the plugin as long as the process lives.
    global: Owned,
    auxprop: Option<AuxpropPlug>,
    canonuser: Option<CanonuserPlug>,
}

// SAFETY: the tables' pointers lead into the plugin, which stays where it is and serves all threads.
unsafe impl Send for Instance {}

static INSTANCES: Mutex<Vec<&'static mut Instance>> = Mutex::new(Vec::new());

/// The auxprop plugin of a file.
///
/// # Errors
/// In words, why it cannot be used.
pub fn auxprop(file: &'static File, options: &Arc<Options>, log: Option<&Log>) -> Result<AuxpropPlug, String> {
    with(file, options, |instance| {
        if let Some(plug) = instance.auxprop {
            return Ok(plug);
        }
        let init = instance.copy.auxprop.ok_or("it has no auxprop plugin")?;
        let plug = begin(instance, init, version::AUXPROP, "auxprop", log)?;
        if plug.auxprop_lookup.is_none() {
            return Err("its auxprop plugin looks nothing up".into());
        }
        instance.auxprop = Some(plug);
        Ok(plug)
    })
}

/// The canon_user plugin of a file.
///
/// # Errors
/// In words, why it cannot be used.
pub fn canonuser(file: &'static File, options: &Arc<Options>, log: Option<&Log>) -> Result<CanonuserPlug, String> {
    with(file, options, |instance| {
        if let Some(plug) = instance.canonuser {
            return Ok(plug);
        }
        let init = instance.copy.canonuser.ok_or("it has no canon_user plugin")?;
        let plug = begin(instance, init, version::CANONUSER, "canon_user", log)?;
        instance.canonuser = Some(plug);
        Ok(plug)
    })
}

fn with<T>(
    file: &'static File,
    options: &Arc<Options>,
    work: impl FnOnce(&mut Instance) -> Result<T, String>,
) -> Result<T, String> {
    let mut all = INSTANCES.lock().unwrap_or_else(PoisonError::into_inner);
    let known = all.iter().position(|instance| ptr::eq(instance.file, file) && instance.options == *options);
    let index = match known {
        Some(index) => index,
        None => {
            let first = !all.iter().any(|instance| ptr::eq(instance.file, file));
            let copy = if first { file } else { file.again()? };
            let global = Owned::global(Arc::clone(options), None);
            let options = Arc::clone(options);
            let instance = Instance { file, copy, options, global, auxprop: None, canonuser: None };
            all.push(Box::leak(Box::new(instance)));
            all.len() - 1
        }
    };
    work(all[index])
}

/// Calls the entry function of a plugin, and copies its table.
fn begin<Plug: Copy>(
    instance: &Instance,
    init: Init<Plug>,
    ours: c_int,
    kind: &str,
    log: Option<&Log>,
) -> Result<Plug, String> {
    let caller = Owned::new(Arc::clone(&instance.options), log.cloned(), Box::new(NoHooks));
    let name = CString::new(&*instance.file.name).map_err(|_| "its name has a NUL character")?;
    let (mut theirs, mut plug) = (0, ptr::null_mut::<Plug>());
    // SAFETY: the function has this type in saslplug.h; the utils live as long as the process.
    let result =
        caller.during(|| unsafe { init(instance.global.utils(), ours, &mut theirs, &mut plug, name.as_ptr()) });
    let said = caller.take_reason().map(|text| format!(": {text}")).unwrap_or_default();
    if result == code::BADVERS || result == code::OK && theirs != ours {
        return Err(format!("version {theirs} of the {kind} interface was found, and this host supports {ours}{said}"));
    }
    if result != code::OK {
        return Err(format!("its {kind} function failed with {}{said}", Code::of(result).name()));
    }
    if plug.is_null() {
        return Err(format!("its {kind} function gave no plugin"));
    }
    // SAFETY: the plugin has set its table.
    Ok(unsafe { plug.read() })
}
