//! Passwords in the users' file.

use std::io::{stdin, BufRead, IsTerminal};

use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::users::{Expected, NewPassword, UsersFile};
use zeroize::Zeroizing;

use crate::options::Passwd;

/// Sets the password of a user.
pub fn run(wanted: &Passwd) -> Result<(), String> {
    let file = UsersFile::new(&wanted.file).map_err(|error| error.to_string())?;
    let password = Secret::new(password()?.as_bytes());
    let mechanisms = (!wanted.mechanism.is_empty()).then(|| wanted.mechanism.join(" "));
    let new = NewPassword { password: &password, mechanisms: mechanisms.as_deref(), iterations: wanted.iterations };
    file.set_password(&wanted.name, &new, Expected::Either).map_err(|error| error.to_string())
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
