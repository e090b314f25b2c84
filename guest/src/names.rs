//! What programs of libsasl2 call the subjects of errors: callbacks, properties and options, as sasl.h has them.

use authen_sasl_rust::error::{Name, Subject};

pub const AUTHNAME: &str = "SASL_CB_AUTHNAME";
pub const USER: &str = "SASL_CB_USER";
pub const PASS: &str = "SASL_CB_PASS";
pub const GETREALM: &str = "SASL_CB_GETREALM";

/// The [`authen_sasl_rust::error::Names`] of a connection of libsasl2.
pub fn of_libsasl2(subject: Subject) -> Option<Name> {
    let (kind, names): (_, &[&str]) = match subject {
        Subject::Authcid | Subject::Trace => ("callback", &[AUTHNAME]),
        Subject::Authzid | Subject::Identity => ("callback", &[USER]),
        Subject::Password | Subject::Token => ("callback", &[PASS]),
        Subject::Realm => ("callback", &[GETREALM]),
        Subject::StoredSecret => ("property", &["userPassword", "authPassword"]),
        Subject::PasswordCheck | Subject::TokenCheck => ("", &["sasl_checkpass"]),
        Subject::ExternalIdentity => ("property", &["SASL_AUTH_EXTERNAL"]),
        Subject::ChannelBinding => ("property", &["SASL_CHANNEL_BINDING"]),
        Subject::MessageLimit => ("property", &["SASL_MAXOUTBUF"]),
        Subject::Host | Subject::ServerHost => ("serverFQDN of", &["sasl_client_new"]),
        Subject::ServerRealm => ("user_realm of", &["sasl_server_new"]),
        Subject::Start => ("", &["sasl_server_start"]),
        Subject::Step => ("", &["sasl_server_step"]),
        _ => return None,
    };
    Some(Name { kind, names })
}

#[cfg(test)]
mod tests {
    use super::*;
    use authen_sasl_rust::error::{Application, Error, Misuse};

    #[test]
    fn texts_name_what_sasl_h_has() {
        for (error, expected) in [
            (Application::Missing(Subject::Authcid).into(), "no authentication identity (callback SASL_CB_AUTHNAME)"),
            (Application::Empty(Subject::Password).into(), "the password (callback SASL_CB_PASS) is empty"),
            (
                Application::Verifier("a malformed verifier").into(),
                "the stored secret (property userPassword or authPassword) is a malformed verifier",
            ),
            (
                Error::Misuse(Misuse::MessageTooLong),
                "the message is longer than one frame may be (property SASL_MAXOUTBUF)",
            ),
        ] {
            assert_eq!(error.named(of_libsasl2).to_string(), expected);
        }
    }
}
