//! `sasl-gate passwd`: sets a user's password.

use std::io::{stdin, BufRead, IsTerminal};
use std::path::Path;

use authen_sasl_accounts::users::{stored_name, Expected, NewPassword, UsersFile};
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::verifier::{make_text, VerifierFormat};
use zeroize::Zeroizing;

use crate::options::Passwd;

/// Stores the verifier in the users' file, or prints `name:verifier` if no file is given.
pub fn run(wanted: &Passwd) -> Result<(), String> {
    let name = stored_name(&wanted.name).map_err(|error| error.to_string())?;
    let password = password()?;
    match &wanted.users {
        Some(path) => store(path, &name, &password, wanted),
        None => {
            let mechanism = wanted.mechanism.as_deref().unwrap_or("SCRAM-SHA-256");
            let verifier = make_text(mechanism, &password, None, wanted.iterations, VerifierFormat::Rfc5803);
            println!("{name}:{}", verifier.map_err(|error| error.to_string())?);
            Ok(())
        }
    }
}

fn store(path: &Path, name: &str, password: &str, wanted: &Passwd) -> Result<(), String> {
    let password = Secret::new(password.as_bytes());
    let new =
        NewPassword { password: &password, mechanisms: wanted.mechanism.as_deref(), iterations: wanted.iterations };
    UsersFile::new(path)
        .and_then(|file| file.set_password(name, &new, Expected::Either))
        .map_err(|error| error.to_string())
}

fn password() -> Result<Zeroizing<String>, String> {
    if stdin().is_terminal() {
        let ask = |prompt| rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|error| error.to_string());
        let (first, second) = (ask("Password: ")?, ask("Again: ")?);
        return if *first == *second { Ok(first) } else { Err("the passwords do not match".into()) };
    }
    let mut line = Zeroizing::new(String::new());
    stdin().lock().read_line(&mut line).map_err(|error| format!("standard input: {error}"))?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line)
}
