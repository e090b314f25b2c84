//! The command line. Its options override the configuration file.

use std::io::{stdout, Write};
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::address::{Address, HostPort};
use crate::control_line::SessionId;
use crate::settings::{Log, Role, Settings};

/// The default listening address.
const LISTEN: &str = "127.0.0.1:11301";

/// The default address of the backend, and of `sasl-gate connect`, which stands where clients expect the backend.
const BACKEND: &str = "127.0.0.1:11300";

/// SASL authentication in front of beanstalkd, or of another server whose protocol has no authentication.
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    after_help = "All settings: --help. The manual: sasl-gate(1).",
    after_long_help = concat!(
        "\
Addresses are host:port, tls:host:port or unix:/path.

Signals: SIGHUP reloads the settings and files; SIGTERM stops listening, lets authenticated clients finish, and exits;
SIGUSR2 replaces the process without refusing clients.

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

    /// The users' file: lines of name:SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey
    #[arg(short, long, value_name = "FILE")]
    users: Option<PathBuf>,

    /// The tokens' file: lines of name:SHA-256$hash
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,

    /// An address to listen on; may be repeated [default: 127.0.0.1:11301]
    #[arg(short, long, value_name = "ADDRESS", value_parser = Address::parse)]
    listen: Vec<Address>,

    /// The address of the backend [default: 127.0.0.1:11300]
    #[arg(short, long, value_name = "ADDRESS", value_parser = Address::parse)]
    backend: Option<Address>,

    /// The certificate for tls: addresses with its chain, PEM
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,

    /// The certificate's key, PEM
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// CAs of client certificates, PEM; clients with one may use EXTERNAL
    #[arg(long, value_name = "FILE")]
    client_ca: Option<PathBuf>,

    /// Mechanisms to offer, separated by spaces
    #[arg(long, value_name = "NAMES")]
    mechanisms: Option<String>,

    /// Offer PLAIN on TCP without TLS too; passwords can then be read on the network
    #[arg(long)]
    plaintext: bool,

    #[command(flatten)]
    pub common: Common,
}

/// The options of every command that serves.
#[derive(Debug, Args)]
pub struct Common {
    /// A TOML file with the settings; command-line options override it
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// CAs of the certificates of tls: backends, PEM
    #[arg(long, value_name = "FILE")]
    backend_ca: Option<PathBuf>,

    /// Serve metrics for Prometheus at http://HOST:PORT/metrics, and /healthz
    #[arg(long, value_name = "HOST:PORT", value_parser = HostPort::parse)]
    metrics: Option<HostPort>,

    /// Make a socket for sasl-gate sessions and sasl-gate kick in this folder
    #[arg(long, value_name = "FOLDER")]
    control: Option<PathBuf>,

    /// Format of the log on standard error: text or json [default: text]
    #[arg(long, value_name = "FORMAT", value_parser = log)]
    log: Option<Log>,

    /// Also log why connections ended that were never authenticated
    #[arg(short, long)]
    verbose: bool,

    /// Number of relay threads [default: one per processor]
    #[arg(long, value_name = "NUMBER")]
    threads: Option<usize>,

    /// Check the configuration and exit
    #[arg(long)]
    pub check: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Log in to a gateway for clients that cannot, and relay their connections
    Connect(Box<Connect>),
    /// Set a user's password, or print a line for the users' file
    Passwd(Passwd),
    /// Make a bearer token and its line for the tokens' file
    Token(NewToken),
    /// List the authenticated connections of a running gateway
    Sessions(Sessions),
    /// End the authenticated connections of a user
    Kick(Kick),
    /// Print a script that completes the command line in a shell
    Completions(Completions),
}

/// Where the gateway's control sockets are.
#[derive(Debug, Args)]
pub struct ControlFolder {
    /// The folder of the gateway's control sockets [default: /run/sasl-gate/control]
    #[arg(long, value_name = "FOLDER", conflicts_with = "config")]
    pub control: Option<PathBuf>,

    /// The gateway's configuration file, which names that folder
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Lists the authenticated connections of a running gateway.
#[derive(Debug, Args)]
pub struct Sessions {
    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub control: ControlFolder,
}

/// Ends the authenticated connections of a user, or one of them.
#[derive(Debug, Args)]
pub struct Kick {
    /// The user whose connections end
    #[arg(value_name = "USER", required_unless_present = "session", conflicts_with = "session")]
    pub user: Option<String>,

    /// End one connection; sasl-gate sessions lists the IDs
    #[arg(short, long, value_name = "ID", value_parser = session_id)]
    pub session: Option<SessionId>,

    #[command(flatten)]
    pub control: ControlFolder,
}

/// Prints a script that completes the command line in a shell.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell: bash, elvish, fish, powershell or zsh
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    shell: clap_complete::Shell,
}

impl Completions {
    /// Writes the script to standard output.
    pub fn print(&self) -> Result<(), String> {
        // clap_complete would panic if standard output were closed.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Options::command(), "sasl-gate", &mut script);
        // clap_complete 4.6 spells the hyphen of a name in two ways in its script for bash, so that no option of a subcommand
        // would be completed.
        let script = String::from_utf8_lossy(&script).replace("sasl__subcmd__gate", "sasl__gate");
        let written = stdout().write_all(script.as_bytes()).and_then(|()| stdout().flush());
        written.map_err(|error| format!("standard output: {error}"))
    }
}

/// Listens on loopback or a Unix socket without authentication, logs in to a gateway for each connection, and relays it. All clients
/// that can connect act as the user of these credentials.
#[derive(Debug, Args)]
pub struct Connect {
    /// An address to listen on, loopback or unix:/path; may be repeated [default: 127.0.0.1:11300]
    #[arg(short, long, value_name = "ADDRESS", value_parser = Address::parse)]
    listen: Vec<Address>,

