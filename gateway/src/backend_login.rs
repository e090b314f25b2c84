//! The gateway's own login to a backend that speaks the AUTH line protocol: another gateway.

use std::fmt;
use std::sync::Arc;

use authen_sasl_rust::authline::client::{Client, Event, LoginError};
use authen_sasl_rust::config::ChannelBinding;
use authen_sasl_rust::contract::{Answer, Question, SecurityFlags, Values};
use authen_sasl_rust::mechanism;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::credentials::BackendLogin;
use crate::gate::LiveConfig;
use crate::names;
use crate::relay::Stream;

/// Size of the read buffer.
const BUFFER_SIZE: usize = 1024;

/// What the connection to the backend provides.
#[derive(Default)]
pub struct BackendSecurity {
    /// Its SSF: not 0 if the connection cannot be intercepted.
    pub strength: u32,
    pub binding: Option<ChannelBinding>,
    /// The gateway has shown a certificate.
    pub certificate: bool,
    /// It is a Unix socket.
    pub is_unix: bool,
    /// The host that the gateway has connected to.
    pub host: String,
}

/// Why the gateway is not logged in to the backend.
#[derive(Debug)]
pub enum LoginFailure {
    /// The connection was lost.
    Lost(std::io::Error),
    /// The files with the credentials cannot be used, or the backend did not accept the gateway.
    Refused(String),
}

impl fmt::Display for LoginFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoginFailure::Lost(error) => write!(f, "connection lost during the login: {error}"),
            LoginFailure::Refused(reason) => f.write_str(reason),
        }
    }
}

/// Logs in, and returns what the backend has sent after its `OK`.
///
/// Files are read and keys are derived outside the relay threads. `derivations` limits how many at a time.
pub async fn log_in<S: Stream>(
    stream: &mut S,
    security: BackendSecurity,
    login: &BackendLogin,
    live: &Arc<LiveConfig>,
    derivations: &Arc<Semaphore>,
) -> Result<Vec<u8>, LoginFailure> {
    let files = login.clone();
    let values = spawn_blocking(move || files.read()).await.map_err(|error| refused(&error))?;
    let mut exchange =
        Exchange { client: client(security, login, live), values: values.map_err(|error| refused(&error))? };
    let mut buffer = vec![0; BUFFER_SIZE];
    loop {
        let output = exchange.client.output();
        stream.write_all(output.expose()).await.map_err(LoginFailure::Lost)?;
        stream.flush().await.map_err(LoginFailure::Lost)?;
        let size = match stream.read(&mut buffer).await.map_err(LoginFailure::Lost)? {
            0 => return Err(LoginFailure::Lost(std::io::ErrorKind::UnexpectedEof.into())),
            size => size,
        };
        let (input, world) = (buffer[..size].to_vec(), live.clone());
        let permit = derivations.clone().acquire_owned().await.map_err(|error| refused(&error))?;
        let step = spawn_blocking(move || {
            let _permit = permit;
            let mut rest = input.as_slice();
            let event = exchange.receive(&mut rest, &world);
            let early = rest.to_vec();
            (exchange, event, early)
        });
        let (next, event, early) = step.await.map_err(|error| refused(&error))?;
        exchange = next;
        match event {
            Event::Done => return Ok(early),
            Event::Failed(error) => return Err(refused(&explained(&error))),
            Event::Read | Event::Ask => {}
        }
    }
}

fn client(security: BackendSecurity, login: &BackendLogin, live: &LiveConfig) -> Box<Client> {
    let mut client = Box::new(Client::new(&login.mechanisms(), mechanism::registry()));
    let config = &mut client.session.config;
    config.service = live.settings.service.as_str().into();
    config.host = security.host.into();
    config.abilities = login.abilities();
    if !login.plaintext {
        config.secflags = SecurityFlags::NOPLAINTEXT;
    }
    config.set_tls_ssf(security.strength);
    config.set_tls_certificate(security.certificate);
    config.set_unix_peer(security.is_unix);
    if let Some(binding) = security.binding {
        if let Err(error) = config.set_binding(binding) {
            tracing::debug!(%error, "no channel binding with the backend");
        }
    }
    client.begin();
    client
}

struct Exchange {
    client: Box<Client>,
    /// The credentials. Whatever is left is wiped when the login ends.
    values: Values,
}

impl Exchange {
    fn receive(&mut self, input: &mut &[u8], live: &LiveConfig) -> Event {
        let Exchange { client, values } = self;
        let mut event = live.with_client_world(|world| client.receive(input, world));
        while matches!(event, Event::Ask) {
            let answer = match client.question() {
                // A mechanism asks once, for all of its values.
                Some(Question::Values(_)) => Answer::Values(std::mem::take(values)),
                _ => Answer::Text(None),
            };
            event = live.with_client_world(|world| match client.answer(answer, world) {
                Event::Read => client.receive(input, world),
                event => event,
            });
        }
        event
    }
}

fn refused(reason: &dyn fmt::Display) -> LoginFailure {
    LoginFailure::Refused(reason.to_string())
}

fn explained(error: &LoginError) -> String {
    match error {
        LoginError::NoAuth => {
            "the backend does not support AUTH (UNKNOWN_COMMAND); without backend_login it needs no login".into()
        }
        LoginError::Sasl(failure) => failure.named(names::of_backend_login).to_string(),
        error => error.to_string(),
    }
}
