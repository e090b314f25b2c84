//! `sasl-gate passwd`: sets a user's password.

use std::io::{stdin, BufRead, IsTerminal};
#[cfg(feature = "postgres")]
use std::path::Path;

#[cfg(feature = "postgres")]
use authen_sasl_account_servers::Engine;
use authen_sasl_accounts::users::{stored_name, Expected, NewPassword, UsersFile};
use authen_sasl_rust::secret::Secret;
#[cfg(feature = "postgres")]
use authen_sasl_rust::store::verifier::Verifier;
use authen_sasl_rust::store::verifier::{make_text, VerifierFormat};
#[cfg(feature = "postgres")]
use tokio::runtime::Builder;
use zeroize::Zeroizing;

#[cfg(feature = "postgres")]
use crate::account_server::open_postgres;
#[cfg(feature = "postgres")]
use crate::files::named;
use crate::options::Passwd;
#[cfg(feature = "postgres")]
use crate::settings::Settings;

/// Stores the verifier in the users' file, or prints `name:verifier` if no file is given.
pub fn run(wanted: &Passwd) -> Result<(), String> {
    let name = stored_name(&wanted.name).map_err(|error| error.to_string())?;
    let password = password()?;
    let new = NewPassword {
        password: &Secret::new(password.as_bytes()),
        mechanisms: wanted.mechanism.as_deref(),
        iterations: wanted.iterations,
    };
    #[cfg(feature = "postgres")]
    if let Some(path) = &wanted.postgres {
        return store_in_postgres(path, &name, &new);
    }
    match &wanted.users {
        Some(path) => UsersFile::new(path)
            .and_then(|file| file.set_password(&name, &new, Expected::Either))
            .map_err(|error| error.to_string()),
        None => {
            let mechanism = wanted.mechanism.as_deref().unwrap_or("SCRAM-SHA-256");
            let verifier = make_text(mechanism, &password, None, wanted.iterations, VerifierFormat::Rfc5803);
            println!("{name}:{}", verifier.map_err(|error| error.to_string())?);
            Ok(())
        }
    }
}

/// `path` is a configuration whose table `postgres` names the database, and a role that may change it.
#[cfg(feature = "postgres")]
fn store_in_postgres(path: &Path, name: &str, new: &NewPassword<'_>) -> Result<(), String> {
    let settings = Settings::read(path)?;
    let table = settings.postgres.as_ref().ok_or_else(|| named(path, "there is no table postgres"))?;
    let database = open_postgres(table, &settings.store)?;
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let stored = runtime.block_on(async {
        let account = database.find(name).await.map_err(|error| error.to_string())?.unwrap_or_default();
        let known = account.verifiers.iter().filter_map(|(hash, text)| {
            let verifier = Verifier::read(text).ok().flatten()?;
            Some((*hash, verifier.iterations))
        });
        let verifiers = new.keys(&known.collect::<Vec<_>>()).map_err(|error| error.to_string())?;
        let texts: Vec<String> = verifiers.iter().map(|verifier| verifier.print(VerifierFormat::Rfc5803)).collect();
        database.update(name, &texts).await.map_err(|error| error.to_string())
    });
    stored.map_err(|error| format!("postgres: {error}"))
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
