//! `sasl-gate token`: makes a bearer token and its line for the tokens' file.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use authen_sasl_accounts::users::stored_name;
use authen_sasl_rust::contract::Random;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::world::OsRandom;
use zeroize::Zeroizing;

use crate::files::{self, named, Readers};
use crate::options::NewToken;
use crate::tokens::{hash_of, Tokens, PREFIX, SIZE};

fn print_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes the line to the file or to standard output, and the token to standard error.
pub fn run(wanted: &NewToken) -> Result<(), String> {
    let name = stored_name(&wanted.name).map_err(|error| error.to_string())?;
    let mut random = Zeroizing::new([0; SIZE]);
    OsRandom.fill(&mut *random).map_err(|error| error.to_string())?;
    let token = Secret::from(print_hex(&*random));
    let hash = hash_of(token.expose()).ok_or("the hash has a wrong size")?;
    let expiry = match wanted.days {
        None => String::new(),
        Some(days) => {
            let expires = SystemTime::now() + Duration::from_secs(u64::from(days) * 86_400);
            let since = expires.duration_since(SystemTime::UNIX_EPOCH).map_err(|error| error.to_string())?;
            format!("${}", since.as_secs())
        }
    };
    let line = format!("{name}:{PREFIX}{}{expiry}\n", print_hex(&hash));
    match &wanted.tokens {
        Some(path) => append(path, &line)?,
        None => print!("{line}"),
    }
    eprintln!("{}", token.expose_str().unwrap_or_default());
    Ok(())
}

/// Appends a line to a valid tokens' file. A missing file is created, readable by its owner only.
fn append(path: &Path, line: &str) -> Result<(), String> {
    let mut options = OpenOptions::new();
    let (mut file, about) =
        files::open(path, options.read(true).append(true).create(true).mode(0o600), Readers::Owner)?;
    let text = files::content(&file, &about).map_err(|error| named(path, error))?;
    Tokens::parse(&text).map_err(|error| named(path, error))?;
    let is_whole = text.expose().last().is_none_or(|&last| last == b'\n');
    // A single write, since two programs may append at the same time.
    let line = if is_whole { line.to_owned() } else { format!("\n{line}") };
    file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| named(path, error))
}
