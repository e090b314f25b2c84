//! What may be shown of a message: its name in the standard, and its fields without secrets.
//!
//! An outline is for people who want to know why a login fails. So it has nothing that helps somebody else to log in: no password, no
//! token, no proof, nothing of a verifier, and no nonce, with which a proof could be guessed offline. Of such a field the length is
//! shown, where it is not itself a hint, or only that it is there. A message that does not parse has no outline.

use std::fmt;

use crate::error::{printable, Side};

/// A message on its way.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'a> {
    /// Who has sent it.
    pub from: Side,
    /// How many messages of that side came before it in the exchange.
    pub index: u32,
    /// The message.
    pub bytes: &'a [u8],
}

/// What may be shown of a message.
///
/// ```
/// use authen_sasl_rust::contract::Outline;
///
/// let outline = Outline::new("client-first-message").text("n", b"fred\n").elided("r", b"fyko+d2lbbFgONRv9qkxdawL").secret("p");
/// assert_eq!(outline.to_string(), "client-first-message: n=fred\\n r=(24 bytes) p=(secret)");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    name: &'static str,
    fields: Vec<(&'static str, Shown)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shown {
    Text(String),
    Length(usize),
    Secret,
}

impl Outline {
    /// A message of that name in its standard.
    pub fn new(name: &'static str) -> Self {
        Outline { name, fields: Vec::new() }
    }

    /// A field that is no secret: a name, an option. What does not print is escaped, and not all of a long text is shown. 32
    /// hexadecimal digits are a digest that belongs elsewhere, as in two messages that run together: then the length is shown.
    pub fn text(mut self, field: &'static str, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        if value.windows(32).any(|window| window.iter().all(u8::is_ascii_hexdigit)) {
            return self.elided(field, value);
        }
        self.fields.push((field, Shown::Text(printable(value))));
        self
    }

    /// The same of a field that may be left out.
    pub fn text_if(self, field: &'static str, value: Option<impl AsRef<[u8]>>) -> Self {
        match value {
            Some(value) => self.text(field, value),
            None => self,
        }
    }

    /// A field of which the length alone is shown: a nonce, a salt, binding data.
    pub fn elided(mut self, field: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.fields.push((field, Shown::Length(value.as_ref().len())));
        self
    }

    /// A field of which nothing is shown: a password, a token, a proof.
    pub fn secret(mut self, field: &'static str) -> Self {
        self.fields.push((field, Shown::Secret));
        self
    }

    /// One of the words that the standard has for a field; of any other, which may repeat anything, the length.
    pub fn word(self, field: &'static str, value: &[u8], known: &[&str]) -> Self {
        match known.iter().any(|word| word.as_bytes() == value) {
            true => self.text(field, value),
            false => self.elided(field, value),
        }
    }
}

impl fmt::Display for Outline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        for (index, (field, shown)) in self.fields.iter().enumerate() {
            f.write_str(if index == 0 { ": " } else { " " })?;
            match shown {
                Shown::Text(text) => write!(f, "{field}={text}")?,
                Shown::Length(length) => write!(f, "{field}=({length} bytes)")?,
                Shown::Secret => write!(f, "{field}=(secret)")?,
            }
        }
        Ok(())
    }
}
