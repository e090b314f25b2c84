//! Accounts that a configuration of Cyrus SASL names: saslauthd, and the auxprop plugins sasldb, sql and ldapdb. They check passwords.

use std::path::PathBuf;
use std::sync::Arc;

use authen_sasl_accounts::conf::{self, Conf};
pub use authen_sasl_cyrus_host::Log;
use authen_sasl_cyrus_host::{folders, privileged, CyrusAccounts, Options};
use authen_sasl_rust::accounts::Accounts;
use authen_sasl_rust::config::{Config, MIN_ITERATIONS};
use authen_sasl_rust::contract::{Abilities, Answer, CredentialKind, Question};
use authen_sasl_rust::secret::{wiping_stack, Secret};
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::account::{Account, Unavailable};
use crate::engine::{Asking, Engine};

/// A user who does not exist.
const NOBODY: &str = "authen-sasl-rust-nobody";

/// The table `cyrus`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The name of the configuration, whose file is `SERVICE.conf`.
    pub service: String,
    /// Where that file is; empty for the folders of libsasl2.
    pub folders: Vec<PathBuf>,
    /// Where plugins are; empty for the folders of libsasl2.
    pub plugins: Vec<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { service: "sasl-gate".into(), folders: Vec::new(), plugins: Vec::new() }
    }
}

/// Asks plugins and saslauthd. Their calls block, so each has a thread.
pub struct Cyrus {
    accounts: Arc<CyrusAccounts>,
    config: Arc<Config>,
    /// A thread whose look-up has reached its deadline keeps its place until the call ends.
    places: Arc<Semaphore>,
}

impl Cyrus {
    /// Reads the configuration, and loads its plugins. `service` and `host` are what plugins and saslauthd learn of this server; the
    /// realm is the host. At most `at_once` questions are asked at a time.
    ///
    /// # Errors
    /// Why there is no such configuration, or why its plugins cannot be used.
    pub fn open(
        settings: &Settings,
        service: &str,
        host: &str,
        at_once: usize,
        log: Option<Log>,
    ) -> Result<Self, String> {
        let chosen = |chosen: &Vec<PathBuf>| Some(chosen.clone()).filter(|folders| !folders.is_empty());
        let confs = chosen(&settings.folders).unwrap_or_else(|| conf::folders(privileged()));
        let found = Conf::find(&settings.service, &confs).map_err(|error| format!("cyrus.service: {error}"))?;
        let (path, conf) = found.ok_or_else(|| {
            let confs: Vec<_> = confs.iter().map(|folder| folder.display().to_string()).collect();
            format!("cyrus.service: there is no {}.conf in {}", settings.service, confs.join(", "))
        })?;
        let failed = |error: authen_sasl_rust::error::Error| format!("{}: {error}", path.display());
        let mut options = Options::default();
        for (name, value) in conf.options() {
            options.set(name, value).map_err(failed)?;
        }
        let plugins = chosen(&settings.plugins).unwrap_or_else(|| folders(None));
        let accounts = CyrusAccounts::new(&plugins, options, log).map_err(failed)?;
        let mut config = Config::default();
        (config.service, config.host, config.iterations) = (service.into(), host.into(), Some(MIN_ITERATIONS));
        let places = Arc::new(Semaphore::new(at_once));
        Ok(Cyrus { accounts: Arc::new(accounts), config: Arc::new(config), places })
    }

    async fn ask(&self, question: Question) -> Result<Answer, Unavailable> {
        // It is never closed.
        let place = self.places.clone().acquire_owned().await;
        let (accounts, config) = (self.accounts.clone(), self.config.clone());
        let answered = tokio::task::spawn_blocking(move || {
            let answer = wiping_stack(|| accounts.answer(&question, &config));
            drop(place);
            answer
        });
        let answer = answered.await.map_err(|_| Unavailable::new("the question was given up"))?;
        answer.map_err(|error| Unavailable::new(error.to_string()))
    }
}

impl Engine for Cyrus {
    /// Whether the user exists, as far as that can be asked: saslauthd only checks passwords.
    fn find<'a>(&'a self, name: &'a str) -> Asking<'a, Option<Account>> {
        Box::pin(async move {
            if !self.accounts.abilities().contains(Abilities::CREDENTIALS) {
                return Ok(Some(Account::default()));
            }
            let kind = CredentialKind::Comparable;
            let question = Question::Credentials { kind, authcid: name.into(), authzid: None, realm: None };
            match self.ask(question).await? {
                Answer::Credential(stored) => Ok(stored.map(|_| Account::default())),
                _ => Err(Unavailable::new("an unexpected answer")),
            }
        })
    }

    fn probe(&self) -> Asking<'_, ()> {
        Box::pin(async move { self.find(NOBODY).await.map(drop) })
    }

    fn checks_passwords(&self) -> bool {
        true
    }

    fn knows_users(&self) -> bool {
        false
    }

    fn check<'a>(&'a self, name: &'a str, password: &'a Secret) -> Asking<'a, Option<Account>> {
        Box::pin(async move {
            let question = Question::CheckPassword { authcid: name.into(), authzid: None, password: password.clone() };
            match self.ask(question).await? {
                Answer::Verdict(is_right) => Ok(is_right.then(Account::default)),
                _ => Err(Unavailable::new("an unexpected answer")),
            }
        })
    }
}
