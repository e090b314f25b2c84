//! What the files of passwords and tokens have in common: lines of `name:value`.

use std::path::Path;

use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::users::stored_name;

use crate::files::{self, Readers};

/// A line with its number, its user's name and what it says of it.
pub struct Line<'t> {
    number: usize,
    pub name: String,
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

/// Reads a file that is not for everybody, and parses it; errors name the file.
pub fn read<T>(path: &Path, parse: impl FnOnce(&Secret) -> Result<T, String>) -> Result<T, String> {
    parse(&files::read(path, Readers::Owner)?).map_err(|error| files::named(path, error))
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
        let name = stored_name(name).map_err(|error| wrong(number, &error.to_string()))?;
        lines.push(Line { number, name, value });
    }
    Ok(lines)
}
