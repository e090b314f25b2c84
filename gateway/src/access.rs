//! Access rules: which user may reach which backend, and from where.

use std::net::IpAddr;

use authen_sasl_rust::wire::saslprep;
use serde::Deserialize;

use crate::network::{any_contains, Network};

/// Names of users and of groups, of which a `*` at the end matches any ending, and the backend that these users and the members of these
/// groups reach.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    #[serde(default)]
    pub users: Vec<String>,
    #[serde(default)]
    pub groups: Vec<String>,
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
        if self.users.is_empty() && self.groups.is_empty() {
            return Err("access: a rule needs users or groups".into());
        }
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
    fn matches(&self, user: &str, groups: &[Box<str>], address: Option<IpAddr>) -> bool {
        let is_there = |networks: &Vec<Network>| address.is_some_and(|address| any_contains(networks, address));
        if !self.networks.as_ref().is_none_or(is_there) {
            return false;
        }
        matches_any(&self.users, user) || groups.iter().any(|group| matches_any(&self.groups, group))
    }
}

fn matches_any(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => pattern == name,
    })
}

/// The backend name of the first rule that matches the user or one of the user's groups, or `None` if no rule does. Without any rules, all users reach
/// `default`.
pub fn backend_of<'r>(rules: &'r [Rule], user: &str, groups: &[Box<str>], address: Option<IpAddr>) -> Option<&'r str> {
    if rules.is_empty() {
        return Some("default");
    }
    rules.iter().find(|rule| rule.matches(user, groups, address)).map(|rule| rule.backend.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rule = |users: &[&str], backend: &str| Rule {
            users: users.iter().map(|user| user.to_string()).collect(),
            groups: Vec::new(),
            networks: None,
            backend: backend.into(),
        };
        let rules = [rule(&["fred", "worker-*"], "low"), rule(&["fred", "*"], "default")];
        assert_eq!(backend_of(&rules, "fred", &[], None), Some("low"));
        assert_eq!(backend_of(&rules, "worker-1", &[], None), Some("low"));
        assert_eq!(backend_of(&rules, "worker", &[], None), Some("default"));
        assert_eq!(backend_of(&rules[..1], "worker", &[], None), None);
        assert_eq!(backend_of(&rules[..1], "", &[], None), None);
        assert_eq!(backend_of(&[], "anyone", &[], None), Some("default"));
    }

    #[test]
    fn a_rule_matches_its_users_and_the_members_of_its_groups() {
        let rule = |text: &str| toml::from_str::<Rule>(text).unwrap();
        let rules =
            [rule("groups = ['workers', 'ops-*']\nbackend = 'low'"), rule("users = ['fred']\ngroups = ['ops']")];
        let backend = |user, groups: &[&str]| {
            let groups: Vec<Box<str>> = groups.iter().map(|group| Box::from(*group)).collect();
            backend_of(&rules, user, &groups, None)
        };
        assert_eq!(backend("anna", &["staff", "workers"]), Some("low"));
        assert_eq!(backend("anna", &["ops-night"]), Some("low"));
        assert_eq!(backend("anna", &["ops"]), Some("default"));
        assert_eq!(backend("fred", &["staff"]), Some("default"));
        // A user is not a group.
        assert_eq!((backend("workers", &[]), backend("anna", &["fred"])), (None, None));
        assert!(rule("backend = 'low'").check().unwrap_err().contains("users or groups"));
    }

    #[test]
    fn a_rule_may_be_for_some_networks_only() {
        let inside = Rule {
            users: vec!["*".into()],
            groups: Vec::new(),
            networks: Some(vec![Network::parse("192.0.2.0/24").unwrap(), Network::parse("2001:db8::/32").unwrap()]),
            backend: "low".into(),
        };
        let rules = [
            inside,
            Rule { users: vec!["fred".into()], groups: Vec::new(), networks: None, backend: "default".into() },
        ];
        let backend =
            |user, address: Option<&str>| backend_of(&rules, user, &[], address.map(|text| text.parse().unwrap()));
        for inside in ["192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7"] {
            assert_eq!(backend("anna", Some(inside)), Some("low"), "{inside}");
        }
        for outside in [Some("198.51.100.7"), None] {
            assert_eq!(backend("anna", outside), None, "{outside:?}");
            assert_eq!(backend("fred", outside), Some("default"), "{outside:?}");
        }
    }
}
