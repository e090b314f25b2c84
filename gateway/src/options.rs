//! The command line. What it names wins over the file.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::address::{Address, Place};
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
  sasl-gate passwd --users users fred
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
    #[arg(long, value_name = "HOST:PORT", value_parser = Place::parse)]
    metrics: Option<Place>,

    /// How to log, to standard error: text or json [default: text]
    #[arg(long, value_name = "FORMAT", value_parser = log)]
    log: Option<Log>,

    /// Log too what ended connections that nobody has authenticated
    #[arg(short, long)]
    verbose: bool,

    /// Threads that relay [default: one a processor]
    #[arg(long, value_name = "NUMBER")]
    threads: Option<usize>,

    /// Only say whether the configuration is good
    #[arg(long)]
    pub check: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set a user's password, or make a line for the users' file of it
    Passwd(Passwd),
    /// Make a token, and a line for the tokens' file
    Token(NewToken),
}

/// Makes a bearer token. It is printed on standard error, its line for the tokens' file on standard output or into the file.
#[derive(Debug, Args)]
pub struct NewToken {
    /// The name of the user whose it is
    #[arg(value_name = "USER")]
    pub name: String,

    /// The tokens' file, which gets the line; it is made if it is not there [default: print the line]
    #[arg(long, value_name = "FILE")]
    pub tokens: Option<PathBuf>,

    /// Days until it ends [default: it does not]
    #[arg(short, long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub days: Option<u32>,
}

/// Sets a user's password in the users' file, or prints a line for it. The password is asked for, or read from standard input.
#[derive(Debug, Args)]
pub struct Passwd {
    /// The user's name
    #[arg(value_name = "USER")]
    pub name: String,

    /// The users' file; it is made if it is not there [default: print the line]
    #[arg(short, long, value_name = "FILE")]
    pub users: Option<PathBuf>,

    /// The mechanism that the key is for [default: SCRAM-SHA-256, or those that the user has keys for]
    #[arg(short, long, value_name = "NAME")]
    pub mechanism: Option<String>,

    /// Iterations of the key derivation [default: 4096, or as the user has them]
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
        if self.metrics.is_some() {
            settings.metrics.clone_from(&self.metrics);
        }
        settings.log = self.log.unwrap_or(settings.log);
        settings.verbose |= self.verbose;
        settings.threads = self.threads.or(settings.threads);
        Ok(settings)
    }
}
