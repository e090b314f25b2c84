//! Which user may reach which backend.

use authen_sasl_rust::wire::saslprep;
use serde::Deserialize;

/// Users by name, `*` at the end for any ending, and the backend that they reach.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub users: Vec<String>,
    #[serde(default = "default_backend")]
    pub backend: String,
}

fn default_backend() -> String {
    "default".into()
}

impl Rule {
    /// Users' names are prepared with SASLprep before they are compared: a name of another spelling would never hold.
    pub fn check(&self) -> Result<(), String> {
        for pattern in &self.users {
            let name = pattern.strip_suffix('*').unwrap_or(pattern);
            match saslprep::query(name) {
                _ if name.is_empty() => {}
                Ok(prepared) if prepared == name => {}
                Ok(prepared) => {
                    let star = &pattern[name.len()..];
                    return Err(format!("access: {pattern:?} is spelled '{prepared}{star}' where users are compared"));
                }
                Err(_) => return Err(format!("access: {pattern:?} is no name: SASLprep forbids it")),
            }
        }
        Ok(())
    }

    fn holds_for(&self, user: &str) -> bool {
        self.users.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => user.starts_with(beginning),
            None => pattern == user,
        })
    }
}

/// The backend's name of the first rule that holds; without any rule it is everybody's `default`, with rules and none that
/// holds nobody's.
pub fn backend_of<'r>(rules: &'r [Rule], user: &str) -> Option<&'r str> {
    if rules.is_empty() {
        return Some("default");
    }
    rules.iter().find(|rule| rule.holds_for(user)).map(|rule| rule.backend.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_holds_decides() {
        let rule = |users: &[&str], backend: &str| Rule {
            users: users.iter().map(|user| user.to_string()).collect(),
            backend: backend.into(),
        };
        let rules = [rule(&["fred", "worker-*"], "low"), rule(&["fred", "*"], "default")];
        assert_eq!(backend_of(&rules, "fred"), Some("low"));
        assert_eq!(backend_of(&rules, "worker-1"), Some("low"));
        assert_eq!(backend_of(&rules, "worker"), Some("default"));
        assert_eq!(backend_of(&rules[..1], "worker"), None);
        assert_eq!(backend_of(&rules[..1], ""), None);
        assert_eq!(backend_of(&[], "anyone"), Some("default"));
    }
}
