//! Requests to the provider: a document is fetched, or a form is posted. A request has a deadline, the response a size limit.
//! Redirects are not followed: they could carry secrets elsewhere.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use authen_sasl_rust::error::printable;
use authen_sasl_rust::secret::Secret;
use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use serde_json::{Map, Value};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::CertificateDer;
use ureq::http::Response;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};
use zeroize::Zeroizing;

use super::json;
use super::settings::{ClientAuth, Url};
use crate::files::{self, named, Readers};

/// Maximum size of a response in bytes.
const LIMIT: u64 = 1 << 18;

/// Maximum length of a provider's error text in the log.
const MAX_LOGGED: usize = 300;

/// The credentials with which the gateway asks.
pub struct Client {
    pub id: String,
    pub secret: Option<Secret>,
    pub auth: ClientAuth,
}

/// Sends the requests to one URL. It blocks.
pub struct Requests {
    /// What they are for, in error texts.
    step: &'static str,
    url: Url,
    agent: Agent,
    timeout: Duration,
}

impl Requests {
    /// `ca`: a file of certificate authorities; without it, the system's are trusted.
    pub fn new(step: &'static str, url: &Url, ca: Option<&Path>, timeout: Duration) -> Result<Self, String> {
        let certificates = match ca {
            _ if !url.is_https() => Vec::new(),
            Some(path) => of_file(path)?,
            None => rustls_native_certs::load_native_certs().certs,
        };
        if url.is_https() && certificates.is_empty() {
            return Err(format!("{url}: the system has no certificate authorities; use ca = \"FILE\""));
        }
        let roots: Vec<_> = certificates.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(timeout))
            .max_redirects(0)
            .http_status_as_error(false)
            .proxy(None)
            .user_agent("sasl-gate")
            .build()
            .into();
        Ok(Requests { step, url: url.clone(), agent, timeout })
    }

    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The bytes of a document.
    pub fn get(&self) -> Result<Vec<u8>, String> {
        let response = self.agent.get(self.url.as_str()).header("Accept", "application/json").call();
        let (status, body) = self.received(response)?;
        self.check_status(status, &body)?;
        Ok(body)
    }

    /// The object that answers a form with this token.
    pub fn post(&self, token: &Secret, client: Option<&Client>) -> Result<Map<String, Value>, String> {
        let mut form = Zeroizing::new(b"token=".to_vec());
        form.reserve(3 * token.expose().len() + 1024);
        escape(&mut form, token.expose());
        form.extend_from_slice(b"&token_type_hint=access_token");
        let mut request = self.agent.post(self.url.as_str()).header("Accept", "application/json");
        if let Some(client) = client {
            match (&client.secret, client.auth) {
                (Some(secret), ClientAuth::Basic) => {
                    request = request.header("Authorization", &*basic(&client.id, secret))
                }
                (secret, _) => {
                    form.extend_from_slice(b"&client_id=");
                    escape(&mut form, client.id.as_bytes());
                    if let Some(secret) = secret {
                        form.extend_from_slice(b"&client_secret=");
                        escape(&mut form, secret.expose());
                    }
                }
            }
        }
        let response = request.content_type("application/x-www-form-urlencoded").send(form.as_slice());
        let (status, body) = self.received(response)?;
        self.check_status(status, &body)?;
        json::object(&body)
            .ok_or_else(|| self.error(&format!("answered with status {status}, but without a JSON object")))
    }

    fn received(&self, response: Result<Response<Body>, ureq::Error>) -> Result<(u16, Vec<u8>), String> {
        let error = |error| match error {
            ureq::Error::Timeout(_) => self.error(&format!(": no answer within {} seconds", self.timeout.as_secs())),
            error => self.error(&format!(": {}", shortened(&error.to_string()))),
        };
        let mut response = response.map_err(error)?;
        let body = response.body_mut().with_config().limit(LIMIT).read_to_vec().map_err(error)?;
        Ok((response.status().as_u16(), body))
    }

    fn check_status(&self, status: u16, body: &[u8]) -> Result<(), String> {
        match status {
            200..=299 => Ok(()),
            300..=399 => Err(self.error(&format!("answered with a redirect (status {status}), which is not followed"))),
            _ => match json::object(body).as_ref().and_then(|object| object.get("error")?.as_str()) {
                // Not its description, which may repeat a secret.
                Some(code) if !code.is_empty() => {
                    Err(format!("OAuth, {}: the provider refused: {}", self.step, shortened(code)))
                }
                _ => Err(self.error(&format!("answered with status {status} and without an OAuth error"))),
            },
        }
    }

    fn error(&self, what: &str) -> String {
        let space = if what.starts_with(':') { "" } else { " " };
        format!("OAuth, {}: {}{space}{what}", self.step, self.url)
    }
}

fn of_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = files::read(path, Readers::Any)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.expose()).collect();
    match all.map_err(|error| named(path, error))? {
        none if none.is_empty() => Err(named(path, "no PEM section of the expected kind")),
        all => Ok(all),
    }
}

fn shortened(text: &str) -> String {
    printable(text.as_bytes()).chars().take(MAX_LOGGED).collect()
}

/// RFC 6749 section 2.3.1: both are encoded as in a form first.
fn basic(id: &str, secret: &Secret) -> Zeroizing<String> {
    let mut pair = Zeroizing::new(Vec::with_capacity(3 * (id.len() + secret.expose().len()) + 1));
    escape(&mut pair, id.as_bytes());
    pair.push(b':');
    escape(&mut pair, secret.expose());
    let encoded = Zeroizing::new(STANDARD.encode(&pair));
    Zeroizing::new(format!("Basic {}", *encoded))
}

/// Percent-encoding of a form: all octets except the unreserved characters.
fn escape(to: &mut Vec<u8>, octets: &[u8]) {
    for octet in octets {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => to.push(*octet),
            _ => {
                let digit = |value: u8| b"0123456789ABCDEF"[usize::from(value & 15)];
                to.extend_from_slice(&[b'%', digit(octet >> 4), digit(*octet)]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6749 section 2.3.1 and appendix B.
    #[test]
    fn credentials_are_encoded_as_in_a_form_first() {
        let encoded = basic("a:b", &Secret::new("p%\u{e4}".as_bytes()));
        assert_eq!(STANDARD.decode(encoded.strip_prefix("Basic ").unwrap()).unwrap(), b"a%3Ab:p%25%C3%A4");
    }
}
