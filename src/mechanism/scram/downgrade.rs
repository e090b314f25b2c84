//! SASL SCRAM Downgrade Protection (XEP-0474, version 0.5.0 of 2025-10-25): `h=` among the extensions
//! of server-first-message is a hash of everything that the server has offered. Both proofs cover that message, so a man in
//! the middle who shortens the list of offers is detected.
//!
//! Only the application knows the offers. If they are set on a server (`offered_mechanisms`, and `offered_bindings` if it
//! announces types as in XEP-0440), it sends `h=`. If they are set on a client, it checks `h=`; without `h=`, the server
//! does not support this extension.
//!
//! TLS Channel-Binding Downgrade Protection (XEP-0515, version 0.1.0 of 2026-06-30): `t=` is the version of TLS that the server has,
//! as four hexadecimal digits. A man in the middle with another version on either side could leave the client only types of
//! channel binding that are weaker. A server sends it, and a client checks it, if the application has set `tls_version`.

use crate::config::Config;
use crate::crypto::hash::Hash;
use crate::error::{Error, PeerMisbehaved};
use crate::wire::names::words;
use crate::wire::scram::{print_base64, SERVER_FIRST};

/// The extensions of server-first-message: `h=`, `t=`, both, or none.
pub(super) fn extensions(hash: Hash, config: &Config) -> String {
    match (attribute(hash, config), config.tls_version()) {
        (Some(offers), Some(version)) => format!("{offers},t={version}"),
        (None, Some(version)) => format!("t={version}"),
        (offers, None) => offers.unwrap_or_default(),
    }
}

/// `h=...`, if the offers are known.
///
/// ```text
/// S = sorted mechanisms, 0x1E between [ 0x1F sorted binding types, 0x1E between ]     XEP-0474 §"hash"
/// h = base64(H(S)); H is the hash of the SCRAM mechanism in use
/// ```
fn attribute(hash: Hash, config: &Config) -> Option<String> {
    let mut offers = sorted(config.offered_mechanisms()?);
    if let Some(types) = config.offered_bindings() {
        offers.push('\x1f');
        offers.push_str(&sorted(types));
    }
    let mut out = b"h=".to_vec();
    print_base64(&hash.digest(offers.as_bytes()), &mut out);
    String::from_utf8(out).ok()
}

/// Sorted by their bytes (i;octet, RFC 4790 §9.3).
fn sorted(list: &str) -> String {
    let mut all: Vec<&str> = words(list).collect();
    all.sort_unstable();
    all.join("\x1e")
}

