//! Accounts in a PostgreSQL database.
//!
//! | floor | files | what |
//! |---|---|---|
//! | 3 | `mod.rs` | the engine |
//! | 2 | `connection.rs` | a connection with its prepared statement |
//! | 1 | `columns.rs`, `settings.rs`, `tls.rs` | what the query returns; the table `postgres`; TLS by rustls |

mod columns;
mod connection;
mod settings;
mod tls;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use authen_sasl_rust::secret::Secret;
use tokio_postgres::Config;
use tokio_rustls::rustls::ClientConfig;

use crate::account::{Account, Unavailable};
use crate::engine::{Asking, Engine};
use crate::link::Link;
use connection::{Connection, Fault};
pub use settings::{Settings, QUERY, UPDATE, UPGRADE};

/// Reads the password, for each connection.
pub type ReadPassword = Box<dyn Fn() -> Result<Secret, String> + Send + Sync>;

/// Asks a PostgreSQL database.
pub struct Postgres {
    settings: Settings,
    config: Config,
    tls: Option<Arc<ClientConfig>>,
    password: Option<ReadPassword>,
    deadline: Duration,
    /// Each carries many look-ups at once, one behind the other.
    links: Vec<Link<Connection>>,
    turn: AtomicUsize,
    /// For changes: one that waits for a lock holds up no look-up.
    writer: Link<Connection>,
}

/// A look-up that has not been answered. If it is dropped, it took too long: perhaps nobody is at the other end any more.
struct Unanswered<'a> {
    link: &'a Link<Connection>,
    connection: &'a Arc<Connection>,
    is_answered: bool,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.link.lost(self.connection);
            self.connection.cut();
        }
    }
}

impl Postgres {
    /// With settings, and what to expect of the server's certificate. Nothing is asked yet. `deadline`: how long a look-up may take.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn new(
        settings: &Settings,
        password: Option<ReadPassword>,
        tls: Option<Arc<ClientConfig>>,
        deadline: Duration,
    ) -> Result<Self, String> {
        let config = settings.config()?;
        let links = (0..settings.connections).map(|_| Link::default()).collect();
        let turn = AtomicUsize::new(0);
        let (settings, writer) = (settings.clone(), Link::default());
        Ok(Postgres { settings, config, tls, password, deadline, links, turn, writer })
    }

    async fn open(&self) -> Result<Connection, Unavailable> {
        let mut config = self.config.clone();
        if let Some(read) = &self.password {
            config.password(read().map_err(Unavailable::new)?.expose());
        }
        Connection::open(&config, self.tls.as_ref(), &self.settings.query, self.deadline).await
    }

    async fn ask(&self, link: &Link<Connection>, name: &str) -> Result<Option<Account>, Fault> {
        let connection = link.get(self.open()).await.map_err(Fault::Unavailable)?;
        let mut unanswered = Unanswered { link, connection: &connection, is_answered: false };
        let answer = connection.find(name).await;
        // A connection that was lost is given up, too.
        unanswered.is_answered = !matches!(answer, Err(Fault::Lost(_)));
        answer
    }

    /// Replaces a user's verifiers by the statement for that.
    ///
    /// # Errors
    /// Why not.
    pub async fn update(&self, name: &str, verifiers: &[String]) -> Result<(), Unavailable> {
        self.open().await?.update(&self.settings.update, name, verifiers).await
    }
}

impl Engine for Postgres {
    fn find<'a>(&'a self, name: &'a str) -> Asking<'a, Option<Account>> {
        Box::pin(async move {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.links.len().max(1);
            let link = self.links.get(turn).ok_or_else(|| Unavailable::new("postgres.connections: 0"))?;
            let asked = match self.ask(link, name).await {
                // The server was restarted, for instance. Whether it is back, a new connection shows.
                Err(Fault::Lost(_)) => self.ask(link, name).await,
                asked => asked,
            };
            asked.map_err(|(Fault::Lost(why) | Fault::Unavailable(why))| why)
        })
    }

    /// Not tried again on another connection: the next login does it.
    fn strengthen<'a>(&'a self, name: &'a str, verifier: &'a Secret, stored: &'a Secret) -> Asking<'a, bool> {
        Box::pin(async move {
            let (Some(verifier), Some(stored)) = (verifier.expose_str(), stored.expose_str()) else { return Ok(false) };
            let link = &self.writer;
            let connection = link.get(self.open()).await?;
            let mut unanswered = Unanswered { link, connection: &connection, is_answered: false };
            let answer = connection.strengthen(&self.settings.upgrade, name, verifier, stored).await;
            unanswered.is_answered = !matches!(answer, Err(Fault::Lost(_)));
            answer.map_err(|(Fault::Lost(why) | Fault::Unavailable(why))| why)
        })
    }

    fn probe(&self) -> Asking<'_, ()> {
        // No user has an empty name. The columns are checked, and so is the right to read them.
        Box::pin(async move { self.find("").await.map(drop) })
    }
}
