//! A build without plugins: the feature `plugins` is off, or the host does not support the system or processor (build.rs).
//! Loading plugins is an error; everything else works.

use std::fmt;
use std::path::PathBuf;

use authen_sasl_rust::accounts::Accounts;
use authen_sasl_rust::config::Config;
use authen_sasl_rust::contract::{Abilities, Answer, Mechanism, Question, Side};
use authen_sasl_rust::error::{Code, Error};
use authen_sasl_rust::registry::Registry;

use super::journal::Log;
use super::options::{LoadOptions, Options};
use super::search::Refused;

fn absent() -> Error {
    Error::outside(Code::NoMech, "this build cannot load the plugins of Cyrus SASL (docs/platforms.md)")
}

/// A plugin's file. There is none.
#[derive(Debug)]
pub struct File {
    /// The plugin's name.
    pub name: Box<str>,
    /// Where it was found.
    pub path: PathBuf,
}

/// A plugin's mechanism. There is none.
pub enum Hosted {}

impl Hosted {
    /// The name under which it is used.
    pub fn name(&self) -> &'static str {
        match *self {}
    }

    /// The side that it serves.
    pub fn side(&self) -> Side {
        match *self {}
    }
}

/// The plugins of a connection: no value of this type exists.
#[derive(Debug)]
pub enum Plugins {}

impl Plugins {
    /// Refuses.
    ///
    /// # Errors
    /// [`Error::Outside`], always.
    pub fn load(_wanted: &LoadOptions, _own: &Registry) -> Result<Plugins, Error> {
        Err(absent())
    }

    /// The mechanism of that name, upper or lower case, that a plugin has for this side.
    pub fn find(&self, _name: &str, _side: Side) -> Option<&'static dyn Mechanism> {
        match *self {}
    }

    /// The program's own mechanisms.
    pub fn registry(&self, _own: &Registry) -> Registry {
        match *self {}
    }

    /// All mechanisms, each with the plugin that it comes from.
    pub fn mechanisms(&self) -> impl Iterator<Item = (&'static Hosted, &'static File)> + '_ {
        std::iter::empty()
    }

    /// The files that are not used.
    pub fn refused(&self) -> &[Refused] {
        match *self {}
    }
}

/// The accounts of plugins: no value of this type exists.
pub enum CyrusAccounts {}

impl CyrusAccounts {
    /// Refuses.
    ///
    /// # Errors
    /// [`Error::Outside`], always.
    pub fn new(_folders: &[PathBuf], _options: Options, _log: Option<Log>) -> Result<Self, Error> {
        Err(absent())
    }

    /// The plugins that cannot be used.
    pub fn refused(&self) -> &[Refused] {
        match *self {}
    }
}

impl Accounts for CyrusAccounts {
    fn abilities(&self) -> Abilities {
        match *self {}
    }

    fn answer(&self, _question: &Question, _config: &Config) -> Result<Answer, Error> {
        match *self {}
    }
}

impl fmt::Debug for CyrusAccounts {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_for_plugins_is_told() {
        for refused in [
            Plugins::load(&LoadOptions::default(), &Registry::default()).err(),
            CyrusAccounts::new(&[], Options::default(), None).err(),
        ] {
            let text = refused.unwrap().to_string();
            assert!(text.starts_with("this build cannot load the plugins of Cyrus SASL"), "{text}");
        }
        assert!(super::super::from_environment(&Registry::default()).is_none());
    }
}
