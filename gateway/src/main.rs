//! `sasl-gate`: SASL in front of beanstalkd, or of another server of a protocol without authentication.
//!
//! It speaks the AUTH line protocol (`docs/auth-line-protocol.md`) until a client has authenticated
//! itself, then relays bytes to the backend. `docs/sasl-gate.pod` is its manual.
//!
//! Each file imports only files of lower floors; `xt/imports.t` checks that.
//!
//! | floor | files | what |
//! |---|---|---|
//! | 9 | `listen.rs` | accepts connections, and serves the metrics |
//! | 8 | `connection.rs` | one connection: TLS handshake, login, relay |
//! | 7 | `login.rs` | the dialogue of the AUTH line protocol |
//! | 6 | `backend.rs` | connects to a backend |
//! | 5 | `gate.rs`, `passwd.rs`, `new_token.rs` | what all connections share; the two subcommands |
//! | 4 | `accounts.rs` | the account store: users, passwords and tokens |
//! | 3 | `options.rs`, `tls.rs`, `throttle.rs`, `journal.rs`, `passwords.rs`, `tokens.rs` | the command line; TLS; limits per address; the log; two of the accounts' files |
//! | 2 | `settings.rs`, `lines.rs`, `relay.rs`, `workers.rs` | the configuration file; lines of `name:value`; the relay and its threads |
//! | 1 | `access.rs`, `address.rs`, `busy_poll.rs`, `files.rs`, `gauges.rs`, `identity.rs`, `need.rs`, `peer.rs`, `sparse.rs` | import nothing of ours |

mod access;
mod accounts;
mod address;
mod backend;
mod busy_poll;
mod connection;
mod files;
mod gate;
mod gauges;
mod identity;
mod journal;
mod lines;
mod listen;
mod login;
#[cfg(test)]
mod manual;
mod need;
mod new_token;
mod options;
mod passwd;
mod passwords;
mod peer;
mod relay;
mod settings;
mod sparse;
mod throttle;
mod tls;
mod tokens;
mod workers;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use tokio::signal::unix::{signal, Signal, SignalKind};
use tokio::sync::watch;
use tracing::{error, info, warn};

use gate::{Gate, Live};
use gauges::count;
use journal::Journal;
use options::{Command, Options};
use workers::Workers;

fn main() -> ExitCode {
    let options = Options::parse();
    finish(match &options.command {
        Some(Command::Passwd(wanted)) => passwd::run(wanted),
        Some(Command::Token(wanted)) => new_token::run(wanted),
        None => run(options),
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

fn run(options: Options) -> Result<(), String> {
    let live = Live::load(options.settings()?)?;
    if options.check {
        if !live.flaws.is_empty() {
            return Err(live.flaws.join("\n"));
        }
        println!(
            "sasl-gate: {} users, mechanisms {}: the configuration is good",
            live.accounts.count(),
            live.mechanisms
        );
        return Ok(());
    }
    let journal = Journal::start(live.settings.log, live.settings.verbose)?;
    let result = work(options, live, &journal);
    journal.flush();
    result
}

fn work(options: Options, live: Live, journal: &Journal) -> Result<(), String> {
    live.warn();
    if live.settings.tls.client_ca.is_some() && live.settings.access.is_empty() {
        warn!("there are no rules (access): whoever has a certificate from tls.client_ca is let in");
    }
    // Each connection needs two files, and the usual limit is 1024.
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) if (limit as usize) < live.settings.limits.connections.saturating_mul(2) => {
            info!(limit, "fewer files may be open than limits.connections needs");
        }
        Ok(_) => {}
        Err(error) => warn!(%error, "the limit of open files cannot be raised"),
    }
    let threads =
        live.settings.threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(2);
    let cannot_start = |error| format!("the threads cannot be started: {error}");
    let workers = Arc::new(Workers::start(threads).map_err(cannot_start)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot_start)?;
    // What is still relaying after the drain is cut off.
    runtime.block_on(serve(options, live, threads, workers, journal))
}

async fn serve(
    options: Options,
    live: Live,
    threads: usize,
    workers: Arc<Workers>,
    journal: &Journal,
) -> Result<(), String> {
    let handler = |kind| signal(kind).map_err(|error| format!("a signal cannot be caught: {error}"));
    let (mut hangup, mut terminate, mut interrupt) =
        (handler(SignalKind::hangup())?, handler(SignalKind::terminate())?, handler(SignalKind::interrupt())?);
    let settings = live.settings.clone();
    let gate = Arc::new(Gate::new(live, threads, journal.dropped()));
    let (stop, stopped) = watch::channel(false);
    let sockets = listen::open(&settings)?;
    let accepting: Vec<_> = sockets
        .into_iter()
        .map(|socket| tokio::spawn(socket.accept(gate.clone(), workers.clone(), stopped.clone())))
        .collect();
    if let Some(place) = settings.metrics {
        listen::serve_metrics(gate.clone(), place, stopped.clone()).await?;
    }
    info!(users = gate.live().accounts.count(), mechanisms = gate.live().mechanisms, "ready");
    loop {
        tokio::select! {
            _ = hangup.recv() => reload(&options, &gate, journal),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    // The sockets close, and those who are in may finish.
    let _ = stop.send(true);
    for socket in accepting {
        let _ = socket.await;
    }
    drain(&gate, &mut terminate, &mut interrupt).await;
    Ok(())
}

fn reload(options: &Options, gate: &Gate, journal: &Journal) {
    let old = gate.live();
    match options.settings().and_then(Live::load) {
        Ok(live) => {
            if live.settings.listen != old.settings.listen || live.settings.metrics != old.settings.metrics {
                warn!("addresses to listen at change with a restart only");
            }
            live.warn();
            journal.set_verbose(live.settings.verbose);
            info!(users = live.accounts.count(), mechanisms = live.mechanisms, "reloaded");
            gate.replace(live);
            count(&gate.gauges.reloads);
        }
        Err(error) => {
            count(&gate.gauges.reload_errors);
            error!(error, "not reloaded, the configuration from before stays");
        }
    }
}

async fn drain(gate: &Gate, terminate: &mut Signal, interrupt: &mut Signal) {
    let end = Instant::now() + gate.live().settings.limits.drain();
    info!(connections = gate.connections(), "draining");
    while gate.connections() > 0 && Instant::now() < end {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    info!(connections = gate.connections(), "ending");
}
