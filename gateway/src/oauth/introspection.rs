//! Asks the provider about a token (RFC 7662), and remembers its answers for a short time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use authen_sasl_rust::crypto::hash::Hash;
use authen_sasl_rust::secret::Secret;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::claims::{Failure, Grant, Refusal, Rules};
use super::http::{Client, Requests};
use super::settings::Introspection;
use crate::credentials::first_line;

const STEP: &str = "introspection";

/// Maximum number of answers that are remembered.
const MAX_CACHED: usize = 10_000;

/// Maximum number of questions at once.
const MAX_ASKED: usize = 32;

type Digest = [u8; 32];

/// What an answer says, without the times, which are checked each time.
type Answer = Result<Grant, Refusal>;

pub struct Introspector {
    rules: Rules,
    requests: Arc<Requests>,
    client: Option<Arc<Client>>,
    cached: Duration,
    timeout: Duration,
    places: Arc<Semaphore>,
    /// By the hash of the token.
    answers: Mutex<HashMap<Digest, (Instant, Answer)>>,
}

impl Introspector {
    pub fn new(settings: &Introspection) -> Result<Self, String> {
        let timeout = settings.timeout();
        let requests = Requests::new(STEP, &settings.url, settings.ca.as_deref(), timeout)?;
        let secret = settings.client_secret_file.as_deref().map(first_line).transpose()?;
        let client = settings.client_id.clone().map(|id| Arc::new(Client { id, secret, auth: settings.client_auth }));
        Ok(Introspector {
            rules: Rules::of_introspection(settings),
            requests: Arc::new(requests),
            client,
            cached: Duration::from_secs(settings.cache_seconds),
            timeout,
            places: Arc::new(Semaphore::new(MAX_ASKED)),
            answers: Mutex::default(),
        })
    }

    pub async fn check(&self, token: &Secret) -> Result<Grant, Failure> {
        let mut hash = Digest::default();
        hash.copy_from_slice(&Hash::Sha256.digest(token.expose()));
        let answer = match self.remembered(&hash) {
            Some(answer) => answer,
            None => self.ask(token, hash).await?,
        };
        // Each time: the token of a remembered answer may have expired since.
        let grant = answer?;
        self.rules.check_time(&grant, SystemTime::now())?;
        Ok(grant)
    }

    fn remembered(&self, hash: &Digest) -> Option<Answer> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(hash).filter(|(until, _)| Instant::now() < *until).map(|(_, answer)| answer.clone())
    }

    async fn ask(&self, token: &Secret, hash: Digest) -> Result<Answer, Failure> {
        let place = timeout(self.timeout, self.places.clone().acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            let seconds = self.timeout.as_secs();
            return Err(Failure::Unavailable(format!(
                "OAuth, {STEP}: {MAX_ASKED} questions are under way, and none was answered within {seconds} seconds"
            )));
        };
        let (requests, client, token) = (self.requests.clone(), self.client.clone(), token.clone());
        let asked = tokio::task::spawn_blocking(move || {
            let claims = requests.post(&token, client.as_deref());
            // Released when the request has ended, even if this login was given up.
            drop(place);
            claims
        });
        let claims = asked.await.unwrap_or_else(|_| Err(format!("OAuth, {STEP}: the request was given up")));
        let answer = self.read(&claims.map_err(Failure::Unavailable)?);
        self.remember(hash, answer.clone());
        Ok(answer)
    }

    fn read(&self, claims: &Map<String, Value>) -> Answer {
        // RFC 7662 section 2.2: a boolean.
        if claims.get("active") != Some(&Value::Bool(true)) {
            return Err(Refusal::new("the provider says that it is not active"));
        }
        let kind = claims.get("token_type").filter(|kind| !kind.is_null());
        if kind.is_some_and(|kind| !kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"))) {
            return Err(Refusal::new("it is not a bearer token"));
        }
        self.rules.read(claims)
    }

    fn remember(&self, hash: Digest, answer: Answer) {
        if self.cached.is_zero() {
            return;
        }
        let now = Instant::now();
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= MAX_CACHED {
            answers.retain(|_, (until, _)| now < *until);
        }
        if answers.len() >= MAX_CACHED {
            // Any: the hashes of strangers' tokens are in no order that they could choose.
            if let Some(any) = answers.keys().next().copied() {
                answers.remove(&any);
            }
        }
        answers.insert(hash, (now + self.cached, answer));
    }
}
