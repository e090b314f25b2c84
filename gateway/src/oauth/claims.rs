//! What a token says, and the rules for it: the same for signed tokens and for the provider's answers (RFC 7519 section 4.1, RFC 7662
//! section 2.2).

use std::time::{SystemTime, UNIX_EPOCH};

use authen_sasl_account_servers::Groups;
use authen_sasl_rust::contract::NAME_LIMIT;
use authen_sasl_rust::wire::saslprep;
use serde_json::{Map, Value};

use super::settings::{Introspection, Jwt};

/// Times beyond this are mistakes.
const MAX_TIME: f64 = 1e12;

/// The maximum number of groups of a user.
const MAX_GROUPS: usize = 1000;

/// Why a token is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub reason: String,
    /// The status for the client (RFC 6750 section 3.1).
    pub status: &'static str,
}

impl Refusal {
    pub fn new(reason: impl Into<String>) -> Self {
        Refusal { reason: reason.into(), status: "invalid_token" }
    }
}

/// Why a token cannot be accepted.
#[derive(Debug)]
pub enum Failure {
    /// It is wrong.
    Refused(Refusal),
    /// The provider or its keys cannot be reached: no failure of the user.
    Unavailable(String),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Failure::Refused(refusal)
    }
}

/// What the settings demand of a token.
#[derive(Debug)]
pub struct Rules {
    issuer: Option<String>,
    audience: Vec<String>,
    scope: Vec<String>,
    user: String,
    groups: Option<String>,
    leeway: f64,
    needs_expiry: bool,
}

impl Rules {
    pub fn of_jwt(settings: &Jwt) -> Self {
        Rules {
            issuer: Some(settings.issuer.clone()),
            audience: settings.audience.0.clone(),
            scope: settings.scope.0.clone(),
            user: settings.user.clone(),
            groups: settings.groups.clone(),
            leeway: settings.leeway_seconds as f64,
            needs_expiry: true,
        }
    }

    pub fn of_introspection(settings: &Introspection) -> Self {
        Rules {
            issuer: settings.issuer.clone(),
            audience: settings.audience.0.clone(),
            scope: settings.scope.0.clone(),
            user: settings.user.clone(),
            groups: settings.groups.clone(),
            leeway: settings.leeway_seconds as f64,
            needs_expiry: false,
        }
    }

