//! The gateway's own credentials, with which it logs in to a backend that demands authentication: another gateway.

use std::path::{Path, PathBuf};

use authen_sasl_rust::contract::{Abilities, Property, Values};
use authen_sasl_rust::secret::Secret;
use serde::Deserialize;

use crate::files::{self, named, Readers};
use crate::mechanisms::{supported, SCRAM};

const WITH_TOKEN: &str = "OAUTHBEARER";
const WITH_CERTIFICATE: &str = "EXTERNAL";

/// The table `backend_login`: whoever sets it wants the gateway to log in to its backends.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackendLogin {
    pub user: Option<String>,
    /// A file with the password. It is read again for each login.
    pub password_file: Option<PathBuf>,
    /// A file with a bearer token. It is read again for each login.
    pub token_file: Option<PathBuf>,
    pub mechanisms: Option<String>,
    /// Use PLAIN, LOGIN and the OAuth mechanisms on TCP without TLS too.
    pub plaintext: bool,
}

impl BackendLogin {
    /// The mechanisms to use, separated by spaces.
    pub fn mechanisms(&self) -> String {
        match (&self.mechanisms, &self.password_file, &self.token_file) {
            (Some(names), _, _) => names.clone(),
            // Without PLAIN, which shows the password to the backend.
            (None, Some(_), None) => SCRAM.into(),
            (None, Some(_), Some(_)) => format!("{SCRAM} {WITH_TOKEN}"),
            (None, None, Some(_)) => WITH_TOKEN.into(),
            (None, None, None) => WITH_CERTIFICATE.into(),
        }
    }

    /// What this can answer the core.
    pub fn abilities(&self) -> Abilities {
        let mut abilities = Abilities::NONE;
        for (has, ability) in [
            (self.user.is_some(), Abilities::AUTHCID),
            (self.password_file.is_some(), Abilities::PASSWORD),
            (self.token_file.is_some(), Abilities::TOKEN),
        ] {
            if has {
                abilities = abilities.union(ability);
            }
        }
        abilities
    }

    /// Checks the values, without reading the files. `certificate`: whether there is a certificate for the backend.
    pub fn check(&self, certificate: bool) -> Result<(), String> {
        if self.password_file.is_none() && self.token_file.is_none() && self.mechanisms.is_none() && !certificate {
            return Err("backend_login: no credentials: it needs password_file, token_file or \
                backend_tls.certificate (--password-file, --token-file, --certificate)"
                .into());
        }
        if self.user.as_deref() == Some("") {
            return Err("backend_login.user: empty".into());
        }
        let names = self.mechanisms();
        let mut names = names.split_whitespace().peekable();
        if names.peek().is_none() {
            return Err("backend_login.mechanisms: empty".into());
        }
        for name in names {
            let mechanism =
                supported(name).ok_or_else(|| format!("backend_login.mechanisms: {name} is not supported"))?;
            for (ability, setting) in
                [(Abilities::AUTHCID, "user"), (Abilities::PASSWORD, "password_file"), (Abilities::TOKEN, "token_file")]
            {
                if mechanism.client_needs.contains(ability) && !self.abilities().contains(ability) {
                    return Err(format!("backend_login: {name} needs {setting}"));
                }
            }
        }
        Ok(())
    }

    /// Reads the files, and returns the values that mechanisms ask for.
    pub fn read(&self) -> Result<Values, String> {
        let mut values = Values::default();
        for (path, property) in [(&self.password_file, Property::Password), (&self.token_file, Property::Token)] {
            if let Some(path) = path {
                values.push(property, first_line(path)?);
            }
        }
        if let Some(user) = &self.user {
            for property in [Property::Authcid, Property::Identity] {
                values.push(property, Secret::new(user.as_bytes()));
            }
        }
        Ok(values)
    }
}

/// The only line of a file that others cannot read, without its end.
pub fn first_line(path: &Path) -> Result<Secret, String> {
    let text = files::read(path, Readers::Owner)?;
    let line = text.expose();
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line {
        [] => Err(named(path, "empty")),
        _ if line.contains(&b'\n') => Err(named(path, "more than one line")),
        _ => Ok(Secret::new(line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn errors_name_the_setting() {
        for (text, certificate, word) in [
            ("", false, "no credentials"),
            ("user = 'fred'", false, "no credentials"),
            ("password_file = '/p'", false, "needs user"),
            ("user = ''\npassword_file = '/p'", false, "backend_login.user"),
            ("user = 'fred'\npassword_file = '/p'\nmechanisms = 'OAUTHBEARER'", false, "OAUTHBEARER needs token_file"),
            ("user = 'fred'\ntoken_file = '/p'\nmechanisms = 'PLAIN'", false, "PLAIN needs password_file"),
            ("token_file = '/p'\nmechanisms = 'XOAUTH2'", false, "XOAUTH2 needs user"),
            ("mechanisms = 'GSSAPI'", true, "GSSAPI is not supported"),
            ("mechanisms = ' '", true, "backend_login.mechanisms: empty"),
        ] {
            let login: BackendLogin = toml::from_str(text).unwrap();
            let error = login.check(certificate).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
        for (text, certificate, mechanisms) in [
            ("", true, "EXTERNAL"),
            ("mechanisms = 'EXTERNAL'", false, "EXTERNAL"),
            ("token_file = '/t'", false, "OAUTHBEARER"),
            ("user = 'fred'\npassword_file = '/p'", true, SCRAM),
            ("user = 'fred'\npassword_file = '/p'\ntoken_file = '/t'", true, &format!("{SCRAM} {WITH_TOKEN}")),
        ] {
            let login: BackendLogin = toml::from_str(text).unwrap();
            assert_eq!(login.check(certificate), Ok(()), "{text}");
            assert_eq!(login.mechanisms(), mechanisms, "{text}");
        }
    }

    #[test]
    fn a_secret_is_the_only_line_of_its_file() {
        let path = std::env::temp_dir().join(format!("sasl-gate-credentials-{}", std::process::id()));
        let read = |text: &str, mode| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let login = BackendLogin { password_file: Some(path.clone()), ..BackendLogin::default() };
            login.read()
        };
        for text in [" pen cil ", " pen cil \n", " pen cil \r\n"] {
            let values = read(text, 0o600).unwrap();
            assert!(values.get(Property::Password).unwrap().ct_eq(b" pen cil "), "{text:?}");
        }
        for (text, mode, word) in [
            ("", 0o600, "empty"),
            ("\n", 0o600, "empty"),
            ("pencil\ncrayon\n", 0o600, "more than one line"),
            ("pencil\n", 0o644, "others can read"),
        ] {
            let error = read(text, mode).unwrap_err();
            assert!(error.contains(word) && error.contains("sasl-gate-credentials"), "{text:?}: {error}");
            assert!(!error.contains("pencil"), "{error}");
        }
        std::fs::remove_file(&path).unwrap();
    }
}
