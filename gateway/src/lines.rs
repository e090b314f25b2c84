//! What the files of passwords and tokens have in common: lines of `name:value`, and who may read them.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::users::stored_name;
use rustix::process::geteuid;

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
    let named = |error: String| format!("{}: {error}", path.display());
    let read = || {
        let mut file = File::open(path)?;
        let about = file.metadata()?;
        // One octet more than there is, so that the buffer does not grow and leave copies.
        let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or(0).saturating_add(1));
        file.read_to_end(&mut bytes)?;
        Ok((about, Secret::from(bytes)))
    };
    let (about, text) = read().map_err(|error: std::io::Error| named(error.to_string()))?;
    if about.uid() != 0 && about.uid() != geteuid().as_raw() {
        return Err(named("it belongs neither to the user of this program nor to root".into()));
    }
    if about.mode() & 0o027 != 0 {
        return Err(named("others can read or write it (chmod 600; a group may read it with 640)".into()));
    }
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
        let name = stored_name(name).map_err(|error| wrong(number, &error.to_string()))?;
        lines.push(Line { number, name, value });
    }
    Ok(lines)
}
