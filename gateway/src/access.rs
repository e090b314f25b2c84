//! Access rules: which user may reach which backend, and from where.

use std::net::IpAddr;

use authen_sasl_rust::wire::saslprep;
use serde::Deserialize;

use crate::network::{any_contains, Network};

/// Names of users and of groups, of which a `*` at the end matches any ending, and the backend that these users and the members of these
/// groups reach, if any.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    #[serde(default)]
    pub users: Vec<String>,
    #[serde(default)]
    pub groups: Vec<String>,
    /// Only clients from there. Without it, from anywhere.
    pub networks: Option<Vec<Network>>,
    pub backend: Option<String>,
    /// These users reach no backend.
    #[serde(default)]
    pub deny: bool,
}

/// The name of the backend that needs no name.
pub const DEFAULT_BACKEND: &str = "default";

impl Rule {
    /// User names are prepared with SASLprep before they are compared, so an unprepared pattern would never match.
    pub fn check(&self) -> Result<(), String> {
        if self.users.is_empty() && self.groups.is_empty() {
            return Err("access: a rule needs users or groups".into());
        }
        if self.deny && self.backend.is_some() {
            return Err("access: a rule with deny = true has no backend".into());
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

    /// The name of the backend, if the rule allows one.
    pub fn backend(&self) -> Option<&str> {
        (!self.deny).then(|| self.backend.as_deref().unwrap_or(DEFAULT_BACKEND))
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

/// The backend name of the first rule that matches the user or one of the user's groups, or `None` if that one denies, or no rule
/// matches. Without any rules, all users reach `default`.
pub fn backend_of<'r>(rules: &'r [Rule], user: &str, groups: &[Box<str>], address: Option<IpAddr>) -> Option<&'r str> {
    if rules.is_empty() {
        return Some(DEFAULT_BACKEND);
    }
    rules.iter().find(|rule| rule.matches(user, groups, address))?.backend()
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
            backend: Some(backend.into()),
            deny: false,
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
            backend: Some("low".into()),
            deny: false,
        };
        let rules = [
            inside,
            Rule { users: vec!["fred".into()], groups: Vec::new(), networks: None, backend: None, deny: false },
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

    /// Each rule is `users from network = backend`, where `@` marks a group, and `-` denies.
    #[test]
    fn a_rule_that_denies_decides_like_any_other() {
        let rule = |text: &str| {
            let (users, backend) = text.split_once(" = ").unwrap();
            let (users, network) = users.split_once(" from ").map_or((users, None), |(users, net)| (users, Some(net)));
            let networks = network.map(|network| vec![Network::parse(network).unwrap()]);
            let rule = Rule {
                users: users.split(' ').filter(|name| !name.starts_with('@')).map(str::to_owned).collect(),
                groups: users.split(' ').filter_map(|name| name.strip_prefix('@')).map(str::to_owned).collect(),
                networks,
                backend: (backend != "-").then(|| backend.into()),
                deny: backend == "-",
            };
            assert_eq!(rule.check(), Ok(()), "{text}");
            rule
        };
        for (rules, expected) in [
            (&["fred = -", "* = default"][..], [None, None, Some("default"), Some("default")]),
            (&["* = default", "fred = -"], [Some("default"); 4]),
            (&["fred worker-1 = -"], [None; 4]),
            (&["worker-1 = low", "worker-* = -", "* = default"], [Some("default"), Some("default"), Some("low"), None]),
            (&["@guests = -", "* = default"], [Some("default"), Some("default"), Some("default"), None]),
            (&["worker-2 = low", "@guests = -"], [None, None, None, Some("low")]),
            (&["worker-* = -", "worker-1 = low", "* = default"], [Some("default"), Some("default"), None, None]),
            (&["* from 192.0.2.0/24 = -", "* = default"], [None, Some("default"), None, Some("default")]),
            (&["* = default", "* from 192.0.2.0/24 = -"], [Some("default"); 4]),
            (
                &["fred from 198.51.100.0/24 = low", "fred = -", "* = default"],
                [None, Some("low"), Some("default"), Some("default")],
            ),
        ] {
            let parsed: Vec<Rule> = rules.iter().map(|text| rule(text)).collect();
            let clients = [
                ("fred", "192.0.2.7"),
                ("fred", "198.51.100.7"),
                ("worker-1", "192.0.2.7"),
                ("worker-2", "203.0.113.1"),
            ];
            let found = clients.map(|(user, address)| {
                let groups: &[Box<str>] = if user == "worker-2" { &["guests".into()] } else { &[] };
                backend_of(&parsed, user, groups, Some(address.parse().unwrap()))
            });
            assert_eq!(found, expected, "{rules:?}");
        }
    }
}
