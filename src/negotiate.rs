//! Chooses a mechanism: one that the caller names, the policy allows, and the application can answer for. It has a reason
//! for each one rejected.
//!
//! ```
//! use authen_sasl_rust::config::Config;
//! use authen_sasl_rust::contract::{Abilities, Setup, Side};
//! use authen_sasl_rust::{mechanism, negotiate::Negotiation};
//!
//! let registry = mechanism::registry();
//! let mut config = Config::default();
//! config.abilities = Abilities::AUTHCID.union(Abilities::PASSWORD);
//! config.set("secflags", Some("noplaintext"))?;
//! let client = Negotiation { side: Side::Client, registry: &registry, setup: Setup::of(&config) };
//! assert_eq!(client.choose("PLAIN SCRAM-SHA-256")?.name, "SCRAM-SHA-256");
//! assert_eq!(
//!     client.choose("PLAIN NTLM").unwrap_err().to_string(),
//!     "no mechanism is usable: PLAIN: it does not satisfy the security flag noplaintext; NTLM: not supported"
//! );
//! # Ok::<(), authen_sasl_rust::error::Error>(())
//! ```

use crate::accounts::Accounts;
use crate::config::BindingPolicy;
use crate::contract::{Abilities, Description, Mechanism, SecurityFlags, Setup, Side};
use crate::error::{printable, Error, Policy, Rejected, Rejection, Subject};
use crate::registry::Registry;

pub use crate::wire::names::{lists, names, offers_binding, spelling, NAMES_LIMIT};

/// Maximum number of mechanisms whose rejection an error text explains.
pub const REASONS_LIMIT: usize = 32;
/// How much of an unknown name an error text repeats, in bytes.
const SHOWN_LIMIT: usize = 32;

/// One side of a connection: everything on which the choice of its mechanism depends.
#[derive(Clone, Copy)]
pub struct Negotiation<'a> {
    /// The side.
    pub side: Side,
    /// The mechanisms of the program.
    pub registry: &'a Registry,
    /// Its options and accounts.
    pub setup: Setup<'a>,
}