    /// The address of the gateway to log in to
    #[arg(short, long, value_name = "ADDRESS", value_parser = Address::parse)]
    backend: Option<Address>,

    /// The user to log in as
    #[arg(short, long, value_name = "NAME")]
    user: Option<String>,

    /// A file with the password; it is read again for each login
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// A file with a bearer token for OAUTHBEARER; it is read again for each login
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// A client certificate with its chain, PEM; for EXTERNAL
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,

    /// The certificate's key, PEM
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// Mechanisms to use, separated by spaces [default: SCRAM, OAUTHBEARER or EXTERNAL]
    #[arg(long, value_name = "NAMES")]
    mechanisms: Option<String>,

    /// Use PLAIN and OAUTHBEARER on TCP without TLS too; the secret can then be read on the network
    #[arg(long)]
    plaintext: bool,

    #[command(flatten)]
    pub common: Common,
}

/// Makes a bearer token. Prints the token to standard error, and writes its line to the tokens' file or to standard output.
#[derive(Debug, Args)]
pub struct NewToken {
    /// The user who gets the token
    #[arg(value_name = "USER")]
    pub name: String,

    /// The tokens' file to append the line to; it is created if it does not exist [default: print the line]
    #[arg(long, value_name = "FILE")]
    pub tokens: Option<PathBuf>,

    /// Days until the token expires [default: never]
    #[arg(short, long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub days: Option<u32>,
}

/// Sets a user's password in the users' file or in a database, or prints a line for that file. The password is read from the terminal or from standard input.
#[derive(Debug, Args)]
pub struct Passwd {
    /// The user's name
    #[arg(value_name = "USER")]
    pub name: String,

    /// The users' file; it is created if it does not exist [default: print the line]
    #[arg(short, long, value_name = "FILE")]
    pub users: Option<PathBuf>,

    /// A configuration whose table postgres names the database to store the verifiers in
    #[cfg(feature = "postgres")]
    #[arg(long, value_name = "FILE", conflicts_with = "users")]
    pub postgres: Option<PathBuf>,

    /// The SCRAM mechanism of the verifier [default: SCRAM-SHA-256, or those of the user's verifiers]
    #[arg(short, long, value_name = "NAME")]
    pub mechanism: Option<String>,

    /// Iterations of the key derivation [default: 4096, or 10000 for SHA-384 and longer hashes, or those of the user's verifiers]
    #[arg(short, long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(4096..=2_000_000))]
    pub iterations: Option<u32>,
}

fn session_id(text: &str) -> Result<SessionId, String> {
    SessionId::parse(text).ok_or_else(|| "expected an ID such as 4242-17".into())
}

fn log(text: &str) -> Result<Log, String> {
    match text {
        "text" => Ok(Log::Text),
        "json" => Ok(Log::Json),
        _ => Err("expected text or json".into()),
    }
}

/// Overrides a setting with an option if that is set.
fn replace<T: Clone>(setting: &mut Option<T>, option: &Option<T>) {
    if option.is_some() {
        setting.clone_from(option);
    }
}

impl Common {
    /// The settings of the file, overridden by these options.
    fn settings(&self) -> Result<Settings, String> {
        let mut settings = match &self.config {
            Some(path) => Settings::read(path)?,
            None => Settings::default(),
        };
        replace(&mut settings.backend_tls.ca, &self.backend_ca);
        replace(&mut settings.metrics, &self.metrics);
        replace(&mut settings.control, &self.control);
        replace(&mut settings.threads, &self.threads);
        settings.log = self.log.unwrap_or(settings.log);
        settings.verbose |= self.verbose;
        Ok(settings)
    }
}

/// The addresses of the command line, else those of the file, else the default.
fn addresses(option: &[Address], setting: &mut Vec<Address>, default: &str) -> Result<(), String> {
    if !option.is_empty() {
        *setting = option.to_vec();
    }
    if setting.is_empty() {
        *setting = vec![Address::parse(default)?];
    }
    Ok(())
}

impl Options {
    /// The settings of the file, overridden by those of the command line.
    pub fn settings(&self) -> Result<Settings, String> {
        let mut settings = self.common.settings()?;
        replace(&mut settings.users, &self.users);
        replace(&mut settings.tokens, &self.tokens);
        replace(&mut settings.tls.certificate, &self.certificate);
        replace(&mut settings.tls.key, &self.key);
        replace(&mut settings.tls.client_ca, &self.client_ca);
        addresses(&self.listen, &mut settings.listen, LISTEN)?;
        replace(&mut settings.backend, &self.backend);
        if settings.backend.is_none() {
            settings.backend = Some(Address::parse(BACKEND)?);
        }
        if let Some(names) = &self.mechanisms {
            settings.mechanisms.clone_from(names);
        }
        settings.plaintext |= self.plaintext;
        Ok(settings)
    }
}

impl Connect {
    /// The settings of the file, overridden by those of the command line.
    pub fn settings(&self) -> Result<Settings, String> {
        let mut settings = Settings { role: Role::Connect, ..self.common.settings()? };
        addresses(&self.listen, &mut settings.listen, BACKEND)?;
        replace(&mut settings.backend, &self.backend);
        replace(&mut settings.backend_tls.certificate, &self.certificate);
        replace(&mut settings.backend_tls.key, &self.key);
        let login = settings.backend_login.get_or_insert_with(Default::default);
        replace(&mut login.user, &self.user);
        replace(&mut login.password_file, &self.password_file);
        replace(&mut login.token_file, &self.token_file);
        replace(&mut login.mechanisms, &self.mechanisms);
        login.plaintext |= self.plaintext;
        Ok(settings)
    }
}
