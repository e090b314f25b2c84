//! The settings of tokens that an OAuth provider issues: the tables `jwt` and `introspection`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::algorithms::ALGORITHMS;

/// The longest time of these settings in seconds: 30 days.
const MAX_SECONDS: u64 = 30 * 86_400;

/// The table `jwt`: tokens that the provider signs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    pub issuer: String,
    pub audience: Words,
    /// The provider's public keys.
    pub keys: KeysFrom,
    #[serde(default = "default_algorithms")]
    pub algorithms: Vec<String>,
    /// The type that the header must state.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    #[serde(default)]
    pub scope: Words,
    /// The claim that names the user.
    #[serde(default = "subject")]
    pub user: String,
    /// The claim that lists the user's groups.
    pub groups: Option<String>,
    /// By how much clocks may differ.
    #[serde(default = "minute")]
    pub leeway_seconds: u64,
    /// For a request to the provider.
    #[serde(default = "ten")]
    pub timeout_seconds: u64,
    /// The pause between two requests for the keys, which tokens with unknown key names cause.
    #[serde(default = "half_minute")]
    pub retry_seconds: u64,
    /// How long keys stay in use while they cannot be read again.
    #[serde(default = "day")]
    pub keep_seconds: u64,
    /// The URL of the provider's OpenID configuration, for clients.
    pub configuration: Option<String>,
    /// CAs of the provider's certificate; the system's by default.
    pub ca: Option<PathBuf>,
}

/// The table `introspection`: tokens about which the provider is asked (RFC 7662).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Introspection {
    pub url: Url,
    pub client_id: Option<String>,
    pub client_secret_file: Option<PathBuf>,
    #[serde(default)]
    pub client_auth: ClientAuth,
    pub issuer: Option<String>,
    #[serde(default)]
    pub audience: Words,
    #[serde(default)]
    pub scope: Words,
    #[serde(default = "subject")]
    pub user: String,
    pub groups: Option<String>,
    #[serde(default = "minute")]
    pub leeway_seconds: u64,
    #[serde(default = "ten")]
    pub timeout_seconds: u64,
    /// For how long an answer is used.
    #[serde(default = "minute")]
    pub cache_seconds: u64,
    pub configuration: Option<String>,
    pub ca: Option<PathBuf>,
}

/// How the gateway authenticates to the provider (RFC 6749 section 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    #[default]
    Basic,
    Post,
}

fn default_algorithms() -> Vec<String> {
    vec!["RS256".into(), "ES256".into()]
}

fn subject() -> String {
    "sub".into()
}

fn ten() -> u64 {
    10
}

fn half_minute() -> u64 {
    30
}

fn minute() -> u64 {
    60
}

fn day() -> u64 {
    86_400
}

impl Jwt {
    pub fn check(&self) -> Result<(), String> {
        if self.algorithms.is_empty() {
            return Err("jwt.algorithms: at least one is required".into());
        }
        if self.algorithms.iter().any(|name| ALGORITHMS.iter().all(|known| known.name != name)) {
            let known: Vec<_> = ALGORITHMS.iter().map(|known| known.name).collect();
            return Err(format!(
                "jwt.algorithms: some of {} were expected; none and HMAC are never accepted",
                known.join(", ")
            ));
        }
        // Without them, a token that the issuer has made for another service, or another issuer's, would be accepted here.
        if self.audience.0.is_empty() {
            return Err("jwt.audience: empty".into());
        }
        let texts = [
            ("issuer", Some(&self.issuer)),
            ("type", self.kind.as_ref()),
            ("user", Some(&self.user)),
            ("groups", self.groups.as_ref()),
            ("configuration", self.configuration.as_ref()),
        ];
        check_texts("jwt", &texts)?;
        check_seconds("jwt", "keep_seconds", self.keep_seconds, 1)?;
        check_seconds("jwt", "retry_seconds", self.retry_seconds, 1)?;
        check_seconds("jwt", "leeway_seconds", self.leeway_seconds, 0)?;
        check_seconds("jwt", "timeout_seconds", self.timeout_seconds, 1)
    }
}

impl Introspection {
    pub fn check(&self) -> Result<(), String> {
        if self.client_secret_file.is_some() && self.client_id.is_none() {
            return Err("introspection.client_secret_file needs introspection.client_id".into());
        }
        let texts = [
            ("client_id", self.client_id.as_ref()),
            ("issuer", self.issuer.as_ref()),
            ("user", Some(&self.user)),
            ("groups", self.groups.as_ref()),
            ("configuration", self.configuration.as_ref()),
        ];
        check_texts("introspection", &texts)?;
        check_seconds("introspection", "leeway_seconds", self.leeway_seconds, 0)?;
        check_seconds("introspection", "cache_seconds", self.cache_seconds, 0)?;
        check_seconds("introspection", "timeout_seconds", self.timeout_seconds, 1)
    }

    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }
}

fn check_texts(table: &str, texts: &[(&str, Option<&String>)]) -> Result<(), String> {
    match texts.iter().find(|(_, text)| text.is_some_and(|text| text.is_empty())) {
        Some((name, _)) => Err(format!("{table}.{name}: empty")),
        None => Ok(()),
    }
}

