//! Kerberos: GSSAPI (RFC 4752), GSS-SPNEGO (as in Active Directory), GS2-KRB5 and GS2-KRB5-PLUS (RFC 5801). The system's
//! GSS-API library does the work, see [`crate::gssapi`].

mod client;
mod credentials;
mod dialect;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gs2;
mod layer;
mod server;

use crate::gssapi::{self, Speaking};
use authen_sasl_rust::config::Config;
use authen_sasl_rust::contract::{hidden, Description, SecurityFlags, Side, Stateless};
use authen_sasl_rust::error::Rejection;

use dialect::Dialect;

const SECURITY: SecurityFlags = SecurityFlags::NOPLAINTEXT
    .union(SecurityFlags::NOACTIVE)
    .union(SecurityFlags::NOANONYMOUS)
    .union(SecurityFlags::MUTUAL_AUTH)
    .union(SecurityFlags::PASS_CREDENTIALS);

const fn described(name: &'static str, rank: u8) -> Description {
    Description { rank, security: SECURITY, carries_authzid: true, ..Description::new(name) }
}

/// GS2-KRB5-PLUS (RFC 5801).
pub static GS2_KRB5_PLUS: Stateless = Stateless {
    description: Description { binds: true, ..described("GS2-KRB5-PLUS", 84) },
    client: gs2::client,
    server: gs2::server,
    unavailable_reason: |side, setup| unavailable_reason(Speaking::Kerberos, side, setup.config),
    outline: hidden,
};
/// GSSAPI (RFC 4752).
pub static GSSAPI: Stateless = Stateless {
    description: Description { max_ssf: 256, ..described("GSSAPI", 83) },
    client: || client::begin(Dialect::Gssapi),
    server: || server::begin(Dialect::Gssapi),
    unavailable_reason: |side, setup| unavailable_reason(Speaking::Kerberos, side, setup.config),
    outline: hidden,
};
/// GSS-SPNEGO, as in Active Directory.
pub static GSS_SPNEGO: Stateless = Stateless {
    description: Description { max_ssf: 256, carries_authzid: false, ..described("GSS-SPNEGO", 82) },
    client: || client::begin(Dialect::Spnego),
    server: || server::begin(Dialect::Spnego),
    unavailable_reason: |side, setup| unavailable_reason(Speaking::Spnego, side, setup.config),
    outline: hidden,
};
/// GS2-KRB5 (RFC 5801).
pub static GS2_KRB5: Stateless = Stateless {
    description: described("GS2-KRB5", 81),
    client: gs2::client,
    server: gs2::server,
    unavailable_reason: |side, setup| unavailable_reason(Speaking::Kerberos, side, setup.config),
    outline: hidden,
};

/// What is missing on this machine or connection. A client without a ticket and a server without keys are detected here, so
/// that the next mechanism of the list is tried.
fn unavailable_reason(speaking: Speaking, side: Side, config: &Config) -> Option<Rejection> {
    if !gssapi::is_present() {
        return Some(
            "there is no GSS-API library: neither libgssapi_krb5.so.2 of MIT Kerberos (Debian: libgssapi-krb5-2) nor libgssapi.so.3 of Heimdal"
                .into(),
        );
    }
    if side == Side::Client && config.host.is_empty() {
        return Some(Rejection::NoHost);
    }
    // What the password is worth only the KDC can tell.
    if side == Side::Client && credentials::Login::is_possible(config) {
        return None;
    }
    credentials::credentials(side, speaking, config).err().map(Rejection::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use authen_sasl_rust::contract::Abilities;
    use authen_sasl_rust::session::Session;

    /// If the library or the credentials are missing, the negotiation has this reason, and takes the next mechanism.
    #[test]
    fn without_a_ticket_the_next_mechanism_is_taken() {
        for side in [Side::Client, Side::Server] {
            let mut session = Session::new(side, crate::registry());
            session.config.abilities = Abilities(!Abilities::ACTS_AS_OTHER.0);
            session.config.host = "localhost".into();
            session.config.service = "ldap".into();
            session.config.set("ccache", Some("FILE:/nonexistent/ccache")).unwrap();
            session.config.set("keytab", Some("FILE:/nonexistent/keytab")).unwrap();
            assert_eq!(session.negotiate("GSSAPI GSS-SPNEGO GS2-KRB5 PLAIN").unwrap().name, "PLAIN");
            for mechanism in crate::MECHANISMS {
                let refused = session.negotiate(mechanism.name).unwrap_err().to_string();
                let reasons = [
                    "there is no GSS-API library",
                    "looking for credentials",
                    "knows of no ccache and keytab but its own", // Heimdal 7
                    "no channel binding data",
                ];
                assert!(reasons.iter().any(|reason| refused.contains(reason)), "{refused}");
            }
        }
    }

    #[test]
    fn a_client_must_know_the_host() {
        if !gssapi::is_present() {
            return; // the other test sees to that
        }
        let mut session = Session::new(Side::Client, crate::registry());
        let refused = session.negotiate("GSSAPI").unwrap_err().to_string();
        assert!(refused.contains("host name is not known"), "{refused}");
    }
}
