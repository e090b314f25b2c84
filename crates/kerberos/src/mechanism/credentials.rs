//! This side's credentials, and the name of the service.

use crate::gssapi::{Credentials, Name, Speaking, Store};
use authen_sasl_rust::config::Config;
use authen_sasl_rust::contract::Side;
use authen_sasl_rust::contract::{Abilities, Property, Values};
use authen_sasl_rust::error::Error;
use authen_sasl_rust::secret::Secret;

/// The service's name in words and for the library.
pub fn service(side: Side, config: &Config) -> Result<(String, Name), Error> {
    let name = Name::of_service(side, &config.service, &config.host)?;
    Ok((format!("{}@{}", config.service, config.host), name))
}

/// What a client without a ticket gets one with (property `kerberos_password`).
pub struct Login {
    principal: String,
    password: Secret,
}

impl Login {
    /// True if the application can say who logs in and with which password.
    pub fn is_possible(config: &Config) -> bool {
        let named = config.principal().is_some() || config.abilities.contains(Abilities::AUTHCID);
        config.kerberos_password() && named && config.abilities.contains(Abilities::PASSWORD)
    }

    /// Takes it from the application's values; `None` if the application gives no password, or none shall be used.
    pub fn of(values: &mut Values, config: &Config) -> Result<Option<Login>, Error> {
        if !config.kerberos_password() || values.get(Property::Password).is_none() {
            return Ok(None);
        }
        // The library takes the password as a text of C.
        let password = values.require_password(Property::Password)?;
        let principal = match config.principal() {
            Some(principal) => principal.to_owned(),
            None => values.require_text(Property::Authcid)?,
        };
        Ok(Some(Login { principal, password }))
    }
}

/// A client's credentials: those that are there, else what the KDC gives for the password.
pub fn client_credentials(speaking: Speaking, config: &Config, login: Option<&Login>) -> Result<Credentials, Error> {
    let Some(Login { principal, password }) = login else { return credentials(Side::Client, speaking, config) };
    let name = Name::of_principal(Side::Client, principal)?;
    match Credentials::acquire(Side::Client, speaking, Some(&name), "", store(Side::Client, config)) {
        Ok(found) if found.are_usable() => Ok(found),
        _ => Credentials::by_password(speaking, &name, &format!("for {principal}"), password),
    }
}

/// This side's credentials: those of `principal`, else a client's default ones, or a server's for the service.
pub fn credentials(side: Side, speaking: Speaking, config: &Config) -> Result<Credentials, Error> {
    let (about, name) = match (config.principal(), side) {
        (Some(principal), _) => (format!("of {principal}"), Some(Name::of_principal(side, principal)?)),
        (None, Side::Server) if !config.host.is_empty() => {
            let (about, name) = service(side, config)?;
            (format!("of {about}"), Some(name))
        }
        (None, _) => (String::new(), None),
    };
    let acquire = |speaking| Credentials::acquire(side, speaking, name.as_ref(), &about, store(side, config));
    match acquire(speaking) {
        // SPNEGO's error only says that nothing was found; that of Kerberos says what is missing.
        Err(error) if speaking == Speaking::Spnego => Err(acquire(Speaking::Kerberos).err().unwrap_or(error)),
        result => result,
    }
}

/// Where this side's credentials are. A server has no use for a cache of tickets.
fn store(side: Side, config: &Config) -> Store<'_> {
    Store { ccache: config.ccache().filter(|_| side == Side::Client), keytab: config.keytab() }
}