/// Compares each `h=` of the extensions with the received offers. If -PLUS is offered but there is no common type, the client
/// has sent `n`, and continues only if the server confirms its lists (business rule 6).
pub(super) fn check(extensions: &str, hash: Hash, config: &Config) -> Result<(), Error> {
    let misbehaved = |reason| Err(Error::misbehaved(SERVER_FIRST, reason));
    let mut theirs = extensions.split(',').filter(|extension| extension.starts_with("h=")).peekable();
    let expected = attribute(hash, config);
    let nothing_in_common = config.peer_offers_binding && !config.binding_data().is_empty() && !config.binds();
    if nothing_in_common && (expected.is_none() || theirs.peek().is_none()) {
        return misbehaved(PeerMisbehaved::NoCommonBinding);
    }
    let other_version = |ours: &str| {
        let versions = extensions.split(',').filter_map(|extension| extension.strip_prefix("t="));
        versions.into_iter().any(|theirs| theirs != ours)
    };
    if config.tls_version().is_some_and(other_version) {
        return misbehaved(PeerMisbehaved::TlsVersion);
    }
    match expected {
        Some(expected) if theirs.any(|theirs| theirs != expected) => misbehaved(PeerMisbehaved::OffersChanged),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offering(mechanisms: &str, bindings: Option<&str>) -> Config {
        let mut config = Config::default();
        config.set("offered_mechanisms", Some(mechanisms)).unwrap();
        config.set("offered_bindings", bindings).unwrap();
        config
    }

    /// XEP-0474, "Full Example".
    #[test]
    fn the_published_example() {
        let example = "h=G6k/rBLDqgOhRRaCuuatSDFkJ08=";
        for (mechanisms, bindings) in [
            ("SCRAM-SHA-1 SCRAM-SHA-1-PLUS", "tls-server-end-point tls-exporter"),
            ("SCRAM-SHA-1-PLUS,SCRAM-SHA-1", "\ttls-exporter,  tls-server-end-point "),
        ] {
            let config = offering(mechanisms, Some(bindings));
            assert_eq!(attribute(Hash::Sha1, &config).as_deref(), Some(example));
            assert_eq!(check(example, Hash::Sha1, &config), Ok(()));
            assert_eq!(check(&format!("x=y,{example}"), Hash::Sha1, &config), Ok(()));
        }
    }

    #[test]
    fn a_hash_of_other_offers_is_refused_wherever_it_stands() {
        let whole = offering("SCRAM-SHA-1 SCRAM-SHA-1-PLUS", Some("tls-exporter"));
        let sent = attribute(Hash::Sha1, &whole).unwrap();
        for (mechanisms, bindings) in [
            ("SCRAM-SHA-1", Some("tls-exporter")),
            ("SCRAM-SHA-1 SCRAM-SHA-1-PLUS", Some("tls-server-end-point")),
            ("SCRAM-SHA-1 SCRAM-SHA-1-PLUS", Some("")),
            ("SCRAM-SHA-1 SCRAM-SHA-1-PLUS", None),
            ("SCRAM-SHA-1 SCRAM-SHA-1-PLUS PLAIN", Some("tls-exporter")),
        ] {
            let config = offering(mechanisms, bindings);
            for extensions in
                [sent.clone(), format!("a=b,{sent}"), format!("{},{sent}", attribute(Hash::Sha1, &config).unwrap())]
            {
                assert!(check(&extensions, Hash::Sha1, &config).is_err(), "{mechanisms} {bindings:?} {extensions}");
            }
        }
        assert!(check(&sent, Hash::Sha256, &whole).is_err());
        assert!(check("h=x", Hash::Sha1, &whole).is_err());
    }

    #[test]
    fn another_version_of_tls_is_refused_wherever_it_stands() {
        let mut config = offering("SCRAM-SHA-1", None);
        config.set("tls_version", Some("0304")).unwrap();
        let sent = extensions(Hash::Sha1, &config);
        assert!(sent.starts_with("h=") && sent.ends_with(",t=0304"), "{sent}");
        for right in [&*sent, "t=0304", "a=b,t=0304", "", "a=b", "tt=0303"] {
            assert_eq!(check(right, Hash::Sha1, &config), Ok(()), "{right}");
        }
        for wrong in ["t=0303", "t=0304,t=0303", "a=b,t=", "t=304", "t=0304 ", "t=TLSv1.3"] {
            let refused = Err(Error::misbehaved(SERVER_FIRST, PeerMisbehaved::TlsVersion));
            assert_eq!(check(wrong, Hash::Sha1, &config), refused, "{wrong}");
        }
        assert_eq!(check("t=0303", Hash::Sha1, &Config::default()), Ok(()));
        let mut alone = Config::default();
        alone.set("tls_version", Some("0303")).unwrap();
        assert_eq!(extensions(Hash::Sha1, &alone), "t=0303");
        assert_eq!(extensions(Hash::Sha1, &Config::default()), "");
        for wrong in ["", "304", "00304", "030G", "030A"] {
            assert!(alone.set("tls_version", Some(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_unknown_is_not_checked() {
        assert_eq!(attribute(Hash::Sha1, &Config::default()), None);
        assert_eq!(check("h=anything", Hash::Sha1, &Config::default()), Ok(()));
        assert_eq!(check("", Hash::Sha1, &offering("SCRAM-SHA-1", None)), Ok(()));
    }
}
