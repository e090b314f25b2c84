//! Channel binding: the data, which of it may be used, and whether it must be.

use crate::error::Error;

use super::{option, words, Config, BINDINGS_LIMIT, VALUE_LIMIT};

/// Whether channel binding is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BindingPolicy {
    /// Never, even where binding data is at hand.
    Disable,
    /// Where both sides can.
    #[default]
    Allow,
    /// Always: every mechanism and message without it is refused.
    Require,
}

/// Data of the TLS connection that an exchange is bound to (RFC 5056).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelBinding {
    /// The type's name, for instance `tls-exporter`.
    pub kind: String,
    /// Its bytes.
    pub data: Vec<u8>,
}

impl BindingPolicy {
    const NAMES: [(&'static str, Self); 3] =
        [("disable", BindingPolicy::Disable), ("allow", BindingPolicy::Allow), ("require", BindingPolicy::Require)];

    /// The policy of that name; without one, the default.
    pub(super) fn find(name: Option<&str>) -> Result<Self, Error> {
        let Some(name) = name else { return Ok(BindingPolicy::default()) };
        let found = BindingPolicy::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, policy)| *policy).ok_or_else(|| option("channel_binding_policy", "disable, allow or require"))
    }

    pub(super) fn name(self) -> &'static str {
        BindingPolicy::NAMES.iter().find(|(_, policy)| *policy == self).map_or("", |(name, _)| name)
    }
}

impl Config {
    /// The types of channel binding that the server offers by name (XEP-0440).
    pub fn offered_bindings(&self) -> Option<&str> {
        self.rare.as_ref()?.offered_bindings.as_deref()
    }

    /// The channel bindings that may be used, the preferred one first; none if the policy disables
    /// them, and none of a type that is not offered, where it is known what is.
    pub fn bindings(&self) -> impl Iterator<Item = &ChannelBinding> {
        let offered = self.offered_bindings();
        self.binding_data().iter().filter(move |b| offered.is_none_or(|list| words(list).any(|w| w == b.kind)))
    }

    /// All data at hand, of types that are not offered too; none if the policy disables them.
    pub fn binding_data(&self) -> &[ChannelBinding] {
        match &self.rare {
            Some(rare) if self.binding_policy != BindingPolicy::Disable => &rare.bindings,
            _ => &[],
        }
    }

    /// True if there is channel binding data that may be used.
    pub fn binds(&self) -> bool {
        self.bindings().next().is_some()
    }

    /// The data of the binding of that type.
    pub fn binding(&self, kind: &str) -> Option<&[u8]> {
        self.bindings().find(|b| b.kind == kind).map(|b| b.data.as_slice())
    }

    /// Adds a channel binding, or replaces the one of the same type.
    ///
    /// # Errors
    /// [`Application::Option`] for a type that could not stand in a GS2 header (RFC 5801 §4), for data of no
    /// bytes, which would bind to nothing, and above [`VALUE_LIMIT`] and [`BINDINGS_LIMIT`].
    pub fn set_binding(&mut self, binding: ChannelBinding) -> Result<(), Error> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'-';
        if binding.kind.is_empty() || !binding.kind.bytes().all(fits) {
            return Err(option("channel_binding", "types of letters, digits, dots and hyphens"));
        }
        if binding.data.is_empty() {
            return Err(option("channel_binding", "data of at least one byte for each type"));
        }
        if binding.kind.len() > VALUE_LIMIT || binding.data.len() > VALUE_LIMIT {
            return Err(option("channel_binding", "types and data of at most 65536 bytes"));
        }
        let bindings = &mut self.rare().bindings;
        bindings.retain(|b| b.kind != binding.kind);
        if bindings.len() == BINDINGS_LIMIT {
            return Err(option("channel_binding", "data of at most 16 types"));
        }
        bindings.push(binding);
        bindings.sort_by(|a, b| preference(&a.kind).cmp(&preference(&b.kind)).then_with(|| a.kind.cmp(&b.kind)));
        Ok(())
    }

    /// Forgets all channel bindings.
    pub fn forget_bindings(&mut self) {
        if let Some(rare) = &mut self.rare {
            rare.bindings.clear();
        }
    }
}

/// Types of channel binding that both sides have: the sooner, the better. The exporter is of this
/// connection alone (RFC 9266 §4), the end point's is that of a certificate (RFC 5929 §4.2);
/// tls-unique is for old TLS, and the weaker one where sessions are resumed (RFC 7627 §1).
fn preference(kind: &str) -> u8 {
    match kind {
        "tls-exporter" => 0,
        "tls-server-end-point" => 1,
        "tls-unique" => 2,
        _ => 3,
    }
}
