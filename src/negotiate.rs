//! Choice of the mechanism: what the caller names, by what the policy allows and the application
//! can answer, with the reason for each one refused.

use crate::config::{BindingPolicy, Config};
use crate::contract::{Abilities, Mechanism, SecurityFlags, Side};
use crate::error::{printable, Error, Policy};
use crate::mechanism;

/// Mechanism names of a list that are considered, at most; the rest of a longer list is ignored.
pub const NAMES_LIMIT: usize = 256;
/// Names whose refusal has its reason in the error text, at most.
pub const REASONS_LIMIT: usize = 32;
/// What of an unknown name is repeated in the error text, in bytes.
const SHOWN_LIMIT: usize = 32;

/// Why this mechanism may not be used on this side of this connection; `None` if it may.
pub fn refusal(mechanism: &'static Mechanism, side: Side, config: &Config) -> Option<String> {
    let wanted = config.secflags;
    for (name, flag) in SecurityFlags::NAMES {
        let below_tls = flag == SecurityFlags::NOPLAINTEXT && config.allows_plaintext();
        if wanted.contains(flag) && !mechanism.security.contains(flag) && !below_tls {
            return Some(format!("it does not satisfy the security flag {name}"));
        }
    }
    if config.min_ssf > config.external_ssf.saturating_add(mechanism.max_ssf) {
        return Some(format!("minssf {} is out of its reach, which is {}", config.min_ssf, mechanism.max_ssf));
    }
    let binds = mechanism.name.ends_with("-PLUS");
    if binds && !config.binds() {
        return Some(match (config.binding_policy, config.offered_bindings()) {
            (BindingPolicy::Disable, _) => "channel binding is disabled (channel_binding_policy)".into(),
            (_, Some(_)) => "there is no channel binding data of a type that is offered (offered_bindings)".into(),
            (_, None) => "there is no channel binding data (property tls or channel_binding)".into(),
        });
    }
    if config.binding_policy == BindingPolicy::Require && !binds {
        return Some("channel binding is required (channel_binding_policy) and it has none".into());
    }
    if side == Side::Client && !mechanism.carries_authzid && config.abilities.contains(Abilities::ACTS_AS_OTHER) {
        return Some("it cannot ask to act as another user (callback authname differs from user)".into());
    }
    let missing = match side {
        Side::Client => missing_answers(mechanism.client_needs, config.abilities),
        Side::Server => {
            let needs = mechanism.server_needs;
            (needs != Abilities::NONE && !config.answered().intersects(needs)).then(|| callbacks(needs).join(" or "))
        }
    };
    missing
        .map(|names| format!("there is no callback {names}"))
        .or_else(|| config.accounts().filter(|_| side == Side::Server)?.excluded(mechanism))
        .or_else(|| unfit_accounts(mechanism, side, config))
        .or_else(|| (mechanism.unavailable)(mechanism, side, config))
}

/// Why the accounts of a server cannot serve this mechanism, where its application has no callback that does.
fn unfit_accounts(mechanism: &'static Mechanism, side: Side, config: &Config) -> Option<String> {
    let needs = mechanism.server_needs;
    if side == Side::Client || needs == Abilities::NONE || config.abilities.intersects(needs) {
        return None;
    }
    config.accounts()?.unfit(mechanism)
}

fn missing_answers(needs: Abilities, has: Abilities) -> Option<String> {
    let missing = Abilities(needs.0 & !has.0);
    (missing != Abilities::NONE).then(|| callbacks(missing).join(", no callback "))
}

/// The callbacks' names that stand for these abilities.
fn callbacks(abilities: Abilities) -> Vec<&'static str> {
    [
        (Abilities::AUTHCID, "user"),
        (Abilities::AUTHZID, "authname"),
        (Abilities::PASSWORD, "pass"),
        (Abilities::TOKEN, "token"),
        (Abilities::CHECK_PASSWORD, "checkpass"),
        (Abilities::CREDENTIALS, "getsecret"),
        (Abilities::CHECK_TOKEN, "checktoken"),
    ]
    .into_iter()
    .filter(|(ability, _)| abilities.contains(*ability))
    .map(|(_, name)| name)
    .collect()
}

/// The mechanism of that name for this side of this connection, upper or lower case: our own one, or a plugin's.
pub fn find(name: &str, side: Side, config: &Config) -> Option<&'static Mechanism> {
    let own = mechanism::find(name);
    let Some(plugins) = config.plugins() else { return own };
    let hosted = plugins.find(name, side);
    if plugins.preferred() {
        hosted.or(own)
    } else {
        own.or(hosted)
    }
}

/// The names in a caller's list: whatever is no character of a mechanism's name separates
/// (RFC 4422 §3.1).
pub fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_')
        .filter(|name| !name.is_empty())
        .take(NAMES_LIMIT)
}

/// The name as the list spells it, if the list holds it in upper or lower case.
fn listed<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    names(list).find(|listed| listed.eq_ignore_ascii_case(name))
}

/// The name as the list spells it. Programs take the name of a mechanism that failed out of their list and try again, which
/// would never end if it came back in another case.
pub fn spelling<'a>(list: &'a str, name: &'a str) -> &'a str {
    listed(list, name).unwrap_or(name)
}

/// True if the list holds that name, in upper or lower case.
pub fn lists(list: &str, name: &str) -> bool {
    listed(list, name).is_some()
}

