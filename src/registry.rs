//! The mechanisms that a program has put together.

use std::fmt;

use crate::contract::{Description, Mechanism};
use crate::error::Side;

/// Mechanisms by name. Where two of one name serve the same side, the first is taken.
///
/// Each stands next to its description, so that a search needs no virtual call for each mechanism that it passes.
#[derive(Clone, Default)]
pub struct Registry(Vec<(&'static Description, &'static dyn Mechanism)>);

impl Registry {
    /// A registry of these mechanisms, the preferred ones of each name first.
    ///
    /// ```
    /// use authen_sasl_rust::contract::Side;
    /// use authen_sasl_rust::{mechanism, registry::Registry};
    ///
    /// let strong = Registry::new(mechanism::ALL.iter().copied().filter(|mechanism| mechanism.rank >= 50));
    /// assert!(strong.find("scram-sha-256", Side::Server).is_some());
    /// assert!(strong.find("PLAIN", Side::Server).is_none());
    /// ```
    pub fn new(mechanisms: impl IntoIterator<Item = &'static dyn Mechanism>) -> Self {
        Registry(mechanisms.into_iter().map(|mechanism| (mechanism.description(), mechanism)).collect())
    }

    /// The mechanism of that name, upper or lower case, that serves the side.
    pub fn find(&self, name: &str, side: Side) -> Option<&'static dyn Mechanism> {
        let found = self.0.iter().find(|(it, _)| it.name.eq_ignore_ascii_case(name) && it.serves(side));
        found.map(|(_, mechanism)| *mechanism)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &'static dyn Mechanism> + '_ {
        self.0.iter().map(|(_, mechanism)| *mechanism)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
