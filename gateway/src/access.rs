//! Access rules: which user may reach which backend, and from where.

use std::net::IpAddr;

use authen_sasl_rust::wire::saslprep;
use serde::Deserialize;

use crate::network::{any_contains, Network};

/// User names, of which a `*` at the end matches any ending, and the backend that these users reach.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub users: Vec<String>,
    /// Only clients from there. Without it, from anywhere.
    pub networks: Option<Vec<Network>>,
    #[serde(default = "default_backend")]
    pub backend: String,
}

fn default_backend() -> String {
    "default".into()
}

impl Rule {
    /// User names are prepared with SASLprep before they are compared, so an unprepared pattern would never match.
    pub fn check(&self) -> Result<(), String> {
        for pattern in &self.users {
            let name = pattern.strip_suffix('*').unwrap_or(pattern);
            match saslprep::query(name) {
                _ if name.is_empty() => {}
                Ok(prepared) if prepared == name => {}
                Ok(prepared) => {
                    let star = &pattern[name.len()..];
                    return Err(format!(
                        "access: {pattern:?} never matches: SASLprep turns it into '{prepared}{star}'"
                    ));
                }
                Err(_) => return Err(format!("access: {pattern:?} is not a valid user name: SASLprep forbids it")),
            }
        }
        Ok(())
    }

    /// A client on a Unix socket has no address.
    fn matches(&self, user: &str, address: Option<IpAddr>) -> bool {
        let is_there = |networks: &Vec<Network>| address.is_some_and(|address| any_contains(networks, address));
        if !self.networks.as_ref().is_none_or(is_there) {
            return false;
        }
        self.users.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => user.starts_with(beginning),
            None => pattern == user,
        })
    }
}

/// The backend name of the first rule that matches the user, or `None` if no rule does. Without any rules, all users reach
/// `default`.
pub fn backend_of<'r>(rules: &'r [Rule], user: &str, address: Option<IpAddr>) -> Option<&'r str> {
    if rules.is_empty() {
        return Some("default");
    }
    rules.iter().find(|rule| rule.matches(user, address)).map(|rule| rule.backend.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rule = |users: &[&str], backend: &str| Rule {
            users: users.iter().map(|user| user.to_string()).collect(),
            networks: None,
            backend: backend.into(),
        };
        let rules = [rule(&["fred", "worker-*"], "low"), rule(&["fred", "*"], "default")];
        assert_eq!(backend_of(&rules, "fred", None), Some("low"));
        assert_eq!(backend_of(&rules, "worker-1", None), Some("low"));
        assert_eq!(backend_of(&rules, "worker", None), Some("default"));
        assert_eq!(backend_of(&rules[..1], "worker", None), None);
        assert_eq!(backend_of(&rules[..1], "", None), None);
        assert_eq!(backend_of(&[], "anyone", None), Some("default"));
    }

    #[test]
    fn a_rule_may_be_for_some_networks_only() {
        let inside = Rule {
            users: vec!["*".into()],
            networks: Some(vec![Network::parse("192.0.2.0/24").unwrap(), Network::parse("2001:db8::/32").unwrap()]),
            backend: "low".into(),
        };
        let rules = [inside, Rule { users: vec!["fred".into()], networks: None, backend: "default".into() }];
        let backend = |user, address: Option<&str>| backend_of(&rules, user, address.map(|text| text.parse().unwrap()));
        for inside in ["192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7"] {
            assert_eq!(backend("anna", Some(inside)), Some("low"), "{inside}");
        }
        for outside in [Some("198.51.100.7"), None] {
            assert_eq!(backend("anna", outside), None, "{outside:?}");
            assert_eq!(backend("fred", outside), Some("default"), "{outside:?}");
        }
    }
}
