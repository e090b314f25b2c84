//! The sql plugin with SQLite, which needs to be kept from injected statements.
//!
//! It puts a backslash before a quote and a backslash, as MySQL wants it. In SQLite the quote ends the text all the same, and
//! what follows would be a part of the statement; and the backslash stays in the text. So a name with either is looked up
//! by another copy of the plugin, whose statement has `CAST(x'%u' AS TEXT)` for `'%u'`, and which gets the name in hexadecimal: of
//! that the plugin escapes nothing, and no byte of it can end the literal.

use std::ffi::{CStr, CString};
use std::sync::Arc;

use crate::error::{Code, Error};

use super::abi::AuxpropPlug;
use super::begun;
use super::journal::Log;
use super::loader::File;
use super::options::Options;

const STATEMENT: &str = "sql_select";

/// What there is beside such a plugin.
pub struct Sqlite {
    /// The copy that takes names in hexadecimal; `None` if its statement is not one that can be written so.
    hexed: Option<AuxpropPlug>,
}

impl Sqlite {
    /// `None` for another plugin, or another database.
    pub fn of(plug: &AuxpropPlug, file: &'static File, options: &Arc<Options>, log: Option<&Log>) -> Option<Self> {
        // SAFETY: a plugin's name ends in a NUL and stays as long as the plugin.
        let sql = !plug.name.is_null() && unsafe { CStr::from_ptr(plug.name) }.to_bytes().eq_ignore_ascii_case(b"sql");
        let engine = options.get("sql_engine").unwrap_or_default().trim_start().as_bytes();
        let sqlite = sql && engine.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"sqlite"));
        sqlite.then(|| {
            let statement = options.get(STATEMENT).and_then(hexed);
            let options = statement.and_then(|statement| options.with(STATEMENT, &statement).ok());
            let hexed = options.and_then(|options| begun::auxprop(file, &Arc::new(options), log).ok());
            Sqlite { hexed }
        })
    }
}

impl Sqlite {
    /// The plugin to ask for a user, and the name to ask it for.
    ///
    /// # Errors
    /// [`Error::Outside`] if the name or the realm cannot be put into a statement.
    pub fn asked(&self, plug: &AuxpropPlug, name: &CStr, realm: &str) -> Result<(AuxpropPlug, CString), Error> {
        let asked = match fits(&[name.to_bytes()]) {
            true => Some((*plug, name.to_owned())),
            false => self.hexed.and_then(|hexed| Some((hexed, hex(name)?))),
        };
        asked.filter(|_| fits(&[realm.as_bytes()])).ok_or_else(unfit)
    }
}

/// True if the plugin can put these texts into a statement.
pub fn fits(texts: &[&[u8]]) -> bool {
    !texts.iter().any(|text| text.contains(&b'\'') || text.contains(&b'\\'))
}

/// The error for what cannot be put into a statement.
pub fn unfit() -> Error {
    Error::outside(Code::BadParam, "auxprop plugin sql cannot put a quote or a backslash into a statement for SQLite")
}

/// A name in hexadecimal up to its first `@`, where the plugin cuts it; what follows is the realm and stays as it is. `None` for a realm
/// that the plugin cannot put into a statement.
fn hex(name: &CStr) -> Option<CString> {
    let name = name.to_bytes();
    let (user, realm) = name.split_at(name.iter().position(|byte| *byte == b'@').unwrap_or(name.len()));
    let mut text: Vec<u8> = user.iter().flat_map(|byte| format!("{byte:02X}").into_bytes()).collect();
    text.extend_from_slice(realm);
    CString::new(text).ok().filter(|_| fits(&[realm]))
}

