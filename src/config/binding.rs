//! Channel binding: the data, which of it may be used, and whether it must be.

use crate::error::Error;
use crate::wire::names::{offers_binding, words};

use super::{option, Config, BINDINGS_LIMIT, VALUE_LIMIT};

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

    /// Server: true if clients were offered a -PLUS variant, so that one which says that it was offered none
    /// (`y`) has read a list that was changed on the way (RFC 5802 §6).
    pub fn offers_binding(&self) -> bool {
        self.offered_mechanisms().map_or(self.lists_binding, offers_binding)
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
        let old_tls = bindings.iter().any(|b| b.kind == "tls-unique");
        let preference = |b: &ChannelBinding| preference(&b.kind, old_tls);
        bindings.sort_by(|a, b| preference(a).cmp(&preference(b)).then_with(|| a.kind.cmp(&b.kind)));
        Ok(())
    }

    /// Forgets all channel bindings.
    pub fn forget_bindings(&mut self) {
        if let Some(rare) = &mut self.rare {
            rare.bindings.clear();
        }
    }
}

/// Types of channel binding, the preferred one first. Before TLS 1.3, which alone has no tls-unique, that is the default
/// type (RFC 5802 §6.1, RFC 9266 §2), and servers there have no exporter. With TLS 1.3 the exporter, which is of this
/// connection alone, comes before the end point, which is of a certificate (RFC 9266 §4, RFC 5929 §4.2).
fn preference(kind: &str, old_tls: bool) -> u8 {
    match kind {
        "tls-unique" => 0,
        "tls-server-end-point" if old_tls => 1,
        "tls-exporter" => 2,
        "tls-server-end-point" => 3,
        _ => 4,
    }
}
