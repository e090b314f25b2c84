//! `sasl-gate`: SASL authentication in front of beanstalkd, or of another server whose protocol has no authentication.
//!
//! It speaks the AUTH line protocol (`docs/auth-line-protocol.md`) until a client is authenticated, then relays bytes
//! between the client and the backend. `docs/sasl-gate.pod` is its manual.
//!
//! Each file imports only files of lower floors; `xt/imports.t` checks that.
//!
//! | floor | files | what |
//! |---|---|---|
//! | 14 | `control.rs`, `status.rs` | the control socket; HTTP: metrics, and whether new clients are accepted |
//! | 13 | `listen.rs` | listening sockets for clients |
//! | 12 | `connection.rs` | one connection: TLS handshake, login, relay |
//! | 11 | `login.rs` | the AUTH line protocol until the client is authenticated |
//! | 10 | `admission.rs` | what an authenticated client reaches |
//! | 9 | `backend.rs` | the connection to a backend |
//! | 8 | `backend_login.rs`, `revocation.rs`, `upgrade.rs` | the gateway's own login to a backend; sessions of clients that may not stay; stronger verifiers |
//! | 7 | `gate.rs`, `passwd.rs`, `new_token.rs` | what all connections share; two subcommands |
//! | 6 | `accounts.rs` | the account store: users, passwords and tokens |
//! | 5 | `account_server.rs`, `operator.rs` | users in a server: PostgreSQL, LDAP; the subcommands for sessions |
//! | 4 | `options.rs`, `tls.rs`, `journal.rs`, `passwords.rs`, `sessions.rs` | the command line; TLS; the log; passwords; live sessions |
//! | 3 | `metrics.rs`, `oauth/`, `settings.rs`, `throttle.rs`, `tokens.rs` | figures; tokens of OAuth providers; the configuration file; limits per address; tokens |
//! | 2 | `access.rs`, `credentials.rs`, `limits.rs`, `lines.rs`, `oauth/settings.rs`, `relay.rs`, `workers.rs` | access rules; the gateway's own credentials; limits; lines of `name:value`; settings of OAuth providers; the relay and its threads |
//! | 1 | `address.rs`, `busy_poll.rs`, `control_line.rs`, `end_reason.rs`, `files.rs`, `handed.rs`, `identity.rs`, `log_limit.rs`, `mechanisms.rs`, `names.rs`, `network.rs`, `notify.rs`, `oauth/algorithms.rs`, `peer.rs`, `proxy_header.rs`, `recent.rs` | import nothing of ours |

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable, clippy::todo)
)]

mod access;
mod account_server;
mod accounts;
mod address;
mod admission;
mod backend;
mod backend_login;
mod busy_poll;
mod connection;
mod control;
mod control_line;
mod credentials;
mod end_reason;
mod files;
mod gate;
mod handed;
mod identity;
mod journal;
mod limits;
mod lines;
mod listen;
mod log_limit;
mod login;
#[cfg(test)]
mod manual;
mod mechanisms;
mod metrics;
mod names;
mod network;
mod new_token;
mod notify;
mod oauth;
mod operator;
mod options;
mod passwd;
mod passwords;
mod peer;
mod proxy_header;
mod recent;
mod relay;
mod revocation;
mod sessions;
mod settings;
mod status;
mod throttle;
mod tls;
mod tokens;
mod upgrade;
mod workers;

use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use tokio::signal::unix::{signal, Signal, SignalKind};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use address::HostPort;
use control::Control;
use gate::{Gate, LiveConfig};
use handed::{Handed, Successor};
use journal::Journal;
use listen::Socket;
use metrics::count;
use notify::notify;
use options::{Command, Options};
use settings::Settings;
use workers::Workers;

/// How long a new process may take to read its files and listen.
const SUCCESSOR_TIMEOUT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let options = Options::parse();
    finish(match &options.command {
        Some(Command::Passwd(wanted)) => passwd::run(wanted),
        Some(Command::Token(wanted)) => new_token::run(wanted),
        Some(Command::Sessions(wanted)) => operator::sessions(wanted),
        Some(Command::Kick(wanted)) => operator::kick(wanted),
        Some(Command::Completions(wanted)) => wanted.print(),
        Some(Command::Connect(wanted)) => run(&|| wanted.settings(), wanted.common.check),
        None => run(&|| options.settings(), options.common.check),
    })
}

fn finish(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sasl-gate: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the command line's settings, at the start and for each reload.
type Source<'s> = &'s dyn Fn() -> Result<Settings, String>;

fn run(source: Source<'_>, check: bool) -> Result<(), String> {
    let live = LiveConfig::load(source()?)?;
    if check {
        live.probe()?;
        if !live.warnings.is_empty() {
            return Err(live.warnings.join("\n"));
        }
        println!("sasl-gate: configuration OK: {}", live.summary());
        return Ok(());
    }
    let handed = Handed::take()?;
    let journal = Journal::start(live.settings.log, live.settings.verbose)?;
    let result = work(source, live, &journal, handed);
    journal.flush();
    result
}

fn work(source: Source<'_>, live: LiveConfig, journal: &Journal, handed: Handed) -> Result<(), String> {
    live.log_warnings();
    if live.settings.tls.client_ca.is_some() && live.settings.access.is_empty() {
        warn!("no access rules: anyone holding a certificate from tls.client_ca gets in");
    }
    // Each connection needs two files, and the usual limit is 1024.
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) if (limit as usize) < live.settings.limits.connections.saturating_mul(2) => {
            warn!("open-file limit {limit} too low for limits.connections; raise LimitNOFILE");
        }
        Ok(_) => {}
        Err(error) => warn!(%error, "cannot raise the open-file limit"),
    }
    let threads =
        live.settings.threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(2);
    let cannot_start = |error| format!("cannot start the threads: {error}");
    let workers = Arc::new(Workers::start(threads, live.settings.busy_poll).map_err(cannot_start)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot_start)?;
    // Connections that still relay after the drain are cut off when the runtime ends.
    runtime.block_on(serve(source, live, threads, workers, journal, handed))
}