/// The statement for names in hexadecimal: each text literal with `%u` becomes what is before it, the name, and what is behind it,
/// put together. `None` if the name stands elsewhere, or where that is cannot be told.
fn hexed(statement: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = statement;
    while let Some(at) = rest.find(['\'', '"', '`', '[', '%', '-', '/']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let quote = from.as_bytes()[0];
        // A comment, or a blob: x'...'.
        let blob = || out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if from.starts_with("--") || from.starts_with("/*") || from.starts_with("%u") || quote == b'\'' && blob() {
            return None;
        }
        let end = match quote {
            b'\'' => literal(from)?,
            b'"' | b'`' => from[1..].find(char::from(quote))? + 2,
            b'[' => from.find(']')? + 1,
            b'%' => from.len().min(2),
            _ => 1,
        };
        let (piece, behind) = from.split_at_checked(end)?;
        match quote {
            b'\'' if piece.contains("%u") => out.push_str(&joined(piece)?),
            b'"' | b'`' | b'[' if piece.contains("%u") => return None,
            _ => out.push_str(piece),
        }
        rest = behind;
    }
    out.push_str(rest);
    Some(out)
}

/// The length of the text literal at the beginning; a doubled quote is one within it.
fn literal(text: &str) -> Option<usize> {
    let mut end = 1;
    loop {
        end += text.get(end..)?.find('\'')? + 1;
        if text.as_bytes().get(end) != Some(&b'\'') {
            return Some(end);
        }
        end += 1;
    }
}

/// A text literal around the name, in parts.
fn joined(literal: &str) -> Option<String> {
    const NAME: &str = "CAST(x'%u' AS TEXT)";
    let within = literal.strip_prefix('\'')?.strip_suffix('\'')?;
    // To the plugin two of these are a percent sign.
    if within.contains("%%") {
        return None;
    }
    let parts = within.split("%u").map(|part| if part.is_empty() { String::new() } else { format!("'{part}'") });
    let mut all: Vec<String> = Vec::new();
    for (at, part) in parts.enumerate() {
        if at > 0 {
            all.push(NAME.into());
        }
        if !part.is_empty() {
            all.push(part);
        }
    }
    Some(format!("({})", all.join("||")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_for_names_in_hexadecimal() {
        const NAME: &str = "CAST(x'%u' AS TEXT)";
        for (statement, expected) in [
            ("SELECT %p FROM u WHERE name = '%u'", format!("SELECT %p FROM u WHERE name = ({NAME})")),
            ("SELECT %p FROM u WHERE n='%u' AND r='%r'", format!("SELECT %p FROM u WHERE n=({NAME}) AND r='%r'")),
            ("SELECT 1 WHERE a = '%u@%r' OR b = '<%u>'", {
                format!("SELECT 1 WHERE a = ({NAME}||'@%r') OR b = ('<'||{NAME}||'>')")
            }),
            ("SELECT 1 WHERE a = 'it''s %u' - 1", format!("SELECT 1 WHERE a = ('it''s '||{NAME}) - 1")),
            ("SELECT \"a\", [b], `c`, '%%' / '%p' FROM u", "SELECT \"a\", [b], `c`, '%%' / '%p' FROM u".into()),
            ("SELECT '\u{e4}%u\u{e4}'", format!("SELECT ('\u{e4}'||{NAME}||'\u{e4}')")),
            ("", String::new()),
        ] {
            assert_eq!(hexed(statement).as_deref(), Some(&*expected), "{statement}");
        }
        for statement in [
            "SELECT %p FROM u WHERE name = %u",
            "SELECT %p FROM u WHERE name = \"%u\"",
            "SELECT [%u]",
            "SELECT `%u`",
            "SELECT x'%u'",
            "SELECT '%u",
            "SELECT '%%u'",
            "SELECT 1 -- '%u'",
            "SELECT 1 /* '%u' */",
            "SELECT \"a",
        ] {
            assert_eq!(hexed(statement), None, "{statement}");
        }
    }

    #[test]
    fn names_are_digits() {
        assert_eq!(hex(c"o'h\\\xc3"), Some(c"6F27685CC3".to_owned()));
        assert_eq!(hex(c"o'h@a@b"), Some(c"6F2768@a@b".to_owned()));
        assert_eq!(hex(c""), Some(c"".to_owned()));
        assert_eq!(hex(c"o'h@a'b"), None);
        assert_eq!(hex(c"oh@a\\b"), None);
    }
}
