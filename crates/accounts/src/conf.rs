//! Configuration files of Cyrus SASL: `SERVICE.conf`, one line per option.
//!
//! ```text
//! # a comment
//! pwcheck_method: auxprop saslauthd
//! ```
//! A name consists of letters (which are converted to lower case), digits, `-` and `_`. A colon follows immediately. The
//! value ends with the line, without white space around it, and is not empty. If a name occurs twice, the first line is
//! used. libsasl2 does the same (xt/accounts/conf.t compares), except where a mistake would not be noticed: libsasl2 cuts a
//! value at a NUL, divides a long line into several, and ignores a file that it may not read.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use authen_sasl_rust::error::{Code, Error};

/// Longest line, in bytes.
const LINE_LIMIT: usize = 4095;
/// Longest file, in bytes.
const SIZE_LIMIT: u64 = 1 << 20;

/// A configuration. Its values may be passwords, so they are never printed with `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Conf(Vec<(Box<str>, Box<str>)>);

impl Conf {
    /// Parses a file's text. A comment may be in any encoding, the rest is UTF-8.
    ///
    /// # Errors
    /// The number of the first wrong line, and what is wrong with it. The error does not contain the value.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, String> {
        let mut conf = Conf::default();
        let mut names = HashSet::new();
        for (number, line) in text.as_ref().split(|byte| *byte == b'\n').enumerate() {
            let wrong = |what| format!("line {}: {what}", number + 1);
            if line.len() > LINE_LIMIT {
                return Err(wrong("it is longer than 4095 bytes"));
            }
            if line.contains(&0) {
                return Err(wrong("it holds a NUL"));
            }
            if line.iter().find(|byte| !is_space(char::from(**byte))) == Some(&b'#') {
                continue;
            }
            let line = std::str::from_utf8(line).map_err(|_| wrong("it is not UTF-8"))?.trim_matches(is_space);
            if line.is_empty() {
                continue;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| wrong("name: value was expected"))?;
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
                return Err(wrong("a name of letters, digits, - and _ was expected before the colon"));
            }
            let value = value.trim_start_matches(is_space);
            if value.is_empty() {
                return Err(wrong("the value is missing"));
            }
            let name = name.to_ascii_lowercase();
            if names.insert(name.clone()) {
                conf.0.push((name.into(), value.into()));
            }
        }
        Ok(conf)
    }

    /// Prints the text that [`Conf::parse`] parses.
    pub fn print(&self) -> String {
        self.options().map(|(name, value)| format!("{name}: {value}\n")).collect()
    }

    /// The value of an option. Its name is in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.options().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// All options, each one once.
    pub fn options(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Reads the configuration of a service: the first file of that name in the folders; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Outside`] for a service that cannot be a file name, and for a file that cannot be read or is malformed.
    pub fn find(service: &str, folders: &[PathBuf]) -> Result<Option<(PathBuf, Self)>, Error> {
        if service.is_empty() || service.starts_with('.') || service.contains(['/', '\0']) {
            return Err(Error::outside(Code::BadParam, "the service's name cannot be that of a configuration file"));
        }
        for folder in folders {
            let path = folder.join(format!("{service}.conf"));
            if let Some(conf) = Conf::read(&path)? {
                return Ok(Some((path, conf)));
            }
        }
        Ok(None)
    }

    fn read(path: &Path) -> Result<Option<Self>, Error> {
        let wrong = |what: &str| Error::outside(Code::ConfigErr, format!("{}: {what}", path.display()));
        let file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(wrong(&error.to_string())),
        };
        let mut text = Vec::new();
        file.take(SIZE_LIMIT + 1).read_to_end(&mut text).map_err(|error| wrong(&error.to_string()))?;
        if text.len() as u64 > SIZE_LIMIT {
            return Err(wrong("it is longer than 1 MiB"));
        }
        Conf::parse(&text).map(Some).map_err(|what| wrong(&what))
    }
}

impl fmt::Debug for Conf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.options().map(|(name, _)| name)).finish()
    }
}

/// C's `isspace`.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

/// The folder of libsasl2's plugins on Debian, for this architecture.
pub fn machine_folder() -> PathBuf {
    let machine = match std::env::consts::ARCH {
        "x86" => "i386-linux-gnu".to_owned(),
        "arm" => "arm-linux-gnueabihf".to_owned(),
        "powerpc64" => "powerpc64le-linux-gnu".to_owned(),
        other => format!("{other}-linux-gnu"),
    };
    PathBuf::from(format!("/usr/lib/{machine}/sasl2"))
}

/// The folders that are searched for configurations: those of `SASL_CONF_PATH`, unless this program has more rights than its
/// caller (CVE-2004-0884); else those of Debian's libsasl2.
pub fn folders(privileged: bool) -> Vec<PathBuf> {
    match std::env::var_os("SASL_CONF_PATH").filter(|_| !privileged) {
        Some(list) => std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()).collect(),
        None => vec!["/etc/sasl2".into(), "/etc/sasl".into(), machine_folder(), "/usr/lib/sasl2".into()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Vec<(String, String)> {
        let conf = Conf::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(Conf::parse(conf.print()).as_ref(), Ok(&conf), "{text:?}");
        conf.options().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn printing_inverts_parsing() {
        for (text, expected) in [
            ("", &[][..]),
            ("\n\n\t\n# a: 1\n  # x", &[]),
            ("a: 1\nb:2\n", &[("a", "1"), ("b", "2")]),
            (" A: 1 2 \t \n", &[("a", "1 2")]),
            ("b: 2 # c", &[("b", "2 # c")]),
            ("a: 1\na: 2\nA: 3", &[("a", "1")]),
            ("a: 1\r\nb: 2\r\n", &[("a", "1"), ("b", "2")]),
            ("x-y_0:\x0b\"1\":2\x0c", &[("x-y_0", "\"1\":2")]),
        ] {
            let expected: Vec<(String, String)> =
                expected.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
            assert_eq!(options(text), expected, "{text:?}");
        }
    }

    #[test]
    fn wrong_lines_are_named_and_show_no_value() {
        let long = format!("a: {}", "x".repeat(LINE_LIMIT));
        for (text, word) in [
            ("a: 1\nsecret", "line 2: name: value"),
            ("a:", "line 1: the value is missing"),
            ("a: \t\nb: secret", "line 1: the value is missing"),
            ("a : secret", "line 1: a name of letters"),
            ("a.b: secret", "line 1: a name of letters"),
            (": secret", "line 1: a name of letters"),
            ("\u{e4}: secret", "line 1: a name of letters"),
            ("a: secret\0", "line 1: it holds a NUL"),
            (&long, "line 1: it is longer than 4095 bytes"),
        ] {
            let error = Conf::parse(text).expect_err(text);
            assert!(error.contains(word) && !error.contains("secret"), "{text:?}: {error}");
        }
    }

    #[test]
    fn the_first_file_counts() {
        let root = std::env::temp_dir().join(format!("conf-test-{}", std::process::id()));
        let folders: Vec<PathBuf> = ["none", "1", "2"].map(|name| root.join(name)).to_vec();
        for (folder, text) in [("1", "a: 1"), ("2", "a: 2")] {
            fs::create_dir_all(root.join(folder)).expect("a folder");
            fs::write(root.join(folder).join("app.conf"), text).expect("a file");
        }
        let value = |service| {
            Conf::find(service, &folders).map(|found| found.map(|(_, conf)| conf.get("a").map(str::to_owned)))
        };
        assert_eq!(value("app"), Ok(Some(Some("1".into()))));
        assert_eq!(value("other"), Ok(None));
        for service in ["", "../1/app", ".", "a\0"] {
            assert_eq!(value(service).expect_err("no file").code(), Code::BadParam, "{service:?}");
        }
        fs::write(root.join("1/app.conf"), "rubbish").expect("a file");
        let error = value("app").expect_err("it is wrong").to_string();
        assert!(error.contains("1/app.conf: line 1"), "{error}");
        fs::write(root.join("1/app.conf"), "x\n".repeat(1 << 20)).expect("a file");
        assert!(value("app").expect_err("it is long").to_string().contains("longer than 1 MiB"));
        fs::write(root.join("1/app.conf"), b"# \xff\n \t# f\xfcr\na: 3\n").expect("a file");
        assert_eq!(value("app"), Ok(Some(Some("3".into()))), "a comment in another encoding");
        fs::write(root.join("1/app.conf"), b"b: 1\na: \xff").expect("a file");
        assert!(value("app").expect_err("no text").to_string().ends_with("1/app.conf: line 2: it is not UTF-8"));
        fs::remove_file(root.join("1/app.conf")).expect("it was there");
        assert_eq!(value("app"), Ok(Some(Some("2".into()))));
        fs::create_dir(root.join("1/app.conf")).expect("a folder");
        assert!(value("app").is_err());
        fs::remove_dir_all(root).expect("it was there");
    }

    #[test]
    fn values_are_not_shown() {
        assert_eq!(format!("{:?}", Conf::parse("sql_passwd: secret").unwrap()), "{\"sql_passwd\"}");
    }
}
