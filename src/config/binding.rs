//! Channel binding: the policy, and the data.

use crate::error::{Application, Error};

use super::limits::{BINDINGS_LIMIT, VALUE_LIMIT};

/// Whether channel binding is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BindingPolicy {
    /// Never, even if there is binding data.
    Disable,
    /// If both sides can.
    #[default]
    Allow,
    /// Always: mechanisms and messages without it are refused.
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

    pub(super) fn find(name: &str) -> Option<Self> {
        BindingPolicy::NAMES.iter().find(|(known, _)| *known == name).map(|(_, policy)| *policy)
    }

    pub(super) fn name(self) -> &'static str {
        BindingPolicy::NAMES.iter().find(|(_, policy)| *policy == self).map_or("", |(name, _)| name)
    }
}

/// Adds a binding, in the order of preference, or replaces the one of the same type.
pub(super) fn insert(bindings: &mut Vec<ChannelBinding>, binding: ChannelBinding) -> Result<(), Error> {
    let wrong = |range| Err(Application::Option { name: "channel_binding", range }.into());
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'-';
    if binding.kind.is_empty() || !binding.kind.bytes().all(fits) {
        return wrong("types of letters, digits, dots and hyphens");
    }
    if binding.data.is_empty() {
        return wrong("data of at least one byte for each type");
    }
    if binding.kind.len() > VALUE_LIMIT || binding.data.len() > VALUE_LIMIT {
        return wrong("types and data of at most 65536 bytes");
    }
    bindings.retain(|b| b.kind != binding.kind);
    if bindings.len() == BINDINGS_LIMIT {
        return wrong("data of at most 16 types");
    }
    bindings.push(binding);
    let old_tls = bindings.iter().any(|b| b.kind == "tls-unique");
    let preference = |b: &ChannelBinding| preference(&b.kind, old_tls);
    bindings.sort_by(|a, b| preference(a).cmp(&preference(b)).then_with(|| a.kind.cmp(&b.kind)));
    Ok(())
}

/// Types of channel binding, in order of preference. Before TLS 1.3, tls-unique is the default type (RFC 5802 §6.1,
/// RFC 9266 §2), and servers have no exporter. TLS 1.3 has no tls-unique. There, tls-exporter is preferred because it
/// identifies the connection; tls-server-end-point identifies only a certificate (RFC 9266 §4, RFC 5929 §4.2).
fn preference(kind: &str, old_tls: bool) -> u8 {
    match kind {
        "tls-unique" => 0,
        "tls-server-end-point" if old_tls => 1,
        "tls-exporter" => 2,
        "tls-server-end-point" => 3,
        _ => 4,
    }
}