async fn serve(
    source: Source<'_>,
    live: LiveConfig,
    threads: usize,
    workers: Arc<Workers>,
    journal: &Journal,
    handed: Handed,
) -> Result<(), String> {
    let Signals { mut hangup, mut upgrade, mut end } =
        Signals::catch().map_err(|error| format!("cannot catch a signal: {error}"))?;
    let settings = live.settings.clone();
    let gate = Arc::new(Gate::new(live, threads, journal.dropped()));
    let (stop, stopped) = watch::channel(false);
    let (hand_over, handed_over) = watch::channel(false);
    let sockets = listen::open(&settings, &handed, &handed_over)?;
    let cannot = |error| format!("cannot duplicate a socket: {error}");
    let mut duplicates = sockets.iter().map(Socket::duplicate).collect::<Result<Vec<_>, _>>().map_err(cannot)?;
    let mut status = None;
    if let Some(HostPort(address)) = &settings.metrics {
        let listener = listen::bind(address, &handed).map_err(|error| format!("metrics at {address}: {error}"))?;
        info!(address, "metrics");
        duplicates.push(listener.as_fd().try_clone_to_owned().map_err(cannot)?);
        status = Some(status::serve(gate.clone(), listener, stopped.clone()));
    }
    if let Some(folder) = &settings.control {
        tokio::spawn(Control::open(folder)?.serve(gate.clone()));
    }
    tokio::spawn(revocation::watch(gate.clone()));
    handed.check()?;
    let accepting: Vec<_> = sockets
        .into_iter()
        .map(|socket| tokio::spawn(socket.accept(gate.clone(), workers.clone(), stopped.clone())))
        .collect();
    gate.live().log_as("ready");
    handed.ready()?;
    // A successor does not: systemd listens to the main process only, which reports it.
    if !handed.is_successor() {
        notify("READY=1");
    }
    loop {
        tokio::select! {
            _ = hangup.recv() => reload(source, &gate, journal),
            _ = upgrade.recv() => {
                let replaced = tokio::select! {
                    replaced = replace(&duplicates) => replaced,
                    () = end.recv() => break,
                };
                if replaced {
                    let _ = hand_over.send(true);
                    // The successor answers for both.
                    status.inspect(JoinHandle::abort);
                    break;
                }
            }
            () = end.recv() => {
                notify("STOPPING=1");
                break;
            }
        }
    }
    // The listening sockets close, and authenticated clients may finish.
    drop(duplicates);
    let _ = stop.send(true);
    for socket in accepting {
        let _ = socket.await;
    }
    drain(&gate, &mut end).await;
    Ok(())
}

/// The signals that the gateway obeys.
struct Signals {
    hangup: Signal,
    upgrade: Signal,
    end: End,
}

/// SIGTERM and SIGINT.
struct End(Signal, Signal);

impl Signals {
    fn catch() -> std::io::Result<Self> {
        Ok(Signals {
            hangup: signal(SignalKind::hangup())?,
            upgrade: signal(SignalKind::user_defined2())?,
            end: End(signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?),
        })
    }
}

impl End {
    async fn recv(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}

/// Starts a successor, and returns whether it accepts connections now. Until then, this process does.
async fn replace(sockets: &[OwnedFd]) -> bool {
    let started = async {
        let mut successor = Successor::start(sockets)?;
        successor.ready().await.map(|()| successor.id())
    };
    match tokio::time::timeout(SUCCESSOR_TIMEOUT, started).await {
        Ok(Ok(pid)) => {
            info!(pid, "replaced by a new process");
            notify(&format!("MAINPID={pid}"));
            true
        }
        Ok(Err(error)) => {
            error!(%error, "cannot start a new process; this one goes on");
            false
        }
        Err(_) => {
            error!("the new process is not ready in time; this one goes on");
            false
        }
    }
}

fn reload(source: Source<'_>, gate: &Gate, journal: &Journal) {
    let old = gate.live();
    match source().and_then(LiveConfig::load) {
        Ok(live) => {
            let places =
                |settings: &Settings| (settings.listen.clone(), settings.metrics.clone(), settings.control.clone());
            if places(&live.settings) != places(&old.settings) {
                warn!("new listening addresses need SIGUSR2");
            }
            live.log_warnings();
            journal.set_verbose(live.settings.verbose);
            live.log_as("reloaded");
            gate.replace(live);
            count(&gate.metrics.reloads);
        }
        Err(error) => {
            count(&gate.metrics.reload_errors);
            error!(error, "reload failed; the old configuration stays in use");
        }
    }
}

async fn drain(gate: &Gate, end: &mut End) {
    let deadline = Instant::now() + gate.live().settings.limits.drain();
    info!(connections = gate.connections(), "draining");
    while gate.connections() > 0 && Instant::now() < deadline {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
            () = end.recv() => break,
        }
    }
    info!(connections = gate.connections(), "ending");
}
