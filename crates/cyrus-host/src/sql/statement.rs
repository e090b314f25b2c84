//! The statements of the sql plugin, and their form for texts in hexadecimal.
//!
//! The plugin replaces `%u`, `%r` and `%v` in a statement by the name, the realm and the value. Whether a text can end the literal
//! that it is put into depends on the engine and its mode. So a statement is accepted only if each placeholder is in a text literal in
//! every mode of the engine.

use super::super::options::Options;

/// A database that the plugin knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// MySQL and MariaDB.
    Mysql,
    /// PostgreSQL.
    Postgres,
    /// SQLite 2 and 3.
    Sqlite,
}

impl Engine {
    /// The engine that the plugin uses with these options.
    ///
    /// # Errors
    /// If it is an engine whose literals are not known here.
    pub fn of(options: &Options) -> Result<Self, String> {
        let name = options.get("sql_engine").unwrap_or("mysql");
        match name.to_ascii_lowercase().as_str() {
            "mysql" => Ok(Engine::Mysql),
            "pgsql" => Ok(Engine::Postgres),
            "sqlite" | "sqlite3" => Ok(Engine::Sqlite),
            _ => Err(format!("sql_engine {name}: only mysql, pgsql, sqlite and sqlite3 are supported")),
        }
    }

    /// True if a text can be put into a literal unchanged: the plugin escapes nothing in it, and it ends the literal in no mode.
    pub fn fits(self, text: &[u8]) -> bool {
        !text.iter().any(|byte| match byte {
            b'\'' | b'\\' => true,
            // mysql_escape_string escapes these, too; in NO_BACKSLASH_ESCAPES the backslash would be a part of the text.
            b'"' | b'\n' | b'\r' | 0x1A => self == Engine::Mysql,
            _ => false,
        })
    }

    /// An expression that decodes the hexadecimal text of the placeholder.
    fn decoded(self, placeholder: &str) -> String {
        match self {
            // With an introducer it is still a literal, so that the collation of the column is used.
            Engine::Mysql => format!("_utf8mb4 x'{placeholder}'"),
            // In PostgreSQL, x'...' is a bit string.
            Engine::Postgres => format!("convert_from(decode('{placeholder}','hex'),'UTF8')"),
            Engine::Sqlite => format!("CAST(x'{placeholder}' AS TEXT)"),
        }
    }

    fn concatenation(self, parts: &[String]) -> String {
        match (self, parts) {
            (_, [part]) => format!("({part})"),
            // Without PIPES_AS_CONCAT, || is OR.
            (Engine::Mysql, parts) => format!("CONCAT({})", parts.join(",")),
            (_, parts) => format!("({})", parts.join("||")),
        }
    }
}

/// The characters that begin something other than plain words of a statement.
const SPECIAL: [char; 9] = ['\'', '"', '`', '[', '%', '-', '/', '#', '$'];

/// The statement for names and values in hexadecimal. Each text literal with `%u` or `%v` becomes an expression that joins the text
/// before the placeholder, the decoded text, and the text after it.
///
/// # Errors
/// A reason if a placeholder is not in a text literal, or if that depends on the engine's mode.
pub fn in_hexadecimal(statement: &str, engine: Engine) -> Result<String, &'static str> {
    let mut out = String::new();
    let mut rest = statement;
    while let Some(at) = rest.find(SPECIAL) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let special = from.as_bytes()[0];
        if from.starts_with("--") || from.starts_with("/*") || special == b'#' && engine == Engine::Mysql {
            return Err("it has a comment");
        }
        if special == b'$' && engine == Engine::Postgres {
            return Err("it has a dollar sign, which may begin a text literal");
        }
        // Double quotes enclose a column name: in MySQL in the mode ANSI_QUOTES, in the other engines always.
        let text = special == b'\'';
        let end = match special {
            b'\'' | b'"' => literal(from, special)?,
            b'`' if engine != Engine::Postgres => literal(from, special)?,
            b'[' if engine == Engine::Sqlite => from.find(']').ok_or(UNCLOSED)? + 1,
            b'%' => 1 + from[1..].chars().next().map_or(0, char::len_utf8),
            _ => 1,
        };
        let (piece, behind) = from.split_at(end);
        let found = tokens(piece).any(|token| matches!(token, "%u" | "%r" | "%v"));
        if found && !text {
            return Err("%u, %r and %v must stand in a text literal in single quotes ('%u')");
        }
        if found && out.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            return Err("a text literal with %u, %r or %v must have no prefix");
        }
        match found && text {
            true => out.push_str(&expression(piece, engine)),
            false => out.push_str(piece),
        }
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

