//! What error texts call their subjects here: the settings, as the manual has them.

use authen_sasl_rust::error::{Name, Subject};

/// The [`authen_sasl_rust::error::Names`] of a gateway.
pub fn of_settings(subject: Subject) -> Option<Name> {
    let (kind, names): (_, &[&str]) = match subject {
        Subject::PasswordCheck | Subject::StoredSecret => ("setting", &["users", "passwords"]),
        Subject::TokenCheck | Subject::TokenIdentity => ("setting", &["tokens"]),
        Subject::ExternalIdentity => ("setting", &["tls.client_ca", "unix_users"]),
        Subject::ChannelBinding => ("setting", &["tls.certificate"]),
        Subject::ServerRealm => ("setting", &["host"]),
        Subject::Start => ("", &["auth-start"]),
        Subject::Step => ("", &["auth-step"]),
        _ => return None,
    };
    Some(Name { kind, names })
}

/// The same for the gateway's own login to a backend.
pub fn of_backend_login(subject: Subject) -> Option<Name> {
    let names: &[&str] = match subject {
        Subject::Authcid | Subject::Identity => &["backend_login.user"],
        Subject::Password => &["backend_login.password_file"],
        Subject::Token => &["backend_login.token_file"],
        Subject::ClientCertificate => &["backend_tls.certificate"],
        _ => return None,
    };
    Some(Name { kind: "setting", names })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use authen_sasl_rust::error::{Application, Error, Misuse, Refused};

    #[test]
    fn texts_name_settings_and_commands() {
        for (error, expected) in [
            (
                Application::Verifier("a malformed verifier").into(),
                "the stored secret (setting users or passwords) is a malformed verifier",
            ),
            (
                Refused::NoExternalIdentity.into(),
                "no identity was established outside SASL (setting tls.client_ca or unix_users)",
            ),
            (Refused::Authorization { authcid: "a".into(), authzid: "b".into() }.into(), "'a' may not act as 'b'"),
            (Error::Misuse(Misuse::NotStarted), "auth-step was called before auth-start"),
        ] {
            assert_eq!(error.named(of_settings).to_string(), expected);
        }
    }

    /// Each name is one that the configuration file takes.
    #[test]
    fn the_settings_exist() {
        let of_server = [
            Subject::StoredSecret,
            Subject::TokenCheck,
            Subject::ExternalIdentity,
            Subject::ChannelBinding,
            Subject::ServerRealm,
        ];
        let of_client = [Subject::Authcid, Subject::Password, Subject::Token, Subject::ClientCertificate];
        let found = of_server.map(of_settings).into_iter().chain(of_client.map(of_backend_login));
        for name in found {
            for name in name.unwrap().names {
                let text = match *name {
                    "unix_users" => "[unix_users]\n1000 = \"fred\"".to_owned(),
                    name => format!("{name} = \"x\""),
                };
                assert!(toml::from_str::<Settings>(&text).is_ok(), "{name}");
            }
        }
    }
}
