//! The registry: the mechanisms of a program.

use std::fmt;

use crate::contract::{Description, Mechanism};
use crate::error::Side;

/// Mechanisms by name. If two with the same name serve the same side, the first is used.
///
/// Each is stored with its description, so that a search makes no virtual call per mechanism.
#[derive(Clone, Default)]
pub struct Registry(Vec<(&'static Description, &'static dyn Mechanism)>);

impl Registry {
    /// A registry of these mechanisms. Of several with the same name, the preferred one comes first.
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

    /// All mechanisms, in order.
    pub fn iter(&self) -> impl Iterator<Item = &'static dyn Mechanism> + '_ {
        self.0.iter().map(|(_, mechanism)| *mechanism)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
