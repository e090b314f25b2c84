//! This side's credentials, and the name of the service.

use crate::gssapi::{Credentials, Name, Speaking, Store};
use authen_sasl_rust::config::Config;
use authen_sasl_rust::contract::Side;
use authen_sasl_rust::error::Error;

/// The service's name in words and for the library.
pub fn service(side: Side, config: &Config) -> Result<(String, Name), Error> {
    let name = Name::of_service(side, &config.service, &config.host)?;
    Ok((format!("{}@{}", config.service, config.host), name))
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
    let store = match side {
        Side::Client => Store { ccache: config.ccache(), keytab: config.keytab() },
        Side::Server => Store { ccache: None, keytab: config.keytab() },
    };
    let acquire = |speaking| Credentials::acquire(side, speaking, name.as_ref(), &about, store);
    match acquire(speaking) {
        // SPNEGO's error only says that nothing was found; that of Kerberos says what is missing.
        Err(error) if speaking == Speaking::Spnego => Err(acquire(Speaking::Kerberos).err().unwrap_or(error)),
        result => result,
    }
}
