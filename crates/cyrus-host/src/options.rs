//! The plugins to load, and the options for plugins, by their names in a Cyrus configuration.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::fmt;

use authen_sasl_rust::error::{Code, Error};

/// The plugins to load, and their folders.
#[derive(Debug, Default, Clone)]
pub struct LoadOptions {
    /// The folders, separated by colons; else those of `SASL_PATH` or the system's.
    pub path: Option<String>,
    /// The names of the plugins; `None` for all in the folders.
    pub load: Option<Vec<String>>,
    /// Prefer a plugin's mechanism to our own of the same name.
    pub prefer: bool,
    /// Options that the plugins may ask for.
    pub options: Vec<(String, String)>,
}

/// Options by name. Their values may be passwords (`sql_passwd`), so they are never printed.
#[derive(Default, PartialEq)]
pub struct Options(BTreeMap<Box<[u8]>, CString>);

impl Options {
    /// Sets an option; a later one wins.
    ///
    /// # Errors
    /// [`Error::Outside`] for a value with a NUL, which ends a text for a plugin.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let value = CString::new(value)
            .map_err(|_| Error::outside(Code::ConfigErr, format!("the option {name} has a NUL byte in its value")))?;
        self.0.insert(name.as_bytes().into(), value);
        Ok(())
    }

    /// A copy of the options.
    #[cfg(hosts_plugins)]
    pub(super) fn copy(&self) -> Self {
        Options(self.0.clone())
    }

    /// The value of an option.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.find(name.as_bytes()).and_then(|value| value.to_str().ok())
    }

    /// The value for a plugin.
    pub(super) fn find(&self, name: &[u8]) -> Option<&CStr> {
        self.0.get(name).map(CString::as_c_str)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys().map(|name| String::from_utf8_lossy(name))).finish()
    }
}