const UNCLOSED: &str = "a quotation has no end";

/// The length of the quotation at the beginning. A doubled quote is a quote within it.
fn literal(text: &str, quote: u8) -> Result<usize, &'static str> {
    let mut end = 1;
    loop {
        end += text[end..].find(char::from(quote)).ok_or(UNCLOSED)? + 1;
        if text.as_bytes().get(end) == Some(&quote) {
            end += 1;
            continue;
        }
        return match text[..end].contains('\\') {
            true => Err("it has a backslash in a quotation, where some modes of engines take it for an escape"),
            false => Ok(end),
        };
    }
}

/// Splits the text as the plugin does: into pairs of a percent sign and the next character, and the text between the pairs.
fn tokens(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let end = match text.find('%') {
            None if text.is_empty() => return None,
            None => text.len(),
            Some(0) => 1 + text[1..].chars().next().map_or(0, char::len_utf8),
            Some(at) => at,
        };
        let (token, behind) = text.split_at(end);
        text = behind;
        Some(token)
    })
}

/// A text literal with placeholders as an expression. The realm stays as it is.
fn expression(literal: &str, engine: Engine) -> String {
    let within = &literal[1..literal.len() - 1];
    let (mut parts, mut text) = (Vec::new(), String::new());
    let close = |text: &mut String, parts: &mut Vec<String>| {
        if !text.is_empty() {
            parts.push(format!("'{}'", std::mem::take(text)));
        }
    };
    for token in tokens(within) {
        match token {
            "%u" | "%v" => {
                close(&mut text, &mut parts);
                parts.push(engine.decoded(token));
            }
            other => text.push_str(other),
        }
    }
    close(&mut text, &mut parts);
    engine.concatenation(&parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_for_texts_in_hexadecimal() {
        const LITE: &str = "CAST(x'%u' AS TEXT)";
        const MY: &str = "_utf8mb4 x'%u'";
        const PG: &str = "convert_from(decode('%u','hex'),'UTF8')";
        use Engine::{Mysql, Postgres, Sqlite};
        for (engine, statement, expected) in [
            (Sqlite, "SELECT %p FROM u WHERE name = '%u'", format!("SELECT %p FROM u WHERE name = ({LITE})")),
            (Mysql, "SELECT %p FROM u WHERE name = '%u'", format!("SELECT %p FROM u WHERE name = ({MY})")),
            (Postgres, "SELECT %p FROM u WHERE name = '%u'", format!("SELECT %p FROM u WHERE name = ({PG})")),
            (Mysql, "SELECT '<%u>', \"a\"", format!("SELECT CONCAT('<',{MY},'>'), \"a\"")),
            (Sqlite, "SELECT %p WHERE n='%u' AND r='%r'", format!("SELECT %p WHERE n=({LITE}) AND r=('%r')")),
            (Sqlite, "SELECT 1 WHERE a = '%u@%r' OR b = '<%u>'", {
                format!("SELECT 1 WHERE a = ({LITE}||'@%r') OR b = ('<'||{LITE}||'>')")
            }),
            (Mysql, "SELECT 1 WHERE a = '%u@%r'", format!("SELECT 1 WHERE a = CONCAT({MY},'@%r')")),
            (Postgres, "SELECT a[1] WHERE a = '%u@%r'", format!("SELECT a[1] WHERE a = ({PG}||'@%r')")),
            (Sqlite, "SELECT 1 WHERE a = 'it''s %u' - 1", format!("SELECT 1 WHERE a = ('it''s '||{LITE}) - 1")),
            (
                Sqlite,
                "SELECT \"a\", [b], `c`, '%%u' / '%p' FROM u",
                "SELECT \"a\", [b], `c`, '%%u' / '%p' FROM u".into(),
            ),
            (Sqlite, "SELECT '%%%u%'", format!("SELECT ('%%'||{LITE}||'%')")),
            (Sqlite, "SELECT '\u{e4}%u\u{e4}' %\u{e4}", format!("SELECT ('\u{e4}'||{LITE}||'\u{e4}') %\u{e4}")),
            (Mysql, "UPDATE u SET %p = '%v' WHERE n = '%u'", {
                format!("UPDATE u SET %p = (_utf8mb4 x'%v') WHERE n = ({MY})")
            }),
            (Sqlite, "", String::new()),
        ] {
            assert_eq!(in_hexadecimal(statement, engine).as_deref(), Ok(&*expected), "{engine:?}: {statement}");
        }
    }

    #[test]
    fn statements_that_are_refused() {
        use Engine::{Mysql, Postgres, Sqlite};
        let all = [Mysql, Postgres, Sqlite];
        let placeholder = "%u, %r and %v must stand in a text literal in single quotes ('%u')";
        let prefix = "a text literal with %u, %r or %v must have no prefix";
        for (engines, statement, reason) in [
            (&all[..], "SELECT %p FROM u WHERE name = %u", placeholder),
            (&all, "SELECT %p FROM u WHERE realm = %r", placeholder),
            (&all, "UPDATE u SET p = %v", placeholder),
            (&all, "SELECT %p FROM u WHERE name = \"%u\"", placeholder),
            (&all, "SELECT %p FROM u WHERE realm = \"a '%r'\"", placeholder),
            (&[Mysql, Sqlite], "SELECT `%u`", placeholder),
            (&[Sqlite], "SELECT [%r]", placeholder),
            (&all, "SELECT x'%u'", prefix),
            (&[Mysql], "SELECT _utf8'%u'", prefix),
            (&[Postgres], "SELECT E'%u'", prefix),
            (&all, "SELECT '%u", UNCLOSED),
            (&all, "SELECT \"a", UNCLOSED),
            (&[Sqlite], "SELECT [a", UNCLOSED),
            (&all, "SELECT 1 -- '%u'", "it has a comment"),
            (&all, "SELECT 1 /* '%u' */", "it has a comment"),
            (&[Mysql], "SELECT 1 # '%u'", "it has a comment"),
            (&[Postgres], "SELECT $$%u$$", "it has a dollar sign, which may begin a text literal"),
            (
                &all,
                "SELECT 'a\\', '%u'",
                "it has a backslash in a quotation, where some modes of engines take it for an escape",
            ),
        ] {
            for engine in engines {
                assert_eq!(in_hexadecimal(statement, *engine), Err(reason), "{engine:?}: {statement}");
            }
        }
    }

    #[test]
    fn engines() {
        let of = |name: Option<&str>| {
            let mut options = Options::default();
            if let Some(name) = name {
                options.set("sql_engine", name).unwrap();
            }
            Engine::of(&options)
        };
        assert_eq!(of(None), Ok(Engine::Mysql));
        assert_eq!(of(Some("MySQL")), Ok(Engine::Mysql));
        assert_eq!(of(Some("pgsql")), Ok(Engine::Postgres));
        assert_eq!(of(Some("SQLite3")), Ok(Engine::Sqlite));
        assert_eq!(
            of(Some("oracle")),
            Err("sql_engine oracle: only mysql, pgsql, sqlite and sqlite3 are supported".into())
        );
    }
}
