//! The command line. What it names wins over the file.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::settings::{Address, Log, Settings};

/// Where to listen if nobody says.
const LISTEN: &str = "127.0.0.1:11301";

/// Puts SASL in front of beanstalkd, or of another server of a protocol without authentication.
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    after_help = "\
Addresses are host:port, tls:host:port or unix:/path.

Signals: SIGHUP loads users, certificate and limits again; SIGTERM stops listening, lets those who are in \
finish, and ends.

Example:
  sasl-gate passwd users fred
  sasl-gate --users users --backend 127.0.0.1:11300"
)]
pub struct Options {
    #[command(subcommand)]
    pub command: Option<Command>,

    /// A TOML file with the settings; those given here win
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The users: lines of name:SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey
    #[arg(short, long, value_name = "FILE")]
    users: Option<PathBuf>,

    /// Where to listen, may be repeated [default: 127.0.0.1:11301]
    #[arg(short, long, value_name = "ADDRESS", value_parser = Address::parse)]
    listen: Vec<Address>,

    /// The server behind [default: 127.0.0.1:11300]
    #[arg(short, long, value_name = "ADDRESS", value_parser = Address::parse)]
    backend: Option<Address>,

    /// The certificate for tls: addresses, PEM, with its chain
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,

    /// The certificate's key, PEM
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// Mechanisms to offer, separated by spaces
    #[arg(long, value_name = "NAMES")]
    mechanisms: Option<String>,

    /// Offer PLAIN without TLS on TCP too: whoever listens reads the passwords
    #[arg(long)]
    plaintext: bool,

    /// Serve figures for Prometheus at http://ADDRESS/metrics
    #[arg(long, value_name = "HOST:PORT")]
    metrics: Option<SocketAddr>,

    /// How to log, to standard error: text or json [default: text]
    #[arg(long, value_name = "FORMAT", value_parser = log)]
    log: Option<Log>,

    /// Threads that relay [default: one a processor]
    #[arg(long, value_name = "NUMBER")]
    threads: Option<usize>,

    /// Only say whether the configuration is good
    #[arg(long)]
    pub check: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set the password of a user, who is added if need be
    Passwd(Passwd),
}

/// Sets a password in the users' file, which is made if need be. The password is asked for, or read from standard input.
#[derive(Debug, Args)]
pub struct Passwd {
    /// The users' file
    pub file: PathBuf,

    /// The user's name
    pub name: String,

    /// A mechanism to make a key for, may be repeated [default: those that the user has, or SCRAM-SHA-256]
    #[arg(short, long, value_name = "NAME")]
    pub mechanism: Vec<String>,

    /// Iterations of the key derivation [default: as the user has them, or 4096]
    #[arg(short, long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(4096..=2_000_000))]
    pub iterations: Option<u32>,
}

fn log(text: &str) -> Result<Log, String> {
    match text {
        "text" => Ok(Log::Text),
        "json" => Ok(Log::Json),
        _ => Err("text or json was expected".into()),
    }
}

impl Options {
    /// The file's settings, and those of the command line above them.
    pub fn settings(&self) -> Result<Settings, String> {
        let mut settings = match &self.config {
            Some(path) => Settings::read(path)?,
            None => Settings::default(),
        };
        if let Some(path) = &self.users {
            settings.users = Some(path.clone());
        }
        if !self.listen.is_empty() {
            settings.listen = self.listen.clone();
        }
        if settings.listen.is_empty() {
            settings.listen = vec![Address::parse(LISTEN)?];
        }
        if let Some(backend) = &self.backend {
            settings.backend = backend.clone();
        }
        if let Some(path) = &self.certificate {
            settings.tls.certificate = Some(path.clone());
        }
        if let Some(path) = &self.key {
            settings.tls.key = Some(path.clone());
        }
        if let Some(names) = &self.mechanisms {
            settings.mechanisms = names.clone();
        }
        settings.plaintext |= self.plaintext;
        settings.metrics = self.metrics.or(settings.metrics);
        settings.log = self.log.unwrap_or(settings.log);
        settings.threads = self.threads.or(settings.threads);
        Ok(settings)
    }
}
