//! Protects statements of the sql plugin, which escapes texts without regard to the connection's mode.
//!
//! - With SQLite it puts a backslash before a quote. SQLite ends the literal at that quote nevertheless.
//! - With MySQL and MariaDB it calls `mysql_escape_string`, which does not know the connection. In the mode
//!   NO_BACKSLASH_ESCAPES the quote ends the literal, too.
//! - With PostgreSQL it calls `PQescapeString`, which uses the `standard_conforming_strings` of the last connection that the process
//!   has made.
//! - Before 2.1.28 it does not escape values that are stored (CVE-2022-24407).
//!
//! So a text that could end a literal in any mode never reaches the plugin. It is passed in hexadecimal to another copy of the plugin,
//! whose statements decode it: digits cannot end a literal.

use std::ffi::{CStr, CString};
use std::sync::Arc;

use authen_sasl_rust::error::{Code, Error};
use authen_sasl_rust::secret::Secret;

use super::instances;
use super::journal::Log;
use super::loader::File;
use super::options::Options;
use saslplug::AuxpropPlug;

use statement::Engine;

mod statement;

/// The options with statements. sql_statement is the old name of sql_select.
const STATEMENTS: [&str; 4] = ["sql_select", "sql_statement", "sql_insert", "sql_update"];

/// The protection of a sql plugin.
pub struct Guard {
    engine: Engine,
    /// The copy that takes names and values in hexadecimal.
    decoding: AuxpropPlug,
}

/// The plugin to ask, and the texts for it.
pub struct Asked {
    /// The plugin.
    pub plug: AuxpropPlug,
    /// The user's name.
    pub name: CString,
    /// The values to store; `None` removes the property.
    pub values: Vec<Option<Secret>>,
}

impl Guard {
    /// `None` if the plugin is not sql.
    ///
    /// # Errors
    /// A reason not to use the plugin: an unknown engine, or a statement that cannot be guarded.
    pub fn of(
        plug: &AuxpropPlug,
        file: &'static File,
        options: &Arc<Options>,
        log: Option<&Log>,
    ) -> Result<Option<Self>, String> {
        // SAFETY: a plugin's name ends in a NUL and stays as long as the plugin.
        let sql = !plug.name.is_null() && unsafe { CStr::from_ptr(plug.name) }.to_bytes().eq_ignore_ascii_case(b"sql");
        if !sql {
            return Ok(None);
        }
        let engine = Engine::of(options)?;
        let mut decoding = options.copy();
        for name in STATEMENTS {
            let Some(statement) = options.find(name.as_bytes()) else { continue };
            let text = statement.to_str().map_err(|_| format!("{name}: it is not UTF-8"))?;
            let text = statement::in_hexadecimal(text, engine).map_err(|reason| format!("{name}: {reason}"))?;
            decoding.set(name, &text).map_err(|error| error.to_string())?;
        }
        let decoding = instances::auxprop(file, &Arc::new(decoding), log)?;
        Ok(Some(Guard { engine, decoding }))
    }

    /// The plugin that looks up a user or stores these values, and the texts to pass to it. `realm` is what the plugin uses
    /// for `%r` if the name has none; it may be the server's host.
    ///
    /// # Errors
    /// [`Error::Outside`] if a realm cannot be put into a statement.
    pub fn asked(
        &self,
        plug: &AuxpropPlug,
        name: &CStr,
        realm: &[u8],
        values: Vec<Option<Secret>>,
    ) -> Result<Asked, Error> {
        // The plugin cuts a name at its first @; what follows is the realm.
        let bytes = name.to_bytes();
        let (user, of) = bytes.split_at(bytes.iter().position(|byte| *byte == b'@').unwrap_or(bytes.len()));
        if !self.engine.fits(of) || !self.engine.fits(realm) {
            return Err(Error::outside(
                Code::BadParam,
                "auxprop plugin sql cannot put a realm, or a host in its place, with a quote, a backslash or a line break into a statement",
            ));
        }
        // To remove a password, the plugin would store the text NULL, which could be used as a password. An empty one cannot.
        let values: Vec<Secret> = values.into_iter().map(Option::unwrap_or_default).collect();
        if self.engine.fits(user) && values.iter().all(|value| self.engine.fits(value.expose())) {
            return Ok(Asked { plug: *plug, name: name.to_owned(), values: values.into_iter().map(Some).collect() });
        }
        let mut hexed = digits(user);
        hexed.extend_from_slice(of);
        let name =
            CString::new(hexed).map_err(|_| Error::outside(Code::BadParam, "there is a NUL character in a name"))?;
        let values = values.iter().map(|value| Some(Secret::from(digits(value.expose())))).collect();
        Ok(Asked { plug: self.decoding, name, values })
    }
}

fn digits(text: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    // Allocate the final size at once: growing would leave a copy of the secret.
    let mut digits = Vec::with_capacity(2 * text.len());
    digits.extend(text.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]));
    digits
}