impl Negotiation<'_> {
    /// Why this mechanism may not be used; `None` if it may.
    pub fn rejection_reason(&self, mechanism: &'static dyn Mechanism) -> Option<Rejection> {
        let config = self.setup.config;
        let wanted = config.secflags;
        for (name, flag) in SecurityFlags::NAMES {
            let below_tls = flag == SecurityFlags::NOPLAINTEXT && config.allows_plaintext();
            if wanted.contains(flag) && !mechanism.security.contains(flag) && !below_tls {
                return Some(Rejection::SecurityFlag(name));
            }
        }
        if config.min_ssf > config.external_ssf.saturating_add(mechanism.max_ssf) {
            let (wanted, offered) = (config.min_ssf, mechanism.max_ssf);
            return Some(Rejection::Strength { wanted, offered });
        }
        if mechanism.binds && !config.binds() {
            return Some(match (config.binding_policy, config.offered_bindings()) {
                (BindingPolicy::Disable, _) => Rejection::BindingDisabled,
                (_, Some(_)) => Rejection::BindingNotOffered,
                (_, None) => Rejection::NoBindingData,
            });
        }
        if let Some(kind) = mechanism.binding_type.filter(|kind| config.binding(kind).is_none()) {
            return Some(Rejection::NoBindingOfType(kind));
        }
        if config.binding_policy == BindingPolicy::Require && !mechanism.binds {
            return Some(Rejection::BindingRequired);
        }
        let acts_as_other = config.abilities.contains(Abilities::ACTS_AS_OTHER);
        if self.side == Side::Client && !mechanism.carries_authzid && acts_as_other {
            return Some(Rejection::NoAuthzid);
        }
        self.missing_answers(mechanism)
            .or_else(|| self.accounts()?.excluded_reason(mechanism).map(Rejection::from))
            .or_else(|| self.unfit_accounts(mechanism).map(Rejection::from))
            .or_else(|| mechanism.unavailable_reason(self.side, self.setup))
    }

    /// The accounts of a server.
    fn accounts(&self) -> Option<&dyn Accounts> {
        self.setup.accounts.filter(|_| self.side == Side::Server).map(|accounts| &**accounts)
    }

    /// Questions of the mechanism that neither the application nor the accounts answer.
    fn missing_answers(&self, mechanism: &Description) -> Option<Rejection> {
        match self.side {
            Side::Client => {
                let given = self.setup.config.abilities;
                let mut missing = Abilities(mechanism.client_needs.0 & !given.0);
                let keys = mechanism.credential.hash().map(Abilities::scram_keys);
                if missing == Abilities::PASSWORD && keys.is_some_and(|keys| given.contains(keys)) {
                    missing = Abilities::NONE;
                }
                (missing != Abilities::NONE).then(|| Rejection::MissingAll(subjects(missing)))
            }
            Side::Server => {
                let needs = mechanism.server_needs();
                let answered = needs == Abilities::NONE || self.setup.answered().intersects(needs);
                (!answered).then(|| Rejection::MissingAny(subjects(needs)))
            }
        }
    }

    /// Why the accounts of a server cannot serve this mechanism. `None` if the application answers for itself.
    fn unfit_accounts(&self, mechanism: &Description) -> Option<String> {
        let needs = mechanism.server_needs();
        if needs == Abilities::NONE || self.setup.config.abilities.intersects(needs) {
            return None;
        }
        self.accounts()?.unfit_reason(mechanism)
    }

    /// The mechanism of that name, upper or lower case.
    pub fn find(&self, name: &str) -> Option<&'static dyn Mechanism> {
        self.registry.find(name, self.side)
    }

    /// True if the list has a mechanism of this kind that may be used.
    fn any(&self, list: &str, kind: impl Fn(&Description) -> bool) -> bool {
        names(list)
            .filter_map(|name| self.find(name))
            .any(|mechanism| kind(mechanism.description()) && self.rejection_reason(mechanism).is_none())
    }

    /// True if the list has a mechanism that a client may use with a password. (EXTERNAL checks this.)
    pub fn lists_password(&self, list: &str) -> bool {
        self.any(list, |mechanism| mechanism.client_needs.contains(Abilities::PASSWORD))
    }

    /// True if a server that names this list offers a -PLUS mechanism that it may use. Mechanisms whose names say the type have no
    /// GS2 header, so a client that says `y` there does not speak of them (RFC 5802 §6).
    pub fn binds(&self, list: &str) -> bool {
        self.setup.config.binds() && self.any(list, |mechanism| mechanism.binds && mechanism.binding_type.is_none())
    }

    /// All mechanisms of the list that may be used, the strongest first. Equal ones keep the order of the list.
    pub fn usable(&self, list: &str) -> Vec<&'static dyn Mechanism> {
        let mut found: Vec<&'static dyn Mechanism> = Vec::new();
        for mechanism in names(list).filter_map(|name| self.find(name)) {
            if !found.iter().any(|m| m.name == mechanism.name) && self.rejection_reason(mechanism).is_none() {
                found.push(mechanism);
            }
        }
        found.sort_by_key(|m| std::cmp::Reverse(m.rank));
        found
    }

    /// The strongest mechanism of the list that may be used.
    ///
    /// # Errors
    /// [`Policy::NoMechanism`] with the reason for each mechanism of the list.
    pub fn choose(&self, list: &str) -> Result<&'static dyn Mechanism, Error> {
        let mut best: Option<&'static dyn Mechanism> = None;
        for mechanism in names(list).filter_map(|name| self.find(name)) {
            if best.is_none_or(|b| mechanism.rank > b.rank) && self.rejection_reason(mechanism).is_none() {
                best = Some(mechanism);
            }
        }
        best.ok_or_else(|| Policy::NoMechanism(self.reasons(list)).into())
    }

    /// Each name of the list, the first [`REASONS_LIMIT`] of them: the mechanism that may be used, or why it may not.
    pub fn verdicts<'l>(
        &'l self,
        list: &'l str,
    ) -> impl Iterator<Item = Result<&'static dyn Mechanism, Rejected>> + 'l {
        names(list).take(REASONS_LIMIT).map(|name| {
            let mechanism = self
                .find(name)
                .ok_or_else(|| Rejected { mechanism: shown(name).into(), reason: Rejection::NotSupported })?;
            match self.rejection_reason(mechanism) {
                Some(reason) => Err(Rejected { mechanism: mechanism.name.into(), reason }),
                None => Ok(mechanism),
            }
        })
    }

    /// Why each mechanism of the list may not be used.
    fn reasons(&self, list: &str) -> Box<[Rejected]> {
        self.verdicts(list).filter_map(Result::err).collect()
    }
}

