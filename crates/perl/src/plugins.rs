//! The part of the C surface that deals with plugins; the rules are those of the crate.

use std::sync::{Arc, PoisonError, RwLock};

use authen_sasl_cyrus_host::{from_environment, LoadOptions, Plugins};
use authen_sasl_rust::contract::Side;
use authen_sasl_rust::error::{Application, Error, Subject};
use authen_sasl_rust::registry::Registry;
use authen_sasl_rust::secret::Secret;

use super::handle::Handle;
use super::shielded::{shielded, DEFECT};
use super::slice::Slice;

/// The mechanisms of connections: our own, and those of plugins.
#[derive(Clone)]
pub(super) struct Usable {
    pub plugins: Option<Arc<Plugins>>,
    pub registry: Arc<Registry>,
}

impl Usable {
    fn of(plugins: Option<Plugins>) -> Self {
        let own = authen_sasl_kerberos::registry();
        let registry = plugins.as_ref().map_or_else(|| Arc::clone(&own), |plugins| Arc::new(plugins.registry(&own)));
        Usable { plugins: plugins.map(Arc::new), registry }
    }
}

/// The mechanisms of new connections; `None` until the first connection is created.
static DEFAULT: RwLock<Option<Usable>> = RwLock::new(None);

/// The mechanisms of a new connection: those of the plugins that the program has loaded, else of those in the environment.
pub(super) fn default() -> Usable {
    if let Some(known) = &*DEFAULT.read().unwrap_or_else(PoisonError::into_inner) {
        return known.clone();
    }
    let found = Usable::of(shielded(None, || from_environment(&authen_sasl_kerberos::registry())));
    DEFAULT.write().unwrap_or_else(PoisonError::into_inner).get_or_insert(found).clone()
}

/// The mechanisms of a new connection.
pub(super) fn registry() -> Arc<Registry> {
    default().registry
}

/// Opens plugins, for a connection or, without a handle, for all new ones. `load` has names separated by blanks; it is absent
/// for all plugins. `options` has alternating names and values, each followed by a NUL. Returns 1 and the report of
/// [`asr_plugins_report`], or 0 and the reason. If one of the names has no mechanisms, the earlier plugins stay.
///
/// # Safety
/// The module's rules; `handle` may be null. The text is lent through `out` and freed by
/// [`super::slice::asr_text_free`].
#[no_mangle]
pub unsafe extern "C" fn asr_plugins_load(
    handle: *mut Handle,
    path: Slice,
    load: Slice,
    prefer: i32,
    options: Slice,
    out: *mut Slice,
    owner: *mut *mut String,
) -> i32 {
    // SAFETY: the module's rules.
    let (handle, path, load, options) = unsafe { (handle.as_mut(), path.text(), load.text(), options.text()) };
    let names: Vec<String> = load.iter().flat_map(|names| names.split_ascii_whitespace()).map(str::to_owned).collect();
    let loaded = shielded(Err(Error::System(DEFECT)), || {
        let options = options.unwrap_or_default();
        let mut words = options.split_terminator('\0');
        let mut pairs = Vec::new();
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            pairs.push((name.to_owned(), value.to_owned()));
        }
        let load = load.is_some().then(|| names.clone());
        Plugins::load(
            &LoadOptions { path, load, prefer: prefer != 0, options: pairs },
            &authen_sasl_kerberos::registry(),
        )
    });
    let (ok, text) = match loaded {
        Ok(plugins) => {
            let text = report(&plugins);
            // If a named plugin cannot be used, nothing changes, and the caller reports it.
            if names.iter().all(|name| plugins.mechanisms().any(|(_, file)| *file.name == **name)) {
                set(handle, Some(plugins));
            }
            (1, text)
        }
        Err(error) => (0, error.to_string()),
    };
    let text = Box::new(text);
    // SAFETY: the module's rules.
    unsafe {
        out.write(Slice::of(text.as_bytes()));
        owner.write(Box::into_raw(text));
    }
    ok
}

fn set(handle: Option<&mut Handle>, plugins: Option<Plugins>) {
    let usable = Usable::of(plugins);
    match handle {
        None => *DEFAULT.write().unwrap_or_else(PoisonError::into_inner) = Some(usable),
        Some(handle) => {
            handle.session.set_registry(usable.registry);
            handle.stale = true;
        }
    }
}

/// Disables plugins for a connection or, without a handle, for all new ones.
///
/// # Safety
/// The module's rules; `handle` may be null.
#[no_mangle]
pub unsafe extern "C" fn asr_plugins_none(handle: *mut Handle) {
    shielded((), || {
        // SAFETY: the module's rules.
        set(unsafe { handle.as_mut() }, None);
    });
}

/// The mechanisms of new connections, and the plugins that could not be loaded. Each entry has four texts, each followed by a
/// NUL: the plugin's name, its file, `client`, `server` or `refused`, and the mechanism or the reason.
///
/// # Safety
/// The module's rules. The text is lent through `out` and freed by [`super::slice::asr_text_free`].
#[no_mangle]
pub unsafe extern "C" fn asr_plugins_report(out: *mut Slice) -> *mut String {
    let text =
        Box::new(shielded(String::new(), || default().plugins.map(|plugins| report(&plugins)).unwrap_or_default()));
    // SAFETY: the module's rules.
    unsafe { out.write(Slice::of(text.as_bytes())) };
    Box::into_raw(text)
}

fn report(plugins: &Plugins) -> String {
    let mut text = String::new();
    let mut line = |words: [&str; 4]| {
        for word in words {
            text.extend(word.chars().filter(|c| *c != '\0'));
            text.push('\0');
        }
    };
    for (hosted, file) in plugins.mechanisms() {
        let side = if hosted.side() == Side::Client { "client" } else { "server" };
        line([&file.name, &file.path.to_string_lossy(), side, hosted.name()]);
    }
    for refused in plugins.refused() {
        line([&refused.name, &refused.path.to_string_lossy(), "refused", &refused.reason]);
    }
    text
}

/// Sets the secret that the connection's mechanism stores for a user; an absent password removes it. Returns 1 on success, 0
/// on failure, with the reason in [`super::asr_error`], and -1 if the mechanism stores none.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_setpass(handle: *mut Handle, user: Slice, password: Slice, flags: u32) -> i32 {
    // SAFETY: the module's rules.
    let (handle, user, password) =
        unsafe { (&mut *handle, user.name(Subject::UserName), password.bytes().map(Secret::new)) };
    let session = &handle.session;
    let stores = session.side() == Side::Server && session.accounts.is_some();
    let Some(mechanism) = session.mechanism().filter(|m| stores && m.keeps_secrets()) else {
        return -1;
    };
    let done = shielded(Err(Error::System(DEFECT)), || {
        let user = user?.filter(|name| !name.is_empty()).ok_or(Application::Empty(Subject::UserName))?;
        mechanism.set_secret(session.negotiation().setup, &user, password.as_ref(), flags)
    });
    handle.notice = done.err().map(Box::new);
    i32::from(handle.notice.is_none())
}
