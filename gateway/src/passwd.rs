//! Lines for the users' file.

use std::io::{stdin, BufRead, IsTerminal};

use authen_sasl_rust::store::verifier::{make_text, Spelling};
use zeroize::Zeroizing;

use crate::lines;
use crate::options::Passwd;

/// Prints `name:stored-key`.
pub fn run(wanted: &Passwd) -> Result<(), String> {
    lines::check_name(&wanted.name)?;
    let password = password()?;
    let key = make_text(&wanted.mechanism, &password, None, wanted.iterations, Spelling::Rfc5803)
        .map_err(|error| error.to_string())?;
    println!("{}:{key}", wanted.name);
    Ok(())
}

fn password() -> Result<Zeroizing<String>, String> {
    if stdin().is_terminal() {
        let ask = |prompt| rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|error| error.to_string());
        let (first, second) = (ask("Password: ")?, ask("Again: ")?);
        return if *first == *second { Ok(first) } else { Err("the passwords differ".into()) };
    }
    let mut line = Zeroizing::new(String::new());
    stdin().lock().read_line(&mut line).map_err(|error| format!("standard input: {error}"))?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line)
}