fn check_seconds(table: &str, name: &str, value: u64, minimum: u64) -> Result<(), String> {
    match (minimum..=MAX_SECONDS).contains(&value) {
        true => Ok(()),
        false => Err(format!("{table}.{name}: expected {minimum} to {MAX_SECONDS} seconds")),
    }
}

/// Words separated by spaces, or a list of words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "OneOrMany")]
pub struct Words(pub Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl From<OneOrMany> for Words {
    fn from(words: OneOrMany) -> Self {
        let list = match words {
            OneOrMany::One(text) => vec![text],
            OneOrMany::Many(list) => list,
        };
        Words(list.iter().flat_map(|text| text.split_whitespace()).map(str::to_owned).collect())
    }
}

/// Where the provider's keys come from: a URL, or else a file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum KeysFrom {
    File(PathBuf),
    Url(Url),
}

impl TryFrom<String> for KeysFrom {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.contains("://") {
            true => Url::try_from(text).map(KeysFrom::Url),
            false => Ok(KeysFrom::File(text.into())),
        }
    }
}

/// A URL to which requests may be sent: https, or http to this host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Url(String);

impl Url {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_https(&self) -> bool {
        self.0.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
    }
}

/// Without its query, for error texts.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.split('?').next().unwrap_or_default())
    }
}

impl TryFrom<String> for Url {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("the URL contains a character that no URL may contain".into());
        }
        if text.contains('#') {
            return Err("the URL may not contain a fragment".into());
        }
        let parts = text.split_once("://").map(|(scheme, rest)| (scheme, rest.split(['/', '?']).next()));
        let Some((scheme, Some(authority))) = parts.filter(|(_, authority)| *authority != Some("")) else {
            return Err("a URL with https:// was expected".into());
        };
        if authority.contains('@') {
            return Err("the URL may not contain a user name".into());
        }
        let fits =
            scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http") && is_loopback(authority);
        match fits {
            true => Ok(Url(text)),
            false => Err("only https is accepted, except for loopback addresses".into()),
        }
    }
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_https_or_stay_on_this_host() {
        for good in [
            "https://login.example.org/keys",
            "HTTPS://login.example.org:8443",
            "http://127.0.0.1:1/keys?a=b",
            "http://localhost/keys",
            "http://[::1]:5/",
        ] {
            assert!(Url::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for (text, word) in [
            ("http://login.example.org/keys", "only https"),
            ("http://127.0.0.1.example.org/", "only https"),
            ("http://localhost.example.org/", "only https"),
            ("ftp://127.0.0.1/", "only https"),
            ("https://fred@login.example.org/", "user name"),
            ("http://127.0.0.1@login.example.org/", "user name"),
            ("https://login.example.org/#a", "fragment"),
            ("https://login.example.org/a b", "character"),
            ("https:///keys", "https:// was expected"),
            ("keys", "https:// was expected"),
        ] {
            let error = Url::try_from(text.to_owned()).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
        assert_eq!(Url::try_from("https://a/b?secret=1".to_owned()).unwrap().to_string(), "https://a/b");
    }

    #[test]
    fn errors_name_the_setting() {
        let jwt = "issuer = 'https://i'\naudience = 'queue'\nkeys = '/k'\n";
        let introspection = "url = 'https://i/introspect'\n";
        let check = |table: &str, text: &str| match table {
            "jwt" => toml::from_str::<Jwt>(text).map_err(|error| error.to_string())?.check(),
            _ => toml::from_str::<Introspection>(text).map_err(|error| error.to_string())?.check(),
        };
        assert_eq!(check("jwt", jwt), Ok(()));
        assert_eq!(check("introspection", introspection), Ok(()));
        for (table, text, word) in [
            ("jwt", "audience = 'queue'\nkeys = '/k'".to_owned(), "`issuer`"),
            ("jwt", "issuer = 'i'\nkeys = '/k'".to_owned(), "`audience`"),
            ("jwt", "issuer = 'i'\naudience = 'queue'".to_owned(), "`keys`"),
            ("jwt", jwt.replace("queue", " "), "jwt.audience"),
            ("jwt", jwt.replace("https://i", ""), "jwt.issuer"),
            ("jwt", jwt.replace("/k", "http://i/k"), "only https"),
            ("jwt", format!("{jwt}algorithms = []"), "jwt.algorithms"),
            ("jwt", format!("{jwt}algorithms = ['RS256', 'none']"), "none and HMAC are never accepted"),
            ("jwt", format!("{jwt}algorithms = ['HS256']"), "none and HMAC are never accepted"),
            ("jwt", format!("{jwt}keep_seconds = 0"), "jwt.keep_seconds"),
            ("jwt", format!("{jwt}timeout_seconds = 0"), "jwt.timeout_seconds"),
            ("jwt", format!("{jwt}leeway_seconds = 9999999"), "jwt.leeway_seconds"),
            ("jwt", format!("{jwt}secret = 'x'"), "unknown field `secret`"),
            ("introspection", "client_id = 'x'".into(), "`url`"),
            ("introspection", format!("{introspection}client_secret_file = '/s'"), "introspection.client_id"),
            ("introspection", format!("{introspection}client_auth = 'none'"), "`basic` or `post`"),
            ("introspection", format!("{introspection}client_secret = 'x'"), "unknown field `client_secret`"),
            ("introspection", format!("{introspection}user = ''"), "introspection.user"),
        ] {
            let error = check(table, &text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
