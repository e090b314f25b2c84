//! A connection with its prepared statement.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, NoTls, Socket, Statement};
use tokio_rustls::rustls::ClientConfig;

use super::columns::Columns;
use super::tls::Rustls;
use crate::account::{Account, Unavailable};

/// A connection. Dropping it closes it.
pub struct Connection {
    client: Client,
    statement: Statement,
    columns: Columns,
    traffic: AbortHandle,
}

/// Why a look-up has no answer.
pub enum Fault {
    /// The connection is of no use any more; a new one may be.
    Lost(Unavailable),
    /// A new connection would not help.
    Unavailable(Unavailable),
}

impl Connection {
    /// Opens it, and prepares the statement. The server, too, gives up a statement after this time.
    pub async fn open(
        config: &Config,
        tls: Option<&Arc<ClientConfig>>,
        query: &str,
        limit: Duration,
    ) -> Result<Self, Unavailable> {
        let (client, traffic) = match tls {
            Some(tls) => connect(config, Rustls::new(tls)).await?,
            None => connect(config, NoTls).await?,
        };
        let prepare = async {
            let limit = format!("SET statement_timeout = {}", limit.as_millis().max(1));
            client.batch_execute(&limit).await.map_err(|error| unavailable("the connection cannot be used", &error))?;
            let statement = client.prepare_typed(query, &[Type::TEXT]).await;
            let statement = statement.map_err(|error| unavailable("postgres.query", &error))?;
            let columns =
                Columns::of(&statement).map_err(|what| Unavailable::new(format!("postgres.query: {what}")))?;
            Ok((statement, columns))
        };
        match prepare.await {
            Ok((statement, columns)) => Ok(Connection { client, statement, columns, traffic }),
            Err(error) => {
                traffic.abort();
                Err(error)
            }
        }
    }

    /// Looks a user up.
    pub async fn find(&self, name: &str) -> Result<Option<Account>, Fault> {
        match self.client.query(&self.statement, &[&name]).await {
            Ok(rows) => {
                self.columns.account(&rows).map_err(|error| Fault::Unavailable(unavailable("the answer", &error)))
            }
            Err(error) => match error.code() {
                // A name with characters that the database cannot store belongs to nobody.
                Some(code)
                    if [&SqlState::UNTRANSLATABLE_CHARACTER, &SqlState::CHARACTER_NOT_IN_REPERTOIRE]
                        .contains(&code) =>
                {
                    Ok(None)
                }
                Some(code) if !outlives(code) => Err(Fault::Unavailable(unavailable("the query failed", &error))),
                _ => Err(Fault::Lost(unavailable("the connection was lost", &error))),
            },
        }
    }

    /// Replaces a user's verifiers.
    pub async fn update(&self, statement: &str, name: &str, verifiers: &[String]) -> Result<(), Unavailable> {
        let done = async {
            let statement = self.client.prepare_typed(statement, &[Type::TEXT, Type::TEXT_ARRAY]).await?;
            self.client.execute(&statement, &[&name, &verifiers]).await
        };
        done.await.map(drop).map_err(|error| unavailable("postgres.update", &error))
    }

    /// Gives a user a stronger verifier in place of, or beside, the stored one. Returns whether it was stored.
    pub async fn strengthen(&self, statement: &str, name: &str, verifier: &str, stored: &str) -> Result<bool, Fault> {
        let done = async {
            let statement = self.client.prepare_typed(statement, &[Type::TEXT, Type::TEXT, Type::TEXT]).await?;
            let rows = self.client.query(&statement, &[&name, &verifier, &stored]).await?;
            rows.first().map_or(Ok(None), |row| row.try_get::<_, Option<bool>>(0))
        };
        match done.await {
            Ok(stored) => Ok(stored.unwrap_or(false)),
            Err(error) if error.code().is_none_or(outlives) && error.is_closed() => {
                Err(Fault::Lost(unavailable("postgres.upgrade", &error)))
            }
            Err(error) => Err(Fault::Unavailable(unavailable("postgres.upgrade", &error))),
        }
    }

    /// Closes it at once: whatever is still asked on it has no answer.
    pub fn cut(&self) {
        self.traffic.abort();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.cut();
    }
}

/// Whether this error goes away with a new connection: the server is shutting down or starts, or does not know the statement or the form
/// of its result any more (a pooler has another connection behind it, the tables have changed).
fn outlives(code: &SqlState) -> bool {
    [
        &SqlState::ADMIN_SHUTDOWN,
        &SqlState::CRASH_SHUTDOWN,
        &SqlState::CANNOT_CONNECT_NOW,
        &SqlState::INVALID_SQL_STATEMENT_NAME,
        &SqlState::FEATURE_NOT_SUPPORTED,
    ]
    .contains(&code)
}

async fn connect<T>(config: &Config, tls: T) -> Result<(Client, AbortHandle), Unavailable>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let connected = config.connect(tls).await;
    let (client, connection) = connected.map_err(|error| unavailable("cannot connect", &error))?;
    let traffic = tokio::spawn(async move {
        // Who asks something on it learns its error.
        let _ = connection.await;
    });
    Ok((client, traffic.abort_handle()))
}

/// The error with its causes. A server's error is shown without its details, which quote values.
fn unavailable(what: &str, error: &tokio_postgres::Error) -> Unavailable {
    if let Some(error) = error.as_db_error() {
        return Unavailable::new(format!("{what}: {} (SQLSTATE {})", error.message(), error.code().code()));
    }
    let mut text = format!("{what}: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    Unavailable::new(text)
}