    /// Checks everything except the times, which a remembered answer must be checked against again.
    pub fn read(&self, claims: &Map<String, Value>) -> Result<Grant, Refusal> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let ends = time(claims, "exp")?.map(|expires| expires + self.leeway);
        let valid = Period { ends, begins: time(claims, "nbf")?, issued: time(claims, "iat")? };
        if self.needs_expiry && ends.is_none() {
            return Err(Refusal::new("it has no expiry (exp)"));
        }
        if self.issuer.is_some() && text("iss") != self.issuer.as_deref() {
            return Err(Refusal::new("it comes from another issuer"));
        }
        if !self.audience.is_empty()
            && !strings(claims.get("aud")).any(|name| self.audience.iter().any(|own| own == name))
        {
            return Err(Refusal::new("it is meant for another service (aud)"));
        }
        self.check_scope(claims)?;
        Ok(Grant { user: self.user(claims)?, groups: self.groups(claims)?, valid })
    }

    /// Whether it is valid now.
    pub fn check_time(&self, grant: &Grant, now: SystemTime) -> Result<(), Refusal> {
        let Period { begins, issued, .. } = grant.valid;
        let reason = if grant.has_expired(now) {
            "it has expired"
        } else if begins.is_some_and(|begin| begin - self.leeway > seconds(now)) {
            "it is not valid yet (nbf)"
        } else if issued.is_some_and(|begin| begin - self.leeway > seconds(now)) {
            "it was issued in the future (iat)"
        } else {
            return Ok(());
        };
        Err(Refusal::new(reason))
    }

    /// RFC 8693 section 4.2; Microsoft calls it scp, others send an array.
    fn check_scope(&self, claims: &Map<String, Value>) -> Result<(), Refusal> {
        let claim = claims.get("scope").filter(|value| !value.is_null()).or_else(|| claims.get("scp"));
        let has: Vec<&str> = strings(claim).flat_map(str::split_whitespace).collect();
        let lacks: Vec<&str> = self.scope.iter().map(String::as_str).filter(|word| !has.contains(word)).collect();
        match lacks.is_empty() {
            true => Ok(()),
            false => Err(Refusal {
                reason: format!("it does not have the scope {}", lacks.join(" ")),
                status: "insufficient_scope",
            }),
        }
    }

    fn user(&self, claims: &Map<String, Value>) -> Result<String, Refusal> {
        let claim = &self.user;
        let name = claims.get(claim).and_then(Value::as_str).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| Refusal::new(format!("it names no user ({claim})")))?;
        if name.chars().any(|c| c.is_ascii_control()) {
            return Err(Refusal::new(format!("its user ({claim}) contains a control character")));
        }
        if name.len() > NAME_LIMIT {
            return Err(Refusal::new(format!("its user ({claim}) is longer than {NAME_LIMIT} bytes")));
        }
        // The provider may give "anna" and "an\u{ad}na" to two people, so the second one must not become the first.
        match saslprep::query(name) {
            Ok(prepared) if prepared == name => Ok(name.into()),
            Ok(_) => Err(Refusal::new(format!("its user ({claim}) is not a valid user name: SASLprep changes it"))),
            Err(_) => Err(Refusal::new(format!("its user ({claim}) is not a valid user name: SASLprep forbids it"))),
        }
    }

    fn groups(&self, claims: &Map<String, Value>) -> Result<Groups, Refusal> {
        let Some(claim) = &self.groups else { return Ok(Groups::default()) };
        let fault = || Refusal::new(format!("its groups ({claim}) are not a list of names"));
        match claims.get(claim) {
            None | Some(Value::Null) => Ok(Groups::default()),
            Some(Value::String(name)) => Ok(Groups::from([name.as_str().into()])),
            Some(Value::Array(list)) if list.len() <= MAX_GROUPS => {
                list.iter().map(|name| name.as_str().map(Box::from).ok_or_else(fault)).collect()
            }
            Some(_) => Err(fault()),
        }
    }
}

/// Whom a token stands for, and when it does.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    pub user: String,
    pub groups: Groups,
    valid: Period,
}

impl Grant {
    /// For the owner of a token of the gateway's own.
    pub fn of(user: &str) -> Self {
        Grant { user: user.into(), groups: Groups::default(), valid: Period::default() }
    }

    pub fn has_expired(&self, now: SystemTime) -> bool {
        self.valid.ends.is_some_and(|end| end <= seconds(now))
    }
}

/// In seconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Period {
    /// Its expiry and the leeway.
    ends: Option<f64>,
    begins: Option<f64>,
    issued: Option<f64>,
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<f64>, Refusal> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64().filter(|seconds| (0.0..MAX_TIME).contains(seconds)) {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(Refusal::new(format!("its {name} is not a number of seconds"))),
        },
    }
}

