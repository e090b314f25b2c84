//! Connections to the server.

use std::sync::Arc;

use authen_sasl_rust::secret::Secret;
use ldap3::result::LdapError;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapResult};
use tokio::task::AbortHandle;
use tokio_rustls::rustls::ClientConfig;

use super::settings::Settings;
use crate::account::Unavailable;

/// A connection, which is closed when this is dropped.
pub struct Connection {
    ldap: Ldap,
    driver: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Also while it waits for a server that reads nothing.
        self.driver.abort();
    }
}

impl Connection {
    /// Connects, under TLS if the settings say so. Nobody is authenticated then.
    pub async fn open(settings: &Settings, tls: Option<&Arc<ClientConfig>>) -> Result<Self, Unavailable> {
        let mut how = LdapConnSettings::new().set_starttls(settings.start_tls);
        if let Some(config) = tls {
            how = how.set_config(config.clone());
        }
        let (connection, ldap) = LdapConnAsync::with_settings(how, &settings.url).await.map_err(unavailable)?;
        // Whoever waits for an answer learns that the connection is lost; there is nobody else to tell.
        let driver = tokio::spawn(async move { drop(connection.drive().await) }).abort_handle();
        Ok(Connection { ldap, driver })
    }

    /// What operations need. They may overlap.
    pub fn handle(&self) -> Ldap {
        self.ldap.clone()
    }

    /// True if it is lost.
    pub fn is_closed(&self) -> bool {
        self.handle().is_closed()
    }

    /// Authenticates by name and password. An empty name or password would be anonymous (RFC 4513 §5.1): neither is sent.
    pub async fn bind(&self, dn: &str, password: &Secret) -> Result<LdapResult, Unavailable> {
        match password.expose_str() {
            Some(text) if !dn.is_empty() && !text.is_empty() => {
                self.handle().simple_bind(dn, text).await.map_err(unavailable)
            }
            _ => Err(Unavailable::new("the directory is not asked without a name and a password")),
        }
    }

    /// Authenticates as the settings' service account, if there is one.
    pub async fn authenticate(&self, settings: &Settings, password: Option<&Secret>) -> Result<(), Unavailable> {
        let result = match (&settings.bind_dn, password) {
            (Some(dn), Some(password)) => self.bind(dn, password).await?,
            _ if settings.external => self.handle().sasl_external_bind().await.map_err(unavailable)?,
            _ => return Ok(()),
        };
        match result.rc {
            0 => Ok(()),
            _ => Err(Unavailable::new(format!("the service account is refused: {}", described(&result)))),
        }
    }
}

/// An error of the connection. Its text contains nothing that was sent.
pub fn unavailable(error: LdapError) -> Unavailable {
    Unavailable::new(match error {
        LdapError::OpSend { .. } | LdapError::ResultRecv { .. } | LdapError::EndOfStream => {
            "the connection was lost".to_owned()
        }
        LdapError::Io { source } => source.to_string(),
        LdapError::LdapResult { result } => described(&result),
        error => error.to_string(),
    })
}

/// A result of the server: its code (RFC 4511 §4.1.9) and the server's own words.
pub fn described(result: &LdapResult) -> String {
    let name = result.to_string();
    let name = name.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("unknown", |(name, _)| name);
    match result.text.trim() {
        "" => format!("{name} ({})", result.rc),
        text => format!("{name} ({}): {text:?}", result.rc),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A server would take it as anonymous, and say that it succeeded. This one would not answer.
    #[tokio::test]
    async fn nothing_is_asked_without_a_name_and_a_password() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let settings = Settings { url: format!("ldap://{}", listener.local_addr().unwrap()), ..Settings::default() };
        let connection = Connection::open(&settings, None).await.unwrap();
        for (dn, password) in [("", "pencil"), ("cn=fred", ""), ("", "")] {
            let password = Secret::new(password.as_bytes());
            let bound = tokio::time::timeout(Duration::from_secs(5), connection.bind(dn, &password)).await;
            assert!(bound.expect("no answer is waited for").is_err(), "{dn}");
        }
    }

    #[test]
    fn results_are_described() {
        let result =
            |rc, text: &str| LdapResult { rc, matched: String::new(), text: text.into(), refs: vec![], ctrls: vec![] };
        assert_eq!(described(&result(49, "")), "invalidCredentials (49)");
        assert_eq!(described(&result(53, "go\naway")), "unwillingToPerform (53): \"go\\naway\"");
        assert_eq!(described(&result(4711, "")), "unknown (4711)");
    }
}
