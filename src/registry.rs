//! The mechanisms that a program has put together.

use std::fmt;

use crate::contract::Mechanism;
use crate::error::Side;

/// Mechanisms by name. Where two of one name serve the same side, the first is taken.
#[derive(Clone, Default)]
pub struct Registry(Vec<&'static dyn Mechanism>);

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
        Registry(mechanisms.into_iter().collect())
    }

    /// The mechanism of that name, upper or lower case, that serves the side.
    pub fn find(&self, name: &str, side: Side) -> Option<&'static dyn Mechanism> {
        self.0.iter().copied().find(|mechanism| mechanism.serves(side) && mechanism.name.eq_ignore_ascii_case(name))
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &'static dyn Mechanism> + '_ {
        self.0.iter().copied()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}
