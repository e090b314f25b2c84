//! Files with lines of `name:value`: those of passwords and tokens.

use std::path::Path;

use authen_sasl_accounts::users::stored_name;
use authen_sasl_rust::secret::Secret;

use crate::files::{self, Readers};

/// A line: its number, the user's name, and the value.
pub struct Line<'t> {
    number: usize,
    pub name: String,
    pub value: &'t str,
}

impl Line<'_> {
    /// An error text that names the line, and shows nothing of its content.
    pub fn error(&self, what: &str) -> String {
        error_in(self.number, what)
    }
}

fn error_in(number: usize, what: &str) -> String {
    format!("line {number}: {what}")
}

/// Reads and parses a file that must not be public. Errors name the file.
pub fn read<T>(path: &Path, parse: impl FnOnce(&Secret) -> Result<T, String>) -> Result<T, String> {
    parse(&files::read(path, Readers::Owner)?).map_err(|error| files::named(path, error))
}

/// The lines of a text, except comments and empty lines. `form` describes a line in error texts.
pub fn lines<'t>(text: &'t Secret, form: &str) -> Result<Vec<Line<'t>>, String> {
    let text = text.expose_str().ok_or("not UTF-8")?;
    let mut lines = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| error_in(number, &format!("expected {form}")))?;
        let name = stored_name(name).map_err(|error| error_in(number, &error.to_string()))?;
        lines.push(Line { number, name, value });
    }
    Ok(lines)
}
