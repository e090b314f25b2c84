//! SASL SCRAM Downgrade Protection (XEP-0474, version 0.5.0 of 2025-10-25): `h=` among the extensions
//! of server-first-message is a hash of everything that the server has offered. Both proofs cover that message, so a man in
//! the middle who shortens the list of offers is detected.
//!
//! Only the application knows the offers. If they are set on a server (`offered_mechanisms`, and `offered_bindings` if it
//! announces types as in XEP-0440), it sends `h=`. If they are set on a client, it checks `h=`; without `h=`, the server
//! does not support this extension.

use crate::config::Config;
use crate::crypto::hash::Hash;
use crate::error::{Error, PeerMisbehaved};
use crate::wire::names::words;
use crate::wire::scram::{print_base64, SERVER_FIRST};

/// `h=...`, if the offers are known.
///
/// ```text
/// S = sorted mechanisms, 0x1E between [ 0x1F sorted binding types, 0x1E between ]     XEP-0474 §"hash"
/// h = base64(H(S)); H is the hash of the SCRAM mechanism in use
/// ```
pub(super) fn attribute(hash: Hash, config: &Config) -> Option<String> {
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
    fn what_is_unknown_is_not_checked() {
        assert_eq!(attribute(Hash::Sha1, &Config::default()), None);
        assert_eq!(check("h=anything", Hash::Sha1, &Config::default()), Ok(()));
        assert_eq!(check("", Hash::Sha1, &offering("SCRAM-SHA-1", None)), Ok(()));
    }
}