/// True if the list holds a mechanism that a client may use with a password. EXTERNAL, which asks, is none of them.
pub fn lists_password(list: &str, config: &Config) -> bool {
    names(list)
        .filter_map(|name| find(name, Side::Client, config))
        .filter(|mechanism| mechanism.client_needs.contains(Abilities::PASSWORD))
        .any(|mechanism| refusal(mechanism, Side::Client, config).is_none())
}

/// True if the list holds a -PLUS variant, in upper or lower case.
pub fn offers_binding(list: &str) -> bool {
    names(list).any(|name| name.len() > 5 && name[name.len() - 5..].eq_ignore_ascii_case("-PLUS"))
}

/// True if a server that names this list offers a -PLUS variant: one that it may use.
pub fn binds(list: &str, config: &Config) -> bool {
    let usable = |mechanism| refusal(mechanism, Side::Server, config).is_none();
    config.binds()
        && names(list)
            .filter(|name| offers_binding(name))
            .filter_map(|name| find(name, Side::Server, config))
            .any(usable)
}

/// All mechanisms of the list that may be used, the strongest first, ties in the list's order.
pub fn usable(list: &str, side: Side, config: &Config) -> Vec<&'static Mechanism> {
    let mut found: Vec<&'static Mechanism> = Vec::new();
    for mechanism in names(list).filter_map(|name| find(name, side, config)) {
        if !found.iter().any(|m| m.name == mechanism.name) && refusal(mechanism, side, config).is_none() {
            found.push(mechanism);
        }
    }
    found.sort_by_key(|m| std::cmp::Reverse(m.rank));
    found
}

/// The strongest mechanism of the list that may be used.
///
/// # Errors
/// [`Policy::NoMechanism`], whose text names each mechanism of the list with its reason.
pub fn choose(list: &str, side: Side, config: &Config) -> Result<&'static Mechanism, Error> {
    let mut best: Option<&'static Mechanism> = None;
    for mechanism in names(list).filter_map(|name| find(name, side, config)) {
        if best.is_none_or(|b| mechanism.rank > b.rank) && refusal(mechanism, side, config).is_none() {
            best = Some(mechanism);
        }
    }
    best.ok_or_else(|| Policy::NoMechanism(reasons(list, side, config)).into())
}

/// One clause for each name of the list.
fn reasons(list: &str, side: Side, config: &Config) -> String {
    let clauses: Vec<String> = names(list)
        .take(REASONS_LIMIT)
        .map(|name| match find(name, side, config) {
            Some(mechanism) => match refusal(mechanism, side, config) {
                Some(reason) => format!("{}: {reason}", mechanism.name),
                None => format!("{}: it is usable", mechanism.name),
            },
            None => format!("{}: it is unknown here", printable(&name.as_bytes()[..name.len().min(SHOWN_LIMIT)])),
        })
        .collect();
    if clauses.is_empty() {
        return "none was named".into();
    }
    clauses.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::field_reassign_with_default)] // Config has a private field
    fn able() -> Config {
        let mut config = Config::default();
        config.abilities = Abilities::AUTHCID.and(Abilities::PASSWORD);
        config
    }

    #[test]
    fn the_strongest_wins_and_ties_go_by_the_list() {
        assert_eq!(choose("ANONYMOUS PLAIN", Side::Client, &able()).unwrap().name, "PLAIN");
        assert_eq!(choose("plain,external", Side::Client, &able()).unwrap().name, "EXTERNAL");
    }

    #[test]
    fn nothing_named_is_refused_and_never_means_all() {
        for list in ["", " ", "!!!", "\u{e4}\u{f6}", "NO-SUCH-MECHANISM"] {
            assert!(
                matches!(choose(list, Side::Client, &able()), Err(Error::Policy(Policy::NoMechanism(_)))),
                "{list}"
            );
        }
    }

    #[test]
    fn each_refusal_has_its_reason() {
        let mut config = able();
        config.secflags = SecurityFlags::NOPLAINTEXT;
        let text = choose("PLAIN NOSUCH", Side::Client, &config).unwrap_err().to_string();
        assert!(text.contains("PLAIN: it does not satisfy the security flag noplaintext"), "{text}");
        assert!(text.contains("NOSUCH: it is unknown here"), "{text}");
        config.external_ssf = 128;
        assert_eq!(choose("PLAIN", Side::Client, &config).unwrap().name, "PLAIN");
        config.abilities = Abilities::NONE;
        let text = choose("PLAIN", Side::Client, &config).unwrap_err().to_string();
        assert!(text.contains("no callback user, no callback pass"), "{text}");
    }

    #[test]
    fn a_name_is_told_as_the_list_spells_it() {
        assert_eq!(spelling("login,Plain PLAIN", "PLAIN"), "Plain");
        assert_eq!(spelling("SCRAM-SHA-1-PLUS scram-sha-1", "SCRAM-SHA-1"), "scram-sha-1");
        assert_eq!(spelling("PLAIN", "OTP"), "OTP");
    }

    /// CVE-2025-49146: channel binding required, then a mechanism without it.
    #[test]
    fn cve_2025_49146() {
        let mut config = able();
        config.binding_policy = BindingPolicy::Require;
        assert!(choose("PLAIN EXTERNAL", Side::Client, &config).is_err());
    }
}