/// The error for a single mechanism.
pub fn rejected(name: &str, reason: Rejection) -> Error {
    Policy::NoMechanism([Rejected { mechanism: shown(name).into(), reason }].into()).into()
}

/// A name that may come from a peer, safe to show.
fn shown(name: &str) -> String {
    printable(&name.as_bytes()[..name.len().min(SHOWN_LIMIT)])
}

/// The subjects of these abilities.
fn subjects(abilities: Abilities) -> Box<[Subject]> {
    [
        (Abilities::AUTHCID, Subject::Authcid),
        (Abilities::AUTHZID, Subject::Authzid),
        (Abilities::PASSWORD, Subject::Password),
        (Abilities::TOKEN, Subject::Token),
        (Abilities::HT_TOKEN, Subject::HtToken),
        (Abilities::CHECK_PASSWORD, Subject::PasswordCheck),
        (Abilities::CREDENTIALS, Subject::StoredSecret),
        (Abilities::CHECK_TOKEN, Subject::TokenCheck),
        (Abilities::HT_TOKENS, Subject::HtTokens),
        (Abilities::OTP, Subject::OtpState),
    ]
    .into_iter()
    .filter(|(ability, _)| abilities.contains(*ability))
    .map(|(_, subject)| subject)
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::mechanism;

    fn choose(list: &str, config: &Config) -> Result<&'static dyn Mechanism, Error> {
        let registry = Registry::new(mechanism::ALL.iter().copied());
        Negotiation { side: Side::Client, registry: &registry, setup: Setup::of(config) }.choose(list)
    }

    #[allow(clippy::field_reassign_with_default)] // Config has a private field
    fn able() -> Config {
        let mut config = Config::default();
        config.abilities = Abilities::AUTHCID.union(Abilities::PASSWORD);
        config
    }

    #[test]
    fn the_strongest_wins_and_ties_go_by_the_list() {
        assert_eq!(choose("ANONYMOUS PLAIN", &able()).unwrap().name, "PLAIN");
        assert_eq!(choose("plain,external", &able()).unwrap().name, "EXTERNAL");
    }

    #[test]
    fn nothing_named_is_refused_and_never_means_all() {
        for list in ["", " ", "!!!", "\u{e4}\u{f6}", "NO-SUCH-MECHANISM"] {
            assert!(matches!(choose(list, &able()), Err(Error::Policy(Policy::NoMechanism(_)))), "{list}");
        }
    }

    #[test]
    fn each_refusal_has_its_reason() {
        let mut config = able();
        config.secflags = SecurityFlags::NOPLAINTEXT;
        let text = choose("PLAIN NOSUCH", &config).unwrap_err().to_string();
        assert!(text.contains("PLAIN: it does not satisfy the security flag noplaintext"), "{text}");
        assert!(text.contains("NOSUCH: not supported"), "{text}");
        config.external_ssf = 128;
        assert_eq!(choose("PLAIN", &config).unwrap().name, "PLAIN");
        config.abilities = Abilities::NONE;
        let text = choose("PLAIN", &config).unwrap_err().to_string();
        assert!(text.contains("PLAIN: there is no authentication identity, no password"), "{text}");
    }

    /// CVE-2025-49146: channel binding required, then a mechanism without it.
    #[test]
    fn cve_2025_49146() {
        let mut config = able();
        config.binding_policy = BindingPolicy::Require;
        assert!(choose("PLAIN EXTERNAL", &config).is_err());
    }
}
