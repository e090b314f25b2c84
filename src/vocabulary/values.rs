//! The values that a client's application is asked for, and its answers.

use crate::error::{Application, Error, Subject};
use crate::secret::Secret;

use crate::limits::{NAME_LIMIT, SECRET_LIMIT};

/// Values that a client's application may be asked for. Their numbers are those of the bits of
/// [`super::Abilities`] and of the C header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Property {
    /// Authentication identity.
    Authcid = 0,
    /// Authorization identity; for ANONYMOUS the trace.
    Authzid = 1,
    /// Password.
    Password = 2,
    /// Realm (DIGEST-MD5).
    Realm = 3,
    /// OAuth bearer token.
    Token = 4,
    /// OAUTHBEARER's optional `host` key.
    Host = 5,
    /// OAUTHBEARER's optional `port` key.
    Port = 6,
    /// DIGEST-MD5's serv-name.
    ServName = 7,
    /// The identity that was proved outside SASL, as the application names it (EXTERNAL): the authorization identity
    /// by its standard name, else the authentication identity, else any other authorization identity.
    Identity = 8,
    /// A token that the server has issued for the mechanisms of the HT family.
    HtToken = 9,
    /// SCRAM keys in place of a password ([`crate::wire::client_keys`]).
    ScramKeys = 10,
}

impl From<Property> for Subject {
    fn from(property: Property) -> Self {
        match property {
            Property::Authcid => Subject::Authcid,
            Property::Authzid => Subject::Authzid,
            Property::Password => Subject::Password,
            Property::Realm => Subject::Realm,
            Property::Token => Subject::Token,
            Property::Host => Subject::Host,
            Property::Port => Subject::Port,
            Property::ServName => Subject::ServName,
            Property::Identity => Subject::Identity,
            Property::HtToken => Subject::HtToken,
            Property::ScramKeys => Subject::ScramKeys,
        }
    }
}

/// The values of a client's application, by property.
#[derive(Debug, Default)]
pub struct Values(Vec<(Property, Secret)>);

impl Values {
    /// Adds a value. If the property already has one, the earlier value is used.
    pub fn push(&mut self, property: Property, value: Secret) {
        self.0.push((property, value));
    }

    /// Removes and returns a value; `None` if there is none.
    pub fn take(&mut self, property: Property) -> Option<Secret> {
        let at = self.0.iter().position(|(p, _)| *p == property)?;
        Some(self.0.swap_remove(at).1)
    }

    /// Returns a value; `None` if there is none.
    pub fn get(&self, property: Property) -> Option<&Secret> {
        self.0.iter().find(|(p, _)| *p == property).map(|(_, v)| v)
    }

    /// Takes a secret that the mechanism needs.
    ///
    /// # Errors
    /// [`Application::Missing`] if there is none, [`Application::Unusable`] above [`SECRET_LIMIT`].
    pub fn require(&mut self, property: Property) -> Result<Secret, Error> {
        let value = self.take(property).ok_or(Application::Missing(property.into()))?;
        limited(property, value.expose(), SECRET_LIMIT, "must not be longer than 65536 bytes")?;
        Ok(value)
    }

    /// Takes a password or token that the mechanism needs, and whose message or library takes a NUL for its end.
    ///
    /// # Errors
    /// As [`Values::require`]; [`Application::Empty`] if it is empty, [`Application::Unusable`] if it holds a NUL.
    pub fn require_password(&mut self, property: Property) -> Result<Secret, Error> {
        let value = self.require(property)?;
        if value.is_empty() {
            return Err(Application::Empty(property.into()).into());
        }
        without_nul(property, value.expose())?;
        Ok(value)
    }

    /// Takes a name as text, if there is one. No mechanism can send a NUL in a name: in some it ends the name, and SASLprep
    /// (RFC 4013 section 2.3) and RFC 4422 section 3.4.1 prohibit it.
    ///
    /// # Errors
    /// [`Application::Unusable`] if it is not UTF-8, holds a NUL, or is above [`NAME_LIMIT`].
    pub fn text(&mut self, property: Property) -> Result<Option<String>, Error> {
        let Some(value) = self.take(property) else { return Ok(None) };
        limited(property, value.expose(), NAME_LIMIT, "is longer than 4096 bytes")?;
        without_nul(property, value.expose())?;
        match value.expose_str() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(Application::Unusable { what: property.into(), reason: "is not valid UTF-8" }.into()),
        }
    }

    /// Takes a name as text, if there is one. An empty one counts as none.
    ///
    /// # Errors
    /// As [`Values::text`].
    pub fn optional_text(&mut self, property: Property) -> Result<Option<String>, Error> {
        Ok(self.text(property)?.filter(|name| !name.is_empty()))
    }

    /// Takes a value as text that the mechanism needs and that must not be empty.
    ///
    /// # Errors
    /// [`Application::Missing`], [`Application::Empty`] or [`Application::Unusable`].
    pub fn require_text(&mut self, property: Property) -> Result<String, Error> {
        match self.text(property)? {
            None => Err(Application::Missing(property.into()).into()),
            Some(text) if text.is_empty() => Err(Application::Empty(property.into()).into()),
            Some(text) => Ok(text),
        }
    }
}

fn without_nul(property: Property, value: &[u8]) -> Result<(), Error> {
    if value.contains(&0) {
        return Err(Application::Unusable { what: property.into(), reason: "holds a NUL character" }.into());
    }
    Ok(())
}

fn limited(property: Property, value: &[u8], limit: usize, reason: &'static str) -> Result<(), Error> {
    if value.len() > limit {
        return Err(Application::Unusable { what: property.into(), reason }.into());
    }
    Ok(())
}
