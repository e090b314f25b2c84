//! Tokens that an OAuth provider issues: signed ones (JWT, RFC 7519) are checked here, others by asking the provider (RFC 7662).
//!
//! The rules are those of the Perl class `Authen::SASL::Rust::OAuth::Verifier`, and so are the words of the error texts.

mod algorithms;
mod claims;
mod http;
mod introspection;
mod json;
mod jwt;
mod key_set;
mod keys;
pub mod settings;

use std::sync::Arc;
use std::time::SystemTime;

use authen_sasl_rust::contract::TokenVerdict;
use authen_sasl_rust::secret::Secret;
use tokio::sync::Semaphore;

use claims::Rules;
pub use claims::{Failure, Grant, Refusal};
use introspection::Introspector;
use jwt::Unverified;
use keys::Keys;
use settings::{Introspection, Jwt};

/// Checks tokens of one provider.
pub struct Provider {
    signed: Option<Signed>,
    introspector: Option<Introspector>,
    /// What clients are told whose token is refused (RFC 7628 section 3.2.2).
    scope: Option<String>,
    configuration: Option<String>,
}

struct Signed {
    rules: Rules,
    keys: Keys,
    algorithms: Vec<String>,
    kind: Option<String>,
    /// So that signatures do not use all processors while relays need them.
    places: Arc<Semaphore>,
}

impl Provider {
    /// `None` if neither table is set.
    pub fn new(jwt: Option<&Jwt>, introspection: Option<&Introspection>) -> Result<Option<Self>, String> {
        if jwt.is_none() && introspection.is_none() {
            return Ok(None);
        }
        let scope = jwt.map(|jwt| &jwt.scope).or(introspection.map(|other| &other.scope));
        let scope = scope.map(|words| words.0.join(" ")).filter(|scope| !scope.is_empty());
        let configuration = [jwt.map(|jwt| &jwt.configuration), introspection.map(|other| &other.configuration)];
        Ok(Some(Provider {
            signed: jwt.map(Signed::new).transpose()?,
            introspector: introspection.map(Introspector::new).transpose()?,
            scope,
            configuration: configuration.into_iter().flatten().flatten().next().cloned(),
        }))
    }

    /// Takes over what the configuration before a reload knows.
    pub fn inherit(&self, old: &Provider) {
        if let (Some(signed), Some(old)) = (&self.signed, &old.signed) {
            signed.keys.inherit(&old.keys);
        }
    }

    /// Whom the token stands for. A token in the form of a signed one is checked by `jwt`, if that is set; the provider is asked about
    /// all others.
    pub async fn check(&self, token: &Secret) -> Result<Grant, Failure> {
        if token.is_empty() {
            return Err(Refusal::new("it is empty").into());
        }
        match (&self.signed, &self.introspector) {
            (Some(signed), Some(_)) if jwt::is_signed(token.expose()) => signed.check(token).await,
            (_, Some(introspector)) => introspector.check(token).await,
            (Some(signed), None) => signed.check(token).await,
            (None, None) => Err(Refusal::new("no token is accepted").into()),
        }
    }

    /// The verdict for the client. It does not contain the reason.
    pub fn rejected(&self, status: &str) -> TokenVerdict {
        TokenVerdict::Rejected {
            status: status.into(),
            scope: self.scope.clone(),
            openid_configuration: self.configuration.clone(),
        }
    }
}

impl Signed {
    fn new(settings: &Jwt) -> Result<Self, String> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Signed {
            rules: Rules::of_jwt(settings),
            keys: Keys::new(settings)?,
            algorithms: settings.algorithms.clone(),
            kind: settings.kind.clone(),
            places: Arc::new(Semaphore::new(processors)),
        })
    }

    async fn check(&self, token: &Secret) -> Result<Grant, Failure> {
        let unverified = Unverified::parse(token.expose(), &self.algorithms, self.kind.as_deref())?;
        let keys = self.keys.having(unverified.kid()).await.map_err(Failure::Unavailable)?;
        let unavailable = |what: &str| Failure::Unavailable(format!("OAuth, token: {what}"));
        let place = self.places.clone().acquire_owned().await.map_err(|_| unavailable("the gateway ends"))?;
        // Outside the relay threads: it costs tens of microseconds, which strangers choose to spend.
        let verified = tokio::task::spawn_blocking(move || {
            let verified = unverified.verify(&keys);
            drop(place);
            verified
        });
        let claims = verified.await.map_err(|_| unavailable("the check was given up"))??;
        let grant = self.rules.read(&claims)?;
        self.rules.check_time(&grant, SystemTime::now())?;
        Ok(grant)
    }
}
