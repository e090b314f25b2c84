//! The command line. What it names wins over the file.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::address::Address;
use crate::settings::{Log, Settings};

/// Where to listen if nobody says.
const LISTEN: &str = "127.0.0.1:11301";

/// Puts SASL in front of beanstalkd, or of another server of a protocol without authentication.
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    after_help = "All settings: --help. The manual: sasl-gate(1).",
    after_long_help = concat!(
        "\
Addresses are host:port, tls:host:port or unix:/path.

Signals: SIGHUP loads settings and files again; SIGTERM stops listening, lets those who are in finish, and ends.

Example:
  sasl-gate passwd fred >> users
  sasl-gate --users users --backend 127.0.0.1:11300

",
        include_str!("../contrib/sasl-gate.toml")
    )
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

    /// Bearer tokens: lines of name:SHA-256$hash
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,

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

    /// Authorities of the clients' certificates, PEM; these log in by EXTERNAL
    #[arg(long, value_name = "FILE")]
    client_ca: Option<PathBuf>,

    /// Authorities of the certificates of tls: backends, PEM
    #[arg(long, value_name = "FILE")]
    backend_ca: Option<PathBuf>,

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
    /// Make a line for the users' file of a password
    Passwd(Passwd),
    /// Make a token, and a line for the tokens' file
    Token(NewToken),
}

/// Makes a bearer token: itself on standard error, its line for the tokens' file on standard output.
#[derive(Debug, Args)]
pub struct NewToken {
    /// The name of the user whose it is
    #[arg(value_name = "USER")]
    pub name: String,

    /// Days until it ends [default: it does not]
    #[arg(short, long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub days: Option<u32>,
}

/// Makes a line for the users' file. The password is asked for, or read from standard input.
#[derive(Debug, Args)]
pub struct Passwd {
    /// The user's name
    #[arg(value_name = "USER")]
    pub name: String,

    /// The mechanism that the line is for
    #[arg(short, long, value_name = "NAME", default_value = "SCRAM-SHA-256")]
    pub mechanism: String,

    /// Iterations of the key derivation
    #[arg(short, long, value_name = "NUMBER", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(4096..=2_000_000))]
    pub iterations: u32,
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
        for (file, here) in [
            (&self.users, &mut settings.users),
            (&self.tokens, &mut settings.tokens),
            (&self.certificate, &mut settings.tls.certificate),
            (&self.key, &mut settings.tls.key),
            (&self.client_ca, &mut settings.tls.client_ca),
            (&self.backend_ca, &mut settings.backend_tls.ca),
        ] {
            if file.is_some() {
                here.clone_from(file);
            }
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
