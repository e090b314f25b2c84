//! One question to account plugins: a connection, parameters, and properties.

use std::ffi::{c_uint, CString};
use std::ptr;
use std::sync::Arc;

use authen_sasl_rust::config::Config;
use authen_sasl_rust::contract::Side;
use authen_sasl_rust::error::{Code, Error};

use super::connection::NoHooks;
use super::journal::Log;
use super::options::Options;
use super::owned::Owned;
use super::parameters::ConnectionFacts;
use super::propctx::Context;
use super::utils;
use saslplug::{callback, Callback, ServerParams};

/// One question. It belongs to one thread, so nothing is shared or locked.
pub struct Inquiry {
    params: ServerParams,
    /// The properties that are asked for, and their values.
    pub properties: Box<Context>,
    connection: Owned,
    // What the parameters point to.
    facts: ConnectionFacts,
    realm: Option<CString>,
    _callbacks: Box<Callback>,
}

impl Inquiry {
    /// A question about users of a realm, or of the server's own.
    ///
    /// # Errors
    /// [`Error::Outside`] or [`authen_sasl_rust::error::Application::Unusable`] for a text with a NUL.
    pub fn new(options: &Arc<Options>, log: Option<&Log>, config: &Config, realm: Option<&str>) -> Result<Self, Error> {
        let facts = ConnectionFacts::of(config, Side::Server)?;
        let realm = realm.filter(|realm| !realm.is_empty()).map(|realm| text("realm", realm)).transpose()?;
        let connection = Owned::new(Arc::clone(options), log.cloned(), Box::new(NoHooks));
        facts.tell(&connection, c"");
        let callbacks = Box::new(Callback { id: callback::LIST_END, proc: None, context: ptr::null_mut() });
        let mut properties = Context::new();
        let mut params = facts.server(&connection, &raw const *callbacks, utils::canon_user, properties.pointer());
        params.user_realm = realm.as_ref().map_or(ptr::null(), |realm| realm.as_ptr());
        params.urlen = realm.as_ref().map_or(0, |realm| realm.as_bytes().len() as c_uint);
        Ok(Inquiry { params, properties, connection, facts, realm, _callbacks: callbacks })
    }

    /// Calls a plugin with the parameters. Earlier errors of other plugins are discarded.
    pub fn call<T>(&mut self, plugin: impl FnOnce(*mut ServerParams) -> T) -> T {
        let params = &raw mut self.params;
        self.connection.take_reason();
        self.connection.during(|| plugin(params))
    }

    /// The realm of the users.
    pub fn realm(&self) -> Option<&str> {
        self.realm.as_ref()?.to_str().ok()
    }

    /// The realm that plugins use for a user without one: if none is set, it is the server's host.
    pub fn effective_realm(&self) -> &[u8] {
        self.realm.as_deref().unwrap_or(self.facts.host()).to_bytes()
    }

    /// Discards the errors that the plugin has logged.
    pub fn forget_log(&self) {
        self.connection.forget_log();
    }

    /// The failure of a plugin: its name, the code, and the errors that it has reported or logged.
    pub fn failed(&self, kind: &str, plugin: &str, result: i32) -> Error {
        let code = Code::of(result);
        let said = self.connection.take_reason().map(|text| format!(": {text}")).unwrap_or_default();
        Error::outside(code, format!("{kind} plugin {plugin} failed with {}{said}", code.name()))
    }
}

/// A text for a plugin.
///
/// # Errors
/// [`Error::Outside`] if there is a NUL in it.
pub fn text(what: &str, value: &str) -> Result<CString, Error> {
    CString::new(value).map_err(|_| Error::outside(Code::BadProt, format!("there is a NUL character in the {what}")))
}
