//! Access rules: which user may reach which backend.

use authen_sasl_rust::wire::saslprep;
use serde::Deserialize;

/// User names, of which a `*` at the end matches any ending, and the backend that these users reach.
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

    fn matches(&self, user: &str) -> bool {
        self.users.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => user.starts_with(beginning),
            None => pattern == user,
        })
    }
}

/// The backend name of the first rule that matches the user, or `None` if no rule does. Without any rules, all users reach
/// `default`.
pub fn backend_of<'r>(rules: &'r [Rule], user: &str) -> Option<&'r str> {
    if rules.is_empty() {
        return Some("default");
    }
    rules.iter().find(|rule| rule.matches(user)).map(|rule| rule.backend.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_matches_decides() {
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