/// A string, or the strings of an array.
fn strings(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let list = match value {
        Some(Value::Array(list)) => list.as_slice(),
        Some(value) => std::slice::from_ref(value),
        None => &[],
    };
    list.iter().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    fn rules(more: &str) -> Rules {
        let text = format!("issuer = 'https://i'\naudience = ['queue', 'mail']\nkeys = '/k'\n{more}");
        Rules::of_jwt(&toml::from_str(&text).unwrap())
    }

    fn verdict(rules: &Rules, changes: Value, now: u64) -> Result<Grant, Refusal> {
        let mut claims = json!({ "iss": "https://i", "aud": "queue", "sub": "fred", "exp": 2000 });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let claims = claims.as_object().unwrap().iter().filter(|(_, value)| *value != "absent");
        let grant = rules.read(&claims.map(|(name, value)| (name.clone(), value.clone())).collect())?;
        rules.check_time(&grant, UNIX_EPOCH + Duration::from_secs(now))?;
        Ok(grant)
    }

    #[test]
    fn every_claim_must_be_right() {
        let rules = rules("scope = 'queue'\nuser = 'sub'\ngroups = 'roles'\n");
        for (changes, reason) in [
            (json!({ "iss": "https://j" }), "another issuer"),
            (json!({ "iss": "absent" }), "another issuer"),
            (json!({ "iss": ["https://i"] }), "another issuer"),
            (json!({ "iss": "https://i/" }), "another issuer"),
            (json!({ "aud": "absent" }), "another service"),
            (json!({ "aud": "other" }), "another service"),
            (json!({ "aud": ["other", 5, null] }), "another service"),
            (json!({ "aud": { "queue": 1 } }), "another service"),
            (json!({ "aud": [["queue"]] }), "another service"),
            (json!({ "exp": "absent" }), "no expiry"),
            (json!({ "exp": null }), "no expiry"),
            (json!({ "exp": "2000" }), "exp is not a number"),
            (json!({ "exp": -1 }), "exp is not a number"),
            (json!({ "exp": 1e300 }), "exp is not a number"),
            (json!({ "exp": true }), "exp is not a number"),
            (json!({ "nbf": [5] }), "nbf is not a number"),
            (json!({ "nbf": 1061 }), "not valid yet"),
            (json!({ "iat": 1061 }), "issued in the future"),
            (json!({ "exp": 940 }), "has expired"),
            (json!({ "scope": "absent" }), "does not have the scope queue"),
            (json!({ "scope": "queues" }), "does not have the scope queue"),
            (json!({ "scope": { "queue": true } }), "does not have the scope queue"),
            (json!({ "sub": "absent" }), "names no user (sub)"),
            (json!({ "sub": "" }), "names no user (sub)"),
            (json!({ "sub": 5 }), "names no user (sub)"),
            (json!({ "sub": ["fred"] }), "names no user (sub)"),
            (json!({ "sub": "fred\u{0}" }), "control character"),
            (json!({ "sub": "fred\nroot" }), "control character"),
            (json!({ "sub": "x".repeat(NAME_LIMIT + 1) }), "is longer than 4096 bytes"),
            (json!({ "sub": "\u{e000}" }), "SASLprep forbids"),
            (json!({ "sub": "\u{ad}" }), "SASLprep forbids"),
            (json!({ "sub": "fr\u{ad}ed" }), "SASLprep changes"),
            (json!({ "sub": "\u{ff46}red" }), "SASLprep changes"),
            (json!({ "sub": "fred\u{a0}" }), "SASLprep changes"),
            (json!({ "sub": "Ju\u{308}rgen" }), "SASLprep changes"),
            (json!({ "roles": 5 }), "groups (roles)"),
            (json!({ "roles": ["a", 5] }), "groups (roles)"),
            (json!({ "roles": { "a": 1 } }), "groups (roles)"),
        ] {
            let mut changes = changes;
            if changes.get("scope").is_none() {
                changes["scope"] = json!("send queue");
            }
            let refusal = verdict(&rules, changes.clone(), 1000).unwrap_err();
            assert!(refusal.reason.contains(reason), "{changes}: {refusal:?}");
            let scope = refusal.reason.contains("scope");
            assert_eq!(refusal.status, if scope { "insufficient_scope" } else { "invalid_token" }, "{changes}");
        }
    }

    #[test]
    fn a_right_token_names_its_user_and_groups() {
        let rules = rules("user = 'email'\ngroups = 'roles'\nleeway_seconds = 10\n");
        for (changes, user, groups) in [
            (json!({ "email": "anna" }), "anna", &[][..]),
            (json!({ "email": "J\u{fc}rgen", "roles": null }), "J\u{fc}rgen", &[]),
            (json!({ "email": "anna", "aud": ["x", "mail"], "roles": "admin" }), "anna", &["admin"]),
            (json!({ "email": "anna", "roles": ["admin", "on call"] }), "anna", &["admin", "on call"]),
            (json!({ "email": "anna", "nbf": 1010, "iat": 1010, "exp": 991.5 }), "anna", &[]),
        ] {
            let grant = verdict(&rules, changes.clone(), 1000).unwrap();
            let named: Groups = groups.iter().map(|name| Box::from(*name)).collect();
            assert_eq!((grant.user.as_str(), grant.groups), (user, named), "{changes}");
        }
        for changes in [json!({ "scope": null, "scp": ["a", "queue"] }), json!({ "scope": ["queue a"] })] {
            let rules = super::tests::rules("scope = ['queue', 'a']");
            assert!(verdict(&rules, changes.clone(), 1000).is_ok(), "{changes}");
        }
    }
}
