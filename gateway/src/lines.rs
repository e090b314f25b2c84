//! What the files of users, passwords and tokens have in common: lines of `name:value`.

use std::path::Path;

use authen_sasl_rust::secret::Secret;

/// A line with its number, its user's name and what it says of it.
pub struct Line<'t> {
    number: usize,
    pub name: &'t str,
    pub value: &'t str,
}

impl Line<'_> {
    /// An error that names the line, and shows nothing of it.
    pub fn wrong(&self, what: &str) -> String {
        wrong(self.number, what)
    }
}

fn wrong(number: usize, what: &str) -> String {
    format!("line {number}: {what}")
}

/// Reads a file and parses it; errors name the file.
pub fn read<T>(path: &Path, parse: impl FnOnce(&Secret) -> Result<T, String>) -> Result<T, String> {
    let named = |error: String| format!("{}: {error}", path.display());
    let text = std::fs::read(path).map(Secret::from).map_err(|error| named(error.to_string()))?;
    parse(&text).map_err(named)
}

/// The lines of a file's text, without comments and empty ones. `form` is what a line was expected to be.
pub fn lines<'t>(text: &'t Secret, form: &str) -> Result<Vec<Line<'t>>, String> {
    let text = text.expose_str().ok_or("it is not UTF-8")?;
    let mut lines = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| wrong(number, &format!("{form} was expected")))?;
        if name.is_empty() || name.contains('\0') {
            return Err(wrong(number, "the name is empty, or holds a NUL"));
        }
        lines.push(Line { number, name, value });
    }
    Ok(lines)
}

/// Refuses a name that a line cannot hold.
pub fn check_name(name: &str) -> Result<(), String> {
    match name.is_empty() || name.contains([':', '\0', '\n', '\r']) || name.starts_with('#') {
        true => Err("a name is not empty, holds no colon and no end of a line, and does not begin with #".into()),
        false => Ok(()),
    }
}
